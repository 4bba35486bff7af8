//! JSON Web Tokens (RFC 7519), as far as they are made and read here.

use anyhow::{Context, Result};
use serde_json::Value;

/// A token of this payload that nobody has signed, although it looks so.
///
/// Whom an access token is meant for checks its signature, a client never does: our servers ask the registry
/// ([`Tokens`](super::Tokens)) instead.
pub(super) fn write(payload: &Value) -> Result<String> {
    let mut signature = [0; 256];
    openssl::rand::rand_bytes(&mut signature)?;
    let header = r#"{"typ":"JWT","alg":"RS256","kid":"devstack"}"#;
    Ok([header.as_bytes(), payload.to_string().as_bytes(), &signature].map(encode).join("."))
}

/// The header, the payload, what was signed and the signature of a token.
pub(super) fn read(token: &str) -> Result<(Value, Value, &str, Vec<u8>)> {
    let (signed, signature) = token.rsplit_once('.').context("no signature")?;
    let (header, payload) = signed.split_once('.').context("no payload")?;
    let value = |part: &str| anyhow::Ok(serde_json::from_slice(&decode(part)?)?);
    Ok((value(header)?, value(payload)?, signed, decode(signature)?))
}

/// Base64url without padding (RFC 4648 §5).
pub(super) fn encode(bytes: &[u8]) -> String {
    let text = openssl::base64::encode_block(bytes);
    text.trim_end_matches('=').replace('+', "-").replace('/', "_")
}

fn decode(text: &str) -> Result<Vec<u8>> {
    let padding = "=".repeat(text.len().wrapping_neg() % 4);
    Ok(openssl::base64::decode_block(&(text.replace('-', "+").replace('_', "/") + &padding))?)
}

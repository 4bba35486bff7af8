//! An application's proof by certificate: a JWT that its key has signed (RFC 7523 §2.2, with Microsoft's rules).

use std::collections::HashSet;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail};
use openssl::hash::MessageDigest;
use openssl::rsa::Padding;
use openssl::sign::{RsaPssSaltlen, Verifier};
use openssl::x509::X509;
use serde_json::Value;

use super::jwt;
use super::refusal::{self, Refusal};

/// What proves that an application is the one it says it is.
#[derive(Default)]
pub(super) struct Proofs {
    certificates: Vec<X509>,
    /// Assertions are good for once.
    used: HashSet<String>,
}

impl Proofs {
    pub(super) fn register(&mut self, certificate: X509) {
        self.certificates.push(certificate);
    }

    /// Takes an assertion of the application `client_id`, meant for `audience`.
    pub(super) fn take(&mut self, assertion: &str, client_id: &str, audience: &str) -> Result<(), Refusal> {
        let Ok((header, payload, signed, signature)) = jwt::read(assertion) else {
            return Err(refusal::malformed_assertion());
        };
        let is_signed = self.certificates.iter().any(|certificate| {
            is_of(certificate, &header).unwrap_or(false)
                && is_signed(certificate, &header, signed.as_bytes(), &signature).unwrap_or(false)
        });
        if !is_signed {
            return Err(refusal::assertion_by_another_key());
        }
        let text = |claim: &str| payload.get(claim).and_then(Value::as_str);
        if text("iss") != Some(client_id) || text("sub") != Some(client_id) {
            return Err(refusal::assertion_of_another_application());
        }
        if text("aud") != Some(audience) {
            return Err(refusal::assertion_for_another_audience());
        }
        if !is_in_time(&payload) {
            return Err(refusal::assertion_out_of_time());
        }
        match text("jti") {
            Some(id) if self.used.insert(id.to_owned()) => Ok(()),
            _ => Err(refusal::malformed_assertion()),
        }
    }
}

/// Whether the header names this certificate by its thumbprint.
fn is_of(certificate: &X509, header: &Value) -> Result<bool> {
    for (name, digest) in [("x5t#S256", MessageDigest::sha256()), ("x5t", MessageDigest::sha1())] {
        if let Some(given) = header.get(name) {
            return Ok(*given == jwt::encode(&certificate.digest(digest)?));
        }
    }
    Ok(false)
}

fn is_signed(certificate: &X509, header: &Value, signed: &[u8], signature: &[u8]) -> Result<bool> {
    let key = certificate.public_key()?;
    let mut verifier = Verifier::new(MessageDigest::sha256(), &key)?;
    match header.get("alg").and_then(Value::as_str) {
        Some("RS256") => verifier.set_rsa_padding(Padding::PKCS1)?,
        Some("PS256") => {
            verifier.set_rsa_padding(Padding::PKCS1_PSS)?;
            verifier.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH)?;
        }
        _ => bail!("an algorithm that Microsoft does not take"),
    }
    Ok(verifier.verify_oneshot(signature, signed)?)
}

/// It must say until when it is good, and that must not be over. From when it is good it need not say.
fn is_in_time(payload: &Value) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let time = |claim: &str| payload.get(claim).and_then(Value::as_u64);
    time("exp").is_some_and(|end| end > now) && time("nbf").is_none_or(|start| start <= now)
}

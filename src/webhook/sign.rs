//! Signatures by Standard Webhooks 1.0: HMAC-SHA256 over `id.timestamp.body`, version `v1`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

/// A signing key, ready for use.
#[derive(Clone)]
pub(super) struct Key(Hmac<Sha256>);

impl Key {
    /// Reads a secret in the form in which receivers hold it: `whsec_` and base64. None if it is not in that form.
    pub(super) fn parse(secret: &SecretString) -> Option<Self> {
        let key = STANDARD.decode(secret.expose_secret().strip_prefix("whsec_")?).ok()?;
        Hmac::new_from_slice(&key).ok().map(Self)
    }
}

/// The value of the header `webhook-signature`: one signature for each key, so that a receiver may know any one
/// of them. `timestamp` is in seconds since 1970.
pub(super) fn signature(keys: &[Key], event_id: &str, timestamp: u64, body: &str) -> String {
    let signatures: Vec<String> = keys
        .iter()
        .map(|key| {
            let mut mac = key.0.clone();
            mac.update(event_id.as_bytes());
            mac.update(format!(".{timestamp}.").as_bytes());
            mac.update(body.as_bytes());
            format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
        })
        .collect();
    signatures.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    const NEXT_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const EVENT_ID: &str = "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk";
    const BODY: &str = r#"{"email":"test@example.com","username":"test_user"}"#;

    fn key(secret: &str) -> Option<Key> {
        Key::parse(&SecretString::from(secret))
    }

    #[test]
    fn a_signature_is_what_the_specification_says() {
        let keys = [key(SECRET).unwrap()];

        let signature = signature(&keys, EVENT_ID, 1_649_367_553, BODY);

        assert_eq!(signature, "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=");
    }

    #[test]
    fn every_secret_signs_while_they_rotate() {
        let body = "{\"subject\":\"\u{d6}l\"}";
        let signature = signature(&[key(NEXT_SECRET).unwrap(), key(SECRET).unwrap()], EVENT_ID, 7, body);

        let expected = [NEXT_SECRET, SECRET].map(|secret| {
            standardwebhooks::Webhook::new(secret).unwrap().sign(EVENT_ID, 7, body.as_bytes()).unwrap()
        });
        assert_eq!(signature, expected.join(" "));
    }

    #[test]
    fn a_secret_in_another_form_is_no_key() {
        for other in
            ["", "C2FVsBQIhrscChlQIMV+b5sSYspob7oD", "correct horse", "whsec_C2FVsBQIhrsc!", "whsec_C2F"]
        {
            assert!(key(other).is_none(), "{other}");
        }
    }
}

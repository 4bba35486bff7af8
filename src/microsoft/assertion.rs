//! How an application proves who it is without a secret that travels: by a JWT signed with the key of its
//! certificate (RFC 7523 §2.2, RFC 7515; Microsoft identity platform, "application authentication certificate
//! credentials").

use std::fmt;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::rand::rand_bytes;
use openssl::rsa::Padding;
use openssl::sign::{RsaPssSaltlen, Signer};
use openssl::x509::X509;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

/// What is put in `client_assertion_type` (RFC 7523 §2.2).
pub(super) const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Made anew for each request, so it need only outlast a request and a clock that is off by minutes.
const LIFE: Duration = Duration::from_mins(10);

/// A certificate's key, ready to sign.
pub(super) struct SigningKey {
    key: PKey<Private>,
    /// The certificate's SHA-256 thumbprint, by which it is found in the registration.
    thumbprint: String,
}

impl SigningKey {
    pub(super) fn new(certificate_pem: &[u8], key_pem: &SecretString) -> Result<Self, ErrorStack> {
        // With a callback, since OpenSSL else asks the terminal for an encrypted key's passphrase.
        let key = PKey::private_key_from_pem_callback(key_pem.expose_secret().as_bytes(), |_| Ok(0))?;
        let thumbprint = X509::from_pem(certificate_pem)?.digest(MessageDigest::sha256())?;
        Ok(Self { key, thumbprint: encode(&thumbprint) })
    }

    /// A client assertion for the token endpoint at `audience`, valid from `now`.
    pub(super) fn assertion(
        &self,
        client_id: &str,
        audience: &str,
        now: SystemTime,
    ) -> Result<SecretString, ErrorStack> {
        let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let mut id = [0; 16];
        rand_bytes(&mut id)?;
        let header = json!({ "alg": "PS256", "typ": "JWT", "x5t#S256": self.thumbprint });
        let claims = json!({
            "aud": audience,
            "iss": client_id,
            "sub": client_id,
            "jti": encode(&id),
            "iat": now.as_secs(),
            "nbf": now.as_secs(),
            "exp": (now + LIFE).as_secs(),
        });
        let signed =
            format!("{}.{}", encode(header.to_string().as_bytes()), encode(claims.to_string().as_bytes()));
        let signature = self.sign(signed.as_bytes())?;
        Ok(format!("{signed}.{}", encode(&signature)).into())
    }

    /// PS256 (RFC 7518 §3.5), which Microsoft recommends; the salt is as long as the hash.
    fn sign(&self, bytes: &[u8]) -> Result<Vec<u8>, ErrorStack> {
        let mut signer = Signer::new(MessageDigest::sha256(), &self.key)?;
        signer.set_rsa_padding(Padding::PKCS1_PSS)?;
        signer.set_rsa_mgf1_md(MessageDigest::sha256())?;
        signer.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH)?;
        signer.sign_oneshot_to_vec(bytes)
    }
}

// By hand: nothing of a key is printed.
impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").finish_non_exhaustive()
    }
}

fn encode(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use openssl::asn1::Asn1Time;
    use openssl::rsa::Rsa;
    use openssl::sign::Verifier;
    use openssl::symm::Cipher;
    use serde_json::Value;

    use super::*;

    fn certified() -> (PKey<Private>, X509) {
        let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
        let mut certificate = X509::builder().unwrap();
        certificate.set_pubkey(&key).unwrap();
        certificate.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
        certificate.set_not_after(&Asn1Time::days_from_now(1).unwrap()).unwrap();
        certificate.sign(&key, MessageDigest::sha256()).unwrap();
        (key, certificate.build())
    }

    fn pem(key: &PKey<Private>) -> SecretString {
        String::from_utf8(key.private_key_to_pem_pkcs8().unwrap()).unwrap().into()
    }

    fn json_of(part: &str) -> Value {
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    }

    #[test]
    fn an_assertion_says_who_and_for_how_long_and_is_signed() {
        let (key, certificate) = certified();
        let signing = SigningKey::new(&certificate.to_pem().unwrap(), &pem(&key)).unwrap();
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_000_000);
        let endpoint = "https://login.microsoftonline.com/contoso/oauth2/v2.0/token";

        let assertion = signing.assertion("app", endpoint, now).unwrap();

        let (signed, signature) = assertion.expose_secret().rsplit_once('.').unwrap();
        let (header, claims) = signed.split_once('.').unwrap();
        let (header, claims) = (json_of(header), json_of(claims));
        let thumbprint = encode(&certificate.digest(MessageDigest::sha256()).unwrap());
        assert_eq!(header, json!({ "alg": "PS256", "typ": "JWT", "x5t#S256": thumbprint }));
        for (claim, expected) in [
            ("aud", json!(endpoint)),
            ("iss", json!("app")),
            ("sub", json!("app")),
            ("iat", json!(1_795_000_000)),
            ("nbf", json!(1_795_000_000)),
            ("exp", json!(1_795_000_600)),
        ] {
            assert_eq!(claims[claim], expected, "{claim}");
        }
        let public = certificate.public_key().unwrap();
        let mut verifier = Verifier::new(MessageDigest::sha256(), &public).unwrap();
        verifier.set_rsa_padding(Padding::PKCS1_PSS).unwrap();
        verifier.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH).unwrap();
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
        assert!(verifier.verify_oneshot(&signature, signed.as_bytes()).unwrap());
    }

    #[test]
    fn no_assertion_can_be_taken_for_another() {
        let (key, certificate) = certified();
        let signing = SigningKey::new(&certificate.to_pem().unwrap(), &pem(&key)).unwrap();
        let id = || {
            let assertion = signing.assertion("app", "https://a/", SystemTime::UNIX_EPOCH).unwrap();
            json_of(assertion.expose_secret().split('.').nth(1).unwrap())["jti"].clone()
        };

        assert_ne!(id(), id());
    }

    #[test]
    fn an_encrypted_key_is_refused_and_no_terminal_asked() {
        let (key, certificate) = certified();
        let encrypted = key.private_key_to_pem_pkcs8_passphrase(Cipher::aes_256_cbc(), b"canary").unwrap();
        let encrypted = String::from_utf8(encrypted).unwrap().into();

        let error = SigningKey::new(&certificate.to_pem().unwrap(), &encrypted).unwrap_err();

        assert!(!format!("{error:?} {error}").contains("canary"));
    }

    #[test]
    fn a_key_is_not_printed() {
        let (key, certificate) = certified();

        let printed = format!("{:?}", SigningKey::new(&certificate.to_pem().unwrap(), &pem(&key)).unwrap());

        assert_eq!(printed, "SigningKey { .. }");
    }
}

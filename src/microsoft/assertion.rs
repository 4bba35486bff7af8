//! How an application proves who it is without a secret that travels: by a JWT signed with the key of its certificate
//! (RFC 7523 §2.2, RFC 7515; Microsoft identity platform, "application authentication certificate credentials").

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

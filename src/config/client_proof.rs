//! How an application proves who it is: by a client secret, or by the key of a certificate.

use std::fmt;

use openssl::pkey::{Id, PKey, Private};
use openssl::x509::X509;
use secrecy::SecretString;
use uuid::Uuid;

use super::redacted::Toml;
use super::secret::SecretKey;
use super::section::Section;

/// How an application proves who it is.
#[derive(Clone)]
pub enum ClientProof {
    /// By a client secret.
    Secret(SecretString),
    /// By a JWT signed with the key of a certificate that is known to the authority (RFC 7523 §2.2).
    Certificate {
        /// The certificate, in PEM.
        certificate_pem: Vec<u8>,
        /// Its private RSA key, in PEM, unencrypted.
        key_pem: SecretString,
    },
}

/// The keys that all this is written by.
pub(super) const KEYS: [&str; 4] =
    ["client_secret", "client_secret_file", "certificate_file", "private_key_file"];

const CLIENT_SECRET: SecretKey = SecretKey {
    key: "client_secret",
    file_key: "client_secret_file",
    allowed: "the value of a client secret",
    check: check_client_secret,
};

const CERTIFICATE_ALLOWED: &str = "a readable file with a PEM certificate";
const KEY_ALLOWED: &str = "a readable file with the PEM key of that certificate: RSA, unencrypted";

impl ClientProof {
    pub(super) fn read(section: &mut Section<'_>) -> Option<Self> {
        let has_secret = section.has("client_secret") | section.has("client_secret_file");
        let has_certificate = section.has("certificate_file") | section.has("private_key_file");
        let allowed = "client_secret_file, or certificate_file and private_key_file";
        match (has_secret, has_certificate) {
            (true, false) => section.secret(&CLIENT_SECRET).map(Self::Secret),
            (false, true) => read_certificate(section),
            (false, false) => section.missing("client_secret", allowed),
            (true, true) => {
                section.refuse("client_secret", "a certificate as well", "one of the two");
                for key in KEYS {
                    section.take(key);
                }
                None
            }
        }
    }

    pub(super) fn write(&self, toml: &mut Toml) {
        match self {
            Self::Secret(_) => toml.text("client_secret", "***"),
            Self::Certificate { certificate_pem, .. } => {
                toml.certificates("certificate_file", Some(certificate_pem));
            }
        }
    }
}

// By hand: both kinds hold a secret.
impl fmt::Debug for ClientProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Secret(_) => "Secret",
            Self::Certificate { .. } => "Certificate",
        })
    }
}

/// The administration shows a secret's value once and its id for ever, so that the id is what people find.
fn check_client_secret(secret: &str) -> Result<(), &'static str> {
    let is_id = secret.len() == 36 && Uuid::try_parse(secret).is_ok();
    if is_id { Err("the id of a secret in place of its value") } else { Ok(()) }
}

/// An end that has passed is not judged: the authority will, and a worker that did not start for it would empty none of
/// its other mailboxes either.
fn read_certificate(section: &mut Section<'_>) -> Option<ClientProof> {
    let certificate = section.file("certificate_file", CERTIFICATE_ALLOWED, |pem| {
        let certificate = X509::from_pem(pem).map_err(|_| "which holds no PEM certificate")?;
        Ok((pem.to_vec(), certificate))
    });
    let key = section.file("private_key_file", KEY_ALLOWED, |pem| {
        let text = std::str::from_utf8(pem).map_err(|_| "which holds no PEM key")?;
        Ok((SecretString::from(text), parse_key(pem)?))
    });
    let ((certificate_pem, certificate), (key_pem, key)) = (certificate?, key?);
    if certificate.public_key().is_ok_and(|public| public.public_eq(&key)) {
        return Some(ClientProof::Certificate { certificate_pem, key_pem });
    }
    section.refuse("private_key_file", "the key of another certificate", KEY_ALLOWED);
    None
}

fn parse_key(pem: &[u8]) -> Result<PKey<Private>, &'static str> {
    let mut is_encrypted = false;
    // Without a callback, OpenSSL asks the terminal for the passphrase.
    let key = PKey::private_key_from_pem_callback(pem, |_| {
        is_encrypted = true;
        Ok(0)
    });
    match key {
        Ok(key) if key.id() == Id::RSA => Ok(key),
        Ok(_) => Err("which holds a key that is not RSA"),
        Err(_) if is_encrypted => {
            Err("which holds an encrypted key: take the passphrase off by openssl pkey")
        }
        Err(_) => Err("which holds no PEM key"),
    }
}

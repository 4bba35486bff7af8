//! `[secrets]`: what refresh tokens are encrypted with in the database.

use secrecy::ExposeSecret as _;

use crate::seal::Key;

use super::redacted::Toml;
use super::secret::SecretKey;
use super::section::Section;

/// What refresh tokens are encrypted with in the database.
#[derive(Debug, Clone)]
pub struct Secrets {
    /// Newest first; the first encrypts, each decrypts. Empty only if no mailbox signs in by device code.
    pub keys: Vec<Key>,
}

pub(super) const KEY_ALLOWED: &str = "the base64 of 32 random bytes; make one by: openssl rand -base64 32";

const KEY: SecretKey = SecretKey { key: "key", file_key: "key_file", allowed: KEY_ALLOWED, check: check_key };

const PREVIOUS_KEY: SecretKey =
    SecretKey { key: "previous_key", file_key: "previous_key_file", allowed: KEY_ALLOWED, check: check_key };

impl Secrets {
    pub(super) fn read(mut section: Section<'_>) -> Option<Self> {
        let has_key = section.has("key") | section.has("key_file");
        let has_previous_key = section.has("previous_key") | section.has("previous_key_file");
        let key = read_key(&mut section, &KEY);
        let previous_key = read_key(&mut section, &PREVIOUS_KEY);
        if has_previous_key && !has_key {
            section.refuse(
                "previous_key",
                "no key beside it",
                "a previous_key beside the key that follows it",
            );
        }
        section.end();
        let is_read = key.is_some() == has_key && previous_key.is_some() == has_previous_key;
        is_read.then(|| Self { keys: [key, previous_key].into_iter().flatten().collect() })
    }

    pub(super) fn write(&self, toml: &mut Toml) {
        toml.header("[secrets]");
        for (key, _) in ["key", "previous_key"].into_iter().zip(&self.keys) {
            toml.text(key, "***");
        }
    }
}

fn read_key(section: &mut Section<'_>, key: &SecretKey) -> Option<Key> {
    section.optional_secret(key).and_then(|text| Key::parse(text.expose_secret()))
}

fn check_key(text: &str) -> Result<(), &'static str> {
    Key::parse(text).map(drop).ok_or("a string that is not the base64 of 32 bytes")
}

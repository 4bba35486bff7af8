//! Sealing: secrets that rest in the database are encrypted and authenticated (AES-256-GCM, NIST SP 800-38D).
//!
//! Sealed bytes describe themselves: a version, which key it was, the nonce, the ciphertext, the tag. Whoever
//! seals names a context, such as the row that the bytes are for, and they open under the same context only:
//! bytes copied to another row don't.
//!
//! Invariant: a nonce is never chosen by a caller. Random nonces of 96 bits are safe for 2³² sealings by one
//! key; a mailbox that seals once an hour needs half a million years for that many.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use openssl::error::ErrorStack;
use openssl::rand::rand_bytes;
use openssl::sha::Sha256;
use openssl::symm::{Cipher, decrypt_aead, encrypt_aead};
use secrecy::SecretSlice;
use secrecy::zeroize::Zeroizing;

const VERSION: u8 = 1;
const KEY_BYTES: usize = 32;
const ID_BYTES: usize = 8;
const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;

/// The keys that sealed bytes may have been made with.
#[derive(Debug, Clone)]
pub struct Keyring {
    keys: Vec<Key>,
}

/// A key of 256 bits.
#[derive(Clone)]
pub struct Key {
    bytes: Zeroizing<[u8; KEY_BYTES]>,
    id: [u8; ID_BYTES],
}

/// What was sealed.
#[derive(Debug)]
pub struct Opened {
    /// The bytes.
    pub plain: SecretSlice<u8>,
    /// Whether the newest key had sealed it. If not, seal it anew, so that the older key can go.
    pub is_current_key: bool,
}

/// Why nothing was sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The key that is needed is not on the ring.
    #[error("the key that this was sealed with is not among the configured ones")]
    NoKey,
    /// The bytes were not sealed by this program for this context, or were changed since.
    #[error("what was sealed is damaged, or was sealed for something else")]
    Broken,
    /// The cryptography library failed.
    #[error("the cryptography library failed")]
    Library(#[from] ErrorStack),
}

impl Keyring {
    /// A ring of `keys`, newest first. An empty one seals and opens nothing.
    pub fn new(keys: Vec<Key>) -> Self {
        Self { keys }
    }

    /// Encrypts `plain` with the newest key, to be opened under the same `context` only.
    ///
    /// # Errors
    /// [`Error::NoKey`] if the ring is empty; [`Error::Library`].
    pub fn seal(&self, context: &str, plain: &[u8]) -> Result<Vec<u8>, Error> {
        let key = self.keys.first().ok_or(Error::NoKey)?;
        let mut nonce = [0; NONCE_BYTES];
        rand_bytes(&mut nonce)?;
        let mut tag = [0; TAG_BYTES];
        let authenticated = key.authenticated(context);
        let encrypted =
            encrypt_aead(Cipher::aes_256_gcm(), &*key.bytes, Some(&nonce), &authenticated, plain, &mut tag)?;
        Ok([&[VERSION], &key.id[..], &nonce, &encrypted, &tag].concat())
    }

    /// Decrypts what [`Keyring::seal`] made, by whichever key it was made with.
    ///
    /// # Errors
    /// [`Error::NoKey`] if that key is not on the ring; [`Error::Broken`] if anything was changed or
    /// `context` is another one.
    pub fn open(&self, context: &str, sealed: &[u8]) -> Result<Opened, Error> {
        let Parts { id, nonce, encrypted, tag } = Parts::of(sealed).ok_or(Error::Broken)?;
        let index = self.keys.iter().position(|key| key.id == *id).ok_or(Error::NoKey)?;
        let key = self.keys.get(index).ok_or(Error::NoKey)?;
        let authenticated = key.authenticated(context);
        let plain =
            decrypt_aead(Cipher::aes_256_gcm(), &*key.bytes, Some(nonce), &authenticated, encrypted, tag)
                .map(Zeroizing::new)
                .map_err(|_| Error::Broken)?;
        // A copy of just that size: shrinking a buffer may leave the plain text behind in the old one.
        Ok(Opened { plain: SecretSlice::from(plain.to_vec()), is_current_key: index == 0 })
    }
}

impl Key {
    /// Reads a key as it is configured: the base64 of 32 random bytes, by `openssl rand -base64 32`.
    pub fn parse(text: &str) -> Option<Self> {
        let decoded = Zeroizing::new(BASE64_STANDARD.decode(text).ok()?);
        let bytes = Zeroizing::new(<[u8; KEY_BYTES]>::try_from(decoded.as_slice()).ok()?);
        let mut hash = Sha256::new();
        hash.update(b"postroom key id");
        hash.update(&*bytes);
        let id = *hash.finish().first_chunk()?;
        Some(Self { bytes, id })
    }

    /// What is authenticated besides the ciphertext. All but the context is of fixed length, so that no two
    /// differ in meaning and not in bytes.
    fn authenticated(&self, context: &str) -> Vec<u8> {
        [&[VERSION], &self.id[..], context.as_bytes()].concat()
    }
}

impl Error {
    /// What a person can do about it.
    pub fn cure(&self) -> &'static str {
        match self {
            Self::NoKey => {
                "Give the key that it was sealed with as `previous_key` in [secrets], or sign in again."
            }
            Self::Broken => "Sign in again.",
            Self::Library(_) => "See that this machine's OpenSSL works: openssl enc -list.",
        }
    }
}

// By hand: a derived one would print the key.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").finish_non_exhaustive()
    }
}

/// Sealed bytes, taken apart: after the version, in this order.
struct Parts<'a> {
    id: &'a [u8; ID_BYTES],
    nonce: &'a [u8; NONCE_BYTES],
    encrypted: &'a [u8],
    tag: &'a [u8; TAG_BYTES],
}

impl<'a> Parts<'a> {
    fn of(sealed: &'a [u8]) -> Option<Self> {
        let rest = sealed.strip_prefix(&[VERSION])?;
        let (id, rest) = rest.split_first_chunk()?;
        let (nonce, rest) = rest.split_first_chunk()?;
        let (encrypted, tag) = rest.split_last_chunk()?;
        Some(Self { id, nonce, encrypted, tag })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use secrecy::ExposeSecret as _;

    use super::*;

    fn key(byte: u8) -> Key {
        Key::parse(&BASE64_STANDARD.encode([byte; KEY_BYTES])).unwrap()
    }

    fn ring(bytes: &[u8]) -> Keyring {
        Keyring::new(bytes.iter().map(|byte| key(*byte)).collect())
    }

    #[test]
    fn keys_are_the_base64_of_32_bytes() {
        for length in [0, 16, 31, 33, 64] {
            assert!(Key::parse(&BASE64_STANDARD.encode(vec![7; length])).is_none(), "{length}");
        }
        for text in ["", "canary", &"*".repeat(44), &format!("{} ", BASE64_STANDARD.encode([7; 32]))] {
            assert!(Key::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn the_same_is_never_sealed_to_the_same_bytes() {
        let ring = ring(&[1]);

        let [one, other] = [(); 2].map(|()| ring.seal("a", b"secret").unwrap());

        assert_ne!(one, other);
    }

    #[test]
    fn what_an_unknown_key_sealed_is_told_from_what_is_broken() {
        let sealed = ring(&[1]).seal("a", b"secret").unwrap();

        assert!(matches!(ring(&[2]).open("a", &sealed), Err(Error::NoKey)));
        assert!(matches!(ring(&[]).open("a", &sealed), Err(Error::NoKey)));
        assert!(matches!(ring(&[]).seal("a", b"secret"), Err(Error::NoKey)));
    }

    #[test]
    fn a_key_is_not_printed() {
        let key = key(b'k');

        let printed = format!("{key:?} {:?}", Keyring::new(vec![key.clone()]));

        assert_eq!(printed, "Key { .. } Keyring { keys: [Key { .. }] }");
    }

    #[test]
    fn what_another_implementation_sealed_opens() {
        // Python's cryptography 48, by the form that `Parts` describes. What is in databases must open for
        // ever.
        let sealed = "AYFaQNAfHTKQAAECAwQFBgcICQoLyMP2VEWKoKNz0xyTQzUCXG0XwaZhMQ==";

        let opened = ring(&[9, 1]).open("a mailbox", &BASE64_STANDARD.decode(sealed).unwrap()).unwrap();

        assert_eq!(opened.plain.expose_secret(), b"secret");
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens_under_its_context_alone(
            plain: Vec<u8>, context in ".{0,40}", other in ".{0,40}",
        ) {
            prop_assume!(context != other);
            let ring = ring(&[1, 2]);
            let sealed = ring.seal(&context, &plain).unwrap();

            let opened = ring.open(&context, &sealed).unwrap();
            prop_assert_eq!(opened.plain.expose_secret(), &plain[..]);
            prop_assert!(opened.is_current_key);
            prop_assert!(matches!(ring.open(&other, &sealed), Err(Error::Broken)));
        }

        #[test]
        fn a_previous_key_opens_and_is_said_to_be_one(plain: Vec<u8>) {
            let sealed = ring(&[1]).seal("a", &plain).unwrap();

            let opened = ring(&[2, 1]).open("a", &sealed).unwrap();

            prop_assert_eq!(opened.plain.expose_secret(), &plain[..]);
            prop_assert!(!opened.is_current_key);
        }

        #[test]
        fn no_bit_can_be_changed(plain: Vec<u8>, at: prop::sample::Index, bit in 0..8_u8) {
            let ring = ring(&[1]);
            let mut sealed = ring.seal("a", &plain).unwrap();
            let at = at.index(sealed.len());
            sealed[at] ^= 1 << bit;

            prop_assert!(ring.open("a", &sealed).is_err());
        }

        #[test]
        fn nothing_can_be_cut_off_or_put_on(plain: Vec<u8>, at: prop::sample::Index) {
            let ring = ring(&[1]);
            let sealed = ring.seal("a", &plain).unwrap();

            prop_assert!(ring.open("a", &sealed[..at.index(sealed.len())]).is_err());
            prop_assert!(ring.open("a", &[&sealed[..], &[0]].concat()).is_err());
        }

        #[test]
        fn no_bytes_are_too_odd_to_be_refused(sealed: Vec<u8>) {
            prop_assert!(ring(&[1]).open("a", &sealed).is_err());
        }
    }
}

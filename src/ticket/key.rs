//! What threads are found by: ids as the store looks them up.

use sha2::{Digest, Sha256};

/// An id as the store looks it up: its SHA-256, because ids have any length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ThreadKey(pub [u8; 32]);

impl ThreadKey {
    /// The key of a Message-ID without angle brackets. The domain counts in any case, the rest as it is written
    /// (RFC 5322 §3.6.4 leaves both open; gateways change the case of domains).
    pub fn of(message_id: &str) -> Self {
        match message_id.rsplit_once('@') {
            Some((left, domain)) => Self::digest(&[left, "@", &domain.to_ascii_lowercase()]),
            None => Self::digest(&[message_id]),
        }
    }

    /// The key of an id in another system's ticket numbers. No Message-ID has the same: none holds a line break.
    pub fn of_tracker(tracker: &str, id: &str) -> Self {
        Self::digest(&["tracker\n", tracker, "\n", id])
    }

    fn digest(parts: &[&str]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update(part);
        }
        Self(hash.finalize().into())
    }
}

/// By what a key is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyKind {
    /// A message of the ticket bears the id.
    Own,
    /// A message of the ticket refers to it. The mail that bears it may never have come here.
    Seen,
    /// A message of the ticket quotes another system's ticket number.
    Tracker,
}

impl KeyKind {
    /// The name it is stored by.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Seen => "seen",
            Self::Tracker => "tracker",
        }
    }

    /// Reads that name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Own, Self::Seen, Self::Tracker].into_iter().find(|kind| kind.as_str() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_case_of_a_domain_does_not_count() {
        assert_eq!(ThreadKey::of("Ab@EXAMPLE.com"), ThreadKey::of("Ab@example.COM"));
        assert_ne!(ThreadKey::of("ab@example.com"), ThreadKey::of("Ab@example.com"));
        assert_ne!(ThreadKey::of("AB"), ThreadKey::of("ab"));
        assert_eq!(ThreadKey::of("a@B@C"), ThreadKey::of("a@B@c"));
        assert_ne!(ThreadKey::of("a@B@c"), ThreadKey::of("a@b@c"));
    }

    #[test]
    fn the_key_of_an_id_is_its_sha_256() {
        let expected: [u8; 32] = Sha256::digest("a@b").into();
        assert_eq!(ThreadKey::of("a@b"), ThreadKey(expected));
    }
}

//! Tokens by which a reply names its ticket itself.
//!
//! A reply token, `pr.{ticket}.{key}.{mac}`, is signed: whoever has one was given it by a helpdesk, so it needs no
//! other proof. It fits into a Message-ID, after the `+` of an address, and into a text, and survives a change of
//! case. `{mac}` is HMAC-SHA256 over the ticket's number and id, cut to 80 bits: to guess one takes more mails than can
//! be sent. `{key}` tells which key signed, so that keys can be changed.
//!
//! A subject token, `[prefix#{ticket}-{check}]`, is not: its two check characters only keep other systems' numbers
//! and slips of the pen apart from ours. It counts together with who the sender is.

use std::fmt;
use std::fmt::Write as _;

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Bytes of a signature that are kept, and of what tells keys apart.
const MAC_BYTES: usize = 10;
const KEY_BYTES: usize = 2;

/// Tokens of one mail that are looked at; who writes more means none of them.
pub(super) const MAX_TOKENS: usize = 8;

/// The keys that tokens are signed with, newest first. The newest signs; all are recognised.
#[derive(Clone, Default)]
pub struct TokenKeys(Vec<Key>);

#[derive(Clone)]
struct Key {
    id: [u8; KEY_BYTES],
    mac: Hmac<Sha256>,
}

impl TokenKeys {
    /// Of secrets, newest first. Without any, no token is issued and none is recognised.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a SecretString>) -> Self {
        Self(secrets.into_iter().filter_map(Key::new).collect())
    }

    /// The token of a ticket; `None` without a key.
    pub fn issue(&self, number: i64, ticket: Uuid) -> Option<String> {
        let key = self.0.first()?;
        Some(format!("pr.{number}.{}.{}", hex(&key.id), hex(&key.sign(number, ticket))))
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of them signed `token` for this ticket. Takes as long whatever is wrong with it.
    pub(super) fn verify(&self, token: &Token, ticket: Uuid) -> bool {
        self.0
            .iter()
            .filter(|key| key.id == token.key)
            .any(|key| key.of(token.number, ticket).verify_truncated_left(&token.mac).is_ok())
    }
}

// By hand: keys are secret.
impl fmt::Debug for TokenKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenKeys").field("count", &self.0.len()).finish_non_exhaustive()
    }
}

impl Key {
    fn new(secret: &SecretString) -> Option<Self> {
        let mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()).ok()?;
        let id = mac.clone().chain_update(b"postroom reply token key").finalize().into_bytes();
        let mut key = Self { id: [0; KEY_BYTES], mac };
        key.id.iter_mut().zip(id).for_each(|(byte, digest)| *byte = digest);
        Some(key)
    }

    /// The number alone may come again, in a database begun anew; the id does not.
    fn of(&self, number: i64, ticket: Uuid) -> Hmac<Sha256> {
        self.mac
            .clone()
            .chain_update(b"postroom reply token 1")
            .chain_update(number.to_be_bytes())
            .chain_update(ticket.as_bytes())
    }

    fn sign(&self, number: i64, ticket: Uuid) -> Vec<u8> {
        self.of(number, ticket).finalize().into_bytes().into_iter().take(MAC_BYTES).collect()
    }
}

/// A reply token as found in a mail, not yet verified.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Token {
    /// The ticket that it names.
    pub(super) number: i64,
    /// It, as it stands in the mail.
    pub(super) text: String,
    key: [u8; KEY_BYTES],
    mac: [u8; MAC_BYTES],
}

// By hand: whoever has a token can write into its ticket.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("number", &self.number).finish_non_exhaustive()
    }
}

impl Token {
    /// The tokens in a text, in order, in any case. One must not be part of a longer word.
    pub(super) fn find(text: &str) -> impl Iterator<Item = Self> {
        let bytes = text.as_bytes();
        memchr::memchr2_iter(b'p', b'P', bytes).filter_map(move |at| {
            let before = at.checked_sub(1).and_then(|before| bytes.get(before));
            if before.is_some_and(u8::is_ascii_alphanumeric) {
                return None;
            }
            // Before anything longer is looked at: texts are full of this letter.
            if !matches!(bytes.get(at + 1..at + 3), Some([b'r' | b'R', b'.'])) {
                return None;
            }
            Self::parse(text.get(at..)?)
        })
    }

    fn parse(text: &str) -> Option<Self> {
        let mut rest = text.get(3..)?;
        let digits = rest.bytes().take(19).take_while(u8::is_ascii_digit).count();
        let number = rest.get(..digits)?.parse().ok()?;
        rest = rest.get(digits..)?.strip_prefix('.')?;
        let key = unhex(rest.get(..2 * KEY_BYTES)?)?;
        rest = rest.get(2 * KEY_BYTES..)?.strip_prefix('.')?;
        let mac = unhex(rest.get(..2 * MAC_BYTES)?)?;
        rest = rest.get(2 * MAC_BYTES..)?;
        if rest.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric()) {
            return None;
        }
        let text = text.get(..text.len() - rest.len())?.to_owned();
        Some(Self { number, text, key, mac })
    }
}

/// A subject token as found in a mail, not yet verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubjectToken {
    /// The ticket that it names.
    pub number: i64,
    /// It, as it stands in the subject.
    pub text: String,
    check: String,
}

impl SubjectToken {
    /// The token of a ticket.
    pub fn issue(prefix: &str, number: i64, ticket: Uuid) -> String {
        format!("[{prefix}#{number}-{}]", check(ticket))
    }

    /// The tokens in a subject, in order.
    pub(super) fn find<'a>(prefix: &'a str, subject: &'a str) -> impl Iterator<Item = Self> + 'a {
        subject.split('[').skip(1).filter_map(move |rest| {
            let (inside, _) = rest.split_once(']')?;
            let (before, token) = inside.split_once('#')?;
            let (number, check) = token.split_once('-')?;
            if !before.eq_ignore_ascii_case(prefix) || !number.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            let check = check.to_ascii_lowercase();
            Some(Self { number: number.parse().ok()?, text: format!("[{inside}]"), check })
        })
    }

    /// Whether its check characters are those of this ticket.
    pub(super) fn is_of(&self, ticket: Uuid) -> bool {
        self.check == check(ticket)
    }
}

/// Two characters, without those that are taken for one another.
fn check(ticket: Uuid) -> String {
    const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let digest =
        Sha256::new().chain_update(b"postroom subject token 1").chain_update(ticket.as_bytes()).finalize();
    digest
        .iter()
        .take(2)
        .filter_map(|byte| ALPHABET.get(usize::from(byte % 32)))
        .map(|&char| char::from(char))
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        // Writing into a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    for (byte, at) in bytes.iter_mut().zip((0..).step_by(2)) {
        let digits = text.get(at..at + 2).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
        *byte = u8::from_str_radix(digits, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TICKET: Uuid = Uuid::from_u128(7);

    fn keys(secrets: &[&str]) -> TokenKeys {
        TokenKeys::new(&secrets.iter().map(|&secret| secret.into()).collect::<Vec<SecretString>>())
    }

    fn find(text: &str) -> Vec<Token> {
        Token::find(text).collect()
    }

    #[test]
    fn a_token_is_recognised_wherever_it_stands() {
        let keys = keys(&["a secret"]);
        let token = keys.issue(10_231, TICKET).unwrap();
        assert!(token.starts_with("pr.10231."), "{token}");
        assert_eq!(token.len(), "pr.10231.".len() + 4 + 1 + 20);

        for text in [
            format!("{token}@example.com"),
            format!("3.{token}.17@example.com"),
            format!("support+{token}@example.com"),
            format!("On Monday we wrote: [{}]", token.to_uppercase()),
            format!("äpr.{token}"),
        ] {
            let found = find(&text);
            assert_eq!(found.len(), 1, "{text}");
            assert_eq!(found[0].number, 10_231);
            assert!(keys.verify(&found[0], TICKET), "{text}");
        }
    }

    #[test]
    fn a_token_is_good_for_its_ticket_only() {
        let keys = keys(&["a secret"]);
        let token = keys.issue(5, TICKET).unwrap();

        assert!(!keys.verify(&find(&token)[0], Uuid::from_u128(8)));
        let other = token.replace("pr.5.", "pr.6.");
        assert!(!keys.verify(&find(&other)[0], TICKET));
    }

    #[test]
    fn tokens_of_the_key_before_are_still_recognised() {
        let (old, new) = (keys(&["one"]), keys(&["two"]));
        let both = keys(&["two", "one"]);
        let token = old.issue(5, TICKET).unwrap();

        assert!(both.verify(&find(&token)[0], TICKET));
        assert!(!new.verify(&find(&token)[0], TICKET));
        assert_eq!(both.issue(5, TICKET), new.issue(5, TICKET));
        assert_eq!(keys(&[]).issue(5, TICKET), None);
    }

    #[test]
    fn what_is_not_quite_a_token_is_none() {
        let token = keys(&["a secret"]).issue(5, TICKET).unwrap();
        for text in [
            format!("x{token}"),
            format!("{token}0"),
            token.replace("pr.5.", "pr.."),
            token.replace("pr.5.", "pr.99999999999999999999."),
            token.replace("pr.5.", "pr.-5."),
            token.replace("pr.5.", "pr.+5."),
            token.replace('.', ":"),
            token.get(..token.len() - 1).unwrap().to_owned(),
            format!("{}ä", token.get(..token.len() - 1).unwrap()),
            format!("{}+f", token.get(..token.len() - 2).unwrap()),
        ] {
            assert_eq!(find(&text), [], "{text}");
        }
    }

    #[test]
    fn subject_tokens_have_their_prefix_and_check_characters() {
        let token = SubjectToken::issue("pr", 77, TICKET);
        let subject = format!("Re: [EXTERNAL] {} Printer [other#77-zz]", token.to_uppercase());

        let found: Vec<SubjectToken> = SubjectToken::find("pr", &subject).collect();

        assert_eq!(found.len(), 1);
        assert_eq!(found[0].number, 77);
        assert!(found[0].is_of(TICKET));
        assert!(!found[0].is_of(Uuid::from_u128(8)));
        for subject in ["[pr#-ab]", "[pr#7]", "pr#7-ab", "[pr#7-ab", "[#7-ab]", "[pr#x-ab]", "[pr# 7-ab]"] {
            assert_eq!(SubjectToken::find("pr", subject).count(), 0, "{subject}");
        }
    }

    proptest! {
        #[test]
        fn no_other_signature_is_taken(mac in any::<[u8; MAC_BYTES]>()) {
            let keys = keys(&["a secret"]);
            let token = keys.issue(5, TICKET).unwrap();
            let unsigned = token.get(..token.len() - 2 * MAC_BYTES).unwrap();
            let forged = format!("{unsigned}{}", hex(&mac));
            prop_assert_eq!(keys.verify(&find(&forged)[0], TICKET), forged == token);
        }

        #[test]
        fn no_text_is_too_odd_to_be_searched(text in "(pr\\.|PR|[0-9]{1,20}|\\.|[0-9a-f]{4}|[0-9a-f]{20}|\\PC){0,30}") {
            for token in Token::find(&text) {
                prop_assert!(text.contains(&token.text));
            }
            let _ = SubjectToken::find("pr", &text).count();
        }
    }
}

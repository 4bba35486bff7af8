//! A person's address, as a header names it.

use std::fmt;
use std::iter::Peekable;
use std::str::CharIndices;

use crate::mail::{encoded_word, limit};

/// One mailbox of an address field (RFC 5322 §3.4), display name decoded.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    /// Display name. Empty if there is none.
    pub name: String,
    /// `local@domain`, as written. Empty if only a name was given.
    pub address: String,
}

// By hand: addresses must not reach a log.
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Address(…)")
    }
}

/// Reads the value of an address field, on one line and not yet decoded: mailboxes in order, groups
/// flattened. Takes what programs write beyond RFC 5322: raw commas inside encoded words, encoded words in
/// quotes, missing brackets and quotes, semicolons as separators.
pub(super) fn addresses(value: &str) -> impl Iterator<Item = Address> {
    let mut reader = Reader { value, chars: value.char_indices().peekable() };
    std::iter::from_fn(move || reader.next_mailbox())
}

/// Reads mailbox after mailbox in one pass.
struct Reader<'a> {
    value: &'a str,
    chars: Peekable<CharIndices<'a>>,
}

/// A mailbox being read.
#[derive(Default)]
struct Mailbox {
    /// Words outside brackets and comments, still encoded; quoted strings are decoded.
    phrase: Phrase,
    /// What stood in angle brackets.
    bracketed: Option<String>,
    /// The last comment: some programs put the name there.
    comment: String,
}

impl Reader<'_> {
    fn next_mailbox(&mut self) -> Option<Address> {
        let mut mailbox = Mailbox::default();
        while let Some((at, char)) = self.chars.next() {
            match char {
                ',' | ';' => {
                    if let Some(address) = std::mem::take(&mut mailbox).finish() {
                        return Some(address);
                    }
                }
                // What stands before a colon is the name of a group.
                ':' if mailbox.bracketed.is_none() => mailbox.phrase = Phrase::default(),
                '<' if mailbox.bracketed.is_none() => mailbox.bracketed = Some(self.until('>')),
                '"' => mailbox.phrase.push_quoted(&self.quoted()),
                '(' => mailbox.comment = self.comment(),
                '[' => {
                    mailbox.phrase.push(char);
                    self.until(']').chars().for_each(|char| mailbox.phrase.push(char));
                    mailbox.phrase.push(']');
                }
                '=' => {
                    let rest = self.value.get(at..).unwrap_or_default();
                    let length = encoded_word::length(rest).unwrap_or(1);
                    mailbox.phrase.push_word(rest.get(..length).unwrap_or_default());
                    while self.chars.next_if(|&(next, _)| next < at + length).is_some() {}
                }
                _ => mailbox.phrase.push(char),
            }
        }
        mailbox.finish()
    }

    /// Everything up to `end`, which is taken but not given.
    fn until(&mut self, end: char) -> String {
        self.chars.by_ref().map(|(_, char)| char).take_while(|&char| char != end).collect()
    }

    /// The rest of a quoted string (RFC 5322 §3.2.4), without its escapes.
    fn quoted(&mut self) -> String {
        let mut text = String::new();
        while let Some((_, char)) = self.chars.next() {
            match char {
                '"' => break,
                '\\' => text.extend(self.chars.next().map(|(_, char)| char)),
                _ => text.push(char),
            }
        }
        text
    }

    /// The rest of a comment (RFC 5322 §3.2.2), which may hold comments.
    fn comment(&mut self) -> String {
        let mut text = String::new();
        let mut depth = 1_usize;
        while let Some((_, char)) = self.chars.next() {
            match char {
                '\\' => {
                    text.extend(self.chars.next().map(|(_, char)| char));
                    continue;
                }
                '(' => depth += 1,
                ')' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                break;
            }
            text.push(char);
        }
        text
    }
}

impl Mailbox {
    /// The address, if there is anything in it.
    fn finish(self) -> Option<Address> {
        let comment = tidy(&encoded_word::decode(&self.comment));
        let (name, address) = match self.bracketed {
            Some(bracketed) => {
                // An obsolete source route, `@relay:`, says nothing of the person.
                let address = bracketed.rsplit_once(':').filter(|_| bracketed.starts_with('@'));
                let address = address.map_or(bracketed.as_str(), |(_, address)| address);
                (self.phrase.finish(), address.split_whitespace().collect())
            }
            None => self.phrase.finish_bare(),
        };
        let name = if name.is_empty() { comment } else { name };
        let mut name = if name == address { String::new() } else { name };
        limit::cut_chars(&mut name, limit::NAME_CHARS);
        let too_long = address.len() > limit::ID_BYTES;
        let address = if too_long { String::new() } else { address };
        (!name.is_empty() || !address.is_empty()).then_some(Address { name, address })
    }
}

/// The words of a display name, as they come.
#[derive(Default)]
struct Phrase {
    /// Decoded text: complete.
    text: String,
    /// Text that may hold encoded words: decoded when a quoted string or the end follows.
    encoded: String,
}

impl Phrase {
    fn push(&mut self, char: char) {
        self.encoded.push(char);
    }

    fn push_word(&mut self, word: &str) {
        self.encoded.push_str(word);
    }

    fn push_quoted(&mut self, text: &str) {
        self.decode();
        self.text.push_str(&encoded_word::decode(text));
    }

    fn decode(&mut self) {
        self.text.push_str(&encoded_word::decode(&self.encoded));
        self.encoded.clear();
    }

    fn finish(mut self) -> String {
        self.decode();
        tidy(&self.text)
    }

    /// Name and address where no brackets tell them apart: the last word with an `@` is the address.
    fn finish_bare(self) -> (String, String) {
        let text = self.finish();
        let Some(address) = text.split(' ').rfind(|word| word.contains('@')).map(str::to_owned) else {
            return (text, String::new());
        };
        let name = tidy(&text.replacen(&address, "", 1));
        (name, address.trim_matches(['<', '>', '\'']).to_owned())
    }
}

/// One space between words, none around them.
fn tidy(text: &str) -> String {
    let mut tidy = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !tidy.is_empty() {
            tidy.push(' ');
        }
        tidy.push_str(word);
    }
    tidy
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use proptest::prelude::*;

    use super::*;

    fn read(value: &str) -> Vec<(String, String)> {
        addresses(value).map(|address| (address.name, address.address)).collect()
    }

    fn one(value: &str) -> (String, String) {
        let mut all = read(value);
        assert_eq!(all.len(), 1, "{value}");
        all.remove(0)
    }

    fn pair(name: &str, address: &str) -> (String, String) {
        (name.to_owned(), address.to_owned())
    }

    #[test]
    fn the_usual_forms_are_read() {
        assert_eq!(one("a@example.com"), pair("", "a@example.com"));
        assert_eq!(one("<a@example.com>"), pair("", "a@example.com"));
        assert_eq!(one("Ada Example <a@example.com>"), pair("Ada Example", "a@example.com"));
        assert_eq!(one("\"Example, Ada\" <a@example.com>"), pair("Example, Ada", "a@example.com"));
        assert_eq!(one("\"Ada \\\"A\\\" E\" <a@example.com>"), pair("Ada \"A\" E", "a@example.com"));
        assert_eq!(one("Ada \"A.\" Example <a@example.com>"), pair("Ada A. Example", "a@example.com"));
        assert_eq!(one("a@example.com (Ada (A) Example)"), pair("Ada (A) Example", "a@example.com"));
        assert_eq!(one("a@[IPv6:2001:db8::1]"), pair("", "a@[IPv6:2001:db8::1]"));
        assert_eq!(one("\"a@example.com\" <a@example.com>"), pair("", "a@example.com"));
    }

    #[test]
    fn encoded_names_are_decoded_wherever_they_stand() {
        assert_eq!(
            one("=?utf-8?q?J=C3=B6rg?= Example <j@example.com>"),
            pair("Jörg Example", "j@example.com")
        );
        assert_eq!(
            one("Example =?utf-8?q?J=C3=B6rg?= <j@example.com>"),
            pair("Example Jörg", "j@example.com")
        );
        assert_eq!(one("\"=?utf-8?q?J=C3=B6rg?=\" <j@example.com>"), pair("Jörg", "j@example.com"));
        assert_eq!(one("j@example.com (=?utf-8?q?J=C3=B6rg?=)"), pair("Jörg", "j@example.com"));
        assert_eq!(
            one("=?utf-8?q?Example,_J=C3=B6rg?= <j@example.com>"),
            pair("Example, Jörg", "j@example.com")
        );
        assert_eq!(one("=?utf-8?b?SsM=?= =?utf-8?b?tnJn?= <j@example.com>"), pair("Jörg", "j@example.com"));
    }

    #[test]
    fn lists_and_groups_are_flattened() {
        assert_eq!(
            read("a@example.com, Team: B <b@example.com>, c@example.com;, d@example.com"),
            [
                pair("", "a@example.com"),
                pair("B", "b@example.com"),
                pair("", "c@example.com"),
                pair("", "d@example.com")
            ]
        );
        assert_eq!(read("undisclosed-recipients:;"), []);
        assert_eq!(read(" , ; ,"), []);
    }

    #[test]
    fn a_name_without_an_address_is_kept() {
        assert_eq!(one("Ada Example"), pair("Ada Example", ""));
        assert_eq!(one("Ada Example <>"), pair("Ada Example", ""));
    }

    #[test]
    fn what_programs_get_wrong_is_still_read() {
        assert_eq!(one("Ada Example a@example.com"), pair("Ada Example", "a@example.com"));
        assert_eq!(one("Ada <a@example.com"), pair("Ada", "a@example.com"));
        assert_eq!(one("\"Ada <a@example.com>"), pair("Ada", "a@example.com"));
        assert_eq!(one("<@relay.example.com:a@example.com>"), pair("", "a@example.com"));
        assert_eq!(one("mailto:a@example.com"), pair("", "a@example.com"));
        assert_eq!(one("< a@ example.com >"), pair("", "a@example.com"));
    }

    #[test]
    fn what_is_too_long_to_be_real_is_cut_or_left_out() {
        let long = "x".repeat(2_000);

        let address = one(&format!("{long} <{long}@example.com>"));

        assert_eq!(address, ("x".repeat(limit::NAME_CHARS), String::new()));
    }

    #[test]
    fn unfinished_encoded_words_cost_no_more_than_their_length() {
        for piece in ["=?ab?q?x", "=?", "=", "=?a?b?!"] {
            let started = Instant::now();

            assert_eq!(read(&piece.repeat(400_000 / piece.len())).len(), 1);

            // Far more than it takes, even unoptimised on a busy machine; far less than its square.
            assert!(started.elapsed() < Duration::from_secs(20), "{piece}: {:?}", started.elapsed());
        }
    }

    proptest! {
        #[test]
        fn what_is_written_by_the_book_comes_back(
            people in prop::collection::vec(("[a-zé,;:<>()@ .\"\\\\]{0,20}", "[a-z.+]{1,9}@[a-z]{1,9}\\.example"), 1..8),
        ) {
            let quoted = |name: &str| name.replace('\\', "\\\\").replace('"', "\\\"");
            let field: Vec<String> =
                people.iter().map(|(name, address)| format!("\"{}\" <{address}>", quoted(name))).collect();
            let expected: Vec<(String, String)> =
                people.into_iter().map(|(name, address)| (tidy(&name), address)).collect();

            prop_assert_eq!(read(&field.join(", ")), expected);
        }

        #[test]
        fn any_field_is_read_into_no_more_than_it_holds(
            pieces in prop::collection::vec(prop::sample::select(&[
                "<", ">", "\"", "(", ")", ",", ";", ":", "@", "[", "]", "\\", "=?utf-8?q?", "?=", "=00", "=", "a@b.example", " ",
                "\0", "é", "\u{202e}", "Ann",
            ][..]), 0..60),
        ) {
            let field = pieces.concat();
            let people = read(&field);
            let length: usize = people.iter().map(|(name, address)| name.len() + address.len()).sum();
            // One for a bracket that was never closed.
            prop_assert!(length <= field.len() + 1);
            for (name, address) in people {
                prop_assert!(!(name.is_empty() && address.is_empty()));
                prop_assert!(!address.contains(char::is_whitespace));
            }
        }
    }
}

//! A person's address, as a header names it.

use std::collections::VecDeque;
use std::fmt;
use std::iter::Peekable;
use std::str::CharIndices;

use memchr::memrchr;

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

/// Names alone that are taken for parts of one name: `Example, Dr., Ada <a@example.com>`.
const NAMES: usize = 3;

/// Reads the value of an address field, on one line and not yet decoded: mailboxes in order, groups
/// flattened. Takes what programs write beyond RFC 5322: raw commas inside names and encoded words, encoded words in
/// quotes, brackets inside names, missing brackets and quotes, semicolons as separators.
pub(super) fn addresses(value: &str) -> impl Iterator<Item = Address> {
    let last_semicolon = memrchr(b';', value.as_bytes());
    let mut reader = Reader { value, chars: value.char_indices().peekable(), last_semicolon };
    let mut waiting = VecDeque::new();
    std::iter::from_fn(move || {
        if waiting.is_empty() {
            reader.read_into(&mut waiting);
        }
        waiting.pop_front()
    })
}

/// Reads mailbox after mailbox in one pass.
struct Reader<'a> {
    value: &'a str,
    chars: Peekable<CharIndices<'a>>,
    /// A group ends with one: without one behind it, a colon is part of a name.
    last_semicolon: Option<usize>,
}

/// A mailbox being read.
#[derive(Default)]
struct Mailbox {
    /// Words outside brackets and comments, still encoded; quoted strings are decoded.
    phrase: Phrase,
    /// What stood in angle brackets.
    bracketed: Option<String>,
    /// An address without brackets whose local part is quoted.
    quoted: Option<String>,
    /// The last comment: some programs put the name there.
    comment: String,
}

/// A mailbox that was read.
struct Found {
    address: Address,
    /// Whether the address stood in brackets, so that there was room for a name before it.
    is_bracketed: bool,
    is_before_comma: bool,
}

impl Found {
    /// Whether this is what stands before a comma in a name. By the book there are no names without an address.
    fn is_part_of_name(&self) -> bool {
        self.address.address.is_empty() && self.is_before_comma
    }
}

impl Reader<'_> {
    /// Reads the next mailbox, or those that only look like one until it is clear that they are several.
    fn read_into(&mut self, addresses: &mut VecDeque<Address>) {
        while let Some(found) = self.next_mailbox() {
            let is_part = found.is_part_of_name() && addresses.len() < NAMES;
            if found.is_bracketed && !addresses.is_empty() {
                let names = addresses.drain(..).map(|address| address.name);
                let names: Vec<String> =
                    names.chain([found.address.name]).filter(|name| !name.is_empty()).collect();
                let mut name = names.join(", ");
                limit::cut_chars(&mut name, limit::NAME_CHARS);
                addresses.push_back(Address { name, ..found.address });
            } else {
                addresses.push_back(found.address);
            }
            if !is_part {
                return;
            }
        }
    }

    fn next_mailbox(&mut self) -> Option<Found> {
        let mut mailbox = Mailbox::default();
        while let Some((at, char)) = self.chars.next() {
            match char {
                ',' | ';' => {
                    if let Some(found) = std::mem::take(&mut mailbox).finish(char == ',') {
                        return Some(found);
                    }
                }
                // What stands before a colon is the name of a group.
                ':' if mailbox.bracketed.is_none() && self.last_semicolon > Some(at) => {
                    mailbox.phrase = Phrase::default();
                }
                '<' => {
                    let bracketed = self.bracketed();
                    mailbox.set_bracketed(&bracketed);
                }
                '"' => {
                    let text = self.quoted();
                    if self.chars.peek().is_some_and(|&(_, next)| next == '@') && mailbox.bracketed.is_none()
                    {
                        mailbox.quoted = Some(format!("\"{text}\"{}", self.domain()));
                    } else {
                        mailbox.phrase.push_quoted(&text);
                    }
                }
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
        mailbox.finish(false)
    }

    /// What stands in angle brackets, which may begin with a quoted string that holds one.
    fn bracketed(&mut self) -> String {
        if self.chars.next_if(|&(_, char)| char == '"').is_none() {
            return self.until('>');
        }
        let quoted = self.quoted();
        format!("\"{quoted}\"{}", self.until('>'))
    }

    /// The rest of an address from its `@` on, where no bracket ends it.
    fn domain(&mut self) -> String {
        let ends = |char: char| char.is_whitespace() || ",;<>()\"".contains(char);
        std::iter::from_fn(|| self.chars.next_if(|&(_, char)| !ends(char)).map(|(_, char)| char)).collect()
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
    /// Takes what stands in angle brackets. Where there are more of them, those without an address, and those before
    /// the last, are part of the name.
    fn set_bracketed(&mut self, text: &str) {
        // A bracket too many.
        let (before, text) = text.rsplit_once('<').unwrap_or(("", text));
        self.phrase.push_word(before);
        let text = self.take_comments(text);
        let (name, address) = match self.bracketed.take() {
            None => (None, text),
            Some(before) if before.contains('@') && !text.contains('@') => (Some(text), before),
            Some(before) => (Some(before), text),
        };
        if let Some(name) = name {
            self.phrase.push_word(&format!("<{name}> "));
        }
        self.bracketed = Some(address);
    }

    /// Takes the comments out of what stands in brackets.
    fn take_comments(&mut self, text: &str) -> String {
        let mut pieces = text.split('(');
        let mut rest = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            let (comment, after) = piece.split_once(')').unwrap_or((piece, ""));
            // What was said of the person comes before what is said of the address.
            if self.comment.is_empty() {
                comment.clone_into(&mut self.comment);
            }
            rest.push_str(after);
        }
        rest
    }

    /// The address, if there is anything in it.
    fn finish(self, is_before_comma: bool) -> Option<Found> {
        let is_bracketed = self.bracketed.is_some();
        let comment = tidy(&encoded_word::decode(&self.comment));
        let (name, address) = match (self.bracketed, self.quoted) {
            (Some(bracketed), _) => self.phrase.finish_beside(&bracketed),
            (None, Some(quoted)) => (self.phrase.finish(), quoted),
            (None, None) => self.phrase.finish_bare(),
        };
        let address = without_scheme(&address).to_owned();
        let name = unquoted(&name);
        let is_repeated = name.trim_matches(['<', '>']).eq_ignore_ascii_case(&address);
        // Without an address, what ends in a colon is the name of a group that nobody is in.
        let is_group = address.is_empty() && name.ends_with(':');
        let name = if is_repeated || is_group { "" } else { name };
        // And so is a group that a program took for an address.
        let is_group_in_brackets =
            address.contains(':') && address.contains(';') && !address.starts_with('"');
        let address = if is_group_in_brackets { String::new() } else { address };
        let mut name = match (name, comment.as_str()) {
            ("", _) if address.is_empty() => String::new(),
            ("", comment) => comment.to_owned(),
            (name, comment) if comment.is_empty() || !is_bracketed => name.to_owned(),
            (name, comment) => format!("{name} ({comment})"),
        };
        limit::cut_chars(&mut name, limit::NAME_CHARS);
        let too_long = address.len() > limit::ID_BYTES;
        let address = if too_long { String::new() } else { address };
        let is_empty = name.is_empty() && address.is_empty();
        (!is_empty).then_some(Found { address: Address { name, address }, is_bracketed, is_before_comma })
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

    /// Name and address where the address stands in brackets; or the name, the other way round.
    fn finish_beside(self, bracketed: &str) -> (String, String) {
        // An obsolete source route, `@relay:`, says nothing of the person.
        let address = bracketed.rsplit_once(':').filter(|_| bracketed.starts_with('@'));
        let address = without_space(address.map_or(bracketed, |(_, address)| address));
        let name = self.finish();
        let is_reversed = !address.contains('@') && name.contains('@') && !name.contains(' ');
        if is_reversed { (tidy(&encoded_word::decode(bracketed)), name) } else { (name, address) }
    }

    /// Name and address where no brackets tell them apart: the last word with an `@` is the address.
    fn finish_bare(self) -> (String, String) {
        let mut text = self.finish();
        // Space around the sign is obsolete, and harmless in what is no sentence.
        if text.contains(" @") || text.contains("@ ") {
            let joined = text.replace(" @", "@").replace("@ ", "@");
            let domain = joined.rsplit_once('@').map_or("", |(_, domain)| domain);
            if domain.contains('.') && !domain.contains(' ') {
                text = joined;
            }
        }
        let Some(address) = text.split(' ').rfind(|word| word.contains('@')).map(str::to_owned) else {
            return (text, String::new());
        };
        let name = tidy(&text.replacen(&address, "", 1));
        let name = name.strip_suffix(':').map_or(name.as_str(), |_| "").to_owned();
        (name, address.trim_matches(['<', '>', '\'']).to_owned())
    }
}

/// An address without the scheme of a link.
fn without_scheme(address: &str) -> &str {
    let scheme = address.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("mailto:"));
    scheme.map_or(address, |scheme| address.get(scheme.len()..).unwrap_or_default())
}

/// An address without white space, but for that in a quoted local part.
fn without_space(address: &str) -> String {
    let address = address.trim();
    let quoted = address.starts_with('"').then(|| address.rfind('"')).flatten().unwrap_or(0);
    let (quoted, rest) = address.split_at_checked(quoted).unwrap_or(("", address));
    quoted.chars().chain(rest.chars().filter(|char| !char.is_whitespace())).collect()
}

/// A name without quotation marks around it that a program took for its own: `'Ada Example'`, `"\"Ada Example\""`.
fn unquoted(name: &str) -> &str {
    let inside = |mark: char| name.strip_prefix(mark)?.strip_suffix(mark);
    let inside = inside('\'').or_else(|| inside('"').filter(|name| !name.contains('"')));
    inside.map(str::trim).filter(|name| !name.is_empty()).unwrap_or(name)
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
        assert_eq!(read("Ada Example, Bob"), [pair("Ada Example", ""), pair("Bob", "")]);
        assert_eq!(read("root, a@example.com"), [pair("root", ""), pair("", "a@example.com")]);
    }

    #[test]
    fn commas_in_names_are_part_of_them() {
        assert_eq!(one("Example, Ada <a@example.com>"), pair("Example, Ada", "a@example.com"));
        assert_eq!(one("Example, Dr., Ada <a@example.com>"), pair("Example, Dr., Ada", "a@example.com"));
        assert_eq!(one("Example, <a@example.com>"), pair("Example", "a@example.com"));
        assert_eq!(
            read("a@example.com, Builder, Bob <b@example.com>; Carol; Dave <d@example.com>"),
            [
                pair("", "a@example.com"),
                pair("Builder, Bob", "b@example.com"),
                pair("Carol", ""),
                pair("Dave", "d@example.com")
            ]
        );
        assert_eq!(read(&"a, ".repeat(1_000)).len(), 1_000);
    }

    #[test]
    fn brackets_in_names_are_part_of_them() {
        assert_eq!(one("Ada [Example Ltd] <a@example.com>"), pair("Ada [Example Ltd]", "a@example.com"));
        assert_eq!(one("Bob <the builder> <b@example.com>"), pair("Bob <the builder>", "b@example.com"));
        assert_eq!(one("Bob <b@example.com> <home>"), pair("Bob <home>", "b@example.com"));
        assert_eq!(one("<a@example.com> <A@example.com>"), pair("", "A@example.com"));
        assert_eq!(one("a@example.com <Ada Example>"), pair("Ada Example", "a@example.com"));
        assert_eq!(one("a@example.com <b@example.com>"), pair("a@example.com", "b@example.com"));
    }

    #[test]
    fn comments_are_the_name_or_stand_behind_it() {
        assert_eq!(one("Ada (Sales) <a@example.com>"), pair("Ada (Sales)", "a@example.com"));
        assert_eq!(one("(x) a@example.com (Ada \\) E)"), pair("Ada ) E", "a@example.com"));
        assert_eq!(one("<a@example.com (Ada)>"), pair("Ada", "a@example.com"));
        assert_eq!(one("a (or b) @ (at) example.com"), pair("at", "a@example.com"));
        assert_eq!(
            one("Pete(A wonderful \\) chap) <pete(his account)@silly.test(his host)>"),
            pair("Pete (A wonderful ) chap)", "pete@silly.test")
        );
        assert_eq!(read("Undisclosed recipients  :(nobody(that I know))  ;"), []);
    }

    #[test]
    fn quoted_local_parts_stay_quoted() {
        assert_eq!(one("\"a..b.\"@example.com"), pair("", "\"a..b.\"@example.com"));
        assert_eq!(one("Ada \"a b\"@example.com"), pair("Ada", "\"a b\"@example.com"));
        assert_eq!(one("Ada <\"a b>\"@ example.com>"), pair("Ada", "\"a b>\"@example.com"));
    }

    #[test]
    fn colons_without_a_group_are_part_of_a_name() {
        assert_eq!(one("Re: your order <a@example.com>"), pair("Re: your order", "a@example.com"));
        assert_eq!(one("Team: Ada <a@example.com>;"), pair("Ada", "a@example.com"));
        assert_eq!(read("undisclosed-recipients:"), []);
        assert_eq!(read("<Undisclosed-Recipient:;>, <undisclosed-recipients:@example.com;>"), []);
        assert_eq!(one("To: a@example.com"), pair("", "a@example.com"));
    }

    #[test]
    fn quotation_marks_that_were_left_go() {
        assert_eq!(one("'Ada Example' <a@example.com>"), pair("Ada Example", "a@example.com"));
        assert_eq!(one("\"'a@example.com'\" <a@example.com>"), pair("", "a@example.com"));
        assert_eq!(one("\"\\\"Ada Example\\\"\" <a@example.com>"), pair("Ada Example", "a@example.com"));
        assert_eq!(one("=?utf-8?q?=22Jo=C3=ABl=22?= <j@example.com>"), pair("Joël", "j@example.com"));
        assert_eq!(one("Carol O'Hara' <c@example.com>"), pair("Carol O'Hara'", "c@example.com"));
    }

    #[test]
    fn what_programs_get_wrong_is_still_read() {
        assert_eq!(one("Ada Example a@example.com"), pair("Ada Example", "a@example.com"));
        assert_eq!(one("Ada <a@example.com"), pair("Ada", "a@example.com"));
        assert_eq!(one("<Ada <a@example.com>"), pair("Ada", "a@example.com"));
        assert_eq!(one("\"Ada <a@example.com>"), pair("Ada", "a@example.com"));
        assert_eq!(one("<@relay.example.com:a@example.com>"), pair("", "a@example.com"));
        assert_eq!(one("mailto:a@example.com"), pair("", "a@example.com"));
        assert_eq!(one("<MailTo:a@example.com>"), pair("", "a@example.com"));
        assert_eq!(one("< a@ example.com >"), pair("", "a@example.com"));
    }

    #[test]
    fn what_is_too_long_to_be_real_is_cut_or_left_out() {
        let long = "x".repeat(2_000);

        let address = one(&format!("{long} <{long}@example.com>"));

        assert_eq!(address, ("x".repeat(limit::NAME_CHARS), String::new()));
    }

    #[test]
    fn what_never_ends_costs_no_more_than_its_length() {
        for piece in ["=?ab?q?x", "=?", "=", "=?a?b?!", "<a>", "<a@b> ", "<\"", "\"\"@", "(", "@ ", "[", "a:"]
        {
            let started = Instant::now();

            assert!(read(&piece.repeat(400_000 / piece.len())).len() <= 1, "{piece}");

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
                people.into_iter().map(|(name, address)| (unquoted(&tidy(&name)).to_owned(), address)).collect();

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
            // Spaces beside commas and brackets, and brackets that were never closed.
            prop_assert!(length <= 2 * field.len() + 2);
            for (name, address) in people {
                prop_assert!(!(name.is_empty() && address.is_empty()));
                prop_assert!(address.starts_with('"') || !address.contains(char::is_whitespace));
            }
        }
    }
}

//! Encoded words: text outside ASCII in a header (RFC 2047).
//!
//! Linear in the length of the text, whatever it holds.

use std::borrow::Cow;
use std::iter::Peekable;

use memchr::memmem;

use crate::mail::charset::Charset;
use crate::mail::transfer::Base64End;
use crate::mail::{charset, transfer};

/// The longest charset name that is one.
const CHARSET_CHARS: usize = 45;

/// How far [`length`] looks, and how long a word without an end may be. RFC 2047 allows 75 characters.
const WORD_CHARS: usize = 500;

const LINE_BREAKS: [char; 2] = ['\r', '\n'];

/// Decodes the encoded words of a line and drops the white space between two of them.
///
/// More is read than RFC 2047 allows, because mail holds it: words of any length, words inside quotes and next to other
/// text, spaces inside a word, a last word that was cut off, words encoded as words again, and characters, groups of
/// base64 and shifts that start in one word and end in the next.
pub(super) fn decode(line: &str) -> Cow<'_, str> {
    if memmem::find(line.as_bytes(), b"=?").is_none() {
        return line.into();
    }
    let decoded = match decode_once(line) {
        // Once more and not for ever: a program encoded what another had.
        Cow::Owned(text) if memmem::find(text.as_bytes(), b"=?").is_some() => {
            decode_once(&text).into_owned().into()
        }
        text => text,
    };
    match decoded {
        Cow::Owned(text) if text.contains(LINE_BREAKS) => on_one_line(&text).into(),
        decoded => decoded,
    }
}

/// A line stays one, whatever was encoded: what comes of a header is put into other headers and into logs.
fn on_one_line(text: &str) -> String {
    text.split(LINE_BREAKS).filter(|piece| !piece.is_empty()).collect::<Vec<_>>().join(" ")
}

fn decode_once(line: &str) -> Cow<'_, str> {
    let mut words = Words::of(line).peekable();
    let Some(mut word) = next_word(&mut words) else { return line.into() };

    let mut text = String::with_capacity(line.len());
    text.push_str(word.before);
    loop {
        if let Some(piece) = charset::decode_whole(&word.bytes, word.charset) {
            text.push_str(&piece);
        } else {
            // Some programs cut words inside a character. Joining all neighbours would be simpler, but in
            // ISO-2022-JP each word has shifts of its own.
            while words.peek().is_some_and(|next| next.continues(word.charset)) {
                let Some(neighbour) = next_word(&mut words) else { break };
                word.bytes.extend_from_slice(&neighbour.bytes);
                word = Word { bytes: word.bytes, ..neighbour };
            }
            let piece = charset::decode(word.bytes.into(), Some(word.charset)).text;
            // Half a character says nothing.
            let cut = if word.is_cut { piece.strip_suffix(char::REPLACEMENT_CHARACTER) } else { None };
            text.push_str(cut.unwrap_or(&piece));
        }
        let Some(next) = next_word(&mut words) else {
            text.push_str(word.behind);
            return text.into();
        };
        if !next.follows_directly() {
            text.push_str(next.before);
        }
        word = next;
    }
}

/// The next word, together with those that go on in the middle of its last group of base64.
fn next_word<'a>(words: &mut Peekable<Words<'a>>) -> Option<Word<'a>> {
    let mut word = words.next()?;
    let Some(base64) = word.base64 else { return Some(word) };
    let mut joined = Cow::from(base64);
    let mut end = Base64End::default();
    end.push(base64);
    while end.is_cut() {
        let Some(next) = words.next_if(|next| next.is_base64_after(word.charset)) else { break };
        let rest = next.base64.unwrap_or_default();
        joined.to_mut().push_str(rest);
        end.push(rest);
        word = Word { before: word.before, ..next };
    }
    if let Cow::Owned(joined) = joined {
        word.bytes = transfer::base64(joined.as_bytes()).unwrap_or_default();
    }
    Some(word)
}

/// The length of the encoded word that `text` starts with, if it starts with one.
pub(super) fn length(text: &str) -> Option<usize> {
    // Here and not further on: asked at each sign of a line, it may not look through the line each time.
    let start = text.starts_with("=?").then_some(2)?;
    let text = text.get(..text.floor_char_boundary(WORD_CHARS))?;
    let (word, end) = Words::of(text).word(start)?;
    text.get(..end).filter(|text| !word.is_cut && !text.contains(char::is_whitespace)).map(str::len)
}

struct Word<'a> {
    /// The text between the word before and this one.
    before: &'a str,
    /// The rest of the line.
    behind: &'a str,
    charset: &'a str,
    bytes: Vec<u8>,
    /// Its text, if that is base64.
    base64: Option<&'a str>,
    /// Whether its end is missing.
    is_cut: bool,
}

impl Word<'_> {
    fn follows_directly(&self) -> bool {
        self.before.trim().is_empty()
    }

    fn continues(&self, charset: &str) -> bool {
        self.follows_directly()
            && self.charset.eq_ignore_ascii_case(charset)
            && charset::may_go_on(&self.bytes, charset)
    }

    fn is_base64_after(&self, charset: &str) -> bool {
        self.follows_directly() && self.base64.is_some() && self.charset.eq_ignore_ascii_case(charset)
    }
}

/// The encoded words of a line.
struct Words<'a> {
    line: &'a str,
    /// Behind the last word.
    at: usize,
    /// Where the next `?=` is: kept, so that words without an end don't search for it again and again.
    end: Option<usize>,
}

impl<'a> Words<'a> {
    fn of(line: &'a str) -> Self {
        Self { line, at: 0, end: Some(0) }
    }

    /// Where the first `?=` at or behind `from` is.
    fn end_from(&mut self, from: usize) -> Option<usize> {
        if self.end? < from || self.end == Some(0) {
            self.end = memmem::find(self.line.get(from..)?.as_bytes(), b"?=").map(|i| from + i);
        }
        self.end
    }

    /// Reads the word whose `=?` ends at `start`, and where it ends.
    fn word(&mut self, start: usize) -> Option<(Word<'a>, usize)> {
        let after = self.line.get(start..)?;
        let charset_end = after.bytes().take(CHARSET_CHARS + 1).position(|byte| byte == b'?')?;
        let charset = after.get(..charset_end)?;
        if charset.is_empty() || !charset.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        let encoding = after.as_bytes().get(charset_end + 1)?;
        if after.as_bytes().get(charset_end + 2) != Some(&b'?') {
            return None;
        }
        // RFC 2231 §5: a language may follow the charset.
        let charset = charset.split_once('*').map_or(charset, |(charset, _)| charset);
        let text_start = start + charset_end + 3;
        let end = self.end_from(text_start);
        let text = match end {
            Some(end) => self.line.get(text_start..end)?,
            None => cut_word(self.line.get(text_start..)?, charset)?,
        };
        let (bytes, base64) = match encoding {
            b'q' | b'Q' => (q(text.trim(), charset.eq_ignore_ascii_case("utf-8")), None),
            b'b' | b'B' => (transfer::base64(text.as_bytes())?, Some(text)),
            _ => return None,
        };
        let before = self.line.get(self.at..start - 2)?;
        let is_cut = end.is_none();
        let end = end.map_or(self.line.len(), |end| end + 2);
        let behind = self.line.get(end..)?;
        Some((Word { before, behind, charset, bytes, base64, is_cut }, end))
    }
}

/// What is left of a word whose end was cut off with the end of the line, as programs do that count characters.
fn cut_word<'a>(rest: &'a str, charset: &str) -> Option<&'a str> {
    let is_word = rest.len() <= WORD_CHARS
        && !rest.contains(char::is_whitespace)
        && !rest.contains("=?")
        && Charset::of(charset).is_some();
    let rest = rest.strip_suffix('?').unwrap_or(rest);
    // Half an escape.
    let escape = rest.len().saturating_sub(2);
    let cut = rest.get(escape..).and_then(|end| end.find('=')).map_or(rest.len(), |at| escape + at);
    rest.get(..cut).filter(|text| is_word && !text.is_empty())
}

impl<'a> Iterator for Words<'a> {
    type Item = Word<'a>;

    fn next(&mut self) -> Option<Word<'a>> {
        let mut from = self.at;
        loop {
            let start = from + memmem::find(self.line.get(from..)?.as_bytes(), b"=?")? + 2;
            if let Some((word, end)) = self.word(start) {
                self.at = end;
                return Some(word);
            }
            from = start;
        }
    }
}

/// The `Q` encoding (RFC 2047 §4.2): `_` is a space, a broken escape is itself, and a character that should
/// have been escaped is the byte that it was before the line was read as windows-1252, or is UTF-8.
fn q(text: &str, is_utf8: bool) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match (char, u8::try_from(char)) {
            ('_', _) => bytes.push(b' '),
            ('=', _) => match transfer::hex_pair(chars.as_str().as_bytes()) {
                Some(byte) => {
                    bytes.push(byte);
                    chars.nth(1);
                }
                None => bytes.push(b'='),
            },
            (_, Ok(byte)) if char.is_ascii() || !is_utf8 => bytes.push(byte),
            _ => bytes.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_of_both_encodings_are_decoded() {
        assert_eq!(decode("=?iso-8859-1?Q?Gr=FC=DFe_aus?= Wien"), "Grüße aus Wien");
        assert_eq!(decode("Re: =?UTF-8?b?R3LDvMOfZQ==?="), "Re: Grüße");
        assert_eq!(decode("=?utf-8*en?q?a?="), "a");
        assert_eq!(decode("=?utf-8?q??= x"), " x");
    }

    #[test]
    fn space_between_two_words_goes_and_beside_text_stays() {
        assert_eq!(decode("a =?utf-8?q?b?=   =?utf-8?q?c?= d"), "a bc d");
        assert_eq!(decode("=?utf-8?q?b?= =?iso-8859-1?q?=FC?="), "bü");
    }

    #[test]
    fn a_character_cut_in_two_words_is_whole_again() {
        assert_eq!(decode("=?UTF-8?B?R3LD?= =?utf-8?B?vMOfZQ==?="), "Grüße");
        assert_eq!(decode("=?utf-8?Q?Gr=C3?=\t=?UTF-8?Q?=BC=C3=9Fe?= =?utf-8?q?!?="), "Grüße!");
    }

    #[test]
    fn words_that_shift_for_themselves_are_decoded_for_themselves() {
        assert_eq!(decode("=?iso-2022-jp?b?GyRCJCIbKEI=?= =?iso-2022-jp?b?GyRCJCIbKEI=?="), "ああ");
    }

    #[test]
    fn a_shift_cut_in_two_words_is_whole_again() {
        for words in [
            "=?iso-2022-jp?b?GyRCJCI=?= =?iso-2022-jp?b?JCIbKEI=?=",
            "=?iso-2022-jp?b?GyRCJA==?= =?iso-2022-jp?b?IiQiGyhC?=",
            "=?ISO-2022-JP?Q?=1B$B=24?= =?iso-2022-jp?Q?=22=24?= =?iso-2022-jp?Q?=22=1B=28B?=",
        ] {
            assert_eq!(decode(words), "ああ", "{words}");
        }
        assert_eq!(decode("=?iso-2022-jp?b?GyRCJCI=?= =?iso-2022-jp?q?in_ASCII?="), "あin ASCII");
    }

    #[test]
    fn a_group_of_base64_cut_in_two_words_is_whole_again() {
        assert_eq!(decode("=?UTF-8?B?R3LDvM?= =?utf-8?B?Of?= =?utf-8?B?ZQ==?= =?utf-8?q?!?="), "Grüße!");
        assert_eq!(decode("=?UTF-8?B?R3LDvA?= =?utf-8?B?w59l?="), "Grüße");
        assert_eq!(decode("=?UTF-8?B?R3LD?= =?utf-8?B?v?= =?utf-8?B?MOf?= =?utf-8?B?ZQ==?= x"), "Grüße x");
    }

    #[test]
    fn a_last_word_that_was_cut_off_is_read() {
        assert_eq!(decode("Re: =?UTF-8?B?R3LDvMOfZSBhdXMgS8"), "Re: Grüße aus K");
        assert_eq!(decode("Re: =?UTF-8?Q?Gr=C3=BC=C3=9Fe_=C3"), "Re: Grüße ");
        assert_eq!(decode("=?UTF-8?Q?Gr=C3=BC=C3=9Fe=C"), "Grüße");
        assert_eq!(decode("=?UTF-8?Q?Gr=C3=BC?"), "Grü");
    }

    #[test]
    fn words_encoded_again_are_decoded_again_once() {
        assert_eq!(decode("=?utf-8?Q?=3D=3Futf-8=3FB=3FR3LDvMOfZQ=3D=3D=3F=3D?="), "Grüße");
        let thrice = "=?utf-8?b?PT91dGYtOD9iP1BUOTFkR1l0T0Q5eFAyRS9QUT09Pz0=?=";
        assert!(decode(thrice).starts_with("=?utf-8?"), "{}", decode(thrice));
    }

    #[test]
    fn a_wrong_charset_is_seen_through() {
        assert_eq!(decode("=?utf-8?Q?Gr=FC=DFe_aus_K=F6ln?="), "Grüße aus Köln");
        assert_eq!(decode("=?iso-8859-1?Q?Gr=C3=BC=C3=9Fe?="), "Grüße");
        assert_eq!(decode("=?unknown-8bit?Q?Gr=C3?= =?unknown-8bit?Q?=BC=C3=9Fe?="), "Grüße");
    }

    #[test]
    fn line_breaks_in_words_are_spaces() {
        assert_eq!(decode("=?utf-8?q?a=0D=0ABcc:_b=0A?= c"), "a Bcc: b  c");
        assert_eq!(decode("=?utf-7?q?a+AAo-b?="), "a b");
    }

    #[test]
    fn what_is_no_word_stays() {
        for line in [
            "",
            "plain",
            "=?",
            "=?utf-8?q?",
            "=?utf-8?x?a?=",
            "=??q?a?=",
            "=?utf-8?b?!?=",
            "a=?b=?c?=",
            "=?utf-8?q?a b",
        ] {
            assert_eq!(decode(line), line);
        }
    }

    #[test]
    fn what_follows_a_broken_word_is_still_read() {
        assert_eq!(decode("=?x =?utf-8?q?=C3=BC?= =?x-y?q?open"), "=?x ü =?x-y?q?open");
    }

    #[test]
    fn a_word_may_hold_spaces_and_question_marks() {
        assert_eq!(decode("=?utf-8?q?Really? Yes?="), "Really? Yes");
        assert_eq!(decode("=?utf-8?q?Really??="), "Really?");
        assert_eq!(decode("=?utf-8?q?Really ?= yes"), "Really yes");
    }

    #[test]
    fn what_should_have_been_escaped_is_still_read() {
        assert_eq!(decode("=?iso-8859-1?Q?Frösche?="), "Frösche");
        assert_eq!(decode("=?utf-8?Q?Frösche_=E2=82=AC?="), "Frösche €");
    }

    #[test]
    fn an_unfinished_word_costs_no_more_than_its_length() {
        let line = "=?ab?q?x".repeat(100_000);

        assert_eq!(decode(&line), line);
    }

    #[test]
    fn the_length_of_a_leading_word_is_known() {
        assert_eq!(length("=?utf-8?q?a,b?=, c"), Some(15));
        assert_eq!(length("=?utf-8?q?a b?="), None);
        assert_eq!(length("x=?utf-8?q?a?="), None);
        assert_eq!(length("=?x=?utf-8?q?a?="), None);
    }

    proptest! {
        #[test]
        fn text_encoded_in_words_cut_anywhere_comes_back(text in "[^\\x00\r\n]{1,80}", width in 1..45_usize) {
            let words: Vec<String> =
                text.as_bytes().chunks(width).map(|piece| format!("=?utf-8?B?{}?=", STANDARD.encode(piece))).collect();

            let words = words.join(" ");
            prop_assert_eq!(decode(&words), text.as_str());
            let quoted: Vec<String> = text.bytes().map(|byte| format!("={byte:02X}")).collect();
            let quoted = format!("=?UTF-8?q?{}?=", quoted.concat());
            prop_assert_eq!(decode(&quoted), text.as_str());
        }

        #[test]
        fn any_line_is_decoded_into_little_more_than_it_was(
            pieces in prop::collection::vec(prop::sample::select(&[
                "=?", "?=", "?", "=", "_", "utf-8", "iso-2022-jp", "utf-7", "utf-16", "gb18030", "*en", "?q?", "?B?", "=00",
                "=C3", "YWJj", "+AAA-", "\0", "é", "\u{10ffff}", " ", "\t", "x",
            ][..]), 0..60),
        ) {
            let line = pieces.concat();
            prop_assert!(decode(&line).len() <= 3 * line.len());
            prop_assert!(length(&line).is_none_or(|length| line.is_char_boundary(length) && length > 6));
        }

        #[test]
        fn what_holds_no_word_stays(line in "[^=]*") {
            prop_assert_eq!(decode(&line), line.as_str());
        }
    }
}

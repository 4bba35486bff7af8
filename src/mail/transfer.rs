//! Content-Transfer-Encoding (RFC 2045 §6): the bytes that a part stands for.
//!
//! Decoding streams into a sink in small pieces, so that an attachment is hashed without a second copy of it.

use std::borrow::Cow;

use memchr::memchr;

use crate::mail::uuencode;

/// What base64 has to stand for before it is told from words in other text.
const SURE_BYTES: usize = 18;

/// How the bytes of a part are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Encoding {
    /// As they are: `7bit`, `8bit`, `binary`, or nothing said.
    #[default]
    Identity,
    Base64,
    QuotedPrintable,
    /// As a file among the lines of a text.
    Uuencode,
    /// In a way we don't know. They are taken as they are.
    Unknown,
}

impl Encoding {
    /// Reads the field's value.
    pub(super) fn parse(value: &str) -> Self {
        // Some programs add a comment or parameters, which RFC 2045 does not know.
        let token = value.trim_start().split([';', '(', ',', '\t']).next().unwrap_or_default();
        // And some spell it `Quoted_Printable`, `7-bit`, `8 bit`.
        let name: String = token.chars().filter(char::is_ascii_alphanumeric).collect();
        match name.to_ascii_lowercase().as_str() {
            "base64" | "xbase64" => Self::Base64,
            "quotedprintable" | "qp" => Self::QuotedPrintable,
            "uuencode" | "xuuencode" | "xuue" => Self::Uuencode,
            "" | "7bit" | "8bit" | "7bits" | "8bits" | "binary" | "none" => Self::Identity,
            _ => Self::Unknown,
        }
    }

    /// Decodes `raw` into `sink`; `false` means that it is broken. Broken base64 and uuencode may have filled the
    /// sink in part, and their raw bytes should be taken instead; in broken quoted-printable what is no escape
    /// is already left as it stands.
    pub(super) fn decode(self, raw: &[u8], mut sink: impl FnMut(&[u8])) -> bool {
        match self {
            Self::Identity => {
                sink(raw);
                true
            }
            Self::Unknown => {
                sink(raw);
                false
            }
            Self::Base64 => decode_base64(raw, &mut sink),
            Self::QuotedPrintable => decode_quoted_printable(raw, &mut sink),
            Self::Uuencode => uuencode::decode(raw, &mut sink),
        }
    }

    /// Decodes `raw`, or gives it back if it is broken; `false` beside the bytes says that it is. Of base64 with other
    /// lines behind it, which servers append to texts without looking, both are given.
    pub(super) fn bytes(self, raw: &[u8]) -> (Cow<'_, [u8]>, bool) {
        if matches!(self, Self::Identity | Self::Unknown) {
            return (raw.into(), self == Self::Identity);
        }
        let mut bytes = Vec::with_capacity(raw.len());
        let sound = self.decode(raw, |piece| bytes.extend_from_slice(piece));
        if sound || !self.is_all_or_nothing() {
            return (bytes.into(), sound);
        }
        if self != Self::Base64 {
            return (raw.into(), false);
        }
        let (encoded, appended) = raw.split_at_checked(end_of_base64(raw)).unwrap_or_default();
        match base64(encoded) {
            Some(bytes) if bytes.len() >= SURE_BYTES => {
                let line_end: &[u8] = if bytes.ends_with(b"\n") { b"" } else { b"\r\n" };
                ([bytes.as_slice(), line_end, appended].concat().into(), false)
            }
            _ => (raw.into(), false),
        }
    }

    /// Whether the raw bytes stand for themselves if they can't be decoded.
    pub(super) fn is_all_or_nothing(self) -> bool {
        matches!(self, Self::Base64 | Self::Uuencode)
    }
}

/// Where base64 ends that has other lines behind it: behind its padding, or before an empty line. 0 if it does not even
/// begin with a line of base64.
fn end_of_base64(raw: &[u8]) -> usize {
    let mut end = 0;
    for line in raw.split_inclusive(|&byte| byte == b'\n') {
        let content = line.trim_ascii();
        let is_base64 = content.iter().all(|&byte| byte == b'=' || bits(byte) < u32::from(BAD));
        if !is_base64 || content.is_empty() && end > 0 {
            break;
        }
        end += line.len();
        if content.ends_with(b"=") {
            break;
        }
    }
    end
}

/// Decodes base64; `None` if it is broken.
pub(super) fn base64(raw: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    decode_base64(raw, &mut |piece| bytes.extend_from_slice(piece)).then_some(bytes)
}

/// How base64 ends that comes in pieces.
#[derive(Default)]
pub(super) struct Base64End {
    chars: usize,
    last: u32,
    is_padded: bool,
}

impl Base64End {
    pub(super) fn push(&mut self, piece: &str) {
        for byte in piece.bytes().filter(|byte| !byte.is_ascii_whitespace()) {
            self.is_padded |= byte == b'=';
            self.chars += 1;
            self.last = bits(byte);
        }
    }

    /// Whether it was cut inside a group: what ends without padding has bits left over, and they are zero.
    pub(super) fn is_cut(&self) -> bool {
        !self.is_padded
            && match self.chars % 4 {
                1 => true,
                2 => self.last & 0b1111 != 0,
                3 => self.last & 0b11 != 0,
                _ => false,
            }
    }
}

/// The byte that two hexadecimal digits at the start of `bytes` stand for.
pub(super) fn hex_pair(bytes: &[u8]) -> Option<u8> {
    let digit = |i: usize| bytes.get(i).and_then(|&byte| char::from(byte).to_digit(16));
    u8::try_from(digit(0)? * 16 + digit(1)?).ok()
}

/// What a byte of base64 means: six bits, or one of the values above them.
static BASE64: [u8; 256] = base64_table();
const BAD: u8 = 0x80;

#[expect(clippy::indexing_slicing, reason = "both indices are bounded, and the compiler runs this")]
const fn base64_table() -> [u8; 256] {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut table = [BAD; 256];
    let mut value = 0;
    while value < 64 {
        table[alphabet[value as usize] as usize] = value;
        value += 1;
    }
    table
}

fn bits(byte: u8) -> u32 {
    BASE64.get(usize::from(byte)).copied().unwrap_or(BAD).into()
}

/// RFC 2045 §6.8, except that a byte outside the alphabet breaks it: such a part is mostly not base64 at all,
/// and then the raw text is worth more than what is left of it. Missing padding is forgiven, and so is
/// padding inside, where pieces were joined.
fn decode_base64(raw: &[u8], sink: &mut impl FnMut(&[u8])) -> bool {
    const PIECE: usize = 16 * 1024;
    let mut piece = Vec::with_capacity(PIECE + 3);
    let mut pending: u32 = 0;
    let mut pending_chars = 0;
    let mut rest = raw;
    while !rest.is_empty() {
        if pending_chars == 0 {
            let line = memchr(b'\n', rest.get(..PIECE.min(rest.len())).unwrap_or(rest)).unwrap_or(PIECE);
            let mut groups = 0;
            for chars in rest.get(..line).unwrap_or(rest).as_chunks::<4>().0 {
                let Some(bytes) = group(*chars) else { break };
                piece.extend_from_slice(&bytes);
                groups += 1;
            }
            rest = rest.get(groups * 4..).unwrap_or_default();
        }
        // What is no whole group: line ends, padding, and groups that lie across them.
        if let Some((&byte, tail)) = rest.split_first() {
            rest = tail;
            match byte {
                b'\r' | b'\n' | b' ' | b'\t' => {}
                b'=' => {
                    if !flush(pending, pending_chars, &mut piece) {
                        return false;
                    }
                    pending_chars = 0;
                }
                _ if bits(byte) >= u32::from(BAD) => return false,
                _ => {
                    pending = pending << 6 | bits(byte);
                    pending_chars += 1;
                    if pending_chars == 4 {
                        let [_, bytes @ ..] = pending.to_be_bytes();
                        piece.extend_from_slice(&bytes);
                        pending_chars = 0;
                    }
                }
            }
        }
        if piece.len() >= PIECE {
            sink(&piece);
            piece.clear();
        }
    }
    // A mail that was cut short may end anywhere: the rest of a group is not held against it.
    flush(pending, pending_chars, &mut piece);
    sink(&piece);
    true
}

/// The three bytes that four characters stand for, if all are of the alphabet.
fn group(chars: [u8; 4]) -> Option<[u8; 3]> {
    let sextets = chars.map(bits);
    if sextets.iter().fold(0, |all, sextet| all | sextet) >= u32::from(BAD) {
        return None;
    }
    let [_, bytes @ ..] = sextets.iter().fold(0, |value, sextet| value << 6 | sextet).to_be_bytes();
    Some(bytes)
}

/// Writes the bytes of an unfinished group; `false` if its characters hold none.
fn flush(pending: u32, chars: u32, piece: &mut Vec<u8>) -> bool {
    match chars {
        0 => {}
        2 => piece.extend((pending >> 4).to_be_bytes().last()),
        3 => {
            let [_, _, bytes @ ..] = (pending >> 2).to_be_bytes();
            piece.extend_from_slice(&bytes);
        }
        _ => return false,
    }
    true
}

/// RFC 2045 §6.7. Line ends stay as they are; white space before them was added on the way and goes.
fn decode_quoted_printable(raw: &[u8], sink: &mut impl FnMut(&[u8])) -> bool {
    let mut sound = true;
    let mut rest = raw;
    while !rest.is_empty() {
        let end = memchr(b'\n', rest).map_or(rest.len(), |i| i + 1);
        let (line, tail) = rest.split_at(end);
        rest = tail;
        let content = line.trim_ascii_end();
        if let Some(content) = content.strip_suffix(b"=") {
            sound &= decode_escapes(content, sink);
        } else {
            sound &= decode_escapes(content, sink);
            sink(line_end(line));
        }
    }
    sound
}

fn decode_escapes(content: &[u8], sink: &mut impl FnMut(&[u8])) -> bool {
    let mut sound = true;
    let mut rest = content;
    while let Some(at) = memchr(b'=', rest) {
        let (plain, escape) = rest.split_at(at);
        sink(plain);
        let digits = escape.get(1..).unwrap_or_default();
        if let Some(byte) = hex_pair(digits) {
            sink(&[byte]);
            rest = digits.get(2..).unwrap_or_default();
        } else {
            sink(b"=");
            rest = digits;
            sound = false;
        }
    }
    sink(rest);
    sound
}

fn line_end(line: &[u8]) -> &[u8] {
    [&b"\r\n"[..], b"\n"].into_iter().find(|end| line.ends_with(end)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use proptest::prelude::*;

    use super::*;

    fn qp(raw: &[u8]) -> (String, bool) {
        let (bytes, sound) = Encoding::QuotedPrintable.bytes(raw);
        (String::from_utf8(bytes.into_owned()).unwrap(), sound)
    }

    #[test]
    fn the_field_is_read_as_programs_write_it() {
        assert_eq!(Encoding::parse("BASE64"), Encoding::Base64);
        assert_eq!(Encoding::parse("quoted-printable (mine)"), Encoding::QuotedPrintable);
        assert_eq!(Encoding::parse("8bit;"), Encoding::Identity);
        assert_eq!(Encoding::parse(" \"Base64\" "), Encoding::Base64);
        assert_eq!(Encoding::parse("Quoted_Printable"), Encoding::QuotedPrintable);
        assert_eq!(Encoding::parse("8 bit"), Encoding::Identity);
        assert_eq!(Encoding::parse(""), Encoding::Identity);
        assert_eq!(Encoding::parse("x-uuencode"), Encoding::Uuencode);
        assert_eq!(Encoding::parse("x-rot13"), Encoding::Unknown);
    }

    #[test]
    fn base64_reads_what_programs_write() {
        for raw in ["R3J1ZXNzZQ==", "R3J1\r\nZXNz\r\nZQ==\r\n", "R3J1ZXNzZQ", "R3 J1\tZXNzZQ= "] {
            assert_eq!(base64(raw.as_bytes()).unwrap(), b"Gruesse", "{raw}");
        }
        assert_eq!(base64(b"YQ==YQ==").unwrap(), b"aa");
        assert_eq!(base64(b"R3J1Z").unwrap(), b"Gru");
    }

    #[test]
    fn what_is_no_base64_is_broken() {
        assert_eq!(base64(b"Dear all, see below."), None);
        assert_eq!(base64(b"R3J1Z==="), None);
        assert_eq!(Encoding::Base64.bytes(b"Dear all,"), (Cow::Borrowed(&b"Dear all,"[..]), false));
    }

    #[test]
    fn lines_behind_base64_are_given_as_they_are() {
        let text =
            |raw: &str| String::from_utf8(Encoding::Base64.bytes(raw.as_bytes()).0.into_owned()).unwrap();
        let encoded = "RGFtZW4gdW5kIEhlcnJlbiwgaWNo\r\nIGJyYXVjaGUgSGlsZmU=\r\n";
        let decoded = "Damen und Herren, ich brauche Hilfe";

        assert_eq!(
            text(&format!("{encoded}\r\n-- \r\nfooter\r\n")),
            format!("{decoded}\r\n\r\n-- \r\nfooter\r\n")
        );
        assert_eq!(text(&format!("{encoded}a footer.\r\n")), format!("{decoded}\r\na footer.\r\n"));
        assert_eq!(
            text("RGFtZW4gdW5kIEhlcnJlbiwgaWNo\r\n\r\nfooter:\r\na b\r\n"),
            "Damen und Herren, ich\r\n\r\nfooter:\r\na b\r\n"
        );
        for raw in ["Hello\r\n\r\nhow are you?\r\n", "R3J1*\r\n", "Thanks\r\na lot.\r\n"] {
            assert_eq!(text(raw), raw);
        }
    }

    #[test]
    fn quoted_printable_reads_what_programs_write() {
        assert_eq!(qp(b"Gr=C3=BC=c3=9fe  \r\nfor =\r\nyou\r\n"), ("Grüße\r\nfor you\r\n".to_owned(), true));
        assert_eq!(qp(b"a \t= \nb\n\nc"), ("a \tb\n\nc".to_owned(), true));
        assert_eq!(qp(b"ends=20\r\n=\r\n"), ("ends \r\n".to_owned(), true));
    }

    #[test]
    fn a_broken_escape_stays_as_it_stands() {
        assert_eq!(qp(b"1=1, =C3=BC, =G0, =2"), ("1=1, ü, =G0, =2".to_owned(), false));
    }

    proptest! {
        #[test]
        fn base64_of_any_bytes_in_lines_of_any_length_comes_back(
            bytes in prop::collection::vec(any::<u8>(), 0..2_000),
            width in 1..100_usize,
        ) {
            let encoded = base64::engine::general_purpose::STANDARD.encode(&bytes);
            let lines: Vec<&str> = encoded.as_bytes().chunks(width).map(|l| std::str::from_utf8(l).unwrap()).collect();
            prop_assert_eq!(base64(lines.join("\r\n").as_bytes()).unwrap(), bytes);
        }

        #[test]
        fn quoted_printable_never_grows(bytes in prop::collection::vec(any::<u8>(), 0..500)) {
            let (decoded, _) = Encoding::QuotedPrintable.bytes(&bytes);
            prop_assert!(decoded.len() <= bytes.len());
        }
    }
}

//! A header as its fields, unfolded and decoded (RFC 5322 §2.2, RFC 2047).
//!
//! Ours rather than `mail-parser`'s, which keeps no spelling of names, has no limits, and takes time that
//! grows with the square of a field made of unfinished encoded words (300 KB of Subject: 10 s).

use std::borrow::Cow;

use memchr::{memchr, memchr2};

use crate::mail::charset::Charset;
use crate::mail::{charset, encoded_word, limit};

/// What some programs put before everything they save.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// The fields of a header, in order, at most [`limit::FIELDS`] and of [`limit::HEADER_BYTES`] together. One that is
/// too long is left out and costs none of those behind it.
#[derive(Default)]
pub(super) struct Header<'a> {
    fields: Vec<Field<'a>>,
    /// Whether all fields of the header are here.
    pub(super) complete: bool,
}

/// One field.
#[derive(Clone, Copy)]
pub(super) struct Field<'a> {
    /// Its name as written.
    pub(super) name: &'a str,
    /// What follows the colon: still folded and encoded.
    value: &'a [u8],
    /// The charset of bytes that are not UTF-8, the same for all fields of a header.
    charset: Option<Charset>,
}

impl<'a> Header<'a> {
    /// Splits a message or MIME part into header and body.
    ///
    /// Lines that are no field are skipped, unless the first is such a line: then there is no header and all
    /// is body. The envelope line of an mbox file is no field and no body.
    pub(super) fn split(source: &'a [u8]) -> (Self, &'a [u8]) {
        let mut header = Self { fields: Vec::new(), complete: true };
        let source = source.strip_prefix(BYTE_ORDER_MARK).unwrap_or(source);
        let mut at = if is_mbox_line(source) { end_of_line(source, 0) } else { 0 };
        let mut kept = 0;
        while at < source.len() {
            let end_of_first_line = end_of_line(source, at);
            let line = source.get(at..end_of_first_line).unwrap_or_default();
            if matches!(line, b"\n" | b"\r\n") {
                header.find_charset();
                return (header, source.get(end_of_first_line..).unwrap_or_default());
            }
            let mut end = end_of_first_line;
            while matches!(source.get(end), Some(b' ' | b'\t')) {
                end = end_of_line(source, end);
            }
            match field_name(line) {
                Some(name)
                    if header.fields.len() < limit::FIELDS && kept + (end - at) <= limit::HEADER_BYTES =>
                {
                    kept += end - at;
                    let colon = memchr(b':', line).unwrap_or_default();
                    let value = source.get(at + colon + 1..end).unwrap_or_default();
                    header.fields.push(Field { name, value, charset: None });
                }
                Some(_) => header.complete = false,
                None if header.fields.is_empty() && header.complete => {
                    return (header, source.get(at..).unwrap_or_default());
                }
                None => {}
            }
            at = end;
        }
        header.find_charset();
        (header, &[])
    }

    /// Finds out what the fields' bytes are in where they are not UTF-8: the charset of the text, as most programs have
    /// it that write raw bytes, or else the one that all of them look like. A subject alone is too short to tell.
    fn find_charset(&mut self) {
        let is_raw = |field: &&Field<'a>| std::str::from_utf8(field.value).is_err();
        let Some(first) = self.fields.iter().position(|field| is_raw(&field)) else { return };
        let raw = self.fields.iter().skip(first).filter(is_raw);
        let bytes = raw.flat_map(|field| [field.value, b"\n"]).collect::<Vec<_>>().concat();
        let named = self.first("Content-Type").and_then(|field| charset_of(field.value));
        let charset = Charset::of_raw(&bytes, named);
        for field in &mut self.fields {
            field.charset = Some(charset);
        }
    }

    /// All fields in order.
    pub(super) fn fields(&self) -> &[Field<'a>] {
        &self.fields
    }

    /// The first field of that name: the one that counts where a name must not repeat.
    pub(super) fn first(&self, name: &str) -> Option<Field<'a>> {
        self.all(name).next()
    }

    /// The fields of that name, in order.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = Field<'a>> {
        self.fields.iter().filter(move |field| field.name.eq_ignore_ascii_case(name)).copied()
    }
}

impl<'a> Field<'a> {
    /// The value on one line, as text, with its encoded words as they stand.
    pub(super) fn text(&self) -> Cow<'a, str> {
        charset::decode_raw(unfold(self.value), self.charset)
    }

    /// The value on one line, encoded words decoded.
    pub(super) fn decoded(&self) -> String {
        encoded_word::decode(&self.text()).into_owned()
    }

    /// The value as it stands in the source.
    pub(super) fn raw(&self) -> &'a [u8] {
        self.value
    }
}

/// The charset that a Content-Type names.
fn charset_of(content_type: &[u8]) -> Option<Charset> {
    let value = String::from_utf8_lossy(content_type).to_ascii_lowercase();
    let (_, label) = value.split_once("charset=")?;
    Charset::of(label.split([';', ' ', '\r', '\n']).next()?)
}

/// Where the line that starts at `at` ends: behind its line feed.
fn end_of_line(bytes: &[u8], at: usize) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    memchr(b'\n', rest).map_or(bytes.len(), |i| at + i + 1)
}

fn is_mbox_line(source: &[u8]) -> bool {
    source.starts_with(b"From ") || source.starts_with(b">From ")
}

/// The name of the field that starts on this line. White space before the colon is obsolete but read.
fn field_name(line: &[u8]) -> Option<&str> {
    let name = line.get(..memchr(b':', line)?)?;
    let name = name.trim_ascii_end();
    if name.is_empty() || !name.iter().all(u8::is_ascii_graphic) {
        return None;
    }
    std::str::from_utf8(name).ok()
}

/// Puts a value on one line: each line break becomes a space, together with the white space around it.
fn unfold(value: &[u8]) -> Cow<'_, [u8]> {
    let value = value.trim_ascii();
    if memchr2(b'\r', b'\n', value).is_none() {
        return value.into();
    }
    let mut line = Vec::with_capacity(value.len());
    for piece in value.split(|&byte| byte == b'\n' || byte == b'\r').map(<[u8]>::trim_ascii) {
        if !piece.is_empty() {
            if !line.is_empty() {
                line.push(b' ');
            }
            line.extend_from_slice(piece);
        }
    }
    line.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(source: &str) -> Vec<(&str, String)> {
        Header::split(source.as_bytes()).0.fields().iter().map(|f| (f.name, f.decoded())).collect()
    }

    #[test]
    fn names_are_kept_as_written_and_order_is_kept() {
        assert_eq!(
            fields("suBJect : one\r\nX-A:two\r\nsubject: three\r\n\r\nbody"),
            [("suBJect", "one".to_owned()), ("X-A", "two".to_owned()), ("subject", "three".to_owned())]
        );
    }

    #[test]
    fn folds_become_one_space() {
        assert_eq!(fields("X-A: a\r\n b\r\n\t c \r\n \r\n  d\r\n\r\n"), [("X-A", "a b c d".to_owned())]);
        assert_eq!(fields("X-A:\n\tb\n"), [("X-A", "b".to_owned())]);
    }

    #[test]
    fn the_body_starts_behind_the_first_empty_line() {
        assert_eq!(Header::split(b"A: b\r\n\r\nbody\r\n").1, b"body\r\n");
        assert_eq!(Header::split(b"A: b\n\nbody").1, b"body");
        assert_eq!(Header::split(b"\r\nbody").1, b"body");
        assert_eq!(Header::split(b"A: b").1, b"");
        assert_eq!(Header::split(b"").1, b"");
        assert_eq!(Header::split("\u{feff}A: b\n\nbody".as_bytes()).1, b"body");
    }

    #[test]
    fn what_does_not_start_with_a_field_is_all_body() {
        let (header, body) = Header::split(b"Dear all,\r\nnote: this\r\n");

        assert!(header.fields().is_empty());
        assert_eq!(body, b"Dear all,\r\nnote: this\r\n");
    }

    #[test]
    fn junk_between_fields_is_skipped() {
        assert_eq!(
            fields("From x@example.com Mon Jan  1 10:00:00 2024\nA: b\njunk\n junk\nC: d\n\n"),
            [("A", "b".to_owned()), ("C", "d".to_owned())]
        );
    }

    #[test]
    fn eight_bit_values_are_read_as_utf8_or_else_as_windows_1252() {
        assert_eq!(fields("A: Grüße\n"), [("A", "Grüße".to_owned())]);
        assert_eq!(Header::split(b"A: Gr\xfc\xdfe\n").0.first("a").unwrap().decoded(), "Grüße");
    }

    #[test]
    fn eight_bit_values_are_read_in_the_charset_of_the_text_or_in_the_one_they_look_like() {
        let subject = |source: &[u8]| Header::split(source).0.first("Subject").unwrap().decoded();
        let koi8 = b"From: \xe9\xd7\xc1\xce \xf0\xc5\xd4\xd2\xcf\xd7 <ivan@example.com>\nSubject: \xf7\xc8\xcf\xc4\n\n";
        let named = b"Subject: \xd1\xf7\xb8\xf2\nContent-Type: text/plain; charset=\"windows-1251\"\n\n";
        let misnamed = b"Subject: \xd1\xf7\xb8\xf2, \xec\xee\xe9 \xe7\xe0\xea\xe0\xe7\nContent-Type: text/plain; charset=utf-8\n\n";

        assert_eq!(subject(koi8), "Вход");
        assert_eq!(subject(named), "Счёт");
        assert_eq!(subject(misnamed), "Счёт, мой заказ");
        assert_eq!(subject(b"Subject: \x1b$B$\"\x1b(B\n\n"), "あ");
    }

    #[test]
    fn fields_beyond_the_limit_are_counted_not_kept() {
        let source = format!("{}\r\nbody", "A: b\r\n".repeat(limit::FIELDS + 1));

        let (header, body) = Header::split(source.as_bytes());

        assert_eq!(header.fields().len(), limit::FIELDS);
        assert!(!header.complete);
        assert_eq!(body, b"body");
    }

    #[test]
    fn a_field_beyond_the_limit_costs_no_other() {
        let source = format!("A: b\r\nB: {}\r\nC: d\r\n\r\nbody", "x".repeat(limit::HEADER_BYTES));

        let (header, body) = Header::split(source.as_bytes());

        assert_eq!(header.fields().iter().map(|field| field.name).collect::<Vec<_>>(), ["A", "C"]);
        assert!(!header.complete);
        assert_eq!(body, b"body");
    }
}

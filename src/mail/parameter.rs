//! Fields of a value with parameters: Content-Type and Content-Disposition (RFC 2045 §5.1, RFC 2183, RFC 2231).

use std::borrow::Cow;

use crate::mail::header::Field;
use crate::mail::{charset, encoded_word, limit, transfer};

/// A value and its parameters.
pub(super) struct Parameters {
    /// The value, in lower case, its halves apart.
    kind: String,
    subtype: Option<String>,
    /// Names in lower case, without what RFC 2231 adds to them.
    all: Vec<Parameter>,
}

struct Parameter {
    name: String,
    /// Its place among others of that name (`name*1`).
    section: Option<u32>,
    /// Whether its text may be percent-encoded (`name*`).
    is_extended: bool,
    text: String,
}

impl Parameters {
    /// Reads a field as programs write it: with comments, without quotation marks around spaces, without semicolons.
    /// `None` if there is nothing in it. Of a field longer than [`limit::PARAMETER_BYTES`] the beginning is read.
    pub(super) fn read(field: &Field<'_>) -> Option<Self> {
        let mut line = field.text().into_owned();
        limit::cut(&mut line, limit::PARAMETER_BYTES);
        let mut rest = line.as_str();
        // A field may have no value, and a value no semicolon behind it.
        let end = rest.find(';').unwrap_or(rest.len());
        let first = rest.get(..end)?;
        let end = first.find('=').map_or(end, |sign| {
            first.get(..sign).and_then(|before| before.trim_end().rfind(char::is_whitespace)).unwrap_or(0)
        });
        let value = without_comments(rest.get(..end)?).to_ascii_lowercase();
        rest = rest.get(end..)?;
        let mut all = Vec::new();
        while let Some((parameter, tail)) = next(rest) {
            all.extend(parameter);
            rest = tail;
        }
        if value.is_empty() && all.is_empty() {
            return None;
        }
        let (kind, subtype) = match value.split_once('/') {
            Some((kind, subtype)) => (kind.trim_end(), Some(subtype.trim().to_owned())),
            None => (value.as_str(), None),
        };
        Some(Self { kind: kind.to_owned(), subtype, all })
    }

    /// The value up to a stroke, in lower case. Empty if there are only parameters.
    pub(super) fn kind(&self) -> &str {
        &self.kind
    }

    /// What is behind the stroke, in lower case.
    pub(super) fn subtype(&self) -> Option<&str> {
        self.subtype.as_deref()
    }

    /// The value of a parameter, decoded from all that programs encode it in. Of several forms the one that says its
    /// charset counts, for the other is for programs that can't read it (RFC 6266 §4.3).
    pub(super) fn attribute(&self, name: &str) -> Option<String> {
        let named = || self.all.iter().filter(|parameter| parameter.name == name);
        let plain = || named().find(|parameter| parameter.section.is_none() && !parameter.is_extended);
        if let Some(whole) = named().find(|parameter| parameter.section.is_none() && parameter.is_extended) {
            return Some(extended(&[whole]));
        }
        let mut sections: Vec<&Parameter> = named().filter(|parameter| parameter.section.is_some()).collect();
        sections.sort_by_key(|parameter| parameter.section);
        sections.dedup_by_key(|parameter| parameter.section);
        if sections.is_empty() {
            return plain().map(|parameter| decoded(&parameter.text));
        }
        if sections.iter().any(|parameter| parameter.is_extended) {
            return Some(extended(&sections));
        }
        let joined: String = sections.iter().map(|parameter| parameter.text.as_str()).collect();
        Some(decoded(&joined))
    }
}

/// Reads the next parameter, if it is one, and gives what is behind it.
fn next(rest: &str) -> Option<(Option<Parameter>, &str)> {
    let rest = rest.trim_start_matches(|char: char| char == ';' || char.is_whitespace());
    if rest.is_empty() {
        return None;
    }
    let Some(sign) = rest.find(['=', ';']) else { return Some((None, "")) };
    let (name, after) = rest.split_at_checked(sign)?;
    let Some(value) = after.strip_prefix('=') else { return Some((None, after)) };
    let name = without_comments(name).to_ascii_lowercase();
    let value = value.trim_start();
    let (mut text, tail) = match value.strip_prefix('"') {
        Some(quoted) => quoted_string(quoted),
        None => bare(value, &name),
    };
    // In a boundary they stand for themselves.
    let inside =
        text.strip_prefix('\'').and_then(|text| text.strip_suffix('\'')).filter(|_| name != "boundary");
    if let Some(inside) = inside {
        text = inside.to_owned();
    }
    let (name, is_extended) = name.strip_suffix('*').map_or((name.as_str(), false), |name| (name, true));
    let (name, section) = match name.rsplit_once('*').map(|(name, number)| (name, number.parse())) {
        Some((name, Ok(section))) => (name, Some(section)),
        _ => (name, None),
    };
    Some((Some(Parameter { name: name.to_owned(), section, is_extended, text }), tail))
}

/// A quoted string behind its first quotation mark, and what follows it. One that never ends is all there is.
fn quoted_string(text: &str) -> (String, &str) {
    let mut content = String::new();
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => {
                let tail = text.get(at + 1..).unwrap_or_default();
                // Junk, or a second string that nobody reads.
                return (content, tail.find(';').and_then(|at| tail.get(at..)).unwrap_or_default());
            }
            '\\' => content.extend(chars.next().map(|(_, char)| char)),
            _ => content.push(char),
        }
    }
    (content, "")
}

/// A value without quotation marks, and what follows it: up to the semicolon, for spaces in file names are common.
fn bare<'a>(text: &'a str, name: &str) -> (String, &'a str) {
    let mut end = 0;
    while let Some(rest) = text.get(end..).filter(|rest| !rest.is_empty() && !rest.starts_with(';')) {
        end += encoded_word::length(rest).or_else(|| rest.chars().next().map(char::len_utf8)).unwrap_or(1);
    }
    let (value, tail) = text.split_at_checked(end).unwrap_or((text, ""));
    // `charset=us-ascii (Plain text)`, but `filename=report (1).pdf`.
    let value = if name.contains("name") { Cow::from(value.trim()) } else { without_comments(value) };
    (value.into_owned(), tail)
}

/// A text without its comments, and without space around it.
fn without_comments(text: &str) -> Cow<'_, str> {
    if !text.contains('(') {
        return text.trim().into();
    }
    let mut depth = 0_usize;
    let outside = |char: &char| {
        match char {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => return depth == 0,
        }
        false
    };
    text.chars().filter(outside).collect::<String>().trim().to_owned().into()
}

/// The text of sections of which some are percent-encoded. The first says their charset (`utf-8'en'…`).
fn extended(sections: &[&Parameter]) -> String {
    let mut label = None;
    let mut bytes = Vec::new();
    for (index, section) in sections.iter().enumerate() {
        let mut text = section.text.as_str();
        if index == 0
            && section.is_extended
            && let Some((name, rest)) = text.split_once('\'')
            && let Some((_, rest)) = rest.split_once('\'')
        {
            label = Some(name).filter(|name| !name.is_empty());
            text = rest;
        }
        if section.is_extended {
            percent_decode(text, &mut bytes);
        } else {
            bytes.extend_from_slice(text.as_bytes());
        }
    }
    // Some programs use the form and then encode as they always did.
    decoded(&charset::decode(bytes.into(), label).text)
}

/// The text of a value that should have been plain: encoded words are not allowed there (RFC 2047 §5), and everywhere;
/// percent-encoding without its star is believed if it makes UTF-8.
fn decoded(text: &str) -> String {
    let text = encoded_word::decode(text.trim());
    let mut bytes = Vec::new();
    percent_decode(&text, &mut bytes);
    match String::from_utf8(bytes) {
        Ok(decoded) if text.is_ascii() && !decoded.is_ascii() => decoded,
        _ => text.into_owned(),
    }
}

/// Decodes `%XX`; what is no such thing is itself.
fn percent_decode(text: &str, bytes: &mut Vec<u8>) {
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match transfer::hex_pair(tail).filter(|_| byte == b'%') {
            Some(decoded) => {
                bytes.push(decoded);
                rest = tail.get(2..).unwrap_or_default();
            }
            None => bytes.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use proptest::prelude::*;

    use super::*;
    use crate::mail::header::Header;

    fn read(value: &str) -> Option<Parameters> {
        let source = format!("A: {value}\r\n");
        Parameters::read(&Header::split(source.as_bytes()).0.first("A").unwrap())
    }

    fn attribute(value: &str, name: &str) -> Option<String> {
        read(value)?.attribute(name)
    }

    #[test]
    fn values_are_read_however_they_are_written() {
        for (value, kind, subtype) in [
            ("text/html", "text", Some("html")),
            (" Text / HTML ; charset=x", "text", Some("html")),
            ("text/plain (text) ; charset=x", "text", Some("plain")),
            ("text/plain charset=x", "text", Some("plain")),
            ("attachment", "attachment", None),
            ("ATTACHMENT; filename=x", "attachment", None),
            ("filename=x", "", None),
        ] {
            let read = read(value).unwrap();
            assert_eq!((read.kind(), read.subtype()), (kind, subtype), "{value}");
        }
        assert!(read("").is_none());
        assert!(read(" ; ").is_none());
    }

    #[test]
    fn parameters_are_read_however_they_are_written() {
        for (value, expected) in [
            ("a/b; x=y", "y"),
            ("a/b; X = \"y\" ; z=1", "y"),
            ("a/b; x=y (comment)", "y"),
            ("a/b x=y", "y"),
            ("x=y", "y"),
            ("a/b; z; x=y", "y"),
            ("a/b; x=\"a;b \\\"c\\\"\"; z=1", "a;b \"c\""),
            ("a/b; x=\"never closed; z=1", "never closed; z=1"),
            ("a/b; x=\"y\" junk; z=1", "y"),
            ("a/b; x='y'", "y"),
            ("a/b; x==?utf-8?q?a;b?=; z=1", "a;b"),
            ("a/b; x=first; x=second", "first"),
        ] {
            assert_eq!(attribute(value, "x").as_deref(), Some(expected), "{value}");
        }
        assert_eq!(
            attribute("a/b; filename=report (1).pdf; z=1", "filename").as_deref(),
            Some("report (1).pdf")
        );
        assert_eq!(attribute("a/b; boundary='x'", "boundary").as_deref(), Some("'x'"));
        assert_eq!(attribute("a/b; y=1", "x"), None);
    }

    #[test]
    fn extended_parameters_are_read_as_rfc_2231_and_real_programs_write_them() {
        for (value, expected) in [
            ("a; x*=utf-8'en'%E2%82%AC%20rates", "€ rates"),
            ("a; x*=\"utf-8''%E2%82%AC\"", "€"),
            ("a; x=plain; x*=utf-8''%E2%82%AC", "€"),
            ("a; x*=%E2%82%AC", "€"),
            ("a; x*=''%E2%82%AC", "€"),
            ("a; x*=utf-8''100%25%20sure%", "100% sure%"),
            ("a; x*=utf-8''it's", "it's"),
            ("a; x*=koi8-r''%F0%D2%C9", "При"),
            ("a; x*=iso-2022-jp''%1B%24B%24%22%1B%28B", "あ"),
            ("a; x*=utf-8''=?utf-8?q?=C3=BC?=", "ü"),
            ("a; x*0=a; x*1=b", "ab"),
            ("a; x*1=b; x*0=a; x*10=d; x*2=c", "abcd"),
            ("a; x*0*=utf-8''Gr%C3; x*1*=%BC; x*2=\"%C3\"", "Grü%C3"),
            ("a; x*0=\"=?utf-8?b?R3LD\"; x*1=\"vA==?=\"", "Grü"),
            ("a; x=\"=?utf-8?q?Gr=C3?= =?utf-8?q?=BC?=\"", "Grü"),
            ("a; x=%E2%82%AC%20rates", "€ rates"),
            ("a; x=100%25", "100%25"),
            ("a; x=%E2%82", "%E2%82"),
        ] {
            assert_eq!(attribute(value, "x").as_deref(), Some(expected), "{value}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_by_the_book_comes_back(value in "[a-zé€ ;=*'\"\\\\()]{1,40}", width in 1..20_usize) {
            let value = value.trim();
            let is_in_quotes = value.starts_with('\'') && value.ends_with('\'');
            prop_assume!(!(value.is_empty() || value.contains("=?") || is_in_quotes));
            let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
            let encoded: Vec<String> = value.bytes().map(|byte| format!("%{byte:02x}")).collect();
            let mut sections = String::new();
            for (i, piece) in encoded.chunks(width).enumerate() {
                let charset = if i == 0 { "UTF-8''" } else { "" };
                write!(sections, "; x*{i}*={charset}{}", piece.concat()).unwrap();
            }

            for field in [format!("a/b; x=\"{quoted}\"; y=z"), format!("a/b{sections}; y=z")] {
                prop_assert_eq!(attribute(&field, "x"), Some(value.to_owned()));
            }
        }

        #[test]
        fn any_field_is_read_into_no_more_than_it_holds(
            pieces in prop::collection::vec(prop::sample::select(&[
                "a/b", ";", "=", "\"", "\\", "x", "*", "0", "'", "%", "C3", "(", ")", " ", "=?utf-8?q?", "?=", "utf-8''", "é", "/",
            ][..]), 0..40),
        ) {
            let field = pieces.concat();
            if let Some(read) = read(&field) {
                prop_assert!(read.attribute("x").is_none_or(|text| text.len() <= 3 * field.len()));
            }
        }
    }
}

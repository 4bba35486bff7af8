//! The fields of a report: groups of header fields, apart by empty lines (RFC 3464 §2.1), and what their values mean.

use std::borrow::Cow;

use crate::mail::header::{Field, Header};
use crate::mail::part::Part;
use crate::mail::{encoded_word, limit};

/// Calls `each` with every group of fields of a part, in order.
pub(super) fn groups(part: &Part<'_>, each: impl FnMut(&Header<'_>)) {
    groups_in(&content(part), each);
}

/// Calls `each` with every group of fields, in order.
pub(super) fn groups_in(content: &[u8], mut each: impl FnMut(&Header<'_>)) {
    let mut rest = content;
    while !rest.is_empty() {
        let (group, tail) = Header::split(rest);
        // A line that is no field, and by which no header begins.
        let tail = if tail.len() < rest.len() { tail } else { without_first_line(rest) };
        if !group.fields().is_empty() {
            each(&group);
        }
        rest = tail;
    }
}

/// The decoded beginning of a part: as much as a report may have.
pub(super) fn content<'a>(part: &Part<'a>) -> Cow<'a, [u8]> {
    let content = part.content.get(..limit::REPORT_BYTES).unwrap_or(part.content);
    part.encoding.bytes(content).0
}

/// A value as it may be kept: decoded, on one line, without control characters, at most `chars` characters. `None` if
/// nothing is left.
pub(super) fn text(value: &str, chars: usize) -> Option<String> {
    let decoded = encoded_word::decode(value);
    let text: String = decoded.chars().filter(|char| !char.is_control()).collect();
    let mut text = text.trim().to_owned();
    limit::cut_chars(&mut text, chars);
    (!text.is_empty()).then_some(text)
}

/// The address in the value of a Recipient field (RFC 3464 §2.3.1, `rfc822; a@b`), wherever a type stands before it
/// and brackets around it.
pub(super) fn address(field: &Field<'_>) -> Option<String> {
    let value = field.text();
    let address = match value.split_once(';') {
        Some((kind, address)) if !kind.contains('@') => unescape(address, kind),
        _ => Cow::Borrowed(&*value),
    };
    bare_address(&address)
}

/// An address without what stands around it. Not only `local@domain`: systems name recipients by a local part alone.
pub(super) fn bare_address(value: &str) -> Option<String> {
    let inner = value.split_once('<').map_or(value, |(_, inner)| inner);
    let inner = inner.split_once('>').map_or(inner, |(inner, _)| inner);
    // A comment behind it.
    let inner = inner.split_whitespace().next().unwrap_or_default();
    let inner = inner.trim_matches(['"', '\'', ',', ';', '(', ')']);
    text(inner, limit::NAME_CHARS).filter(|address| address.len() <= limit::ID_BYTES)
}

/// Resolves the escapes of an internationalized address (RFC 6533 §3): `\x{e4}`.
fn unescape<'a>(address: &'a str, kind: &str) -> Cow<'a, str> {
    if !kind.trim().eq_ignore_ascii_case("utf-8") || !address.contains("\\x{") {
        return address.into();
    }
    let mut pieces = address.split("\\x{");
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let decoded = piece.split_once('}').and_then(|(hex, tail)| {
            let char = char::from_u32(u32::from_str_radix(hex, 16).ok()?)?;
            Some((char, tail))
        });
        match decoded {
            Some((char, tail)) => {
                text.push(char);
                text.push_str(tail);
            }
            None => text.push_str(piece),
        }
    }
    text.into()
}

/// The first enhanced status code (RFC 3463 §2) in a text: class 2, 4 or 5, and no part of a longer number such as an
/// IP address.
pub(super) fn status(text: &str) -> Option<String> {
    let is_part = |char: char| char.is_ascii_digit() || char == '.';
    text.split(|char| !is_part(char))
        .map(|word| word.trim_matches('.'))
        .find(|word| is_status(word))
        .map(str::to_owned)
}

fn is_status(word: &str) -> bool {
    let mut numbers = word.split('.');
    let class = numbers.next();
    let mut is_number = || numbers.next().is_some_and(|number| (1..=3).contains(&number.len()));
    matches!(class, Some("2" | "4" | "5")) && is_number() && is_number() && numbers.next().is_none()
}

fn without_first_line(bytes: &[u8]) -> &[u8] {
    memchr::memchr(b'\n', bytes).and_then(|at| bytes.get(at + 1..)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_told_from_other_numbers() {
        assert_eq!(status("smtp;550 5.1.1 User unknown").as_deref(), Some("5.1.1"));
        assert_eq!(status("5.7.606 (Access denied)").as_deref(), Some("5.7.606"));
        assert_eq!(status("(#5.4.4)").as_deref(), Some("5.4.4"));
        assert_eq!(status("host [5.1.1.2] said 4.4.7.").as_deref(), Some("4.4.7"));
        assert_eq!(status("version 3.1.1, id 15.20.776"), None);
        assert_eq!(status("5.1234.1 5..1 5.1"), None);
    }

    #[test]
    fn an_address_is_found_in_what_systems_write() {
        let value = |value: &str| {
            let source = format!("A: {value}\n\n");
            let (header, _) = Header::split(source.as_bytes());
            header.first("A").and_then(|field| address(&field))
        };

        assert_eq!(value("rfc822; ann@example.com").as_deref(), Some("ann@example.com"));
        assert_eq!(value("RFC822;<ann@example.com>").as_deref(), Some("ann@example.com"));
        assert_eq!(value("ann@example.com").as_deref(), Some("ann@example.com"));
        assert_eq!(value("rfc822; ann@example.com (bad host)").as_deref(), Some("ann@example.com"));
        assert_eq!(value("utf-8; j\\x{f6}rg@example.com").as_deref(), Some("jörg@example.com"));
        assert_eq!(value("LOCAL; ann").as_deref(), Some("ann"));
        assert_eq!(value("rfc822;"), None);
    }
}

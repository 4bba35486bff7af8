//! Bytes in some charset → text.

use std::borrow::Cow;

use mail_parser::decoders::charsets::map::charset_decoder;

/// Decodes `bytes`; `false` beside the text means that some of them were no text in that charset and became
/// U+FFFD.
///
/// Without a label, or with one that nobody knows, bytes that are not UTF-8 are taken as windows-1252: it
/// can't fail, and is what such mail mostly holds.
pub(super) fn decode<'a>(bytes: Cow<'a, [u8]>, label: Option<&str>) -> (Cow<'a, str>, bool) {
    let label = label.map(str::trim).filter(|label| !label.is_empty());
    let decoder = label.and_then(|label| charset_decoder(label.as_bytes()));
    let is_utf8 = label.is_some_and(is_utf8_label);
    let may_be_utf8 = decoder.is_none()
        || is_utf8
        || label.is_some_and(|label| is_ascii_label(label) || holds_ascii(label) && bytes.is_ascii());
    let bytes = if may_be_utf8 {
        match utf8(bytes) {
            Ok(text) => return (text, true),
            Err(bytes) => bytes,
        }
    } else {
        bytes
    };
    match decoder.or_else(|| charset_decoder(b"windows-1252")) {
        Some(decode) if !is_utf8 => {
            let text = decode(&bytes);
            let faithful = !text.contains(char::REPLACEMENT_CHARACTER);
            (text.into(), faithful)
        }
        _ => (String::from_utf8_lossy(&bytes).into_owned().into(), false),
    }
}

/// The bytes as text, or back if they are not UTF-8.
fn utf8(bytes: Cow<'_, [u8]>) -> Result<Cow<'_, str>, Cow<'_, [u8]>> {
    match bytes {
        Cow::Borrowed(bytes) => std::str::from_utf8(bytes).map(Cow::from).map_err(|_| bytes.into()),
        Cow::Owned(bytes) => String::from_utf8(bytes).map(Cow::from).map_err(|e| e.into_bytes().into()),
    }
}

fn is_utf8_label(label: &str) -> bool {
    ["utf-8", "utf8", "utf_8", "unicode-1-1-utf-8"].iter().any(|name| label.eq_ignore_ascii_case(name))
}

/// Programs that write UTF-8 and call it ASCII are more common than those that write Latin-1 and do.
fn is_ascii_label(label: &str) -> bool {
    ["us-ascii", "ascii", "ansi_x3.4-1968"].iter().any(|name| label.eq_ignore_ascii_case(name))
}

/// Whether ASCII bytes are surely themselves in this charset. Not so in UTF-16, UTF-7 or ISO-2022-JP.
fn holds_ascii(label: &str) -> bool {
    ["iso-8859-", "windows-125", "us-ascii"]
        .iter()
        .any(|start| label.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8], label: Option<&str>) -> (String, bool) {
        let (text, faithful) = decode(bytes.into(), label);
        (text.into_owned(), faithful)
    }

    #[test]
    fn a_known_label_is_obeyed() {
        assert_eq!(text(b"Gr\xfc\xdfe", Some("ISO-8859-1")), ("Grüße".to_owned(), true));
        assert_eq!(text(b"\x80 5", Some("windows-1252")), ("€ 5".to_owned(), true));
        assert_eq!(text(b"\xf0\xd2\xc9\xd7\xc5\xd4", Some("koi8-r")), ("Привет".to_owned(), true));
        assert_eq!(text(b"\x1b$B$\"\x1b(B", Some("iso-2022-jp")), ("あ".to_owned(), true));
    }

    #[test]
    fn without_a_label_utf8_wins_and_latin_stands_in() {
        assert_eq!(text("Grüße".as_bytes(), None), ("Grüße".to_owned(), true));
        assert_eq!(text("Grüße".as_bytes(), Some("us-ascii")), ("Grüße".to_owned(), true));
        assert_eq!(text(b"Gr\xfc\xdfe", None), ("Grüße".to_owned(), true));
        assert_eq!(text(b"Gr\xfc\xdfe", Some("x-nobody-knows")), ("Grüße".to_owned(), true));
    }

    #[test]
    fn a_wrong_label_shows() {
        assert_eq!(text(b"Gr\xfc\xdfe", Some("utf-8")), ("Gr\u{fffd}\u{fffd}e".to_owned(), false));
        assert!(!text(b"\x81\xff", Some("shift_jis")).1);
    }

    #[test]
    fn a_replacement_character_that_was_sent_is_not_a_fault() {
        assert_eq!(text("a\u{fffd}".as_bytes(), Some("utf-8")), ("a\u{fffd}".to_owned(), true));
    }
}

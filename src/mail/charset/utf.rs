//! Unicode in other forms than UTF-8. All give U+FFFD for what is broken, and never fail.

use encoding_rs::{UTF_16BE, UTF_16LE};

/// Decodes UTF-16. Where no byte order mark says which byte comes first, the zeros of ASCII do, and without any, it is
/// the lower one as on the web.
pub(super) fn utf16(bytes: &[u8]) -> String {
    let (encoding, bytes) = match bytes {
        [0xff, 0xfe, bytes @ ..] => (UTF_16LE, bytes),
        [0xfe, 0xff, bytes @ ..] => (UTF_16BE, bytes),
        _ => {
            let pairs = bytes.as_chunks::<2>().0;
            let zeros = |index: usize| pairs.iter().filter(|pair| pair.get(index) == Some(&0)).count();
            (if zeros(0) > zeros(1) { UTF_16BE } else { UTF_16LE }, bytes)
        }
    };
    encoding.decode_without_bom_handling(bytes).0.into_owned()
}

/// Whether bytes that are called UTF-16 are ASCII or UTF-8 instead: programs that keep text in UTF-16 say so of what
/// they write.
pub(super) fn is_no_utf16(bytes: &[u8]) -> bool {
    // A space or a line end of UTF-16 has a zero.
    !bytes.contains(&0) && bytes.iter().any(u8::is_ascii_whitespace) && std::str::from_utf8(bytes).is_ok()
}

/// Decodes UTF-32, by its byte order mark or else by where its zeros are.
pub(super) fn utf32(bytes: &[u8]) -> String {
    let (units, rest) = bytes.as_chunks::<4>();
    let is_little = match units.first() {
        Some([0xff, 0xfe, 0, 0]) => true,
        Some(unit) => unit.first() != Some(&0),
        None => false,
    };
    let mut text: String = units
        .iter()
        .map(|unit| if is_little { u32::from_le_bytes(*unit) } else { u32::from_be_bytes(*unit) })
        .map(|unit| char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect();
    if !rest.is_empty() {
        text.push(char::REPLACEMENT_CHARACTER);
    }
    match text.strip_prefix('\u{feff}') {
        Some(text) => text.to_owned(),
        None => text,
    }
}

/// Decodes UTF-7 (RFC 2152). A `+` that begins nothing is itself, as in mail that only says that it is UTF-7.
pub(super) fn utf7(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'+' {
            text.push(if byte.is_ascii() { char::from(byte) } else { char::REPLACEMENT_CHARACTER });
            continue;
        }
        let length = after.iter().take_while(|&&byte| sextet(byte).is_some()).count();
        let (shifted, tail) = after.split_at(length);
        match (length, tail.first()) {
            (0, Some(b'-')) => text.push('+'),
            (0, _) => {
                text.push('+');
                continue;
            }
            _ => push_shifted(&mut text, shifted),
        }
        rest = tail.strip_prefix(b"-").unwrap_or(tail);
    }
    text
}

/// Appends the UTF-16 that is written in base64 without padding.
fn push_shifted(text: &mut String, base64: &[u8]) {
    let mut pending: u32 = 0;
    let mut bits = 0;
    let mut units = Vec::with_capacity(base64.len() / 2);
    for sextet in base64.iter().filter_map(|&byte| sextet(byte)) {
        pending = pending << 6 | u32::from(sextet);
        bits += 6;
        if bits >= 16 {
            bits -= 16;
            units.push(u16::try_from(pending >> bits & 0xffff).unwrap_or_default());
            pending &= (1 << bits) - 1;
        }
    }
    text.extend(char::decode_utf16(units).map(|char| char.unwrap_or(char::REPLACEMENT_CHARACTER)));
    // What is left over fills up the last character of base64 and is zero.
    if bits >= 6 || pending != 0 {
        text.push(char::REPLACEMENT_CHARACTER);
    }
}

fn sextet(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn utf_7_is_read_as_its_specification_says() {
        for (bytes, text) in [
            ("A+ImIDkQ.", "A≢Α."),
            ("Hi Mom -+Jjo--!", "Hi Mom -☺-!"),
            ("+ZeVnLIqe-", "日本語"),
            ("Item 3 is +AKM-1.", "Item 3 is £1."),
            ("2 +- 2", "2 + 2"),
            ("+2D3eAA-", "😀"),
            ("+2D3eAA", "😀"),
        ] {
            assert_eq!(utf7(bytes.as_bytes()), text, "{bytes}");
        }
    }

    #[test]
    fn broken_utf_7_is_read_as_far_as_it_goes() {
        assert_eq!(utf7(b"a + b"), "a + b");
        assert_eq!(utf7(b"+"), "+");
        assert_eq!(utf7(b"+2D0-x"), "\u{fffd}x");
        assert_eq!(utf7(b"+A-x"), "\u{fffd}x");
        assert_eq!(utf7(b"\xfc"), "\u{fffd}");
    }

    #[test]
    fn utf_16_tells_its_byte_order_by_mark_or_by_zeros() {
        assert_eq!(utf16(b"\xfe\xff\0a\x20\xac"), "a€");
        assert_eq!(utf16(b"\xff\xfea\0\xac\x20"), "a€");
        assert_eq!(utf16(b"\0a\0\n\x4f\x60"), "a\n你");
        assert_eq!(utf16(b"a\0\n\0\x60\x4f"), "a\n你");
        assert_eq!(utf16(b"\x60\x4f"), "你");
        assert_eq!(utf16(b"\xff\xfe\x3d\xd8a\0b"), "\u{fffd}a\u{fffd}");
    }

    #[test]
    fn utf_16_in_name_only_is_known_by_its_spaces() {
        assert!(is_no_utf16(b"Your order\r\n"));
        assert!(is_no_utf16("Ihre Größe".as_bytes()));
        assert!(!is_no_utf16(b"\x4f\x60\x59\x7d"));
        assert!(!is_no_utf16(b"\0a\0 "));
    }

    #[test]
    fn utf_32_tells_its_byte_order_too() {
        assert_eq!(utf32(b"\xff\xfe\0\0\x00\xf6\x01\0"), "😀");
        assert_eq!(utf32(b"\0\0\xfe\xff\0\x01\xf6\x00"), "😀");
        assert_eq!(utf32(b"a\0\0\0"), "a");
        assert_eq!(utf32(b"\0\0\0a\0\x11\0\0\0"), "a\u{fffd}\u{fffd}");
        assert_eq!(utf32(b""), "");
    }

    proptest! {
        #[test]
        fn what_is_written_in_utf_16_or_32_comes_back(text in "[a-z ]\\PC{0,40}") {
            let (mut utf_16, mut utf_32) = (Vec::new(), Vec::new());
            text.encode_utf16().for_each(|unit| utf_16.extend(unit.to_be_bytes()));
            text.chars().for_each(|char| utf_32.extend(u32::from(char).to_be_bytes()));
            prop_assert_eq!(utf16(&[b"\xfe\xff", utf_16.as_slice()].concat()), text.as_str());
            prop_assert_eq!(utf32(&utf_32), text.as_str());
        }

        #[test]
        fn any_bytes_become_no_more_text_than_three_times_their_number(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            for text in [utf7(&bytes), utf16(&bytes), utf32(&bytes)] {
                prop_assert!(text.len() <= 3 * bytes.len());
            }
        }
    }
}

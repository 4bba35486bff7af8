//! Modified UTF-7, in which folder names travel (RFC 3501 §5.1.3).
//!
//! Both directions take any input: a name that is not valid modified UTF-7 is shown as the server wrote it.

use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD};

const BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::IMAP_MUTF7, NO_PAD);

/// Encodes a name. The result is printable ASCII, so it fits a quoted string.
pub(super) fn encode(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    let mut rest = name;
    while !rest.is_empty() {
        let (plain, after) = split_while(rest, |c| matches!(c, ' '..='~'));
        encoded.push_str(&plain.replace('&', "&-"));
        let (special, after) = split_while(after, |c| !matches!(c, ' '..='~'));
        if !special.is_empty() {
            let utf16: Vec<u8> = special.encode_utf16().flat_map(u16::to_be_bytes).collect();
            encoded.push('&');
            BASE64.encode_string(utf16, &mut encoded);
            encoded.push('-');
        }
        rest = after;
    }
    encoded
}

/// Decodes a name. What cannot be decoded stays as it is.
pub(super) fn decode(encoded: &str) -> String {
    let mut name = String::with_capacity(encoded.len());
    let mut rest = encoded;
    while let Some((plain, shifted)) = rest.split_once('&') {
        name.push_str(plain);
        let decoded = shifted.split_once('-').and_then(|(base64, after)| Some((shift(base64)?, after)));
        let (special, after) = decoded.as_ref().map_or(("&", shifted), |(text, after)| (text, after));
        name.push_str(special);
        rest = after;
    }
    name.push_str(rest);
    name
}

/// What stands between `&` and `-`.
fn shift(base64: &str) -> Option<String> {
    if base64.is_empty() {
        return Some("&".to_owned());
    }
    let bytes = BASE64.decode(base64).ok()?;
    let (pairs, odd) = bytes.as_chunks::<2>();
    if !odd.is_empty() {
        return None;
    }
    char::decode_utf16(pairs.iter().map(|&pair| u16::from_be_bytes(pair))).collect::<Result<_, _>>().ok()
}

fn split_while(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    let end = text.find(|c| !belongs(c)).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_examples_of_the_rfc() {
        assert_eq!(encode("~peter/mail/台北/日本語"), "~peter/mail/&U,BTFw-/&ZeVnLIqe-");
        assert_eq!(decode("~peter/mail/&U,BTFw-/&ZeVnLIqe-"), "~peter/mail/台北/日本語");
    }

    #[test]
    fn names_that_outlook_gives() {
        for (name, encoded) in [
            ("INBOX", "INBOX"),
            ("Gelöschte Elemente", "Gel&APY-schte Elemente"),
            ("Éléments supprimés", "&AMk-l&AOk-ments supprim&AOk-s"),
            ("Q&A", "Q&-A"),
            ("&&", "&-&-"),
            ("tab\there", "tab&AAk-here"),
            ("📬", "&2D3c7A-"),
            ("", ""),
        ] {
            assert_eq!(encode(name), encoded);
            assert_eq!(decode(encoded), name);
        }
    }

    #[test]
    fn what_cannot_be_decoded_stays() {
        for broken in ["a&b", "&", "&!!-", "&AA-", "&2D0-", "schön & gut", "&-&"] {
            let shown = decode(broken);
            assert_eq!(shown, broken.replace("&-", "&"));
        }
    }

    proptest! {
        #[test]
        fn decoding_undoes_encoding(name in any::<String>()) {
            let encoded = encode(&name);
            prop_assert!(encoded.bytes().all(|byte| matches!(byte, b' '..=b'~')));
            prop_assert_eq!(decode(&encoded), name);
        }

        #[test]
        fn decoding_takes_anything(encoded in "[&a-zA-Z+,/\\-é]*") {
            decode(&encoded);
        }
    }
}

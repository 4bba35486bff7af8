//! A mail that a person sends into the running demo.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;

/// The most bytes of text in one encoded word, so that it stays below the 75 characters of RFC 2047.
const WORD: usize = 42;

/// Writes a mail from a made-up customer.
pub(crate) fn compose(subject: &str, text: &str) -> Result<Vec<u8>> {
    let now = SystemTime::now();
    let id = now.duration_since(UNIX_EPOCH)?.as_nanos();
    let mail = format!(
        "From: Demo Customer <customer@example.org>\nTo: Support <support@example.com>\nSubject: {}\nDate: {}\n\
         Message-ID: <demo-{id}@example.org>\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\
         Content-Transfer-Encoding: 8bit\n\n{text}\n",
        encode(subject),
        httpdate::fmt_http_date(now),
    );
    Ok(mail.into_bytes())
}

/// A header's text: as it is if it is plain and short, otherwise in encoded words (RFC 2047, section 2).
fn encode(text: &str) -> String {
    if text.len() <= WORD && text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) && !text.contains("=?") {
        return text.to_owned();
    }
    let mut words = vec![String::new()];
    for character in text.chars() {
        match words.last_mut() {
            Some(word) if word.len() + character.len_utf8() <= WORD => word.push(character),
            _ => words.push(character.to_string()),
        }
    }
    let words: Vec<String> = words
        .iter()
        .map(|word| format!("=?utf-8?B?{}?=", openssl::base64::encode_block(word.as_bytes())))
        .collect();
    words.join("\n ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_subject_stays_readable() {
        assert_eq!(encode("Printer is broken"), "Printer is broken");
    }

    #[test]
    fn any_other_subject_becomes_words_of_a_permitted_length() {
        for subject in ["Türöffnung", "a\nBcc: x@example.org", &"lang ".repeat(40), &"🎉".repeat(30)] {
            let encoded = encode(subject);
            let words: Vec<&str> = encoded.split("\n ").collect();
            let decoded: Vec<u8> = words
                .iter()
                .flat_map(|word| {
                    assert!(word.len() <= 75, "{word}");
                    let base64 = word.strip_prefix("=?utf-8?B?").unwrap().strip_suffix("?=").unwrap();
                    openssl::base64::decode_block(base64).unwrap()
                })
                .collect();
            assert_eq!(String::from_utf8(decoded).unwrap(), subject);
        }
    }
}

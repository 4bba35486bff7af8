//! Text that is signed by OpenPGP and still readable (RFC 9580 §7).

use memchr::memchr;

const BEGIN: &[u8] = b"-----BEGIN PGP SIGNED MESSAGE-----";
const SIGNATURE: &[u8] = b"-----BEGIN PGP SIGNATURE-----";
const END: &[u8] = b"-----END PGP SIGNATURE-----";
const ENCRYPTED: &[u8] = b"-----BEGIN PGP MESSAGE-----";

/// A signed text, found in another.
pub(super) struct Signed<'a> {
    /// What was signed, dashes unescaped.
    pub(super) text: Vec<u8>,
    /// The signature, in its armour.
    pub(super) signature: &'a [u8],
    /// How much of the text around it this takes.
    pub(super) length: usize,
}

/// Whether a signed text may begin with the line at the start of `text`.
pub(super) fn begins(text: &[u8]) -> bool {
    text.starts_with(BEGIN)
}

/// The signed text that begins with the line at the start of `text`. `None` if its signature is missing: it may begin
/// anywhere then, and is left as it stands.
pub(super) fn signed(text: &[u8]) -> Option<Signed<'_>> {
    let mut lines = Lines { rest: text };
    if lines.next()?.trim_ascii_end() != BEGIN {
        return None;
    }
    // Which hash was used stands before an empty line.
    lines.find(|line| line.trim_ascii().is_empty())?;
    let mut content = Vec::new();
    let signature_at = loop {
        let at = text.len() - lines.rest.len();
        let line = lines.next()?;
        if line.trim_ascii_end() == SIGNATURE {
            break at;
        }
        content.extend_from_slice(line.strip_prefix(b"- ").unwrap_or(line));
    };
    lines.find(|line| line.trim_ascii_end() == END)?;
    let length = text.len() - lines.rest.len();
    Some(Signed { text: content, signature: text.get(signature_at..length)?, length })
}

/// Whether an encrypted message begins with the line at the start of `text`.
pub(super) fn is_encrypted(text: &[u8]) -> bool {
    Lines { rest: text }.next().is_some_and(|line| line.trim_ascii_end() == ENCRYPTED)
}

/// Lines with their ends.
struct Lines<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let end = memchr(b'\n', self.rest).map_or(self.rest.len(), |at| at + 1);
        let (line, rest) = self.rest.split_at(end);
        self.rest = rest;
        (!line.is_empty()).then_some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIGNED: &str = "-----BEGIN PGP SIGNED MESSAGE-----\r\nHash: SHA512\r\n\r\nHello,\r\n\r\n- -- \r\n\
        - --dashed\r\nAda\r\n-----BEGIN PGP SIGNATURE-----\r\n\r\niQ==\r\n-----END PGP SIGNATURE-----\r\n";

    #[test]
    fn what_was_signed_is_read_without_its_escapes() {
        let text = format!("{SIGNED}Sent by a list\r\n");

        let signed = signed(text.as_bytes()).unwrap();

        assert_eq!(signed.text, b"Hello,\r\n\r\n-- \r\n--dashed\r\nAda\r\n");
        assert!(signed.signature.starts_with(SIGNATURE) && signed.signature.ends_with(b"SIGNATURE-----\r\n"));
        assert_eq!(signed.length, SIGNED.len());
    }

    #[test]
    fn what_is_not_whole_is_left_alone() {
        for cut in
            [SIGNED.replace("-----END PGP", "-----AND PGP"), SIGNED.replace("BEGIN PGP SIGNATURE", "BEGIN")]
        {
            assert!(signed(cut.as_bytes()).is_none(), "{cut}");
        }
        assert!(signed(format!("> {SIGNED}").as_bytes()).is_none());
        assert!(signed(b"").is_none());
    }

    #[test]
    fn encryption_is_told_by_its_first_line() {
        assert!(is_encrypted(b"-----BEGIN PGP MESSAGE-----  \r\n\r\nhQ=="));
        assert!(!is_encrypted(b"-----BEGIN PGP MESSAGE----- is how it begins"));
    }
}

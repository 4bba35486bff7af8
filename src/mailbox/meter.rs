//! How much a server may send at a time.
//!
//! async-imap 0.12 makes room for a literal as soon as it is announced, up to 512 MiB at once. So what is announced is
//! checked before the parser hears of it.

use std::io;

use memchr::memchr;

/// The longest line. The longest that a good server sends us names a thousand UIDs.
const MAX_LINE: usize = 1 << 20;

/// How much memory is kept for the next line. A session that waits for mail has no use for more.
const KEPT: usize = 1 << 10;

/// What literals may come to where nobody asked for mail: names of folders.
const OTHER_LITERALS: u64 = 1 << 20;

/// Follows what comes, line by line and literal by literal.
#[derive(Debug)]
pub(super) struct Meter {
    /// What literals may still come to.
    allowed: u64,
    /// What is still to come of the literal that is coming.
    literal: u64,
    /// What has come of the line that is coming.
    line: Vec<u8>,
}

impl Default for Meter {
    fn default() -> Self {
        Self { allowed: OTHER_LITERALS, literal: 0, line: Vec::new() }
    }
}

impl Meter {
    /// Allows literals that come to this together, from now on; `None` for what suits all but mail.
    pub(super) fn allow(&mut self, bytes: Option<u64>) {
        self.allowed = bytes.unwrap_or(OTHER_LITERALS);
    }

    /// Takes note of bytes that have come. Fails as soon as more is announced than is allowed.
    pub(super) fn count(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let of_literal = bytes.len().min(usize::try_from(self.literal).unwrap_or(usize::MAX));
            let (literal, rest) = bytes.split_at(of_literal);
            self.literal -= literal.len() as u64;
            let (line, rest) = rest.split_at(memchr(b'\n', rest).map_or(rest.len(), |end| end + 1));
            self.line.extend_from_slice(line);
            if self.line.len() > MAX_LINE {
                return Err(io::ErrorKind::FileTooLarge.into());
            }
            if self.line.ends_with(b"\n") {
                self.literal = announced(&self.line).unwrap_or(0);
                self.allowed = self.allowed.checked_sub(self.literal).ok_or(io::ErrorKind::FileTooLarge)?;
                self.line.clear();
                self.line.shrink_to(KEPT);
            }
            bytes = rest;
        }
        Ok(())
    }
}

/// The length of the literal that follows a line: `* 3 FETCH (UID 7 BODY[] {1234}`.
pub(super) fn announced(line: &[u8]) -> Option<u64> {
    let line = line.strip_suffix(b"}\r\n")?;
    let open = line.iter().rposition(|&byte| byte == b'{')?;
    let digits = line.get(open + 1..).filter(|digits| digits.iter().all(u8::is_ascii_digit))?;
    // Digits only, so what does not fit is more than anybody takes.
    Some(str::from_utf8(digits).ok()?.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is_taken(bytes: &[u8], allowed: u64, piece: usize) -> bool {
        let mut meter = Meter::default();
        meter.allow(Some(allowed));
        bytes.chunks(piece).all(|piece| meter.count(piece).is_ok())
    }

    #[test]
    fn literals_are_refused_as_soon_as_they_are_announced() {
        assert!(is_taken(b"* 1 FETCH (BODY[] {100}\r\n", 100, 7));
        assert!(!is_taken(b"* 1 FETCH (BODY[] {101}\r\n", 100, 7));
        assert!(!is_taken(b"* 1 FETCH (BODY[] {99999999999999999999999}\r\n", 100, 7));
        // Together.
        assert!(is_taken(b"* 1 FETCH (BODY[] {3}\r\nabc UID 7)\r\n* 2 FETCH (BODY[] {3}\r\n", 6, 5));
        assert!(!is_taken(b"* 1 FETCH (BODY[] {3}\r\nabc UID 7)\r\n* 2 FETCH (BODY[] {4}\r\n", 6, 5));
    }

    #[test]
    fn a_line_that_does_not_end_is_refused() {
        assert!(is_taken(&vec![b'x'; MAX_LINE], 0, 4_000));
        assert!(!is_taken(&vec![b'x'; MAX_LINE + 1], 0, 4_000));
    }

    #[test]
    fn a_long_line_leaves_no_long_buffer_behind() {
        let mut meter = Meter::default();
        for length in [10, 100_000, 10] {
            meter.count(format!("{}\r\n", "x".repeat(length)).as_bytes()).unwrap();
            assert!(meter.line.capacity() <= KEPT, "{}", meter.line.capacity());
        }
    }

    proptest! {
        #[test]
        fn what_a_literal_holds_announces_nothing(text in "[{}0-9\r\n]{0,60}", piece in 1..20_usize) {
            let response = format!("* 1 FETCH (BODY[] {{{}}}\r\n{text} UID 7)\r\n", text.len());
            prop_assert!(is_taken(response.as_bytes(), text.len() as u64, piece));
        }
    }
}

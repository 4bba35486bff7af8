//! Lines that the parser cannot read, taken out before they reach it.
//!
//! async-imap 0.12 gives the connection up at the first such line. In a listing that would let one message hide all
//! others for good: it would be listed again, and break off again, with every new session.

use std::collections::VecDeque;
use std::panic::catch_unwind;

use async_imap::imap_proto::Response;
use memchr::memchr;

use super::meter::announced;

/// Leaves out lines about messages that the parser cannot read. All other lines pass, so that what is no IMAP is found
/// out as ever.
#[derive(Debug, Default)]
pub(super) struct Sieve {
    /// What may go to the parser.
    pub(super) passed: VecDeque<u8>,
    /// What has come and has not been judged, for want of the rest of a response.
    unread: Vec<u8>,
    left_out: usize,
}

impl Sieve {
    /// Judges what has come.
    pub(super) fn sift(&mut self, bytes: &[u8]) {
        self.unread.extend_from_slice(bytes);
        while let Some(end) = memchr(b'\n', &self.unread).map(|end| end + 1) {
            let (line, _) = self.unread.split_at(end);
            let has_literal = announced(line).is_some();
            let (length, keep) = match length_of(if has_literal { &self.unread } else { line }) {
                Ok(length) => (length, true),
                Err(Unread::Incomplete) if has_literal => return,
                Err(_) => (end, !is_about_a_message(line)),
            };
            let response = self.unread.drain(..length);
            if keep {
                self.passed.extend(response);
            } else {
                drop(response);
                self.left_out += 1;
            }
        }
    }

    /// Lets everything pass that is still there, and tells how many lines were left out. No memory is kept for more.
    pub(super) fn empty(&mut self) -> usize {
        self.passed.extend(std::mem::take(&mut self.unread));
        self.passed.shrink_to_fit();
        std::mem::take(&mut self.left_out)
    }
}

/// Why a response is not read.
enum Unread {
    /// More of it must come first. The parser also says so of lines that no more can help.
    Incomplete,
    /// It is none.
    Garbled,
}

/// How many bytes the response has that `bytes` begin with.
fn length_of(bytes: &[u8]) -> Result<usize, Unread> {
    // The parser panics on a few lines; see `unpanicked` in the driver.
    let parsed = catch_unwind(|| match Response::parse(bytes) {
        Ok((rest, _)) => Ok(bytes.len() - rest.len()),
        Err(error) if error.is_incomplete() => Err(Unread::Incomplete),
        Err(_) => Err(Unread::Garbled),
    });
    parsed.unwrap_or(Err(Unread::Garbled))
}

fn is_about_a_message(response: &[u8]) -> bool {
    let mut words = response.splitn(4, |&byte| byte == b' ');
    words.next() == Some(b"*")
        && words.next().is_some_and(|number| number.iter().all(u8::is_ascii_digit))
        && words.next().is_some_and(|name| name.trim_ascii_end().eq_ignore_ascii_case(b"FETCH"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sifted(text: &str, piece: usize) -> (String, usize) {
        let mut sieve = Sieve::default();
        for piece in text.as_bytes().chunks(piece) {
            sieve.sift(piece);
        }
        let left_out = sieve.empty();
        (String::from_utf8(sieve.passed.into()).unwrap(), left_out)
    }

    #[test]
    fn it_keeps_no_memory_when_it_is_emptied() {
        let mut sieve = Sieve::default();
        sieve.sift("* 1 FETCH (UID 5 RFC822.SIZE 7)\r\n".repeat(1_000).as_bytes());
        sieve.passed.clear();

        sieve.empty();

        assert_eq!((sieve.passed.capacity(), sieve.unread.capacity()), (0, 0));
    }

    #[test]
    fn only_lines_about_messages_that_cannot_be_read_are_left_out() {
        let good = "* 1 FETCH (UID 5 RFC822.SIZE 7)\r\n";
        let literal = "* 2 FETCH (INTERNALDATE {26}\r\n05-Jan-2026 10:00:00 +0000 UID 6)\r\n";
        for bad in ["* 3 FETCH (UID 7 INTERNALDATE NIL)\r\n", "* 3 FETCH (UID 7\r\n", "* 3 fetch\r\n"] {
            for piece in [1, 10, 1_000] {
                let text = format!("{good}{bad}{literal}{bad}P3 OK done\r\n");
                assert_eq!(sifted(&text, piece), (format!("{good}{literal}P3 OK done\r\n"), 2));
            }
        }
        for other in ["* 5 NONSENSE ((\r\n", "220 smtp\r\n", "* OK [ALERT]\u{e9}\r\n", "* 1 FETCH (UI"] {
            assert_eq!(sifted(other, 3), (other.to_owned(), 0));
        }
    }
}

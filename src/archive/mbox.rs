//! A file with many mails (RFC 4155). Quoted `From ` is taken as in mboxrd, one `>` of any number; what mboxo quotes
//! reads the same.

use std::io;
use std::io::{BufRead, Read};

use chrono::{DateTime, FixedOffset};

use crate::archive::envelope;
use crate::archive::file;

/// A longer line is taken in pieces.
const PIECE: u64 = 64 * 1024;

/// An mbox being read.
#[derive(Debug)]
pub(super) struct Mbox<R> {
    lines: R,
    /// When the mail came whose envelope has been read.
    received: Option<DateTime<FixedOffset>>,
    is_begun: bool,
    is_over: bool,
}

/// A mail of it.
pub(super) struct MboxMail {
    /// It, or what is sure to hold its header.
    pub(super) bytes: Vec<u8>,
    /// Whether `bytes` is all of it.
    pub(super) is_whole: bool,
    /// Bytes that it takes in the file.
    pub(super) span: u64,
    /// When it reached its mailbox.
    pub(super) received: Option<DateTime<FixedOffset>>,
}

impl<R: BufRead> Mbox<R> {
    pub(super) fn new(lines: R) -> Self {
        Self { lines, received: None, is_begun: false, is_over: false }
    }

    /// The next mail; `None` at the end. Of one larger than `max_bytes` only what holds its header is kept.
    pub(super) fn next_mail(&mut self, max_bytes: u64) -> io::Result<Option<MboxMail>> {
        if self.is_over {
            return Ok(None);
        }
        let mut span = 0;
        if !self.is_begun {
            self.is_begun = true;
            let mut line = Vec::new();
            span += self.piece(&mut line)?;
            self.received = envelope::date(&line);
        }
        let received = self.received;
        let mut bytes = Vec::new();
        let mut is_whole = true;
        let mut line = Vec::new();
        let (mut is_line_start, mut is_after_empty) = (true, true);
        loop {
            line.clear();
            let read = self.piece(&mut line)?;
            span += read;
            if read == 0 {
                self.is_over = true;
                break;
            }
            if is_line_start && is_after_empty && envelope::is_envelope(&line) {
                self.received = envelope::date(&line);
                break;
            }
            if is_whole && (bytes.len() + line.len()) as u64 > max_bytes {
                is_whole = false;
                bytes.truncate(usize::try_from(file::MAX_HEADER).unwrap_or(usize::MAX));
                bytes.shrink_to_fit();
            }
            if is_whole {
                bytes.extend_from_slice(if is_line_start { unquoted(&line) } else { &line });
            }
            is_after_empty = is_line_start && matches!(line.as_slice(), b"\n" | b"\r\n");
            is_line_start = line.ends_with(b"\n");
        }
        // The empty line before the next envelope is none of the mail's.
        let end = [b"\n\r\n".as_slice(), b"\n\n"].into_iter().find(|end| bytes.ends_with(end));
        bytes.truncate(bytes.len() - end.map_or(0, |end| end.len() - 1));
        Ok(Some(MboxMail { bytes, is_whole, span, received }))
    }

    /// Reads up to the end of a line, or a piece of it. How many bytes.
    fn piece(&mut self, line: &mut Vec<u8>) -> io::Result<u64> {
        Ok((&mut self.lines).take(PIECE).read_until(b'\n', line)? as u64)
    }
}

fn unquoted(line: &[u8]) -> &[u8] {
    let quoted = line.iter().position(|&byte| byte != b'>').filter(|&quotes| quotes > 0);
    let is_quoted =
        quoted.and_then(|quotes| line.get(quotes..)).is_some_and(|rest| rest.starts_with(b"From "));
    line.get(usize::from(is_quoted)..).unwrap_or_default()
}

//! One direction of an IMAP conversation, cut into lines and literals (RFC 9051 §4.3).

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

/// What a client or a server says next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// The first line of a command or a response, with its CRLF; a literal may follow.
    Start(Vec<u8>),
    /// Some of a literal's bytes.
    Literal(Vec<u8>),
    /// What follows a literal, to the end of its line.
    Rest(Vec<u8>),
}

impl Piece {
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Start(bytes) | Self::Literal(bytes) | Self::Rest(bytes) => bytes,
        }
    }
}

/// The reading end of a connection.
#[derive(Debug)]
pub(super) struct Wire<R> {
    stream: R,
    buffer: Vec<u8>,
    /// Bytes of the present literal that are still to come.
    literal: usize,
    /// Whether the next line belongs to a literal before it.
    within: bool,
}

impl<R: AsyncRead + Unpin> Wire<R> {
    pub(super) fn new(stream: R) -> Self {
        Self { stream, buffer: Vec::new(), literal: 0, within: false }
    }

    /// The next piece; `None` at the end of the connection. Nothing is lost if this future is dropped.
    pub(super) async fn next(&mut self) -> io::Result<Option<Piece>> {
        loop {
            if let Some(piece) = self.cut() {
                return Ok(Some(piece));
            }
            if !self.fill().await? {
                return Ok(None);
            }
        }
    }

    /// Returns once the other side has closed. What it says until then is kept.
    pub(super) async fn closed(&mut self) -> io::Result<()> {
        while self.fill().await? {}
        Ok(())
    }

    async fn fill(&mut self) -> io::Result<bool> {
        Ok(self.stream.read_buf(&mut self.buffer).await? > 0)
    }

    fn cut(&mut self) -> Option<Piece> {
        if self.literal > 0 {
            let length = self.literal.min(self.buffer.len());
            self.literal -= length;
            return (length > 0).then(|| Piece::Literal(self.buffer.drain(..length).collect()));
        }
        let end = self.buffer.iter().position(|&byte| byte == b'\n')?;
        let line: Vec<u8> = self.buffer.drain(..=end).collect();
        let literal = announced(&line);
        let rest = std::mem::replace(&mut self.within, literal.is_some());
        self.literal = literal.unwrap_or(0);
        Some(if rest { Piece::Rest(line) } else { Piece::Start(line) })
    }
}

/// The length of the literal that a line ends by announcing: `{42}`, or `{42+}` from a client that does not wait.
fn announced(line: &[u8]) -> Option<usize> {
    let line = line.trim_ascii_end().strip_suffix(b"}")?;
    let start = line.iter().rposition(|&byte| byte == b'{')?;
    std::str::from_utf8(line.get(start + 1..)?).ok()?.trim_end_matches('+').parse().ok()
}

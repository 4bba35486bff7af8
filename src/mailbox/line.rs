//! The connection as the parser reads it: no more than was asked for, and, while a folder is listed, nothing that it
//! chokes on.

use std::io;
use std::io::Read;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_io_timeout::TimeoutStream;

use super::driver::Wire;
use super::meter::Meter;
use super::sieve::Sieve;

/// How much is taken from the connection at a time while its lines are looked at.
const CHUNK: usize = 4 << 10;

/// A connection that can be told how much may come, and how long it may be silent.
#[derive(Debug)]
pub(super) struct Line {
    // Above TLS and not below, so that each command sets its timeout.
    wire: Pin<Box<TimeoutStream<Box<dyn Wire>>>>,
    meter: Meter,
    /// Stays when it is not in use any more, for what it still holds.
    sieve: Sieve,
    is_sifting: bool,
}

impl Line {
    pub(super) fn new(wire: impl Wire + 'static) -> Self {
        Self {
            wire: Box::pin(TimeoutStream::new(Box::new(wire))),
            meter: Meter::default(),
            sieve: Sieve::default(),
            is_sifting: false,
        }
    }

    /// Ends the connection if it is silent for `limit` while it is read.
    pub(super) fn limit_silence(&mut self, limit: Option<Duration>) {
        self.wire.as_mut().set_read_timeout_pinned(limit);
    }

    /// Refuses literals that come to more than this together, from now on. `None` is what suits every command but
    /// those that fetch mail.
    pub(super) fn limit_literals(&mut self, bytes: Option<u64>) {
        self.meter.allow(bytes);
    }

    /// Begins to leave out lines about messages (`* 3 FETCH …`) that the parser cannot read.
    pub(super) fn sift(&mut self) {
        self.is_sifting = true;
    }

    /// Ends that, and tells how many lines were left out.
    pub(super) fn stop_sifting(&mut self) -> usize {
        self.is_sifting = false;
        self.sieve.empty()
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { wire, meter, sieve, is_sifting } = &mut *self;
        while *is_sifting && sieve.passed.is_empty() {
            let mut chunk = [0; CHUNK];
            let mut chunk = ReadBuf::new(&mut chunk);
            ready!(wire.as_mut().poll_read(cx, &mut chunk))?;
            meter.count(chunk.filled())?;
            if chunk.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            sieve.sift(chunk.filled());
        }
        if sieve.passed.is_empty() {
            let before = buf.filled().len();
            ready!(wire.as_mut().poll_read(cx, buf))?;
            return Poll::Ready(meter.count(buf.filled().get(before..).unwrap_or_default()));
        }
        let length = sieve.passed.read(buf.initialize_unfilled())?;
        buf.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.wire.as_mut().poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wire.as_mut().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wire.as_mut().poll_shutdown(cx)
    }
}

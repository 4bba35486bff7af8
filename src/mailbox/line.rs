//! The connection as the parser reads it: no more than was asked for.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_io_timeout::TimeoutStream;

use super::driver::Wire;
use super::meter::Meter;

/// A connection that can be told how much may come, and how long it may be silent.
#[derive(Debug)]
pub(super) struct Line {
    // Above TLS and not below, so that each command sets its timeout.
    wire: Pin<Box<TimeoutStream<Box<dyn Wire>>>>,
    meter: Meter,
}

impl Line {
    pub(super) fn new(wire: impl Wire + 'static) -> Self {
        Self { wire: Box::pin(TimeoutStream::new(Box::new(wire))), meter: Meter::default() }
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
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(self.wire.as_mut().poll_read(cx, buf))?;
        Poll::Ready(self.meter.count(buf.filled().get(before..).unwrap_or_default()))
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

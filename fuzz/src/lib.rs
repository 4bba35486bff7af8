//! A server that has said everything beforehand, for the targets about IMAP.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use postroom::config;
use secrecy::SecretString;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What a server says up to the opened folder, which takes commands `P1` and `P2`.
pub const OPENED: &[u8] = b"* OK [CAPABILITY IMAP4rev1] ready\r\n\
    P1 OK [CAPABILITY IMAP4rev1 MOVE UIDPLUS] welcome\r\n\
    * 3 EXISTS\r\n* OK [UIDVALIDITY 14] UIDs valid\r\n* OK [UIDNEXT 5000] next\r\n\
    * OK [PERMANENTFLAGS (\\Deleted \\Seen)] Limited\r\nP2 OK [READ-WRITE] done\r\n";

/// A connection over which `answers` come, and then its end.
#[derive(Debug)]
pub struct Wire {
    answers: io::Cursor<Vec<u8>>,
    sent: Arc<Mutex<Vec<u8>>>,
}

impl Wire {
    /// The connection, and what is sent over it.
    pub fn new(answers: Vec<u8>) -> (Self, Arc<Mutex<Vec<u8>>>) {
        let sent = Arc::default();
        (Self { answers: io::Cursor::new(answers), sent: Arc::clone(&sent) }, sent)
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().answers).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.sent.lock().expect("no writer panics").extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// The mailbox behind the connection.
pub fn mailbox() -> config::Mailbox {
    let minute = Duration::from_secs(60);
    config::Mailbox {
        name: "support".to_owned(),
        provider: None,
        host: "localhost".to_owned(),
        port: 993,
        ca_pem: None,
        username: "support@example.com".to_owned(),
        auth: config::Auth::Password(SecretString::from("secret")),
        folder: "INBOX".to_owned(),
        settle: config::Settle::Keep,
        ip_family: config::IpFamily::Auto,
        poll_interval: minute,
        idle_timeout: Duration::from_mins(5),
        connect_timeout: minute,
        command_timeout: minute,
        stall_timeout: minute,
    }
}

/// Runs what never waits: all answers are there.
pub fn run(conversation: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let limit = async { tokio::time::timeout(Duration::from_secs(20), conversation).await };
    runtime.block_on(limit).expect("it never waits");
}

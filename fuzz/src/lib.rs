//! A server that has said everything beforehand, for the targets about IMAP.

use std::io;
use std::panic;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use postroom::config;
use postroom::mailbox::Credential;
use secrecy::SecretString;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What a server says up to the opened folder, which takes commands `P1` and `P2`.
pub const OPENED: &[u8] = b"* OK [CAPABILITY IMAP4rev1] ready\r\n\
    P1 OK [CAPABILITY IMAP4rev1 IDLE MOVE UIDPLUS] welcome\r\n\
    * 3 EXISTS\r\n* OK [UIDVALIDITY 14] UIDs valid\r\n* OK [UIDNEXT 5000] next\r\n\
    * OK [PERMANENTFLAGS (\\Deleted \\Seen)] Limited\r\nP2 OK [READ-WRITE] done\r\n";

/// How often a reader may ask for what is withheld: looking whether something has come, it asks twice at most.
const PATIENCE: u8 = 8;

/// A connection over which answers come, each when its command has been sent, and then its end. Who waits for more
/// before that gets the end, too.
#[derive(Debug)]
pub struct Wire {
    answers: Vec<u8>,
    read: usize,
    /// What may be read so far.
    released: usize,
    /// How often more was asked for in vain.
    asked: u8,
    sent: Arc<Mutex<Vec<u8>>>,
}

impl Wire {
    /// The connection, and what is sent over it.
    pub fn new(answers: Vec<u8>) -> (Self, Arc<Mutex<Vec<u8>>>) {
        let sent = Arc::default();
        // The greeting comes unasked.
        let released = end_of_line(&answers, |_| true);
        (Self { answers, read: 0, released, asked: 0, sent: Arc::clone(&sent) }, sent)
    }
}

/// Where the first line ends that `is_last`.
fn end_of_line(text: &[u8], is_last: impl Fn(&[u8]) -> bool) -> usize {
    let mut end = 0;
    for line in text.split_inclusive(|&byte| byte == b'\n') {
        end += line.len();
        if is_last(line) {
            break;
        }
    }
    end
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        if wire.read == wire.released && wire.released < wire.answers.len() && wire.asked < PATIENCE {
            wire.asked += 1;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let length = buffer.remaining().min(wire.released - wire.read);
        buffer.put_slice(&wire.answers[wire.read..wire.read + length]);
        wire.read += length;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let wire = self.get_mut();
        wire.sent.lock().expect("no writer panics").extend_from_slice(bytes);
        // A command, and not what follows it.
        if bytes.starts_with(b"P") {
            wire.released += end_of_line(&wire.answers[wire.released..], |line| line.starts_with(b"P"));
            wire.asked = 0;
        }
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
        addresses: Vec::new(),
        trusted_authserv: Vec::new(),
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

/// What it is logged in to with, as its configuration says.
pub fn password() -> Credential {
    Credential::Password(SecretString::from("secret"))
}

/// An access token in place of that.
pub fn token() -> Credential {
    Credential::Token(SecretString::from("eyJ0eXA"))
}

/// Lets the IMAP parser panic, which is caught and one more way of being unreadable. Elsewhere a panic is a find.
pub fn let_the_parser_panic() {
    let abort = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if !panic.location().is_some_and(|place| place.file().contains("/imap-proto-")) {
            abort(panic);
        }
    }));
}

/// Runs what never waits: all answers are there.
pub fn run(conversation: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let limit = async { tokio::time::timeout(Duration::from_secs(20), conversation).await };
    runtime.block_on(limit).expect("it never waits");
}

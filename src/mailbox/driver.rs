//! Runs one IMAP command at a time, strictly.
//!
//! The IMAP crate is used as a parser only: its command methods end quietly on a tagged NO, a BAD or a closed
//! connection (async-imap 0.12, `parse.rs`), and "nothing came" must never be taken for "nothing is there" by a
//! program that deletes what it has stored. Here a command succeeds only by its own tagged OK.
//!
//! Invariant: responses that nobody asked for are looked at and dropped; nothing queues up.
//! Invariant: once the server has told another UIDVALIDITY, no UID is named but in a FETCH, and nothing that is said
//! of one is believed.
//! Invariant: a refusal after which the server closes the connection, or is to be left alone, is no refusal of the one
//! thing that was asked for.
//! Invariant: no text of the IMAP crate's errors is kept. Its parse errors quote the whole buffer, which is mail.

use std::fmt::Debug;
use std::io;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use async_imap::Client;
use async_imap::imap_proto::{MailboxDatum, Outcome, Response, ResponseCode, Status};
use futures_util::FutureExt;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use crate::config;
use crate::message::UidValidity;

use super::capability::Capabilities;
use super::credential::Credential;
use super::error::{Answer, Error};
use super::line::Line;
use super::remedy::{Meaning, Remedy};
use super::response::code;
use super::server_text::ServerText;

/// The slowest transfer we wait for, in bytes a second. It lengthens the deadline of a command that fetches
/// mail by what the mail may take.
pub const SLOWEST_BYTES_PER_SECOND: u64 = 32 * 1024;

/// A connection to a server: TLS, or a pipe in tests.
pub(super) trait Wire: AsyncRead + AsyncWrite + Unpin + Send + Sync + Debug {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + Sync + Debug> Wire for T {}

/// A connection and what is needed to run commands over it.
pub(super) struct Driver {
    client: Client<Line>,
    commands: u64,
    exists: Option<u32>,
    /// Whether the folder may hold mail that no listing has shown.
    has_news: bool,
    /// What the UIDs of the folder that is open belong to.
    uidvalidity: Option<UidValidity>,
    command_timeout: Duration,
    stall_timeout: Duration,
    username: String,
    by_token: bool,
    is_ipv6: bool,
}

/// What a response is to the command that runs.
pub(super) enum Heard {
    /// The server wants the next line.
    GoOn,
    /// The command's own tagged OK.
    Done,
    /// The server is about to end the connection, and why.
    Bye(Error),
    /// Anything else.
    Untagged,
}

impl Driver {
    pub(super) fn new(
        wire: impl Wire + 'static,
        is_ipv6: bool,
        config: &config::Mailbox,
        credential: &Credential,
    ) -> Self {
        Self {
            client: Client::new(Line::new(wire)),
            commands: 0,
            exists: None,
            has_news: false,
            uidvalidity: None,
            command_timeout: config.command_timeout,
            stall_timeout: config.stall_timeout,
            username: config.username.clone(),
            by_token: credential.is_token(),
            is_ipv6,
        }
    }

    /// Whether the connection goes over IPv6.
    pub(super) fn is_ipv6(&self) -> bool {
        self.is_ipv6
    }

    /// Reads the server's greeting, and the capabilities if it carries them.
    pub(super) async fn greeting(&mut self, limit: Duration) -> Result<Option<Capabilities>, Error> {
        let during = "the greeting";
        let read = timeout(limit, unpanicked(self.client.read_response()))
            .await
            .map_err(|_| Error::Timeout { during, limit })?;
        let response = self.arrived(during, read)?;
        match response.parsed() {
            Response::Data { status: Status::Ok, .. } => Ok(Capabilities::read(response.parsed())),
            Response::Data { status: Status::PreAuth, .. } => Err(Error::PreAuthenticated),
            Response::Data { status: Status::Bye, outcome } => Err(self.failure(during, None, outcome)),
            _ => Err(Error::Unreadable { during }),
        }
    }

    /// Runs a command and shows `each` every response that comes before its end, and the tagged OK itself.
    ///
    /// `name` goes to the log and into errors; `arguments` go nowhere but to the server. The whole command is
    /// limited by `command_timeout`.
    pub(super) async fn run(
        &mut self,
        name: &'static str,
        arguments: &str,
        each: impl FnMut(&Response<'_>),
    ) -> Result<(), Error> {
        let line = if arguments.is_empty() { name.to_owned() } else { format!("{name} {arguments}") };
        self.run_lines(name, &[line], self.command_timeout, each).await
    }

    /// Runs a command of several lines, each but the first sent when the server asks for it with `+`: literals,
    /// and the steps of an authentication.
    pub(super) async fn run_lines(
        &mut self,
        name: &'static str,
        lines: &[String],
        limit: Duration,
        mut each: impl FnMut(&Response<'_>),
    ) -> Result<(), Error> {
        self.catch_up(name)?;
        self.exchange(name, lines, limit, |response| {
            each(response);
            None::<((), &[u8])>
        })
        .await
        .map(drop)
    }

    /// Runs a command as [`run`](Self::run) does, and leaves out lines about messages that cannot be read. Tells how
    /// many there were.
    pub(super) async fn run_sifted(
        &mut self,
        name: &'static str,
        arguments: &str,
        each: impl FnMut(&Response<'_>),
    ) -> Result<usize, Error> {
        self.client.get_mut().sift();
        let ran = self.run(name, arguments, each).await;
        let left_out = self.client.get_mut().stop_sifting();
        ran.map(|()| left_out)
    }

    /// Runs `UID FETCH arguments` and keeps the bytes that `pick` points out, which must lie in the response.
    ///
    /// `expected` bytes may take their time; silence for `stall_timeout` ends the command, and so do literals that
    /// come to more than `allowed` bytes.
    pub(super) async fn download<K>(
        &mut self,
        arguments: &str,
        expected: u64,
        allowed: u64,
        pick: impl for<'r> FnMut(&'r Response<'_>) -> Option<(K, &'r [u8])>,
    ) -> Result<Vec<(K, Vec<u8>)>, Error> {
        let limit = self.command_timeout + Duration::from_secs(expected / SLOWEST_BYTES_PER_SECOND);
        let line = self.client.get_mut();
        line.limit_silence(Some(self.stall_timeout));
        line.limit_literals(Some(allowed));
        let kept = self.exchange("UID FETCH", &[format!("UID FETCH {arguments}")], limit, pick).await;
        // Other commands may be silent for as long as they take: a MOVE of many messages is.
        self.client.get_mut().limit_silence(None);
        kept
    }

    /// How many messages the selected folder has, as far as the server has told.
    pub(super) fn exists(&self) -> Option<u32> {
        self.exists
    }

    /// Takes note of what the UIDs of the selected folder belong to. Should the server say otherwise later, they have
    /// lost their meaning, and the session ends.
    pub(super) fn opened(&mut self, uidvalidity: UidValidity) {
        self.uidvalidity = Some(uidvalidity);
    }

    /// Whether a folder is open.
    pub(super) fn has_folder(&self) -> bool {
        self.uidvalidity.is_some()
    }

    /// Forgets the folder that was selected.
    pub(super) fn forget_folder(&mut self) {
        self.exists = None;
        self.has_news = false;
        self.uidvalidity = None;
    }

    /// Takes note that the end of the folder is asked for now: all that has been told of before will be shown.
    pub(super) fn begin_listing(&mut self, during: &'static str) -> Result<(), Error> {
        self.catch_up(during)?;
        self.has_news = false;
        Ok(())
    }

    /// Whether the server has told of messages since then, or since the folder was opened.
    pub(super) fn has_news(&self) -> bool {
        self.has_news
    }

    /// Limit of one command.
    pub(super) fn command_timeout(&self) -> Duration {
        self.command_timeout
    }

    /// Reads what the server has said since the last command and that has arrived. UIDs that have lost their meaning
    /// meanwhile must not be in the next.
    pub(super) fn catch_up(&mut self, during: &'static str) -> Result<(), Error> {
        // Nobody has asked for mail.
        self.client.get_mut().limit_literals(None);
        while let Some(read) = unpanicked(self.client.read_response()).now_or_never() {
            let response = self.arrived(during, read)?;
            match response.parsed() {
                Response::Done { .. } | Response::Continue(_) => return Err(Error::Unreadable { during }),
                Response::Data { status: Status::Bye, outcome } => {
                    return Err(self.failure(during, None, outcome));
                }
                untagged => self.heed(during, untagged)?,
            }
        }
        Ok(())
    }

    async fn exchange<K>(
        &mut self,
        name: &'static str,
        lines: &[String],
        limit: Duration,
        pick: impl for<'r> FnMut(&'r Response<'_>) -> Option<(K, &'r [u8])>,
    ) -> Result<Vec<(K, Vec<u8>)>, Error> {
        tracing::debug!(command = name, "IMAP command");
        timeout(limit, self.converse(name, lines, pick))
            .await
            .unwrap_or(Err(Error::Timeout { during: name, limit }))
    }

    async fn converse<K>(
        &mut self,
        during: &'static str,
        lines: &[String],
        mut pick: impl for<'r> FnMut(&'r Response<'_>) -> Option<(K, &'r [u8])>,
    ) -> Result<Vec<(K, Vec<u8>)>, Error> {
        let mut lines = lines.iter();
        let tag = self.begin(during, lines.next().map_or("", String::as_str)).await?;

        let mut kept = Vec::new();
        let mut bye = None;
        loop {
            let read = unpanicked(self.client.read_response()).await;
            let response = self.arrived(during, read).map_err(|error| told(&mut bye, error))?;
            let heard = self.judge(during, &tag, response.parsed());
            match heard.map_err(|error| told(&mut bye, error))? {
                Heard::Done => {
                    pick(response.parsed());
                    return Ok(kept);
                }
                Heard::GoOn => {
                    let Some(line) = lines.next() else { return Err(Error::Unreadable { during }) };
                    self.send(during, line).await?;
                }
                Heard::Bye(error) => bye = Some(error),
                Heard::Untagged => {
                    if let Some((key, bytes)) = pick(response.parsed()) {
                        let length = bytes.len();
                        let start =
                            bytes.as_ptr().addr().wrapping_sub(response.borrow_owner().as_ptr().addr());
                        let bytes = cut(response.into_owner().into(), start, length);
                        kept.push((key, bytes.ok_or(Error::Unreadable { during })?));
                    }
                }
            }
        }
    }

    /// Sends the first line of a command, and gives its tag.
    pub(super) async fn begin(&mut self, during: &'static str, line: &str) -> Result<String, Error> {
        self.commands += 1;
        let tag = format!("P{}", self.commands);
        self.send(during, &format!("{tag} {line}")).await?;
        Ok(tag)
    }

    /// Waits for the next response to the command with this tag. Nothing is lost when the future is dropped.
    pub(super) async fn hear(&mut self, during: &'static str, tag: &str) -> Result<Heard, Error> {
        let read = unpanicked(self.client.read_response()).await;
        let response = self.arrived(during, read)?;
        self.judge(during, tag, response.parsed())
    }

    /// Sends a line of the command that runs.
    pub(super) async fn send(&mut self, during: &'static str, line: &str) -> Result<(), Error> {
        let wire = self.client.get_mut();
        let sent = match wire.write_all(format!("{line}\r\n").as_bytes()).await {
            Ok(()) => wire.flush().await,
            failed => failed,
        };
        sent.map_err(|error| self.broken(during, &error))
    }

    /// What was read, or why there is nothing: the end of the connection is an error.
    fn arrived<R>(&self, during: &'static str, read: io::Result<Option<R>>) -> Result<R, Error> {
        match read {
            Ok(Some(response)) => Ok(response),
            Ok(None) => Err(Error::Closed { during, said: None }),
            Err(error) => Err(self.broken(during, &error)),
        }
    }

    /// Tells what a response is to the command with this tag, and takes note of what it says. The command's failure,
    /// and an answer to another, is an error.
    fn judge(&mut self, during: &'static str, tag: &str, response: &Response<'_>) -> Result<Heard, Error> {
        match response {
            Response::Done { tag: answered, .. } if answered.0 != tag => Err(Error::Unreadable { during }),
            Response::Done { status: Status::Ok, .. } => {
                self.heed(during, response)?;
                Ok(Heard::Done)
            }
            Response::Done { status, outcome, .. } => {
                let answer = if *status == Status::No { Answer::No } else { Answer::Bad };
                Err(self.failure(during, Some(answer), outcome))
            }
            Response::Continue(_) => Ok(Heard::GoOn),
            Response::Data { status: Status::Bye, outcome } => {
                Ok(Heard::Bye(self.failure(during, None, outcome)))
            }
            untagged => {
                self.heed(during, untagged)?;
                Ok(Heard::Untagged)
            }
        }
    }

    /// Takes note of what a response says of the open folder, whoever asked.
    fn heed(&mut self, during: &'static str, response: &Response<'_>) -> Result<(), Error> {
        match response {
            Response::MailboxData(MailboxDatum::Exists(messages)) => {
                // Fewer, without an EXPUNGE for each: then nothing is known.
                self.has_news |= self.exists.is_some_and(|known| known != *messages);
                self.exists = Some(*messages);
            }
            Response::Expunge(_) => self.exists = self.exists.map(|messages| messages.saturating_sub(1)),
            _ => {}
        }
        match (code(response), self.uidvalidity) {
            (Some(ResponseCode::UidValidity(now)), Some(opened)) if *now != opened.0 => {
                Err(Error::Renumbered { during })
            }
            _ => Ok(()),
        }
    }

    /// What a refusal comes to, or, without an answer, a BYE.
    fn failure(&self, during: &'static str, answer: Option<Answer>, outcome: &Outcome<'_>) -> Error {
        let text = outcome.information.as_deref();
        match (text.map(Meaning::of), answer) {
            (Some(Meaning::Throttled(pause)), _) => Error::Throttled { during, pause },
            (Some(Meaning::TokenExpired), _) => Error::TokenExpired { during },
            (Some(Meaning::NotConnected), _) => {
                Error::NotConnected { during, by_token: self.by_token, is_ipv6: self.is_ipv6 }
            }
            (Some(Meaning::WrongState), Some(_)) => Error::WrongState { during },
            (_, answer) => {
                let said = text.map(|text| ServerText::new(text, &self.username));
                match answer {
                    Some(answer) => Error::Refused { during, answer, said },
                    None => Error::Closed { during, said },
                }
            }
        }
    }

    fn broken(&self, during: &'static str, error: &io::Error) -> Error {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Error::Closed { during, said: None },
            io::ErrorKind::FileTooLarge => Error::TooMuch { during },
            io::ErrorKind::TimedOut => Error::Timeout { during, limit: self.stall_timeout },
            // The parser's errors are `Other`, and so are those of OpenSSL, which alone have a cause: a peer
            // that vanishes without a TLS goodbye is one.
            io::ErrorKind::Other if error.get_ref().is_none_or(|error| error.source().is_none()) => {
                Error::Unreadable { during }
            }
            kind => Error::Io { during, kind },
        }
    }
}

/// Why a command failed: if there was a BYE before, by what that said.
fn told(bye: &mut Option<Error>, error: Error) -> Error {
    if error.remedy() == Remedy::Retry { bye.take().unwrap_or(error) } else { error }
}

/// Awaits a response. imap-proto 0.17 panics on a few lines that no good server sends (INTERNALDATE NIL, for
/// one): that is one more way of being unreadable, not a reason to die.
async fn unpanicked<R>(reading: impl Future<Output = io::Result<Option<R>>>) -> io::Result<Option<R>> {
    AssertUnwindSafe(reading).catch_unwind().await.unwrap_or_else(|_| Err(io::ErrorKind::Other.into()))
}

/// Cuts `length` bytes out of a response's buffer in place, so that a large mail is never in memory twice.
fn cut(mut buffer: Vec<u8>, start: usize, length: usize) -> Option<Vec<u8>> {
    if length == 0 {
        return Some(Vec::new());
    }
    let end = start.checked_add(length).filter(|&end| end <= buffer.len())?;
    buffer.truncate(end);
    buffer.drain(..start);
    buffer.shrink_to_fit();
    Some(buffer)
}

#[cfg(test)]
mod tests;

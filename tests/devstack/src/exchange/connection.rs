//! Connections: reading commands, asking the scripts, answering.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::TcpStream;
use tokio_native_tls::{TlsAcceptor, TlsStream};

use super::command::Command;
use super::habits::Habits;
use super::mailbox::Mailbox;
use super::reaction::Reaction;
use super::session::{Answer, Session};

const GREETING: &[u8] = b"* OK The Microsoft Exchange IMAP4 service is ready. [UABPAFMAVABSAE8ATwBNAA==]\r\n";
pub(super) const PASSWORD: &str = "correct-horse-battery";

/// Decides on a command before it is obeyed, and may change the mailbox on that occasion.
pub(super) type Script = Box<dyn FnMut(&Command, &mut Mailbox) -> Option<Reaction> + Send>;

/// What all connections share.
pub(super) struct State {
    pub(super) mailbox: Mailbox,
    pub(super) habits: Habits,
    pub(super) scripts: Vec<Script>,
    pub(super) commands: Vec<Command>,
    /// How many connections are open, …
    open: usize,
    /// … and how many were at most.
    pub(super) most_open: usize,
}

impl State {
    pub(super) fn new(habits: Habits) -> Self {
        Self {
            mailbox: Mailbox::new(),
            habits,
            scripts: Vec::new(),
            commands: Vec::new(),
            open: 0,
            most_open: 0,
        }
    }
}

pub(super) async fn serve(tcp: TcpStream, state: Arc<Mutex<State>>, tls: TlsAcceptor) {
    // Answers come in small pieces.
    let _ = tcp.set_nodelay(true);
    if let Ok(stream) = tls.accept(tcp).await {
        lock(&state).opened();
        // A client that breaks off is what tests do here. The connection ends, that is all.
        let _ = converse(BufStream::new(stream), &state).await;
        lock(&state).open -= 1;
    }
}

async fn converse(mut stream: BufStream<TlsStream<TcpStream>>, state: &Mutex<State>) -> Result<()> {
    let mut session = Session::default();
    stream.write_all(GREETING).await?;
    stream.flush().await?;
    while let Some(command) = Command::read(&mut stream).await? {
        let reply = lock(state).react(command, &mut session);
        stream.write_all(&reply.bytes).await?;
        stream.flush().await?;
        match reply.then {
            Then::GoOn => {}
            Then::Close => break,
            Then::FallSilent => stream.read_to_end(&mut Vec::new()).await.map(drop)?,
        }
    }
    stream.shutdown().await?;
    Ok(())
}

/// What goes to the client, and what becomes of the connection.
struct Reply {
    bytes: Vec<u8>,
    then: Then,
}

#[derive(PartialEq, Eq)]
enum Then {
    GoOn,
    Close,
    FallSilent,
}

impl State {
    fn opened(&mut self) {
        self.open += 1;
        self.most_open = self.most_open.max(self.open);
    }

    fn react(&mut self, mut command: Command, session: &mut Session) -> Reply {
        command.uidvalidity = session.uidvalidity();
        self.commands.push(command.clone());
        let mailbox = &mut self.mailbox;
        let reaction = self.scripts.iter_mut().rev().find_map(|script| script(&command, mailbox));
        let mut obeyed = || session.obey(&command, &mut self.mailbox, &self.habits, PASSWORD);
        let tag = &command.tag;
        match reaction {
            None => Reply::of(tag, obeyed()),
            Some(Reaction::Answer(tagged)) => Reply::of(tag, Answer::tagged(&tagged)),
            Some(Reaction::AnswerAndClose(tagged)) => {
                let mut reply = Reply::of(tag, Answer::tagged(&tagged)).and(&["* BYE Connection closed. 14"]);
                reply.then = Then::Close;
                reply
            }
            Some(Reaction::Close(text)) => {
                let bye = if text.is_empty() { String::new() } else { format!("* BYE {text}\r\n") };
                Reply { bytes: bye.into_bytes(), then: Then::Close }
            }
            Some(Reaction::Silence) => Reply { bytes: Vec::new(), then: Then::FallSilent },
            Some(Reaction::Cut(length)) => {
                let mut reply = Reply::of(tag, obeyed());
                reply.bytes.truncate(length);
                reply.then = Then::Close;
                reply
            }
            Some(Reaction::Deny(tagged)) => Reply::of(tag, Answer { tagged, ..obeyed() }),
            Some(Reaction::Chatter(lines)) => {
                Reply::of(tag, lines.iter().fold(obeyed(), |answer, line| answer.line(line)))
            }
            Some(Reaction::Push(lines)) => Reply::of(tag, obeyed()).and(&lines),
        }
    }
}

impl Reply {
    fn of(tag: &str, answer: Answer) -> Self {
        let mut bytes = answer.untagged;
        bytes.extend(format!("{tag} {}\r\n", answer.tagged).bytes());
        Self { bytes, then: if answer.ends { Then::Close } else { Then::GoOn } }
    }

    fn and<S: fmt::Display>(mut self, lines: &[S]) -> Self {
        for line in lines {
            self.bytes.extend(format!("{line}\r\n").bytes());
        }
        self
    }
}

pub(super) fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

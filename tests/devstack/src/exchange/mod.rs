//! A mail server that behaves like Exchange Online, and misbehaves as told.
//!
//! No real server can be made to lie, break off and refuse at a given moment. This one is a mailbox in memory with
//! Exchange's habits ([`Habits`]); each message has its own faults ([`Body`]), and scripts put a [`Reaction`] in place
//! of obedience. It records every command that it is given.

mod command;
mod connection;
mod fetch;
mod habits;
mod mailbox;
mod reaction;
mod session;

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio_native_tls::TlsAcceptor;

pub use self::command::Command;
pub use self::habits::{CopyUid, Habits};
pub use self::mailbox::{Body, MailFolder, Mailbox, Message};
pub use self::reaction::Reaction;

use self::connection::{PASSWORD, State, lock};
use crate::authority::Authority;
use crate::folder::Folder;
use crate::poll;

const USER: &str = "support@example.com";

/// A running server with one account. It lives in the runtime that started it; dropped, it closes its port and its
/// connections.
pub struct Exchange {
    state: Arc<Mutex<State>>,
    address: SocketAddr,
    ca_pem_path: PathBuf,
    server: JoinHandle<()>,
    _folder: Folder,
}

impl Exchange {
    /// Starts a server on a free port of loopback. It is certified for `localhost`.
    pub async fn start(habits: Habits) -> Result<Self> {
        let authority = Authority::new()?;
        let acceptor = authority.acceptor("localhost")?;
        let folder = Folder::new("exchange")?;
        let ca_pem_path = folder.write("ca.pem", authority.pem())?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("listening")?;
        let address = listener.local_addr()?;
        let state = Arc::new(Mutex::new(State::new(habits)));
        let server = tokio::spawn(serve(listener, Arc::clone(&state), acceptor));
        Ok(Self { state, address, ca_pem_path, server, _folder: folder })
    }

    /// The name to connect to.
    pub fn host(&self) -> &'static str {
        "localhost"
    }

    /// Its port for IMAP over TLS.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The certificate of the authority to trust, as a file.
    pub fn ca_pem_path(&self) -> &Path {
        &self.ca_pem_path
    }

    /// The name to log in with.
    pub fn user(&self) -> &'static str {
        USER
    }

    /// The password to log in with.
    pub fn password(&self) -> &'static str {
        PASSWORD
    }

    /// Puts a message into the inbox as it is, line ends included, and gives its UID.
    pub fn deliver(&self, source: &[u8]) -> Result<u32> {
        self.change(|mailbox| Ok(mailbox.folder("INBOX")?.deliver(source)))
    }

    /// Looks at the mailbox or changes it, as another client would. Connections learn of it with their next command.
    pub fn change<T>(&self, change: impl FnOnce(&mut Mailbox) -> T) -> T {
        change(&mut lock(&self.state).mailbox)
    }

    /// The messages of a folder; none if it does not exist.
    pub fn messages(&self, folder: &str) -> Vec<Message> {
        self.change(|mailbox| {
            mailbox.folder(folder).map(|folder| folder.messages.clone()).unwrap_or_default()
        })
    }

    /// How many messages a folder holds; 0 if it does not exist.
    pub fn count(&self, folder: &str) -> usize {
        self.change(|mailbox| mailbox.folder(folder).map_or(0, |folder| folder.messages.len()))
    }

    /// Waits until a folder holds exactly `count` messages.
    pub async fn wait_for_count(&self, folder: &str, count: usize, limit: Duration) -> Result<()> {
        poll::until(&format!("{folder} to hold {count} messages"), limit, async || {
            let found = self.count(folder);
            ensure!(found == count, "it holds {found}");
            Ok(())
        })
        .await
    }

    /// Takes on other habits from now on.
    pub fn adopt(&self, habits: Habits) {
        lock(&self.state).habits = habits;
    }

    /// Asks `script` about each command from now on, before it is obeyed. The script that was added last is asked
    /// first; `None` leaves the command to the others.
    pub fn script(&self, script: impl FnMut(&Command, &mut Mailbox) -> Option<Reaction> + Send + 'static) {
        lock(&self.state).scripts.push(Box::new(script));
    }

    /// Reacts so to every command whose line has `part` in it, such as `UID MOVE` or `BODY.PEEK[]`.
    pub fn always(&self, part: &'static str, reaction: Reaction) {
        self.script(move |command, _| command.line().contains(part).then(|| reaction.clone()));
    }

    /// … to the first such command only.
    pub fn once(&self, part: &'static str, reaction: Reaction) {
        self.nth(1, part, reaction);
    }

    /// … to the `nth` such command only, counted from 1 and from now on.
    pub fn nth(&self, nth: usize, part: &'static str, reaction: Reaction) {
        let mut come = 0;
        self.script(move |command, _| {
            come += usize::from(command.line().contains(part));
            (come == nth && command.line().contains(part)).then(|| reaction.clone())
        });
    }

    /// Forgets all scripts.
    pub fn behave(&self) {
        lock(&self.state).scripts.clear();
    }

    /// All commands so far, in the order in which they came.
    pub fn commands(&self) -> Vec<Command> {
        lock(&self.state).commands.clone()
    }

    /// How many connections were open at a time, at most.
    pub fn most_open(&self) -> usize {
        lock(&self.state).most_open
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").field("port", &self.port()).finish_non_exhaustive()
    }
}

/// Takes connections until aborted; the connections, being in its set, end with it.
async fn serve(listener: TcpListener, state: Arc<Mutex<State>>, tls: TlsAcceptor) {
    let mut connections = JoinSet::new();
    loop {
        // A failed accept is a client that has already gone away.
        if let Ok((tcp, _)) = listener.accept().await {
            connections.spawn(connection::serve(tcp, Arc::clone(&state), tls.clone()));
        }
        while connections.try_join_next().is_some() {}
    }
}

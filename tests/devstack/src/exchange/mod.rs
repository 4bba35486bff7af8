//! A mail server that behaves like Exchange Online, and misbehaves as told.
//!
//! No real server can be made to lie, break off and refuse at a given moment. This one has mailboxes in memory and
//! Exchange's habits ([`Habits`]); each message has its own faults ([`Body`]), and scripts put a [`Reaction`] in place
//! of obedience. It takes a password or, from an [`Identity`](crate::Identity), access tokens, pushes new mail to
//! whoever idles, and records every command that it is given.

mod accounts;
mod answer;
mod command;
mod connection;
mod fetch;
mod folders;
mod habits;
mod mailbox;
mod open;
mod reaction;
mod sasl;
mod session;
mod state;

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio_native_tls::TlsAcceptor;

pub use self::command::Command;
pub use self::habits::{CopyUid, Habits, Idle};
pub use self::mailbox::{Body, MailFolder, Mailbox, Message};
pub use self::reaction::Reaction;

use self::accounts::{Accounts, PASSWORD};
use self::state::{State, lock};
use crate::authority::Authority;
use crate::folder::Folder;
use crate::identity::Tokens;
use crate::poll;

const USER: &str = "support@example.com";

/// A running server. It lives in the runtime that started it; dropped, it closes its port and its
/// connections.
///
/// Every user has a mailbox of its own, made when it is first asked for. Where no user is named, the one of
/// [`user`](Self::user) is meant.
pub struct Exchange {
    state: Arc<Mutex<State>>,
    user: String,
    address: SocketAddr,
    ca_pem_path: PathBuf,
    server: JoinHandle<()>,
    _folder: Folder,
}

impl Exchange {
    /// Starts a server on a free port of loopback that takes a password. It is certified for `localhost`.
    pub async fn start(habits: Habits) -> Result<Self> {
        Self::start_for(habits, USER, None).await
    }

    /// Starts one that takes access tokens and, as Microsoft's, no password. A user may open its own mailbox, and
    /// others' by [`permit`](Self::permit).
    pub async fn with_tokens(habits: Habits, tokens: Tokens, user: &str) -> Result<Self> {
        Self::start_for(habits, user, Some(tokens)).await
    }

    async fn start_for(habits: Habits, user: &str, tokens: Option<Tokens>) -> Result<Self> {
        let authority = Authority::new()?;
        let acceptor = authority.acceptor("localhost")?;
        let folder = Folder::new("exchange")?;
        let ca_pem_path = folder.write("ca.pem", authority.pem())?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("listening")?;
        let address = listener.local_addr()?;
        let state = Arc::new(Mutex::new(State::new(habits, Accounts::new(user, tokens))));
        let server = tokio::spawn(serve(listener, Arc::clone(&state), acceptor));
        Ok(Self { state, user: user.to_owned(), address, ca_pem_path, server, _folder: folder })
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
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The password to log in with.
    pub fn password(&self) -> &'static str {
        PASSWORD
    }

    /// Puts a message into the inbox as it is, line ends included, and gives its UID.
    pub fn deliver(&self, source: &[u8]) -> Result<u32> {
        self.change(|mailbox| Ok(mailbox.folder("INBOX")?.deliver(source)))
    }

    /// … into that of this user.
    pub fn deliver_to(&self, user: &str, source: &[u8]) -> Result<u32> {
        self.change_for(user, |mailbox| Ok(mailbox.folder("INBOX")?.deliver(source)))
    }

    /// Looks at the mailbox or changes it, as another client would. Connections learn of it with their next command,
    /// or at once if they idle.
    pub fn change<T>(&self, change: impl FnOnce(&mut Mailbox) -> T) -> T {
        self.change_for(&self.user, change)
    }

    /// … that of this user.
    pub fn change_for<T>(&self, user: &str, change: impl FnOnce(&mut Mailbox) -> T) -> T {
        lock(&self.state).accounts.change(user, change)
    }

    /// Gives somebody full access to a user's mailbox: an account by its address, an application by its client id.
    pub fn permit(&self, who: &str, user: &str) {
        lock(&self.state).accounts.permit(who, user);
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

    /// When each connection so far was taken.
    pub fn connections(&self) -> Vec<Instant> {
        lock(&self.state).connections.clone()
    }

    /// How many connections are in an IDLE.
    pub fn idling(&self) -> usize {
        lock(&self.state).accounts.idling()
    }

    /// Waits until at least `count` connections have been taken.
    pub async fn wait_for_connections(&self, count: usize, limit: Duration) -> Result<()> {
        poll::until(&format!("{count} connections"), limit, async || {
            let taken = lock(&self.state).connections.len();
            ensure!(taken >= count, "{taken} have been taken");
            Ok(())
        })
        .await
    }

    /// Waits until at least `count` connections are in an IDLE.
    pub async fn wait_for_idling(&self, count: usize, limit: Duration) -> Result<()> {
        poll::until(&format!("{count} connections to idle"), limit, async || {
            let idling = self.idling();
            ensure!(idling >= count, "{idling} do");
            Ok(())
        })
        .await
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

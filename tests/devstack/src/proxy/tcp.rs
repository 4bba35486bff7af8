//! A proxy that understands nothing of what passes, but for a COMMIT.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, split};
use tokio::net::{TcpStream, UnixStream};

use super::commit;
use super::commit::{Ambush, CommitFault, Transaction};
use super::gate::{Gate, Relay};
use super::valve::{Direction, Valve};

const CHUNK: usize = 64 * 1024;

/// A port of 127.0.0.1 that leads to a server, as long as a test lets it. Dropped, it closes.
#[derive(Debug)]
pub struct TcpProxy {
    gate: Gate,
    line: Arc<Line>,
}

/// Where it leads, and what is to happen on the way.
#[derive(Debug)]
struct Line {
    server: Server,
    ambush: Ambush,
}

#[derive(Debug)]
enum Server {
    Port(u16),
    Socket(PathBuf),
}

impl TcpProxy {
    /// Leads to a port of 127.0.0.1.
    pub async fn to_port(port: u16) -> Result<Self> {
        Self::to(Server::Port(port)).await
    }

    /// Leads to a Unix socket.
    pub(crate) async fn to_socket(path: PathBuf) -> Result<Self> {
        Self::to(Server::Socket(path)).await
    }

    async fn to(server: Server) -> Result<Self> {
        let line = Arc::new(Line { server, ambush: Ambush::default() });
        Ok(Self { gate: Gate::open(Arc::clone(&line)).await?, line })
    }

    /// The port that clients connect to.
    pub fn port(&self) -> u16 {
        self.gate.port()
    }

    /// How many connections it has taken.
    pub fn taken(&self) -> usize {
        self.gate.taken()
    }

    /// Lets everything pass again: ends stalls, delays, refusals and what was to come.
    pub fn pass(&self) {
        self.line.ambush.lift();
        self.gate.refuse(false);
        self.gate.valve().pass();
    }

    /// Closes all connections now.
    pub fn cut(&self) {
        self.gate.cut();
    }

    /// Resets all connections now.
    pub fn reset(&self) {
        self.gate.reset();
    }

    /// Carries nothing more over the connections that there are now, as a firewall does that has forgotten them.
    /// Nobody is told, and new connections pass.
    pub fn forget(&self) {
        self.gate.forget();
    }

    /// Resets every new connection at once.
    pub fn refuse(&self) {
        self.gate.refuse(true);
    }

    /// Holds what goes in this direction. Connections stay open.
    pub fn stall(&self, direction: Direction) {
        self.gate.valve().stall(direction);
    }

    /// Delays each piece that passes, in both directions.
    pub fn delay(&self, delay: Duration) {
        self.gate.valve().delay(delay);
    }

    /// Cuts the connection over which the last of so many more bytes goes in this direction.
    pub fn cut_after(&self, direction: Direction, bytes: usize) {
        self.gate.valve().cut_after(direction, bytes);
    }

    /// Makes trouble at the `nth` COMMIT from now, counted from 1 over all connections to PostgreSQL.
    pub fn at_commit(&self, nth: usize, fault: CommitFault) {
        self.line.ambush.set(nth, "", fault);
    }

    /// Makes trouble at the next COMMIT of a transaction in which the client said `statement`, or the beginning of
    /// it. A client that prepares statements says each only once on a connection.
    pub fn at_commit_of(&self, statement: &'static str, fault: CommitFault) {
        self.line.ambush.set(1, statement, fault);
    }

    /// How many faults that were to come have come: cuts after bytes, trouble at a COMMIT.
    pub fn strikes(&self) -> usize {
        self.gate.valve().strikes()
    }

    /// Waits until so many have come.
    pub async fn wait_for_strikes(&self, count: usize, limit: Duration) -> Result<()> {
        self.gate.valve().wait_for_strikes(count, limit).await
    }
}

impl Relay for Line {
    async fn carry(&self, client: &mut TcpStream, valve: &Valve) -> Result<()> {
        match &self.server {
            Server::Port(port) => {
                let server = TcpStream::connect(("127.0.0.1", *port)).await?;
                server.set_nodelay(true)?;
                self.between(client, server, valve).await
            }
            Server::Socket(path) => self.between(client, UnixStream::connect(path).await?, valve).await,
        }
    }
}

impl Line {
    async fn between(
        &self,
        client: &mut TcpStream,
        server: impl AsyncRead + AsyncWrite + Send + Unpin,
        valve: &Valve,
    ) -> Result<()> {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = split(server);
        // Set between a COMMIT and its answer, if that is the moment.
        let answer = Mutex::new(None);
        tokio::select! {
            ended = self.ask(from_client, to_server, valve, &answer) => ended,
            ended = reply(from_server, to_client, valve, &answer) => ended,
        }
    }

    async fn ask(
        &self,
        mut client: impl AsyncRead + Unpin,
        mut server: impl AsyncWrite + Unpin,
        valve: &Valve,
        answer: &Mutex<Option<CommitFault>>,
    ) -> Result<()> {
        let mut buffer = vec![0; CHUNK];
        let mut transaction = Transaction::default();
        loop {
            let length = client.read(&mut buffer).await?;
            let bytes = buffer.get(..length).unwrap_or_default();
            if bytes.is_empty() {
                return Ok(());
            }
            match self.ambush.strike(bytes, &mut transaction) {
                Some((at, CommitFault::Lost)) => {
                    let before = bytes.get(..at).unwrap_or_default();
                    let _ = valve.write(Direction::ToServer, before, &mut server).await?;
                    valve.strike();
                    return Ok(());
                }
                Some((_, CommitFault::Stalled)) => {
                    valve.stall(Direction::ToServer);
                    valve.strike();
                }
                Some((_, fault)) => *lock(answer) = Some(fault),
                None => {}
            }
            if valve.write(Direction::ToServer, bytes, &mut server).await?.is_break() {
                return Ok(());
            }
        }
    }
}

async fn reply(
    mut server: impl AsyncRead + Unpin,
    mut client: impl AsyncWrite + Unpin,
    valve: &Valve,
    answer: &Mutex<Option<CommitFault>>,
) -> Result<()> {
    let mut buffer = vec![0; CHUNK];
    loop {
        let length = server.read(&mut buffer).await?;
        let bytes = buffer.get(..length).unwrap_or_default();
        if bytes.is_empty() {
            return Ok(());
        }
        let fault = if commit::is_done(bytes) { lock(answer).take() } else { None };
        if fault == Some(CommitFault::AnswerStalled) {
            valve.stall(Direction::ToClient);
        }
        if fault.is_some() {
            valve.strike();
        }
        if fault == Some(CommitFault::Unanswered) {
            return Ok(());
        }
        if valve.write(Direction::ToClient, bytes, &mut client).await?.is_break() {
            return Ok(());
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

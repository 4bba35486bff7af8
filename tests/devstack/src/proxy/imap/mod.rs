//! A proxy that speaks IMAP with both sides, each over TLS, and makes trouble with chosen commands.

mod fault;
mod wire;

use std::ops::ControlFlow;
use std::ops::ControlFlow::{Break, Continue};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::{AsyncRead, AsyncWrite, ReadHalf, WriteHalf, split};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_native_tls::{TlsAcceptor, TlsConnector};

pub use self::fault::Fault;

use self::fault::Script;
use self::wire::{Piece, Wire};
use super::gate::{Gate, Relay};
use super::valve::{Direction, Valve};
use crate::dovecot::Dovecot;

/// A port of 127.0.0.1, certified as Dovecot is, that leads to that Dovecot as long as a test lets it. Dropped, it
/// closes.
///
/// Bytes are counted as IMAP has them, without TLS.
#[derive(Debug)]
pub struct ImapProxy {
    gate: Gate,
    line: Arc<Line>,
}

struct Line {
    host: &'static str,
    port: u16,
    acceptor: TlsAcceptor,
    connector: TlsConnector,
    script: Script,
    /// Counts releases of what was stalled.
    releases: watch::Sender<u64>,
}

impl ImapProxy {
    /// Leads to `dovecot`, under the name of that server and with a certificate by its authority.
    pub async fn to(dovecot: &Dovecot) -> Result<Self> {
        let acceptor = dovecot.authority().acceptor(dovecot.host())?;
        let authority = native_tls::Certificate::from_pem(dovecot.authority().pem())?;
        let connector = native_tls::TlsConnector::builder().add_root_certificate(authority).build()?;
        let line = Arc::new(Line {
            host: dovecot.host(),
            port: dovecot.port(),
            acceptor,
            connector: connector.into(),
            script: Script::default(),
            releases: watch::Sender::new(0),
        });
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

    /// Makes trouble with the next command that begins like this, its tag aside.
    pub fn at(&self, command: &'static str, fault: Fault) {
        self.line.script.add(command, 0, fault);
    }

    /// Makes trouble with such a command after `before` that go well.
    pub fn after(&self, before: usize, command: &'static str, fault: Fault) {
        self.line.script.add(command, before, fault);
    }

    /// Hides these capabilities from clients. The server still obeys the commands.
    pub fn hide(&self, capabilities: &[&'static str]) {
        self.line.script.hide(capabilities);
    }

    /// Cuts the connection over which the last of so many more bytes goes in this direction.
    pub fn cut_after(&self, direction: Direction, bytes: usize) {
        self.gate.valve().cut_after(direction, bytes);
    }

    /// Holds what goes in this direction. Connections stay open.
    pub fn stall(&self, direction: Direction) {
        self.gate.valve().stall(direction);
    }

    /// Closes all connections now.
    pub fn cut(&self) {
        self.gate.cut();
    }

    /// Resets all connections now.
    pub fn reset(&self) {
        self.gate.reset();
    }

    /// Resets every new connection at once.
    pub fn refuse(&self) {
        self.gate.refuse(true);
    }

    /// Lets commands and answers go that are stalled now.
    pub fn release(&self) {
        self.line.releases.send_modify(|count| *count += 1);
    }

    /// Forgets all trouble that is still to come, and lets everything pass again. Capabilities stay hidden.
    pub fn pass(&self) {
        self.line.script.clear();
        self.gate.refuse(false);
        self.gate.valve().pass();
        self.release();
    }

    /// How many faults have taken place.
    pub fn strikes(&self) -> usize {
        self.gate.valve().strikes()
    }

    /// Waits until so many have.
    pub async fn wait_for_strikes(&self, count: usize, limit: Duration) -> Result<()> {
        self.gate.valve().wait_for_strikes(count, limit).await
    }

    /// All commands so far, without their tags and what follows their first line. Also those that never reached the
    /// server.
    pub fn commands(&self) -> Vec<String> {
        self.line.script.commands()
    }
}

// By hand: TLS has nothing to show.
impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Line").field("port", &self.port).field("script", &self.script).finish_non_exhaustive()
    }
}

impl Relay for Line {
    async fn carry(&self, client: &mut TcpStream, valve: &Valve) -> Result<()> {
        let client = self.acceptor.accept(client).await?;
        let server = TcpStream::connect(("127.0.0.1", self.port)).await?;
        server.set_nodelay(true)?;
        let server = self.connector.connect(self.host, server).await?;
        let ((from_client, to_client), (from_server, to_server)) = (split(client), split(server));
        let conversation = Conversation {
            line: self,
            valve,
            client: Wire::new(from_client),
            server: Wire::new(from_server),
            to_client,
            to_server,
            trouble: None,
        };
        conversation.carry().await
    }
}

/// One connection. A single loop carries both directions: IMAP takes turns.
struct Conversation<'a, C, S> {
    line: &'a Line,
    valve: &'a Valve,
    client: Wire<ReadHalf<C>>,
    server: Wire<ReadHalf<S>>,
    to_client: WriteHalf<C>,
    to_server: WriteHalf<S>,
    /// What is to happen to the answer that is under way.
    trouble: Option<Trouble>,
}

/// A fault that waits for the answer to a command.
struct Trouble {
    tag: String,
    fault: Fault,
    /// What the client is to hear later.
    held: Vec<u8>,
}

impl<C: AsyncRead + AsyncWrite, S: AsyncRead + AsyncWrite> Conversation<'_, C, S> {
    async fn carry(mut self) -> Result<()> {
        loop {
            let flow = tokio::select! {
                said = self.client.next() => match said? {
                    Some(piece) => self.command(piece).await?,
                    None => Break(()),
                },
                said = self.server.next() => match said? {
                    Some(piece) => self.response(piece).await?,
                    None => Break(()),
                },
            };
            if flow.is_break() {
                return Ok(());
            }
        }
    }

    async fn command(&mut self, piece: Piece) -> Result<ControlFlow<()>> {
        if let Piece::Start(line) = &piece {
            let line = String::from_utf8_lossy(line);
            let (tag, command) = line.trim_end().split_once(' ').unwrap_or(("", line.trim_end()));
            match self.line.script.hears(command) {
                Some(Fault::CutBefore) => return Ok(self.cut()),
                Some(Fault::Answer(answer)) => {
                    self.valve.strike();
                    let answer = answer.replace("{tag}", tag) + "\r\n";
                    return self.tell_client(answer.as_bytes()).await;
                }
                Some(Fault::Stall) => {
                    let flow = self.stalled().await?;
                    if flow.is_break() {
                        return Ok(flow);
                    }
                }
                Some(fault) => {
                    self.trouble = Some(Trouble { tag: format!("{tag} "), fault, held: Vec::new() });
                }
                None => {}
            }
        }
        Ok(self.valve.write(Direction::ToServer, piece.bytes(), &mut self.to_server).await?)
    }

    async fn response(&mut self, piece: Piece) -> Result<ControlFlow<()>> {
        let piece = match piece {
            Piece::Start(line) => Piece::Start(self.line.script.censor(line)),
            other => other,
        };
        let Some(Trouble { tag, mut fault, mut held }) = self.trouble.take() else {
            return self.tell_client(piece.bytes()).await;
        };
        let ends = matches!(&piece, Piece::Start(line) if line.starts_with(tag.as_bytes()));
        let outcome = match (&mut fault, &piece) {
            (Fault::CutAnswer | Fault::CutBeforeEnd, _) if ends => return Ok(self.cut()),
            (Fault::CutAnswer, _) => Continue(()),
            (Fault::CutInLiteral(left), Piece::Literal(bytes)) => {
                let pass = bytes.len().min(*left);
                *left -= pass;
                let flow = self.tell_client(bytes.get(..pass).unwrap_or_default()).await?;
                if *left == 0 {
                    return Ok(self.cut());
                }
                flow
            }
            (Fault::StallAnswer, _) => {
                held.extend_from_slice(piece.bytes());
                if !ends {
                    Continue(())
                } else if self.stalled().await?.is_break() {
                    Break(())
                } else {
                    self.tell_client(&held).await?
                }
            }
            (Fault::Inject(line), _) if ends => {
                self.valve.strike();
                self.tell_client(&[line.as_bytes(), b"\r\n", piece.bytes()].concat()).await?
            }
            _ => self.tell_client(piece.bytes()).await?,
        };
        self.trouble = (!ends).then_some(Trouble { tag, fault, held });
        Ok(outcome)
    }

    fn cut(&self) -> ControlFlow<()> {
        self.valve.strike();
        Break(())
    }

    async fn tell_client(&mut self, bytes: &[u8]) -> Result<ControlFlow<()>> {
        Ok(self.valve.write(Direction::ToClient, bytes, &mut self.to_client).await?)
    }

    /// Waits for a release, or for the client to go.
    async fn stalled(&mut self) -> Result<ControlFlow<()>> {
        // Before the strike shows: a release that a test sends on seeing it counts.
        let mut releases = self.line.releases.subscribe();
        self.valve.strike();
        tokio::select! {
            changed = releases.changed() => changed.map(Continue).context("the proxy is gone"),
            closed = self.client.closed() => closed.map(Break).context("the client broke off"),
        }
    }
}

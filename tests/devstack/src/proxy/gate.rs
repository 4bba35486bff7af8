//! A port of loopback that clients connect to, and the ends of their connections.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::{Context, Result};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use super::valve::Valve;

/// Carries bytes between a client and its server.
pub(super) trait Relay: Send + Sync + 'static {
    /// Carries until either side, or the valve, ends it. Dropped, it leaves off in the middle.
    fn carry(&self, client: &mut TcpStream, valve: &Valve) -> impl Future<Output = Result<()>> + Send;
}

/// An open port. It lives in the runtime that opened it; dropped, it closes the port and all connections.
#[derive(Debug)]
pub(super) struct Gate {
    port: u16,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    valve: Valve,
    refusing: AtomicBool,
    taken: AtomicUsize,
    /// Counts the ends that a test put to all connections, and says how the last one came.
    cuts: watch::Sender<(u64, Goodbye)>,
}

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Goodbye {
    /// As if the program had closed the connection.
    Fin,
    /// As if the other machine had forgotten about it.
    Reset,
    /// As if something on the way had forgotten about it: nobody hears of the end.
    Silence,
}

impl Gate {
    pub(super) async fn open(relay: Arc<impl Relay>) -> Result<Self> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listener = TcpListener::bind(address).await.context("opening a port for a proxy")?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared {
            valve: Valve::new(),
            refusing: AtomicBool::new(false),
            taken: AtomicUsize::new(0),
            cuts: watch::Sender::new((0, Goodbye::Fin)),
        });
        let task = tokio::spawn(serve(listener, relay, Arc::clone(&shared)));
        Ok(Self { port, shared, task })
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn valve(&self) -> &Valve {
        &self.shared.valve
    }

    /// How many connections were taken so far.
    pub(super) fn taken(&self) -> usize {
        self.shared.taken.load(Ordering::Relaxed)
    }

    /// Whether new connections are reset at once. The port stays ours.
    pub(super) fn refuse(&self, refusing: bool) {
        self.shared.refusing.store(refusing, Ordering::Relaxed);
    }

    pub(super) fn cut(&self) {
        self.end(Goodbye::Fin);
    }

    pub(super) fn reset(&self) {
        self.end(Goodbye::Reset);
    }

    /// Carries nothing more over the connections that there are, and keeps them open.
    pub(super) fn forget(&self) {
        self.end(Goodbye::Silence);
    }

    fn end(&self, goodbye: Goodbye) {
        self.shared.cuts.send_modify(|(count, last)| (*count, *last) = (*count + 1, goodbye));
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, relay: Arc<impl Relay>, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        // A failed accept is a client that has already gone away.
        if let Ok((client, _)) = listener.accept().await {
            if shared.refusing.load(Ordering::Relaxed) {
                let _ = client.set_zero_linger();
                continue;
            }
            shared.taken.fetch_add(1, Ordering::Relaxed);
            // From here on, lest a cut that comes before the task runs is missed.
            let cuts = shared.cuts.subscribe();
            connections.spawn(connection(client, Arc::clone(&relay), Arc::clone(&shared), cuts));
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(
    mut client: TcpStream,
    relay: Arc<impl Relay>,
    shared: Arc<Shared>,
    mut cuts: watch::Receiver<(u64, Goodbye)>,
) {
    let _ = client.set_nodelay(true);
    let mut carry = Box::pin(relay.carry(&mut client, &shared.valve));
    let mut silent = false;
    let goodbye = loop {
        tokio::select! {
            // A server that is away, or a side that breaks, ends the connection, and the other side sees that.
            _ = &mut carry, if !silent => break Goodbye::Fin,
            Ok(()) = cuts.changed() => match cuts.borrow_and_update().1 {
                Goodbye::Silence => silent = true,
                goodbye => break goodbye,
            },
        }
    };
    drop(carry);
    if goodbye == Goodbye::Reset {
        let _ = client.set_zero_linger();
    }
}

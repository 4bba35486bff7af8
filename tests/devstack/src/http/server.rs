//! A server on a free port of loopback that asks one function for its answers.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncRead, AsyncWrite, BufStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio_native_tls::TlsAcceptor;

use super::answer::Answer;
use super::manner::{self, Then};
use super::request::{self, Request};

/// A server, running or stopped. It lives in the runtime that started it; dropped, it closes its port and its
/// connections.
pub(crate) struct Server {
    site: Arc<Site>,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
    task: Option<JoinHandle<()>>,
}

/// What all connections share.
struct Site {
    respond: Box<dyn Fn(Request) -> Answer + Send + Sync>,
    /// Counts releases of held answers.
    releases: watch::Sender<u64>,
    /// How many of the next connections are not read from.
    deaf: AtomicU32,
}

impl Server {
    /// Starts a server that gives each request to `respond`, and speaks TLS if given the means.
    pub(crate) async fn start(
        tls: Option<TlsAcceptor>,
        respond: impl Fn(Request) -> Answer + Send + Sync + 'static,
    ) -> Result<Self> {
        let site = Arc::new(Site {
            respond: Box::new(respond),
            releases: watch::Sender::new(0),
            deaf: AtomicU32::new(0),
        });
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut server = Self { site, address, tls, task: None };
        server.start_again().await?;
        Ok(server)
    }

    /// Scheme, host and port. Where it speaks TLS its name is `localhost`.
    pub(crate) fn url(&self) -> String {
        let (scheme, host) = if self.tls.is_some() { ("https", "localhost") } else { ("http", "127.0.0.1") };
        format!("{scheme}://{host}:{}", self.address.port())
    }

    /// Lets all [held](Answer::held) answers go that are waiting now.
    pub(crate) fn release(&self) {
        self.site.releases.send_modify(|count| *count += 1);
    }

    /// Takes the next connections, so many of them, and never reads what they send.
    pub(crate) fn ignore_next(&self, connections: u32) {
        self.site.deaf.store(connections, Ordering::Relaxed);
    }

    /// Closes its port and all connections: clients are refused.
    pub(crate) async fn stop(&mut self) -> Result<()> {
        let task = self.task.take().context("this server is not running")?;
        task.abort();
        // The port is closed once the task is gone; that it was aborted is no news.
        let _ = task.await;
        Ok(())
    }

    /// Opens it again on the same port.
    pub(crate) async fn start_again(&mut self) -> Result<()> {
        ensure!(self.task.is_none(), "this server is running");
        let listener = TcpListener::bind(self.address)
            .await
            .with_context(|| format!("listening on {}", self.address))?;
        // Known only now if the port was left to the system.
        self.address = listener.local_addr()?;
        self.task = Some(tokio::spawn(serve(listener, Arc::clone(&self.site), self.tls.clone())));
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// Takes connections until aborted; the connections, being in its set, end with it.
async fn serve(listener: TcpListener, site: Arc<Site>, tls: Option<TlsAcceptor>) {
    let mut connections = JoinSet::new();
    loop {
        // A failed accept is a client that has already gone away.
        if let Ok((tcp, _)) = listener.accept().await {
            connections.spawn(connection(tcp, Arc::clone(&site), tls.clone()));
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(mut tcp: TcpStream, site: Arc<Site>, tls: Option<TlsAcceptor>) {
    if site.deaf.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
        // Kept open until the server stops: what matters is that nothing is read.
        let () = std::future::pending().await;
    }
    // A client that breaks off, or breaks the protocol, is what tests do here. The connection ends, that is all.
    match tls {
        None => {
            if let Ok(Then::Reset) = site.converse(&mut tcp).await {
                // Closing then sends an RST.
                let _ = tcp.set_zero_linger();
            }
        }
        Some(acceptor) => {
            if let Ok(stream) = acceptor.accept(tcp).await {
                let _ = site.converse(stream).await;
            }
        }
    }
}

impl Site {
    async fn converse(&self, stream: impl AsyncRead + AsyncWrite + Unpin) -> Result<Then> {
        let mut stream = BufStream::new(stream);
        while let Some(request) = request::read(&mut stream).await? {
            // From before anybody can know of the request: a release that a test sends on seeing it counts.
            let mut releases = self.releases.subscribe();
            let answer = (self.respond)(request);
            if answer.held {
                releases.changed().await?;
            }
            let then = manner::write(&mut stream, &answer).await?;
            if then != Then::Listen {
                return Ok(then);
            }
        }
        Ok(Then::Close)
    }
}

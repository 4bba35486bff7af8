//! A helpdesk that takes webhooks: it records every request, and answers as told.

mod answer;
mod http;
mod manner;

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncRead, AsyncWrite, BufStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio_native_tls::TlsAcceptor;

pub use self::answer::Answer;
pub use self::http::Request;

use self::manner::Then;

use crate::authority::Authority;
use crate::poll;

/// Answers a request.
type Script = Box<dyn FnMut(&Request) -> Answer + Send>;

/// A running helpdesk. It lives in the runtime that started it; dropped, it closes its port and its connections.
pub struct Helpdesk {
    desk: Arc<Desk>,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
    server: Option<JoinHandle<()>>,
}

/// What all connections share.
struct Desk {
    requests: Mutex<Vec<Request>>,
    script: Mutex<Script>,
    /// Counts releases of held answers.
    releases: watch::Sender<u64>,
    /// How many of the next connections are not read from.
    deaf: AtomicU32,
}

impl Helpdesk {
    /// Starts a helpdesk on a free port of loopback that takes everything with a 200.
    pub async fn start() -> Result<Self> {
        Self::start_with(None).await
    }

    /// Starts one that speaks HTTPS as `localhost`, certified by `authority`.
    pub async fn start_tls(authority: &Authority) -> Result<Self> {
        let identity = authority.identify("localhost")?;
        let identity = native_tls::Identity::from_pkcs8(&identity.certificate, &identity.key)?;
        let acceptor = native_tls::TlsAcceptor::new(identity).context("setting up TLS")?;
        Self::start_with(Some(acceptor.into())).await
    }

    /// Its URL: scheme, host, port and a path.
    pub fn url(&self) -> String {
        let (scheme, host) = if self.tls.is_some() { ("https", "localhost") } else { ("http", "127.0.0.1") };
        format!("{scheme}://{host}:{}/hooks/mail", self.address.port())
    }

    /// Answers every request like this from now on.
    pub fn answer(&self, answer: impl Into<Answer>) {
        let answer = answer.into();
        self.answer_with(move |_| answer.clone());
    }

    /// Answers the next requests one by one, and whatever comes after them with a 200.
    pub fn answer_in_turn<A: Into<Answer>>(&self, answers: impl IntoIterator<Item = A>) {
        let answers: Vec<Answer> = answers.into_iter().map(Into::into).collect();
        let mut answers = answers.into_iter();
        self.answer_with(move |_| answers.next().unwrap_or(Answer::status(200)));
    }

    /// Asks `script` for the answer to each request from now on.
    pub fn answer_with(&self, script: impl FnMut(&Request) -> Answer + Send + 'static) {
        *lock(&self.desk.script) = Box::new(script);
    }

    /// Lets all [held](Answer::held) answers go that are waiting now.
    pub fn release(&self) {
        self.desk.releases.send_modify(|count| *count += 1);
    }

    /// Takes the next connections, so many of them, and never reads what they send.
    pub fn ignore_next(&self, connections: u32) {
        self.desk.deaf.store(connections, Ordering::Relaxed);
    }

    /// All requests so far, in the order in which they were read.
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.desk.requests).clone()
    }

    /// Waits until at least `count` requests have come, and returns all.
    pub async fn wait_for(&self, count: usize, limit: Duration) -> Result<Vec<Request>> {
        poll::until(&format!("{count} requests at the helpdesk"), limit, async || {
            // Counted first: copying all of them at every look would be the helpdesk's main work.
            let come = lock(&self.desk.requests).len();
            ensure!(come >= count, "{come} have come");
            Ok(self.requests())
        })
        .await
    }

    /// Closes its port and all connections: clients are refused.
    pub async fn stop(&mut self) -> Result<()> {
        let server = self.server.take().context("this helpdesk is not running")?;
        server.abort();
        // The port is closed once the task is gone; that it was aborted is no news.
        let _ = server.await;
        Ok(())
    }

    /// Opens it again on the same port.
    pub async fn start_again(&mut self) -> Result<()> {
        ensure!(self.server.is_none(), "this helpdesk is running");
        let listener = TcpListener::bind(self.address)
            .await
            .with_context(|| format!("listening on {}", self.address))?;
        // Known only now if the port was left to the system.
        self.address = listener.local_addr()?;
        self.server = Some(tokio::spawn(serve(listener, Arc::clone(&self.desk), self.tls.clone())));
        Ok(())
    }

    async fn start_with(tls: Option<TlsAcceptor>) -> Result<Self> {
        let desk = Arc::new(Desk {
            requests: Mutex::default(),
            script: Mutex::new(Box::new(|_| Answer::status(200))),
            releases: watch::Sender::new(0),
            deaf: AtomicU32::new(0),
        });
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut helpdesk = Self { desk, address, tls, server: None };
        helpdesk.start_again().await?;
        Ok(helpdesk)
    }
}

impl Drop for Helpdesk {
    fn drop(&mut self) {
        if let Some(server) = &self.server {
            server.abort();
        }
    }
}

impl fmt::Debug for Helpdesk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Helpdesk").field("url", &self.url()).finish_non_exhaustive()
    }
}

/// Takes connections until aborted; the connections, being in its set, end with it.
async fn serve(listener: TcpListener, desk: Arc<Desk>, tls: Option<TlsAcceptor>) {
    let mut connections = JoinSet::new();
    loop {
        // A failed accept is a client that has already gone away.
        if let Ok((tcp, _)) = listener.accept().await {
            connections.spawn(connection(tcp, Arc::clone(&desk), tls.clone()));
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(mut tcp: TcpStream, desk: Arc<Desk>, tls: Option<TlsAcceptor>) {
    if desk.deaf.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
        // Kept open until the helpdesk stops: what matters is that nothing is read.
        let () = std::future::pending().await;
    }
    // A client that breaks off, or breaks the protocol, is what tests do here. The connection ends, that is all.
    match tls {
        None => {
            if let Ok(Then::Reset) = desk.converse(&mut tcp).await {
                // Closing then sends an RST.
                let _ = tcp.set_zero_linger();
            }
        }
        Some(acceptor) => {
            if let Ok(stream) = acceptor.accept(tcp).await {
                let _ = desk.converse(stream).await;
            }
        }
    }
}

impl Desk {
    async fn converse(&self, stream: impl AsyncRead + AsyncWrite + Unpin) -> Result<Then> {
        let mut stream = BufStream::new(stream);
        while let Some(request) = http::read(&mut stream).await? {
            let answer = (lock(&self.script))(&request);
            // From before the request shows up in `requests`: a release that a test sends on seeing it counts.
            let mut releases = self.releases.subscribe();
            lock(&self.requests).push(request);
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

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! A helpdesk that takes webhooks: it records every request, and answers as told.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Result, ensure};
use tokio_native_tls::TlsAcceptor;

use crate::authority::Authority;
use crate::http::{Answer, Request, Server};
use crate::poll;

/// Answers a request.
type Script = Box<dyn FnMut(&Request) -> Answer + Send>;

/// A running helpdesk. It lives in the runtime that started it; dropped, it closes its port and its connections.
pub struct Helpdesk {
    desk: Arc<Desk>,
    server: Server,
}

struct Desk {
    requests: Mutex<Vec<Request>>,
    script: Mutex<Script>,
}

impl Helpdesk {
    /// Starts a helpdesk on a free port of loopback that takes everything with a 200.
    pub async fn start() -> Result<Self> {
        Self::start_with(None).await
    }

    /// Starts one that speaks HTTPS as `localhost`, certified by `authority`.
    pub async fn start_tls(authority: &Authority) -> Result<Self> {
        Self::start_with(Some(authority.acceptor("localhost")?)).await
    }

    /// Its URL: scheme, host, port and a path.
    pub fn url(&self) -> String {
        format!("{}/hooks/mail", self.server.url())
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
        self.server.release();
    }

    /// Takes the next connections, so many of them, and never reads what they send.
    pub fn ignore_next(&self, connections: u32) {
        self.server.ignore_next(connections);
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
        self.server.stop().await
    }

    /// Opens it again on the same port.
    pub async fn start_again(&mut self) -> Result<()> {
        self.server.start_again().await
    }

    async fn start_with(tls: Option<TlsAcceptor>) -> Result<Self> {
        let desk = Arc::new(Desk {
            requests: Mutex::default(),
            script: Mutex::new(Box::new(|_| Answer::status(200))),
        });
        let respond = Arc::clone(&desk);
        let server = Server::start(tls, move |request| respond.take(request)).await?;
        Ok(Self { desk, server })
    }
}

impl fmt::Debug for Helpdesk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Helpdesk").field("url", &self.url()).finish_non_exhaustive()
    }
}

impl Desk {
    fn take(&self, request: Request) -> Answer {
        let answer = (lock(&self.script))(&request);
        lock(&self.requests).push(request);
        answer
    }
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! The ops endpoint: is the worker alive, is it ready, what has it done.
//!
//! - `/livez`: 200 while every loop makes progress. Asks nothing of the outside, so that a restart, which is
//!   what a failure leads to, is only asked for where it helps.
//! - `/readyz`: 200 while the database answers and every mailbox was polled lately; else 503 with the reasons.
//! - `/metrics`: Prometheus text. Answers without the database too.
//!
//! There is no authentication: it listens on loopback unless told otherwise. Invariant: nothing it says comes
//! out of a mail; it names mailboxes and webhooks as the configuration does.

mod heartbeat;
mod metrics;
mod patience;
mod readiness;
mod reading;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use metrics_exporter_prometheus::BuildError;
use tokio::net::TcpListener;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

pub use heartbeat::{Heart, Heartbeats, Late};
pub use metrics::Metrics;

use crate::config;
use crate::store::Store;
use patience::Patient;
use reading::Readings;

/// How often the histograms' buffers are emptied.
const UPKEEP: Duration = Duration::from_secs(5);

/// How old an answer of the database may be that is handed out again. Below any usual scrape or probe interval.
const MAX_AGE: Duration = Duration::from_secs(5);

/// How long a stop waits for answers that are under way. Longer than the database may take.
const LAST_ANSWERS: Duration = Duration::from_secs(4);

/// How long a connection may be silent. Longer than any usual scrape interval, so that scrapers keep theirs.
const SILENCE: Duration = Duration::from_secs(75);

/// What the endpoint answers from.
#[derive(Debug)]
pub struct Ops {
    heartbeats: Heartbeats,
    metrics: Metrics,
    readings: Readings,
    names: Names,
    max_poll_age: Duration,
    started: Instant,
}

/// The mailboxes and webhooks that are watched: the configured ones. The store also knows former ones.
#[derive(Debug, Clone, Default)]
pub struct Names {
    /// Names of the mailboxes.
    pub mailboxes: Vec<String>,
    /// Names of the webhooks.
    pub webhooks: Vec<String>,
}

/// Why the endpoint can't be offered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address can't be listened on.
    #[error("the ops endpoint can't listen on {address}: {}", cure(source))]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// Metrics are installed twice in this process.
    #[error("setting up metrics")]
    Metrics(#[source] BuildError),
}

impl Names {
    /// The names in a configuration.
    pub fn configured(config: &config::Config) -> Self {
        Self {
            mailboxes: config.mailboxes.iter().map(|mailbox| mailbox.name.clone()).collect(),
            webhooks: config.webhooks.iter().map(|webhook| webhook.name.clone()).collect(),
        }
    }
}

impl Ops {
    /// Gathers what the endpoint answers from. The age of mailboxes never polled counts from here.
    pub fn new(
        config: &config::Ops,
        names: Names,
        store: Store,
        heartbeats: Heartbeats,
        metrics: Metrics,
    ) -> Self {
        Self {
            heartbeats,
            metrics,
            readings: Readings::new(store, MAX_AGE),
            names,
            max_poll_age: config.max_poll_age,
            started: Instant::now(),
        }
    }
}

/// Takes the address, so that a wrong one ends the start and not the run.
pub async fn listen(address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).await.map_err(|source| Error::Listen { address, source })
}

/// Answers until `stop`, and then for 4 seconds at most what is under way.
pub async fn serve(listener: TcpListener, ops: Ops, stop: CancellationToken) {
    let metrics = ops.metrics.clone();
    let routes = Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(render_metrics))
        .with_state(Arc::new(ops));
    let server = axum::serve(Patient::new(listener, SILENCE), routes)
        .with_graceful_shutdown(stop.clone().cancelled_owned());
    let too_late = async {
        stop.cancelled().await;
        sleep(LAST_ANSWERS).await;
    };
    tokio::select! {
        _ = server.into_future() => {}
        () = too_late => {}
        () = upkeep(&metrics) => {}
    }
}

async fn upkeep(metrics: &Metrics) {
    let mut tick = interval(UPKEEP);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        metrics.upkeep();
    }
}

async fn livez(State(ops): State<Arc<Ops>>) -> impl IntoResponse {
    let late: Vec<String> = ops.heartbeats.late().iter().map(ToString::to_string).collect();
    verdict("alive", &late)
}

async fn readyz(State(ops): State<Arc<Ops>>) -> impl IntoResponse {
    let obstacles = match ops.readings.latest().await {
        Ok(gauges) => {
            readiness::obstacles(&gauges, &ops.names.mailboxes, ops.started.elapsed(), ops.max_poll_age)
        }
        Err(away) => vec![away.to_string()],
    };
    verdict("ready", &obstacles)
}

async fn render_metrics(State(ops): State<Arc<Ops>>) -> impl IntoResponse {
    let gauges = ops.readings.latest().await.ok();
    let gauges = metrics::render_gauges(gauges.as_deref(), &ops.names, ops.started.elapsed());
    let text = ops.metrics.render() + &gauges;
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
}

fn verdict(good: &str, problems: &[String]) -> (StatusCode, String) {
    if problems.is_empty() {
        (StatusCode::OK, format!("{good}\n"))
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, problems.join("\n") + "\n")
    }
}

/// What to do about an address that can't be had.
fn cure(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another program listens there; choose another port for `listen` in [ops]"
        }
        io::ErrorKind::AddrNotAvailable => "this machine has no such address; correct `listen` in [ops]",
        io::ErrorKind::PermissionDenied => "not allowed; choose a port above 1023 for `listen` in [ops]",
        _ => "choose another address for `listen` in [ops]",
    }
}

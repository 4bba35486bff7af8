//! Emptying the mailboxes once.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{Mutex, Notify};
use tokio::time::Instant;
use tracing::{info, warn};

use crate::app::failure::Error;
use crate::app::worker::Worker;
use crate::app::{Shutdown, holder, leave, open_store};
use crate::config;
use crate::config::{Config, Settle};
use crate::credentials::Credentials;
use crate::delivery;
use crate::intake;
use crate::intake::Tally;
use crate::retry::{Policy, Retry};
use crate::store;
use crate::store::{Keeper, LEASE, Lease, Standing, Store};
use crate::text;
use crate::webhook::Sender;

/// How often a lost connection is made anew, without progress in between, before a mailbox is given up.
const TRIES: u32 = 5;

/// How often a lease that another worker has is looked at.
const LEASE_LOOK: Duration = Duration::from_secs(2);

/// Pauses between those tries.
const PAUSE: Policy = Policy { initial: Duration::from_secs(1), max: Duration::from_secs(10) };

/// What became of one mailbox.
#[derive(Debug)]
pub struct Drained {
    /// Its name.
    pub mailbox: String,
    /// What was done.
    pub tally: Arc<Tally>,
    /// Why it was not drained to its end, and what to do.
    pub failure: Option<String>,
    /// What is still to do, by the ledger.
    pub standing: Standing,
    /// Messages in the folder at the last look.
    pub left: u32,
    /// Whether messages are meant to stay in the folder.
    pub keeps: bool,
}

/// What became of the deliveries to one webhook that were due.
#[derive(Debug)]
pub struct Delivered {
    /// Its name.
    pub webhook: String,
    /// What was done.
    pub tally: Arc<delivery::Tally>,
    /// Why not all of them were tried.
    pub failure: Option<String>,
}

impl Drained {
    /// Whether nothing is left to do.
    pub fn is_complete(&self) -> bool {
        self.failure.is_none() && self.standing == Standing::default() && (self.keeps || self.left == 0)
    }
}

/// Empties each mailbox until a look finds nothing new, all at once, and then tries the deliveries that are
/// due. `tallies` are counted into, one for each mailbox, in order.
///
/// # Errors
/// If the database can't be opened, or at a [hard](Shutdown::hard) stop. What fails otherwise is told in the
/// [`Drained`] and [`Delivered`].
pub async fn drain(
    config: Arc<Config>,
    mailboxes: &[config::Mailbox],
    tallies: &[Arc<Tally>],
    shutdown: &Shutdown,
) -> anyhow::Result<(Vec<Drained>, Vec<Delivered>)> {
    let stopped = || anyhow::anyhow!("stopped at once; nothing is lost, the next run goes on");
    let store = shutdown.hard.run_until_cancelled(open_store(&config)).await.ok_or_else(stopped)??;
    let holder = holder();
    let keeper = Keeper::new(store.clone(), Arc::clone(&holder));
    let suspects = Arc::new(Mutex::new(()));
    let credentials = Arc::new(Credentials::new(&config.secrets, store.clone()));
    let drained = mailboxes.iter().zip(tallies).map(|(mailbox, tally)| {
        let worker = Worker {
            config: Arc::clone(&config),
            policy: intake::policy(&config, mailbox),
            mailbox: mailbox.clone(),
            store: store.clone(),
            credentials: Arc::clone(&credentials),
            holder: Arc::clone(&holder),
            keeper: keeper.clone(),
            tally: Arc::clone(tally),
            suspects: Arc::clone(&suspects),
        };
        drain_mailbox(worker, shutdown)
    });
    let work = async {
        let drained = join_all(drained).await;
        let mut delivered = Vec::new();
        for webhook in &config.webhooks {
            delivered.push(deliver(&config, webhook, &store, shutdown).await);
        }
        (drained, delivered)
    };
    let work = Box::pin(async {
        tokio::select! {
            done = work => Some(done),
            () = keeper.clone().run() => None,
        }
    });
    let done = shutdown.hard.run_until_cancelled(work).await.flatten();
    leave(&store, &holder, &credentials).await;
    done.ok_or_else(stopped)
}

async fn drain_mailbox(worker: Worker, shutdown: &Shutdown) -> Drained {
    let name = worker.mailbox.name.clone();
    let begun = Instant::now();
    let ended = under_lease(&worker, shutdown).await;
    let (left, mut failure) = match ended {
        Ok(_) if shutdown.soft.is_cancelled() => (0, Some("stopped before it was empty".to_owned())),
        Ok(Some(left)) => (left, None),
        Ok(None) => (0, Some(why_not_leased(&worker).await)),
        Err(error) => {
            // The database may be what failed.
            drop(error.note(begun.elapsed(), &worker.config, &worker.mailbox, &worker.store).await);
            (0, Some(error.explain()))
        }
    };
    let standing = match store::answered(worker.store.standing(&name)).await {
        Ok(standing) => standing,
        Err(error) => {
            failure.get_or_insert_with(|| text::chain(&error));
            Standing::default()
        }
    };
    let keeps = worker.mailbox.settle == Settle::Keep;
    Drained { mailbox: name, tally: worker.tally, failure, standing, left, keeps }
}

/// Empties the mailbox, unless another worker does. How many messages were in the folder at the last look.
async fn under_lease(worker: &Worker, shutdown: &Shutdown) -> Result<Option<u32>, Error> {
    let Some(lease) = wait_for_lease(worker, shutdown).await? else { return Ok(None) };
    let ended = tokio::select! {
        lost = worker.keeper.keep(&lease) => Err(lost.into()),
        ended = empty(worker, &lease, shutdown) => ended,
    };
    worker.release(&lease, ended.as_ref().err()).await;
    ended.map(Some)
}

/// Takes the lease. A worker that was killed holds it until it ends: that long it is waited for.
async fn wait_for_lease(worker: &Worker, shutdown: &Shutdown) -> Result<Option<Lease>, Error> {
    let deadline = Instant::now() + LEASE + LEASE_LOOK;
    loop {
        let lease = store::answered(worker.store.acquire_lease(&worker.mailbox.name, &worker.holder)).await?;
        if lease.is_some() || Instant::now() >= deadline || shutdown.soft.is_cancelled() {
            return Ok(lease);
        }
        if store::answered(worker.store.backoff_left(&worker.mailbox.name)).await?.is_some() {
            return Ok(None);
        }
        info!(
            mailbox = worker.mailbox.name,
            "another worker has this mailbox, or was killed; waiting for its lease to end"
        );
        shutdown.soft.run_until_cancelled(tokio::time::sleep(LEASE_LOOK)).await;
    }
}

async fn why_not_leased(worker: &Worker) -> String {
    match store::answered(worker.store.backoff_left(&worker.mailbox.name)).await {
        Ok(Some(left)) => format!(
            "the server asked to be left alone, for another {}",
            humantime::format_duration(Duration::from_secs(left.as_secs() + 1))
        ),
        _ => "another worker empties it at this moment; stop that one, or let it do the work".to_owned(),
    }
}

/// Cycles until one finds nothing to do. How many messages that one found in the folder.
async fn empty(worker: &Worker, lease: &Lease, shutdown: &Shutdown) -> Result<u32, Error> {
    let mut retry = Retry::new(PAUSE);
    let mut tries = 0;
    loop {
        let before = worker.tally.work();
        match cycle_until_idle(worker, lease, shutdown).await {
            Ok(left) => return Ok(left),
            // The next session has another, and what was in hand is taken up there.
            Err(error) if error.is_expiry() && worker.tally.work() > before => {}
            Err(error) => {
                tries = if worker.tally.work() > before { 1 } else { tries + 1 };
                if !is_worth_trying(&error) || tries >= TRIES || shutdown.soft.is_cancelled() {
                    return Err(error);
                }
                warn!(mailbox = worker.mailbox.name, error = %text::chain(&error), "connecting again");
                shutdown.soft.run_until_cancelled(tokio::time::sleep(retry.next_pause())).await;
            }
        }
    }
}

async fn cycle_until_idle(worker: &Worker, lease: &Lease, shutdown: &Shutdown) -> Result<u32, Error> {
    let mut opened = worker.open().await?;
    loop {
        let before = worker.tally.work();
        let cycle = worker.cycle(lease, &mut opened.session, &opened.plan, &shutdown.soft).await;
        if cycle.as_ref().is_err_and(Error::is_expiry) {
            worker.credentials.reject(&worker.mailbox, &opened.obtained).await;
        }
        let left = cycle?;
        if worker.tally.work() == before || shutdown.soft.is_cancelled() {
            opened.session.logout().await;
            return Ok(left);
        }
    }
}

/// Whether going on after a pause of seconds may help.
fn is_worth_trying(error: &Error) -> bool {
    error.is_transient()
        && error.back_off().is_none()
        && !matches!(error, Error::Store(store::Error::LeaseLost))
}

/// Makes the deliveries that are due.
async fn deliver(
    config: &Config,
    webhook: &config::Webhook,
    store: &Store,
    shutdown: &Shutdown,
) -> Delivered {
    let tally = Arc::new(delivery::Tally::default());
    let ended = async {
        let sender = Arc::new(Sender::new(webhook, config.delivery.max_answer_bytes)?);
        let wake = Notify::new();
        let job = delivery::Job { store, sender: &sender, limits: &config.delivery, wake: &wake };
        anyhow::Ok(delivery::cycle(&job, &tally, &shutdown.soft).await?)
    };
    let failure = ended.await.err().map(|error| format!("{error:#}"));
    Delivered { webhook: webhook.name.clone(), tally, failure }
}

//! The second flow: PostgreSQL → webhook → PostgreSQL.
//!
//! ```text
//! deliveries ─► claim ─► send ─► next ─► finish ─► deliveries
//! ```
//!
//! Each attempt is a task of its own, so one that hangs delays nothing but its ticket: a free place is taken
//! again at once. No transaction is open during a request. What a worker does not finish, because it was killed
//! or lost the database, is attempted again when its lease ends. So a webhook may see an event twice, but always
//! with the same id and the same bytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use metrics::{counter, histogram};
use tokio::sync::Notify;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

use crate::config;
use crate::metric;
use crate::step;
use crate::step::Step;
use crate::store;
use crate::store::{Claim, Fate, Finish, Finished, Health, Store};
use crate::webhook::schedule;
use crate::webhook::schedule::Next;
use crate::webhook::{Outcome, Request, Sender};

/// How much longer a lease is than an attempt: time to write down what came of it, be the database ever so slow.
const LEASE_MARGIN: Duration = Duration::from_secs(30);

/// What is due may be out of reach for a moment, while another worker has it locked.
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);

/// What a cycle works with.
#[derive(Debug, Clone, Copy)]
pub struct Job<'a> {
    /// Where deliveries are.
    pub store: &'a Store,
    /// The webhook they go to.
    pub sender: &'a Arc<Sender>,
    /// How many at once, and how often to look.
    pub limits: &'a config::Delivery,
    /// Notified when there may be new deliveries. One for each webhook, for a notification wakes one waiter.
    pub wake: &'a Notify,
}

/// What attempts have come to so far. Shared with whoever shows progress.
#[derive(Debug, Default)]
pub struct Tally {
    /// Taken by the webhook.
    pub delivered: AtomicU64,
    /// Failed, and to be attempted again.
    pub failed: AtomicU64,
    /// Failed for good: these deliveries wait for a person.
    pub dead: AtomicU64,
    /// Ended after their lease, and so not written down: another worker attempts these deliveries.
    pub taken_over: AtomicU64,
}

impl Tally {
    /// Grows with every attempt that ends.
    pub fn work(&self) -> u64 {
        [&self.delivered, &self.failed, &self.dead, &self.taken_over]
            .iter()
            .map(|counter| counter.load(Ordering::Relaxed))
            .sum()
    }
}

/// Sends what is due to one webhook, until nothing is due and nothing under way. What becomes due in the
/// meantime joins in.
///
/// Once `stop` is cancelled nothing more is claimed and what is under way is finished; that takes no longer than
/// the webhook's timeout. Dropping this future cuts requests off and leaves their deliveries leased.
///
/// # Errors
/// When the database fails. Nothing is under way then, but what came of the last attempts may not be written
/// down, and they are made again.
pub async fn cycle(job: &Job<'_>, tally: &Arc<Tally>, stop: &CancellationToken) -> Result<(), store::Error> {
    let mut attempts = JoinSet::new();
    let mut ended = keep_sending(job, tally, &mut attempts, stop).await;
    // Whatever ended it, answers still to come are worth writing down.
    while let Some(attempt) = attempts.join_next().await {
        ended = ended.and(finished(attempt));
    }
    ended
}

/// Waits between cycles: until something is due, or there may be news, or the poll interval has passed. Ends
/// early once `stop` is cancelled.
pub async fn wait(job: &Job<'_>, stop: &CancellationToken) -> Result<(), store::Error> {
    let pause = pause(job).await?;
    tokio::select! {
        () = stop.cancelled() => {}
        () = job.wake.notified() => {}
        () = tokio::time::sleep(pause) => {}
    }
    Ok(())
}

type Attempts = JoinSet<Result<(), store::Error>>;

async fn keep_sending(
    job: &Job<'_>,
    tally: &Arc<Tally>,
    attempts: &mut Attempts,
    stop: &CancellationToken,
) -> Result<(), store::Error> {
    let lease = job.sender.timeout() + LEASE_MARGIN;
    while !stop.is_cancelled() {
        let free = job.limits.concurrency.saturating_sub(attempts.len());
        let claims = store::answered(job.store.claim(job.sender.webhook(), free, lease)).await?;
        if stop.is_cancelled() {
            return store::answered(job.store.release(&claims)).await;
        }
        let all_taken = claims.len() == free;
        for claim in claims {
            attempts.spawn(attempt(job.store.clone(), Arc::clone(job.sender), Arc::clone(tally), claim));
        }
        if attempts.is_empty() {
            return Ok(());
        }
        // With every place taken only an end of an attempt makes a difference.
        let pause = if all_taken { Duration::MAX } else { pause(job).await? };
        tokio::select! {
            Some(attempt) = attempts.join_next() => finished(attempt)?,
            () = job.wake.notified(), if !all_taken => {}
            () = tokio::time::sleep(pause), if !all_taken => {}
            () = stop.cancelled() => {}
        }
        while let Some(attempt) = attempts.try_join_next() {
            finished(attempt)?;
        }
    }
    Ok(())
}

/// How long nothing will be due, as far as is known now.
async fn pause(job: &Job<'_>) -> Result<Duration, store::Error> {
    let due = store::answered(job.store.next_due(job.sender.webhook())).await?;
    Ok(due.map_or(job.limits.poll_interval, |due| due.max(SHORTEST_PAUSE).min(job.limits.poll_interval)))
}

fn finished(attempt: Result<Result<(), store::Error>, JoinError>) -> Result<(), store::Error> {
    // Attempts are not aborted while anybody joins them. One that did not end has panicked, and this process
    // with it.
    attempt.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

async fn attempt(
    store: Store,
    sender: Arc<Sender>,
    tally: Arc<Tally>,
    claim: Claim,
) -> Result<(), store::Error> {
    let started = Instant::now();
    let request = Request { event_id: &claim.event_id, body: &claim.body, now: SystemTime::now() };
    step::reached(Step::BeforeSend);
    let outcome = sender.send(request).await;
    step::reached(Step::AfterAnswer);
    let took = started.elapsed();

    let (fate, health) = judge(&claim, &outcome);
    let error = (fate != Fate::Delivered).then(|| outcome.to_string());
    let finish = Finish { fate, health, status: outcome.status(), error: error.as_deref() };
    let finished = store::answered(store.finish(&claim, &finish)).await?;

    tally.count(fate, finished);
    tell(sender.webhook(), &claim, &outcome, fate, took);
    if finished == Finished::TakenOver {
        let (webhook, event_id) = (sender.webhook(), &claim.event_id);
        warn!(webhook, event_id, "the lease had ended before the attempt did; another is made");
    }
    Ok(())
}

/// What follows from an attempt for the delivery, and what it says of the webhook.
fn judge(claim: &Claim, outcome: &Outcome) -> (Fate, Health) {
    let jitter = schedule::jitter(&claim.event_id, claim.attempt);
    let fate = match schedule::next(outcome, claim.counted_attempt, jitter) {
        Next::Delivered => Fate::Delivered,
        Next::Again(after) => Fate::Retry { after },
        Next::Dead => Fate::Dead,
    };
    let health = match *outcome {
        Outcome::Delivered { .. } | Outcome::Rejected { .. } => Health::Works,
        Outcome::Retry { retry_after, .. } => Health::Fails {
            rest: retry_after,
            probe_pause: schedule::probe_pause(claim.failures, store::BREAKS_AT, jitter),
        },
        Outcome::SwitchOff => Health::Gone,
    };
    (fate, health)
}

/// Logs and counts an attempt. The webhook's name, the event's id and the outcome are all that may be said.
fn tell(webhook: &str, claim: &Claim, outcome: &Outcome, fate: Fate, took: Duration) {
    let (event_id, attempt) = (&claim.event_id, claim.attempt);
    let word = match fate {
        Fate::Delivered => {
            debug!(webhook, event_id, attempt, %outcome, ?took, "delivered");
            "delivered"
        }
        Fate::Retry { .. } if *outcome == Outcome::SwitchOff => {
            error!(webhook, event_id, %outcome, "the webhook is gone; nothing is sent until it is switched on");
            "failed"
        }
        Fate::Retry { after } => {
            warn!(webhook, event_id, attempt, %outcome, ?after, "delivery failed and will be tried again");
            "failed"
        }
        Fate::Dead => {
            error!(webhook, event_id, attempt, %outcome, "delivery failed for good; a person must look at it");
            "dead"
        }
    };
    let webhook = webhook.to_owned();
    histogram!(metric::DELIVERY_DURATION, metric::WEBHOOK => webhook.clone()).record(took);
    counter!(metric::DELIVERY_ATTEMPTS, metric::WEBHOOK => webhook, metric::OUTCOME => word).increment(1);
}

impl Tally {
    fn count(&self, fate: Fate, finished: Finished) {
        let counter = match (finished, fate) {
            (Finished::TakenOver, _) => &self.taken_over,
            (Finished::Ours, Fate::Delivered) => &self.delivered,
            (Finished::Ours, Fate::Retry { .. }) => &self.failed,
            (Finished::Ours, Fate::Dead) => &self.dead,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

//! The process: opens the ports, keeps both flows running for every mailbox and webhook, and stops in order.

mod drain;
mod failure;
mod shutdown;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use sd_notify::NotifyState;
use tokio::sync::{Mutex, Notify};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use uuid::Uuid;

use crate::config;
use crate::config::Config;
use crate::credentials::Credentials;
use crate::delivery;
use crate::intake;
use crate::intake::Tally;
use crate::mailbox;
use crate::ops;
use crate::ops::{Heart, Heartbeats, Metrics, Names, Ops};
use crate::retry::{Policy, Retry};
use crate::store::{Keeper, LEASE, Listener, Store};
use crate::text;
use crate::webhook::Sender;
use worker::Worker;

pub use drain::{Delivered, Drained, drain};
pub use shutdown::Shutdown;

/// Pauses while the database is out of reach.
const PAUSE: Policy = Policy { initial: Duration::from_millis(500), max: Duration::from_secs(30) };

/// How often a loop that is busy is looked at for progress.
const LOOK: Duration = Duration::from_secs(5);

/// Runs the worker until it is told to stop.
///
/// # Errors
/// If it can't start, or if a part of it dies, which is a defect; the supervisor should start it again.
pub async fn run(config: Config, shutdown: Shutdown) -> anyhow::Result<()> {
    let config = Arc::new(config);
    let names = Names::configured(&config);
    let endpoint = match config.ops.listen {
        // In this order: what is counted without an endpoint would pile up.
        Some(address) => Some((ops::listen(address).await?, Metrics::install(&names)?)),
        None => None,
    };
    let Some(store) = shutdown.soft.run_until_cancelled(open_store(&config)).await.transpose()? else {
        return Ok(());
    };

    let hearts = Heartbeats::default();
    let mut loops = JoinSet::new();
    let ops_stop = CancellationToken::new();
    if let Some((listener, metrics)) = endpoint {
        let ops = Ops::new(&config.ops, names, store.clone(), hearts.clone(), metrics);
        tokio::spawn(ops::serve(listener, ops, ops_stop.clone()));
    }
    let holder = holder();
    let credentials = Arc::new(Credentials::new(&config.secrets, store.clone()));
    let keeper = Keeper::new(store.clone(), Arc::clone(&holder));
    // By itself: leases are kept until the last loop has ended.
    let mut keeping = JoinSet::new();
    keeping.spawn(keeper.clone().run());
    let suspects = Arc::new(Mutex::new(()));
    let worker = |mailbox: &config::Mailbox| Worker {
        config: Arc::clone(&config),
        mailbox: mailbox.clone(),
        store: store.clone(),
        policy: intake::policy(&config, mailbox),
        credentials: Arc::clone(&credentials),
        holder: Arc::clone(&holder),
        keeper: keeper.clone(),
        tally: Arc::new(Tally::new(&mailbox.name)),
        suspects: Arc::clone(&suspects),
    };
    spawn_intake(&mut loops, &config, worker, &hearts, &shutdown.soft);
    spawn_deliveries(&mut loops, &config, &store, &hearts, &shutdown.soft)?;
    tokio::spawn(watchdog(hearts));
    tell_systemd(&[NotifyState::Ready]);
    info!(mailboxes = config.mailboxes.len(), webhooks = config.webhooks.len(), "postroom is running");

    let ended = tokio::select! {
        // First: some loops end as soon as they are told to.
        biased;
        () = shutdown.soft.cancelled() => Ok(()),
        // None of them ends by itself.
        Some(died) = loops.join_next() => Err(anyhow::anyhow!("a part of the worker died: {died:?}")),
        Some(died) = keeping.join_next() => Err(anyhow::anyhow!("a part of the worker died: {died:?}")),
    };
    tell_systemd(&[NotifyState::Stopping]);
    shutdown.soft.cancel();
    let finish = async {
        while loops.join_next().await.is_some() {}
        credentials.finish().await;
    };
    tokio::select! {
        () = finish => info!("stopped; everything in hand was finished"),
        () = tokio::time::sleep(config.ops.shutdown_grace) => {
            warn!("the grace period is over; what was under way starts over next time");
        }
        () = shutdown.hard.cancelled() => {}
    }
    ops_stop.cancel();
    // After a death the marks of what was in hand stay, to be found by whoever comes next.
    loops.abort_all();
    if ended.is_ok() {
        leave(&store, &holder, &credentials).await;
    }
    ended
}

/// Gives back what the process still has, because what was in the middle of something ends with it now, and nobody
/// is to take that for a crash. Then closes the store; connections that still work are abandoned with the process.
async fn leave(store: &Store, holder: &str, credentials: &Credentials) {
    let leave = async {
        credentials.finish().await;
        drop(store.release_all(holder).await);
        store.close().await;
    };
    drop(tokio::time::timeout(Duration::from_secs(2), leave).await);
}

/// Opens the store, brings its schema up to date, and makes sure of a row for each mailbox and webhook.
pub async fn open_store(config: &Config) -> anyhow::Result<Store> {
    let store = Store::connect(&config.database).await.context("opening the database")?;
    store.migrate().await.context("migrating the database")?;
    store.register_mailboxes(&config.mailboxes).await.context("registering mailboxes")?;
    store.register_webhooks(&config.webhook_names()).await.context("registering webhooks")?;
    Ok(store)
}

/// Names this process in leases: nobody else, not even its own successor, may mistake a lease for its own.
fn holder() -> Arc<str> {
    let host = std::env::var("HOSTNAME").unwrap_or_default();
    format!("{host}:{}:{}", std::process::id(), Uuid::now_v7().simple()).into()
}

fn spawn_intake(
    loops: &mut JoinSet<()>,
    config: &Config,
    worker: impl Fn(&config::Mailbox) -> Worker,
    hearts: &Heartbeats,
    stop: &CancellationToken,
) {
    for mailbox in &config.mailboxes {
        let heart =
            hearts.register(format!("intake {}", mailbox.name), longest_silence(mailbox, &config.intake));
        loops.spawn(worker(mailbox).run(stop.clone(), heart));
    }
}

/// The deadlines and pauses that may lie between two signs of progress: the largest message, which a slow line
/// takes an hour for, may even be asked for twice.
fn longest_silence(mailbox: &config::Mailbox, limits: &config::Intake) -> Duration {
    let connect = mailbox.connect_timeout * 4;
    let commands = mailbox.command_timeout * 2;
    let transfer = Duration::from_secs(limits.max_message_bytes / mailbox::SLOWEST_BYTES_PER_SECOND) * 2;
    connect + commands + transfer + mailbox.poll_interval.max(mailbox.idle_timeout) + LEASE * 5
}

/// Lets the heart beat while a unit of work makes progress: one over a large backlog takes hours.
async fn beating<T>(heart: &Heart, work: impl Fn() -> u64, unit: impl Future<Output = T>) -> T {
    let mut unit = std::pin::pin!(unit);
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut before = work();
    loop {
        tokio::select! {
            ended = &mut unit => return ended,
            _ = look.tick() => {
                let now = work();
                if now != before {
                    heart.beat();
                    before = now;
                }
            }
        }
    }
}

fn spawn_deliveries(
    loops: &mut JoinSet<()>,
    config: &Arc<Config>,
    store: &Store,
    hearts: &Heartbeats,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let mut wakes = Vec::new();
    for webhook in &config.webhooks {
        let sender = Arc::new(Sender::new(webhook, config.delivery.max_answer_bytes)?);
        let longest = webhook.timeout * 2 + config.delivery.poll_interval + LEASE * 2;
        let heart = hearts.register(format!("delivery {}", webhook.name), longest);
        let wake = Arc::new(Notify::new());
        wakes.push(Arc::clone(&wake));
        loops.spawn(deliver(store.clone(), sender, Arc::clone(config), wake, stop.clone(), heart));
    }
    if !wakes.is_empty() {
        let listener = store.listen(config.delivery.poll_interval);
        loops.spawn(wake_on_notify(listener, wakes, stop.clone()));
    }
    Ok(())
}

/// Delivers to one webhook for as long as the worker runs.
async fn deliver(
    store: Store,
    sender: Arc<Sender>,
    config: Arc<Config>,
    wake: Arc<Notify>,
    stop: CancellationToken,
    heart: Heart,
) {
    let job = delivery::Job { store: &store, sender: &sender, limits: &config.delivery, wake: &wake };
    let tally = Arc::new(delivery::Tally::default());
    let mut retry = Retry::new(PAUSE);
    while !stop.is_cancelled() {
        heart.beat();
        let cycle = delivery::cycle(&job, &tally, &stop);
        let result = match beating(&heart, || tally.work(), cycle).await {
            Ok(()) => delivery::wait(&job, &stop).await,
            Err(error) => Err(error),
        };
        match result {
            Ok(()) => retry.reset(),
            Err(error) => {
                warn!(webhook = sender.webhook(), error = %text::chain(&error), "deliveries wait for the database");
                stop.run_until_cancelled(tokio::time::sleep(retry.next_pause())).await;
            }
        }
    }
}

/// Passes PostgreSQL's notifications on to the delivery loops. Without them deliveries are only polled for.
async fn wake_on_notify(mut listener: Listener, wakes: Vec<Arc<Notify>>, stop: CancellationToken) {
    let mut retry = Retry::new(PAUSE);
    while let Some(heard) = stop.run_until_cancelled(listener.wait()).await {
        match heard {
            Ok(()) => {
                retry.reset();
                for wake in &wakes {
                    wake.notify_one();
                }
            }
            Err(error) => {
                warn!(error = %text::chain(&error), "notifications are lost for now; deliveries are polled for");
                stop.run_until_cancelled(tokio::time::sleep(retry.next_pause())).await;
            }
        }
    }
}

/// Tells systemd that the process is alive for as long as its loops make progress.
async fn watchdog(hearts: Heartbeats) {
    let Some(limit) = sd_notify::watchdog_enabled() else { return };
    let mut tick = tokio::time::interval(limit / 3);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if hearts.late().is_empty() {
            tell_systemd(&[NotifyState::Watchdog]);
        }
    }
}

fn tell_systemd(states: &[NotifyState<'_>]) {
    // Does nothing without systemd.
    if let Err(error) = sd_notify::notify(states) {
        warn!(%error, "telling systemd");
    }
}

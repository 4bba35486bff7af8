//! One mailbox, emptied again and again for as long as the worker runs.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::app::beating;
use crate::app::failure::Error;
use crate::config;
use crate::config::{Config, Settle};
use crate::credentials::{Credentials, Obtained};
use crate::intake;
use crate::intake::{Job, Tally};
use crate::mailbox::{Plan, Session};
use crate::ops::Heart;
use crate::retry::{Policy, RateLimit, Retry};
use crate::store;
use crate::store::{Keeper, LEASE, Lease, Store};
use crate::text;
use crate::ticket;

/// Pauses after failures that may end by themselves.
const PAUSE: Policy = Policy { initial: Duration::from_secs(1), max: Duration::from_mins(1) };

/// How often a mailbox that is left alone is looked at: a person who signs in ends a pause.
const LOOK: Duration = Duration::from_secs(5);

/// Everything it takes to empty one mailbox.
#[derive(Debug, Clone)]
pub(super) struct Worker {
    pub(super) config: Arc<Config>,
    pub(super) mailbox: config::Mailbox,
    /// By what its mail is filed.
    pub(super) policy: Arc<ticket::Policy>,
    pub(super) store: Store,
    pub(super) credentials: Arc<Credentials>,
    /// Names this process in leases.
    pub(super) holder: Arc<str>,
    /// Keeps them.
    pub(super) keeper: Keeper,
    pub(super) tally: Arc<Tally>,
    /// Shared by all mailboxes of this process; see [`Job`].
    pub(super) suspects: Arc<Mutex<()>>,
}

/// A connection, and what belongs to it.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) session: Session,
    pub(super) plan: Plan,
    pub(super) obtained: Obtained,
    /// When to connect anew with a new token: before the server ends the session.
    renew_at: Option<Instant>,
    /// How many cycles it was good for.
    cycles: u32,
}

/// How the work over a lease ended, if not by an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// It was told to stop.
    Stopped,
    /// The access token expired, and with it the session.
    Expired,
}

impl Worker {
    /// Empties the mailbox until told to stop. Every failure is a pause, then another try.
    pub(super) async fn run(self, stop: CancellationToken, heart: Heart) {
        let mut retry = Retry::new(PAUSE);
        let mut limit = RateLimit::new(3, Duration::from_secs(20));
        while !stop.is_cancelled() {
            heart.beat();
            let leased = store::answered(self.store.acquire_lease(&self.mailbox.name, &self.holder)).await;
            let lease = match leased {
                Ok(Some(lease)) => lease,
                Ok(None) => {
                    self.leave_alone(&stop, &heart).await;
                    continue;
                }
                Err(error) => {
                    warn!(mailbox = self.mailbox.name, error = %text::chain(&error), "the database is out of reach");
                    stop.run_until_cancelled(sleep(retry.next_pause())).await;
                    continue;
                }
            };
            let ended = tokio::select! {
                lost = self.keeper.keep(&lease) => Err(lost.into()),
                ended = Box::pin(self.poll(&lease, &mut retry, &mut limit, &stop, &heart)) => ended,
            };
            let pause = match &ended {
                Ok(End::Stopped | End::Expired) => Duration::ZERO,
                // Before the lease is given back, or another worker would begin where this one was told to stop.
                Err(error) => match error.report(lease.age(), &self.config, &self.mailbox, &self.store).await
                {
                    Ok(()) => retry.next_pause(),
                    // What the database does not know, this worker has to.
                    Err(_) => error.back_off().unwrap_or_default().max(retry.next_pause()),
                },
            };
            self.release(&lease, ended.as_ref().err()).await;
            self.pause(pause, &stop, &heart).await;
        }
    }

    /// Gives the lease back. If this fails, it ends by itself.
    pub(super) async fn release(&self, lease: &Lease, error: Option<&Error>) {
        drop(match error {
            // Something died over what was in hand.
            Some(Error::Intake(intake::Error::Stage)) => {
                store::answered(self.store.release_dead(lease)).await
            }
            _ => store::answered(self.store.release_lease(lease)).await,
        });
    }

    /// Waits for as long as nobody gets the lease for good reasons; while another worker has it, for as long as that
    /// could end unnoticed.
    async fn leave_alone(&self, stop: &CancellationToken, heart: &Heart) {
        let left =
            || async { store::answered(self.store.pause_left(&self.mailbox.name)).await.ok().flatten() };
        let Some(mut pause) = left().await else { return self.pause(LEASE / 4, stop, heart).await };
        while !stop.is_cancelled() {
            self.pause(pause.min(LOOK), stop, heart).await;
            match left().await {
                Some(longer) => pause = longer,
                None => return,
            }
        }
    }

    /// Waits, and lets the heart beat meanwhile.
    async fn pause(&self, pause: Duration, stop: &CancellationToken, heart: &Heart) {
        let ends = Instant::now() + pause;
        while !stop.is_cancelled() && Instant::now() < ends {
            stop.run_until_cancelled(sleep_until(ends.min(Instant::now() + LOOK))).await;
            heart.beat();
        }
    }

    /// Connects, goes through cycle after cycle, and connects anew before the token ends, until told to stop.
    async fn poll(
        &self,
        lease: &Lease,
        retry: &mut Retry,
        limit: &mut RateLimit,
        stop: &CancellationToken,
        heart: &Heart,
    ) -> Result<End, Error> {
        while !stop.is_cancelled() {
            let wait = limit.take(Instant::now().into_std());
            let open = async {
                sleep(wait).await;
                self.open().await
            };
            let Some(opened) = stop.run_until_cancelled(open).await else { break };
            let mut opened = opened?;
            match self.work(lease, &mut opened, retry, stop, heart).await {
                Ok(()) => opened.session.logout().await,
                Err(error) if error.is_expiry() => {
                    self.credentials.reject(&self.mailbox, &opened.obtained).await;
                    // A token that ends before it was good for anything is no token.
                    if opened.cycles == 0 {
                        return Err(error);
                    }
                    info!(
                        mailbox = self.mailbox.name,
                        "the access token has expired; connecting with another"
                    );
                    return Ok(End::Expired);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(End::Stopped)
    }

    /// Cycle after cycle over one connection, until told to stop or the token has to be renewed.
    async fn work(
        &self,
        lease: &Lease,
        opened: &mut Opened,
        retry: &mut Retry,
        stop: &CancellationToken,
        heart: &Heart,
    ) -> Result<(), Error> {
        // A long cycle ends in order when the token does.
        let halt = stop.child_token();
        let renew_at = opened.renew_at;
        let renewal = async {
            match renew_at {
                Some(renew_at) => sleep_until(renew_at).await,
                None => pending().await,
            }
            halt.cancel();
            pending().await
        };
        // A server that tells of news again and again, of which there are none, would have us look without pause.
        let mut in_vain = RateLimit::new(20, Duration::from_secs(1));
        let cycles = async {
            while !halt.is_cancelled() {
                let before = self.tally.work();
                let cycle = Box::pin(self.cycle(lease, &mut opened.session, &opened.plan, &halt));
                beating(heart, || self.tally.work(), cycle).await?;
                opened.cycles += 1;
                retry.reset();
                heart.beat();
                if self.tally.work() == before {
                    let turn = in_vain.take(Instant::now().into_std());
                    halt.run_until_cancelled(sleep(turn)).await;
                }
                let pause = if opened.session.pushes() {
                    self.mailbox.idle_timeout
                } else {
                    self.mailbox.poll_interval
                };
                opened.session.wait(pause, &halt).await?;
            }
            Ok(())
        };
        tokio::select! {
            ended = cycles => ended,
            never = renewal => never,
        }
    }

    /// Logs in, makes sure of the target folder, and chooses how to settle.
    pub(super) async fn open(&self) -> Result<Opened, Error> {
        let (mut session, obtained) = self.credentials.log_in(&self.mailbox).await?;
        let renew_at = obtained.renew_in.map(|left| Instant::now() + left);
        if let Settle::Move { to } = &self.mailbox.settle {
            session.ensure_folder(to).await?;
        }
        let plan = Plan::choose(session.capabilities(), &self.mailbox.settle);
        info!(mailbox = self.mailbox.name, settle = %plan, push = session.pushes(), "logged in");
        Ok(Opened { session, plan, obtained, renew_at, cycles: 0 })
    }

    /// One cycle. The number of messages in the folder at its start.
    pub(super) async fn cycle(
        &self,
        lease: &Lease,
        session: &mut Session,
        plan: &Plan,
        stop: &CancellationToken,
    ) -> Result<u32, Error> {
        let webhooks = self.config.webhook_names();
        let job = Job {
            store: &self.store,
            lease,
            mailbox: &self.mailbox,
            plan,
            policy: &self.policy,
            limits: &self.config.intake,
            webhooks: &webhooks,
            suspects: &self.suspects,
            tally: &self.tally,
        };
        Ok(intake::cycle(&job, session, stop).await?)
    }
}

//! One mailbox, emptied again and again for as long as the worker runs.

use std::sync::Arc;
use std::time::Duration;

use metrics::counter;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::app::beating;
use crate::config;
use crate::config::{Config, Settle};
use crate::intake;
use crate::intake::{Job, Tally};
use crate::mailbox;
use crate::mailbox::{Credential, Plan, Session};
use crate::metric;
use crate::ops::Heart;
use crate::retry::{Policy, RateLimit, Retry};
use crate::store;
use crate::store::{LEASE, Lease, Store};
use crate::text;
use crate::ticket;

/// Pauses after failures.
const PAUSE: Policy = Policy { initial: Duration::from_secs(1), max: Duration::from_mins(1) };

/// Everything it takes to empty one mailbox.
#[derive(Debug, Clone)]
pub(super) struct Worker {
    pub(super) config: Arc<Config>,
    pub(super) mailbox: config::Mailbox,
    /// By what its mail is filed.
    pub(super) policy: Arc<ticket::Policy>,
    pub(super) store: Store,
    /// Names this process in leases.
    pub(super) holder: Arc<str>,
    pub(super) tally: Arc<Tally>,
    /// Shared by all mailboxes of this process; see [`Job`].
    pub(super) suspects: Arc<Mutex<()>>,
}

/// Why work on a mailbox ended early.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(transparent)]
    Mailbox(#[from] mailbox::Error),
    #[error(transparent)]
    Intake(#[from] intake::Error),
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Error {
    /// The mailbox's part in it.
    pub(super) fn mailbox(&self) -> Option<&mailbox::Error> {
        match self {
            Self::Mailbox(error) | Self::Intake(intake::Error::Mailbox(error)) => Some(error),
            Self::Intake(_) | Self::Store(_) => None,
        }
    }

    /// It in words, with what to do where that is known.
    pub(super) fn explain(&self) -> String {
        match self.mailbox() {
            Some(cause) => format!("{}. {}", text::chain(self), cause.cure()),
            None => text::chain(self),
        }
    }
}

impl Worker {
    /// Empties the mailbox until told to stop. Every failure is a pause, then another try.
    pub(super) async fn run(self, stop: CancellationToken, heart: Heart) {
        let mut retry = Retry::new(PAUSE);
        let mut limit = RateLimit::new(3, Duration::from_secs(20));
        while !stop.is_cancelled() {
            heart.beat();
            let pause = match store::answered(self.store.acquire_lease(&self.mailbox.name, &self.holder))
                .await
            {
                Ok(Some(lease)) => {
                    let ended = tokio::select! {
                        lost = self.store.keep_lease(&lease) => Err(lost.into()),
                        ended = Box::pin(self.poll(&lease, &mut retry, &mut limit, &stop, &heart)) => ended,
                    };
                    self.release(&lease, ended.as_ref().err()).await;
                    match ended {
                        Ok(()) => break,
                        Err(error) => {
                            self.report(&error).await;
                            retry.next_pause()
                        }
                    }
                }
                // Another worker empties it; look again before its lease could end unnoticed.
                Ok(None) => LEASE / 4,
                Err(error) => {
                    warn!(mailbox = self.mailbox.name, error = %text::chain(&error), "the database is out of reach");
                    retry.next_pause()
                }
            };
            stop.run_until_cancelled(tokio::time::sleep(pause)).await;
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

    /// Connects, and goes through cycle after cycle until told to stop.
    async fn poll(
        &self,
        lease: &Lease,
        retry: &mut Retry,
        limit: &mut RateLimit,
        stop: &CancellationToken,
        heart: &Heart,
    ) -> Result<(), Error> {
        let wait = limit.take(Instant::now().into_std());
        let open = async {
            tokio::time::sleep(wait).await;
            self.open().await
        };
        let Some(opened) = stop.run_until_cancelled(open).await else { return Ok(()) };
        let (mut session, plan) = opened?;
        while !stop.is_cancelled() {
            let cycle = Box::pin(self.cycle(lease, &mut session, &plan, stop));
            beating(heart, || self.tally.work(), cycle).await?;
            retry.reset();
            heart.beat();
            stop.run_until_cancelled(tokio::time::sleep(self.mailbox.poll_interval)).await;
        }
        session.logout().await;
        Ok(())
    }

    /// Connects, makes sure of the target folder, and chooses how to settle.
    pub(super) async fn open(&self) -> Result<(Session, Plan), mailbox::Error> {
        let mut session = mailbox::connect(
            &self.mailbox,
            &Credential::configured(&self.mailbox.auth).ok_or(mailbox::Error::LoginDisabled)?,
        )
        .await?;
        if let Settle::Move { to } = &self.mailbox.settle {
            session.ensure_folder(to).await?;
        }
        let plan = Plan::choose(session.capabilities(), &self.mailbox.settle);
        info!(mailbox = self.mailbox.name, settle = %plan, "logged in");
        Ok((session, plan))
    }

    /// One cycle. The number of messages in the folder at its start.
    pub(super) async fn cycle(
        &self,
        lease: &Lease,
        session: &mut Session,
        plan: &Plan,
        stop: &CancellationToken,
    ) -> Result<u32, Error> {
        let webhooks: Vec<&str> = self.config.webhooks.iter().map(|webhook| webhook.name.as_str()).collect();
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

    async fn report(&self, error: &Error) {
        let reason = text::chain(error);
        let kind = error.mailbox().map_or("store", mailbox::Error::kind);
        let mailbox = self.mailbox.name.clone();
        counter!(metric::MAILBOX_ERRORS, metric::MAILBOX => mailbox, metric::KIND => kind).increment(1);
        match error.mailbox() {
            Some(cause) if !cause.is_transient() => {
                error!(
                    mailbox = self.mailbox.name,
                    error = reason,
                    cure = cause.cure(),
                    "the mailbox needs attention"
                );
            }
            _ => warn!(mailbox = self.mailbox.name, error = reason, "starting over after a pause"),
        }
        // The database may be what failed.
        drop(store::answered(self.store.poll_failed(&self.mailbox.name, &reason)).await);
    }
}

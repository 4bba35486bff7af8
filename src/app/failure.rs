//! Why work on a mailbox ended early, what is to be done, and who is told.

use std::time::Duration;

use chrono::Utc;
use metrics::counter;
use tracing::{error, info, warn};

use crate::config;
use crate::config::Config;
use crate::credentials;
use crate::credentials::NotLoggedIn;
use crate::event::{Event, Unhealthy};
use crate::intake;
use crate::mailbox;
use crate::mailbox::Remedy;
use crate::metric;
use crate::store;
use crate::store::{Failure, Store};
use crate::text;

/// The cure where there is nothing to do.
const TRIED_AGAIN: &str = "Postroom tries again.";

/// Why work on a mailbox ended early.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(transparent)]
    Credentials(#[from] credentials::Error),
    #[error(transparent)]
    Mailbox(#[from] mailbox::Error),
    #[error(transparent)]
    Intake(#[from] intake::Error),
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl From<NotLoggedIn> for Error {
    fn from(error: NotLoggedIn) -> Self {
        match error {
            NotLoggedIn::Credential(error) => Self::Credentials(error),
            NotLoggedIn::Mailbox { error, .. } => Self::Mailbox(error),
        }
    }
}

impl Error {
    /// Whether trying again soon may help. If not, a person has to act.
    pub(super) fn is_transient(&self) -> bool {
        match (self.mailbox(), self) {
            (Some(error), _) => error.is_transient(),
            (None, Self::Credentials(error)) => error.is_transient(),
            (None, _) => true,
        }
    }

    /// Whether the access token ended in the middle of a session, which is the way of access tokens.
    pub(super) fn is_expiry(&self) -> bool {
        matches!(self.mailbox(), Some(mailbox::Error::TokenExpired { .. }))
    }

    /// How long whoever was asked wants to be left alone.
    pub(super) fn back_off(&self) -> Option<Duration> {
        match (self.mailbox().map(mailbox::Error::remedy), self) {
            (Some(Remedy::BackOff(pause)), _) => Some(pause),
            (None, Self::Credentials(error)) => error.retry_after(),
            _ => None,
        }
    }

    /// What a person can do about it, where that is known.
    pub(super) fn cure(&self) -> Option<&'static str> {
        match (self.mailbox(), self) {
            (Some(error), _) => Some(error.cure()),
            (None, Self::Credentials(error)) => Some(error.cure()),
            (None, _) => None,
        }
    }

    /// It in words, with what to do where that is known.
    pub(super) fn explain(&self) -> String {
        match self.cure() {
            Some(cure) => format!("{}. {cure}", text::chain(self)),
            None => text::chain(self),
        }
    }

    /// Tells it to the log, the metrics and, by [`note`](Self::note), to everybody else.
    ///
    /// # Errors
    /// If it could not be written down.
    pub(super) async fn report(
        &self,
        begun: Duration,
        config: &Config,
        mailbox: &config::Mailbox,
        store: &Store,
    ) -> Result<(), store::Error> {
        let reason = text::chain(self);
        let kind = self.kind();
        counter!(metric::MAILBOX_ERRORS, metric::MAILBOX => mailbox.name.clone(), metric::KIND => kind)
            .increment(1);
        if self.is_transient() {
            warn!(mailbox = mailbox.name, error = reason, "starting over after a pause");
        } else {
            error!(mailbox = mailbox.name, error = reason, cure = self.cure(), "the mailbox needs attention");
        }
        self.note(begun, config, mailbox, store).await
    }

    /// Writes it down, `begun` so long after what failed was, with what follows from it: how long the mailbox is left alone, by all workers, and that the
    /// helpdesks are told if it becomes unhealthy.
    ///
    /// # Errors
    /// If it could not be written down.
    pub(super) async fn note(
        &self,
        begun: Duration,
        config: &Config,
        mailbox: &config::Mailbox,
        store: &Store,
    ) -> Result<(), store::Error> {
        if let Some(pause) = self.back_off() {
            info!(mailbox = mailbox.name, ?pause, "the server asked to be left alone");
            store::answered(store.back_off(&mailbox.name, pause)).await?;
        }
        let reason = text::chain(self);
        let unhealthy = Unhealthy {
            at: Utc::now(),
            mailbox: &mailbox.name,
            kind: self.kind(),
            reason: &reason,
            cure: self.cure().unwrap_or(TRIED_AGAIN),
        };
        let failure = Failure {
            reason: &reason,
            needs_person: !self.is_transient(),
            begun,
            patience: self.patience(config.ops.max_poll_age),
            event: &Event::unhealthy(&unhealthy),
            webhooks: &config.webhook_names(),
        };
        if store::answered(store.poll_failed(&mailbox.name, &failure)).await? {
            error!(mailbox = mailbox.name, "the mailbox is unhealthy; the webhooks are told");
        }
        Ok(())
    }

    /// How long it may go on like this before the mailbox counts as unhealthy: as long as polls may be apart, but for
    /// what is certain to last longer.
    fn patience(&self, max_poll_age: Duration) -> Duration {
        let lasts = !self.is_transient() || self.back_off().is_some_and(|pause| pause >= max_poll_age);
        if lasts { Duration::ZERO } else { max_poll_age }
    }

    /// The mailbox's part in it.
    fn mailbox(&self) -> Option<&mailbox::Error> {
        match self {
            Self::Mailbox(error) | Self::Intake(intake::Error::Mailbox(error)) => Some(error),
            Self::Credentials(_) | Self::Intake(_) | Self::Store(_) => None,
        }
    }

    fn kind(&self) -> &'static str {
        match (self.mailbox(), self) {
            (Some(error), _) => error.kind(),
            (None, Self::Credentials(_)) => "token",
            (None, _) => "store",
        }
    }
}

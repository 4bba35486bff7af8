//! The reading stage: CPU work on a thread of its own, so that sockets stay served.

use std::sync::Arc;

use tokio::sync::mpsc;
use tracing::error;

use crate::config;
use crate::intake::{Error, Job};
use crate::mail;
use crate::mail::{Authserv, Facts, Mail, Remnant};
use crate::message::{Extent, Message, Uid};
use crate::step;
use crate::store::{Hand, Source};
use crate::ticket::{Clues, Policy};

/// A message, read and packed. Its raw bytes are gone: copies of mails are what memory is made of.
pub(super) struct Letter {
    /// Where it is; out of files, its number in the batch.
    pub(super) uid: Uid,
    pub(super) extent: Extent,
    pub(super) mail: Mail,
    /// What it is filed by.
    pub(super) clues: Clues,
    pub(super) source: Source,
    /// Why parts of the mail are missing, if PostgreSQL refused them.
    pub(super) degraded: Option<String>,
}

/// A batch on its way through the stages, and the mark that says so. Dropped on the way, it leaves the mark in place,
/// to be taken away with the lease.
pub(super) struct InHand<T> {
    pub(super) batch: Vec<T>,
    /// How often taking these in has failed.
    pub(super) attempts: u32,
    pub(super) hand: Hand,
}

/// Reads batches until there are no more.
pub(super) async fn read(
    job: &Job<'_>,
    mut batches: mpsc::Receiver<InHand<Message>>,
    letters: mpsc::Sender<InHand<Letter>>,
) -> Result<(), Error> {
    let facts = Arc::new(facts(job.mailbox));
    while let Some(InHand { batch, attempts, hand }) = batches.recv().await {
        // As in the stage before: a place first.
        let Ok(place) = letters.reserve().await else { break };
        let (facts, policy) = (Arc::clone(&facts), Arc::clone(job.policy));
        let read = tokio::task::spawn_blocking(move || {
            // One by one, and each source freed once it is packed.
            batch.into_iter().map(|message| Letter::read(&message, &facts, &policy)).collect()
        })
        .await;
        let read: Result<Vec<Letter>, std::io::Error> = read.map_err(|_| Error::Stage)?;
        let batch = read.map_err(|cause| {
            error!(%cause, "compressing a source");
            Error::Stage
        })?;
        place.send(InHand { batch, attempts, hand });
    }
    Ok(())
}

/// What the configuration tells of the mail that comes to a mailbox.
pub(super) fn facts(mailbox: &config::Mailbox) -> Facts {
    let authserv = match &mailbox.trusted_authserv[..] {
        [] if mailbox.is_exchange_online() => Authserv::Exchange,
        names => Authserv::Named(names.to_vec()),
    };
    let own = mailbox.addresses.iter().map(String::as_str).chain([mailbox.username.as_str()]);
    Facts::new(own, authserv)
}

impl Letter {
    pub(super) fn read(message: &Message, facts: &Facts, policy: &Policy) -> Result<Self, std::io::Error> {
        step::reading(&message.source);
        let mail = mail::read(message, facts);
        Ok(Self {
            uid: message.listed.uid,
            extent: message.extent,
            clues: Clues::of(&mail, policy),
            mail,
            source: Source::compress(&message.source)?,
            degraded: None,
        })
    }

    /// This letter with only as much of its mail, and why.
    pub(super) fn degraded(&self, remnant: Remnant, reason: String, policy: &Policy) -> Self {
        let mail = self.mail.degraded(remnant);
        Self {
            uid: self.uid,
            extent: self.extent,
            clues: Clues::of(&mail, policy),
            mail,
            source: self.source.clone(),
            degraded: Some(reason),
        }
    }
}

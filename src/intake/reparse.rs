//! Stored sources read again, by the program as it is now.
//!
//! Goes by the order of ids, a batch at a time, each compared and written in a transaction of its own: it may be
//! interrupted anywhere, and goes on after the id where it was. Intake never changes a stored message, so it runs beside
//! workers.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::config;
use crate::intake::import::ImportError;
use crate::intake::read;
use crate::mail;
use crate::mail::{Facts, Mail, Remnant};
use crate::message::{Listed, Message, Uid};
use crate::store;
use crate::store::{Changed, Reread, Store, Stored};

/// What a reparse works with.
#[derive(Debug)]
pub struct Reparse<'a> {
    /// Where mail is.
    pub store: &'a Store,
    /// The mailboxes of the configuration: by what it says of them their mail is read.
    pub mailboxes: &'a [config::Mailbox],
    /// Only messages of this mailbox.
    pub mailbox: Option<&'a str>,
    /// Limits of a batch.
    pub limits: &'a config::Intake,
    /// Whether what differs is written down.
    pub apply: bool,
    /// Messages done with.
    pub done: &'a AtomicU64,
}

/// What became of a message that was read again.
#[derive(Debug)]
pub enum Outcome {
    /// It reads differently.
    Changed {
        /// How.
        changed: Changed,
        /// Whether it has its content again, which PostgreSQL refused before.
        is_whole_again: bool,
    },
    /// It could not be read, or PostgreSQL takes nothing of it. It stays as it was.
    Failed {
        /// Its id.
        id: Uuid,
        /// Why.
        reason: &'static str,
    },
}

/// A message on its way.
struct Letter {
    id: Uuid,
    mail: Mail,
    was_degraded: bool,
    degraded: Option<String>,
}

/// Reads the messages after the id `after` again, and tells of each that reads differently. Up to which id, if it was
/// stopped before the end.
pub async fn reparse(
    job: &Reparse<'_>,
    after: Uuid,
    mut tell: impl FnMut(Outcome) -> anyhow::Result<()>,
    stop: &CancellationToken,
) -> anyhow::Result<Option<Uuid>> {
    let Reparse { store, limits, .. } = job;
    let facts: HashMap<String, Facts> =
        job.mailboxes.iter().map(|mailbox| (mailbox.name.clone(), read::facts(mailbox))).collect();
    let facts = Arc::new(facts);
    let mut after = after;
    loop {
        if stop.is_cancelled() {
            return Ok(Some(after));
        }
        let batch = store.stored_after(job.mailbox, after, limits.batch_messages, limits.batch_bytes);
        let batch = store::answered(batch).await?;
        let Some(last) = batch.last().map(|stored| stored.id) else { return Ok(None) };
        let count = batch.len() as u64;
        // One by one, and each source freed once it is read.
        let facts = Arc::clone(&facts);
        let read = move || batch.into_iter().map(|stored| Letter::read(&stored, &facts)).collect::<Vec<_>>();
        let read = tokio::task::spawn_blocking(read).await.map_err(|_| ImportError::Stage)?;
        let mut letters = Vec::with_capacity(read.len());
        for letter in read {
            match letter {
                Ok(letter) => letters.push(letter),
                Err(id) => tell(Outcome::Failed { id, reason: "its stored source is damaged" })?,
            }
        }
        for outcome in compare(job, letters).await? {
            tell(outcome)?;
        }
        job.done.fetch_add(count, Ordering::Relaxed);
        after = last;
    }
}

/// Compares a batch in one transaction; if it is refused for its data, halves of it, until the one bad message is alone.
/// That one is compared without its content, then without its header.
async fn compare(job: &Reparse<'_>, letters: Vec<Letter>) -> Result<Vec<Outcome>, store::Error> {
    let mut outcomes = Vec::new();
    // The next part last.
    let mut parts = vec![letters];
    while let Some(mut part) = parts.pop() {
        let rows: Vec<Reread<'_>> = part.iter().map(Letter::row).collect();
        let refused = match store::answered(job.store.reparse(&rows, job.apply)).await {
            Ok(changed) => {
                outcomes.extend(changed.into_iter().map(|changed| outcome(changed, &part)));
                continue;
            }
            Err(refused @ (store::Error::Refused { .. } | store::Error::Conflict)) => refused,
            Err(store::Error::TooSlow(_)) if part.len() > 1 => store::Error::Conflict,
            Err(error) => return Err(error),
        };
        if part.len() > 1 {
            let second = part.split_off(part.len() / 2);
            parts.extend([second, part]);
        } else if let Some(letter) = part.pop() {
            match letter.with_less(refused) {
                Ok(less) => parts.push(vec![less]),
                Err(id) => outcomes.push(Outcome::Failed { id, reason: "PostgreSQL refuses it" }),
            }
        }
    }
    Ok(outcomes)
}

fn outcome(changed: Changed, part: &[Letter]) -> Outcome {
    let is_whole_again =
        part.iter().any(|letter| letter.id == changed.id && letter.was_degraded && letter.degraded.is_none());
    Outcome::Changed { changed, is_whole_again }
}

impl Letter {
    /// Reads a stored message; its id, if its source is damaged.
    fn read(stored: &Stored, facts: &HashMap<String, Facts>) -> Result<Self, Uuid> {
        // Of a mailbox that is not in the configuration any more, nothing is known.
        let nothing = Facts::default();
        let facts = facts.get(&stored.mailbox).unwrap_or(&nothing);
        let source = stored.source.unpack().map_err(|_| stored.id)?;
        let listed = Listed {
            uid: Uid(0),
            size: source.len() as u64,
            internal_date: Some(stored.received_at.fixed_offset()),
        };
        let mut message = Message { listed, source, extent: stored.extent };
        let mut mail = mail::read(&message, facts);
        if mail.fingerprint != stored.fingerprint {
            // It may be one that came without INTERNALDATE, out of a file. Then the time when it was stored, which
            // stands in its place, is no part of what it is.
            message.listed.internal_date = None;
            let is_same = mail::read(&message, facts).fingerprint == stored.fingerprint;
            mail.fingerprint = if is_same { stored.fingerprint } else { mail.fingerprint };
        }
        Ok(Self { id: stored.id, mail, was_degraded: stored.is_degraded, degraded: None })
    }

    fn row(&self) -> Reread<'_> {
        Reread { id: self.id, mail: &self.mail, degraded: self.degraded.as_deref() }
    }

    /// It with less of its mail, because PostgreSQL refused it as it is; its id, if there is no less.
    fn with_less(self, refused: store::Error) -> Result<Self, Uuid> {
        let store::Error::Refused { words, .. } = refused else { return Err(self.id) };
        let remnant = match self.degraded {
            None => Remnant::Header,
            Some(_) if self.mail.headers.is_empty() => return Err(self.id),
            Some(_) => Remnant::Nothing,
        };
        let mail = self.mail.degraded(remnant);
        Ok(Self { mail, degraded: Some(words), ..self })
    }
}

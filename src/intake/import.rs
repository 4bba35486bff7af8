//! The other way in: mail out of files, read, filed and recorded like mail that was fetched.
//!
//! Safe to repeat, and to interrupt anywhere: what is stored is recognised by its fingerprint. No mailbox is touched,
//! and nothing imported is ever settled in one. Two batches are in memory at the most: one that is read, and one that
//! is recorded.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::archive;
use crate::archive::{Broken, Found, Place};
use crate::config;
use crate::intake::Tally;
use crate::intake::read;
use crate::intake::read::Letter;
use crate::intake::record::{Desk, Recorded, record_batch};
use crate::message::{Listed, Message, Uid};
use crate::retry::{Policy, Retry};
use crate::store;
use crate::store::{Inlet, Store};
use crate::text;
use crate::ticket;

/// How often a mail at which the database fails is tried.
const TRIES: u32 = 5;

/// Pauses between those tries.
const PAUSE: Policy = Policy { initial: Duration::from_secs(1), max: Duration::from_secs(10) };

/// What an import works with.
#[derive(Debug)]
pub struct Import<'a> {
    /// Where mail goes.
    pub store: &'a Store,
    /// Whose mail it becomes.
    pub mailbox: &'a config::Mailbox,
    /// The way into it.
    pub inlet: Inlet<'a>,
    /// Limits of a batch.
    pub limits: &'a config::Intake,
    /// By what it is filed.
    pub policy: &'a Arc<ticket::Policy>,
    /// Names of the webhooks that hear of each message.
    pub webhooks: &'a [&'a str],
    /// What is counted.
    pub tally: &'a Tally,
    /// Bytes of files done with.
    pub done: &'a AtomicU64,
}

/// A mail that was not imported.
#[derive(Debug)]
pub struct Failed {
    /// Where it is.
    pub place: Place,
    /// Why.
    pub reason: String,
}

/// Whether an import was stopped before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped(pub bool);

/// Why an import ended early. What was stored stays stored.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The store.
    #[error("store")]
    Store(#[from] store::Error),
    /// Reading died, which is a defect of Postroom.
    #[error("reading mail failed inside Postroom; please report this")]
    Stage,
}

/// Imports the mail in `paths`, see [`archive::mails`], and tells `failed` of each that it can't. Ends early, with what
/// is in hand recorded, once `stop` is cancelled.
pub async fn import(
    job: &Import<'_>,
    paths: Vec<PathBuf>,
    mut failed: impl FnMut(&Failed),
    stop: &CancellationToken,
) -> Result<Stopped, ImportError> {
    let (batches, mut to_record) = mpsc::channel(1);
    let (limits, stopped) = (job.limits.clone(), stop.clone());
    let (facts, policy) = (read::facts(job.mailbox), Arc::clone(job.policy));
    let reading = tokio::task::spawn_blocking(move || {
        let read = |message: &Message| Letter::read(message, &facts, &policy);
        fill(&paths, &limits, read, &batches, &stopped)
    });
    while let Some(batch) = to_record.recv().await {
        record(job, batch, &mut failed).await?;
    }
    reading.await.map_err(|_| ImportError::Stage)
}

/// Mails that are recorded together.
#[derive(Default)]
struct Batch {
    letters: Vec<Letter>,
    /// Where each was.
    places: Vec<Place>,
    failed: Vec<Failed>,
    /// Bytes of sources.
    bytes: u64,
    /// Bytes of files.
    span: u64,
}

/// Reads mails into batches, on a thread for CPU work. Whether it was stopped before the end.
fn fill(
    paths: &[PathBuf],
    limits: &config::Intake,
    read: impl Fn(&Message) -> io::Result<Letter>,
    batches: &mpsc::Sender<Batch>,
    stop: &CancellationToken,
) -> Stopped {
    let runtime = Handle::current();
    let mut mails = archive::mails(paths, limits.max_message_bytes);
    loop {
        // A place first, so that no more than one batch waits.
        let Ok(place) = runtime.block_on(batches.reserve()) else { return Stopped(true) };
        let mut batch = Batch::default();
        let mut is_end = false;
        while !batch.is_full(limits) {
            if stop.is_cancelled() {
                break;
            }
            let Some(mail) = mails.next() else {
                is_end = true;
                break;
            };
            batch.add(mail, &read);
        }
        place.send(batch);
        if is_end || stop.is_cancelled() {
            return Stopped(!is_end);
        }
    }
}

impl Batch {
    fn is_full(&self, limits: &config::Intake) -> bool {
        self.letters.len() + self.failed.len() >= limits.batch_messages || self.bytes >= limits.batch_bytes
    }

    fn add(&mut self, mail: Result<Found, Broken>, read: impl Fn(&Message) -> io::Result<Letter>) {
        match mail {
            Ok(Found { place, source, extent, span, received }) => {
                self.span += span;
                self.bytes += source.len() as u64;
                let number = u32::try_from(self.letters.len()).unwrap_or(u32::MAX);
                let listed = Listed { uid: Uid(number), size: source.len() as u64, internal_date: received };
                match read(&Message { listed, source, extent }) {
                    Ok(letter) => {
                        self.letters.push(letter);
                        self.places.push(place);
                    }
                    Err(error) => self.failed.push(Failed { place, reason: error.to_string() }),
                }
            }
            Err(Broken { place, reason }) => self.failed.push(Failed { place, reason }),
        }
    }
}

/// Records a batch. If the database fails over it, halves of it, until the one at fault is alone; that one is named and
/// passed by, unless the database is away.
async fn record(
    job: &Import<'_>,
    batch: Batch,
    failed: &mut impl FnMut(&Failed),
) -> Result<(), store::Error> {
    let Batch { letters, places, failed: broken, span, .. } = batch;
    let desk = Desk {
        store: job.store,
        mailbox: job.mailbox,
        policy: job.policy,
        webhooks: job.webhooks,
        tally: job.tally,
        inlet: job.inlet,
    };
    broken.iter().for_each(&mut *failed);
    let mut fail = |uid: Uid, reason: &str| {
        if let Some(place) = places.get(uid.0 as usize) {
            failed(&Failed { place: place.clone(), reason: reason.to_owned() });
        }
    };
    let mut retry = Retry::new(PAUSE);
    let mut tries = 0;
    // The next part last.
    let mut parts: Vec<&[Letter]> = vec![&letters];
    while let Some(part) = parts.pop().filter(|part| !part.is_empty()) {
        match store::answered(record_batch(&desk, part)).await {
            Ok(Recorded { refused, .. }) => {
                for uid in refused {
                    fail(uid, "PostgreSQL refuses it, even without its content");
                }
                tries = 0;
                retry.reset();
            }
            Err(error @ (store::Error::Database(_) | store::Error::TooSlow(_))) => {
                warn!(mailbox = job.mailbox.name, error = %text::chain(&error), "trying again");
                tokio::time::sleep(retry.next_pause()).await;
                match part {
                    [letter] if tries + 1 >= TRIES => {
                        // Its fault, if the database is there.
                        store::answered(job.store.files_of(&job.mailbox.name)).await?;
                        fail(letter.uid, "PostgreSQL fails when it is stored");
                        tries = 0;
                    }
                    [_] => {
                        tries += 1;
                        parts.push(part);
                    }
                    _ => {
                        let (first, second) = part.split_at(part.len() / 2);
                        parts.extend([second, first]);
                    }
                }
            }
            Err(error) => return Err(error),
        }
    }
    job.done.fetch_add(span, Ordering::Relaxed);
    Ok(())
}

impl Stopped {
    /// Whether all was imported that could be.
    pub fn is_complete(self) -> bool {
        !self.0
    }
}

//! The stage that files letters and records them, a batch in one commit.

use std::time::Instant;

use chrono::Utc;
use tokio::sync::mpsc;
use tracing::{debug, error, warn};

use crate::config;
use crate::intake::file;
use crate::intake::file::Origin;
use crate::intake::read::{InHand, Letter};
use crate::intake::{Error, Job, Tally};
use crate::mail::{Fingerprint, Remnant};
use crate::message::{Extent, Uid, UidSet};
use crate::store;
use crate::store::{Entry, Folder, Inlet, Store};
use crate::ticket;
use crate::ticket::{Clues, Place};

/// How often a batch that another writer overtook is filed anew.
const MAX_CONFLICTS: u32 = 5;

/// A message at which the database fails when it is alone, and had failed that often before, is held. Databases fail for
/// many reasons, so that is more often than with a broken connection.
const FAILS_ALONE: u32 = 6;

/// What letters are filed and recorded with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Desk<'a> {
    pub(super) store: &'a Store,
    pub(super) mailbox: &'a config::Mailbox,
    pub(super) policy: &'a ticket::Policy,
    pub(super) webhooks: &'a [&'a str],
    pub(super) tally: &'a Tally,
    /// The way they came in.
    pub(super) inlet: Inlet<'a>,
}

/// What became of a batch.
#[derive(Debug, Default)]
pub(super) struct Recorded {
    /// Stored whole, or copies of what is: these may be settled.
    pub(super) done: Vec<Uid>,
    /// Not stored: PostgreSQL refuses them even without their content.
    pub(super) refused: Vec<Uid>,
}

/// Records batches until there are no more, and passes on the UIDs that may now be settled: one set for each batch.
pub(super) async fn record(
    job: &Job<'_>,
    folder: &Folder,
    mut batches: mpsc::Receiver<InHand<Letter>>,
    recorded: mpsc::UnboundedSender<UidSet>,
) -> Result<(), Error> {
    while let Some(InHand { batch, attempts, hand }) = batches.recv().await {
        let started = Instant::now();
        let desk = Desk {
            store: job.store,
            mailbox: job.mailbox,
            policy: job.policy,
            webhooks: job.webhooks,
            tally: job.tally,
            inlet: Inlet::Folder(folder),
        };
        let uids = match record_batch(&desk, &batch).await {
            Err(failure @ (store::Error::Database(_) | store::Error::TooSlow(_))) => {
                failed(job, folder, &batch, attempts, failure).await?
            }
            recorded => {
                let Recorded { done, refused } = recorded?;
                hold(job, folder, refused).await?;
                done.into_iter().collect()
            }
        };
        job.store.put_down(hand).await?;
        job.tally.batch_seconds.record(started.elapsed());
        // The stage behind has ended only if it failed, and then all stages end.
        drop(recorded.send(uids));
    }
    Ok(())
}

/// Holds what PostgreSQL refuses.
async fn hold(job: &Job<'_>, folder: &Folder, refused: Vec<Uid>) -> Result<(), store::Error> {
    let count = refused.len();
    let reason = "PostgreSQL refuses it, even without its content";
    job.store.hold(folder, &refused.into_iter().collect(), reason).await?;
    job.tally.held.add(count);
    Ok(())
}

/// The database failed over a batch, and perhaps over one of its messages: with a backend that runs out of memory,
/// it is the same message each time. So the batch goes in smaller ones, as after a broken connection, and one that has
/// failed so often and alone is held. While the database is away nothing of this is written.
async fn failed(
    job: &Job<'_>,
    folder: &Folder,
    batch: &[Letter],
    attempts: u32,
    failure: store::Error,
) -> Result<UidSet, Error> {
    let uids: UidSet = batch.iter().map(|letter| letter.uid).collect();
    if batch.len() > 1 || attempts < FAILS_ALONE {
        drop(
            store::answered(job.store.stumbled(folder, &uids, "PostgreSQL failed when it was stored")).await,
        );
        return Err(failure.into());
    }
    warn!(mailbox = job.mailbox.name, error = %failure, "PostgreSQL fails over a message again and again: held");
    job.store.hold(folder, &uids, "PostgreSQL fails when it is stored").await?;
    job.tally.held.add(1);
    Ok(UidSet::default())
}

/// Records a batch in one commit; if it is refused for its data, halves of it, until the one bad message is alone.
pub(super) async fn record_batch(desk: &Desk<'_>, batch: &[Letter]) -> Result<Recorded, store::Error> {
    let mut recorded = Recorded::default();
    let mut conflicts = 0;
    // The next part last.
    let mut parts: Vec<&[Letter]> = vec![batch];
    while let Some(part) = parts.pop() {
        match record_part(desk, part).await {
            Ok(uids) => recorded.done.extend(uids),
            Err(store::Error::Conflict) if conflicts < MAX_CONFLICTS => {
                conflicts += 1;
                parts.push(part);
            }
            // Alone it would blame the message for a database in trouble.
            Err(slow @ store::Error::TooSlow(_)) if part.len() == 1 => return Err(slow),
            Err(
                refusal @ (store::Error::Refused { .. } | store::Error::TooSlow(_) | store::Error::Conflict),
            ) => {
                conflicts = 0;
                if let [letter] = part {
                    match record_what_can_be(desk, letter, &refusal).await? {
                        Some(uids) => recorded.done.extend(uids),
                        None => recorded.refused.push(letter.uid),
                    }
                } else {
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.extend([second, first]);
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(recorded)
}

/// Records a message that PostgreSQL refuses: without its content, then without its header. Its source is stored
/// whole. `None` if even that is refused.
async fn record_what_can_be(
    desk: &Desk<'_>,
    letter: &Letter,
    refusal: &store::Error,
) -> Result<Option<Vec<Uid>>, store::Error> {
    error!(mailbox = desk.mailbox.name, uid = letter.uid.0, error = %refusal, "PostgreSQL refuses a message");
    if let store::Error::Refused { words, .. } = refusal {
        for remnant in [Remnant::Header, Remnant::Nothing] {
            let degraded = letter.degraded(remnant, words.clone(), desk.policy);
            match record_part(desk, std::slice::from_ref(&degraded)).await {
                Ok(uids) => return Ok(Some(uids)),
                Err(store::Error::Refused { .. } | store::Error::Conflict) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(None)
}

/// Files and records letters in one commit. Which of them may be settled.
async fn record_part(desk: &Desk<'_>, letters: &[Letter]) -> Result<Vec<Uid>, store::Error> {
    let fingerprints: Vec<Fingerprint> = letters.iter().map(|letter| letter.mail.fingerprint).collect();
    let clues: Vec<&Clues> = letters.iter().map(|letter| &letter.clues).collect();
    let mut known = desk.store.known(desk.inlet.mailbox_id(), desk.policy, &fingerprints, &clues).await?;

    let origin = Origin {
        mailbox: desk.mailbox,
        policy: desk.policy,
        uidvalidity: desk.inlet.uidvalidity(),
        has_webhooks: !desk.webhooks.is_empty(),
        now: Utc::now(),
    };
    let placements = file::file(letters, &mut known, origin);
    let opened = placements.iter().filter(|placement| placement.opens()).count();
    let numbers = desk.store.take_ticket_numbers(opened).await?;
    let entries = file::entries(placements, numbers, origin);
    desk.store.record(desk.inlet, desk.webhooks, &entries, &known.filing).await?;

    count(desk, letters, &entries);
    // Of an oversized message only the header is stored: it stays.
    Ok(letters.iter().filter(|letter| letter.extent == Extent::Whole).map(|letter| letter.uid).collect())
}

fn count(desk: &Desk<'_>, letters: &[Letter], entries: &[Entry<'_>]) {
    let tally = desk.tally;
    let held = letters.iter().filter(|letter| letter.extent == Extent::Header).count();
    let whole_copy = |entry: &&Entry<'_>| matches!(entry, Entry::Copy { extent: Extent::Whole, .. });
    let duplicates = entries.iter().filter(whole_copy).count();
    let recorded = entries.len() - duplicates - held;
    let placed = |is_meant: fn(Place) -> bool| {
        let is_meant = |entry: &&Entry<'_>| matches!(entry, Entry::New(new) if is_meant(new.filing.place));
        entries.iter().filter(is_meant).count()
    };
    let suspended = placed(|place| matches!(place, Place::Suspended(_)));
    let archived = placed(|place| place == Place::Archived);
    debug!(mailbox = desk.mailbox.name, recorded, duplicates, held, suspended, archived, "batch recorded");
    tally.recorded.add(recorded);
    tally.duplicates.add(duplicates);
    tally.held.add(held);
    tally.opened.add(placed(|place| place == Place::Opens));
    tally.joined.add(placed(|place| matches!(place, Place::Joins(_))));
    tally.suspended.add(suspended);
    tally.archived.add(archived);
    let bytes: u64 = letters.iter().map(|letter| letter.mail.size).sum();
    tally.bytes.add(usize::try_from(bytes).unwrap_or(usize::MAX));
}

//! The stage that files letters and records them, a batch in one commit.

use std::collections::HashMap;
use std::time::Instant;

use chrono::Utc;
use tokio::sync::mpsc;
use tracing::{debug, error, warn};
use uuid::Uuid;

use crate::event::{Event, Received};
use crate::intake::read::{InHand, Letter};
use crate::intake::{Error, Job};
use crate::mail::{Fingerprint, Remnant};
use crate::message::{Extent, Uid, UidSet};
use crate::store;
use crate::store::{Entry, Folder, Known, NewMessage};
use crate::ticket;
use crate::ticket::{Filing, ThreadKey, Ticket};

/// How often a batch that another writer overtook is filed anew.
const MAX_CONFLICTS: u32 = 5;

/// A message at which the database fails when it is alone, and had failed that often before, is held. Databases fail for
/// many reasons, so that is more often than with a broken connection.
const FAILS_ALONE: u32 = 6;

/// Records batches until there are no more, and passes on the UIDs that may now be settled: one set for each batch.
pub(super) async fn record(
    job: &Job<'_>,
    folder: &Folder,
    mut batches: mpsc::Receiver<InHand<Letter>>,
    recorded: mpsc::UnboundedSender<UidSet>,
) -> Result<(), Error> {
    while let Some(InHand { batch, attempts, hand }) = batches.recv().await {
        let started = Instant::now();
        let uids = match record_batch(job, folder, &batch).await {
            Err(Error::Store(failure @ (store::Error::Database(_) | store::Error::TooSlow(_)))) => {
                failed(job, folder, &batch, attempts, failure).await?
            }
            recorded => recorded?,
        };
        job.store.put_down(hand).await?;
        job.tally.batch_seconds.record(started.elapsed());
        // The stage behind has ended only if it failed, and then all stages end.
        drop(recorded.send(uids));
    }
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
/// Which of them may be settled.
async fn record_batch(job: &Job<'_>, folder: &Folder, batch: &[Letter]) -> Result<UidSet, Error> {
    let mut done: Vec<Uid> = Vec::with_capacity(batch.len());
    let mut conflicts = 0;
    // The next part last.
    let mut parts: Vec<&[Letter]> = vec![batch];
    while let Some(part) = parts.pop() {
        match record_part(job, folder, part).await {
            Ok(uids) => done.extend(uids.iter()),
            Err(store::Error::Conflict) if conflicts < MAX_CONFLICTS => {
                conflicts += 1;
                parts.push(part);
            }
            // Alone it would blame the message for a database in trouble.
            Err(slow @ store::Error::TooSlow(_)) if part.len() == 1 => return Err(slow.into()),
            Err(
                refusal @ (store::Error::Refused { .. } | store::Error::TooSlow(_) | store::Error::Conflict),
            ) => {
                conflicts = 0;
                if let [letter] = part {
                    done.extend(record_what_can_be(job, folder, letter, &refusal).await?.iter());
                } else {
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.extend([second, first]);
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(done.into_iter().collect())
}

/// Records a message that PostgreSQL refuses: without its content, then without its header. Its source is stored
/// whole. Holds it if even that is refused.
async fn record_what_can_be(
    job: &Job<'_>,
    folder: &Folder,
    letter: &Letter,
    refusal: &store::Error,
) -> Result<UidSet, Error> {
    error!(mailbox = job.mailbox.name, uid = letter.uid.0, error = %refusal, "PostgreSQL refuses a message");
    if let store::Error::Refused { words, .. } = refusal {
        for remnant in [Remnant::Header, Remnant::Nothing] {
            let degraded = letter.degraded(remnant, words.clone());
            match record_part(job, folder, std::slice::from_ref(&degraded)).await {
                Ok(uids) => return Ok(uids),
                Err(store::Error::Refused { .. } | store::Error::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    let reason = "PostgreSQL refuses it, even without its content";
    job.store.hold(folder, &std::iter::once(letter.uid).collect(), reason).await?;
    job.tally.held.add(1);
    Ok(UidSet::default())
}

/// Files and records letters in one commit. Which of them may be settled.
async fn record_part(job: &Job<'_>, folder: &Folder, letters: &[Letter]) -> Result<UidSet, store::Error> {
    let fingerprints: Vec<Fingerprint> = letters.iter().map(|letter| letter.mail.fingerprint).collect();
    let references: Vec<ThreadKey> = letters
        .iter()
        .flat_map(|letter| ticket::candidates(&letter.mail))
        .map(|(_, id)| ThreadKey::of(id))
        .collect();
    let mut known = job.store.known(folder, &fingerprints, &references).await?;

    let placements = file(letters, &mut known);
    let opened = placements.iter().filter(|placement| placement.opens()).count();
    let numbers = job.store.take_ticket_numbers(opened).await?;
    let entries = decide(job, folder, letters, placements, known.tickets, numbers);
    job.store.record(folder, job.webhooks, &entries).await?;

    let held = letters.iter().filter(|letter| letter.extent == Extent::Header).count();
    let whole_copy = |entry: &&Entry<'_>| matches!(entry, Entry::Copy { extent: Extent::Whole, .. });
    let duplicates = entries.iter().filter(whole_copy).count();
    let recorded = entries.len() - duplicates - held;
    debug!(mailbox = job.mailbox.name, recorded, duplicates, held, "batch recorded");
    job.tally.recorded.add(recorded);
    job.tally.duplicates.add(duplicates);
    job.tally.held.add(held);
    let bytes: u64 = letters.iter().map(|letter| letter.mail.size).sum();
    job.tally.bytes.add(usize::try_from(bytes).unwrap_or(usize::MAX));
    // Of an oversized message only the header is stored: it stays.
    Ok(letters.iter().filter(|letter| letter.extent == Extent::Whole).map(|letter| letter.uid).collect())
}

/// Where a letter goes.
enum Placement {
    New { id: Uuid, ticket: Uuid, filing: Filing },
    Copy { of: Uuid },
}

impl Placement {
    fn opens(&self) -> bool {
        matches!(self, Self::New { filing, .. } if filing.ticket.is_none())
    }
}

/// Files letters in order, each knowing those before it.
fn file(letters: &[Letter], known: &mut Known) -> Vec<Placement> {
    letters
        .iter()
        .map(|Letter { mail, .. }| {
            if let Some(&of) = known.stored.get(&mail.fingerprint) {
                return Placement::Copy { of };
            }
            let filing = ticket::file(mail, &known.threads);
            let (id, ticket) = (Uuid::now_v7(), filing.ticket.unwrap_or_else(Uuid::now_v7));
            known.stored.insert(mail.fingerprint, id);
            if let Some(message_id) = &mail.message_id {
                known.threads.entry(ThreadKey::of(message_id)).or_insert(ticket);
            }
            Placement::New { id, ticket, filing }
        })
        .collect()
}

/// Counts each new message into its ticket and renders its event.
fn decide<'a>(
    job: &Job<'_>,
    folder: &Folder,
    letters: &'a [Letter],
    placements: Vec<Placement>,
    mut tickets: HashMap<Uuid, Ticket>,
    numbers: Vec<i64>,
) -> Vec<Entry<'a>> {
    let now = Utc::now();
    let mut numbers = numbers.into_iter();
    let mut entries = Vec::with_capacity(letters.len());
    for (letter, placement) in letters.iter().zip(placements) {
        let (id, ticket_id, filing) = match placement {
            Placement::New { id, ticket, filing } => (id, ticket, filing),
            Placement::Copy { of } => {
                entries.push(Entry::Copy { uid: letter.uid, of, extent: letter.extent });
                continue;
            }
        };
        let mail = &letter.mail;
        let ticket = tickets.entry(ticket_id).or_insert_with(|| Ticket {
            id: ticket_id,
            number: numbers.next().unwrap_or_default(),
            subject: mail.subject.clone(),
            status: "open".to_owned(),
            message_count: 0,
        });
        ticket.message_count += 1;
        let event = (!job.webhooks.is_empty()).then(|| {
            Event::received(&Received {
                at: now,
                mailbox: &job.mailbox.name,
                folder: &job.mailbox.folder,
                uidvalidity: folder.uidvalidity,
                uid: letter.uid,
                message_id: id,
                ticket,
                filing: &filing,
                mail,
            })
        });
        entries.push(Entry::New(Box::new(NewMessage {
            uid: letter.uid,
            id,
            received_at: mail.came_at().map_or(now, |date| date.to_utc()),
            extent: letter.extent,
            mail,
            source: &letter.source,
            filing,
            ticket: ticket.clone(),
            degraded: letter.degraded.as_deref(),
            event,
        })));
    }
    entries
}

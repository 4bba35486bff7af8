//! The stage that owns the mailbox: fetches what the ledger names and settles what has been recorded.

use std::collections::HashSet;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::intake::batch::Batch;
use crate::intake::queue::Queue;
use crate::intake::read::InHand;
use crate::intake::settle::Settling;
use crate::intake::{Error, Job};
use crate::mailbox::Selected;
use crate::message::{Extent, Listed, Message, Uid, UidSet};
use crate::step;
use crate::step::Step;
use crate::store::{Folder, Source};

/// A message is held if the connection breaks when it is fetched alone, and had broken that often before. Once is
/// nothing: connections break.
const ALONE_AT_FAULT: u32 = 2;

/// A message over which alone so many workers died is set aside unread. One may have been killed.
const FATAL: u32 = 2;

/// Fetches everything there is to fetch, one command at a time (two interleave, and then replies overtake
/// their parents), and settles in large sets between the fetches.
pub(super) async fn take(
    job: &Job<'_>,
    selected: &mut Selected<'_>,
    folder: &Folder,
    watermark: Uid,
    stop: &CancellationToken,
    fetched: mpsc::Sender<InHand<Message>>,
    recorded: mpsc::UnboundedReceiver<UidSet>,
) -> Result<(), Error> {
    let mut settling = Settling::new(job, folder);
    settling.add(&job.store.to_settle(folder).await?);
    settling.settle(selected).await?;

    let mut behind = Behind { recorded, batches: 0 };
    let mut queue = Queue::new(job, folder, watermark);
    while let Some(batch) = queue.next(selected, stop).await? {
        // By itself in this mailbox and, where others have such a batch too, in this process.
        let alone = if batch.is_suspect() {
            behind.finish(&mut settling).await;
            let Some(alone) = stop.run_until_cancelled(job.suspects.lock()).await else { break };
            Some(alone)
        } else {
            None
        };
        // A place before the fetch, or one more batch than the stages work on would be in memory. It is refused
        // only if the stage behind failed, and then all stages end.
        let Ok(place) = fetched.reserve().await else { return Ok(()) };
        let hand = job.store.take_in_hand(folder, &batch.uids()).await?;
        if batch.crashes >= FATAL {
            set_aside(job, selected, folder, batch).await?;
            job.store.put_down(hand).await?;
            continue;
        }
        let messages = fetch_or_halve(job, selected, folder, batch).await?;
        if messages.is_empty() {
            job.store.put_down(hand).await?;
        } else {
            place.send(InHand { batch: messages, hand });
            behind.batches += 1;
        }
        if alone.is_some() {
            behind.finish(&mut settling).await;
        }
        behind.note(&mut settling);
        if settling.is_worthwhile() {
            settling.settle(selected).await?;
        }
    }

    drop(fetched);
    behind.finish(&mut settling).await;
    settling.settle(selected).await?;
    settling.end()
}

/// What the stages behind this one are still working on.
struct Behind {
    recorded: mpsc::UnboundedReceiver<UidSet>,
    batches: usize,
}

impl Behind {
    /// Takes what has been recorded so far.
    fn note(&mut self, settling: &mut Settling<'_>) {
        while let Ok(uids) = self.recorded.try_recv() {
            self.batches -= 1;
            settling.add(&uids);
        }
    }

    /// Waits until nothing is left there, or a stage has failed, and then all end.
    async fn finish(&mut self, settling: &mut Settling<'_>) {
        while self.batches > 0 {
            let Some(uids) = self.recorded.recv().await else { return };
            self.batches -= 1;
            settling.add(&uids);
        }
    }
}

/// Holds a message over which workers died, with its source, unread. If one died even over that, without.
async fn set_aside(
    job: &Job<'_>,
    selected: &mut Selected<'_>,
    folder: &Folder,
    batch: Batch,
) -> Result<(), Error> {
    let uids = batch.uids();
    let whole = batch.extent == Extent::Whole && batch.crashes == FATAL;
    // What can't be fetched is held or gone by then, for reasons of its own.
    let messages = if whole { fetch_or_halve(job, selected, folder, batch).await? } else { Vec::new() };
    if whole && messages.is_empty() {
        return Ok(());
    }
    let source = messages.first().map(|message| Source::compress(&message.source)).transpose();
    let source = source.map_err(|_| Error::Stage)?;
    for uid in uids.iter() {
        error!(
            mailbox = job.mailbox.name,
            uid = uid.0,
            "workers died over this message: set aside unread; look at it with `postroom held`, and please report it"
        );
        job.store.set_aside(folder, uid, source.as_ref(), "workers died when they read it").await?;
        job.tally.held.add(1);
    }
    Ok(())
}

/// Fetches a batch. If the server refuses, halves of it, until the one message that it cannot give is alone: that
/// one is held, and delays no other.
async fn fetch_or_halve(
    job: &Job<'_>,
    selected: &mut Selected<'_>,
    folder: &Folder,
    batch: Batch,
) -> Result<Vec<Message>, Error> {
    step::reached(Step::BeforeFetch);
    let mut messages = Vec::new();
    // The next part last.
    let mut parts = vec![batch];
    while let Some(part) = parts.pop() {
        match fetch(job, selected, folder, &part).await {
            Ok(fetched) => messages.extend(fetched),
            Err(Error::Mailbox(refusal)) if refusal.is_refusal() => {
                if let Some((first, second)) = part.halves() {
                    parts.extend([second, first]);
                    continue;
                }
                warn!(mailbox = job.mailbox.name, error = %refusal, "the server refuses to give a message: held");
                let refused = part.uids();
                job.store.hold(folder, &refused, "the server refuses to give it").await?;
                job.tally.held.add(refused.len());
            }
            Err(Error::Mailbox(broken)) => {
                // Some servers close the connection over a message that they can't read.
                let uids = part.uids();
                if part.wanted.len() == 1 && part.attempts >= ALONE_AT_FAULT {
                    job.store.hold(folder, &uids, "the connection broke when it was fetched").await?;
                    job.tally.held.add(1);
                } else {
                    job.store.stumbled(folder, &uids).await?;
                }
                return Err(broken.into());
            }
            Err(error) => return Err(error),
        }
    }
    step::reached(Step::AfterFetch);
    Ok(messages)
}

/// Fetches a batch. What the server leaves out is asked for once more; then it is held if it is still
/// listed, and written down as gone if not. So is what the server gives in place of a mail.
async fn fetch(
    job: &Job<'_>,
    selected: &mut Selected<'_>,
    folder: &Folder,
    batch: &Batch,
) -> Result<Vec<Message>, Error> {
    let mut messages = with_content(selected.fetch(&batch.wanted, batch.extent).await?);
    let missing = left_out(&batch.wanted, &messages);
    if missing.is_empty() {
        return Ok(messages);
    }

    messages.extend(with_content(selected.fetch(&missing, batch.extent).await?));
    let missing: UidSet = left_out(&missing, &messages).iter().map(|listed| listed.uid).collect();
    if missing.is_empty() {
        return Ok(messages);
    }

    let present = selected.present(&missing).await?;
    let gone: UidSet = missing.iter().filter(|&uid| !present.contains(uid)).collect();
    if !present.is_empty() {
        warn!(
            mailbox = job.mailbox.name,
            count = present.len(),
            "the server lists messages but does not give them: held"
        );
        job.store.hold(folder, &present, "the server does not give it").await?;
        job.tally.held.add(present.len());
    }
    if !gone.is_empty() {
        job.store.gone(folder, &gone).await?;
        job.tally.gone.add(gone.len());
    }
    Ok(messages)
}

fn with_content(mut messages: Vec<Message>) -> Vec<Message> {
    messages.retain(Message::has_content);
    messages
}

fn left_out(wanted: &[Listed], messages: &[Message]) -> Vec<Listed> {
    let got: HashSet<Uid> = messages.iter().map(|message| message.listed.uid).collect();
    wanted.iter().filter(|listed| !got.contains(&listed.uid)).copied().collect()
}

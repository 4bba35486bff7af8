//! The stage that owns the mailbox: fetches what the ledger names and settles what has been recorded.

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::intake::batch::Batch;
use crate::intake::fetch::fetch_or_halve;
use crate::intake::queue::Queue;
use crate::intake::read::InHand;
use crate::intake::settle::Settling;
use crate::intake::{Error, Job};
use crate::mailbox::Selected;
use crate::message::{Extent, Message, Uid, UidSet};
use crate::store::{Folder, Source};

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
    let mut settling = Settling::of(job, folder, job.store.to_settle(folder).await?);
    settling.settle(selected).await?;

    if watermark == Uid(0) {
        let held = job.store.held_for_good(folder).await?;
        let taken_out = held.without(&selected.present(&held).await?);
        job.store.gone(folder, &taken_out).await?;
    }

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
        let hand = job.store.take_in_hand(folder, &batch.uids(), batch.is_suspect()).await?;
        if batch.crashes_alone >= FATAL {
            set_aside(job, selected, folder, batch).await?;
            job.store.put_down(hand).await?;
            continue;
        }
        let attempts = batch.attempts;
        let messages = fetch_or_halve(job, selected, folder, batch).await?;
        if messages.is_empty() {
            job.store.put_down(hand).await?;
        } else {
            place.send(InHand { batch: messages, attempts, hand });
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
    let whole = batch.extent == Extent::Whole && batch.crashes_alone == FATAL;
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
            "workers died over this message: set aside unread; `postroom held list` shows it"
        );
        job.store.set_aside(folder, uid, source.as_ref(), "workers died when they read it").await?;
        job.tally.held.add(1);
    }
    Ok(())
}

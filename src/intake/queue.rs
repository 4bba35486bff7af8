//! What is to be fetched: what the ledger names, and then, window by window, what the folder holds beyond.
//!
//! Listing goes on between fetches, so that the first mail of a huge folder does not wait for the last one to be
//! listed, and the other stages have something to do meanwhile.

use std::collections::VecDeque;

use tokio_util::sync::CancellationToken;

use crate::intake::batch;
use crate::intake::batch::Batch;
use crate::intake::{Error, Job};
use crate::mailbox::Selected;
use crate::message::Uid;
use crate::store::{Due, Folder};

/// How many ledger rows are looked up at a time.
const LOOKED_UP: i64 = 1_000;

/// The messages to fetch, ascending by UID.
pub(super) struct Queue<'a> {
    job: &'a Job<'a>,
    folder: &'a Folder,
    due: VecDeque<Due>,
    /// The last UID taken out of the ledger.
    after: Uid,
    /// Every UID up to this one is in the ledger.
    watermark: Uid,
    /// Whether the folder holds nothing above the watermark.
    listed: bool,
}

impl<'a> Queue<'a> {
    pub(super) fn new(job: &'a Job<'a>, folder: &'a Folder, watermark: Uid) -> Self {
        Self { job, folder, due: VecDeque::new(), after: Uid(0), watermark, listed: false }
    }

    /// The next batch; `None` when there is nothing more, or `stop` is cancelled.
    pub(super) async fn next(
        &mut self,
        selected: &mut Selected<'_>,
        stop: &CancellationToken,
    ) -> Result<Option<Batch>, Error> {
        while !stop.is_cancelled() {
            if let Some(batch) = batch::next(&mut self.due, self.job.limits) {
                return Ok(Some(batch));
            }
            self.due.extend(self.job.store.to_fetch(self.folder, self.after, LOOKED_UP).await?);
            match self.due.back() {
                Some(last) => self.after = last.listed.uid,
                None if self.listed => return Ok(None),
                None => self.list(selected).await?,
            }
        }
        Ok(None)
    }

    /// Lists the next window of the folder into the ledger.
    async fn list(&mut self, selected: &mut Selected<'_>) -> Result<(), Error> {
        if selected.exists() == 0 {
            self.listed = true;
            return Ok(());
        }
        let listing = selected.list(self.watermark).await?;
        self.watermark = self.watermark.max(listing.looked_at);
        self.job.store.see(self.folder, &listing.messages, self.watermark).await?;
        self.job.tally.seen.add(listing.messages.len());
        self.listed = listing.complete;
        Ok(())
    }
}

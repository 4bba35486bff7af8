//! Settling: what has been stored leaves the mailbox, as configured.
//!
//! Invariant: only what the ledger names as stored is settled, and what the server does not settle stays in the
//! ledger, to be tried again after a pause.

use tracing::warn;

use crate::intake::{Error, Job};
use crate::mailbox;
use crate::mailbox::{Plan, Selected};
use crate::message::{Uid, UidSet};
use crate::step;
use crate::step::Step;
use crate::store::{Folder, Unsettled};

/// How often a server may refuse to settle in one cycle. Enough to find a few bad messages among a thousand.
const MAX_REFUSALS: u32 = 40;

/// What has been recorded and waits to be settled.
pub(super) struct Settling<'a> {
    job: &'a Job<'a>,
    folder: &'a Folder,
    waiting: Vec<Uid>,
    /// What has been copied and is still to be removed, where the plan says so.
    copied: UidSet,
    /// How often the server has refused in this cycle.
    refusals: u32,
    /// Why, the last time. Intake goes on without; the ledger keeps what is waiting.
    refused: Option<mailbox::Error>,
}

impl<'a> Settling<'a> {
    /// Settling that begins with what an earlier cycle left.
    pub(super) fn of(job: &'a Job<'a>, folder: &'a Folder, left: Unsettled) -> Self {
        Self {
            job,
            folder,
            waiting: left.all.iter().collect(),
            copied: left.copied,
            refusals: 0,
            refused: None,
        }
    }

    /// Adds stored messages.
    pub(super) fn add(&mut self, uids: &UidSet) {
        self.waiting.extend(uids.iter());
    }

    /// Whether so many wait that a command is well used.
    pub(super) fn is_worthwhile(&self) -> bool {
        self.waiting.len() >= self.job.limits.settle_messages
    }

    /// Why the server refused, if it did: the cycle has not done all it was to do.
    pub(super) fn end(self) -> Result<(), Error> {
        self.refused.map_or(Ok(()), |refused| Err(refused.into()))
    }

    /// Settles what waits. Where the server refuses, halves of it, so that one message delays no other; but after
    /// [`MAX_REFUSALS`] it seems to be everything that it refuses.
    pub(super) async fn settle(&mut self, selected: &mut Selected<'_>) -> Result<(), Error> {
        let all: UidSet = self.waiting.drain(..).collect();
        let mut parts = vec![all];
        while let Some(part) = parts.pop() {
            if part.is_empty() {
                continue;
            }
            if self.refusals >= MAX_REFUSALS {
                self.postpone(&part).await?;
                continue;
            }
            // Asleep for longer than the lease, this worker would wake up here.
            self.job.store.confirm_lease(self.job.lease).await?;
            step::reached(Step::BeforeSettle);
            match self.carry_out(selected, &part).await {
                Ok(left) => {
                    step::reached(Step::AfterSettle);
                    self.settled(&part, &left).await?;
                    // It said OK and did nothing: later, perhaps.
                    if !left.is_empty() {
                        self.postpone(&left).await?;
                    }
                }
                Err(Error::Mailbox(refusal)) if refusal.is_refusal() => {
                    self.refusals += 1;
                    // Some may be settled already, or gone.
                    let present = selected.present(&part).await?;
                    self.settled(&part, &present).await?;
                    match present.halves() {
                        Some((first, second)) => parts.extend([second, first]),
                        None => self.postpone(&present).await?,
                    }
                    self.refused = Some(refusal);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Carries out the plan. Gives what the server left as it was although it said OK.
    ///
    /// A copy is written down before its original is removed: where the removal fails again and again, the folder of
    /// settled mail does not fill up with copies.
    async fn carry_out(&mut self, selected: &mut Selected<'_>, part: &UidSet) -> Result<UidSet, Error> {
        let Plan::Copy { to, removal } = self.job.plan else {
            return Ok(selected.settle(self.job.plan, part).await?);
        };
        // One command after the other: what the first has copied is known when the second fails.
        for few in part.without(&self.copied).split() {
            let copied = selected.copy(to, &few).await?;
            self.job.store.copied(self.folder, &copied).await?;
            self.copied = self.copied.iter().chain(copied.iter()).collect();
        }
        let not_copied = part.without(&self.copied);
        let left = selected.settle(&Plan::Delete { removal: *removal }, &part.without(&not_copied)).await?;
        Ok(left.iter().chain(selected.present(&not_copied).await?.iter()).collect())
    }

    /// Writes down that all of `part` but `left` is settled.
    async fn settled(&self, part: &UidSet, left: &UidSet) -> Result<(), Error> {
        let done: UidSet = part.iter().filter(|&uid| !left.contains(uid)).collect();
        self.job.store.settled(self.folder, &done, self.job.plan.stays()).await?;
        self.job.tally.settled.add(done.len());
        Ok(())
    }

    async fn postpone(&self, part: &UidSet) -> Result<(), Error> {
        warn!(
            mailbox = self.job.mailbox.name,
            count = part.len(),
            "the server does not settle stored messages; they stay in the mailbox for now"
        );
        Ok(self.job.store.settle_later(self.folder, part).await?)
    }
}

//! The first flow: mailbox → PostgreSQL → mailbox.
//!
//! A [`cycle`] takes no hint from the one before it: the ledger on disk decides what is to be done, so
//! recovery after a crash is the ordinary path. Its stages run side by side, joined by channels that hold
//! one batch each, so memory is bounded by the batch and not by the backlog:
//!
//! ```text
//! take: list ─► ledger ─► fetch ─► read ─► record ─┐
//! take: settle ◄───────────────────────────────────┘
//! ```

mod batch;
mod fetch;
mod file;
mod import;
mod queue;
mod read;
mod record;
mod release;
mod reparse;
mod settle;
mod take;
mod tally;

use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use crate::config;
use crate::event::Event;
use crate::mailbox;
use crate::mailbox::{Plan, Session};
use crate::store;
use crate::store::{Lease, Store};
use crate::ticket::Policy;

pub use import::{Failed, Import, ImportError, Stopped, import};
pub use release::{ReleaseError, Released, policy, release};
pub use reparse::{Outcome, Reparse, reparse};
pub use tally::{Count, Tally};

/// How often a folder is listed from its beginning, whatever the watermark says: a server may leave a message out of a
/// listing, or out of every answer for a while, or let one appear below others that are known.
const SWEEP: Duration = Duration::from_hours(1);

/// The same where settled mail stays in the folder, which may hold a great deal of it.
const SWEEP_OF_KEPT: Duration = Duration::from_hours(24);

/// What a cycle works with.
#[derive(Debug)]
pub struct Job<'a> {
    /// Where mail goes.
    pub store: &'a Store,
    /// The right to empty the mailbox. The caller keeps it alive.
    pub lease: &'a Lease,
    /// The mailbox.
    pub mailbox: &'a config::Mailbox,
    /// What becomes of stored messages.
    pub plan: &'a Plan,
    /// By what its mail is filed.
    pub policy: &'a Arc<Policy>,
    /// Limits of a batch.
    pub limits: &'a config::Intake,
    /// Names of the webhooks that hear of each message.
    pub webhooks: &'a [&'a str],
    /// Taken while a batch is worked on that an earlier worker may have died over. Shared by all mailboxes of a
    /// process: if it dies, it is known over which.
    pub suspects: &'a Mutex<()>,
    /// What is counted.
    pub tally: &'a Tally,
}

/// Why a cycle ended early. What was stored stays stored; the next cycle goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The mailbox. The session must be dropped.
    #[error("mailbox")]
    Mailbox(#[from] mailbox::Error),
    /// The store.
    #[error("store")]
    Store(#[from] store::Error),
    /// A stage died, which is a defect of Postroom.
    #[error("reading mail failed inside Postroom; please report this")]
    Stage,
}

/// Empties the folder once: settles what an earlier cycle left, lists what is new, stores and settles it.
///
/// Returns how many messages were in the folder at its start. Ends early, in order and with everything recorded
/// also settled, once `stop` is cancelled. After an error, or when this future is dropped, the session is out of
/// step and must be dropped too; nothing is lost.
pub async fn cycle(job: &Job<'_>, session: &mut Session, stop: &CancellationToken) -> Result<u32, Error> {
    let tally = job.tally;
    let before = tally.work();
    let mut selected = session.select(&job.mailbox.folder).await?;
    let exists = selected.exists();
    // Where mail is kept, or others' habits keep it, a low UIDNEXT would have all of it read again and again.
    let last = selected.last().filter(|_| job.plan.stays().is_none());
    let sweep = if job.plan.stays().is_none() { SWEEP } else { SWEEP_OF_KEPT };
    let (folder, watermark) = job.store.open_folder(job.lease, selected.uidvalidity(), last, sweep).await?;

    let (fetched, to_read) = mpsc::channel(1);
    let (letters, to_record) = mpsc::channel(1);
    // Holds UIDs only, and no more of them than the batches in the two channels above.
    let (recorded, to_settle) = mpsc::unbounded_channel();
    tokio::try_join!(
        take::take(job, &mut selected, &folder, watermark, stop, fetched, to_settle),
        read::read(job, to_read, letters),
        record::record(job, &folder, to_record, recorded),
    )?;

    let recovered = |since| Event::recovered(Utc::now(), &job.mailbox.name, since);
    job.store.poll_completed(job.lease, job.webhooks, recovered).await?;
    if tally.work() == before {
        debug!(mailbox = job.mailbox.name, "nothing to do");
    } else {
        info!(
            mailbox = job.mailbox.name,
            recorded = tally.recorded.get(),
            duplicates = tally.duplicates.get(),
            held = tally.held.get(),
            suspended = tally.suspended.get(),
            settled = tally.settled.get(),
            "cycle done; counts since start"
        );
    }
    Ok(exists)
}

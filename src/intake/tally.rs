//! What intake has done to one mailbox since the process started: counted once, for the metrics and for
//! whoever shows progress.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use metrics::{Counter, Histogram, counter, histogram};

use crate::metric;

/// The counts of one mailbox.
#[derive(Debug)]
pub struct Tally {
    /// Messages found in the folder that were not in the ledger.
    pub seen: Count,
    /// Messages stored.
    pub recorded: Count,
    /// Copies of stored messages.
    pub duplicates: Count,
    /// Messages kept in the mailbox on doubt.
    pub held: Count,
    /// Messages that left the folder before they were fetched.
    pub gone: Count,
    /// Messages stored in a ticket that they opened.
    pub opened: Count,
    /// Messages stored in a ticket that was there.
    pub joined: Count,
    /// Messages stored in no ticket until a person has looked.
    pub suspended: Count,
    /// Messages stored in no ticket.
    pub archived: Count,
    /// Messages moved, expunged, or kept as configured.
    pub settled: Count,
    /// Bytes stored, before compression.
    pub bytes: Count,
    pub(super) batch_seconds: Histogram,
}

/// One count. Only grows.
pub struct Count {
    total: AtomicU64,
    metric: Counter,
}

impl Tally {
    /// Counts for a mailbox. Install the metrics recorder before, or the metrics miss them.
    pub fn new(mailbox: &str) -> Self {
        let of = |name: &'static str| counter!(name, metric::MAILBOX => mailbox.to_owned());
        let taken_in = |outcome: &'static str| {
            Count::new(
                counter!(metric::MESSAGES, metric::MAILBOX => mailbox.to_owned(), metric::OUTCOME => outcome),
            )
        };
        let filed = |place: &'static str| {
            Count::new(
                counter!(metric::MESSAGES_FILED, metric::MAILBOX => mailbox.to_owned(), metric::PLACE => place),
            )
        };
        Self {
            seen: Count::new(Counter::noop()),
            recorded: taken_in("recorded"),
            duplicates: taken_in("duplicate"),
            held: taken_in("held"),
            gone: taken_in("gone"),
            opened: filed("opened"),
            joined: filed("joined"),
            suspended: filed("suspended"),
            archived: filed("archived"),
            settled: Count::new(of(metric::MESSAGES_SETTLED)),
            bytes: Count::new(of(metric::INTAKE_BYTES)),
            batch_seconds: histogram!(metric::INTAKE_BATCH_DURATION, metric::MAILBOX => mailbox.to_owned()),
        }
    }

    /// Messages of which no more is to be done than to settle them.
    pub fn taken(&self) -> u64 {
        [&self.recorded, &self.duplicates, &self.held, &self.gone].iter().map(|count| count.get()).sum()
    }

    /// Grows with every message that comes one step further.
    pub fn work(&self) -> u64 {
        self.seen.get() + self.taken() + self.settled.get()
    }
}

impl Count {
    fn new(metric: Counter) -> Self {
        Self { total: AtomicU64::new(0), metric }
    }

    /// How many so far.
    pub fn get(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    pub(super) fn add(&self, count: usize) {
        self.total.fetch_add(count as u64, Ordering::Relaxed);
        self.metric.increment(count as u64);
    }
}

impl fmt::Debug for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

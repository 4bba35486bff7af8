//! Keeps the leases of a process alive: one statement for all of them, however many mailboxes it empties.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, interval_at, sleep_until, timeout};

use crate::store::lease::{LEASE, Lease};
use crate::store::{Error, Store};

/// How often leases are renewed. Two renewals may fail before one is lost.
const EVERY: Duration = Duration::from_secs(LEASE.as_secs() / 3);

/// Renews what a holder works under. Clones share the renewals.
#[derive(Debug, Clone)]
pub struct Keeper {
    store: Store,
    holder: Arc<str>,
    /// The mailboxes whose leases are being kept, by id. No others: one that could not be given back has to end.
    kept: Arc<Mutex<HashSet<i32>>>,
    renewals: Arc<watch::Sender<Renewals>>,
}

/// Takes a lease off those that are kept when nobody works under it any more.
struct Kept<'a> {
    keeper: &'a Keeper,
    mailbox_id: i32,
}

/// What the last renewal found.
#[derive(Debug)]
struct Renewals {
    /// When it was asked for. What it says holds from then on.
    at: Instant,
    /// The epoch under which each mailbox is held, by id.
    held: HashMap<i32, i64>,
}

impl Keeper {
    /// Of the leases that `holder` takes.
    pub fn new(store: Store, holder: Arc<str>) -> Self {
        let nothing = Renewals { at: Instant::now(), held: HashMap::new() };
        Self { store, holder, kept: Arc::default(), renewals: Arc::new(watch::Sender::new(nothing)) }
    }

    /// Renews every lease that is kept, every third of a lease's length, for as long as this future lives.
    pub async fn run(self) {
        let mut next = interval_at(Instant::now() + EVERY, EVERY);
        loop {
            next.tick().await;
            // The database may be in trouble; leases may outlive that.
            drop(timeout(EVERY, self.renew()).await);
        }
    }

    /// Renews every lease that is kept, once.
    pub async fn renew(&self) -> Result<(), Error> {
        let at = Instant::now();
        let kept: Vec<i32> = self.locked().iter().copied().collect();
        if kept.is_empty() {
            return Ok(());
        }
        let held: Vec<(i32, i64)> = sqlx::query_as(
            "UPDATE mailboxes SET lease_until = now() + make_interval(secs => $3)
             WHERE lease_holder = $1 AND id = ANY($2)
             RETURNING id, lease_epoch",
        )
        .bind(&*self.holder)
        .bind(&kept)
        .bind(LEASE.as_secs_f64())
        .fetch_all(&self.store.pool)
        .await?;
        self.renewals.send_replace(Renewals { at, held: held.into_iter().collect() });
        Ok(())
    }

    /// Waits for as long as a lease, which has been taken, is kept.
    ///
    /// # Errors
    /// Always [`Error::LeaseLost`]: another worker has taken over, or no renewal came through before the lease ended. So
    /// this is also the deadline of a database that answers nothing any more: whoever works under the lease is to be
    /// dropped then.
    pub async fn keep(&self, lease: &Lease) -> Error {
        let mut renewals = self.renewals.subscribe();
        self.locked().insert(lease.mailbox_id);
        let _kept = Kept { keeper: self, mailbox_id: lease.mailbox_id };
        let begun = Instant::now();
        let mut ends = lease.taken_at + LEASE;
        loop {
            tokio::select! {
                () = sleep_until(ends) => return Error::LeaseLost,
                // Our own sender keeps the channel open.
                _ = renewals.changed() => {}
            }
            let renewed = renewals.borrow_and_update();
            // One that was asked for before may not have seen the lease.
            if renewed.at >= begun {
                if renewed.held.get(&lease.mailbox_id) != Some(&lease.epoch) {
                    return Error::LeaseLost;
                }
                ends = renewed.at + LEASE;
            }
        }
    }

    /// Nothing is left half done under this lock, so a panic elsewhere while it was held does no harm.
    fn locked(&self) -> MutexGuard<'_, HashSet<i32>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Kept<'_> {
    fn drop(&mut self) {
        self.keeper.locked().remove(&self.mailbox_id);
    }
}

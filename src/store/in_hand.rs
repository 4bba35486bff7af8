//! Which messages a worker has in hand.
//!
//! Marked before they are fetched, unmarked when they are recorded or held. A mark that outlives its worker tells
//! the next one what the worker before died over: those go in smaller batches, until the one at fault is alone.
//! Neither waits for the disk. A crash of the worker leaves a committed mark behind all the same, and after one of
//! PostgreSQL's a missing mark costs one more death.

use sqlx::PgConnection;

use crate::message::UidSet;
use crate::store::ledger::{Folder, numbers};
use crate::store::{Error, Lease, Store};

/// A mark. It stays until it is [put down](Store::put_down), or the mailbox's lease is given back or taken over.
#[derive(Debug)]
#[must_use]
pub struct Hand(i64);

impl Store {
    /// Marks messages as in hand; `suspect` if they are worked on by themselves because a worker died over them.
    ///
    /// # Errors
    /// [`Error::LeaseLost`] if another worker has the mailbox: nothing may be begun.
    pub async fn take_in_hand(&self, folder: &Folder, uids: &UidSet, suspect: bool) -> Result<Hand, Error> {
        let id: Option<i64> = sqlx::query_scalar(
            "WITH quick AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))
             INSERT INTO in_hand (mailbox_id, uidvalidity, uids, holder, suspect)
             SELECT mailboxes.id, $3, $4, $5, $6 FROM mailboxes, quick
             WHERE mailboxes.id = $1 AND lease_epoch = $2 FOR KEY SHARE OF mailboxes
             RETURNING id",
        )
        .bind(folder.lease.mailbox_id)
        .bind(folder.lease.epoch)
        .bind(i64::from(folder.uidvalidity.0))
        .bind(numbers(uids))
        .bind(&*folder.lease.holder)
        .bind(suspect)
        .fetch_optional(&self.pool)
        .await?;
        id.map(Hand).ok_or(Error::LeaseLost)
    }

    /// Takes a mark away.
    pub async fn put_down(&self, hand: Hand) -> Result<(), Error> {
        sqlx::query(
            "WITH quick AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))
             DELETE FROM in_hand USING quick WHERE id = $1",
        )
        .bind(hand.0)
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}

/// Whose marks are those of the dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dead {
    /// All but those of the lease's holder, which lives.
    Others,
    /// The holder's too: it lives, but what it did with them has died.
    All,
}

/// Writes down what was died over in a mailbox, and takes the marks away, within a transaction that takes or gives
/// back its lease. How many messages that were.
pub(super) async fn inherit(connection: &mut PgConnection, lease: &Lease, dead: Dead) -> Result<u64, Error> {
    let left: Vec<(i64, Vec<i64>, String, bool)> = sqlx::query_as(
        "DELETE FROM in_hand WHERE mailbox_id = $1 RETURNING uidvalidity, uids, holder, suspect",
    )
    .bind(lease.mailbox_id)
    .fetch_all(&mut *connection)
    .await?;
    let mut messages = 0;
    for (uidvalidity, uids, holder, suspect) in &left {
        if dead == Dead::Others && **holder == *lease.holder {
            continue;
        }
        messages += sqlx::query(
            "UPDATE ledger SET crashes = crashes + 1,
                 crashes_alone = crashes_alone + ($4 AND cardinality($3) = 1)::integer
             WHERE mailbox_id = $1 AND uidvalidity = $2 AND uid = ANY($3) AND state IN ('seen', 'held')",
        )
        .bind(lease.mailbox_id)
        .bind(uidvalidity)
        .bind(uids)
        .bind(suspect)
        .execute(&mut *connection)
        .await?
        .rows_affected();
    }
    Ok(messages)
}

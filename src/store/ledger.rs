//! Which messages are known, and how far each has come. Only UIDs named here are ever touched in a mailbox.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, PgConnection, Row};

use crate::message::{Listed, Uid, UidSet, UidValidity};
use crate::store::lease::Lease;
use crate::store::{Error, Store, rates};

/// States of messages that are stored and still in the mailbox.
const STORED: &str = "'recorded', 'duplicate'";

/// States of messages that are not stored.
const NOT_STORED: &str = "'seen', 'held'";

/// A folder of a leased mailbox under one UIDVALIDITY: what a ledger entry belongs to.
#[derive(Debug, Clone)]
pub struct Folder {
    /// The right to work on it.
    pub lease: Lease,
    /// The UIDVALIDITY its UIDs hold under.
    pub uidvalidity: UidValidity,
}

/// A message that is to be fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// It.
    pub listed: Listed,
    /// How often taking it in, alone or with others, has failed.
    pub attempts: u32,
    /// How often a worker died while it had this message in hand, alone or with others.
    pub crashes: u32,
    /// How often a worker died while it had this message, and nothing else, in hand.
    pub crashes_alone: u32,
}

/// Messages that are stored and not settled.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Unsettled {
    /// They.
    pub all: UidSet,
    /// Those among them that have been copied and are still to be removed.
    pub copied: UidSet,
}

/// How many messages of a mailbox stand where.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// Listed, not yet stored.
    pub seen: u64,
    /// Stored, not yet settled.
    pub recorded: u64,
    /// Kept in the mailbox on doubt, by reason.
    pub held: Vec<(String, u64)>,
}

impl Store {
    /// Opens the folder under `uidvalidity` and returns its watermark: every UID up to it is in the ledger. It is 0, so
    /// that the folder is listed from its beginning, when that has not been done for `sweep`.
    ///
    /// When UIDVALIDITY has changed, all older UIDs have lost their meaning (RFC 9051 §2.3.1.1): their entries stay as
    /// they are, unused. Should that UIDVALIDITY come back, or the highest UID that the server says there can be,
    /// `last`, be one that was passed long ago, then its UIDs may mean other messages by now. Entries count as
    /// gone until they are listed, and messages stored before are recognised by their fingerprint.
    pub async fn open_folder(
        &self,
        lease: &Lease,
        uidvalidity: UidValidity,
        last: Option<Uid>,
        sweep: Duration,
    ) -> Result<(Folder, Uid), Error> {
        let mut transaction = self.pool.begin().await?;
        lease.fence(&mut transaction).await?;
        let (known, watermark, is_time): (Option<i64>, i64, bool) = sqlx::query_as(
            "SELECT uidvalidity, watermark, coalesce(swept_at < now() - make_interval(secs => $2), true)
             FROM mailboxes WHERE id = $1",
        )
        .bind(lease.mailbox_id)
        .bind(sweep.as_secs_f64())
        .fetch_one(&mut *transaction)
        .await?;
        let is_other = known != Some(i64::from(uidvalidity.0));
        let is_anew = is_other || last.is_some_and(|last| last < uid(watermark));
        if is_anew {
            // What has left the folder is seen again when it is listed. What is to be fetched will show what it is. But
            // nothing may be settled by a UID that is another's, nor be passed over.
            sqlx::query(
                "UPDATE ledger l SET state = 'gone', reason = 'the folder''s UIDs began anew', retry_at = NULL
                 WHERE mailbox_id = $1 AND uidvalidity = $2
                   AND (state IN ('recorded', 'duplicate')
                        OR ($3 AND (state IN ('seen', 'held') OR (state = 'settled' AND reason IS NOT NULL))))
                   AND NOT EXISTS (SELECT FROM set_aside s WHERE (s.mailbox_id, s.uidvalidity, s.uid)
                                       = (l.mailbox_id, l.uidvalidity, l.uid))",
            )
            .bind(lease.mailbox_id)
            .bind(i64::from(uidvalidity.0))
            .bind(is_other)
            .execute(&mut *transaction)
            .await?;
        }
        let watermark = if is_anew || is_time {
            sqlx::query(
                "UPDATE mailboxes SET uidvalidity = $2, watermark = 0, swept_at = now() WHERE id = $1",
            )
            .bind(lease.mailbox_id)
            .bind(i64::from(uidvalidity.0))
            .execute(&mut *transaction)
            .await?;
            rates::forget(&mut transaction, lease.mailbox_id).await?;
            Uid(0)
        } else {
            uid(watermark)
        };
        transaction.commit().await?;
        Ok((Folder { lease: lease.clone(), uidvalidity }, watermark))
    }

    /// Writes down listed messages as seen and moves the watermark up to `looked_at`.
    ///
    /// One that was taken for gone, or that is listed although it has left the folder, is seen again: its fingerprint
    /// tells whether it is a message that is stored already.
    pub async fn see(&self, folder: &Folder, listed: &[Listed], looked_at: Uid) -> Result<(), Error> {
        let uids: Vec<i64> = listed.iter().map(|listed| i64::from(listed.uid.0)).collect();
        let sizes: Vec<i64> = listed.iter().map(|l| i64::try_from(l.size).unwrap_or(i64::MAX)).collect();
        let dates: Vec<Option<DateTime<Utc>>> =
            listed.iter().map(|l| l.internal_date.map(|date| date.to_utc())).collect();
        let mut transaction = self.pool.begin().await?;
        folder.lease.fence(&mut transaction).await?;
        sqlx::query(
            "INSERT INTO ledger (mailbox_id, uidvalidity, uid, state, size, internal_date)
             SELECT $1, $2, uid, 'seen', size, internal_date
             FROM unnest($3::bigint[], $4::bigint[], $5::timestamptz[]) AS l (uid, size, internal_date)
             ON CONFLICT (mailbox_id, uidvalidity, uid) DO UPDATE
                 SET state = 'seen', size = excluded.size, internal_date = excluded.internal_date, seen_at = now(),
                     attempts = 0, crashes = 0, crashes_alone = 0, reason = NULL, retry_at = NULL, message_id = NULL, recorded_at = NULL, copied_at = NULL, settled_at = NULL
                 WHERE ledger.state = 'gone' OR (ledger.state = 'settled' AND ledger.reason IS NULL)",
        )
        .bind(folder.lease.mailbox_id)
        .bind(i64::from(folder.uidvalidity.0))
        .bind(&uids)
        .bind(&sizes)
        .bind(&dates)
        .execute(&mut *transaction)
        .await?;
        sqlx::query("UPDATE mailboxes SET watermark = greatest(watermark, $2) WHERE id = $1")
            .bind(folder.lease.mailbox_id)
            .bind(i64::from(looked_at.0))
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// The next messages to fetch above `after`, ascending: seen ones, and held ones whose retry is due.
    pub async fn to_fetch(&self, folder: &Folder, after: Uid, limit: i64) -> Result<Vec<Due>, Error> {
        let rows = sqlx::query(
            "SELECT uid, size, internal_date, attempts, crashes, crashes_alone FROM ledger
             WHERE mailbox_id = $1 AND uidvalidity = $2 AND uid > $3
               AND state IN ('seen', 'held') AND (state = 'seen' OR retry_at <= now())
             ORDER BY uid LIMIT $4",
        )
        .bind(folder.lease.mailbox_id)
        .bind(i64::from(folder.uidvalidity.0))
        .bind(i64::from(after.0))
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        rows.iter()
            .map(|row| {
                let internal_date: Option<DateTime<Utc>> = row.try_get(2)?;
                let listed = Listed {
                    uid: uid(row.try_get(0)?),
                    size: u64::try_from(row.try_get::<i64, _>(1)?).unwrap_or(0),
                    internal_date: internal_date.map(|date| date.fixed_offset()),
                };
                let count =
                    |column: usize| row.try_get::<i32, _>(column).map(|n| u32::try_from(n).unwrap_or(0));
                Ok(Due { listed, attempts: count(3)?, crashes: count(4)?, crashes_alone: count(5)? })
            })
            .collect()
    }

    /// What is stored and still waits to be settled: leftovers of a crash, of a lost connection, and of refusals
    /// whose pause is over.
    pub async fn to_settle(&self, folder: &Folder) -> Result<Unsettled, Error> {
        let rows: Vec<(i64, bool)> = sqlx::query_as(
            "SELECT uid, copied_at IS NOT NULL FROM ledger
             WHERE mailbox_id = $1 AND uidvalidity = $2 AND state IN ('recorded', 'duplicate')
               AND (retry_at IS NULL OR retry_at <= now())",
        )
        .bind(folder.lease.mailbox_id)
        .bind(i64::from(folder.uidvalidity.0))
        .fetch_all(&self.pool)
        .await?;
        let copied = rows.iter().filter(|(_, copied)| *copied);
        Ok(Unsettled {
            copied: copied.map(|&(number, _)| uid(number)).collect(),
            all: rows.iter().map(|&(number, _)| uid(number)).collect(),
        })
    }

    /// Writes down that messages have been copied and are still to be removed, so that they are not copied again.
    pub async fn copied(&self, folder: &Folder, uids: &UidSet) -> Result<(), Error> {
        self.change(folder, uids, STORED, "copied_at = now(), reason = $6", None).await
    }

    /// Writes down that stored messages have been settled in the mailbox, and why if they are still in the folder.
    pub async fn settled(&self, folder: &Folder, uids: &UidSet, stays: Option<&str>) -> Result<(), Error> {
        let change = "state = 'settled', settled_at = now(), retry_at = NULL, reason = $6";
        self.change(folder, uids, STORED, change, stays).await
    }

    /// Writes down that the mailbox does not settle messages: they are left alone for a pause that doubles each
    /// time, from half a minute to an hour.
    pub async fn settle_later(&self, folder: &Folder, uids: &UidSet) -> Result<(), Error> {
        let change = "attempts = attempts + 1, reason = $6,
            retry_at = now() + least(interval '30 seconds' * 2 ^ least(attempts, 11), interval '1 hour')";
        self.change(folder, uids, STORED, change, Some("the mailbox does not settle it")).await
    }

    /// Writes down that taking these in failed, and perhaps over one of them. Held ones pause again.
    pub async fn stumbled(&self, folder: &Folder, uids: &UidSet, reason: &str) -> Result<(), Error> {
        let change =
            "attempts = attempts + 1, reason = coalesce(reason, $6), retry_at = CASE state WHEN 'held'
            THEN now() + least(interval '1 minute' * 2 ^ least(attempts, 11), interval '1 day') END";
        self.change(folder, uids, NOT_STORED, change, Some(reason)).await
    }

    /// Writes down that messages disappeared before they could be stored. One whose source is set aside is still
    /// there, and stays held.
    pub async fn gone(&self, folder: &Folder, uids: &UidSet) -> Result<(), Error> {
        let change = "retry_at = NULL, reason = $6, state = CASE WHEN EXISTS (
                SELECT FROM set_aside s WHERE (s.mailbox_id, s.uidvalidity, s.uid)
                    = (ledger.mailbox_id, ledger.uidvalidity, ledger.uid)) THEN 'held' ELSE 'gone' END";
        self.change(folder, uids, NOT_STORED, change, Some("left the folder before it was fetched")).await
    }

    /// Holds messages: they stay in the mailbox and are tried again after a pause that doubles each time,
    /// from a minute to a day.
    pub async fn hold(&self, folder: &Folder, uids: &UidSet, reason: &str) -> Result<(), Error> {
        let change = "state = 'held', attempts = attempts + 1, reason = $6,
            retry_at = now() + least(interval '1 minute' * 2 ^ least(attempts, 11), interval '1 day')";
        self.change(folder, uids, NOT_STORED, change, Some(reason)).await
    }

    /// Changes the entries of `uids` that are in one of `states`.
    async fn change(
        &self,
        folder: &Folder,
        uids: &UidSet,
        states: &'static str,
        change: &'static str,
        reason: Option<&str>,
    ) -> Result<(), Error> {
        if uids.is_empty() {
            return Ok(());
        }
        let numbers = numbers(uids);
        let statement = AssertSqlSafe(format!(
            "UPDATE ledger SET {change}
             WHERE mailbox_id = $1 AND uidvalidity = $2 AND uid BETWEEN $3 AND $4 AND uid = ANY($5)
               AND state IN ({states})"
        ));
        let mut transaction = self.pool.begin().await?;
        folder.lease.fence(&mut transaction).await?;
        sqlx::query(statement)
            .bind(folder.lease.mailbox_id)
            .bind(i64::from(folder.uidvalidity.0))
            .bind(numbers.first().copied())
            .bind(numbers.last().copied())
            .bind(&numbers)
            .bind(reason)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Held messages that are not tried again by themselves. A person may have taken them out of the mailbox.
    pub async fn held_for_good(&self, folder: &Folder) -> Result<UidSet, Error> {
        let uids: Vec<i64> = sqlx::query_scalar(
            "SELECT uid FROM ledger
             WHERE mailbox_id = $1 AND uidvalidity = $2 AND state = 'held' AND retry_at IS NULL",
        )
        .bind(folder.lease.mailbox_id)
        .bind(i64::from(folder.uidvalidity.0))
        .fetch_all(&self.pool)
        .await?;
        Ok(uids.into_iter().map(uid).collect())
    }

    /// How many messages of the mailbox stand where, under its present UIDVALIDITY.
    pub async fn standing(&self, mailbox: &str) -> Result<Standing, Error> {
        let rows = sqlx::query(
            "SELECT l.state, coalesce(l.reason, ''), count(*)
             FROM ledger l JOIN mailboxes m ON m.id = l.mailbox_id AND m.uidvalidity = l.uidvalidity
             WHERE m.name = $1 AND l.state IN ('seen', 'recorded', 'duplicate', 'held')
             GROUP BY 1, 2 ORDER BY 3 DESC, 2",
        )
        .bind(mailbox)
        .fetch_all(&self.pool)
        .await?;
        let mut standing = Standing::default();
        for row in rows {
            let (state, reason): (String, String) = (row.try_get(0)?, row.try_get(1)?);
            let count = u64::try_from(row.try_get::<i64, _>(2)?).unwrap_or(0);
            match state.as_str() {
                "held" => standing.held.push((reason, count)),
                "seen" => standing.seen += count,
                _ => standing.recorded += count,
            }
        }
        Ok(standing)
    }
}

/// A stored message's way through the ledger, decided when it is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    Recorded,
    Duplicate,
    Oversized,
}

/// Marks messages within the transaction that records them.
pub(super) async fn mark(
    connection: &mut PgConnection,
    folder: &Folder,
    marks: &[(Uid, Mark, uuid::Uuid)],
) -> Result<(), Error> {
    let uids: Vec<i64> = marks.iter().map(|(uid, ..)| i64::from(uid.0)).collect();
    let states: Vec<&str> = marks
        .iter()
        .map(|(_, mark, _)| match mark {
            Mark::Recorded => "recorded",
            Mark::Duplicate => "duplicate",
            Mark::Oversized => "held",
        })
        .collect();
    let reasons: Vec<Option<&str>> = marks
        .iter()
        .map(|(_, mark, _)| (*mark == Mark::Oversized).then_some("larger than max_message_bytes"))
        .collect();
    let messages: Vec<uuid::Uuid> = marks.iter().map(|(.., message)| *message).collect();
    sqlx::query(
        "WITH read AS (DELETE FROM set_aside
                       WHERE mailbox_id = $1 AND uidvalidity = $2 AND uid = ANY($3::bigint[]))
         UPDATE ledger SET state = x.state, reason = x.reason, message_id = x.message_id,
             recorded_at = now(), retry_at = NULL
         FROM unnest($3::bigint[], $4::text[], $5::text[], $6::uuid[]) AS x (uid, state, reason, message_id)
         WHERE mailbox_id = $1 AND uidvalidity = $2 AND ledger.uid = x.uid
           -- Says nothing new, but keeps PostgreSQL to this part of the index whatever it believes of the rest.
           AND ledger.uid BETWEEN $7 AND $8",
    )
    .bind(folder.lease.mailbox_id)
    .bind(i64::from(folder.uidvalidity.0))
    .bind(&uids)
    .bind(&states)
    .bind(&reasons)
    .bind(&messages)
    .bind(uids.iter().min())
    .bind(uids.iter().max())
    .execute(connection)
    .await?;
    Ok(())
}

/// UIDs as PostgreSQL takes them, ascending.
pub(super) fn numbers(uids: &UidSet) -> Vec<i64> {
    uids.iter().map(|uid| i64::from(uid.0)).collect()
}

fn uid(number: i64) -> Uid {
    Uid(u32::try_from(number).unwrap_or(u32::MAX))
}

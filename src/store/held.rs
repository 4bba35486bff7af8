//! Held messages, as an operator looks at them, and the sources of those that are set aside.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{FromRow, Row};

use crate::message::Uid;
use crate::store::{Error, Folder, Source, Store};

/// A line of `postroom held list`. Holds nothing of the mail.
#[derive(Debug, Clone, Serialize, FromRow)]
pub struct HeldLine {
    /// The mailbox it is in.
    pub mailbox: String,
    /// UIDVALIDITY of its folder.
    pub uidvalidity: i64,
    /// Its UID in it.
    pub uid: i64,
    /// Why it is held.
    pub reason: String,
    /// Its size in bytes, as the server says.
    pub size: i64,
    /// When it was first listed.
    pub seen_at: DateTime<Utc>,
    /// How often it was tried.
    pub attempts: i32,
    /// When it is tried again; never, if that is for a person to decide.
    pub retry_at: Option<DateTime<Utc>>,
    /// Whether its header is stored, for it was too large.
    pub header_stored: bool,
    /// The ticket that its header is in.
    pub ticket: Option<i64>,
    /// Whether its source is stored, unread.
    pub set_aside: bool,
}

/// Which held messages are meant.
#[derive(Debug, Clone, Copy)]
pub enum Which<'a> {
    /// Every one.
    All,
    /// Those of a mailbox.
    Mailbox(&'a str),
    /// One.
    One(&'a str, Uid),
}

impl<'a> Which<'a> {
    fn parts(self) -> (Option<&'a str>, Option<i64>) {
        match self {
            Self::All => (None, None),
            Self::Mailbox(mailbox) => (Some(mailbox), None),
            Self::One(mailbox, uid) => (Some(mailbox), Some(i64::from(uid.0))),
        }
    }
}

impl Store {
    /// Held messages under the present UIDVALIDITY of their mailbox, the oldest first.
    pub async fn list_held(&self, which: Which<'_>, limit: u32) -> Result<Vec<HeldLine>, Error> {
        let (mailbox, uid) = which.parts();
        let lines = sqlx::query_as(
            "SELECT m.name AS mailbox, l.uidvalidity, l.uid, coalesce(l.reason, '') AS reason, l.size, l.seen_at,
                    l.attempts, l.retry_at, l.message_id IS NOT NULL AS header_stored,
                    t.number AS ticket, s.uid IS NOT NULL AS set_aside
             FROM ledger l
             JOIN mailboxes m ON m.id = l.mailbox_id AND m.uidvalidity = l.uidvalidity
             LEFT JOIN messages g ON g.id = l.message_id
             LEFT JOIN tickets t ON t.id = g.ticket_id
             LEFT JOIN set_aside s ON (s.mailbox_id, s.uidvalidity, s.uid) = (l.mailbox_id, l.uidvalidity, l.uid)
             WHERE l.state = 'held' AND ($1::text IS NULL OR m.name = $1) AND ($2::bigint IS NULL OR l.uid = $2)
             ORDER BY l.seen_at, m.name, l.uid LIMIT $3",
        )
        .bind(mailbox)
        .bind(uid)
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await?;
        Ok(lines)
    }

    /// Has held messages taken in by the next cycle, as if they were new, but alone if a worker died over them. How
    /// many. Those that were too large stay held: their header is in a ticket already.
    pub async fn retry_held(&self, which: Which<'_>) -> Result<u64, Error> {
        let (mailbox, uid) = which.parts();
        let retried = sqlx::query(
            "UPDATE ledger l
             SET state = 'seen', retry_at = NULL, attempts = 0, crashes = least(crashes, 1),
                 crashes_alone = least(crashes_alone, 1)
             FROM mailboxes m
             WHERE m.id = l.mailbox_id AND m.uidvalidity = l.uidvalidity AND l.state = 'held'
               AND l.message_id IS NULL
               AND ($1::text IS NULL OR m.name = $1) AND ($2::bigint IS NULL OR l.uid = $2)",
        )
        .bind(mailbox)
        .bind(uid)
        .execute(&self.pool)
        .await?;
        Ok(retried.rows_affected())
    }

    /// The bytes of a held message that is set aside; `None` if its source is not stored.
    pub async fn source_set_aside(&self, mailbox: &str, uid: Uid) -> Result<Option<Source>, Error> {
        let row = sqlx::query(
            "SELECT s.size, s.bytes FROM set_aside s
             JOIN mailboxes m ON m.id = s.mailbox_id AND m.uidvalidity = s.uidvalidity
             WHERE m.name = $1 AND s.uid = $2",
        )
        .bind(mailbox)
        .bind(i64::from(uid.0))
        .fetch_optional(&self.pool)
        .await?;
        row.map(|row| {
            let size = u64::try_from(row.try_get::<i64, _>(0)?).unwrap_or(0);
            Ok(Source { size, bytes: row.try_get(1)? })
        })
        .transpose()
    }

    /// Holds a message that a worker died over, with its source if that could be had, until a person has it tried
    /// again.
    pub async fn set_aside(
        &self,
        folder: &Folder,
        uid: Uid,
        source: Option<&Source>,
        reason: &str,
    ) -> Result<(), Error> {
        let mut transaction = self.pool.begin().await?;
        folder.lease.fence(&mut transaction).await?;
        let key = (folder.lease.mailbox_id, i64::from(folder.uidvalidity.0), i64::from(uid.0));
        if let Some(source) = source {
            sqlx::query(
                "INSERT INTO set_aside (mailbox_id, uidvalidity, uid, size, bytes) VALUES ($1, $2, $3, $4, $5)
                 ON CONFLICT (mailbox_id, uidvalidity, uid)
                 DO UPDATE SET size = excluded.size, bytes = excluded.bytes, stored_at = now()",
            )
            .bind(key.0)
            .bind(key.1)
            .bind(key.2)
            .bind(i64::try_from(source.size).unwrap_or(i64::MAX))
            .bind(&source.bytes)
            .execute(&mut *transaction)
            .await?;
        }
        sqlx::query(
            "UPDATE ledger SET state = 'held', reason = $4, retry_at = NULL
             WHERE mailbox_id = $1 AND uidvalidity = $2 AND uid = $3 AND state IN ('seen', 'held')",
        )
        .bind(key.0)
        .bind(key.1)
        .bind(key.2)
        .bind(reason)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(())
    }
}

//! Messages in no ticket: suspended until a person has looked, or archived; and how one is released into a ticket.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{FromRow, PgConnection, Row};
use uuid::Uuid;

use crate::message::{Extent, Uid, UidValidity};
use crate::store::column;
use crate::store::record;
use crate::store::{Error, Inlet, NewMessage, Source, Store, thread};
use crate::text;
use crate::ticket;
use crate::ticket::{Confidence, Place};

/// Where a message that was stored in no ticket is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, sqlx::Type)]
#[serde(rename_all = "lowercase")]
#[sqlx(type_name = "text", rename_all = "lowercase")]
pub enum UnfiledState {
    /// A person is to look at it.
    Suspended,
    /// It stays in no ticket.
    Archived,
    /// A person had it filed.
    Released,
}

/// A line of `postroom suspended list`.
#[derive(Clone, Serialize, FromRow)]
pub struct UnfiledLine {
    /// The message.
    pub id: Uuid,
    /// The mailbox it came to.
    pub mailbox: String,
    /// Where it is.
    pub state: UnfiledState,
    /// Why it was suspended, if it was.
    pub reason: Option<String>,
    /// Who seems to have written it.
    pub verdict: Option<String>,
    /// When it reached the mailbox.
    pub received_at: DateTime<Utc>,
    /// Display name of its author.
    pub from_name: String,
    /// Address of its author.
    pub from_address: String,
    /// Its subject.
    pub subject: String,
    /// Number of the ticket that it would join, or has to do with.
    pub related_ticket: Option<i64>,
}

/// A message in no ticket, as it is released.
#[derive(Debug, Clone)]
pub struct Unfiled {
    /// The message.
    pub id: Uuid,
    /// The mailbox it came to.
    pub mailbox: String,
    /// Where it is.
    pub state: UnfiledState,
    /// UIDVALIDITY of the folder in which it was found, and its UID there; `None` if it came out of a file.
    pub found: Option<(UidValidity, Uid)>,
    /// When it reached the mailbox.
    pub received_at: DateTime<Utc>,
    /// Whether PostgreSQL refused parts of it.
    pub is_degraded: bool,
    /// How much of it is stored.
    pub extent: Extent,
    /// Its bytes.
    pub source: Source,
    mailbox_id: i32,
}

impl Unfiled {
    /// The mailbox, as tables know it.
    pub fn mailbox_id(&self) -> i32 {
        self.mailbox_id
    }
}

impl Store {
    /// Messages in one state, the oldest first; of one mailbox if it is given.
    pub async fn list_unfiled(
        &self,
        state: UnfiledState,
        mailbox: Option<&str>,
        limit: u32,
    ) -> Result<Vec<UnfiledLine>, Error> {
        let lines = sqlx::query_as(
            "SELECT u.message_id AS id, b.name AS mailbox, u.state, u.reason, m.verdict, m.received_at, m.from_name,
                    m.from_address, m.subject, t.number AS related_ticket
             FROM unfiled u
             JOIN mailboxes b ON b.id = u.mailbox_id
             JOIN messages m ON m.id = u.message_id
             LEFT JOIN tickets t ON t.id = m.related_ticket_id
             WHERE u.state = $1 AND ($2::text IS NULL OR b.name = $2)
             ORDER BY u.message_id LIMIT $3",
        )
        .bind(state)
        .bind(mailbox)
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await?;
        Ok(lines)
    }

    /// A message that was stored in no ticket; `None` if there is no such message, or if it was filed at once.
    pub async fn unfiled(&self, id: Uuid) -> Result<Option<Unfiled>, Error> {
        let row = sqlx::query(
            "SELECT b.name, u.mailbox_id, u.state, u.uidvalidity, u.uid, m.received_at, m.degraded IS NOT NULL, s.extent,
                    s.size, s.bytes
             FROM unfiled u
             JOIN mailboxes b ON b.id = u.mailbox_id
             JOIN messages m ON m.id = u.message_id
             JOIN sources s ON s.message_id = u.message_id
             WHERE u.message_id = $1",
        )
        .bind(id)
        .fetch_optional(&self.pool)
        .await?;
        row.map(|row| {
            let number = |column: usize| {
                let number: Option<i64> = row.try_get(column)?;
                Ok::<_, Error>(number.map(|number| u32::try_from(number).unwrap_or_default()))
            };
            Ok(Unfiled {
                id,
                mailbox: row.try_get(0)?,
                mailbox_id: row.try_get(1)?,
                state: row.try_get(2)?,
                found: number(3)?.map(UidValidity).zip(number(4)?.map(Uid)),
                received_at: row.try_get(5)?,
                is_degraded: row.try_get(6)?,
                extent: if row.try_get::<&str, _>(7)? == "whole" { Extent::Whole } else { Extent::Header },
                source: Source {
                    size: u64::try_from(row.try_get::<i64, _>(8)?).unwrap_or(0),
                    bytes: row.try_get(9)?,
                },
            })
        })
        .transpose()
    }

    /// Puts a message that is in no ticket into the one that it was filed for, in one commit with its deliveries.
    /// Whether it did: not if somebody else has done so before.
    ///
    /// # Errors
    /// [`Error::Conflict`] if another writer put a message into that ticket first: file it anew. Then nothing is
    /// stored.
    pub async fn release_message(
        &self,
        unfiled: &Unfiled,
        webhooks: &[&str],
        message: &NewMessage<'_>,
        known: &ticket::Known,
    ) -> Result<bool, Error> {
        let mut transaction = self.pool.begin().await?;
        let released = sqlx::query(
            "UPDATE unfiled SET state = 'released', released_at = now()
             WHERE message_id = $1 AND state <> 'released'",
        )
        .bind(unfiled.id)
        .execute(&mut *transaction)
        .await?;
        if released.rows_affected() == 0 {
            return Ok(false);
        }
        record::tickets::write(&mut transaction, unfiled.mailbox_id, &[message]).await?;
        let filing = &message.filing;
        sqlx::query(
            "UPDATE messages SET ticket_id = $2, sequence = $3, filing_rule = $4, filing_evidence = $5,
                 filing_confidence = $6, filing_considered = $7::jsonb, related_ticket_id = $8, rules = $9
             WHERE id = $1 AND ticket_id IS NULL",
        )
        .bind(unfiled.id)
        .bind(message.ticket.as_ref().map(|ticket| ticket.id))
        .bind(message.ticket.as_ref().map(|ticket| ticket.message_count))
        .bind(filing.rule_name())
        .bind(filing.evidence.as_deref().map(text::clean))
        .bind(filing.confidence.map(Confidence::fraction))
        .bind(record::considered(filing))
        .bind(filing.related)
        .bind(&message.ruling.rules)
        .execute(&mut *transaction)
        .await?;
        thread::write(&mut transaction, unfiled.mailbox_id, known).await?;
        record::events::write(&mut transaction, webhooks, &[message]).await?;
        transaction.commit().await?;
        Ok(true)
    }
}

/// Writes down which of a batch are in no ticket.
pub(super) async fn write(
    connection: &mut PgConnection,
    inlet: Inlet<'_>,
    new: &[&NewMessage<'_>],
) -> Result<(), Error> {
    let unfiled: Vec<(&NewMessage<'_>, UnfiledState, Option<&str>)> = new
        .iter()
        .filter_map(|message| match message.filing.place {
            Place::Opens | Place::Joins(_) => None,
            Place::Suspended(reason) => Some((*message, UnfiledState::Suspended, Some(reason.as_str()))),
            Place::Archived => Some((*message, UnfiledState::Archived, None)),
        })
        .collect();
    if unfiled.is_empty() {
        return Ok(());
    }
    let uid = |message: &NewMessage<'_>| inlet.uidvalidity().map(|_| i64::from(message.uid.0));
    sqlx::query(
        "INSERT INTO unfiled (message_id, mailbox_id, uidvalidity, uid, state, reason)
         SELECT message_id, $1, $2, uid, state, reason
         FROM unnest($3::uuid[], $4::bigint[], $5::text[], $6::text[]) AS x (message_id, uid, state, reason)",
    )
    .bind(inlet.mailbox_id())
    .bind(inlet.uidvalidity().map(|uidvalidity| i64::from(uidvalidity.0)))
    .bind(unfiled.iter().map(|(message, ..)| message.id).collect::<Vec<_>>())
    .bind(unfiled.iter().map(|(message, ..)| uid(message)).collect::<Vec<_>>())
    .bind(unfiled.iter().map(|(_, state, _)| *state).collect::<Vec<_>>())
    .bind(column::texts_or_null(unfiled.iter().map(|(.., reason)| *reason)))
    .execute(connection)
    .await?;
    Ok(())
}

//! What is known of a batch of mails before they are filed: two looks, and one more for the rates.
//!
//! LATERAL … LIMIT 1: one look into the index for each key. Before the first ANALYZE PostgreSQL believes that a
//! mailbox has few messages, and would read all of them for each batch.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use crate::mail::Fingerprint;
use crate::rule::{Labels, Priority};
use crate::store::{Error, Store, rates};
use crate::ticket;
use crate::ticket::{Clues, KeyKind, KnownTicket, Named, Policy, Role, ThreadKey, Ticket};

/// People of one ticket that are looked at. Every mail brings 50 at the most.
const MAX_PEOPLE: i64 = 1_000;

/// What the store knows of a batch of mails.
#[derive(Debug, Default)]
pub struct Known {
    /// Messages that are stored already.
    pub stored: HashMap<Fingerprint, Uuid>,
    /// What they are filed by.
    pub filing: ticket::Known,
}

impl Store {
    /// What is known of mails with these fingerprints and clues, within the mailbox.
    pub async fn known(
        &self,
        mailbox_id: i32,
        policy: &Policy,
        fingerprints: &[Fingerprint],
        clues: &[&Clues],
    ) -> Result<Known, Error> {
        let mut connection = self.pool.acquire().await?;
        let stored = stored(&mut connection, mailbox_id, fingerprints).await?;
        let mut filing = threads(&mut connection, mailbox_id, policy, clues).await?;
        if policy.has_rates() {
            filing.rates = rates::read(&mut connection, mailbox_id, clues).await?;
        }
        Ok(Known { stored, filing })
    }
}

async fn stored(
    connection: &mut PgConnection,
    mailbox_id: i32,
    fingerprints: &[Fingerprint],
) -> Result<HashMap<Fingerprint, Uuid>, Error> {
    let hashes: Vec<&[u8]> = fingerprints.iter().map(|fingerprint| fingerprint.0.as_slice()).collect();
    let rows = sqlx::query(
        "SELECT x.fingerprint, m.id
         FROM unnest($2::bytea[]) AS x (fingerprint)
         CROSS JOIN LATERAL (SELECT id FROM messages
                             WHERE mailbox_id = $1 AND fingerprint = x.fingerprint LIMIT 1) AS m",
    )
    .bind(mailbox_id)
    .bind(&hashes)
    .fetch_all(connection)
    .await?;
    rows.iter().map(|row| Ok((Fingerprint(row.try_get(0)?), row.try_get(1)?))).collect()
}

/// The tickets that the mails' ids lead to and that their tokens name, with who is in them and when mail came.
async fn threads(
    connection: &mut PgConnection,
    mailbox_id: i32,
    policy: &Policy,
    clues: &[&Clues],
) -> Result<ticket::Known, Error> {
    let keys: Vec<ThreadKey> = clues.iter().flat_map(|clues| clues.keys()).collect();
    let keys: Vec<&[u8]> = keys.iter().map(|key| key.0.as_slice()).collect();
    let numbers: Vec<i64> = clues.iter().flat_map(|clues| clues.numbers()).collect();
    let mut known = ticket::Known::default();
    if keys.is_empty() && numbers.is_empty() {
        return Ok(known);
    }
    let rows = sqlx::query(
        "WITH led AS (
             SELECT k.ticket_id, array_agg(x.key) AS keys, array_agg(k.kind) AS kinds, NULL::bigint AS number
             FROM unnest($2::bytea[]) AS x (key)
             CROSS JOIN LATERAL (SELECT ticket_id, kind FROM thread_keys
                                 WHERE mailbox_id = $1 AND key = x.key LIMIT 1) AS k
             GROUP BY k.ticket_id
             UNION ALL
             SELECT t.id, '{}', '{}', x.number
             FROM unnest($3::bigint[]) AS x (number)
             CROSS JOIN LATERAL (SELECT id, mailbox_id FROM tickets WHERE number = x.number LIMIT 1) AS t
             WHERE t.mailbox_id = $1
         )
         SELECT led.keys, led.kinds, t.id, t.number, t.subject, t.status, t.message_count,
                CASE t.status WHEN 'closed' THEN coalesce(t.closed_at, t.last_message_at) END,
                p.addresses, p.roles, t.requester_address,
                ARRAY(SELECT received_at FROM messages WHERE ticket_id = t.id ORDER BY sequence DESC LIMIT $5),
                t.tags, t.priority, led.number, led.ticket_id
         FROM led
         -- A ticket that was merged stands for the one that it was merged into.
         CROSS JOIN LATERAL (SELECT * FROM tickets
                             WHERE id = coalesce((SELECT merged_into FROM tickets WHERE id = led.ticket_id),
                                                 led.ticket_id) LIMIT 1) AS t
         CROSS JOIN LATERAL (SELECT array_agg(address) AS addresses, array_agg(role) AS roles
                             FROM (SELECT address, role FROM participants WHERE ticket_id = t.id LIMIT $4) AS p) AS p",
    )
    .bind(mailbox_id)
    .bind(&keys)
    .bind(&numbers)
    .bind(MAX_PEOPLE)
    .bind(i64::from(policy.recent_messages()))
    .fetch_all(connection)
    .await?;
    for row in rows {
        let ticket = read_ticket(&row)?;
        let id = ticket.ticket.id;
        let (keys, kinds): (Vec<[u8; 32]>, Vec<String>) = (row.try_get(0)?, row.try_get(1)?);
        let kinds = kinds.iter().map(|kind| KeyKind::parse(kind).unwrap_or(KeyKind::Seen));
        known.keys.extend(keys.into_iter().map(ThreadKey).zip(kinds.map(|kind| (id, kind))));
        if let Some(number) = row.try_get::<Option<i64>, _>(14)? {
            known.numbers.insert(number, Named { id: row.try_get(15)?, ticket: id });
        }
        known.tickets.insert(id, ticket);
    }
    Ok(known)
}

fn read_ticket(row: &PgRow) -> Result<KnownTicket, Error> {
    let addresses: Option<Vec<String>> = row.try_get(8)?;
    let roles: Option<Vec<String>> = row.try_get(9)?;
    let roles =
        roles.unwrap_or_default().into_iter().map(|role| Role::parse(&role).unwrap_or(Role::Recipient));
    let ticket = Ticket {
        id: row.try_get(2)?,
        number: row.try_get(3)?,
        subject: row.try_get(4)?,
        status: row.try_get(5)?,
        message_count: row.try_get(6)?,
        labels: Labels {
            tags: row.try_get::<Vec<String>, _>(12)?.into_iter().collect(),
            priority: row.try_get::<Option<&str>, _>(13)?.and_then(Priority::parse),
        },
    };
    let people = addresses.unwrap_or_default().into_iter().zip(roles).collect();
    let recent: Vec<DateTime<Utc>> = row.try_get(11)?;
    Ok(KnownTicket::stored(ticket, row.try_get(7)?, people, row.try_get(10)?, recent))
}

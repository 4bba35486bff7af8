//! Why a message is where it is, as it was written down when it was stored.

use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, FromRow};
use uuid::Uuid;

use crate::message::Uid;
use crate::store::{Error, Store, UnfiledState};
use crate::ticket::ThreadKey;

/// Which message is meant.
#[derive(Clone, Copy)]
pub enum Wanted<'a> {
    /// By its own id.
    Id(Uuid),
    /// By where it is, under the present UIDVALIDITY of the mailbox.
    Place(&'a str, Uid),
    /// By its Message-ID, without angle brackets. Several may bear one.
    MessageId(&'a str),
}

/// Why a message is where it is.
#[derive(Clone, FromRow)]
pub struct Explained {
    /// The message.
    pub id: Uuid,
    /// The mailbox it came to.
    pub mailbox: String,
    /// Its Message-ID.
    pub message_id: Option<String>,
    /// When it reached the mailbox.
    pub received_at: DateTime<Utc>,
    /// Display name of its author.
    pub from_name: String,
    /// Address of its author.
    pub from_address: String,
    /// Its subject.
    pub subject: String,
    /// Number of its ticket; none if it is in none.
    pub ticket: Option<i64>,
    /// Its place in the ticket.
    pub sequence: Option<i32>,
    /// Which rule chose the ticket.
    pub filing_rule: String,
    /// What the rule matched.
    pub filing_evidence: Option<String>,
    /// How sure the rule was, from 0 to 1.
    pub filing_confidence: Option<f32>,
    /// What was to be done with mail of its verdict.
    pub filing_action: Option<String>,
    /// What else was considered: a JSON list of objects with `rule`, `evidence`, `ticket`, `confidence`, `objection`.
    pub considered: Option<String>,
    /// Number of a ticket that it has to do with and is not in.
    pub related_ticket: Option<i64>,
    /// Who seems to have written it.
    pub verdict: Option<String>,
    /// What the verdict follows from.
    pub signals: Option<Vec<String>>,
    /// The rules of the configuration that held for it.
    pub rules: Vec<String>,
    /// Where it is, if it was stored in no ticket.
    pub state: Option<UnfiledState>,
    /// Why it was suspended.
    pub reason: Option<String>,
    /// When it was released.
    pub released_at: Option<DateTime<Utc>>,
    /// What was wrong with it.
    pub defects: Vec<String>,
}

const EXPLAINED: &str = "SELECT m.id, b.name AS mailbox, m.message_id, m.received_at, m.from_name, m.from_address,
        m.subject, t.number AS ticket, m.sequence, m.filing_rule, m.filing_evidence, m.filing_confidence,
        m.filing_action,
        (SELECT jsonb_agg((c - 'ticket_id') || jsonb_build_object('ticket',
                    (SELECT number FROM tickets WHERE id = (c ->> 'ticket_id')::uuid)) ORDER BY place)::text
         FROM jsonb_array_elements(m.filing_considered) WITH ORDINALITY AS considered (c, place)) AS considered,
        r.number AS related_ticket, m.verdict, m.signals, m.rules, u.state, u.reason, u.released_at, m.defects
    FROM messages m
    JOIN mailboxes b ON b.id = m.mailbox_id
    LEFT JOIN tickets t ON t.id = m.ticket_id
    LEFT JOIN tickets r ON r.id = m.related_ticket_id
    LEFT JOIN unfiled u ON u.message_id = m.id
    WHERE ";

impl Store {
    /// Why messages are where they are, the oldest first. None if there is no such message.
    pub async fn explain(&self, wanted: Wanted<'_>) -> Result<Vec<Explained>, Error> {
        match wanted {
            Wanted::Id(id) => self.explained("m.id = $1", |query| query.bind(id)).await,
            Wanted::Place(mailbox, uid) => {
                let by_place = "m.id = (SELECT l.message_id FROM mailboxes b
                    JOIN ledger l ON l.mailbox_id = b.id AND l.uidvalidity = b.uidvalidity
                    WHERE b.name = $1 AND l.uid = $2)";
                self.explained(by_place, |query| query.bind(mailbox.to_owned()).bind(i64::from(uid.0))).await
            }
            Wanted::MessageId(id) => {
                // Message-IDs have no index of their own. Their keys lead to the tickets, and few messages are in none.
                let by_key = "m.message_id = $1 AND (m.id IN (SELECT message_id FROM unfiled)
                    OR m.ticket_id IN (SELECT k.ticket_id FROM mailboxes b
                                       JOIN thread_keys k ON k.mailbox_id = b.id AND k.key = $2))";
                let key = ThreadKey::of(id).0.to_vec();
                let found = self.explained(by_key, |query| query.bind(id.to_owned()).bind(key)).await?;
                if !found.is_empty() {
                    return Ok(found);
                }
                // One whose id another message bore before: a look through all of them.
                self.explained("m.message_id = $1", |query| query.bind(id.to_owned())).await
            }
        }
    }

    async fn explained(
        &self,
        condition: &'static str,
        bind: impl FnOnce(Query) -> Query,
    ) -> Result<Vec<Explained>, Error> {
        let statement = AssertSqlSafe(format!("{EXPLAINED}{condition} ORDER BY m.id LIMIT 20"));
        Ok(bind(sqlx::query_as(statement)).fetch_all(&self.pool).await?)
    }
}

type Query = sqlx::query::QueryAs<'static, sqlx::Postgres, Explained, sqlx::postgres::PgArguments>;

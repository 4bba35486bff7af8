//! Tickets as an operator looks at them.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::FromRow;
use uuid::Uuid;

use crate::store::{Error, Store};

/// A line of `postroom tickets list`.
#[derive(Clone, Serialize, FromRow)]
pub struct TicketLine {
    /// For people.
    pub number: i64,
    /// The mailbox its mail came to.
    pub mailbox: String,
    /// `open` or `closed`.
    pub status: String,
    /// Subject of its first message.
    pub subject: String,
    /// Display name of who asked.
    pub requester_name: String,
    /// Address of who asked.
    pub requester_address: String,
    /// How many messages it has.
    pub message_count: i32,
    /// When the newest reached the mailbox.
    pub last_message_at: DateTime<Utc>,
    /// What rules tagged it with.
    pub tags: Vec<String>,
    /// How urgent it is, if a rule said so.
    pub priority: Option<String>,
    /// Number of the ticket that it was merged into.
    pub merged_into: Option<i64>,
}

/// What came of opening or closing a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switched {
    /// It is so now.
    Done,
    /// It was merged into the ticket with this number, and is closed for good.
    Merged(i64),
    /// There is no such ticket.
    Unknown,
}

/// One message of `postroom tickets show`.
#[derive(Clone, Serialize, FromRow)]
pub struct MessageLine {
    /// As sent to helpdesks.
    pub id: Uuid,
    /// Its place in the ticket.
    pub sequence: i32,
    /// When it reached the mailbox.
    pub received_at: DateTime<Utc>,
    /// Display name of its author.
    pub from_name: String,
    /// Address of its author.
    pub from_address: String,
    /// Its subject.
    pub subject: String,
    /// Its text.
    pub text: String,
    /// The author's new words in it; `None` if they are all of the text, or were not looked for.
    pub reply_text: Option<String>,
    /// How they were told from the rest; `None` if they were not looked for.
    pub reply_method: Option<String>,
    /// How sure that is, in hundredths.
    pub reply_confidence: Option<i16>,
    /// Which rule filed it here.
    pub filing_rule: String,
    /// What the rule matched.
    pub filing_evidence: Option<String>,
    /// Who wrote it: `human` or a kind of program; none if it was stored before there were verdicts.
    pub verdict: Option<String>,
    /// What the verdict follows from.
    pub signals: Option<Vec<String>>,
    /// The rules of the configuration that held for it.
    pub rules: Vec<String>,
    /// What was wrong with it.
    pub defects: Vec<String>,
    /// Bytes of its source.
    pub size: i64,
    /// Its attachments: name, or type where it has none.
    pub attachments: Vec<String>,
}

const TICKET: &str = "SELECT t.number, m.name AS mailbox, t.status, t.subject, t.requester_name,
    t.requester_address, t.last_message_at, t.tags, t.priority, i.number AS merged_into,
    (SELECT count(*)::integer FROM messages WHERE ticket_id = t.id) AS message_count
    FROM tickets t JOIN mailboxes m ON m.id = t.mailbox_id LEFT JOIN tickets i ON i.id = t.merged_into ";

impl Store {
    /// Closes the ticket of this number, or opens it again. One that was merged stays closed.
    ///
    /// A reply to a ticket that was closed a short while ago opens it; later it opens another.
    pub async fn set_ticket_open(&self, number: i64, open: bool) -> Result<Switched, Error> {
        let changed: Option<(Option<i64>,)> = sqlx::query_as(
            "UPDATE tickets t
             SET status = CASE WHEN $2 AND t.merged_into IS NULL THEN 'open' ELSE 'closed' END,
                 closed_at = CASE WHEN $2 AND t.merged_into IS NULL THEN NULL ELSE coalesce(t.closed_at, now()) END
             WHERE t.number = $1
             RETURNING (SELECT i.number FROM tickets i WHERE i.id = t.merged_into)",
        )
        .bind(number)
        .bind(open)
        .fetch_optional(&self.pool)
        .await?;
        Ok(match changed {
            None => Switched::Unknown,
            Some((None,)) => Switched::Done,
            Some((Some(into),)) => Switched::Merged(into),
        })
    }

    /// The tickets with the newest mail, newest first; of one mailbox if it is given.
    pub async fn list_tickets(&self, mailbox: Option<&str>, limit: u32) -> Result<Vec<TicketLine>, Error> {
        const BY_AGE: &str =
            "WHERE $1::text IS NULL OR m.name = $1 ORDER BY t.last_message_at DESC, t.number DESC LIMIT $2";
        let statement = sqlx::AssertSqlSafe(format!("{TICKET}{BY_AGE}"));
        Ok(sqlx::query_as(statement).bind(mailbox).bind(i64::from(limit)).fetch_all(&self.pool).await?)
    }

    /// A ticket and its messages in order; `None` if there is no such number.
    pub async fn show_ticket(&self, number: i64) -> Result<Option<(TicketLine, Vec<MessageLine>)>, Error> {
        let statement = sqlx::AssertSqlSafe(format!("{TICKET}WHERE t.number = $1"));
        let Some(ticket) = sqlx::query_as(statement).bind(number).fetch_optional(&self.pool).await? else {
            return Ok(None);
        };
        let messages = sqlx::query_as(
            "SELECT m.id, m.sequence, m.received_at, m.from_name, m.from_address, m.subject, m.text,
                 m.reply_text, m.reply_method, m.reply_confidence, m.filing_rule, m.filing_evidence, m.verdict,
                 m.signals, m.rules, m.defects, m.size,
                 ARRAY(SELECT coalesce(a.filename, a.content_type) FROM attachments a
                       WHERE a.message_id = m.id ORDER BY a.part) AS attachments
             FROM messages m JOIN tickets t ON t.id = m.ticket_id
             WHERE t.number = $1 ORDER BY m.sequence",
        )
        .bind(number)
        .fetch_all(&self.pool)
        .await?;
        Ok(Some((ticket, messages)))
    }
}

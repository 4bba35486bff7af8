//! The one transaction of intake: ticket, message, source, attachments, thread keys, participants, deliveries, rates
//! and ledger, together or not at all.
//!
//! Intake first asks what is [known](Store::known), files its mails by that, and then records them. Nothing
//! is locked in between: unique keys decide, and a batch that another writer overtook is refused whole
//! ([`Error::Conflict`]), to be filed anew.

pub(super) mod events;

use std::borrow::Cow;
use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::event::Event;
use crate::mail::{Attachment, Mail};
use crate::message::{Extent, Uid};
use crate::step;
use crate::step::Step;
use crate::store::column;
use crate::store::column::{Headers, Person};
use crate::store::ledger::{Mark, mark};
use crate::store::{Error, Folder, Source, Store, rates, thread, unfiled};
use crate::text;
use crate::ticket;
use crate::ticket::{Confidence, Considered, Filing, Place, Ticket};

/// One message of a batch, decided.
#[derive(Debug)]
pub enum Entry<'a> {
    /// A new message.
    New(Box<NewMessage<'a>>),
    /// A copy of a stored message: only the ledger hears of it.
    Copy {
        /// Where it is.
        uid: Uid,
        /// The message it is a copy of.
        of: Uuid,
        /// How much of it was fetched: whether it is a copy to its end is only known of a whole one.
        extent: Extent,
    },
}

/// A message to be stored.
pub struct NewMessage<'a> {
    /// Where it is.
    pub uid: Uid,
    /// Its id.
    pub id: Uuid,
    /// When it reached the mailbox.
    pub received_at: DateTime<Utc>,
    /// How much of it was fetched.
    pub extent: Extent,
    /// It, as read.
    pub mail: &'a Mail,
    /// Its bytes.
    pub source: &'a Source,
    /// Why it belongs to its ticket.
    pub filing: Filing,
    /// The ticket, this message counted; `None` if it is in none.
    pub ticket: Option<Ticket>,
    /// Why parts of it are missing, if PostgreSQL refused them.
    pub degraded: Option<&'a str>,
    /// What webhooks are to hear of it; `None` if there are none.
    pub event: Option<Event>,
}

// By hand: most of it is private.
impl std::fmt::Debug for NewMessage<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewMessage").field("uid", &self.uid).field("id", &self.id).finish_non_exhaustive()
    }
}

impl Store {
    /// Takes `count` ticket numbers, ascending. Numbers that are not used are skipped for good.
    pub async fn take_ticket_numbers(&self, count: usize) -> Result<Vec<i64>, Error> {
        if count == 0 {
            return Ok(Vec::new());
        }
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        Ok(sqlx::query_scalar("SELECT nextval('ticket_numbers') FROM generate_series(1, $1)")
            .bind(count)
            .fetch_all(&self.pool)
            .await?)
    }

    /// Records a batch in one commit, one delivery for each of `webhooks` and event, and what filing it has added to
    /// what is `known`.
    ///
    /// # Errors
    /// [`Error::Conflict`] if another writer stored one of these first, [`Error::LeaseLost`] if another
    /// worker has the mailbox, [`Error::Refused`] if PostgreSQL refuses the data. Then, and when this future
    /// is dropped, nothing of the batch is stored. After any other error the outcome is unknown, and asking
    /// what is known tells.
    pub async fn record(
        &self,
        folder: &Folder,
        webhooks: &[&str],
        entries: &[Entry<'_>],
        known: &ticket::Known,
    ) -> Result<(), Error> {
        let new: Vec<&NewMessage<'_>> = entries
            .iter()
            .filter_map(|entry| match entry {
                Entry::New(message) => Some(&**message),
                Entry::Copy { .. } => None,
            })
            .collect();
        let mailbox = folder.lease.mailbox_id;
        let mut transaction = self.pool.begin().await?;
        folder.lease.fence(&mut transaction).await?;
        write_tickets(&mut transaction, mailbox, &new).await?;
        write_messages(&mut transaction, mailbox, &new).await?;
        write_sources(&mut transaction, &new).await?;
        write_attachments(&mut transaction, &new).await?;
        unfiled::write(&mut transaction, folder, &new).await?;
        thread::write(&mut transaction, mailbox, known).await?;
        rates::write(&mut transaction, mailbox, &known.rates).await?;
        events::write(&mut transaction, webhooks, &new).await?;
        mark(&mut transaction, folder, &marks(entries)).await?;
        step::reached(Step::BeforeCommit);
        transaction.commit().await?;
        step::reached(Step::AfterCommit);
        Ok(())
    }
}

/// What the batch does to one ticket.
struct Change<'a> {
    first: &'a NewMessage<'a>,
    /// As it stands after the last.
    ticket: &'a Ticket,
    first_at: DateTime<Utc>,
    last_at: DateTime<Utc>,
    reopens: bool,
}

/// Opens tickets and changes those that are joined, in the order of their ids: so two writers never wait for each
/// other's rows in turn.
pub(super) async fn write_tickets(
    connection: &mut PgConnection,
    mailbox: i32,
    new: &[&NewMessage<'_>],
) -> Result<(), Error> {
    let mut changes: BTreeMap<Uuid, Change<'_>> = BTreeMap::new();
    for &message in new {
        let (Some(ticket), at, reopens) = (&message.ticket, message.received_at, message.filing.reopens)
        else {
            continue;
        };
        changes
            .entry(ticket.id)
            .and_modify(|change| {
                change.ticket = ticket;
                change.first_at = change.first_at.min(at);
                change.last_at = change.last_at.max(at);
                change.reopens |= reopens;
            })
            .or_insert(Change { first: message, ticket, first_at: at, last_at: at, reopens });
    }
    let (opened, joined): (Vec<&Change<'_>>, Vec<&Change<'_>>) =
        changes.values().partition(|change| change.first.filing.place == Place::Opens);

    if !opened.is_empty() {
        let authors = || opened.iter().map(|change| change.first.mail.from.as_ref());
        sqlx::query(
            "INSERT INTO tickets (id, number, mailbox_id, subject, requester_name, requester_address,
                                  message_count, first_message_at, last_message_at, verdict)
             SELECT id, number, $1, subject, name, address, count, first_at, last_at, verdict
             FROM unnest($2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::integer[],
                         $8::timestamptz[], $9::timestamptz[], $10::text[])
                  AS x (id, number, subject, name, address, count, first_at, last_at, verdict)",
        )
        .bind(mailbox)
        .bind(opened.iter().map(|change| change.ticket.id).collect::<Vec<_>>())
        .bind(opened.iter().map(|change| change.ticket.number).collect::<Vec<_>>())
        .bind(column::texts(opened.iter().map(|change| change.ticket.subject.as_str())))
        .bind(column::texts(authors().map(|from| from.map_or("", |from| &from.name))))
        .bind(column::texts(authors().map(|from| from.map_or("", |from| &from.address))))
        .bind(opened.iter().map(|change| change.ticket.message_count).collect::<Vec<_>>())
        .bind(opened.iter().map(|change| change.first_at).collect::<Vec<_>>())
        .bind(opened.iter().map(|change| change.last_at).collect::<Vec<_>>())
        .bind(opened.iter().map(|change| change.first.mail.automation.verdict.as_str()).collect::<Vec<_>>())
        .execute(&mut *connection)
        .await?;
    }

    if !joined.is_empty() {
        sqlx::query(
            "UPDATE tickets SET message_count = greatest(tickets.message_count, x.count),
                 last_message_at = greatest(tickets.last_message_at, x.last_at),
                 status = CASE WHEN x.reopens THEN 'open' ELSE tickets.status END,
                 closed_at = CASE WHEN x.reopens THEN NULL ELSE tickets.closed_at END
             FROM unnest($1::uuid[], $2::integer[], $3::timestamptz[], $4::boolean[])
                  AS x (id, count, last_at, reopens)
             WHERE tickets.id = x.id",
        )
        .bind(joined.iter().map(|change| change.ticket.id).collect::<Vec<_>>())
        .bind(joined.iter().map(|change| change.ticket.message_count).collect::<Vec<_>>())
        .bind(joined.iter().map(|change| change.last_at).collect::<Vec<_>>())
        .bind(joined.iter().map(|change| change.reopens).collect::<Vec<_>>())
        .execute(connection)
        .await?;
    }
    Ok(())
}

async fn write_messages(
    connection: &mut PgConnection,
    mailbox: i32,
    new: &[&NewMessage<'_>],
) -> Result<(), Error> {
    if new.is_empty() {
        return Ok(());
    }
    let mails = || new.iter().map(|message| message.mail);
    let defects = mails().map(|mail| mail.defects.iter().map(|defect| defect.as_str()).collect::<Vec<_>>());
    let judged = || mails().map(|mail| &mail.automation);
    let signals =
        judged().map(|judged| judged.signals.iter().map(|signal| signal.as_str()).collect::<Vec<_>>());
    let filings = || new.iter().map(|message| &message.filing);
    let tickets = || new.iter().map(|message| message.ticket.as_ref());
    sqlx::query(
        "INSERT INTO messages (id, mailbox_id, ticket_id, sequence, fingerprint, message_id, in_reply_to,
                               reference_ids, from_name, from_address, sender, reply_to, recipients_to,
                               recipients_cc, subject, date, received_at, text, html, headers, filing_rule,
                               filing_evidence, size, defects, degraded, verdict, signals,
                               suppress_auto_response, report, authentication, filing_confidence, filing_action,
                               filing_considered, related_ticket_id)
         SELECT id, $1, ticket_id, sequence, fingerprint, message_id, string_to_array(in_reply_to, E'\\n'),
                string_to_array(reference_ids, E'\\n'), from_name, from_address, sender::jsonb,
                reply_to::jsonb, recipients_to::jsonb, recipients_cc::jsonb, subject, date, received_at, text,
                html, headers::jsonb, filing_rule, filing_evidence, size, string_to_array(defects, E'\\n'), degraded,
                verdict, string_to_array(signals, E'\\n'), suppress_auto_response, report::jsonb,
                authentication::jsonb, filing_confidence, filing_action, filing_considered::jsonb, related_ticket_id
         FROM unnest($2::uuid[], $3::uuid[], $4::integer[], $5::bytea[], $6::text[], $7::text[], $8::text[],
                     $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[],
                     $16::timestamptz[], $17::timestamptz[], $18::text[], $19::text[], $20::text[], $21::text[],
                     $22::text[], $23::bigint[], $24::text[], $25::text[], $26::text[], $27::text[],
                     $28::boolean[], $29::text[], $30::text[], $31::real[], $32::text[], $33::text[], $34::uuid[])
              AS x (id, ticket_id, sequence, fingerprint, message_id, in_reply_to, reference_ids, from_name,
                    from_address, sender, reply_to, recipients_to, recipients_cc, subject, date, received_at,
                    text, html, headers, filing_rule, filing_evidence, size, defects, degraded, verdict, signals,
                    suppress_auto_response, report, authentication, filing_confidence, filing_action,
                    filing_considered, related_ticket_id)",
    )
    .bind(mailbox)
    .bind(new.iter().map(|message| message.id).collect::<Vec<_>>())
    .bind(tickets().map(|ticket| ticket.map(|ticket| ticket.id)).collect::<Vec<_>>())
    .bind(tickets().map(|ticket| ticket.map(|ticket| ticket.message_count)).collect::<Vec<_>>())
    .bind(mails().map(|mail| mail.fingerprint.0.as_slice()).collect::<Vec<_>>())
    .bind(column::texts_or_null(mails().map(|mail| mail.message_id.as_deref())))
    .bind(column::lists(mails().map(|mail| mail.in_reply_to.as_slice())))
    .bind(column::lists(mails().map(|mail| mail.references.as_slice())))
    .bind(column::texts(mails().map(|mail| mail.from.as_ref().map_or("", |from| &from.name))))
    .bind(column::texts(mails().map(|mail| mail.from.as_ref().map_or("", |from| &from.address))))
    .bind(mails().map(|mail| mail.sender.as_ref().map(|s| column::json(Person(s)))).collect::<Vec<_>>())
    .bind(mails().map(|mail| column::json(column::people(&mail.reply_to))).collect::<Vec<_>>())
    .bind(mails().map(|mail| column::json(column::people(&mail.to))).collect::<Vec<_>>())
    .bind(mails().map(|mail| column::json(column::people(&mail.cc))).collect::<Vec<_>>())
    .bind(column::texts(mails().map(|mail| mail.subject.as_str())))
    .bind(mails().map(|mail| mail.date.map(|date| date.to_utc())).collect::<Vec<_>>())
    .bind(new.iter().map(|message| message.received_at).collect::<Vec<_>>())
    .bind(column::texts(mails().map(|mail| mail.text.as_str())))
    .bind(column::texts_or_null(mails().map(|mail| mail.html.as_deref())))
    .bind(mails().map(|mail| column::json(Headers(&mail.headers))).collect::<Vec<_>>())
    .bind(filings().map(Filing::rule_name).collect::<Vec<_>>())
    .bind(column::texts_or_null(filings().map(|filing| filing.evidence.as_deref())))
    .bind(mails().map(|mail| bigint(mail.size)).collect::<Vec<_>>())
    .bind(defects.map(|names| names.join(column::SEPARATOR)).collect::<Vec<_>>())
    .bind(column::texts_or_null(new.iter().map(|message| message.degraded)))
    .bind(judged().map(|judged| judged.verdict.as_str()).collect::<Vec<_>>())
    .bind(signals.map(|names| names.join(column::SEPARATOR)).collect::<Vec<_>>())
    .bind(judged().map(|judged| judged.suppress_auto_response).collect::<Vec<_>>())
    .bind(mails().map(|mail| mail.report.as_ref().map(column::json)).collect::<Vec<_>>())
    .bind(mails().map(|mail| mail.authentication.as_ref().map(column::json)).collect::<Vec<_>>())
    .bind(filings().map(|filing| filing.confidence.map(Confidence::fraction)).collect::<Vec<_>>())
    .bind(filings().map(|filing| filing.action.as_str()).collect::<Vec<_>>())
    .bind(filings().map(considered).collect::<Vec<_>>())
    .bind(filings().map(|filing| filing.related).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}

async fn write_sources(connection: &mut PgConnection, new: &[&NewMessage<'_>]) -> Result<(), Error> {
    if new.is_empty() {
        return Ok(());
    }
    let extent = |extent| match extent {
        Extent::Whole => "whole",
        Extent::Header => "header",
    };
    sqlx::query(
        "INSERT INTO sources (message_id, extent, size, bytes)
         SELECT * FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::bytea[])",
    )
    .bind(new.iter().map(|message| message.id).collect::<Vec<_>>())
    .bind(new.iter().map(|message| extent(message.extent)).collect::<Vec<_>>())
    .bind(new.iter().map(|message| bigint(message.source.size)).collect::<Vec<_>>())
    .bind(new.iter().map(|message| message.source.bytes.as_slice()).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}

async fn write_attachments(connection: &mut PgConnection, new: &[&NewMessage<'_>]) -> Result<(), Error> {
    let all: Vec<(Uuid, &Attachment)> = new
        .iter()
        .flat_map(|message| message.mail.attachments.iter().map(|attachment| (message.id, attachment)))
        .collect();
    if all.is_empty() {
        return Ok(());
    }
    let attachments = || all.iter().map(|(_, attachment)| *attachment);
    sqlx::query(
        "INSERT INTO attachments (message_id, part, filename, content_type, size, sha256, content_id, inline)
         SELECT * FROM unnest($1::uuid[], $2::integer[], $3::text[], $4::text[], $5::bigint[], $6::bytea[],
                              $7::text[], $8::boolean[])",
    )
    .bind(all.iter().map(|(message, _)| *message).collect::<Vec<_>>())
    .bind(attachments().map(|a| i32::try_from(a.part).unwrap_or(i32::MAX)).collect::<Vec<_>>())
    .bind(column::texts_or_null(attachments().map(|attachment| attachment.filename.as_deref())))
    .bind(column::texts(attachments().map(|attachment| attachment.content_type.as_str())))
    .bind(attachments().map(|attachment| bigint(attachment.size)).collect::<Vec<_>>())
    .bind(attachments().map(|attachment| attachment.sha256.as_slice()).collect::<Vec<_>>())
    .bind(column::texts_or_null(attachments().map(|attachment| attachment.content_id.as_deref())))
    .bind(attachments().map(|attachment| attachment.inline).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}

fn marks(entries: &[Entry<'_>]) -> Vec<(Uid, Mark, Uuid)> {
    entries
        .iter()
        .map(|entry| match entry {
            // Only the header is stored: whether new or known, it must stay in the mailbox.
            Entry::New(message) if message.extent == Extent::Header => {
                (message.uid, Mark::Oversized, message.id)
            }
            Entry::Copy { uid, of, extent: Extent::Header } => (*uid, Mark::Oversized, *of),
            Entry::New(message) => (message.uid, Mark::Recorded, message.id),
            Entry::Copy { uid, of, extent: Extent::Whole } => (*uid, Mark::Duplicate, *of),
        })
        .collect()
}

/// What was considered, for the column of that name; nothing if nothing was.
pub(super) fn considered(filing: &Filing) -> Option<String> {
    let rows: Vec<ConsideredRow<'_>> = filing.considered.iter().map(ConsideredRow::of).collect();
    (!rows.is_empty()).then(|| column::json(rows))
}

#[derive(Serialize)]
struct ConsideredRow<'a> {
    rule: &'static str,
    evidence: Cow<'a, str>,
    ticket_id: Option<Uuid>,
    confidence: Option<f64>,
    objection: &'static str,
}

impl<'a> ConsideredRow<'a> {
    fn of(considered: &'a Considered) -> Self {
        Self {
            rule: considered.rule.as_str(),
            evidence: text::clean(&considered.evidence),
            ticket_id: considered.ticket,
            confidence: considered.confidence.map(Confidence::fraction),
            objection: considered.objection.as_str(),
        }
    }
}

fn bigint(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

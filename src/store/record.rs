//! The one transaction of intake: ticket, message, source, attachments, thread keys, participants, deliveries, rates
//! and ledger, together or not at all.
//!
//! Intake first asks what is [known](Store::known), files its mails by that, and then records them. Nothing
//! is locked in between: unique keys decide, and a batch that another writer overtook is refused whole
//! ([`Error::Conflict`]), to be filed anew.

pub(super) mod events;
pub(super) mod tickets;

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::event::Event;
use crate::mail::{Attachment, Mail, Protection};
use crate::message::{Extent, Uid};
use crate::rule::Ruling;
use crate::step;
use crate::step::Step;
use crate::store::attachments;
use crate::store::column;
use crate::store::column::{Headers, Person};
use crate::store::ledger::{Mark, mark};
use crate::store::{Error, Inlet, Source, Store, rates, source, thread, unfiled};
use crate::text;
use crate::ticket;
use crate::ticket::{Confidence, Considered, Filing, Ticket};

/// One message of a batch, decided.
#[derive(Debug)]
pub enum Entry<'a> {
    /// A new message.
    New(Box<NewMessage<'a>>),
    /// A copy of a stored message: only the ledger hears of it.
    Copy {
        /// Where it is; out of files, its number in the batch.
        uid: Uid,
        /// The message it is a copy of.
        of: Uuid,
        /// How much of it was fetched: whether it is a copy to its end is only known of a whole one.
        extent: Extent,
    },
}

/// A message to be stored.
pub struct NewMessage<'a> {
    /// Where it is; out of files, its number in the batch.
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
    /// What the rules of the configuration came to.
    pub ruling: Ruling,
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
        inlet: impl Into<Inlet<'_>>,
        webhooks: &[&str],
        entries: &[Entry<'_>],
        known: &ticket::Known,
    ) -> Result<(), Error> {
        let inlet = inlet.into();
        let new: Vec<&NewMessage<'_>> = entries
            .iter()
            .filter_map(|entry| match entry {
                Entry::New(message) => Some(&**message),
                Entry::Copy { .. } => None,
            })
            .collect();
        let mailbox = inlet.mailbox_id();
        let mut transaction = self.pool.begin().await?;
        inlet.fence(&mut transaction).await?;
        tickets::write(&mut transaction, mailbox, &new).await?;
        write_messages(&mut transaction, mailbox, &new).await?;
        source::write(&mut transaction, &new).await?;
        attachments::write(&mut transaction, &attachments_of(&new)).await?;
        unfiled::write(&mut transaction, inlet, &new).await?;
        thread::write(&mut transaction, mailbox, known).await?;
        rates::write(&mut transaction, mailbox, &known.rates).await?;
        events::write(&mut transaction, webhooks, &new).await?;
        if let Inlet::Folder(folder) = inlet {
            mark(&mut transaction, folder, &marks(entries)).await?;
        }
        step::reached(Step::BeforeCommit);
        transaction.commit().await?;
        step::reached(Step::AfterCommit);
        Ok(())
    }
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
    let replies = || mails().map(|mail| mail.reply.as_ref());
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
                               filing_evidence, size, defects, degraded, reply_text, reply_method,
                               reply_confidence, verdict, signals, suppress_auto_response, report,
                               authentication, calendar, protection, filing_confidence, filing_action,
                               filing_considered, related_ticket_id, rules)
         SELECT id, $1, ticket_id, sequence, fingerprint, message_id, string_to_array(in_reply_to, E'\\n'),
                string_to_array(reference_ids, E'\\n'), from_name, from_address, sender::jsonb,
                reply_to::jsonb, recipients_to::jsonb, recipients_cc::jsonb, subject, date, received_at, text,
                html, headers::jsonb, filing_rule, filing_evidence, size, string_to_array(defects, E'\\n'), degraded,
                reply_text, reply_method, reply_confidence, verdict, string_to_array(signals, E'\n'),
                suppress_auto_response, report::jsonb, authentication::jsonb, calendar::jsonb, protection,
                filing_confidence, filing_action, filing_considered::jsonb, related_ticket_id,
                string_to_array(rules, E'\\n')
         FROM unnest($2::uuid[], $3::uuid[], $4::integer[], $5::bytea[], $6::text[], $7::text[], $8::text[],
                     $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[],
                     $16::timestamptz[], $17::timestamptz[], $18::text[], $19::text[], $20::text[], $21::text[],
                     $22::text[], $23::bigint[], $24::text[], $25::text[], $26::text[], $27::text[],
                     $28::smallint[], $29::text[], $30::text[], $31::boolean[], $32::text[], $33::text[],
                     $34::text[], $35::text[], $36::real[], $37::text[], $38::text[], $39::uuid[],
                     $40::text[])
              AS x (id, ticket_id, sequence, fingerprint, message_id, in_reply_to, reference_ids, from_name,
                    from_address, sender, reply_to, recipients_to, recipients_cc, subject, date, received_at,
                    text, html, headers, filing_rule, filing_evidence, size, defects, degraded, reply_text,
                    reply_method, reply_confidence, verdict, signals, suppress_auto_response, report,
                    authentication, calendar, protection, filing_confidence, filing_action, filing_considered,
                    related_ticket_id, rules)",
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
    .bind(column::texts_or_null(replies().map(|reply| reply?.text.as_deref())))
    .bind(replies().map(|reply| Some(reply?.method.as_str())).collect::<Vec<_>>())
    .bind(replies().map(|reply| Some(i16::from(reply?.confidence))).collect::<Vec<_>>())
    .bind(judged().map(|judged| judged.verdict.as_str()).collect::<Vec<_>>())
    .bind(signals.map(|names| names.join(column::SEPARATOR)).collect::<Vec<_>>())
    .bind(judged().map(|judged| judged.suppress_auto_response).collect::<Vec<_>>())
    .bind(mails().map(|mail| mail.report.as_ref().map(column::json)).collect::<Vec<_>>())
    .bind(mails().map(|mail| mail.authentication.as_ref().map(column::json)).collect::<Vec<_>>())
    .bind(mails().map(|mail| mail.calendar.as_ref().map(column::json)).collect::<Vec<_>>())
    .bind(mails().map(|mail| mail.protection.map(Protection::as_str)).collect::<Vec<_>>())
    .bind(filings().map(|filing| filing.confidence.map(Confidence::fraction)).collect::<Vec<_>>())
    .bind(filings().map(|filing| filing.action.as_str()).collect::<Vec<_>>())
    .bind(filings().map(considered).collect::<Vec<_>>())
    .bind(filings().map(|filing| filing.related).collect::<Vec<_>>())
    .bind(new.iter().map(|message| message.ruling.rules.join(column::SEPARATOR)).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}

fn attachments_of<'a>(new: &[&NewMessage<'a>]) -> Vec<(Uuid, &'a Attachment)> {
    new.iter()
        .flat_map(|message| message.mail.attachments.iter().map(|attachment| (message.id, attachment)))
        .collect()
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

pub(super) fn bigint(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

//! The one transaction of intake: ticket, message, source, attachments, thread keys, deliveries and ledger,
//! together or not at all.
//!
//! Intake first asks what is [known](Store::known), files its mails by that, and then records them. Nothing
//! is locked in between: unique keys decide, and a batch that another writer overtook is refused whole
//! ([`Error::Conflict`]), to be filed anew.

mod events;

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use crate::event::Event;
use crate::mail::{Attachment, Fingerprint, Mail};
use crate::message::{Extent, Uid};
use crate::rule::{Labels, Priority, Ruling, Status};
use crate::step;
use crate::step::Step;
use crate::store::column;
use crate::store::column::{Headers, Person};
use crate::store::ledger::{Mark, mark};
use crate::store::{Error, Inlet, Source, Store, source};
use crate::ticket::{Filing, ThreadKey, Threads, Ticket};

/// What the store knows of a batch of mails.
#[derive(Debug, Default)]
pub struct Known {
    /// Messages that are stored already.
    pub stored: HashMap<Fingerprint, Uuid>,
    /// Tickets of the ids that the mails refer to.
    pub threads: Threads,
    /// Those tickets.
    pub tickets: HashMap<Uuid, Ticket>,
}

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
    /// The ticket, this message counted.
    pub ticket: Ticket,
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
    /// What is known of mails with these fingerprints that refer to these ids, within the mailbox.
    pub async fn known(
        &self,
        inlet: impl Into<Inlet<'_>>,
        fingerprints: &[Fingerprint],
        references: &[ThreadKey],
    ) -> Result<Known, Error> {
        let mailbox = inlet.into().mailbox_id();
        let mut known = Known::default();
        let mut connection = self.pool.acquire().await?;
        let hashes: Vec<&[u8]> = fingerprints.iter().map(|fingerprint| fingerprint.0.as_slice()).collect();
        // LATERAL … LIMIT 1, here and below: one look into the index for each. Before the first ANALYZE
        // PostgreSQL believes that a mailbox has few messages, and would read all of them for each batch.
        let rows = sqlx::query(
            "SELECT x.fingerprint, m.id
             FROM unnest($2::bytea[]) AS x (fingerprint)
             CROSS JOIN LATERAL (SELECT id FROM messages
                                 WHERE mailbox_id = $1 AND fingerprint = x.fingerprint LIMIT 1) AS m",
        )
        .bind(mailbox)
        .bind(&hashes)
        .fetch_all(&mut *connection)
        .await?;
        for row in rows {
            known.stored.insert(Fingerprint(row.try_get(0)?), row.try_get(1)?);
        }
        if references.is_empty() {
            return Ok(known);
        }
        let keys: Vec<&[u8]> = references.iter().map(|key| key.0.as_slice()).collect();
        let rows = sqlx::query(
            "SELECT x.key, t.id, t.number, t.subject, t.status, t.message_count, t.tags, t.priority
             FROM unnest($2::bytea[]) AS x (key)
             CROSS JOIN LATERAL (SELECT ticket_id FROM thread_keys
                                 WHERE mailbox_id = $1 AND key = x.key LIMIT 1) AS k
             CROSS JOIN LATERAL (SELECT * FROM tickets
                                 -- A ticket that was merged stands for the one that it was merged into.
                                 WHERE id = coalesce((SELECT merged_into FROM tickets WHERE id = k.ticket_id),
                                                     k.ticket_id) LIMIT 1) AS t",
        )
        .bind(mailbox)
        .bind(&keys)
        .fetch_all(&mut *connection)
        .await?;
        for row in rows {
            let ticket = Ticket {
                id: row.try_get(1)?,
                number: row.try_get(2)?,
                subject: row.try_get(3)?,
                status: row.try_get(4)?,
                message_count: row.try_get(5)?,
                labels: Labels {
                    tags: row.try_get::<Vec<String>, _>(6)?.into_iter().collect(),
                    priority: row.try_get::<Option<&str>, _>(7)?.and_then(Priority::parse),
                },
            };
            known.threads.insert(ThreadKey(row.try_get(0)?), ticket.id);
            known.tickets.insert(ticket.id, ticket);
        }
        Ok(known)
    }

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

    /// Records a batch in one commit, one delivery for each of `webhooks` and event.
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
        write_tickets(&mut transaction, mailbox, &new).await?;
        write_messages(&mut transaction, mailbox, &new).await?;
        source::write(&mut transaction, &new).await?;
        write_attachments(&mut transaction, &attachments(&new)).await?;
        write_thread_keys(&mut transaction, mailbox, &new).await?;
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

/// What the batch does to one ticket.
struct Change<'a> {
    first: &'a NewMessage<'a>,
    last: &'a NewMessage<'a>,
    first_at: DateTime<Utc>,
    last_at: DateTime<Utc>,
    /// What a rule says, if one does.
    status: Option<Status>,
}

async fn write_tickets(
    connection: &mut PgConnection,
    mailbox: i32,
    new: &[&NewMessage<'_>],
) -> Result<(), Error> {
    let mut changes: BTreeMap<Uuid, Change<'_>> = BTreeMap::new();
    for &message in new {
        let (at, status) = (message.received_at, message.ruling.effects.status);
        changes
            .entry(message.ticket.id)
            .and_modify(|change| {
                change.last = message;
                change.first_at = change.first_at.min(at);
                change.last_at = change.last_at.max(at);
                change.status = status.or(change.status);
            })
            .or_insert(Change { first: message, last: message, first_at: at, last_at: at, status });
    }
    let (opened, joined): (Vec<&Change<'_>>, Vec<&Change<'_>>) =
        changes.values().partition(|change| change.first.filing.ticket.is_none());

    if !opened.is_empty() {
        let authors = || opened.iter().map(|change| change.first.mail.from.as_ref());
        sqlx::query(
            "INSERT INTO tickets (id, number, mailbox_id, subject, requester_name, requester_address,
                                  message_count, first_message_at, last_message_at, status, tags, priority)
             SELECT id, number, $1, subject, name, address, count, first_at, last_at, status,
                    string_to_array(tags, E'\\n'), priority
             FROM unnest($2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::integer[],
                         $8::timestamptz[], $9::timestamptz[], $10::text[], $11::text[], $12::text[])
                  AS x (id, number, subject, name, address, count, first_at, last_at, status, tags, priority)",
        )
        .bind(mailbox)
        .bind(opened.iter().map(|change| change.first.ticket.id).collect::<Vec<_>>())
        .bind(opened.iter().map(|change| change.first.ticket.number).collect::<Vec<_>>())
        .bind(column::texts(opened.iter().map(|change| change.first.ticket.subject.as_str())))
        .bind(column::texts(authors().map(|from| from.map_or("", |from| &from.name))))
        .bind(column::texts(authors().map(|from| from.map_or("", |from| &from.address))))
        .bind(opened.iter().map(|change| change.last.ticket.message_count).collect::<Vec<_>>())
        .bind(opened.iter().map(|change| change.first_at).collect::<Vec<_>>())
        .bind(opened.iter().map(|change| change.last_at).collect::<Vec<_>>())
        .bind(opened.iter().map(|change| change.last.ticket.status.as_str()).collect::<Vec<_>>())
        .bind(opened.iter().map(|change| change.tags()).collect::<Vec<_>>())
        .bind(opened.iter().map(|change| change.priority()).collect::<Vec<_>>())
        .execute(&mut *connection)
        .await?;
    }

    if !joined.is_empty() {
        let updated = sqlx::query(
            "UPDATE tickets SET message_count = greatest(tickets.message_count, x.count),
                 last_message_at = greatest(tickets.last_message_at, x.last_at), status = coalesce(x.status, tickets.status),
                 tags = string_to_array(x.tags, E'\\n'), priority = x.priority
             FROM unnest($1::uuid[], $2::integer[], $3::timestamptz[], $4::text[], $5::text[], $6::text[])
                  AS x (id, count, last_at, status, tags, priority)
             WHERE tickets.id = x.id AND tickets.merged_into IS NULL",
        )
        .bind(joined.iter().map(|change| change.first.ticket.id).collect::<Vec<_>>())
        .bind(joined.iter().map(|change| change.last.ticket.message_count).collect::<Vec<_>>())
        .bind(joined.iter().map(|change| change.last_at).collect::<Vec<_>>())
        .bind(joined.iter().map(|change| change.status.map(Status::as_str)).collect::<Vec<_>>())
        .bind(joined.iter().map(|change| change.tags()).collect::<Vec<_>>())
        .bind(joined.iter().map(|change| change.priority()).collect::<Vec<_>>())
        .execute(connection)
        .await?;
        // One was merged in the meantime, and its mail goes elsewhere.
        if updated.rows_affected() < joined.len() as u64 {
            return Err(Error::Conflict);
        }
    }
    Ok(())
}

impl Change<'_> {
    fn tags(&self) -> String {
        self.last.ticket.labels.tags.iter().map(String::as_str).collect::<Vec<_>>().join(column::SEPARATOR)
    }

    fn priority(&self) -> Option<&'static str> {
        self.last.ticket.labels.priority.map(Priority::as_str)
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
    let defects = mails().map(|mail| mail.defects.iter().map(|defect| defect.as_str()).collect::<Vec<_>>());
    sqlx::query(
        "INSERT INTO messages (id, mailbox_id, ticket_id, sequence, fingerprint, message_id, in_reply_to,
                               reference_ids, from_name, from_address, sender, reply_to, recipients_to,
                               recipients_cc, subject, date, received_at, text, html, headers, filing_rule,
                               filing_evidence, size, defects, degraded, rules)
         SELECT id, $1, ticket_id, sequence, fingerprint, message_id, string_to_array(in_reply_to, E'\\n'),
                string_to_array(reference_ids, E'\\n'), from_name, from_address, sender::jsonb,
                reply_to::jsonb, recipients_to::jsonb, recipients_cc::jsonb, subject, date, received_at, text,
                html, headers::jsonb, filing_rule, filing_evidence, size, string_to_array(defects, E'\\n'), degraded,
                string_to_array(rules, E'\\n')
         FROM unnest($2::uuid[], $3::uuid[], $4::integer[], $5::bytea[], $6::text[], $7::text[], $8::text[],
                     $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[],
                     $16::timestamptz[], $17::timestamptz[], $18::text[], $19::text[], $20::text[], $21::text[],
                     $22::text[], $23::bigint[], $24::text[], $25::text[], $26::text[])
              AS x (id, ticket_id, sequence, fingerprint, message_id, in_reply_to, reference_ids, from_name,
                    from_address, sender, reply_to, recipients_to, recipients_cc, subject, date, received_at,
                    text, html, headers, filing_rule, filing_evidence, size, defects, degraded, rules)",
    )
    .bind(mailbox)
    .bind(new.iter().map(|message| message.id).collect::<Vec<_>>())
    .bind(new.iter().map(|message| message.ticket.id).collect::<Vec<_>>())
    .bind(new.iter().map(|message| message.ticket.message_count).collect::<Vec<_>>())
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
    .bind(new.iter().map(|message| message.filing.rule.as_str()).collect::<Vec<_>>())
    .bind(column::texts_or_null(new.iter().map(|message| message.filing.evidence.as_deref())))
    .bind(mails().map(|mail| bigint(mail.size)).collect::<Vec<_>>())
    .bind(defects.map(|names| names.join(column::SEPARATOR)).collect::<Vec<_>>())
    .bind(column::texts_or_null(new.iter().map(|message| message.degraded)))
    .bind(new.iter().map(|message| message.ruling.rules.join(column::SEPARATOR)).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}

fn attachments<'a>(new: &[&NewMessage<'a>]) -> Vec<(Uuid, &'a Attachment)> {
    new.iter()
        .flat_map(|message| message.mail.attachments.iter().map(|attachment| (message.id, attachment)))
        .collect()
}

/// Writes the attachments of messages.
pub(super) async fn write_attachments(
    connection: &mut PgConnection,
    all: &[(Uuid, &Attachment)],
) -> Result<(), Error> {
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

/// The first message to bear an id keeps it: a later one may be anybody's.
async fn write_thread_keys(
    connection: &mut PgConnection,
    mailbox: i32,
    new: &[&NewMessage<'_>],
) -> Result<(), Error> {
    let keyed: Vec<([u8; 32], Uuid)> = new
        .iter()
        .filter_map(|message| Some((ThreadKey::of(message.mail.message_id.as_deref()?).0, message.ticket.id)))
        .collect();
    if keyed.is_empty() {
        return Ok(());
    }
    let keys: Vec<&[u8]> = keyed.iter().map(|(key, _)| key.as_slice()).collect();
    let tickets: Vec<Uuid> = keyed.iter().map(|&(_, ticket)| ticket).collect();
    sqlx::query(
        "INSERT INTO thread_keys (mailbox_id, key, ticket_id)
         SELECT $1, key, ticket_id FROM unnest($2::bytea[], $3::uuid[]) AS x (key, ticket_id)
         ON CONFLICT DO NOTHING",
    )
    .bind(mailbox)
    .bind(&keys)
    .bind(&tickets)
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

pub(super) fn bigint(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

//! The tickets of a batch.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::rule::{Priority, Status};
use crate::store::record::NewMessage;
use crate::store::{Error, column};
use crate::ticket::{Place, Ticket};

/// What the batch does to one ticket.
struct Change<'a> {
    first: &'a NewMessage<'a>,
    /// As it stands after the last.
    ticket: &'a Ticket,
    first_at: DateTime<Utc>,
    last_at: DateTime<Utc>,
    /// What it is put to, and when the mail came because of which.
    status: Option<(Status, DateTime<Utc>)>,
}

/// Opens tickets and changes those that are joined, in the order of their ids: so two writers never wait for each
/// other's rows in turn.
///
/// # Errors
/// [`Error::Conflict`] if one that is joined was merged into another in the meantime.
pub(in crate::store) async fn write(
    connection: &mut PgConnection,
    mailbox: i32,
    new: &[&NewMessage<'_>],
) -> Result<(), Error> {
    let mut changes: BTreeMap<Uuid, Change<'_>> = BTreeMap::new();
    for &message in new {
        let (Some(ticket), at) = (&message.ticket, message.received_at) else { continue };
        let opens = message.filing.reopens.then_some(Status::Open);
        let status = message.ruling.effects.status.or(opens).map(|status| (status, at));
        changes
            .entry(ticket.id)
            .and_modify(|change| {
                change.ticket = ticket;
                change.first_at = change.first_at.min(at);
                change.last_at = change.last_at.max(at);
                change.status = status.or(change.status);
            })
            .or_insert(Change { first: message, ticket, first_at: at, last_at: at, status });
    }
    let (opened, joined): (Vec<&Change<'_>>, Vec<&Change<'_>>) =
        changes.values().partition(|change| change.first.filing.place == Place::Opens);
    open(connection, mailbox, &opened).await?;
    join(connection, &joined).await
}

async fn open(connection: &mut PgConnection, mailbox: i32, opened: &[&Change<'_>]) -> Result<(), Error> {
    if opened.is_empty() {
        return Ok(());
    }
    let authors = || opened.iter().map(|change| change.first.mail.from.as_ref());
    sqlx::query(
        "INSERT INTO tickets (id, number, mailbox_id, subject, requester_name, requester_address, message_count,
                              first_message_at, last_message_at, verdict, status, closed_at, tags, priority)
         SELECT id, number, $1, subject, name, address, count, first_at, last_at, verdict, status, closed_at,
                string_to_array(tags, E'\\n'), priority
         FROM unnest($2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::integer[],
                     $8::timestamptz[], $9::timestamptz[], $10::text[], $11::text[], $12::timestamptz[],
                     $13::text[], $14::text[])
              AS x (id, number, subject, name, address, count, first_at, last_at, verdict, status, closed_at, tags,
                    priority)",
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
    .bind(opened.iter().map(|change| change.status().unwrap_or(Status::Open).as_str()).collect::<Vec<_>>())
    .bind(opened.iter().map(|change| change.closed_at()).collect::<Vec<_>>())
    .bind(opened.iter().map(|change| change.tags()).collect::<Vec<_>>())
    .bind(opened.iter().map(|change| change.priority()).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}

async fn join(connection: &mut PgConnection, joined: &[&Change<'_>]) -> Result<(), Error> {
    if joined.is_empty() {
        return Ok(());
    }
    let updated = sqlx::query(
        "UPDATE tickets SET message_count = greatest(tickets.message_count, x.count),
             last_message_at = greatest(tickets.last_message_at, x.last_at),
             status = coalesce(x.status, tickets.status),
             closed_at = CASE WHEN x.status IS NULL THEN tickets.closed_at ELSE x.closed_at END,
             tags = string_to_array(x.tags, E'\\n'), priority = x.priority
         FROM unnest($1::uuid[], $2::integer[], $3::timestamptz[], $4::text[], $5::timestamptz[], $6::text[],
                     $7::text[])
              AS x (id, count, last_at, status, closed_at, tags, priority)
         WHERE tickets.id = x.id AND tickets.merged_into IS NULL",
    )
    .bind(joined.iter().map(|change| change.ticket.id).collect::<Vec<_>>())
    .bind(joined.iter().map(|change| change.ticket.message_count).collect::<Vec<_>>())
    .bind(joined.iter().map(|change| change.last_at).collect::<Vec<_>>())
    .bind(joined.iter().map(|change| change.status().map(Status::as_str)).collect::<Vec<_>>())
    .bind(joined.iter().map(|change| change.closed_at()).collect::<Vec<_>>())
    .bind(joined.iter().map(|change| change.tags()).collect::<Vec<_>>())
    .bind(joined.iter().map(|change| change.priority()).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    // One was merged in the meantime, and its mail goes elsewhere.
    if updated.rows_affected() < joined.len() as u64 {
        return Err(Error::Conflict);
    }
    Ok(())
}

impl Change<'_> {
    fn status(&self) -> Option<Status> {
        self.status.map(|(status, _)| status)
    }

    fn closed_at(&self) -> Option<DateTime<Utc>> {
        self.status.filter(|(status, _)| *status == Status::Closed).map(|(_, at)| at)
    }

    fn tags(&self) -> String {
        self.ticket.labels.tags.iter().map(String::as_str).collect::<Vec<_>>().join(column::SEPARATOR)
    }

    fn priority(&self) -> Option<&'static str> {
        self.ticket.labels.priority.map(Priority::as_str)
    }
}

//! Merging tickets, and splitting messages off one.
//!
//! Both are one transaction that locks the tickets first, in the order of their ids, as recording does. A batch that was
//! filed before and is recorded after finds a sequence taken or its ticket merged, and is filed anew. Sequences that
//! helpdesks were told never come to mean another message of their ticket.

use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use crate::event::{Event, Merged, MovedMessage, Split, TicketRef};
use crate::store::listener::CHANNEL;
use crate::store::{Error, Store};
use crate::ticket::ThreadKey;

/// How often it begins anew because another writer held one of its rows and waited for another, as whoever delivers may.
const MAX_CONFLICTS: u32 = 10;

/// What came of merging.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Merge {
    /// It is done.
    Done {
        /// How many messages went over.
        messages: u64,
    },
    /// It had been done before.
    Already,
    /// There is no ticket with this number.
    Unknown(i64),
    /// Both are one ticket.
    Same,
    /// They belong to two mailboxes, within which filing stays.
    OtherMailbox,
    /// The ticket with the first number was merged into that with the second.
    Gone(i64, i64),
}

/// Which message of a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chosen {
    /// That with this id.
    Id(Uuid),
    /// That at this place in the ticket.
    Sequence(i32),
}

/// What came of splitting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Divide {
    /// It is done.
    Done {
        /// Number of the ticket that was opened.
        ticket: i64,
    },
    /// There is no such ticket.
    Unknown,
    /// It was merged into that with this number.
    Gone(i64),
    /// The message is not in the ticket.
    NotInTicket(Chosen),
    /// No message would be left in it.
    Whole,
}

#[derive(FromRow)]
struct Row {
    id: Uuid,
    number: i64,
    mailbox_id: i32,
    mailbox: String,
    message_count: i32,
    /// The ticket that it was merged into.
    merged_into: Option<i64>,
}

impl Row {
    fn told(&self) -> TicketRef {
        TicketRef { id: self.id, number: self.number }
    }
}

impl Store {
    /// Merges the ticket `from` into the ticket `into`: its messages follow upon those of the other in their order, later
    /// replies go there, and so do its deliveries that are not made yet. Each of `webhooks` is told.
    pub async fn merge_tickets(&self, from: i64, into: i64, webhooks: &[&str]) -> Result<Merge, Error> {
        let mut conflicts = 0;
        loop {
            match self.try_merge(from, into, webhooks).await {
                Err(Error::Conflict) if conflicts < MAX_CONFLICTS => conflicts += 1,
                ended => return ended,
            }
        }
    }

    /// Splits messages off the ticket with this number: they open another, in their order. Replies to them go there. Each
    /// of `webhooks` is told.
    pub async fn split_ticket(
        &self,
        number: i64,
        which: &[Chosen],
        webhooks: &[&str],
    ) -> Result<Divide, Error> {
        let mut conflicts = 0;
        loop {
            match self.try_split(number, which, webhooks).await {
                Err(Error::Conflict) if conflicts < MAX_CONFLICTS => conflicts += 1,
                ended => return ended,
            }
        }
    }

    async fn try_merge(&self, from: i64, into: i64, webhooks: &[&str]) -> Result<Merge, Error> {
        if from == into {
            return Ok(Merge::Same);
        }
        let mut transaction = self.pool.begin().await?;
        let locked = lock(&mut transaction, &[from, into]).await?;
        let find = |number: i64| locked.iter().find(|ticket| ticket.number == number);
        let Some(source) = find(from) else { return Ok(Merge::Unknown(from)) };
        let Some(target) = find(into) else { return Ok(Merge::Unknown(into)) };
        match (source.merged_into, target.merged_into) {
            (Some(other), _) if other == into => return Ok(Merge::Already),
            (Some(other), _) => return Ok(Merge::Gone(from, other)),
            (None, Some(other)) => return Ok(Merge::Gone(into, other)),
            (None, None) => {}
        }
        if source.mailbox_id != target.mailbox_id {
            return Ok(Merge::OtherMailbox);
        }

        let moved =
            sqlx::query("UPDATE messages SET ticket_id = $2, sequence = sequence + $3 WHERE ticket_id = $1")
                .bind(source.id)
                .bind(target.id)
                .bind(target.message_count)
                .execute(&mut *transaction)
                .await?;
        sqlx::query(
            "UPDATE tickets t
             SET message_count = t.message_count + s.message_count,
                 first_message_at = least(t.first_message_at, s.first_message_at),
                 last_message_at = greatest(t.last_message_at, s.last_message_at),
                 tags = ARRAY(SELECT DISTINCT tag FROM unnest(t.tags || s.tags) AS tag ORDER BY tag),
                 priority = coalesce(t.priority, s.priority)
             FROM tickets s WHERE t.id = $2 AND s.id = $1",
        )
        .bind(source.id)
        .bind(target.id)
        .execute(&mut *transaction)
        .await?;
        // Replies from whoever was in it are believed there as well.
        sqlx::query(
            "INSERT INTO participants (ticket_id, address, role)
             SELECT $2, address, role FROM participants WHERE ticket_id = $1 ORDER BY address
             ON CONFLICT (ticket_id, address) DO UPDATE SET role = excluded.role
                 WHERE participants.role = 'recipient' AND excluded.role = 'writer'",
        )
        .bind(source.id)
        .bind(target.id)
        .execute(&mut *transaction)
        .await?;
        // Those that were merged into it before, too: nobody follows a chain.
        sqlx::query(
            "UPDATE tickets
             SET merged_into = $2, status = 'closed', closed_at = coalesce(closed_at, now()),
                 message_count = CASE id WHEN $1 THEN 0 ELSE message_count END
             WHERE id = $1 OR merged_into = $1",
        )
        .bind(source.id)
        .bind(target.id)
        .execute(&mut *transaction)
        .await?;
        // By their ids deliveries go out in the order of events, also those of two tickets. A delivery under way keeps
        // its id and is finished by it.
        sqlx::query(
            "UPDATE deliveries SET ticket_id = $2
             WHERE webhook = ANY(SELECT name FROM webhooks) AND ticket_id = $1 AND status <> 'delivered'",
        )
        .bind(source.id)
        .bind(target.id)
        .execute(&mut *transaction)
        .await?;
        let event = Event::merged(&Merged {
            at: now(&mut transaction).await?,
            mailbox: &target.mailbox,
            ticket: target.told(),
            merged: source.told(),
            offset: target.message_count,
            sequence: target.message_count + source.message_count,
        });
        let sequence = target.message_count + source.message_count;
        tell(&mut transaction, webhooks, &event, target.id, sequence).await?;
        transaction.commit().await?;
        Ok(Merge::Done { messages: moved.rows_affected() })
    }

    async fn try_split(&self, number: i64, which: &[Chosen], webhooks: &[&str]) -> Result<Divide, Error> {
        let mut transaction = self.pool.begin().await?;
        let locked = lock(&mut transaction, &[number]).await?;
        let Some(ticket) = locked.first() else { return Ok(Divide::Unknown) };
        if let Some(into) = ticket.merged_into {
            return Ok(Divide::Gone(into));
        }
        let messages: Vec<(Uuid, i32, Option<String>)> = sqlx::query_as(
            "SELECT id, sequence, message_id FROM messages WHERE ticket_id = $1 ORDER BY sequence",
        )
        .bind(ticket.id)
        .fetch_all(&mut *transaction)
        .await?;
        let is_meant = |which: Chosen, id: Uuid, sequence: i32| match which {
            Chosen::Id(meant) => meant == id,
            Chosen::Sequence(meant) => meant == sequence,
        };
        let is_there = |which: &Chosen| messages.iter().any(|(id, at, _)| is_meant(*which, *id, *at));
        if let Some(missing) = which.iter().find(|which| !is_there(which)) {
            return Ok(Divide::NotInTicket(*missing));
        }
        let moved: Vec<&(Uuid, i32, Option<String>)> = messages
            .iter()
            .filter(|(id, at, _)| which.iter().any(|which| is_meant(*which, *id, *at)))
            .collect();
        if moved.len() == messages.len() {
            return Ok(Divide::Whole);
        }

        let ids: Vec<Uuid> = moved.iter().map(|(id, ..)| *id).collect();
        let opened = open(&mut transaction, ticket, &ids).await?;
        // Replies to them go with them, and replies to what stays, stay.
        let keys: Vec<ThreadKey> =
            moved.iter().filter_map(|(.., id)| id.as_deref()).map(ThreadKey::of).collect();
        sqlx::query(
            "UPDATE thread_keys SET ticket_id = $3
             WHERE mailbox_id = $1 AND key = ANY($2)
               AND (ticket_id = $4 OR ticket_id IN (SELECT id FROM tickets WHERE merged_into = $4))",
        )
        .bind(ticket.mailbox_id)
        .bind(keys.iter().map(|key| key.0.as_slice()).collect::<Vec<_>>())
        .bind(opened.id)
        .bind(ticket.id)
        .execute(&mut *transaction)
        .await?;
        let event = Event::split(&Split {
            at: now(&mut transaction).await?,
            mailbox: &ticket.mailbox,
            ticket: ticket.told(),
            opened,
            messages: (1..)
                .zip(&moved)
                .map(|(sequence, (id, former, _))| MovedMessage { id: *id, former: *former, sequence })
                .collect(),
            sequence: ticket.message_count,
        });
        // In the order of the ticket that they were in: after what is still to be told of them there.
        tell(&mut transaction, webhooks, &event, ticket.id, ticket.message_count).await?;
        transaction.commit().await?;
        Ok(Divide::Done { ticket: opened.number })
    }
}

/// Locks tickets against whoever would add to them, in the order of their ids.
async fn lock(connection: &mut PgConnection, numbers: &[i64]) -> Result<Vec<Row>, Error> {
    Ok(sqlx::query_as(
        "SELECT t.id, t.number, t.mailbox_id, m.name AS mailbox, t.message_count,
                (SELECT number FROM tickets WHERE id = t.merged_into) AS merged_into
         FROM tickets t JOIN mailboxes m ON m.id = t.mailbox_id
         WHERE t.number = ANY($1) ORDER BY t.id FOR NO KEY UPDATE OF t",
    )
    .bind(numbers)
    .fetch_all(connection)
    .await?)
}

/// Opens a ticket for messages of another, and moves them there.
async fn open(connection: &mut PgConnection, ticket: &Row, messages: &[Uuid]) -> Result<TicketRef, Error> {
    let id = Uuid::now_v7();
    let number: i64 = sqlx::query_scalar(
        "INSERT INTO tickets (id, number, mailbox_id, subject, requester_name, requester_address, message_count,
                              first_message_at, last_message_at, tags, priority, verdict)
         SELECT $1, nextval('ticket_numbers'), t.mailbox_id, m.subject, m.from_name, m.from_address, span.count,
                span.first_at, span.last_at, t.tags, t.priority, m.verdict
         FROM tickets t
         CROSS JOIN LATERAL (SELECT subject, from_name, from_address, verdict FROM messages
                             WHERE id = ANY($3) ORDER BY sequence LIMIT 1) AS m
         CROSS JOIN LATERAL (SELECT count(*) AS count, min(received_at) AS first_at, max(received_at) AS last_at
                             FROM messages WHERE id = ANY($3)) AS span
         WHERE t.id = $2
         RETURNING number",
    )
    .bind(id)
    .bind(ticket.id)
    .bind(messages)
    .fetch_one(&mut *connection)
    .await?;
    // Of the people of the ticket those who wrote these, or to whom they went.
    sqlx::query(
        r#"INSERT INTO participants (ticket_id, address, role)
         SELECT $1, p.address, CASE WHEN bool_or(named.is_writer) THEN 'writer' ELSE 'recipient' END
         FROM (SELECT from_address AS address, true AS is_writer FROM messages WHERE id = ANY($3)
               UNION ALL
               SELECT other ->> 'address', true FROM messages, jsonb_array_elements(reply_to) AS other
               WHERE id = ANY($3)
               UNION ALL
               SELECT other ->> 'address', false
               FROM messages, jsonb_array_elements(recipients_to || recipients_cc) AS other
               WHERE id = ANY($3)) AS named
         JOIN participants p ON p.ticket_id = $2
              AND p.address = lower(regexp_replace(btrim(named.address), '^([^+]+)\+.*@([^@]*)$', '\1@\2') COLLATE "C")
         GROUP BY p.address"#,
    )
    .bind(id)
    .bind(ticket.id)
    .bind(messages)
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "UPDATE messages SET ticket_id = $1, sequence = x.sequence
         FROM unnest($2::uuid[]) WITH ORDINALITY AS x (id, sequence) WHERE messages.id = x.id",
    )
    .bind(id)
    .bind(messages)
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "UPDATE tickets t SET (first_message_at, last_message_at)
             = (SELECT min(received_at), max(received_at) FROM messages WHERE ticket_id = t.id)
         WHERE id = $1",
    )
    .bind(ticket.id)
    .execute(connection)
    .await?;
    Ok(TicketRef { id, number })
}

async fn now(connection: &mut PgConnection) -> Result<chrono::DateTime<chrono::Utc>, Error> {
    Ok(sqlx::query_scalar("SELECT now()").fetch_one(connection).await?)
}

/// Writes the deliveries of an event about a ticket.
async fn tell(
    connection: &mut PgConnection,
    webhooks: &[&str],
    event: &Event,
    ticket: Uuid,
    sequence: i32,
) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO deliveries (event_id, webhook, event_type, ticket_id, sequence, body)
         SELECT $1, webhook, $2, $3, $4, $5 FROM unnest($6::text[]) AS x (webhook)",
    )
    .bind(&event.id)
    .bind(event.kind)
    .bind(ticket)
    .bind(sequence)
    .bind(&event.body)
    .bind(webhooks)
    .execute(&mut *connection)
    .await?;
    sqlx::query("SELECT pg_notify($1, '')").bind(CHANNEL).execute(connection).await?;
    Ok(())
}

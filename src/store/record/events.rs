//! What webhooks are to hear of a batch.

use sqlx::PgConnection;

use crate::event::Event;
use crate::store::listener::CHANNEL;
use crate::store::record::NewMessage;
use crate::store::{Error, column};

/// Writes one delivery for each event and each of `webhooks` that hears of it, and wakes whoever sends them.
pub(in crate::store) async fn write(
    connection: &mut PgConnection,
    webhooks: &[&str],
    new: &[&NewMessage<'_>],
) -> Result<(), Error> {
    let events: Vec<(&NewMessage<'_>, &Event, &str)> = new
        .iter()
        .filter_map(|message| Some((*message, message.event.as_ref()?)))
        .flat_map(|(message, event)| {
            let told = webhooks.iter().filter(move |webhook| message.ruling.tells(webhook));
            told.map(move |webhook| (message, event, *webhook))
        })
        .collect();
    if events.is_empty() {
        return Ok(());
    }
    let tickets = || events.iter().map(|(message, ..)| message.ticket.as_ref());
    // In order: ids grow by it, and by their ids a ticket's deliveries go out.
    sqlx::query(
        "INSERT INTO deliveries (event_id, webhook, event_type, ticket_id, sequence, body, message_id)
         SELECT event_id, webhook, event_type, ticket_id, sequence, body, message_id
         FROM unnest($1::text[], $2::text[], $3::text[], $4::uuid[], $5::integer[], $6::text[], $7::uuid[])
              WITH ORDINALITY AS x (event_id, webhook, event_type, ticket_id, sequence, body, message_id, place)
         ORDER BY place",
    )
    .bind(events.iter().map(|(_, event, _)| event.id.as_str()).collect::<Vec<_>>())
    .bind(events.iter().map(|(.., webhook)| *webhook).collect::<Vec<_>>())
    .bind(events.iter().map(|(_, event, _)| event.kind).collect::<Vec<_>>())
    .bind(tickets().map(|ticket| ticket.map(|ticket| ticket.id)).collect::<Vec<_>>())
    .bind(tickets().map(|ticket| ticket.map(|ticket| ticket.message_count)).collect::<Vec<_>>())
    .bind(column::texts(events.iter().map(|(_, event, _)| event.body.as_str())))
    .bind(events.iter().map(|(message, ..)| message.id).collect::<Vec<_>>())
    .execute(&mut *connection)
    .await?;
    // Sent with the commit; several in one transaction arrive as one.
    sqlx::query("SELECT pg_notify($1, '')").bind(CHANNEL).execute(connection).await?;
    Ok(())
}

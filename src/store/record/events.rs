//! The deliveries of a batch.

use sqlx::PgConnection;

use crate::event::Event;
use crate::store::column;
use crate::store::listener::CHANNEL;
use crate::store::{Error, NewMessage};

/// Writes a delivery for each event and each webhook that hears of it.
pub(super) async fn write(
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
    // In order: ids grow by it, and by their ids a ticket's deliveries go out.
    sqlx::query(
        "INSERT INTO deliveries (event_id, webhook, event_type, ticket_id, sequence, body)
         SELECT event_id, webhook, event_type, ticket_id, sequence, body
         FROM unnest($1::text[], $2::text[], $3::text[], $4::uuid[], $5::integer[], $6::text[])
              WITH ORDINALITY AS x (event_id, webhook, event_type, ticket_id, sequence, body, place)
         ORDER BY place",
    )
    .bind(events.iter().map(|(_, event, _)| event.id.as_str()).collect::<Vec<_>>())
    .bind(events.iter().map(|(.., webhook)| *webhook).collect::<Vec<_>>())
    .bind(events.iter().map(|(_, event, _)| event.kind).collect::<Vec<_>>())
    .bind(events.iter().map(|(message, ..)| message.ticket.id).collect::<Vec<_>>())
    .bind(events.iter().map(|(message, ..)| message.ticket.message_count).collect::<Vec<_>>())
    .bind(column::texts(events.iter().map(|(_, event, _)| event.body.as_str())))
    .execute(&mut *connection)
    .await?;
    // Sent with the commit; several in one transaction arrive as one.
    sqlx::query("SELECT pg_notify($1, '')").bind(CHANNEL).execute(connection).await?;
    Ok(())
}

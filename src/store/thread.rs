//! What later mail finds a ticket by: the ids that lead to it, and who is in it.

use sqlx::PgConnection;

use crate::store::Error;
use crate::ticket::Known;

/// Writes down what filing has added. The first message to bear an id keeps it: a later one may be anybody's. An id that
/// was only named before is taken over by the message that bears it.
pub(super) async fn write(
    connection: &mut PgConnection,
    mailbox_id: i32,
    known: &Known,
) -> Result<(), Error> {
    let keys = known.added_keys();
    if !keys.is_empty() {
        sqlx::query(
            "INSERT INTO thread_keys (mailbox_id, key, ticket_id, kind)
             SELECT $1, key, ticket_id, kind
             FROM unnest($2::bytea[], $3::uuid[], $4::text[]) AS x (key, ticket_id, kind)
             ON CONFLICT (mailbox_id, key) DO UPDATE SET ticket_id = excluded.ticket_id, kind = excluded.kind
                 WHERE thread_keys.kind = 'seen' AND excluded.kind = 'own'",
        )
        .bind(mailbox_id)
        .bind(keys.keys().map(|key| key.0.as_slice()).collect::<Vec<_>>())
        .bind(keys.values().map(|(ticket, _)| *ticket).collect::<Vec<_>>())
        .bind(keys.values().map(|(_, kind)| kind.as_str()).collect::<Vec<_>>())
        .execute(&mut *connection)
        .await?;
    }
    let people = known.added_people();
    if !people.is_empty() {
        sqlx::query(
            "INSERT INTO participants (ticket_id, address, role)
             SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[])
             ON CONFLICT (ticket_id, address) DO UPDATE SET role = excluded.role
                 WHERE participants.role = 'recipient' AND excluded.role = 'writer'",
        )
        .bind(people.keys().map(|(ticket, _)| *ticket).collect::<Vec<_>>())
        .bind(people.keys().map(|(_, address)| address.as_str()).collect::<Vec<_>>())
        .bind(people.values().map(|role| role.as_str()).collect::<Vec<_>>())
        .execute(connection)
        .await?;
    }
    Ok(())
}

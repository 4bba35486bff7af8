//! What is remembered of senders and contents, so that too much mail is told from enough.
//!
//! Written in the transaction that stores the mail it counts, under the mailbox's lease: whoever takes the mailbox over
//! goes on counting from there.

use std::collections::VecDeque;

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, Row};

use crate::store::Error;
use crate::ticket::{Bucket, Clues, RateKey, Rates};

/// What is remembered of the senders and contents of these mails.
pub(super) async fn read(
    connection: &mut PgConnection,
    mailbox_id: i32,
    clues: &[&Clues],
) -> Result<Rates, Error> {
    let (senders, contents): (Vec<Option<RateKey>>, Vec<RateKey>) =
        clues.iter().map(|clues| clues.rate_keys()).unzip();
    let senders: Vec<RateKey> = senders.into_iter().flatten().collect();
    let rows = sqlx::query(
        "SELECT x.sender, s.full_at, s.newest_at, s.shut_until, NULL::timestamptz[]
         FROM unnest($2::bigint[]) AS x (sender)
         CROSS JOIN LATERAL (SELECT full_at, newest_at, shut_until FROM sender_rates
                             WHERE mailbox_id = $1 AND sender = x.sender LIMIT 1) AS s
         UNION ALL
         SELECT x.content, NULL, NULL, NULL, r.came_at
         FROM unnest($3::bigint[]) AS x (content)
         CROSS JOIN LATERAL (SELECT came_at FROM mail_repeats
                             WHERE mailbox_id = $1 AND content = x.content LIMIT 1) AS r",
    )
    .bind(mailbox_id)
    .bind(&senders)
    .bind(&contents)
    .fetch_all(connection)
    .await?;
    let mut rates = Rates::default();
    for row in rows {
        let key: RateKey = row.try_get(0)?;
        if let Some(times) = row.try_get::<Option<Vec<DateTime<Utc>>>, _>(4)? {
            rates.repeats.insert(key, VecDeque::from(times));
        } else {
            let (full_at, newest_at, shut_until) = (row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
            rates.senders.insert(key, Bucket { full_at, newest_at, shut_until });
        }
    }
    Ok(rates)
}

/// Writes down what has changed.
pub(super) async fn write(
    connection: &mut PgConnection,
    mailbox_id: i32,
    rates: &Rates,
) -> Result<(), Error> {
    let senders = rates.changed_senders();
    if !senders.is_empty() {
        sqlx::query(
            "INSERT INTO sender_rates (mailbox_id, sender, full_at, newest_at, shut_until)
             SELECT $1, sender, full_at, newest_at, shut_until
             FROM unnest($2::bigint[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[])
                  AS x (sender, full_at, newest_at, shut_until)
             ON CONFLICT (mailbox_id, sender) DO UPDATE
                 SET full_at = excluded.full_at, newest_at = excluded.newest_at, shut_until = excluded.shut_until",
        )
        .bind(mailbox_id)
        .bind(senders.keys().copied().collect::<Vec<_>>())
        .bind(senders.values().map(|bucket| bucket.full_at).collect::<Vec<_>>())
        .bind(senders.values().map(|bucket| bucket.newest_at).collect::<Vec<_>>())
        .bind(senders.values().map(|bucket| bucket.shut_until).collect::<Vec<_>>())
        .execute(&mut *connection)
        .await?;
    }
    let repeats = rates.changed_repeats();
    if !repeats.is_empty() {
        // Lists of lists have no array type: one row for each time, gathered again.
        let times =
            || repeats.iter().flat_map(|(content, times)| times.iter().map(move |time| (*content, *time)));
        sqlx::query(
            "INSERT INTO mail_repeats (mailbox_id, content, came_at)
             SELECT $1, content, array_agg(came_at ORDER BY place)
             FROM unnest($2::bigint[], $3::timestamptz[]) WITH ORDINALITY AS x (content, came_at, place)
             GROUP BY content
             ON CONFLICT (mailbox_id, content) DO UPDATE SET came_at = excluded.came_at",
        )
        .bind(mailbox_id)
        .bind(times().map(|(content, _)| content).collect::<Vec<_>>())
        .bind(times().map(|(_, time)| time).collect::<Vec<_>>())
        .execute(connection)
        .await?;
    }
    Ok(())
}

/// Forgets what tells nothing any more. What it looks through is what has come since it was last done.
pub(super) async fn forget(connection: &mut PgConnection, mailbox_id: i32) -> Result<(), Error> {
    // A bucket that has long been full is like none; the longest window that can be configured is a day.
    for statement in [
        "DELETE FROM sender_rates WHERE mailbox_id = $1 AND newest_at < now() - interval '2 hours'
             AND full_at < now() AND coalesce(shut_until < now(), true)",
        "DELETE FROM mail_repeats WHERE mailbox_id = $1 AND came_at[cardinality(came_at)] < now() - interval '1 day'",
    ] {
        sqlx::query(statement).bind(mailbox_id).execute(&mut *connection).await?;
    }
    Ok(())
}

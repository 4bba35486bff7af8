//! How a mailbox is: when it was last polled, why it fails, and whether its server wants to be left alone.
//!
//! A mailbox becomes unhealthy and recovers in the transaction that stores the deliveries which tell so: helpdesks hear
//! of each change once, whichever workers see it.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, PgConnection, Row};

use crate::event::Event;
use crate::store::lease::Lease;
use crate::store::listener::CHANNEL;
use crate::store::{Error, Store};

/// Where a person has to act, a mailbox is left alone for half of the time that it has failed, within these limits:
/// Exchange takes a wrong login that comes again and again for an attack. Reckoned from what is stored, so that
/// several workers pause as one.
const SHORTEST_PAUSE: &str = "interval '2 min'";
const LONGEST_PAUSE: &str = "interval '30 min'";

/// Why a poll failed, and what follows from it.
#[derive(Clone, Copy)]
pub struct Failure<'a> {
    /// The reason. Must hold nothing private.
    pub reason: &'a str,
    /// Whether a person has to act: then nobody tries for a while, unless one has signed in meanwhile.
    pub needs_person: bool,
    /// How long ago what failed was begun.
    pub begun: Duration,
    /// How long polls may go on failing before the mailbox counts as unhealthy.
    pub patience: Duration,
    /// What is told if it becomes unhealthy by this.
    pub event: &'a Event,
    /// Names of the webhooks that are told.
    pub webhooks: &'a [&'a str],
}

// By hand: an event has no `Debug`, for most of them hold mail.
impl fmt::Debug for Failure<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failure").field("reason", &self.reason).finish_non_exhaustive()
    }
}

impl Store {
    /// Writes down that a poll of the mailbox has completed. If it was unhealthy, it has recovered, and `webhooks` are
    /// told what `event` makes of the time since when it was.
    pub async fn poll_completed(
        &self,
        lease: &Lease,
        webhooks: &[&str],
        event: impl FnOnce(DateTime<Utc>) -> Event,
    ) -> Result<(), Error> {
        let mut transaction = self.pool.begin().await?;
        let was_unhealthy: Option<Option<DateTime<Utc>>> = sqlx::query_scalar(
            "UPDATE mailboxes m
             SET last_poll_at = now(), last_error = NULL, last_error_at = NULL, failing_since = NULL,
                 unhealthy_since = NULL
             FROM (SELECT id, unhealthy_since FROM mailboxes WHERE id = $1 AND lease_epoch = $2
                   FOR NO KEY UPDATE) before
             WHERE m.id = before.id
             RETURNING before.unhealthy_since",
        )
        .bind(lease.mailbox_id)
        .bind(lease.epoch)
        .fetch_optional(&mut *transaction)
        .await?;
        if let Some(Some(since)) = was_unhealthy {
            announce(&mut transaction, lease.mailbox_id, webhooks, &event(since)).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Writes down why a poll of the mailbox failed. Whether it became unhealthy by that.
    pub async fn poll_failed(&self, mailbox: &str, failure: &Failure<'_>) -> Result<bool, Error> {
        let mut transaction = self.pool.begin().await?;
        let row = sqlx::query(AssertSqlSafe(format!(
            "UPDATE mailboxes m
             SET last_error = $2, last_error_at = now(), failing_since = before.failing_since,
                 unhealthy_since = before.unhealthy_since,
                 paused_until = CASE
                     WHEN $4 AND NOT EXISTS (SELECT FROM oauth_tokens t WHERE t.mailbox_id = m.id
                                             AND t.signed_in_at >= now() - make_interval(secs => $5))
                     THEN now() + greatest({SHORTEST_PAUSE},
                                           least({LONGEST_PAUSE}, (now() - before.failing_since) / 2))
                     ELSE m.paused_until END
             FROM (SELECT id, coalesce(failing_since, now()) AS failing_since,
                          CASE WHEN coalesce(failing_since, now()) <= now() - make_interval(secs => $3)
                               THEN coalesce(unhealthy_since, now()) ELSE unhealthy_since END AS unhealthy_since
                   FROM mailboxes WHERE name = $1 FOR NO KEY UPDATE) before
             WHERE m.id = before.id
             RETURNING m.id, coalesce(m.unhealthy_since = now(), false)"
        )))
        .bind(mailbox)
        .bind(failure.reason)
        .bind(failure.patience.as_secs_f64())
        .bind(failure.needs_person)
        .bind(failure.begun.as_secs_f64())
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(row) = row else { return Ok(false) };
        let (mailbox_id, became_unhealthy): (i32, bool) = (row.try_get(0)?, row.try_get(1)?);
        if became_unhealthy {
            announce(&mut transaction, mailbox_id, failure.webhooks, failure.event).await?;
        }
        transaction.commit().await?;
        Ok(became_unhealthy)
    }

    /// Leaves the mailbox's server alone for `pause` from now on, in every mailbox of the same account: until then
    /// nobody gets their leases. A longer pause that was asked for before stays.
    pub async fn back_off(&self, mailbox: &str, pause: Duration) -> Result<(), Error> {
        sqlx::query(
            "UPDATE mailboxes SET backoff_until = greatest(backoff_until, now() + make_interval(secs => $2))
             WHERE id IN (SELECT of_account.id FROM mailboxes asked
                          JOIN mailboxes of_account USING (host, account)
                          WHERE asked.name = $1 ORDER BY of_account.id FOR NO KEY UPDATE OF of_account)",
        )
        .bind(mailbox)
        .bind(pause.as_secs_f64())
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// How long the mailbox's server still wants to be left alone; `None` if it does not, or the mailbox is unknown.
    pub async fn backoff_left(&self, mailbox: &str) -> Result<Option<Duration>, Error> {
        self.left(mailbox, "backoff_until").await
    }

    /// How long nobody gets the mailbox's lease, for its server wants to be left alone or a person has to act.
    pub async fn pause_left(&self, mailbox: &str) -> Result<Option<Duration>, Error> {
        self.left(mailbox, "greatest(backoff_until, paused_until)").await
    }

    async fn left(&self, mailbox: &str, until: &'static str) -> Result<Option<Duration>, Error> {
        let seconds: Option<f64> = sqlx::query_scalar(AssertSqlSafe(format!(
            "SELECT extract(epoch FROM {until} - now())::float8 FROM mailboxes WHERE name = $1 AND {until} > now()"
        )))
        .bind(mailbox)
        .fetch_optional(&self.pool)
        .await?;
        Ok(seconds.map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or_default()))
    }
}

/// Stores one delivery of an event about a mailbox for each webhook.
async fn announce(
    connection: &mut PgConnection,
    mailbox_id: i32,
    webhooks: &[&str],
    event: &Event,
) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO deliveries (event_id, webhook, event_type, mailbox_id, body)
         SELECT $1, webhook, $2, $3, $4 FROM unnest($5::text[]) AS webhook",
    )
    .bind(&event.id)
    .bind(event.kind)
    .bind(mailbox_id)
    .bind(&event.body)
    .bind(webhooks)
    .execute(&mut *connection)
    .await?;
    // Sent with the commit.
    sqlx::query("SELECT pg_notify($1, '')").bind(CHANNEL).execute(connection).await?;
    Ok(())
}

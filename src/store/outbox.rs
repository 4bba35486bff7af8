//! Deliveries as an operator looks at them, and has dead ones retried.
//!
//! A retry makes a dead delivery pending again, with the same id and the same body, due at once and with the whole
//! schedule before it. It comes before the younger ones of its ticket that are still to be made; those made or
//! under way in the meantime stay before it, since a dead delivery holds up nothing.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{FromRow, PgConnection};

use crate::store::listener::CHANNEL;
use crate::store::{Error, Store};

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, sqlx::Type)]
#[serde(rename_all = "lowercase")]
#[sqlx(type_name = "text", rename_all = "lowercase")]
pub enum DeliveryStatus {
    /// It waits for an attempt, or is being attempted.
    Pending,
    /// The webhook took it.
    Delivered,
    /// It was given up, and waits for a person.
    Dead,
}

/// A line of `postroom deliveries list`. Holds nothing of the mail.
#[derive(Debug, Clone, Serialize, FromRow)]
pub struct DeliveryLine {
    /// The event's id, as sent to the webhook.
    pub event_id: String,
    /// The event's type.
    pub event_type: String,
    /// Where it goes.
    pub webhook: String,
    /// Number of the ticket it is about; none if the message is in none, or it is about a mailbox.
    pub ticket: Option<i64>,
    /// Name of the mailbox it is about, if it is about one as a whole.
    pub mailbox: Option<String>,
    /// Where it stands.
    pub status: DeliveryStatus,
    /// How often it was attempted.
    pub attempt: i32,
    /// When it is attempted next, if it is pending.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// HTTP status of the last attempt, if there was an answer.
    pub last_status: Option<i32>,
    /// Why the last attempt failed, if it did.
    pub last_error: Option<String>,
    /// When the event was stored.
    pub created_at: DateTime<Utc>,
    /// When it was delivered or given up.
    pub finished_at: Option<DateTime<Utc>>,
}

/// What a retry came to at one webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, FromRow)]
pub struct Retried {
    /// Its name.
    pub webhook: String,
    /// How many deliveries were dead and are pending now.
    pub deliveries: i64,
    /// Whether it had answered 410 Gone and is switched on again.
    pub switched_on: bool,
    /// Whether it is switched off still, so that nothing is sent.
    pub switched_off: bool,
}

/// Why some events can't be retried. Then none is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NotRetried {
    /// Events of which there is no delivery.
    pub unknown: Vec<String>,
    /// Events with no dead delivery, and where one of them stands.
    pub not_dead: Vec<(String, DeliveryStatus)>,
}

/// SQL: makes dead deliveries `d` pending, those for which the condition holds, and returns them.
macro_rules! retry {
    ($condition:literal) => {
        concat!(
            "UPDATE deliveries d
             SET status = 'pending', forgiven_attempts = d.attempt, next_attempt_at = now(),
                 lease_until = NULL, finished_at = NULL
             WHERE d.status = 'dead' AND ",
            $condition,
            " RETURNING d.webhook, d.event_id"
        )
    };
}

impl Store {
    /// The newest deliveries, newest first; of one webhook, and in one status, if they are given.
    pub async fn list_deliveries(
        &self,
        webhook: Option<&str>,
        status: Option<DeliveryStatus>,
        limit: u32,
    ) -> Result<Vec<DeliveryLine>, Error> {
        let lines = sqlx::query_as(
            "SELECT d.event_id, d.event_type, d.webhook, t.number AS ticket, m.name AS mailbox, d.status, d.attempt,
                    CASE WHEN d.status = 'pending' THEN d.next_attempt_at END AS next_attempt_at,
                    d.last_status, d.last_error, d.created_at, d.finished_at
             FROM deliveries d LEFT JOIN tickets t ON t.id = d.ticket_id LEFT JOIN mailboxes m ON m.id = d.mailbox_id
             WHERE ($1::text IS NULL OR d.webhook = $1) AND ($2::text IS NULL OR d.status = $2)
             ORDER BY d.id DESC
             LIMIT $3",
        )
        .bind(webhook)
        .bind(status)
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await?;
        Ok(lines)
    }

    /// Has the dead deliveries of these events retried, at every webhook that gave one up.
    pub async fn retry_events(
        &self,
        event_ids: &[String],
    ) -> Result<Result<Vec<Retried>, NotRetried>, Error> {
        let mut transaction = self.pool.begin().await?;
        let retried: Vec<(String, String)> = sqlx::query_as(retry!("d.event_id = ANY ($1)"))
            .bind(event_ids)
            .fetch_all(&mut *transaction)
            .await?;
        let left: Vec<&str> = event_ids
            .iter()
            .map(String::as_str)
            .filter(|id| retried.iter().all(|(_, event_id)| event_id != id))
            .collect();
        if !left.is_empty() {
            // By way of the webhooks, for the index begins with them.
            let found: Vec<(String, DeliveryStatus)> = sqlx::query_as(
                "SELECT DISTINCT ON (d.event_id) d.event_id, d.status
                 FROM webhooks w JOIN deliveries d ON d.webhook = w.name AND d.event_id = ANY ($1)
                 ORDER BY d.event_id, d.id",
            )
            .bind(&left)
            .fetch_all(&mut *transaction)
            .await?;
            let is_unknown = |id: &&str| found.iter().all(|(event_id, _)| event_id != id);
            let unknown = left.into_iter().filter(is_unknown).map(str::to_owned).collect();
            return Ok(Err(NotRetried { unknown, not_dead: found }));
        }
        let summary = summary(&mut transaction, retried.into_iter().map(|(webhook, _)| webhook)).await?;
        transaction.commit().await?;
        Ok(Ok(summary))
    }

    /// Has all dead deliveries of one webhook retried, and lets it be tried at once whatever it answered before:
    /// also if it asked for a pause or is switched off. `None` if there never was a webhook of this name.
    pub async fn retry_webhook(&self, webhook: &str) -> Result<Option<Retried>, Error> {
        let mut transaction = self.pool.begin().await?;
        // First, as claims do; and read before it is written, for RETURNING tells only what is new.
        let switched_off: Option<bool> = sqlx::query_scalar(
            "SELECT switched_off_at IS NOT NULL FROM webhooks WHERE name = $1 FOR NO KEY UPDATE",
        )
        .bind(webhook)
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(switched_on) = switched_off else { return Ok(None) };
        sqlx::query(
            "UPDATE webhooks SET failures = 0, paused_until = NULL, switched_off_at = NULL WHERE name = $1",
        )
        .bind(webhook)
        .execute(&mut *transaction)
        .await?;
        let retried =
            sqlx::query(retry!("d.webhook = $1")).bind(webhook).fetch_all(&mut *transaction).await?;
        notify(&mut transaction).await?;
        transaction.commit().await?;
        let deliveries = i64::try_from(retried.len()).unwrap_or(i64::MAX);
        Ok(Some(Retried { webhook: webhook.to_owned(), deliveries, switched_on, switched_off: false }))
    }

    /// Has all dead deliveries retried.
    pub async fn retry_all(&self) -> Result<Vec<Retried>, Error> {
        let mut transaction = self.pool.begin().await?;
        let retried: Vec<(String, String)> =
            sqlx::query_as(retry!("true")).fetch_all(&mut *transaction).await?;
        let summary = summary(&mut transaction, retried.into_iter().map(|(webhook, _)| webhook)).await?;
        transaction.commit().await?;
        Ok(summary)
    }
}

/// Counts what was retried by webhook, and wakes whoever delivers.
async fn summary(
    connection: &mut PgConnection,
    webhooks: impl Iterator<Item = String>,
) -> Result<Vec<Retried>, Error> {
    notify(connection).await?;
    Ok(sqlx::query_as(
        "SELECT w.name AS webhook, count(*) AS deliveries, false AS switched_on,
                w.switched_off_at IS NOT NULL AS switched_off
         FROM unnest($1::text[]) AS retried (webhook) JOIN webhooks w ON w.name = retried.webhook
         GROUP BY w.name ORDER BY w.name",
    )
    .bind(webhooks.collect::<Vec<_>>())
    .fetch_all(connection)
    .await?)
}

async fn notify(connection: &mut PgConnection) -> Result<(), Error> {
    // Sent with the commit.
    sqlx::query("SELECT pg_notify($1, '')").bind(CHANNEL).execute(connection).await?;
    Ok(())
}

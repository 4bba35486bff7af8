//! Deliveries as an operator looks at them.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::FromRow;

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
    /// Number of the ticket it is about.
    pub ticket: i64,
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

impl Store {
    /// The newest deliveries, newest first; of one webhook, and in one status, if they are given.
    pub async fn list_deliveries(
        &self,
        webhook: Option<&str>,
        status: Option<DeliveryStatus>,
        limit: u32,
    ) -> Result<Vec<DeliveryLine>, Error> {
        let lines = sqlx::query_as(
            "SELECT d.event_id, d.event_type, d.webhook, t.number AS ticket, d.status, d.attempt,
                    CASE WHEN d.status = 'pending' THEN d.next_attempt_at END AS next_attempt_at,
                    d.last_status, d.last_error, d.created_at, d.finished_at
             FROM deliveries d JOIN tickets t ON t.id = d.ticket_id
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
}

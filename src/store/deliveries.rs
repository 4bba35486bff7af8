//! The outbox as its workers use it: claim what is due, finish what was claimed.
//!
//! Workers share each webhook's deliveries without knowing of each other:
//!
//! - A claim gives a lease and a new attempt number. A worker that was away for longer than its lease finds
//!   its delivery taken over, and what it wants to write is refused. So attempt numbers never start anew, not
//!   even when an operator has a dead delivery retried: `forgiven_attempts` says which ones the schedule forgets.
//! - Of one ticket and webhook (or, for what is told of a mailbox itself, of one mailbox and webhook) only the oldest
//!   pending delivery can be claimed, even while it waits for its next attempt. A dead one blocks nothing, and one about
//!   a message in no ticket waits for no other. The order is that of `deliveries.id`; intake stores one ticket's
//!   events under one lease, so ids grow in the order of commits.
//! - After [`BREAKS_AT`] failures in a row a webhook counts as down. Then one delivery at a time is claimed as
//!   a probe, and `webhooks.paused_until` keeps everybody else out until it is finished or its lease ends.
//!
//! Lock order: `webhooks` first when claiming, and never waited for with a delivery locked by a claim. The
//! locks leave the foreign keys of new deliveries alone, so intake is never kept waiting.

use std::fmt;
use std::time::Duration;

use sqlx::Row;

use crate::store::{DeliveryStatus, Error, Store};

/// So many failures in a row, over all deliveries, and a webhook is only probed.
pub const BREAKS_AT: i32 = 5;

/// SQL: whether delivery `d` of webhook `$1` can be claimed. The subqueries are one look into an index for each row
/// that is due; written as NOT EXISTS it would become a join, over everything pending.
macro_rules! claimable {
    () => {
        "d.webhook = $1 AND d.finished_at IS NULL AND d.next_attempt_at <= now()
         AND (d.lease_until IS NULL OR d.lease_until <= now())
         AND d.id = CASE WHEN d.ticket_id IS NOT NULL THEN (
             SELECT min(of_ticket.id) FROM deliveries of_ticket
             WHERE of_ticket.webhook = d.webhook AND of_ticket.ticket_id = d.ticket_id
               AND of_ticket.status = 'pending'
         ) WHEN d.mailbox_id IS NOT NULL THEN (
             SELECT min(of_mailbox.id) FROM deliveries of_mailbox
             WHERE of_mailbox.webhook = d.webhook AND of_mailbox.mailbox_id = d.mailbox_id
               AND of_mailbox.status = 'pending' AND of_mailbox.ticket_id IS NULL
         ) ELSE d.id END"
    };
}

/// A delivery that is ours to attempt until its lease ends.
#[derive(Clone)]
pub struct Claim {
    /// The event's id, the same in every attempt.
    pub event_id: String,
    /// Which attempt this is, from 1. No two claims of a delivery that were attempted have the same.
    pub attempt: i32,
    /// Which attempt this is since the delivery was stored or last retried by an operator, from 1: the schedule
    /// goes by it.
    pub counted_attempt: i32,
    /// The request body, as it was stored with the message.
    pub body: String,
    /// How many attempts in a row had failed at this webhook when this one was claimed.
    pub failures: i32,
    id: i64,
}

/// What came of an attempt.
#[derive(Debug, Clone, Copy)]
pub struct Finish<'a> {
    /// What becomes of the delivery.
    pub fate: Fate,
    /// What the attempt says of the webhook.
    pub health: Health,
    /// HTTP status of the answer, if there was one.
    pub status: Option<u16>,
    /// What went wrong, if anything did. Stored for people to read: nothing private.
    pub error: Option<&'a str>,
}

/// What becomes of a delivery after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is done.
    Delivered,
    /// It is attempted again.
    Retry {
        /// Not before this time has passed.
        after: Duration,
    },
    /// It is given up.
    Dead,
}

/// What an attempt says of its webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// It works, whatever it thinks of this delivery.
    Works,
    /// It is down, busy or misconfigured.
    Fails {
        /// How long it asked to be left alone.
        rest: Option<Duration>,
        /// How long it is left alone if it counts as down.
        probe_pause: Duration,
    },
    /// It wants no more deliveries: none is claimed until an operator switches it on again.
    Gone,
}

/// Whether a claim was still ours when it was finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finished {
    /// It was, and what came of it is stored.
    Ours,
    /// Its lease had ended and another attempt was begun, or the claim was finished before; nothing was stored.
    TakenOver,
}

impl Store {
    /// Makes sure that every configured webhook has its row. Rows of webhooks no longer configured stay.
    pub async fn register_webhooks(&self, names: &[&str]) -> Result<(), Error> {
        sqlx::query("INSERT INTO webhooks (name) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING")
            .bind(names)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Claims deliveries that are due, `limit` at most, each until `lease` has passed. They come in the order
    /// in which they became due.
    ///
    /// None while the webhook is paused, switched off or being probed. Dropping this future, or losing the
    /// connection before the answer, may leave deliveries leased that nobody attempts; they are due again when
    /// the lease ends.
    pub async fn claim(&self, webhook: &str, limit: usize, lease: Duration) -> Result<Vec<Claim>, Error> {
        let mut transaction = self.pool.begin().await?;
        // Locked, or two workers could each send a probe. As weakly as that allows: storing a delivery takes
        // a key share lock on this row. And this transaction does not wait for the disk: should PostgreSQL crash
        // and forget a claim, the delivery is attempted once more, as after a crash of ours.
        let failures: Option<i32> = sqlx::query_scalar(
            "SELECT failures, set_config('synchronous_commit', 'off', true) FROM webhooks
             WHERE name = $1 AND switched_off_at IS NULL AND (paused_until IS NULL OR paused_until <= now())
             FOR NO KEY UPDATE",
        )
        .bind(webhook)
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(failures) = failures else { return Ok(Vec::new()) };

        let limit = if failures < BREAKS_AT { limit } else { limit.min(1) };
        let rows = sqlx::query(concat!(
            "WITH due AS (
                 SELECT d.id FROM deliveries d WHERE ",
            claimable!(),
            "
                 ORDER BY d.next_attempt_at, d.id
                 LIMIT $2
                 FOR NO KEY UPDATE SKIP LOCKED
             ), claimed AS (
                 UPDATE deliveries d
                 SET attempt = d.attempt + 1, lease_until = now() + make_interval(secs => $3)
                 FROM due
                 WHERE d.id = due.id
                 RETURNING d.id, d.event_id, d.attempt, d.attempt - d.forgiven_attempts AS counted_attempt, d.body,
                           d.next_attempt_at
             )
             -- RETURNING keeps no order.
             SELECT id, event_id, attempt, counted_attempt, body FROM claimed ORDER BY next_attempt_at, id"
        ))
        .bind(webhook)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .bind(lease.as_secs_f64())
        .fetch_all(&mut *transaction)
        .await?;

        if failures >= BREAKS_AT && !rows.is_empty() {
            sqlx::query(
                "UPDATE webhooks SET paused_until = now() + make_interval(secs => $2) WHERE name = $1",
            )
            .bind(webhook)
            .bind(lease.as_secs_f64())
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;

        rows.iter()
            .map(|row| {
                Ok(Claim {
                    id: row.try_get(0)?,
                    event_id: row.try_get(1)?,
                    attempt: row.try_get(2)?,
                    counted_attempt: row.try_get(3)?,
                    body: row.try_get(4)?,
                    failures,
                })
            })
            .collect()
    }

    /// Stores what came of a claim, and what that says of its webhook, together.
    ///
    /// After an error the outcome is unknown. Then the worst is that the delivery is attempted once more.
    pub async fn finish(&self, claim: &Claim, finish: &Finish<'_>) -> Result<Finished, Error> {
        let (status, after) = match finish.fate {
            Fate::Delivered => (DeliveryStatus::Delivered, None),
            Fate::Retry { after } => (DeliveryStatus::Pending, Some(after.as_secs_f64())),
            Fate::Dead => (DeliveryStatus::Dead, None),
        };
        let (rest, probe_pause) = match finish.health {
            Health::Works | Health::Gone => (None, None),
            Health::Fails { rest, probe_pause } => {
                (rest.map(|rest| rest.as_secs_f64()), Some(probe_pause.as_secs_f64()))
            }
        };
        let finished: i64 = sqlx::query_scalar(
            "WITH finished AS (
                 UPDATE deliveries
                 SET status = $3, lease_until = NULL, last_status = $5, last_error = $6,
                     next_attempt_at = COALESCE(now() + make_interval(secs => $4), next_attempt_at),
                     finished_at = CASE WHEN $3 = 'pending' THEN NULL ELSE now() END
                 -- A claim is finished once: without its lease, this delivery has been retried since.
                 WHERE id = $1 AND attempt = $2 AND status = 'pending' AND lease_until IS NOT NULL
                 RETURNING webhook
             ), noted AS (
                 UPDATE webhooks w
                 SET failures = CASE WHEN $7 THEN 0 ELSE w.failures + 1 END,
                     last_error = CASE WHEN $7 THEN NULL ELSE $6 END,
                     switched_off_at = CASE WHEN $8 THEN now() ELSE w.switched_off_at END,
                     -- GREATEST passes over nulls. A probe's own hold ends with the probe; any other pause
                     -- was asked for, and is kept.
                     paused_until = GREATEST(
                         CASE WHEN $9 THEN NULL ELSE w.paused_until END,
                         now() + make_interval(secs => $10),
                         CASE WHEN w.failures + 1 >= $12 THEN now() + make_interval(secs => $11) END
                     )
                 FROM finished
                 -- The row all workers share is written only when there is news.
                 WHERE w.name = finished.webhook AND NOT ($7 AND w.failures = 0)
             )
             SELECT count(*) FROM finished",
        )
        .bind(claim.id)
        .bind(claim.attempt)
        .bind(status)
        .bind(after)
        .bind(finish.status.map(i32::from))
        .bind(finish.error)
        .bind(finish.health == Health::Works)
        .bind(finish.health == Health::Gone)
        .bind(claim.is_probe())
        .bind(rest)
        .bind(probe_pause)
        .bind(BREAKS_AT)
        .fetch_one(&self.pool)
        .await?;
        Ok(if finished == 0 { Finished::TakenOver } else { Finished::Ours })
    }

    /// Gives claims of one webhook back that were not attempted, as if they had never been claimed.
    pub async fn release(&self, claims: &[Claim]) -> Result<(), Error> {
        let (ids, attempts): (Vec<i64>, Vec<i32>) =
            claims.iter().map(|claim| (claim.id, claim.attempt)).unzip();
        sqlx::query(
            "WITH released AS (
                 UPDATE deliveries d
                 SET attempt = d.attempt - 1, lease_until = NULL
                 FROM unnest($1::bigint[], $2::integer[]) AS ours (id, attempt)
                 WHERE d.id = ours.id AND d.attempt = ours.attempt AND d.status = 'pending'
                   AND d.lease_until IS NOT NULL
                 RETURNING d.webhook
             )
             UPDATE webhooks SET paused_until = NULL
             WHERE $3 AND name IN (SELECT webhook FROM released)",
        )
        .bind(&ids)
        .bind(&attempts)
        .bind(claims.iter().any(Claim::is_probe))
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// How long until a delivery of this webhook can be claimed, as things stand: zero if one can be now, none
    /// if nothing is pending or the webhook is switched off.
    pub async fn next_due(&self, webhook: &str) -> Result<Option<Duration>, Error> {
        let seconds: Option<f64> = sqlx::query_scalar(concat!(
            "SELECT extract(epoch FROM CASE
                 WHEN w.paused_until > now() THEN w.paused_until
                 WHEN EXISTS (SELECT FROM deliveries d WHERE ",
            claimable!(),
            ") THEN now()
                 ELSE LEAST(
                     (SELECT min(d.lease_until) FROM deliveries d
                      WHERE d.webhook = $1 AND d.finished_at IS NULL AND d.next_attempt_at <= now()
                        AND d.lease_until > now()),
                     -- Perhaps of one that an older one blocks: then somebody looks in vain, once.
                     (SELECT min(d.next_attempt_at) FROM deliveries d
                      WHERE d.webhook = $1 AND d.finished_at IS NULL AND d.next_attempt_at > now())
                 )
             END - now())::float8
             FROM webhooks w
             WHERE w.name = $1 AND w.switched_off_at IS NULL"
        ))
        .bind(webhook)
        .fetch_optional(&self.pool)
        .await?
        .flatten();
        Ok(seconds.map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or_default()))
    }
}

impl Claim {
    fn is_probe(&self) -> bool {
        self.failures >= BREAKS_AT
    }
}

// By hand: a derived `Debug` would print the mail.
impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claim")
            .field("event_id", &self.event_id)
            .field("attempt", &self.attempt)
            .field("failures", &self.failures)
            .finish_non_exhaustive()
    }
}

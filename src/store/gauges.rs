//! How mail and deliveries stand at this moment, for metrics and the readiness probe.
//!
//! Read from the views of schema `dashboard`, so that a metric and a dashboard mean the same by the same name.
//! Invariant: the cost follows what is open, never what was ever taken in.

use std::collections::BTreeMap;
use std::time::Duration;

use sqlx::FromRow;

use crate::store::{Error, Store};

/// How mail and deliveries stand, by name: of every mailbox and webhook ever configured.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Gauges {
    /// By name of the mailbox.
    pub mailboxes: BTreeMap<String, MailboxGauges>,
    /// By name of the webhook.
    pub webhooks: BTreeMap<String, WebhookGauges>,
}

/// How a mailbox stands.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MailboxGauges {
    /// How long ago the server received the oldest message that was listed and is not stored yet, held ones
    /// among them. `None` if there is none.
    pub oldest_unprocessed: Option<Duration>,
    /// Messages kept in the mailbox on doubt.
    pub held: u64,
    /// Messages stored in no ticket until a person has looked.
    pub suspended: u64,
    /// Messages stored, or copies of stored ones, that are still to be moved or expunged.
    pub unsettled: u64,
    /// How long ago the last completed poll ended, whichever worker made it. `None` before the first.
    pub since_poll: Option<Duration>,
    /// Whether helpdesks were told that it is unhealthy, and not yet that it has recovered.
    pub unhealthy: bool,
    /// How long its server is still to be left alone.
    pub backoff: Duration,
    /// How long ago its tokens were last renewed. `None` if nobody has signed in to it.
    pub token_age: Option<Duration>,
}

/// How a webhook stands.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct WebhookGauges {
    /// Deliveries still to be made.
    pub pending: u64,
    /// How long ago the oldest of them was stored. `None` if there is none.
    pub oldest_pending: Option<Duration>,
    /// Deliveries given up.
    pub dead: u64,
    /// Whether it answered 410 Gone and gets nothing any more.
    pub switched_off: bool,
}

const MAILBOXES: &str =
    "SELECT mailbox, oldest_unprocessed_age_seconds, held, suspended, unsettled, poll_age_seconds,
            unhealthy_since IS NOT NULL AS unhealthy,
            coalesce(extract(epoch FROM backoff_until - now()), 0)::float8 AS backoff_seconds,
            extract(epoch FROM now() - token_renewed_at)::float8 AS token_age_seconds
     FROM dashboard.mail_age";

// Asks for none of the figures of the last 24 hours, which PostgreSQL then does not compute.
const WEBHOOKS: &str =
    "SELECT webhook, pending, oldest_pending_age_seconds, dead, switched_off FROM dashboard.delivery_health";

// A statement outlives the caller that gave up on it, and holds its connection. Probes that come again and again
// would take them all from a database in trouble.
const SOON: &str = "SET LOCAL statement_timeout = '2s'";

impl Store {
    /// Reads how mail and deliveries stand. Fails after 2 seconds on one statement; the wait for a connection is
    /// the caller's to limit.
    pub async fn gauges(&self) -> Result<Gauges, Error> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query(SOON).execute(&mut *transaction).await?;
        let mailboxes: Vec<MailboxRow> = sqlx::query_as(MAILBOXES).fetch_all(&mut *transaction).await?;
        let webhooks: Vec<WebhookRow> = sqlx::query_as(WEBHOOKS).fetch_all(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(Gauges {
            mailboxes: mailboxes.into_iter().map(MailboxRow::into_gauges).collect(),
            webhooks: webhooks.into_iter().map(WebhookRow::into_gauges).collect(),
        })
    }
}

#[derive(FromRow)]
struct MailboxRow {
    mailbox: String,
    oldest_unprocessed_age_seconds: Option<f64>,
    held: i64,
    suspended: i64,
    unsettled: i64,
    poll_age_seconds: Option<f64>,
    unhealthy: bool,
    backoff_seconds: f64,
    token_age_seconds: Option<f64>,
}

#[derive(FromRow)]
struct WebhookRow {
    webhook: String,
    pending: i64,
    oldest_pending_age_seconds: Option<f64>,
    dead: i64,
    switched_off: bool,
}

impl MailboxRow {
    fn into_gauges(self) -> (String, MailboxGauges) {
        let gauges = MailboxGauges {
            oldest_unprocessed: self.oldest_unprocessed_age_seconds.map(age),
            held: self.held.unsigned_abs(),
            suspended: self.suspended.unsigned_abs(),
            unsettled: self.unsettled.unsigned_abs(),
            since_poll: self.poll_age_seconds.map(age),
            unhealthy: self.unhealthy,
            backoff: age(self.backoff_seconds),
            token_age: self.token_age_seconds.map(age),
        };
        (self.mailbox, gauges)
    }
}

impl WebhookRow {
    fn into_gauges(self) -> (String, WebhookGauges) {
        let gauges = WebhookGauges {
            pending: self.pending.unsigned_abs(),
            oldest_pending: self.oldest_pending_age_seconds.map(age),
            dead: self.dead.unsigned_abs(),
            switched_off: self.switched_off,
        };
        (self.webhook, gauges)
    }
}

/// A duration, zero if it is negative: a mail server's clock may be ahead of the database's, and its newest mail is then
/// received in the future.
fn age(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use devstack::{Database, Postgres};
    use sqlx::Connection;

    use super::*;
    use crate::config;

    async fn migrated() -> (Database, Store) {
        let database = Postgres::shared().await.unwrap().database().await.unwrap();
        let config = config::Database {
            url: database.url().into(),
            max_connections: 2,
            connect_timeout: Duration::from_secs(10),
        };
        let store = Store::connect(&config).await.unwrap();
        store.migrate().await.unwrap();
        (database, store)
    }

    #[tokio::test]
    async fn a_mailbox_and_a_webhook_with_nothing_to_do() {
        let (database, store) = migrated().await;
        database
            .rows(
                "INSERT INTO mailboxes (name, host, account, folder, uidvalidity) VALUES ('support', 'h', 'a', 'INBOX', 1);
                 INSERT INTO webhooks (name) VALUES ('helpdesk')",
            )
            .await
            .unwrap();

        let gauges = store.gauges().await.unwrap();

        assert_eq!(gauges.mailboxes, [("support".to_owned(), MailboxGauges::default())].into());
        assert_eq!(gauges.webhooks, [("helpdesk".to_owned(), WebhookGauges::default())].into());
    }

    #[tokio::test]
    async fn a_mailbox_in_trouble() {
        let (database, store) = migrated().await;
        database
            .rows(
                "INSERT INTO mailboxes (name, host, account, folder, backoff_until, unhealthy_since)
                 VALUES ('support', 'h', 'a', 'INBOX', now() + interval '100 s', now());
                 INSERT INTO oauth_tokens SELECT id, '', 1, now(), now() - interval '1 h', now() FROM mailboxes",
            )
            .await
            .unwrap();

        let gauges = store.gauges().await.unwrap();

        let support = &gauges.mailboxes["support"];
        assert!(support.unhealthy);
        assert!((90..=100).contains(&support.backoff.as_secs()), "{:?}", support.backoff);
        assert!(
            support.token_age.is_some_and(|age| age >= Duration::from_hours(1)),
            "{:?}",
            support.token_age
        );
    }

    /// Of this size a scan is not yet slow, but the planner already knows better where it may.
    #[tokio::test]
    async fn what_is_done_is_not_scanned() {
        let (database, _store) = migrated().await;
        database
            .rows(
                "INSERT INTO mailboxes (name, host, account, folder, uidvalidity) VALUES ('support', 'h', 'a', 'INBOX', 1);
                 INSERT INTO webhooks (name) VALUES ('helpdesk');
                 INSERT INTO ledger (mailbox_id, uidvalidity, uid, state, size)
                 SELECT 1, 1, uid, CASE WHEN uid % 500 = 0 THEN 'seen' ELSE 'settled' END, 1000
                 FROM generate_series(1, 20000) uid;
                 INSERT INTO tickets (id, number, mailbox_id, subject, requester_name, requester_address,
                                      message_count, first_message_at, last_message_at)
                 VALUES ('00000000-0000-7000-8000-000000000001', 1, 1, '', '', '', 1, now(), now());
                 INSERT INTO deliveries (event_id, webhook, event_type, ticket_id, sequence, body, status, finished_at)
                 SELECT n, 'helpdesk', 'ticket.created', '00000000-0000-7000-8000-000000000001', 1, repeat('.', 1000),
                        CASE WHEN n % 500 = 0 THEN 'pending' WHEN n % 500 = 1 THEN 'dead' ELSE 'delivered' END,
                        CASE WHEN n % 500 <> 0 THEN now() END
                 FROM generate_series(1, 20000) n;
                 ANALYZE",
            )
            .await
            .unwrap();

        for sql in [MAILBOXES, WEBHOOKS] {
            let plan = database.rows(&format!("EXPLAIN {sql}")).await.unwrap().concat().join("\n");

            assert!(!plan.contains("Seq Scan on ledger"), "{plan}");
            assert!(!plan.contains("Seq Scan on deliveries"), "{plan}");
        }
    }

    #[tokio::test]
    async fn a_database_that_is_stuck_is_not_waited_for() {
        let (database, store) = migrated().await;
        let mut stuck = sqlx::PgConnection::connect(database.url()).await.unwrap();
        sqlx::raw_sql("BEGIN; LOCK TABLE ledger").execute(&mut stuck).await.unwrap();

        let refused = store.gauges().await.unwrap_err();

        // SQLSTATE query_canceled: PostgreSQL gave up itself, so the connection is free again.
        assert!(matches!(refused, Error::TooSlow(ref cause)
            if cause.as_database_error().is_some_and(|error| error.code().as_deref() == Some("57014"))));
    }

    #[test]
    fn mail_received_in_the_future_is_new() {
        assert_eq!(age(-12.5), Duration::ZERO);
        assert_eq!(age(12.5), Duration::from_millis(12_500));
    }
}

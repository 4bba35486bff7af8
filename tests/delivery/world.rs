//! What every test here starts from: an empty, migrated database of its own and a helpdesk.

use std::sync::Arc;
use std::time::Duration;

use devstack::{Database, Helpdesk, Postgres, poll};
use postroom::config;
use postroom::delivery;
use postroom::delivery::{Job, Tally};
use postroom::store::Store;
use postroom::webhook::Sender;
use secrecy::SecretString;
use sqlx::{Connection, Executor, PgConnection};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// The name of the only webhook.
pub(crate) const HELPDESK: &str = "helpdesk";
pub(crate) const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
/// How long anything may take before a test fails.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);
/// A lease that outlives its test.
pub(crate) const LEASE: Duration = Duration::from_secs(600);

/// SQL that makes everything that lies in the future lie in the past.
pub(crate) const PASS_TIME: &str =
    "UPDATE webhooks SET paused_until = '2000-01-01' WHERE paused_until IS NOT NULL;
    UPDATE deliveries SET next_attempt_at = '2000-01-01' WHERE next_attempt_at > now();
    UPDATE deliveries SET lease_until = '2000-01-01' WHERE lease_until IS NOT NULL";

/// A store, and a helpdesk for it to deliver to.
pub(crate) struct World {
    pub(crate) database: Database,
    pub(crate) store: Store,
    pub(crate) helpdesk: Helpdesk,
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::on(Postgres::shared().await.unwrap()).await
    }

    pub(crate) async fn on(postgres: &Postgres) -> Self {
        let database = postgres.database().await.unwrap();
        let store = connect(&database).await;
        store.migrate().await.unwrap();
        store.register_webhooks(&[HELPDESK]).await.unwrap();
        Self { database, store, helpdesk: Helpdesk::start().await.unwrap() }
    }

    /// A second worker on the same database.
    pub(crate) async fn another_store(&self) -> Store {
        connect(&self.database).await
    }

    /// Stores one event of a ticket, which is made if need be.
    pub(crate) async fn store_event(&self, ticket: u32, event_id: &str) {
        let statement = format!(
            "INSERT INTO mailboxes (name, host, account, folder) VALUES ('support', 'mail.example', 'support', 'INBOX')
             ON CONFLICT DO NOTHING;
             INSERT INTO tickets (id, number, mailbox_id, subject, requester_name, requester_address,
                                  message_count, first_message_at, last_message_at)
             SELECT lpad('{ticket}', 32, '0')::uuid, {ticket}, id, 'Printer', 'Ann', 'ann@example.com', 1, now(), now()
             FROM mailboxes ON CONFLICT DO NOTHING;
             INSERT INTO deliveries (event_id, webhook, event_type, ticket_id, sequence, body)
             VALUES ('{event_id}', '{HELPDESK}', 'ticket.created', lpad('{ticket}', 32, '0')::uuid, 1, '{}')",
            body(event_id)
        );
        self.database.rows(&statement).await.unwrap();
    }

    /// Makes everything that lies in the future lie in the past: pauses, next attempts, leases.
    pub(crate) async fn pass_time(&self) {
        self.database.rows(PASS_TIME).await.unwrap();
    }

    /// Moves the clock on: what was to come after `by` is due now.
    pub(crate) async fn advance(&self, by: Duration) {
        let by = format!("interval '{} s'", by.as_secs_f64());
        let earlier = format!(
            "UPDATE webhooks SET paused_until = paused_until - {by};
             UPDATE deliveries SET next_attempt_at = next_attempt_at - {by} WHERE status = 'pending'"
        );
        self.database.rows(&earlier).await.unwrap();
    }

    /// Status, attempt, and status and error of the last answer.
    pub(crate) async fn delivery(&self, event_id: &str) -> String {
        let columns = "concat_ws(' ', status, attempt, last_status, last_error)";
        let statement = format!("SELECT {columns} FROM deliveries WHERE event_id = '{event_id}'");
        self.database.value(&statement).await.unwrap()
    }

    /// Locks something until it is released.
    pub(crate) async fn lock(&self, statement: &'static str) -> Lock<'_> {
        let mut connection = PgConnection::connect(self.database.url()).await.unwrap();
        connection.execute("BEGIN").await.unwrap();
        connection.execute(statement).await.unwrap();
        Lock { connection, database: &self.database }
    }

    pub(crate) async fn count(&self, condition: &str) -> u32 {
        let statement = format!("SELECT count(*) FROM deliveries WHERE {condition}");
        self.database.value(&statement).await.unwrap().parse().unwrap()
    }

    pub(crate) fn sender(&self) -> Arc<Sender> {
        Arc::new(Sender::new(&webhook(&self.helpdesk.url()), 64 * 1024).unwrap())
    }

    /// One cycle to its end, by a worker of its own.
    pub(crate) async fn cycle(&self) -> Arc<Tally> {
        let tally = Arc::default();
        let (sender, limits, stop) = (self.sender(), limits(), CancellationToken::new());
        let job = Job { store: &self.store, sender: &sender, limits: &limits, wake: &Notify::new() };
        tokio::time::timeout(LIMIT, delivery::cycle(&job, &tally, &stop))
            .await
            .expect("a cycle ends")
            .unwrap();
        tally
    }

    /// Ids of the events that the helpdesk was told, in order.
    pub(crate) fn told(&self) -> Vec<String> {
        let id = |request: &devstack::Request| request.header("webhook-id").unwrap().to_owned();
        self.helpdesk.requests().iter().map(id).collect()
    }
}

/// A lock held by a connection of its own.
pub(crate) struct Lock<'a> {
    connection: PgConnection,
    database: &'a Database,
}

impl Lock<'_> {
    /// Waits until so many others wait for a lock.
    pub(crate) async fn is_awaited_by(&self, others: u32) {
        poll::until("others to wait for a lock", LIMIT, async || {
            let waiting = "SELECT count(*) FROM pg_stat_activity
                           WHERE datname = current_database() AND wait_event_type = 'Lock'";
            let waiting: u32 = self.database.value(waiting).await?.parse()?;
            anyhow::ensure!(waiting == others, "{waiting} wait");
            Ok(())
        })
        .await
        .unwrap();
    }

    pub(crate) async fn release(mut self) {
        self.connection.execute("COMMIT").await.unwrap();
    }
}

pub(crate) fn body(event_id: &str) -> String {
    format!(r#"{{"type":"ticket.created","note":"{event_id} in K\u00f6ln \u2192 Köln"}}"#)
}

pub(crate) fn webhook(url: &str) -> config::Webhook {
    config::Webhook {
        name: HELPDESK.into(),
        preset: config::Preset::Standard,
        url: url.parse().unwrap(),
        secrets: vec![SecretString::from(SECRET)],
        ca_pem: None,
        timeout: LIMIT,
    }
}

pub(crate) fn limits() -> config::Delivery {
    config::Delivery { poll_interval: Duration::from_secs(3600), concurrency: 8, max_answer_bytes: 64 * 1024 }
}

async fn connect(database: &Database) -> Store {
    let database = config::Database {
        url: SecretString::from(database.url()),
        max_connections: 10,
        connect_timeout: LIMIT,
    };
    Store::connect(&database).await.unwrap()
}

//! The ops endpoint and the dashboards, against a real database.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a failed setup step is a failed test")]

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use devstack::{Database, Durability, Postgres, poll};
use metrics::{counter, histogram};
use postroom::config;
use postroom::metric;
use postroom::ops;
use postroom::ops::{Heartbeats, Metrics, Names, Ops};
use postroom::store::Store;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

const LIMIT: Duration = Duration::from_secs(30);
const LONG: Duration = Duration::from_hours(1);

/// Stands in every text that comes out of a mail. None of it may show.
const CANARY: &str = "canary";

/// Two tickets in one mailbox, a delivery of each outcome, and a ledger with a message in each state.
const SAMPLE: &str = "
    INSERT INTO mailboxes (name, host, account, folder, uidvalidity, last_poll_at, last_error, last_error_at)
    VALUES ('support', 'mail.example.com', 'canary', 'INBOX', 1, now() - interval '90 s', 'login refused', now()),
           ('retired', 'mail.example.com', 'canary', 'INBOX', 1, now() - interval '1 year', NULL, NULL);

    INSERT INTO tickets (id, number, mailbox_id, subject, requester_name, requester_address, message_count,
                         first_message_at, last_message_at, created_at)
    VALUES ('00000000-0000-7000-8000-000000000001', 7, 1, 'canary printer', 'Canary', 'canary@example.com', 2,
            '2026-03-01 09:10:00+00', '2026-03-01 10:20:00+00', '2026-03-01 09:11:00+00'),
           ('00000000-0000-7000-8000-000000000002', 8, 1, 'canary screen', 'Canary', 'canary@example.com', 1,
            '2026-03-01 09:59:59+00', '2026-03-01 09:59:59+00', '2026-03-01 10:01:00+00');

    INSERT INTO messages (id, mailbox_id, ticket_id, sequence, fingerprint, in_reply_to, reference_ids, from_name,
                          from_address, reply_to, recipients_to, recipients_cc, subject, received_at, text, headers,
                          filing_rule, size, defects, recorded_at)
    SELECT ('00000000-0000-7000-9000-00000000000' || n)::uuid, 1, ticket::uuid, sequence, n::text::bytea, '{}', '{}',
           'Canary', 'canary@example.com', '[]', '[]', '[]', 'canary', received, 'canary', '[]', 'opened', 100, '{}',
           received
    FROM (VALUES (1, '00000000-0000-7000-8000-000000000001', 1, timestamptz '2026-03-01 09:10:00+00'),
                 (2, '00000000-0000-7000-8000-000000000002', 1, '2026-03-01 09:59:59+00'),
                 (3, '00000000-0000-7000-8000-000000000001', 2, '2026-03-01 10:20:00+00')
         ) AS sample (n, ticket, sequence, received);

    INSERT INTO ledger (mailbox_id, uidvalidity, uid, state, size, internal_date, message_id, reason)
    VALUES (1, 1, 1, 'settled', 100, now() - interval '9 h', '00000000-0000-7000-9000-000000000001', NULL),
           (1, 1, 2, 'recorded', 100, now() - interval '8 h', '00000000-0000-7000-9000-000000000002', NULL),
           (1, 1, 3, 'duplicate', 100, now() - interval '7 h', '00000000-0000-7000-9000-000000000002', NULL),
           (1, 1, 4, 'gone', 100, now() - interval '6 h', NULL, 'left the mailbox'),
           -- Too large, so in a ticket by its header alone, and kept.
           (1, 1, 5, 'held', 900000000, now() - interval '5 h', '00000000-0000-7000-9000-000000000003', 'too large'),
           (1, 1, 6, 'held', 100, now() - interval '2 h', NULL, 'the server sent a stub'),
           (1, 1, 7, 'seen', 100, now() - interval '1 h', NULL, NULL);

    -- Of these, a person is to look at one.
    INSERT INTO messages (id, mailbox_id, fingerprint, in_reply_to, reference_ids, from_name, from_address, reply_to,
                          recipients_to, recipients_cc, subject, received_at, text, headers, filing_rule,
                          related_ticket_id, size, defects, verdict)
    SELECT ('00000000-0000-7000-9000-00000000000' || n)::uuid, 1, n::text::bytea, '{}', '{}', 'Canary',
           'canary@example.com', '[]', '[]', '[]', 'canary', '2026-03-01 11:00:00+00', 'canary', '[]', 'none',
           '00000000-0000-7000-8000-000000000001', 100, '{}', 'bulk_list'
    FROM generate_series(4, 6) AS n;
    INSERT INTO unfiled (message_id, mailbox_id, uidvalidity, uid, state, reason, released_at)
    VALUES ('00000000-0000-7000-9000-000000000004', 1, 1, 8, 'suspended', 'sender_rate', NULL),
           ('00000000-0000-7000-9000-000000000005', 1, 1, 9, 'archived', NULL, NULL),
           ('00000000-0000-7000-9000-000000000006', 1, 1, 10, 'released', 'verdict', now());

    INSERT INTO webhooks (name, failures, switched_off_at, last_error)
    VALUES ('helpdesk', 3, NULL, 'HTTP 503'), ('former', 0, now(), 'HTTP 410');

    INSERT INTO deliveries (event_id, webhook, event_type, ticket_id, sequence, body, status, attempt, created_at,
                            finished_at)
    SELECT 'event-' || n, 'helpdesk', 'ticket.created', '00000000-0000-7000-8000-000000000001', 1, 'canary', status,
           attempt, now() - age, now() - age + took
    FROM (VALUES (1, 'delivered', 1, interval '30 h', interval '1 s'),
                 (2, 'delivered', 1, interval '3 h', interval '2 s'),
                 (3, 'delivered', 3, interval '2 h', interval '4 s'),
                 (4, 'dead', 9, interval '2 h', interval '1 h'),
                 (5, 'pending', 1, interval '30 m', NULL),
                 (6, 'pending', 0, interval '10 m', NULL)
         ) AS sample (n, status, attempt, age, took);";

// ---------------------------------------------------------------------------------------------- the endpoint

#[tokio::test]
async fn livez_names_the_loop_that_stalls_and_forgives_it_when_it_goes_on() {
    let heartbeats = Heartbeats::default();
    heartbeats.register("delivery", LONG);
    let intake = heartbeats.register("intake support", Duration::from_millis(300));
    let endpoint = Endpoint::start(migrated().await.1, heartbeats, LONG).await;

    let stalled = endpoint.until("/livez", 503).await;
    // Again and again, as a loop does: on a busy machine the question may come long after one beat.
    let going = poll::until("200 from /livez", LIMIT, async || {
        intake.beat();
        let (status, body) = endpoint.get("/livez").await;
        if status == 200 { Ok(body) } else { Err(std::io::Error::other(body).into()) }
    });
    let going = going.await.unwrap();

    assert!(stalled.starts_with("loop \"intake support\" has made no progress for "), "{stalled}");
    assert!(!stalled.contains("delivery"), "{stalled}");
    assert_eq!(going, "alive\n");
}

#[tokio::test]
async fn readyz_is_ready_when_every_configured_mailbox_was_polled_lately() {
    let (database, store) = migrated().await;
    database.rows(SAMPLE).await.unwrap();

    let endpoint = Endpoint::start(store, Heartbeats::default(), Duration::from_mins(10)).await;

    assert_eq!(endpoint.get("/readyz").await, (200, "ready\n".to_owned()));
}

#[tokio::test]
async fn readyz_names_the_mailbox_that_was_not_polled() {
    let (database, store) = migrated().await;
    database.rows(SAMPLE).await.unwrap();

    let endpoint = Endpoint::start(store, Heartbeats::default(), Duration::from_mins(1)).await;

    let (status, reason) = endpoint.get("/readyz").await;
    assert_eq!(status, 503);
    assert!(reason.starts_with("mailbox \"support\": the last completed poll was 1m 3"), "{reason}");
    assert!(reason.ends_with(" ago; at most 1m is allowed\n"), "{reason}");
}

#[tokio::test]
async fn without_the_database_it_is_alive_and_not_ready_and_still_measured() {
    let mut postgres = Postgres::start(Durability::Processes).await.unwrap();
    let store = connect(&postgres.database().await.unwrap()).await;
    postgres.stop().await.unwrap();

    let endpoint = Endpoint::start(store, Heartbeats::default(), LONG).await;

    assert_eq!(endpoint.get("/livez").await.0, 200);
    let (status, reason) = endpoint.get("/readyz").await;
    assert_eq!(status, 503);
    assert!(reason.starts_with("the database "), "{reason}");
    let series = series(&endpoint.get("/metrics").await.1);
    assert!(series.contains(&"postroom_database_up 0".to_owned()), "{series:#?}");
    assert!(series.iter().any(|line| line.starts_with(metric::MESSAGES)), "{series:#?}");
    assert!(!series.iter().any(|line| line.starts_with(metric::HELD_MESSAGES)), "{series:#?}");
}

#[tokio::test]
async fn every_documented_metric_is_there_from_the_start() {
    let endpoint = Endpoint::start(migrated().await.1, Heartbeats::default(), LONG).await;

    let (status, text) = endpoint.get("/metrics").await;

    assert_eq!(status, 200);
    for (name, kind) in [
        (metric::MESSAGES, "counter"),
        (metric::MESSAGES_SETTLED, "counter"),
        (metric::INTAKE_BYTES, "counter"),
        (metric::INTAKE_BATCH_DURATION, "histogram"),
        (metric::MAILBOX_ERRORS, "counter"),
        (metric::DELIVERY_ATTEMPTS, "counter"),
        (metric::DELIVERY_DURATION, "histogram"),
        (metric::BUILD_INFO, "gauge"),
        (metric::DATABASE_UP, "gauge"),
        (metric::OLDEST_UNPROCESSED_MAIL_AGE, "gauge"),
        (metric::MAILBOX_POLL_AGE, "gauge"),
        (metric::HELD_MESSAGES, "gauge"),
        (metric::UNSETTLED_MESSAGES, "gauge"),
        (metric::DELIVERIES_PENDING, "gauge"),
        (metric::OLDEST_PENDING_DELIVERY_AGE, "gauge"),
        (metric::DELIVERIES_DEAD, "gauge"),
        (metric::WEBHOOK_SWITCHED_OFF, "gauge"),
    ] {
        assert!(text.contains(&format!("# HELP {name} ")), "{name} is not explained in {text}");
        assert!(text.contains(&format!("# TYPE {name} {kind}\n")), "{name} is no {kind} in {text}");
        let series = [format!("\n{name}{{"), format!("\n{name} "), format!("\n{name}_bucket{{")];
        assert!(series.iter().any(|series| text.contains(series)), "{name} has no series in {text}");
    }
}

#[tokio::test]
async fn the_gauges_say_how_mail_and_deliveries_stand() {
    let (database, store) = migrated().await;
    database.rows(SAMPLE).await.unwrap();

    let endpoint = Endpoint::start(store, Heartbeats::default(), LONG).await;

    let text = endpoint.get("/metrics").await.1;
    assert_eq!(value(&text, "postroom_database_up"), "1");
    assert_eq!(value(&text, "postroom_held_messages{mailbox=\"support\"}"), "2");
    assert_eq!(value(&text, "postroom_suspended_messages{mailbox=\"support\"}"), "1");
    assert_eq!(value(&text, "postroom_unsettled_messages{mailbox=\"support\"}"), "2");
    assert_eq!(value(&text, "postroom_deliveries_pending{webhook=\"helpdesk\"}"), "2");
    assert_eq!(value(&text, "postroom_deliveries_dead{webhook=\"helpdesk\"}"), "1");
    assert_eq!(value(&text, "postroom_webhook_switched_off{webhook=\"helpdesk\"}"), "0");
    // The message in a ticket by its header is older, but nobody waits for it.
    assert_age(&text, "postroom_oldest_unprocessed_mail_age_seconds{mailbox=\"support\"}", 7200.0);
    assert_age(&text, "postroom_mailbox_poll_age_seconds{mailbox=\"support\"}", 90.0);
    assert_age(&text, "postroom_oldest_pending_delivery_age_seconds{webhook=\"helpdesk\"}", 1800.0);
}

#[tokio::test]
async fn what_flows_count_shows() {
    let endpoint = Endpoint::start(migrated().await.1, Heartbeats::default(), LONG).await;
    let labels = [(metric::MAILBOX, "support"), (metric::OUTCOME, "recorded")];
    counter!(metric::MESSAGES, &labels).increment(3);
    histogram!(metric::DELIVERY_DURATION, metric::WEBHOOK => "helpdesk").record(0.2);

    let text = endpoint.get("/metrics").await.1;

    assert_eq!(value(&text, "postroom_messages_total{mailbox=\"support\",outcome=\"recorded\"}"), "3");
    assert_eq!(
        value(&text, "postroom_delivery_duration_seconds_bucket{webhook=\"helpdesk\",le=\"0.1\"}"),
        "0"
    );
    assert_eq!(
        value(&text, "postroom_delivery_duration_seconds_bucket{webhook=\"helpdesk\",le=\"0.25\"}"),
        "1"
    );
}

#[tokio::test]
async fn metrics_hold_names_out_of_the_configuration_and_nothing_else() {
    let (database, store) = migrated().await;
    database.rows(SAMPLE).await.unwrap();

    let endpoint = Endpoint::start(store, Heartbeats::default(), LONG).await;

    let text = endpoint.get("/metrics").await.1;
    assert!(!text.to_lowercase().contains(CANARY), "{text}");
    assert!(!text.contains("example.com"), "{text}");
    let allowed: BTreeSet<&str> =
        [["support", "sales"].as_slice(), &["helpdesk"], &[env!("CARGO_PKG_VERSION")]]
            .into_iter()
            .chain([
                metric::MESSAGE_OUTCOMES.as_slice(),
                &metric::TOKEN_OUTCOMES,
                &metric::PLACES,
                &metric::ATTEMPT_OUTCOMES,
                &metric::TOKEN_OUTCOMES,
                &metric::MAILBOX_ERROR_KINDS,
            ])
            .flatten()
            .copied()
            .collect();
    for series in series(&text) {
        for (key, value) in labels(&series) {
            assert!(key == "le" || allowed.contains(value.as_str()), "{series}");
        }
    }
}

#[tokio::test]
async fn an_address_that_is_taken_says_which_key_to_change() {
    let taken = ops::listen(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let address = taken.local_addr().unwrap();

    let error = ops::listen(address).await.unwrap_err();

    assert_eq!(
        error.to_string(),
        format!(
            "the ops endpoint can't listen on {address}: another program listens there; \
             choose another port for `listen` in [ops]"
        )
    );
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_connection_that_says_nothing() {
    let endpoint = Endpoint::start(migrated().await.1, Heartbeats::default(), LONG).await;
    let _silent = TcpStream::connect(endpoint.address).await.unwrap();
    endpoint.get("/livez").await;

    endpoint.stop.cancel();

    tokio::time::timeout(LIMIT, endpoint.serving).await.unwrap().unwrap();
}

// -------------------------------------------------------------------------------------------- the dashboards

#[tokio::test]
async fn the_ticket_view_shows_tickets() {
    let (database, _store) = migrated().await;
    database.rows(SAMPLE).await.unwrap();

    let rows = database
        .rows(
            "SELECT number, mailbox, subject, requester_address, status, message_count,
                    extract(epoch FROM last_message_at - first_message_at)::integer
             FROM dashboard.tickets ORDER BY number",
        )
        .await
        .unwrap();

    assert_eq!(
        rows,
        [
            ["7", "support", "canary printer", "canary@example.com", "open", "2", "4200"],
            ["8", "support", "canary screen", "canary@example.com", "open", "1", "0"],
        ]
    );
}

#[tokio::test]
async fn the_volume_view_counts_by_the_hour_of_utc_whatever_the_session_thinks() {
    let (database, _store) = migrated().await;
    database.rows(SAMPLE).await.unwrap();

    let rows = database
        .rows(
            "SET TimeZone = 'Asia/Kolkata';
             SELECT mailbox, hour AT TIME ZONE 'UTC', messages, tickets_opened
             FROM dashboard.volume_per_hour ORDER BY hour",
        )
        .await
        .unwrap();

    assert_eq!(
        rows,
        [
            ["support", "2026-03-01 09:00:00", "2", "2"],
            ["support", "2026-03-01 10:00:00", "1", "0"],
            // In no ticket, and stored all the same.
            ["support", "2026-03-01 11:00:00", "3", "0"],
        ]
    );
}

#[tokio::test]
async fn the_delivery_view_shows_what_waits_what_died_and_how_fast_it_goes() {
    let (database, _store) = migrated().await;
    database.rows(SAMPLE).await.unwrap();

    let rows = database
        .rows(
            "SELECT webhook, switched_off, pending, round(oldest_pending_age_seconds), dead, delivered_24h, dead_24h,
                    attempts_per_delivery_24h, p50_seconds_24h, p95_seconds_24h, failures_in_a_row, last_error
             FROM dashboard.delivery_health ORDER BY webhook",
        )
        .await
        .unwrap();

    assert_eq!(
        rows,
        [
            ["former", "t", "0", "", "0", "0", "0", "", "", "", "0", "HTTP 410"],
            ["helpdesk", "f", "2", "1800", "1", "2", "1", "2", "3", "3.9", "3", "HTTP 503"],
        ]
    );
}

#[tokio::test]
async fn the_mail_age_view_shows_whether_mail_flows() {
    let (database, _store) = migrated().await;
    database.rows(SAMPLE).await.unwrap();

    let rows = database
        .rows(
            "SELECT mailbox, unprocessed, round(oldest_unprocessed_age_seconds), held, unsettled,
                    round(poll_age_seconds), last_error, suspended
             FROM dashboard.mail_age ORDER BY mailbox DESC",
        )
        .await
        .unwrap();

    assert_eq!(
        rows,
        [
            ["support", "2", "7200", "2", "2", "90", "login refused", "1"],
            ["retired", "0", "", "0", "0", "31536000", "", "0"],
        ]
    );
}

#[tokio::test]
async fn the_suspended_view_shows_what_waits_for_a_person() {
    let (database, _store) = migrated().await;
    database.rows(SAMPLE).await.unwrap();

    let rows = database
        .rows("SELECT right(id::text, 1), mailbox, reason, verdict, subject, related_ticket FROM dashboard.suspended")
        .await
        .unwrap();

    assert_eq!(rows, [["4", "support", "sender_rate", "bulk_list", "canary", "7"]]);
}

#[tokio::test]
async fn every_table_and_view_and_each_of_their_columns_is_explained() {
    let (database, _store) = migrated().await;

    let bare = database
        .rows(
            "WITH ours AS (
                 SELECT oid FROM pg_class
                 WHERE relnamespace IN ('public'::regnamespace, 'dashboard'::regnamespace)
                   AND relkind IN ('r', 'p', 'v', 'm') AND relname <> '_sqlx_migrations')
             SELECT oid::regclass, 'itself' FROM ours WHERE obj_description(oid, 'pg_class') IS NULL
             UNION ALL
             SELECT attrelid::regclass, attname FROM pg_attribute
             WHERE attrelid IN (SELECT oid FROM ours) AND attnum > 0 AND NOT attisdropped
               AND col_description(attrelid, attnum) IS NULL",
        )
        .await
        .unwrap();

    assert_eq!(bare, Vec::<Vec<String>>::new());
}

#[tokio::test]
async fn the_dashboard_role_can_read_the_views_and_nothing_else() {
    let (database, _store) = migrated().await;
    database.rows(SAMPLE).await.unwrap();
    // Roles belong to the cluster, which other tests share.
    let role = format!("reader of {}", database.name());

    // Twice, since it may be run again.
    for _ in 0..2 {
        grant(&database, &role);
    }

    let count = format!("SET ROLE \"{role}\"; SELECT count(*) FROM dashboard.tickets");
    assert_eq!(database.value(&count).await.unwrap(), "2");
    let refused = database.rows(&format!("SET ROLE \"{role}\"; SELECT text FROM public.messages")).await;
    assert!(format!("{:#}", refused.unwrap_err()).contains("permission denied for table messages"));
    let may = |privileges: &str, schemas: &str| {
        format!(
            "SELECT string_agg(c.oid::regclass::text, ' ' ORDER BY c.relname) FROM pg_class c
             WHERE c.relnamespace IN ({schemas}) AND c.relkind IN ('r', 'p', 'v', 'm')
               AND has_table_privilege('{role}', c.oid, '{privileges}')"
        )
    };
    assert_eq!(
        database.value(&may("SELECT", "'public'::regnamespace, 'dashboard'::regnamespace")).await.unwrap(),
        "dashboard.delivery_health dashboard.mail_age dashboard.suspended dashboard.tickets dashboard.volume_per_hour"
    );
    let write = may("INSERT, UPDATE, DELETE, TRUNCATE", "'public'::regnamespace, 'dashboard'::regnamespace");
    assert_eq!(database.value(&write).await.unwrap(), "");
}

#[tokio::test]
async fn the_dashboard_role_can_read_views_that_are_added_later() {
    let (database, _store) = migrated().await;
    let role = format!("later reader of {}", database.name());
    grant(&database, &role);

    database.rows("CREATE VIEW dashboard.later AS SELECT 1 AS one").await.unwrap();

    let one = database.value(&format!("SET ROLE \"{role}\"; SELECT one FROM dashboard.later")).await;
    assert_eq!(one.unwrap(), "1");
}

#[tokio::test]
async fn migrations_run_again_where_both_schemas_were_dropped() {
    let (database, store) = migrated().await;
    database.rows("DROP SCHEMA public, dashboard CASCADE; CREATE SCHEMA public").await.unwrap();

    store.migrate().await.unwrap();

    assert_eq!(database.value("SELECT count(*) FROM dashboard.tickets").await.unwrap(), "0");
}

// ------------------------------------------------------------------------------------------------- the stage

/// A served endpoint that watches mailboxes "support" and "sales" and webhook "helpdesk".
struct Endpoint {
    address: SocketAddr,
    stop: CancellationToken,
    serving: tokio::task::JoinHandle<()>,
}

impl Endpoint {
    async fn start(store: Store, heartbeats: Heartbeats, max_poll_age: Duration) -> Self {
        let config = config::Ops { listen: None, max_poll_age, shutdown_grace: LIMIT };
        let ops = Ops::new(&config, names(), store, heartbeats, metrics());
        let listener = ops::listen(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let serving = tokio::spawn(ops::serve(listener, ops, stop.clone()));
        Self { address, stop, serving }
    }

    async fn get(&self, path: &str) -> (u16, String) {
        let answer = reqwest::get(format!("http://{}{path}", self.address)).await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    async fn until(&self, path: &str, wanted: u16) -> String {
        poll::until(&format!("{wanted} from {path}"), LIMIT, async || {
            let (status, body) = self.get(path).await;
            if status == wanted { Ok(body) } else { Err(std::io::Error::other(body).into()) }
        })
        .await
        .unwrap()
    }
}

fn names() -> Names {
    Names { mailboxes: vec!["support".to_owned(), "sales".to_owned()], webhooks: vec!["helpdesk".to_owned()] }
}

/// A process has one set of metrics, and all tests are one process.
fn metrics() -> Metrics {
    static METRICS: OnceLock<Metrics> = OnceLock::new();
    METRICS.get_or_init(|| Metrics::install(&names()).unwrap()).clone()
}

async fn migrated() -> (Database, Store) {
    let database = Postgres::shared().await.unwrap().database().await.unwrap();
    let store = connect(&database).await;
    store.migrate().await.unwrap();
    (database, store)
}

async fn connect(database: &Database) -> Store {
    let config = config::Database { url: database.url().into(), max_connections: 2, connect_timeout: LIMIT };
    Store::connect(&config).await.unwrap()
}

/// Runs `grants.sql` as an operator does.
fn grant(database: &Database, role: &str) {
    let psql = Command::new("psql")
        .arg(database.url())
        .args(["--quiet", "--no-psqlrc", "--file=deploy/postgres/grants.sql"])
        .arg(format!("--variable=role={role}"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(psql.status.success(), "{}", String::from_utf8_lossy(&psql.stderr));
}

fn series(text: &str) -> Vec<String> {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect()
}

fn labels(series: &str) -> Vec<(String, String)> {
    let Some((_, rest)) = series.split_once('{') else { return Vec::new() };
    let (labels, _) = rest.rsplit_once('}').unwrap();
    let label = |label: &str| {
        let (key, value) = label.split_once('=').unwrap();
        (key.to_owned(), value.trim_matches('"').to_owned())
    };
    labels.split(',').map(label).collect()
}

fn value<'a>(text: &'a str, series: &str) -> &'a str {
    let line = text.lines().find(|line| line.rsplit_once(' ').is_some_and(|(name, _)| name == series));
    let line = line.unwrap_or_else(|| panic!("no {series} in {text}"));
    line.rsplit_once(' ').unwrap().1
}

/// The test itself takes some time after the sample was written.
fn assert_age(text: &str, series: &str, at_least: f64) {
    let age: f64 = value(text, series).parse().unwrap();
    assert!((at_least..at_least + LIMIT.as_secs_f64()).contains(&age), "{series} is {age}");
}

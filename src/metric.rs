//! The metrics by name: what alerts and dashboards may rely on. What each one tells stands in
//! `ops/metrics.rs`, which also publishes them; flows count by these names.
//!
//! Invariant: the value of a label is a name out of the configuration or one of the words listed here, never
//! anything out of a mail, an address, or an answer of a server. That keeps metrics free of what is private,
//! and the number of series bounded.

/// Label: the name of a mailbox in the configuration.
pub const MAILBOX: &str = "mailbox";
/// Label: the name of a webhook in the configuration.
pub const WEBHOOK: &str = "webhook";
/// Label: what became of a message or an attempt.
pub const OUTCOME: &str = "outcome";
/// Label: where a stored message is.
pub const PLACE: &str = "place";
/// Label: the sort of a failure.
pub const KIND: &str = "kind";
/// Label: the version of the worker.
pub const VERSION: &str = "version";

/// Counter of messages taken in, by `mailbox` and `outcome` out of [`MESSAGE_OUTCOMES`].
pub const MESSAGES: &str = "postroom_messages_total";
/// Counter of messages filed, by `mailbox` and `place` out of [`PLACES`].
pub const MESSAGES_FILED: &str = "postroom_messages_filed_total";
/// Counter of messages settled in the mailbox, by `mailbox`.
pub const MESSAGES_SETTLED: &str = "postroom_messages_settled_total";
/// Counter of bytes fetched, by `mailbox`.
pub const INTAKE_BYTES: &str = "postroom_intake_bytes_total";
/// Histogram of the seconds from having a batch to its commit, by `mailbox`.
pub const INTAKE_BATCH_DURATION: &str = "postroom_intake_batch_duration_seconds";
/// Counter of cycles that failed, by `mailbox` and `kind` out of [`MAILBOX_ERROR_KINDS`].
pub const MAILBOX_ERRORS: &str = "postroom_mailbox_errors_total";
/// Counter of requests for access tokens, by `mailbox` and `outcome` out of [`TOKEN_OUTCOMES`]. A token that mailboxes
/// share counts for the one that was first.
pub const TOKEN_REQUESTS: &str = "postroom_token_requests_total";
/// Counter of attempts at deliveries, by `webhook` and `outcome` out of [`ATTEMPT_OUTCOMES`].
pub const DELIVERY_ATTEMPTS: &str = "postroom_delivery_attempts_total";
/// Histogram of the seconds that an attempt took, by `webhook`.
pub const DELIVERY_DURATION: &str = "postroom_delivery_duration_seconds";

/// Gauge: 1 if the database answered, else 0; the gauges below are then absent.
pub const DATABASE_UP: &str = "postroom_database_up";
/// Gauge by `mailbox`, in seconds; 0 if nothing waits.
pub const OLDEST_UNPROCESSED_MAIL_AGE: &str = "postroom_oldest_unprocessed_mail_age_seconds";
/// Gauge by `mailbox`, in seconds.
pub const MAILBOX_POLL_AGE: &str = "postroom_mailbox_poll_age_seconds";
/// Gauge by `mailbox`.
pub const HELD_MESSAGES: &str = "postroom_held_messages";
/// Gauge by `mailbox`.
pub const SUSPENDED_MESSAGES: &str = "postroom_suspended_messages";
/// Gauge by `mailbox`.
pub const UNSETTLED_MESSAGES: &str = "postroom_unsettled_messages";
/// Gauge by `mailbox`: 1 from `mailbox.unhealthy` to `mailbox.recovered`, else 0.
pub const MAILBOX_UNHEALTHY: &str = "postroom_mailbox_unhealthy";
/// Gauge by `mailbox`, in seconds; 0 if its server is not to be left alone.
pub const MAILBOX_BACKOFF: &str = "postroom_mailbox_backoff_seconds";
/// Gauge by `mailbox`, in seconds; only of mailboxes that a person has signed in to.
pub const TOKEN_AGE: &str = "postroom_token_age_seconds";
/// Gauge by `webhook`.
pub const DELIVERIES_PENDING: &str = "postroom_deliveries_pending";
/// Gauge by `webhook`, in seconds; 0 if nothing waits.
pub const OLDEST_PENDING_DELIVERY_AGE: &str = "postroom_oldest_pending_delivery_age_seconds";
/// Gauge by `webhook`.
pub const DELIVERIES_DEAD: &str = "postroom_deliveries_dead";
/// Gauge by `webhook`: 1 or 0.
pub const WEBHOOK_SWITCHED_OFF: &str = "postroom_webhook_switched_off";
/// Gauge, always 1, with the label `version`.
pub const BUILD_INFO: &str = "postroom_build_info";

/// Values of `outcome` in [`MESSAGES`]: the states that a message takes in the ledger when it is taken in.
pub const MESSAGE_OUTCOMES: [&str; 4] = ["recorded", "duplicate", "held", "gone"];
/// Values of `outcome` in [`TOKEN_REQUESTS`].
pub const TOKEN_OUTCOMES: [&str; 2] = ["granted", "failed"];
/// Values of `place` in [`MESSAGES_FILED`]: in a ticket that it opened, or that was there; in none, until a person has
/// looked, or for good.
pub const PLACES: [&str; 4] = ["opened", "joined", "suspended", "archived"];
/// Values of `outcome` in [`DELIVERY_ATTEMPTS`]: a 2xx; a failure, after which it is tried again; the failure after
/// which it was given up.
pub const ATTEMPT_OUTCOMES: [&str; 3] = ["delivered", "failed", "dead"];
/// Values of `kind` in [`MAILBOX_ERRORS`]: no address or no connection; no TLS; no login, or one that opens no mailbox;
/// the access token ran out; the server wants to be left alone for a while; it said no to a folder or a command; a
/// deadline passed; the connection ended; an answer could not be understood; no access token was to be had; the database.
pub const MAILBOX_ERROR_KINDS: [&str; 11] = [
    "connect",
    "tls",
    "login",
    "expired",
    "throttled",
    "refused",
    "timeout",
    "closed",
    "unreadable",
    "token",
    "store",
];

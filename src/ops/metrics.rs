//! The metrics as Prometheus text.
//!
//! What this process counts lives in the recorder for as long as the process. What the database knows is written
//! afresh at each scrape: nothing stale is shown, and while the database is away those metrics are absent.
//!
//! Every series of a configured mailbox or webhook exists from the start, at 0, so that an alert can tell
//! "never happened" from "not measured".

use std::time::Duration;

use metrics::{Label, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use super::Names;
use crate::metric;
use crate::store::{Gauges, MailboxGauges, WebhookGauges};

/// Upper bounds in seconds. From a local database's commit to the longest timeout of an attempt.
const SECONDS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0];

/// What this process counts. Clones share it.
#[derive(Debug, Clone)]
pub struct Metrics {
    recorder: PrometheusHandle,
}

impl Metrics {
    /// Makes the `metrics` macros of this process count. Do it once, and only where [`serve`](super::serve)
    /// runs too: it empties the histograms' buffers, which would grow for ever.
    pub fn install(names: &Names) -> Result<Self, super::Error> {
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_duration_seconds".to_owned()), &SECONDS)
            .and_then(PrometheusBuilder::install_recorder)
            .map_err(super::Error::Metrics)?;
        describe_counts();
        for name in &names.mailboxes {
            start_mailbox(name);
        }
        for name in &names.webhooks {
            start_webhook(name);
        }
        Ok(Self { recorder })
    }

    pub(super) fn render(&self) -> String {
        self.recorder.render()
    }

    /// Moves what the histograms have buffered into their buckets.
    pub(super) fn upkeep(&self) {
        self.recorder.run_upkeep();
    }
}

/// The gauges of these mailboxes and webhooks; without `gauges`, that the database is away. A mailbox that was
/// never polled counts as polled when this process started.
pub(super) fn render_gauges(gauges: Option<&Gauges>, names: &Names, uptime: Duration) -> String {
    // A recorder for this one answer: a gauge of the process's own would outlive the row that it came from.
    let recorder = PrometheusBuilder::new().build_recorder();
    metrics::with_local_recorder(&recorder, || {
        describe_gauges();
        gauge!(metric::BUILD_INFO, metric::VERSION => env!("CARGO_PKG_VERSION")).set(1.0);
        gauge!(metric::DATABASE_UP).set(if gauges.is_some() { 1.0 } else { 0.0 });
        let Some(gauges) = gauges else { return };
        for name in &names.mailboxes {
            set_mailbox(name, &gauges.mailboxes.get(name).cloned().unwrap_or_default(), uptime);
        }
        for name in &names.webhooks {
            set_webhook(name, &gauges.webhooks.get(name).cloned().unwrap_or_default());
        }
    });
    recorder.handle().render()
}

fn set_mailbox(name: &str, now: &MailboxGauges, uptime: Duration) {
    let labels = [Label::new(metric::MAILBOX, name.to_owned())];
    gauge!(metric::OLDEST_UNPROCESSED_MAIL_AGE, labels.iter())
        .set(now.oldest_unprocessed.unwrap_or_default());
    gauge!(metric::MAILBOX_POLL_AGE, labels.iter()).set(now.since_poll.unwrap_or(uptime));
    gauge!(metric::HELD_MESSAGES, labels.iter()).set(count(now.held));
    gauge!(metric::SUSPENDED_MESSAGES, labels.iter()).set(count(now.suspended));
    gauge!(metric::UNSETTLED_MESSAGES, labels.iter()).set(count(now.unsettled));
    gauge!(metric::MAILBOX_UNHEALTHY, labels.iter()).set(if now.unhealthy { 1.0 } else { 0.0 });
    gauge!(metric::MAILBOX_BACKOFF, labels.iter()).set(now.backoff);
    if let Some(age) = now.token_age {
        gauge!(metric::TOKEN_AGE, labels.iter()).set(age);
    }
}

fn set_webhook(name: &str, now: &WebhookGauges) {
    let labels = [Label::new(metric::WEBHOOK, name.to_owned())];
    gauge!(metric::DELIVERIES_PENDING, labels.iter()).set(count(now.pending));
    gauge!(metric::OLDEST_PENDING_DELIVERY_AGE, labels.iter()).set(now.oldest_pending.unwrap_or_default());
    gauge!(metric::DELIVERIES_DEAD, labels.iter()).set(count(now.dead));
    gauge!(metric::WEBHOOK_SWITCHED_OFF, labels.iter()).set(if now.switched_off { 1.0 } else { 0.0 });
}

#[expect(
    clippy::cast_precision_loss,
    reason = "Prometheus knows no other number; 2^53 messages are not in sight"
)]
fn count(number: u64) -> f64 {
    number as f64
}

fn start_mailbox(name: &str) {
    let mailbox = || Label::new(metric::MAILBOX, name.to_owned());
    for outcome in metric::MESSAGE_OUTCOMES {
        counter!(metric::MESSAGES, vec![mailbox(), Label::new(metric::OUTCOME, outcome)]).absolute(0);
    }
    for place in metric::PLACES {
        counter!(metric::MESSAGES_FILED, vec![mailbox(), Label::new(metric::PLACE, place)]).absolute(0);
    }
    for kind in metric::MAILBOX_ERROR_KINDS {
        counter!(metric::MAILBOX_ERRORS, vec![mailbox(), Label::new(metric::KIND, kind)]).absolute(0);
    }
    for outcome in metric::TOKEN_OUTCOMES {
        counter!(metric::TOKEN_REQUESTS, vec![mailbox(), Label::new(metric::OUTCOME, outcome)]).absolute(0);
    }
    counter!(metric::MESSAGES_SETTLED, vec![mailbox()]).absolute(0);
    counter!(metric::INTAKE_BYTES, vec![mailbox()]).absolute(0);
    // Naming a histogram is enough to make it appear.
    let _ = histogram!(metric::INTAKE_BATCH_DURATION, vec![mailbox()]);
}

fn start_webhook(name: &str) {
    let webhook = || Label::new(metric::WEBHOOK, name.to_owned());
    for outcome in metric::ATTEMPT_OUTCOMES {
        counter!(metric::DELIVERY_ATTEMPTS, vec![webhook(), Label::new(metric::OUTCOME, outcome)])
            .absolute(0);
    }
    let _ = histogram!(metric::DELIVERY_DURATION, vec![webhook()]);
}

fn describe_counts() {
    describe_counter!(
        metric::MESSAGES,
        "Messages taken in: stored (recorded), a copy of a stored one (duplicate), kept in the mailbox on doubt \
         (held), or taken away by someone else before they could be stored (gone)."
    );
    describe_counter!(
        metric::MESSAGES_FILED,
        "Messages stored: in a ticket that they opened (opened) or that was there (joined), or in none: until a person \
         has looked (suspended), or for good (archived)."
    );
    describe_counter!(metric::MESSAGES_SETTLED, "Stored messages moved, expunged or left in the mailbox.");
    describe_counter!(metric::INTAKE_BYTES, "Bytes of mail fetched.");
    describe_histogram!(
        metric::INTAKE_BATCH_DURATION,
        "Time to read, file and store a batch of fetched messages, to the commit."
    );
    describe_counter!(metric::MAILBOX_ERRORS, "Intake cycles that failed, by the sort of the failure.");
    describe_counter!(metric::TOKEN_REQUESTS, "Requests for access tokens, by what came of them.");
    describe_counter!(
        metric::DELIVERY_ATTEMPTS,
        "Attempts at deliveries: answered with 2xx (delivered), failed and tried again (failed), failed and given \
         up (dead)."
    );
    describe_histogram!(
        metric::DELIVERY_DURATION,
        "Time that an attempt took, from connecting to the answer."
    );
}

fn describe_gauges() {
    describe_gauge!(metric::BUILD_INFO, "1, with the version of this worker.");
    describe_gauge!(metric::DATABASE_UP, "1 if the database answered this endpoint in time, else 0.");
    describe_gauge!(
        metric::OLDEST_UNPROCESSED_MAIL_AGE,
        "Time since the server received the oldest message that is listed and not stored yet; 0 if there is none."
    );
    describe_gauge!(
        metric::MAILBOX_POLL_AGE,
        "Time since the last completed poll, by any worker; since the start of this one if there was none."
    );
    describe_gauge!(metric::HELD_MESSAGES, "Messages kept in the mailbox on doubt.");
    describe_gauge!(metric::SUSPENDED_MESSAGES, "Messages stored in no ticket until a person has looked.");
    describe_gauge!(metric::UNSETTLED_MESSAGES, "Stored messages that are still to be moved or expunged.");
    describe_gauge!(
        metric::MAILBOX_UNHEALTHY,
        "1 while the mailbox is unhealthy: a person has to act, or it has failed for longer than max_poll_age."
    );
    describe_gauge!(
        metric::MAILBOX_BACKOFF,
        "Time for which the mailbox's server is still to be left alone."
    );
    describe_gauge!(
        metric::TOKEN_AGE,
        "Time since the tokens of a mailbox that a person has signed in to were renewed. Microsoft's end after 90 days."
    );
    describe_gauge!(metric::DELIVERIES_PENDING, "Deliveries still to be made.");
    describe_gauge!(
        metric::OLDEST_PENDING_DELIVERY_AGE,
        "Time since the oldest pending delivery was stored; 0 if there is none."
    );
    describe_gauge!(metric::DELIVERIES_DEAD, "Deliveries given up.");
    describe_gauge!(
        metric::WEBHOOK_SWITCHED_OFF,
        "1 if the webhook answered 410 Gone and gets nothing, else 0."
    );
}

//! Events about a mailbox as a whole.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;

use super::Event;

/// Why a mailbox is unhealthy. Nothing in it is private.
#[derive(Debug, Clone, Copy)]
pub struct Unhealthy<'a> {
    /// When that was found.
    pub at: DateTime<Utc>,
    /// Name of the mailbox.
    pub mailbox: &'a str,
    /// The sort of the failure, one of [`MAILBOX_ERROR_KINDS`](crate::metric::MAILBOX_ERROR_KINDS).
    pub kind: &'static str,
    /// The failure in words.
    pub reason: &'a str,
    /// What a person can do about it.
    pub cure: &'a str,
}

impl Event {
    /// Renders `mailbox.unhealthy`: no mail is taken in until somebody acts, or the server comes back.
    pub fn unhealthy(unhealthy: &Unhealthy<'_>) -> Self {
        let &Unhealthy { at, mailbox, kind, reason, cure } = unhealthy;
        Self::new("mailbox.unhealthy", at, |event_id| UnhealthyData {
            event_id: event_id.to_owned(),
            mailbox,
            kind,
            reason,
            cure,
        })
    }

    /// Renders `mailbox.recovered`: a poll has completed again.
    pub fn recovered(at: DateTime<Utc>, mailbox: &str, unhealthy_since: DateTime<Utc>) -> Self {
        Self::new("mailbox.recovered", at, |event_id| RecoveredData {
            event_id: event_id.to_owned(),
            mailbox,
            unhealthy_since: unhealthy_since.to_rfc3339_opts(SecondsFormat::Millis, true),
        })
    }
}

#[derive(Serialize)]
struct UnhealthyData<'a> {
    event_id: String,
    mailbox: &'a str,
    kind: &'static str,
    reason: &'a str,
    cure: &'a str,
}

#[derive(Serialize)]
struct RecoveredData<'a> {
    event_id: String,
    mailbox: &'a str,
    unhealthy_since: String,
}

//! Postroom empties a support mailbox into a ticket system and never loses a mail.
//!
//! ```text
//!           ┌──────────────────────────── intake: one cycle ────────────────────────────┐
//!  mailbox ─► list ─► fetch (batch) ─► read ─► file ─► record (one commit) ─► settle ───► mailbox
//!           └───────────────────────────────────────────│────────────────────────────────┘
//!                                                       │ ticket, message, source, ledger, deliveries
//!           ┌────────── delivery: one cycle ──────────┐ ▼
//!  helpdesk ◄── send ◄─────────────────── claim ◄────── PostgreSQL ──► dashboards, status
//!           └──── finish ──────────────────────────────►│
//! ```
//!
//! Modules are listed in reading order, by layer. A layer uses those above it in this file and nothing
//! below; ports do not see each other; the two flows meet in a table, not in a channel. `tests/tidy.rs`
//! holds these rules.

// Vocabulary: pure values, no I/O.
pub mod config;
pub mod event;
pub mod mail;
pub mod message;
pub mod metric;
pub mod retry;
pub mod rule;
pub mod seal;
pub mod step;
pub mod text;
pub mod ticket;

// Ports: one outside system each, sole owner of its client crate.
pub mod archive;
pub mod mailbox;
pub mod microsoft;
pub mod store;
pub mod token_command;
pub mod webhook;

// Flows: functions over ports.
pub mod credentials;
pub mod delivery;
pub mod intake;

// Process.
pub mod app;
pub mod cli;
pub mod ops;
pub mod telemetry;

/// Private items that the targets in `fuzz/` reach.
#[cfg(fuzzing)]
pub mod fuzzing {
    use std::time::SystemTime;

    pub use crate::mailbox::fuzzing::{open, utf7_decode, utf7_encode};

    use crate::webhook::Outcome;

    /// Reads a webhook's answer.
    pub fn read_answer(status: u16, retry_after: Option<&str>, now: SystemTime) -> Outcome {
        crate::webhook::read_answer(status, retry_after, now)
    }
}

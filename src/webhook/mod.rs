//! Webhooks: how a request to a helpdesk is signed and sent, and what its answer means.
//!
//! Requests follow Standard Webhooks 1.0 (<https://www.standardwebhooks.com>). Sending never fails in the sense
//! of an error: whatever happens on the way is an [`Outcome`], and [`schedule`] says what follows from it.
//!
//! Invariant: nothing an answer holds but its status and Retry-After leaves this module, for a helpdesk may
//! echo the mail; and neither URL nor secret is ever printed.

mod answer;
pub mod schedule;
mod send;
mod sign;

/// Reads an answer, for fuzz targets.
#[cfg(fuzzing)]
pub(crate) fn read_answer(status: u16, retry_after: Option<&str>, now: std::time::SystemTime) -> Outcome {
    Outcome::of_answer(status, retry_after, now)
}

pub use answer::{Cause, Outcome};
pub use send::{Error, Request, Sender};

//! Delivery against a real PostgreSQL and a helpdesk that misbehaves: the outbox, the HTTP client, and the flow
//! that joins them.
//!
//! Pauses and leases are never waited for: a test moves what lies in the future into the past
//! (`World::pass_time`).

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed setup step is a failed test"
)]

mod claims;
mod flow;
mod health;
mod requests;
mod retry;
mod trouble;
mod wakes;
mod walk;
mod world;

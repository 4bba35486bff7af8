//! Whole flows: intake cycle by cycle, and the built binary as an operator runs it, on real servers.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a failed setup step is a failed test"
)]

mod attachments;
mod cuts;
mod database;
mod deliveries;
mod doubt;
mod filing;
mod intake;
mod leases;
mod microsoft;
mod oddities;
mod poison;
mod process;
mod support;
mod tools;
mod walk;
mod workers;

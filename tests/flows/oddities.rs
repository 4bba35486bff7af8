//! Intake against a server with every oddity that is known of Exchange and its kin, and the promise in the end.

mod breaks;
mod exhaustion;
mod fetching;
mod listing;
mod outlook;
mod settling;
mod uidvalidity;

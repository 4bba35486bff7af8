//! Microsoft's identity platform (OAuth 2.0, v2.0 endpoints): how a person signs in by device code, how
//! access tokens are got and got again, and what its refusals mean.
//!
//! Nothing is kept here: a [`Client`] asks, and a [`Grant`] is the caller's to store. Each question has a
//! deadline, and an answer a limit in size.
//!
//! Invariant: tokens, codes, secrets and what the platform says in its own words are in no `Debug`, no
//! `Display` and no log.

mod answer;
mod assertion;
mod claims;
mod client;
mod device;
mod error;
mod fault;
mod grant;

#[cfg(test)]
mod tests;

pub use claims::Claims;
pub use client::Client;
pub use device::{DeviceCode, Poll};
pub use error::{Cause, Error};
pub use fault::Fault;
pub use grant::Grant;

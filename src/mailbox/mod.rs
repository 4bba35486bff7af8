//! The mailbox: IMAP over TLS (RFC 3501, RFC 9051), spoken by a strict driver.
//!
//! [`connect()`] gives a [`Session`]; [`Session::select`] gives a [`Selected`] folder, and only that can list, fetch and
//! settle; [`Session::wait`] waits for what comes next. Every wait has a deadline. After an error that is no
//! [refusal](Error::is_refusal) the session is out of step with the server, or gone: drop it and connect again, when and
//! how its [remedy](Error::remedy) says. Dropping a session, or a future of it, at any moment leaves nothing behind but
//! what the server has already done.
//!
//! Invariant: only UIDs that the caller names are moved, flagged or expunged. No sequence number, no bare
//! EXPUNGE and no CLOSE is ever sent.
//! Invariant: an answer counts as given only when its tagged OK has been read. NO, BAD, BYE and the end of the
//! connection are errors, never an empty success.
//! Invariant: a server that throttles, or ends the session over its token or its account, refuses no message.
//! Invariant: a UID is named only under the UIDVALIDITY that it was listed under; another ends the session.
//! Invariant: no more is taken in than was asked for, whatever is announced, and one message that cannot be listed
//! hides no other.
//! Invariant: what the server says is kept only as [`ServerText`], without addresses; what it sends of a mail
//! is never kept in an error or a log.

mod capability;
mod connect;
mod credential;
mod cure;
mod driver;
mod error;
mod fetch;
mod folder;
mod idle;
mod line;
mod list;
mod login;
mod meter;
mod plan;
mod remedy;
mod response;
mod sasl;
mod select;
mod server_text;
mod session;
mod settle;
mod sieve;
mod string;
mod trust;
mod utf7;

#[cfg(fuzzing)]
pub(crate) mod fuzzing;
#[cfg(test)]
mod script;

pub use capability::Capabilities;
pub use connect::connect;
pub use credential::Credential;
pub use driver::SLOWEST_BYTES_PER_SECOND;
pub use error::{Answer, Error, TlsFault};
pub use list::Listing;
pub use plan::{Plan, Removal};
pub use remedy::Remedy;
pub use select::Selected;
pub use server_text::ServerText;
pub use session::Session;

//! Private servers for tests and the demo: a PostgreSQL cluster, a Dovecot, a helpdesk, and the worker itself.
//!
//! ```text
//!            Dovecot ◄──── IMAPS ────┐
//!   Account::deliver                 │
//!                                  Worker (the built binary) ──► Helpdesk (records, misbehaves)
//!   Database::value                  │
//!         PostgreSQL ◄── socket ─────┘
//! ```
//!
//! The servers are the distribution's own programs, so what the tests see is what an operator gets. They need no
//! container, no fixed port and no root; as root they run as `nobody`.
//!
//! What no real server does on demand comes from servers of our own in Dovecot's place: `exchange` plays Exchange, and
//! `identity` Microsoft's identity platform, whose tokens Exchange and Dovecot take.
//!
//! Between the worker and a server may stand a proxy that breaks connections where a test says (`proxy`).
//!
//! - **Invariant**: a server dies with the process that started it, also when that is killed with SIGKILL, and
//!   takes its folder along (`guard`).
//! - **Invariant**: nothing waits without a limit, and nothing sleeps: [`poll::until`] is the only loop on a clock,
//!   but for an answer's trickle ([`Answer::trickle`]), which ends with its client, and a session's wait for its
//!   token to expire, which ends with the session.

mod folder;
mod guard;
mod http;
mod log;
mod owner;
mod port;
mod process;

mod authority;
mod chance;
mod dovecot;
mod helpdesk;
mod postgres;
mod proxy;
mod worker;

pub mod exchange;
pub mod identity;
pub mod poll;
mod samples;

pub use authority::Authority;
pub use chance::Chance;
pub use dovecot::{Account, Dovecot, Options, StoredMail};
pub use exchange::Exchange;
pub use folder::Folder;
pub use helpdesk::Helpdesk;
pub use http::{Answer, Request};
pub use identity::{Fault as IdentityFault, Identity, Tokens};
pub use port::free_port;
pub use postgres::{Database, Durability, FullDisk, Postgres};
pub use proxy::{CommitFault, Direction, Fault, ImapProxy, TcpProxy};
pub use rustix::process::Signal;
pub use samples::{Sample, samples};
pub use worker::Worker;

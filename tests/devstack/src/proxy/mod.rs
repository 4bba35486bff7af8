//! Proxies between the worker and its servers that break connections when and where a test says.
//!
//! ```text
//!  worker ──► Gate (a port of loopback) ──► relay ──► PostgreSQL's socket, or any TCP server   TcpProxy
//!                                   │
//!                                   └─ TLS ─► relay ─ TLS ─► Dovecot                           ImapProxy
//!                                              │
//!                                            Valve (passes bytes, counts them, holds them, cuts)
//! ```
//!
//! What arrives on the far side is what was let through, to the byte; so a test can put the end of a connection
//! between a deed of the server and the client's hearing of it.

mod commit;
mod gate;
mod imap;
mod tcp;
mod valve;

pub use commit::CommitFault;
pub use imap::{Fault, ImapProxy};
pub use tcp::TcpProxy;
pub use valve::Direction;

//! Trouble at the one moment when a client of PostgreSQL can't know what it has done: the COMMIT.

use std::sync::{Mutex, PoisonError};

/// COMMIT as a message of the simple query protocol, which is how sqlx sends it.
const QUERY: &[u8] = b"Q\x00\x00\x00\x0bCOMMIT\x00";

/// PostgreSQL's answer: CommandComplete.
const COMPLETE: &[u8] = b"C\x00\x00\x00\x0bCOMMIT\x00";

/// What happens at a COMMIT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitFault {
    /// It never reaches the server: the connection ends before. Nothing is committed.
    Lost,
    /// It is committed, and the connection ends before the client hears of it.
    Unanswered,
    /// It is held, in an open transaction, until [`pass`](super::TcpProxy::pass).
    Stalled,
}

/// A fault that waits for its COMMIT, counted over all connections.
#[derive(Debug, Default)]
pub(super) struct Ambush(Mutex<Option<(usize, CommitFault)>>);

impl Ambush {
    /// Waits for the `nth` COMMIT from now, counted from 1.
    pub(super) fn set(&self, nth: usize, fault: CommitFault) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((nth, fault));
    }

    /// The fault to be done here and now, if a client's bytes hold the awaited COMMIT, and where that begins.
    pub(super) fn strike(&self, bytes: &[u8]) -> Option<(usize, CommitFault)> {
        let at = find(bytes, QUERY)?;
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (nth, fault) = waiting.as_mut()?;
        *nth = nth.saturating_sub(1);
        if *nth > 0 {
            return None;
        }
        let fault = *fault;
        *waiting = None;
        Some((at, fault))
    }
}

/// Whether a server's bytes say that a COMMIT is done.
pub(super) fn is_done(bytes: &[u8]) -> bool {
    find(bytes, COMPLETE).is_some()
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

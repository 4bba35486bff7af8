//! Trouble at the one moment when a client of PostgreSQL can't know what it has done: the COMMIT.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// COMMIT as a message of the simple query protocol, which is how sqlx sends it.
const QUERY: &[u8] = b"Q\x00\x00\x00\x0bCOMMIT\x00";

/// PostgreSQL's answer: `CommandComplete`.
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
    /// It is committed, and the client hears nothing more until [`pass`](super::TcpProxy::pass).
    AnswerStalled,
}

/// A fault that waits for its COMMIT.
#[derive(Debug, Default)]
pub(super) struct Ambush(Mutex<Option<Wait>>);

#[derive(Debug)]
struct Wait {
    fault: CommitFault,
    /// Which one, counted from 1 over all connections.
    nth: usize,
    /// What the transaction must have said.
    statement: &'static str,
}

/// What one connection has said since its last COMMIT, as far as it matters.
#[derive(Debug, Default)]
pub(super) struct Transaction {
    meant: bool,
}

impl Ambush {
    pub(super) fn set(&self, nth: usize, statement: &'static str, fault: CommitFault) {
        *self.lock() = Some(Wait { fault, nth, statement });
    }

    pub(super) fn lift(&self) {
        *self.lock() = None;
    }

    /// The fault to be done here and now, if a client's bytes hold the awaited COMMIT, and where that begins.
    pub(super) fn strike(&self, bytes: &[u8], transaction: &mut Transaction) -> Option<(usize, CommitFault)> {
        let mut waiting = self.lock();
        let wait = waiting.as_mut()?;
        transaction.meant |= wait.statement.is_empty() || find(bytes, wait.statement.as_bytes()).is_some();
        let at = find(bytes, QUERY)?;
        if !std::mem::take(&mut transaction.meant) {
            return None;
        }
        wait.nth = wait.nth.saturating_sub(1);
        if wait.nth > 0 {
            return None;
        }
        waiting.take().map(|wait| (at, wait.fault))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Wait>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a server's bytes say that a COMMIT is done.
pub(super) fn is_done(bytes: &[u8]) -> bool {
    find(bytes, COMPLETE).is_some()
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

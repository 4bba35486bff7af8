//! Named moments between two effects, at which tests take the process down.
//!
//! What a crash leaves behind depends on where it strikes, and a signal from outside strikes somewhere. A test names
//! the step in the environment instead: `POSTROOM_TEST_DIE_AT=after_commit:3` aborts the process when it gets to that
//! step for the third time, and `POSTROOM_TEST_DIE_READING=text` when it is about to read a mail that contains the
//! text; `POSTROOM_TEST_PANIC_READING=text` panics there instead. Only builds with debug assertions know these variables; a released program has nothing of this.

/// A moment between two effects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A batch is marked as in hand and not yet fetched.
    BeforeFetch,
    /// A batch is fetched and not yet read.
    AfterFetch,
    /// A batch is written in a transaction that is not yet committed.
    BeforeCommit,
    /// A batch is committed, and nobody has been told.
    AfterCommit,
    /// Stored messages are about to be settled.
    BeforeSettle,
    /// They are settled in the mailbox, and the ledger does not say so yet.
    AfterSettle,
    /// A delivery is claimed and not yet sent.
    BeforeSend,
    /// A delivery is answered, and the answer not yet written down.
    AfterAnswer,
    /// A renewed token is granted and not yet stored: the one before may be used up.
    AfterGrant,
}

impl Step {
    /// Those that a mail passes on its way.
    pub const OF_MAIL: [Self; 8] = [
        Self::BeforeFetch,
        Self::AfterFetch,
        Self::BeforeCommit,
        Self::AfterCommit,
        Self::BeforeSettle,
        Self::AfterSettle,
        Self::BeforeSend,
        Self::AfterAnswer,
    ];

    /// Its name in the environment.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BeforeFetch => "before_fetch",
            Self::AfterFetch => "after_fetch",
            Self::BeforeCommit => "before_commit",
            Self::AfterCommit => "after_commit",
            Self::BeforeSettle => "before_settle",
            Self::AfterSettle => "after_settle",
            Self::BeforeSend => "before_send",
            Self::AfterAnswer => "after_answer",
            Self::AfterGrant => "after_grant",
        }
    }
}

#[cfg(debug_assertions)]
mod armed {
    use std::env;
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::Step;

    /// The step's name, and how many more times it is passed, this one included.
    static DIE_AT: LazyLock<Option<(String, AtomicU32)>> = LazyLock::new(|| {
        let wanted = env::var("POSTROOM_TEST_DIE_AT").ok()?;
        let (step, times) = wanted.split_once(':')?;
        Some((step.to_owned(), AtomicU32::new(times.parse().ok()?)))
    });

    static DIE_READING: LazyLock<Option<String>> =
        LazyLock::new(|| env::var("POSTROOM_TEST_DIE_READING").ok());

    static PANIC_READING: LazyLock<Option<String>> =
        LazyLock::new(|| env::var("POSTROOM_TEST_PANIC_READING").ok());

    /// Says that the process has got here.
    pub(crate) fn reached(step: Step) {
        if let Some((name, left)) = &*DIE_AT
            && name == step.as_str()
            && left.fetch_sub(1, Ordering::Relaxed) == 1
        {
            std::process::abort();
        }
    }

    /// Says that the process is about to read this mail.
    pub(crate) fn reading(source: &[u8]) {
        let is_meant = |text: &Option<String>| {
            text.as_ref().is_some_and(|text| memchr::memmem::find(source, text.as_bytes()).is_some())
        };
        if is_meant(&DIE_READING) {
            std::process::abort();
        }
        if is_meant(&PANIC_READING) {
            std::panic::resume_unwind(Box::new("a test wants it"));
        }
    }
}

#[cfg(not(debug_assertions))]
mod armed {
    use super::Step;

    pub(crate) const fn reached(_step: Step) {}

    pub(crate) const fn reading(_source: &[u8]) {}
}

pub(crate) use armed::{reached, reading};

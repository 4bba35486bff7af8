//! What the server says, before it becomes bytes.

use tokio::sync::watch;

use super::sasl::Mechanism;

/// An answer: untagged responses, and what follows them.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) untagged: Vec<u8>,
    pub(super) last: Last,
    /// What is said after that, unasked.
    pub(super) afterwards: Vec<u8>,
    /// Whether the server then closes the connection.
    pub(super) ends: bool,
}

/// What follows the untagged responses.
#[derive(Debug)]
pub(super) enum Last {
    /// The tagged response, without its tag.
    Tagged(String),
    /// `+` and this text: the client is to send a line that is no command.
    Continue(String, Awaited),
    /// Nothing: the server speaks without having been asked.
    Nothing,
}

/// What the client's next line is taken for.
#[derive(Debug)]
pub(super) enum Awaited {
    /// The end of an IDLE, during which the mailbox has news.
    Done(watch::Receiver<()>),
    /// What AUTHENTICATE lacks.
    Credentials(Mechanism),
    /// The answer to an error challenge, which must be this.
    Apology(&'static str),
}

impl Answer {
    /// One without untagged responses.
    pub(super) fn tagged(tagged: impl Into<String>) -> Self {
        Self::of(Last::Tagged(tagged.into()))
    }

    /// `OK NAME completed.`
    pub(super) fn completed(name: &str) -> Self {
        Self::tagged(format!("OK {name} completed."))
    }

    /// A continuation request.
    pub(super) fn carry_on(text: impl Into<String>, awaited: Awaited) -> Self {
        Self::of(Last::Continue(text.into(), awaited))
    }

    /// Nothing, to which lines can be added.
    pub(super) fn nothing() -> Self {
        Self::of(Last::Nothing)
    }

    /// … with this line before what follows.
    pub(super) fn line(mut self, line: &str) -> Self {
        self.untagged.extend(format!("{line}\r\n").bytes());
        self
    }

    /// … with this line after what follows.
    pub(super) fn afterwards(mut self, line: &str) -> Self {
        self.afterwards.extend(format!("{line}\r\n").bytes());
        self
    }

    /// … and then the connection is closed.
    pub(super) fn ending(self) -> Self {
        Self { ends: true, ..self }
    }

    fn of(last: Last) -> Self {
        Self { untagged: Vec::new(), last, afterwards: Vec::new(), ends: false }
    }
}

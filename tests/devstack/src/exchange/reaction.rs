//! What the server does about a command instead of just obeying it.

/// A reaction to one command.
#[derive(Debug, Clone)]
pub enum Reaction {
    /// Does nothing and gives this tagged answer, such as `NO Server Unavailable. 15`.
    Answer(String),
    /// Does nothing, gives this tagged answer and then closes the connection with a BYE.
    AnswerAndClose(String),
    /// Does nothing and closes the connection, after a BYE with this text if it is not empty.
    Close(&'static str),
    /// Does nothing and says nothing until the client hangs up.
    Silence,
    /// Obeys, and closes the connection after this many bytes of its answer.
    Cut(usize),
    /// Obeys, and gives this tagged answer in place of its own.
    Deny(String),
    /// Obeys, and says these lines before the tagged answer …
    Chatter(Vec<String>),
    /// … or after it, when nobody has asked anything.
    Push(Vec<String>),
}

impl Reaction {
    /// Does nothing and answers `NO`.
    pub fn no(text: &str) -> Self {
        Self::Answer(format!("NO {text}"))
    }

    /// Does nothing and answers `BAD`.
    pub fn bad(text: &str) -> Self {
        Self::Answer(format!("BAD {text}"))
    }

    /// Does nothing and answers `OK`.
    pub fn pretend() -> Self {
        Self::Answer("OK done.".to_owned())
    }

    /// Exchange's way of saying that it has had enough for `milliseconds`.
    pub fn throttle(milliseconds: u32) -> Self {
        Self::AnswerAndClose(format!(
            "NO Request is throttled. Suggested Backoff Time: {milliseconds} milliseconds"
        ))
    }

    /// The same, as a BAD.
    pub fn throttle_badly(milliseconds: u32) -> Self {
        Self::AnswerAndClose(format!(
            "BAD Request is throttled. Suggested Backoff Time: {milliseconds} milliseconds"
        ))
    }

    /// Obeys, and says these lines before the tagged answer.
    pub fn chatter(lines: &[&str]) -> Self {
        Self::Chatter(lines.iter().map(ToString::to_string).collect())
    }

    /// Obeys, and says these lines after the tagged answer.
    pub fn push(lines: &[&str]) -> Self {
        Self::Push(lines.iter().map(ToString::to_string).collect())
    }
}

//! What a server answers, or does instead.

use serde_json::Value;

use super::manner::Manner;

/// An answer to one request.
#[derive(Debug, Clone)]
pub struct Answer {
    pub(super) manner: Manner,
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    pub(super) held: bool,
}

impl Answer {
    /// A status and an empty JSON object.
    pub fn status(status: u16) -> Self {
        Self { manner: Manner::Whole, status, headers: Vec::new(), body: b"{}".to_vec(), held: false }
    }

    /// Sends the client elsewhere.
    pub fn redirect(url: &str) -> Self {
        Self::status(302).header("Location", url)
    }

    /// A success whose body goes on for as long as the client reads.
    pub fn endless() -> Self {
        Self { manner: Manner::Endless, ..Self::status(200) }
    }

    /// A success whose header line goes on for as long as the client reads.
    pub fn endless_head() -> Self {
        Self { manner: Manner::EndlessHead, ..Self::status(200) }
    }

    /// A success that is announced, by a 103 and another and another, and never comes.
    pub fn interim() -> Self {
        Self { manner: Manner::Interim, ..Self::status(200) }
    }

    /// A success that comes byte by byte and takes seconds.
    pub fn trickle() -> Self {
        Self::status(200).body([b'x'; 1000]).dripping()
    }

    /// A success whose body, and nothing else of it, comes byte by byte and takes seconds.
    pub fn trickling_body() -> Self {
        Self { manner: Manner::TrickleBody, ..Self::status(200).body([b'x'; 1000]) }
    }

    /// These bytes, whatever they are, and the end of the connection.
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self { manner: Manner::Raw, ..Self::status(0).body(bytes) }
    }

    /// Resets the connection (RST) in the middle of the head. Over TLS it is merely closed.
    pub fn reset() -> Self {
        Self { manner: Manner::Reset, ..Self::status(200) }
    }

    /// Closes the connection once the request has been read and recorded.
    pub fn none() -> Self {
        Self { manner: Manner::None, ..Self::status(0) }
    }

    /// … with this header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// … with this body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// … with this JSON object for a body. What is null is left out.
    #[must_use]
    pub(crate) fn json(self, mut body: Value) -> Self {
        if let Value::Object(fields) = &mut body {
            fields.retain(|_, value| !value.is_null());
        }
        self.header("Content-Type", "application/json; charset=utf-8").body(body.to_string())
    }

    /// … with a `Retry-After` of this value: seconds or an HTTP date.
    #[must_use]
    pub fn retry_after(self, value: &str) -> Self {
        self.header("Retry-After", value)
    }

    /// … but byte by byte.
    #[must_use]
    pub(crate) fn dripping(self) -> Self {
        Self { manner: Manner::Trickle, ..self }
    }

    /// … but only after the next [`Helpdesk::release`](crate::Helpdesk::release). Until then the client waits.
    #[must_use]
    pub fn held(mut self) -> Self {
        self.held = true;
        self
    }

    /// Its status; 0 if none is ever sent.
    pub(crate) fn code(&self) -> u16 {
        self.status
    }
}

impl From<u16> for Answer {
    fn from(status: u16) -> Self {
        Self::status(status)
    }
}

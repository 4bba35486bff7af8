//! What was asked of the platform. No code, token or secret is in it.

use std::time::Instant;

/// A request to the platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What was asked for.
    pub kind: Kind,
    /// The tenant in its path.
    pub tenant: String,
    /// The application that asked.
    pub client_id: String,
    /// The scope that was named, if one was.
    pub scope: Option<String>,
    /// How often the sign-in had been refreshed when the refresh token given was made: 0 for its first one. `None`
    /// where no refresh token that we made was given.
    pub generation: Option<u32>,
    /// When it came.
    pub at: Instant,
    /// The status of the answer that was made, whether or not it reached anybody. 0 for none.
    pub status: u16,
}

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A device code.
    DeviceCode,
    /// The tokens of a device code, in a poll.
    Poll,
    /// New tokens for a refresh token.
    Refresh,
    /// A token for the application itself, which it proves by its secret, …
    Secret,
    /// … or by an assertion that its certificate's key has signed.
    Assertion,
    /// Something else.
    Other,
}

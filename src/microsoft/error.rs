//! What can go wrong with the identity platform.
//!
//! `Display` says what failed, [`Error::cure`] what a person can do about it. Both are fixed words, an AADSTS
//! number and a host name: what the platform says in its own words may name the account, and is not kept.

use std::fmt;
use std::time::Duration;

use super::fault::Fault;

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The client can't be made: TLS does not work on this system, or not with the private authority.
    #[error("preparing HTTPS failed")]
    Client(#[source] reqwest::Error),
    /// The application's key can't be read, or can't sign.
    #[error("signing with the application's key failed")]
    Key(#[from] openssl::error::ErrorStack),
    /// There was no answer. The platform may have acted on the request.
    #[error("{host} gave no answer: {cause}")]
    Unreachable {
        /// Whom we asked.
        host: String,
        /// What happened instead.
        cause: Cause,
    },
    /// Too many requests.
    #[error("too many sign-in requests: the identity platform asks for a pause")]
    Throttled {
        /// How long it wants to be left alone, one hour at most.
        retry_after: Option<Duration>,
    },
    /// The platform is out of order for a while.
    #[error("the identity platform is out of order (status {status})")]
    Unavailable {
        /// The answer's status.
        status: u16,
        /// How long it wants to be left alone, one hour at most.
        retry_after: Option<Duration>,
    },
    /// What came is nothing that the platform says.
    #[error("an answer (status {status}) is not one of an identity platform")]
    Unreadable {
        /// The answer's status.
        status: u16,
    },
    /// The platform understood, and said no.
    #[error("{fault}{}", Numbered(*aadsts))]
    Refused {
        /// Why.
        fault: Fault,
        /// Microsoft's own number for it.
        aadsts: Option<u32>,
    },
}

/// Why there was no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The host name was not found.
    Dns,
    /// Nothing listens there, or no route leads there.
    Connect,
    /// The certificate is of an authority that we don't trust, for another name, or of another time.
    Untrusted,
    /// The TLS handshake failed otherwise.
    Tls,
    /// Nothing came in time.
    Timeout,
    /// The connection ended before an answer, or what came was not HTTP.
    Reset,
}

impl Error {
    /// Whether trying again soon may help. If not, a person has to act.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { cause: Cause::Untrusted, .. }
            | Self::Client(_)
            | Self::Key(_)
            | Self::Refused { .. } => false,
            Self::Unreachable { .. }
            | Self::Throttled { .. }
            | Self::Unavailable { .. }
            | Self::Unreadable { .. } => true,
        }
    }

    /// How long the platform asked to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Throttled { retry_after } | Self::Unavailable { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Whether signing in again (`postroom login`) is what it takes, or a part of it.
    pub fn needs_sign_in(&self) -> bool {
        matches!(self, Self::Refused { fault, .. } if fault.needs_sign_in())
    }

    /// What a person can do about it.
    pub fn cure(&self) -> &'static str {
        match self {
            Self::Client(_) => "Give certificates in PEM form in `ca_file`, and see that OpenSSL works here.",
            Self::Key(_) => "Check `private_key_file`: an RSA key in PEM form, without passphrase.",
            Self::Unreachable { cause, .. } => match cause {
                Cause::Dns => "Check the host in `authority`, and that this machine's DNS works.",
                Cause::Connect | Cause::Timeout => {
                    "See that a firewall lets this machine out to the sign-in address, port 443. Proxies are \
                     not used."
                }
                Cause::Untrusted => {
                    "See that this machine has the usual authorities (package ca-certificates) and the right \
                     time. If a firewall looks into TLS here, give its authority in `ca_file`."
                }
                Cause::Tls | Cause::Reset => "Something on the way ends connections: look at firewalls.",
            },
            Self::Throttled { .. } => {
                "Postroom waits as long as it is asked to. See who else signs in so often."
            }
            Self::Unavailable { .. } => "Postroom tries again by itself. See https://status.cloud.microsoft.",
            Self::Unreadable { .. } => {
                "Check `authority`, and see that nothing on the way answers in its place, as captive portals do."
            }
            Self::Refused { fault, .. } => fault.cure(),
        }
    }
}

/// In words for a person.
impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dns => "the host name was not found",
            Self::Connect => "nothing answers at that host and port",
            Self::Untrusted => "its certificate was refused",
            Self::Tls => "the TLS handshake failed",
            Self::Timeout => "nothing came in time",
            Self::Reset => "the connection ended",
        })
    }
}

/// An AADSTS number, in parentheses.
struct Numbered(Option<u32>);

impl fmt::Display for Numbered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |number| write!(f, " (AADSTS{number})"))
    }
}

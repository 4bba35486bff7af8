//! What the identity platform gives (RFC 6749 §5.1).

use std::fmt;
use std::time::Duration;

use secrecy::SecretString;

use super::answer::Object;
use super::claims;
use super::error::Error;

/// Access tokens last an hour or so, a day at the most. What is said beyond a week is a mistake.
const LONGEST_LIFE: Duration = Duration::from_hours(7 * 24);

/// What the identity platform gives.
pub struct Grant {
    /// Opens the mailbox. Visible ASCII.
    pub access_token: SecretString,
    /// How long the access token is good, from when it was asked for.
    pub expires_in: Duration,
    /// Takes the place of the one that was given before, which must not be used again. None for client
    /// credentials.
    pub refresh_token: Option<SecretString>,
    /// Who signed in, if the platform says so (`openid profile` in the scope). An address. That it came over
    /// TLS from the platform itself stands in for its signature (OIDC Core §3.1.3.7).
    pub username: Option<String>,
}

impl Grant {
    pub(super) fn read(object: &Object) -> Result<Self, Error> {
        let read = || {
            object.text("token_type").filter(|kind| kind.eq_ignore_ascii_case("Bearer"))?;
            Some(Self {
                access_token: object.token("access_token")?.into(),
                // One that is good for nothing is none.
                expires_in: object.seconds("expires_in", LONGEST_LIFE).filter(|life| !life.is_zero())?,
                refresh_token: object.token("refresh_token").map(SecretString::from),
                username: object.text("id_token").and_then(claims::username),
            })
        };
        read().ok_or_else(|| object.unreadable())
    }
}

// By hand: a derived one would print who signed in.
impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grant")
            .field("expires_in", &self.expires_in)
            .field("has_refresh_token", &self.refresh_token.is_some())
            .finish_non_exhaustive()
    }
}

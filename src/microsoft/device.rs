//! Signing in by device code (RFC 8628): a person enters a short code in any browser while we ask whether it
//! is done.

use std::fmt;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use super::answer::{Answer, Object};
use super::error::Error;
use super::grant::Grant;

/// Where none is given (RFC 8628 §3.2).
const DEFAULT_INTERVAL: Duration = Duration::from_secs(5);

/// RFC 8628 §3.5.
const SLOWER_BY: Duration = Duration::from_secs(5);

/// A pace is kept, even with a server that says it needs none.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);

const LONGEST_INTERVAL: Duration = Duration::from_mins(1);

/// Microsoft's codes last 15 minutes. What is said beyond an hour is a mistake.
const LONGEST_LIFE: Duration = Duration::from_hours(1);

/// A sign-in that waits for a person. Whoever enters the code decides whose mail is read: show it to that
/// person only.
pub struct DeviceCode {
    /// What the person enters. Short visible ASCII.
    pub user_code: String,
    /// Where. https.
    pub verification_uri: Url,
    /// How long the code is valid, from when it was given.
    pub expires_in: Duration,
    /// The pause before each [`poll`](super::Client::poll).
    pub interval: Duration,
    /// What we ask by.
    pub(super) secret: SecretString,
}

/// How far a sign-in has come.
#[derive(Debug)]
pub enum Poll {
    /// The person has not finished.
    Pending,
    /// The same, and we ask too often: call [`DeviceCode::slow_down`].
    SlowDown,
    /// The person has signed in and accepted.
    Granted(Grant),
}

impl DeviceCode {
    /// Asks five seconds less often from now on (RFC 8628 §3.5).
    pub fn slow_down(&mut self) {
        self.interval += SLOWER_BY;
    }

    pub(super) fn read(object: &Object) -> Result<Self, Error> {
        let read = || {
            Some(Self {
                user_code: object.token("user_code").filter(|code| code.len() <= 64)?.to_owned(),
                verification_uri: object.text("verification_uri").and_then(https)?,
                expires_in: object.seconds("expires_in", LONGEST_LIFE)?,
                interval: object
                    .seconds("interval", LONGEST_INTERVAL)
                    .unwrap_or(DEFAULT_INTERVAL)
                    .max(SHORTEST_INTERVAL),
                secret: object.token("device_code")?.into(),
            })
        };
        read().ok_or_else(|| object.unreadable())
    }
}

impl Poll {
    pub(super) fn read(answer: Answer) -> Result<Self, Error> {
        match answer {
            Answer::Object(object) => Grant::read(&object).map(Self::Granted),
            Answer::Refusal(refusal) => match refusal.error.as_str() {
                "authorization_pending" => Ok(Self::Pending),
                "slow_down" => Ok(Self::SlowDown),
                _ => Err(refusal.into()),
            },
        }
    }
}

// By hand: a derived one would print the codes.
impl fmt::Debug for DeviceCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceCode")
            .field("expires_in", &self.expires_in)
            .field("interval", &self.interval)
            .finish_non_exhaustive()
    }
}

fn https(text: &str) -> Option<Url> {
    Url::parse(text).ok().filter(|url| url.scheme() == "https")
}

//! What an attempt came to: the meaning of a status, and names for what can go wrong before there is one.
//!
//! Pure. Only the status and Retry-After are looked at, never the body of an answer.

use std::fmt;
use std::time::{Duration, SystemTime};

use crate::retry;

/// The longest pause a webhook may ask for. A longer one is a mistake, or outlives every other retry.
const LONGEST_RETRY_AFTER: Duration = Duration::from_hours(24);

/// What one attempt came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The webhook took it.
    Delivered {
        /// A 2xx.
        status: u16,
    },
    /// The webhook is down, busy or misconfigured: all of that can heal.
    Retry {
        /// What went wrong.
        cause: Cause,
        /// The pause that a 429 or 503 asked for, 24 hours at most.
        retry_after: Option<Duration>,
    },
    /// The webhook works, but does not want this body. Hardly worth trying again.
    Rejected {
        /// 400, 413 or 422.
        status: u16,
    },
    /// 410 Gone: the webhook wants to hear no more.
    SwitchOff,
}

/// Why an attempt is to be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The answer's status: a redirect, an error, or anything else that is not a 2xx.
    Status(u16),
    /// The host name was not found.
    Dns,
    /// Nothing listens there, or no route leads there.
    Connect,
    /// There was no connection in time.
    Timeout,
    /// The handshake failed or the certificate was refused.
    Tls,
    /// The request was sent, but no answer came in time. The webhook may have acted on it.
    TooSlow,
    /// The connection ended before an answer, or what came was not HTTP. The webhook may have acted on it.
    Reset,
}

impl Outcome {
    /// Reads an answer by its status and its Retry-After header, a number of seconds or a date (RFC 9110
    /// §10.2.3) that counts from `now`.
    pub(super) fn of_answer(status: u16, retry_after: Option<&str>, now: SystemTime) -> Self {
        match status {
            200..=299 => Self::Delivered { status },
            400 | 413 | 422 => Self::Rejected { status },
            410 => Self::SwitchOff,
            429 | 503 => Self::Retry {
                cause: Cause::Status(status),
                retry_after: retry_after
                    .and_then(|value| retry::pause_asked(value, now, LONGEST_RETRY_AFTER)),
            },
            _ => Self::Retry { cause: Cause::Status(status), retry_after: None },
        }
    }

    /// What a person can do about it; nothing if it was delivered.
    pub fn cure(&self) -> &'static str {
        let cause = match self {
            Self::Delivered { .. } => return "",
            Self::Rejected { .. } => {
                return "The helpdesk does not take Postroom's events as they are; its log says why.";
            }
            Self::SwitchOff => {
                return "The helpdesk wants no more deliveries there. Give the address it uses now in `url`.";
            }
            Self::Retry { cause, .. } => cause,
        };
        match cause {
            Cause::Status(300..=399) => "Redirects are not followed. Give the address it leads to in `url`.",
            Cause::Status(401 | 403) => "Check the secret, and the helpdesk's rules on who may call it.",
            Cause::Status(404) => "Check `url`: the helpdesk knows no such address.",
            Cause::Status(429) => "The helpdesk wants fewer requests; Postroom slows down by itself.",
            Cause::Status(_) => "The helpdesk has failed; its log says why. Postroom tries again by itself.",
            Cause::Dns => "Check the host in `url`, and that this machine's DNS works.",
            Cause::Connect => "Check host and port in `url`, and that the helpdesk runs.",
            Cause::Timeout => "Check `url`, and that a firewall lets this machine out.",
            Cause::Tls => {
                "Check the helpdesk's certificate. One of an authority of your own needs `ca_file`."
            }
            Cause::TooSlow => {
                "The helpdesk takes longer than `timeout`. It should answer first and work afterwards."
            }
            Cause::Reset => {
                "Something on the way ends connections: look at the helpdesk's and proxies' logs."
            }
        }
    }

    /// The answer's status, if there was an answer.
    pub fn status(&self) -> Option<u16> {
        match *self {
            Self::Delivered { status }
            | Self::Rejected { status }
            | Self::Retry { cause: Cause::Status(status), .. } => Some(status),
            Self::Retry { .. } => None,
            Self::SwitchOff => Some(410),
        }
    }
}

/// In words for a person. Holds nothing private.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Retry { cause, .. } => cause.fmt(f),
            Self::Delivered { status } | Self::Rejected { status } => Cause::Status(*status).fmt(f),
            Self::SwitchOff => Cause::Status(410).fmt(f),
        }
    }
}

/// In words for a person. Holds nothing private.
impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "answered {status}"),
            Self::Dns => f.write_str("dns: the host name was not found"),
            Self::Connect => f.write_str("connect: nothing answers at that host and port"),
            Self::Timeout => f.write_str("timeout: no connection in time"),
            Self::Tls => f.write_str("tls: the handshake failed or the certificate was refused"),
            Self::TooSlow => f.write_str("too slow: no answer in time"),
            Self::Reset => f.write_str("reset: the connection ended before an answer"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn retry(status: u16) -> Outcome {
        Outcome::Retry { cause: Cause::Status(status), retry_after: None }
    }

    fn asked(status: u16, retry_after: &str) -> Option<Duration> {
        // Sun, 06 Nov 1994 08:49:37 GMT, the example of RFC 9110 §5.6.7.
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        match Outcome::of_answer(status, Some(retry_after), now) {
            Outcome::Retry { retry_after, .. } => retry_after,
            other => panic!("{status} is {other:?}"),
        }
    }

    #[test]
    fn a_status_decides() {
        #[expect(clippy::type_complexity, reason = "a table, used once")]
        let cases: &[(&[u16], fn(u16) -> Outcome)] = &[
            (&[200, 201, 202, 204, 299], |status| Outcome::Delivered { status }),
            (&[300, 301, 302, 303, 307, 308], retry),
            (&[401, 403, 404, 405, 408, 409, 418, 425, 429], retry),
            (&[500, 502, 503, 504, 599], retry),
            (&[400, 413, 422], |status| Outcome::Rejected { status }),
            (&[410], |_| Outcome::SwitchOff),
        ];
        for (statuses, expected) in cases {
            for &status in *statuses {
                let outcome = Outcome::of_answer(status, None, SystemTime::UNIX_EPOCH);

                assert_eq!(outcome, expected(status), "{status}");
                assert_eq!(outcome.status(), Some(status));
                assert_eq!(outcome.to_string(), format!("answered {status}"));
            }
        }
    }

    #[test]
    fn only_429_and_503_may_ask_for_a_pause() {
        assert_eq!(asked(429, "30"), Some(Duration::from_secs(30)));
        assert_eq!(asked(503, "30"), Some(Duration::from_secs(30)));
        assert_eq!(asked(500, "30"), None);
        assert_eq!(asked(302, "30"), None);
    }

    #[test]
    fn a_pause_is_given_in_seconds_or_as_a_date_and_lasts_a_day_at_most() {
        assert_eq!(asked(429, "Sun, 06 Nov 1994 08:50:37 GMT"), Some(Duration::from_mins(1)));
        assert_eq!(asked(503, "86401"), Some(Duration::from_hours(24)));
        assert_eq!(asked(503, "soon"), None);
    }

    proptest! {
        #[test]
        fn every_answer_has_a_meaning(
            status in any::<u16>(),
            retry_after in proptest::option::of(prop_oneof![".*", "-?[0-9]{0,25}", "[A-Z][a-z]{2}, [0-9]{2} Nov [0-9]{4} 08:49:37 GMT"]),
            now in 0..=253_402_300_799_u64,
        ) {
            let now = SystemTime::UNIX_EPOCH + Duration::from_secs(now);
            let outcome = Outcome::of_answer(status, retry_after.as_deref(), now);

            prop_assert_eq!(outcome.status(), Some(status));
            prop_assert_eq!(outcome.to_string(), format!("answered {status}"));
            let is_success = (200..300).contains(&status);
            prop_assert_eq!(matches!(outcome, Outcome::Delivered { .. }), is_success);
            prop_assert_eq!(outcome.cure().is_empty(), is_success);
            if let Outcome::Retry { retry_after: Some(pause), .. } = outcome {
                prop_assert!(pause <= LONGEST_RETRY_AFTER && (status == 429 || status == 503));
            }
        }
    }
}

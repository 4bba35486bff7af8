//! What a server's words mean, and what is to be done about a failure.
//!
//! Exchange says in free text what others have response codes for (RFC 5530): that it is throttling, that the token has
//! expired, that a good login opens no mailbox. Each wants something else done, so here, and only here, a text decides.
//! The texts were seen on Exchange Online until 2026 (`imap_tools` #135, email-oauth2-proxy #191, aioimaplib #83,
//! imap-backup #198, `MailKit` #1494, the imapsync FAQ).

use std::time::Duration;

/// How long a server that is throttling is left alone if it does not say for how long.
const USUAL_PAUSE: Duration = Duration::from_mins(5);

/// The longest that it is left alone, whatever it says.
const LONGEST_PAUSE: Duration = Duration::from_hours(24);

/// Refusals that are about the server's state at this moment (RFC 5530), and Exchange's word for them.
const NOT_NOW: [&str; 4] = ["[unavailable]", "[serverbug]", "[inuse]", "[limit]"];
const UNAVAILABLE: &str = "server unavailable.";

/// What is to be done about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// Try again, after pauses that grow.
    Retry,
    /// Leave the server alone for so long, with all connections to this mailbox: at least, and to the millisecond.
    BackOff(Duration),
    /// Get a new access token, then connect again at once. If that does not help, a person has to act.
    Refresh,
    /// A person has to change something. Trying again is right, but rarely.
    Configuration,
}

/// What is meant by the text of a NO, a BAD or a BYE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Too much was asked for in too short a time; ask nothing for so long.
    Throttled(Duration),
    /// The access token has run out, and with it the session.
    TokenExpired,
    /// The login was good, and there is no mailbox behind it.
    NotConnected,
    /// The session is not where the command belongs.
    WrongState,
    /// The server can't at this moment, whatever the command.
    NotNow,
    /// Nothing beyond what the NO, the BAD or the BYE says.
    Plain,
}

impl Meaning {
    /// What a text means, whatever its case and its numbers.
    pub(super) fn of(text: &str) -> Self {
        let text = text.trim().to_ascii_lowercase();
        let says = |words: &str| text.contains(words);
        if says("throttled") || says(BACKOFF_TIME) {
            Self::Throttled(pause(&text))
        } else if says("accesstokenexpired") {
            Self::TokenExpired
        } else if says("authenticated but not connected") {
            Self::NotConnected
        } else if says("received in invalid state") {
            Self::WrongState
        } else if says(UNAVAILABLE) || NOT_NOW.iter().any(|code| text.starts_with(code)) {
            Self::NotNow
        } else {
            Self::Plain
        }
    }
}

/// `Suggested Backoff Time: 299961 milliseconds`.
const BACKOFF_TIME: &str = "backoff time:";

fn pause(text: &str) -> Duration {
    let after = text.split_once(BACKOFF_TIME).map_or("", |(_, after)| after.trim_start());
    let digits = after.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
    if digits.is_empty() {
        return USUAL_PAUSE;
    }
    // Digits only, so what does not fit is longer than the longest.
    digits.parse().map_or(LONGEST_PAUSE, Duration::from_millis).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    #[test]
    fn every_text_of_exchange_has_its_meaning() {
        for (text, meaning) in [
            (
                "Request is throttled. Suggested Backoff Time: 299961 milliseconds",
                Meaning::Throttled(299_961 * MILLISECOND),
            ),
            ("Suggested Backoff Time:7 milliseconds.", Meaning::Throttled(7 * MILLISECOND)),
            ("Suggested Backoff Time: 0 milliseconds", Meaning::Throttled(Duration::ZERO)),
            ("Request is throttled.", Meaning::Throttled(USUAL_PAUSE)),
            ("Request is throttled. Suggested Backoff Time: a while", Meaning::Throttled(USUAL_PAUSE)),
            ("Suggested Backoff Time: 86400001 milliseconds", Meaning::Throttled(LONGEST_PAUSE)),
            ("Suggested Backoff Time: 99999999999999999999999 ms", Meaning::Throttled(LONGEST_PAUSE)),
            ("[THROTTLED] Too many commands", Meaning::Throttled(USUAL_PAUSE)),
            ("Session invalidated - AccessTokenExpired", Meaning::TokenExpired),
            ("User is authenticated but not connected.", Meaning::NotConnected),
            ("Command received in Invalid state.", Meaning::WrongState),
            ("Server Unavailable. 15", Meaning::NotNow),
            ("[UNAVAILABLE] Temporary authentication failure.", Meaning::NotNow),
            ("[INUSE] Mailbox is locked", Meaning::NotNow),
            ("[LIMIT] Too many connections", Meaning::NotNow),
            ("[SERVERBUG] Internal error occurred.", Meaning::NotNow),
            ("AUTHENTICATE failed.", Meaning::Plain),
            ("LOGIN failed.", Meaning::Plain),
            ("[AUTHENTICATIONFAILED] Authentication failed.", Meaning::Plain),
            ("Connection is closed. 13", Meaning::Plain),
            ("Connection closed. 14", Meaning::Plain),
            ("Microsoft Exchange Server IMAP4 server signing off.", Meaning::Plain),
            ("Command Argument Error. 11", Meaning::Plain),
            ("Support@example.com doesn't exist.", Meaning::Plain),
            ("", Meaning::Plain),
        ] {
            for text in [text.to_owned(), text.to_uppercase(), text.to_lowercase(), format!(" {text}  ")] {
                assert_eq!(Meaning::of(&text), meaning, "{text}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_number_of_milliseconds_is_obeyed(milliseconds in 0..86_400_000_u64) {
            let text = format!("Request is throttled. Suggested Backoff Time: {milliseconds} milliseconds");
            prop_assert_eq!(Meaning::of(&text), Meaning::Throttled(Duration::from_millis(milliseconds)));
        }

        #[test]
        fn any_text_has_a_meaning(text in any::<String>()) {
            if let Meaning::Throttled(pause) = Meaning::of(&text) {
                prop_assert!(pause <= LONGEST_PAUSE);
            }
        }
    }
}

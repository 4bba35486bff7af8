//! What the identity platform answers: an object, or why not (RFC 6749 §5.1, §5.2).
//!
//! Pure. Of an answer that is not understood nothing is kept but its status.

use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};

use crate::retry;

use super::error::Error;
use super::fault::Fault;

/// The longest pause that is believed in. Access tokens last about as long.
const LONGEST_RETRY_AFTER: Duration = Duration::from_hours(1);

/// An answer that was understood.
pub(super) enum Answer {
    /// What was asked for.
    Object(Object),
    /// No.
    Refusal(Refusal),
}

/// A JSON object with what was asked for, secrets included.
pub(super) struct Object {
    status: u16,
    fields: Map<String, Value>,
}

/// A no.
pub(super) struct Refusal {
    /// OAuth's name for the reason.
    pub(super) error: String,
    /// Microsoft's numbers for it.
    numbers: Vec<u32>,
}

impl Answer {
    /// Reads an answer by its status, its Retry-After header, a number of seconds or a date that counts from
    /// `now`, and its body.
    pub(super) fn read(
        status: u16,
        retry_after: Option<&str>,
        body: &[u8],
        now: SystemTime,
    ) -> Result<Self, Error> {
        let pause = || retry_after.and_then(|value| retry::pause_asked(value, now, LONGEST_RETRY_AFTER));
        if status == 429 {
            return Err(Error::Throttled { retry_after: pause() });
        }
        if status >= 500 {
            return Err(Error::Unavailable { status, retry_after: pause() });
        }
        let Ok(Value::Object(fields)) = serde_json::from_slice(body) else {
            return Err(Error::Unreadable { status });
        };
        let object = Object { status, fields };
        if status == 200 {
            return Ok(Self::Object(object));
        }
        let error = object.text("error").filter(|_| (400..500).contains(&status));
        let error = error.ok_or(Error::Unreadable { status })?.to_owned();
        let numbers = object.numbers();
        match passing(&error, &numbers) {
            Some(Passing::Throttled) => Err(Error::Throttled { retry_after: pause() }),
            Some(Passing::Unavailable) => Err(Error::Unavailable { status, retry_after: pause() }),
            None => Ok(Self::Refusal(Refusal { error, numbers })),
        }
    }

    /// What was asked for, or the refusal as an error.
    pub(super) fn granted(self) -> Result<Object, Error> {
        match self {
            Self::Object(object) => Ok(object),
            Self::Refusal(refusal) => Err(refusal.into()),
        }
    }
}

impl Object {
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.fields.get(key)?.as_str()
    }

    /// A time in seconds, `longest` at most; older endpoints write numbers as strings.
    pub(super) fn seconds(&self, key: &str, longest: Duration) -> Option<Duration> {
        let value = self.fields.get(key)?;
        let seconds = value.as_u64().or_else(|| value.as_str()?.parse().ok())?;
        Some(Duration::from_secs(seconds).min(longest))
    }

    /// A value made of visible ASCII, as tokens and codes are (RFC 6749 appendix A).
    pub(super) fn token(&self, key: &str) -> Option<&str> {
        self.text(key).filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()))
    }

    /// That something is missing in it that must be there.
    pub(super) fn unreadable(&self) -> Error {
        Error::Unreadable { status: self.status }
    }

    /// `error_codes`, or the number that `error_description` begins with: answers on behalf of personal
    /// accounts have been seen without the list.
    fn numbers(&self) -> Vec<u32> {
        let listed = self.fields.get("error_codes").and_then(Value::as_array).into_iter().flatten();
        let numbers: Vec<u32> =
            listed.filter_map(|number| u32::try_from(number.as_u64()?).ok()).take(8).collect();
        if numbers.is_empty() { self.described_number().into_iter().collect() } else { numbers }
    }

    fn described_number(&self) -> Option<u32> {
        let rest = self.text("error_description")?.strip_prefix("AADSTS")?;
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        rest.get(..end)?.parse().ok()
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        let (fault, aadsts) = Fault::of(&refusal.error, &refusal.numbers);
        Self::Refused { fault, aadsts }
    }
}

/// What passes by itself, although its status says that the request was at fault.
enum Passing {
    Throttled,
    Unavailable,
}

fn passing(error: &str, numbers: &[u32]) -> Option<Passing> {
    let by_number = numbers.iter().find_map(|number| match number {
        50_196 | 90_055 => Some(Passing::Throttled),
        50_033 | 70_012 | 90_006 | 90_012 | 90_024 | 90_025 | 90_033 | 90_090 | 90_091 => {
            Some(Passing::Unavailable)
        }
        _ => None,
    });
    by_number.or(match error {
        "temporarily_unavailable" | "server_error" => Some(Passing::Unavailable),
        _ => None,
    })
}

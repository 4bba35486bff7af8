//! How long to wait before trying again: growing pauses with jitter, a limit on how often one connects, and what a
//! server asks for by Retry-After.
//!
//! None ever gives up: a worker outlives every outage, and its caller decides when to stop waiting. Nothing
//! here sleeps or reads the clock for its result. Deliveries do not use the pauses: their schedule is in the database.
//!
//! The only file that names the `backoff` crate.

use std::time::{Duration, Instant, SystemTime};

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff as _;

/// How far apart attempts are.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// About the first pause; each further one is about twice the one before.
    pub initial: Duration,
    /// The longest pause.
    pub max: Duration,
}

/// A series of attempts at one thing.
#[derive(Debug)]
pub struct Retry {
    backoff: ExponentialBackoff,
}

impl Retry {
    /// A series that has not failed yet.
    pub fn new(policy: Policy) -> Self {
        // Jitter of a half either way, so that workers which failed together do not return together. The ceiling
        // is lowered so that even the longest pause drawn is within the policy's.
        let mut backoff = ExponentialBackoff {
            initial_interval: policy.initial.min(policy.max.mul_f64(2.0 / 3.0)),
            max_interval: policy.max.mul_f64(2.0 / 3.0),
            multiplier: 2.0,
            randomization_factor: 0.5,
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        };
        backoff.reset();
        Self { backoff }
    }

    /// How long to pause after a failure: between half and one and a half of a time that doubles with each
    /// failure, and never more than the policy's longest.
    pub fn next_pause(&mut self) -> Duration {
        // `None` means that `max_elapsed_time` has passed, and there is none.
        self.backoff.next_backoff().unwrap_or(self.backoff.max_interval)
    }

    /// Starts over, after a success.
    pub fn reset(&mut self) {
        self.backoff.reset();
    }
}

/// A limit on how often something is begun, successes included: a server that takes the login and then drops the
/// connection would otherwise be logged in to without pause, since each login resets the [`Retry`].
///
/// A few turns may be taken at once; used ones come back one by one.
#[derive(Debug)]
pub struct RateLimit {
    every: Duration,
    /// How far ahead of an even pace the turns may be.
    burst: Duration,
    /// When the next turn is due at an even pace.
    due: Option<Instant>,
}

impl RateLimit {
    /// `burst` turns at once (at least one), then one `every` so often.
    pub fn new(burst: u32, every: Duration) -> Self {
        Self { every, burst: every.saturating_mul(burst.saturating_sub(1)), due: None }
    }

    /// Takes a turn and says how long to wait before using it. A turn is used up even if its wait is cut short.
    pub fn take(&mut self, now: Instant) -> Duration {
        let due = self.due.map_or(now, |due| due.max(now));
        self.due = Some(due + self.every);
        due.duration_since(now).saturating_sub(self.burst)
    }
}

/// The pause that a Retry-After header asks for (RFC 9110 §10.2.3), `longest` at most: a number of seconds, or a date
/// that counts from `now`.
pub fn pause_asked(retry_after: &str, now: SystemTime, longest: Duration) -> Option<Duration> {
    let value = retry_after.trim();
    let pause = if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // Too many digits for a number are still a wish to be left alone.
        Duration::from_secs(value.parse().unwrap_or(u64::MAX))
    } else {
        let date = httpdate::parse_http_date(value).ok()?;
        date.duration_since(now).unwrap_or_default()
    };
    Some(pause.min(longest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Policy = Policy { initial: Duration::from_secs(1), max: Duration::from_mins(1) };

    #[test]
    fn pauses_double_up_to_the_longest() {
        for _ in 0..200 {
            let mut retry = Retry::new(POLICY);
            for about in [1, 2, 4, 8, 16, 32, 40, 40, 40] {
                let (least, most) =
                    (Duration::from_millis(about * 500), Duration::from_millis(about * 1500 + 1));
                let pause = retry.next_pause();
                assert!((least..=most).contains(&pause), "{pause:?} is not about {about} s");
            }
        }
    }

    #[test]
    fn it_never_gives_up() {
        let mut retry = Retry::new(POLICY);

        let shortest = (0..10_000).map(|_| retry.next_pause()).skip(6).min().unwrap();

        assert!(shortest >= POLICY.max / 3, "{shortest:?}");
    }

    #[test]
    fn a_success_starts_over() {
        let mut retry = Retry::new(POLICY);
        for _ in 0..10 {
            retry.next_pause();
        }

        retry.reset();

        assert!(retry.next_pause() <= Duration::from_millis(1501));
    }

    #[test]
    fn workers_that_failed_together_return_apart() {
        let pauses: std::collections::HashSet<_> = (0..20).map(|_| Retry::new(POLICY).next_pause()).collect();

        assert!(pauses.len() > 10, "{pauses:?}");
    }

    #[test]
    fn an_initial_pause_above_the_longest_is_cut() {
        let policy = Policy { initial: Duration::from_hours(1), max: Duration::from_secs(3) };

        assert!((0..100).all(|_| Retry::new(policy).next_pause() <= Duration::from_millis(3001)));
    }

    #[test]
    fn a_burst_is_free_and_then_turns_come_one_by_one() {
        let start = Instant::now();
        let at = |secs| start + Duration::from_secs(secs);
        let mut limit = RateLimit::new(3, Duration::from_secs(30));

        let waits = [0, 0, 0, 0, 10, 40].map(|secs| limit.take(at(secs)).as_secs());

        assert_eq!(waits, [0, 0, 0, 30, 50, 50]);
    }

    #[test]
    fn turns_come_back_up_to_the_burst() {
        let start = Instant::now();
        let mut limit = RateLimit::new(2, Duration::from_secs(30));
        for _ in 0..4 {
            limit.take(start);
        }

        let later = start + Duration::from_hours(1);

        assert_eq!([later; 3].map(|now| limit.take(now).as_secs()), [0, 0, 30]);
    }

    fn asked(retry_after: &str) -> Option<Duration> {
        // Sun, 06 Nov 1994 08:49:37 GMT, the example of RFC 9110 §5.6.7.
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        pause_asked(retry_after, now, Duration::from_hours(24))
    }

    #[test]
    fn a_pause_is_asked_for_in_seconds_or_as_a_date() {
        assert_eq!(asked(" 120 "), Some(Duration::from_secs(120)));
        assert_eq!(asked("Sun, 06 Nov 1994 08:50:37 GMT"), Some(Duration::from_mins(1)));
        assert_eq!(asked("Sun, 06 Nov 1994 08:00:00 GMT"), Some(Duration::ZERO), "in the past");
        for nonsense in ["", "-5", "1.5", "soon", "\u{0661}"] {
            assert_eq!(asked(nonsense), None, "{nonsense:?}");
        }
    }

    #[test]
    fn no_pause_asked_for_is_longer_than_the_longest() {
        for long in ["86401", "99999999999999999999999", "Fri, 31 Dec 9999 23:59:59 GMT"] {
            assert_eq!(asked(long), Some(Duration::from_hours(24)), "{long}");
        }
    }
}

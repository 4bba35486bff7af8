//! How long to wait before trying again: growing pauses with jitter, and a limit on how often one connects.
//!
//! Neither ever gives up: a worker outlives every outage, and its caller decides when to stop waiting. Nothing
//! here sleeps or reads the clock for its result. Deliveries do not use this: their schedule is in the database.
//!
//! The only file that names the `backoff` crate.

use std::time::{Duration, Instant};

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
}

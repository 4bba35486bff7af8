//! What follows from an attempt: when the next one is made, and when a delivery is given up.
//!
//! Pure: the chance in a pause is passed in. Deliveries live through about three days of a helpdesk's trouble.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use crate::webhook::answer::Outcome;

/// The pause after each failed attempt. The attempt after the last pause is the last.
const PAUSES: [Duration; 10] = [
    Duration::from_secs(5),
    Duration::from_mins(1),
    Duration::from_mins(5),
    Duration::from_mins(30),
    Duration::from_hours(2),
    Duration::from_hours(5),
    Duration::from_hours(10),
    Duration::from_hours(14),
    Duration::from_hours(20),
    Duration::from_hours(24),
];

/// A body refused in this attempt or a later one is given up.
const LAST_REJECTED_ATTEMPT: i32 = 3;

/// Pauses are this part shorter or longer, so that what failed together does not come back together.
const SPREAD: f64 = 0.2;

const FIRST_PROBE_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PROBE_PAUSE: Duration = Duration::from_mins(1);

/// What is to become of a delivery after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It is done.
    Delivered,
    /// It is tried again after this pause.
    Again(Duration),
    /// It is given up, and waits for a person.
    Dead,
}

/// Decides what follows from `attempt` (counted from 1, and anew after a retry by an operator) of a delivery. A
/// Retry-After lengthens the pause and never shortens it. `jitter` is from 0 to 1; see [`jitter`].
pub fn next(outcome: &Outcome, attempt: i32, jitter: f64) -> Next {
    match *outcome {
        Outcome::Delivered { .. } => Next::Delivered,
        // The webhook is gone, not the wish to deliver: it is due as soon as the webhook is switched on again.
        Outcome::SwitchOff => Next::Again(Duration::ZERO),
        Outcome::Rejected { .. } if attempt >= LAST_REJECTED_ATTEMPT => Next::Dead,
        Outcome::Rejected { .. } => pause(attempt, None, jitter),
        Outcome::Retry { retry_after, .. } => pause(attempt, retry_after, jitter),
    }
}

/// How long a webhook that has failed `failures` times in a row and now once more is left alone before one more
/// request probes it: 5 s, growing to a minute.
pub fn probe_pause(failures: i32, breaks_at: i32, jitter: f64) -> Duration {
    let doublings = failures.saturating_add(1).saturating_sub(breaks_at).clamp(0, 16);
    let pause = FIRST_PROBE_PAUSE.saturating_mul(1 << doublings).min(LONGEST_PROBE_PAUSE);
    spread(pause, jitter)
}

/// A number from 0 to 1 that differs between deliveries and between attempts of one. It is the same every time
/// it is asked for: what matters is only that deliveries do not move in step.
pub fn jitter(event_id: &str, attempt: i32) -> f64 {
    let mut hasher = DefaultHasher::new();
    (event_id, attempt).hash(&mut hasher);
    let [a, b, c, d, ..] = hasher.finish().to_be_bytes();
    f64::from(u32::from_be_bytes([a, b, c, d])) / f64::from(u32::MAX)
}

fn pause(attempt: i32, retry_after: Option<Duration>, jitter: f64) -> Next {
    let nth = usize::try_from(attempt).unwrap_or(0).saturating_sub(1);
    match PAUSES.get(nth) {
        Some(&pause) => Next::Again(spread(pause, jitter).max(retry_after.unwrap_or_default())),
        None => Next::Dead,
    }
}

fn spread(pause: Duration, jitter: f64) -> Duration {
    pause.mul_f64(1.0 - SPREAD + 2.0 * SPREAD * jitter)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::webhook::Cause;

    /// In the middle of the spread.
    const EVEN: f64 = 0.5;

    const BUSY: Outcome = Outcome::Retry { cause: Cause::Status(503), retry_after: None };
    const REFUSED: Outcome = Outcome::Rejected { status: 422 };

    fn busy_for(retry_after: Duration) -> Outcome {
        Outcome::Retry { cause: Cause::Status(503), retry_after: Some(retry_after) }
    }

    #[test]
    fn a_failing_delivery_is_tried_eleven_times_in_three_days() {
        let pauses: Vec<Duration> = (1..=10)
            .map(|attempt| match next(&BUSY, attempt, EVEN) {
                Next::Again(pause) => pause,
                other => panic!("attempt {attempt}: {other:?}"),
            })
            .collect();

        assert_eq!(pauses, PAUSES);
        assert_eq!(next(&BUSY, 11, EVEN), Next::Dead);
        assert_eq!(next(&BUSY, 12, EVEN), Next::Dead, "a takeover may have counted one more");
        assert_eq!(next(&busy_for(Duration::from_secs(1)), 11, EVEN), Next::Dead);
    }

    #[test]
    fn a_rejected_delivery_dies_after_three_tries() {
        assert_eq!(next(&REFUSED, 1, EVEN), Next::Again(Duration::from_secs(5)));
        assert_eq!(next(&REFUSED, 2, EVEN), Next::Again(Duration::from_mins(1)));
        assert_eq!(next(&REFUSED, 3, EVEN), Next::Dead);
    }

    #[test]
    fn retry_after_lengthens_a_pause_and_never_shortens_it() {
        assert_eq!(next(&busy_for(Duration::from_mins(7)), 1, EVEN), Next::Again(Duration::from_mins(7)));
        assert_eq!(next(&busy_for(Duration::from_mins(7)), 4, EVEN), Next::Again(Duration::from_mins(30)));
    }

    #[test]
    fn a_switched_off_webhook_kills_no_delivery() {
        assert_eq!(next(&Outcome::SwitchOff, 11, EVEN), Next::Again(Duration::ZERO));
    }

    #[test]
    fn a_success_is_a_success_in_any_attempt() {
        assert_eq!(next(&Outcome::Delivered { status: 204 }, 40, EVEN), Next::Delivered);
    }

    #[test]
    fn probes_grow_apart_to_a_minute() {
        let pauses: Vec<u64> = (4..12).map(|failures| probe_pause(failures, 5, EVEN).as_secs()).collect();

        assert_eq!(pauses, [5, 10, 20, 40, 60, 60, 60, 60]);
        assert_eq!(probe_pause(0, 5, EVEN).as_secs(), 5);
        assert_eq!(probe_pause(i32::MAX, 5, EVEN).as_secs(), 60);
    }

    #[test]
    fn attempts_do_not_move_in_step() {
        assert_eq!(jitter("evt_a", 1).to_bits(), jitter("evt_a", 1).to_bits());
        assert_ne!(jitter("evt_a", 1).to_bits(), jitter("evt_a", 2).to_bits());
        assert_ne!(jitter("evt_a", 1).to_bits(), jitter("evt_b", 1).to_bits());
    }

    /// Any outcome at all.
    fn outcome() -> impl Strategy<Value = Outcome> {
        let cause = prop_oneof![
            any::<u16>().prop_map(Cause::Status),
            Just(Cause::Dns),
            Just(Cause::Connect),
            Just(Cause::Timeout),
            Just(Cause::Tls),
            Just(Cause::TooSlow),
            Just(Cause::Reset),
        ];
        let wish = proptest::option::of((0..=86_400_u64).prop_map(Duration::from_secs));
        prop_oneof![
            (200..300_u16).prop_map(|status| Outcome::Delivered { status }),
            Just(REFUSED),
            Just(Outcome::SwitchOff),
            (cause, wish).prop_map(|(cause, retry_after)| Outcome::Retry { cause, retry_after }),
        ]
    }

    proptest! {
        #[test]
        fn pauses_grow_and_end_within_the_days_promised(jitters in prop::array::uniform10(0.0..=1.0_f64)) {
            let mut pauses = Vec::new();
            for (attempt, jitter) in (1..).zip(jitters) {
                let Next::Again(pause) = next(&BUSY, attempt, jitter) else {
                    panic!("attempt {attempt} was the last");
                };
                pauses.push(pause);
            }

            // From 10 hours on, chance may make a pause shorter than the one before.
            prop_assert!(PAUSES.is_sorted() && pauses[..7].is_sorted(), "{pauses:?}");
            let days = pauses.iter().sum::<Duration>().as_secs_f64() / 86_400.0;
            prop_assert!((2.5..=3.8).contains(&days), "{days} days");
            prop_assert_eq!(next(&BUSY, 11, jitters[0]), Next::Dead);
        }

        #[test]
        fn whatever_happens_something_follows_and_within_a_bounded_time(
            outcome in outcome(),
            attempt in any::<i32>(),
            jitter in 0.0..=1.0_f64,
        ) {
            match next(&outcome, attempt, jitter) {
                Next::Delivered => {
                    let is_delivered = matches!(outcome, Outcome::Delivered { .. });
                    prop_assert!(is_delivered);
                }
                Next::Again(pause) => {
                    prop_assert!(attempt <= 10 || outcome == Outcome::SwitchOff, "attempt {}", attempt);
                    prop_assert!(pause <= Duration::from_hours(24).mul_f64(1.2), "{:?}", pause);
                }
                Next::Dead => {
                    let last = if matches!(outcome, Outcome::Rejected { .. }) { 3 } else { 11 };
                    prop_assert!(attempt >= last, "attempt {}", attempt);
                }
            }
        }

        #[test]
        fn a_probe_comes_within_seconds_and_a_minute(failures in any::<i32>(), jitter in 0.0..=1.0_f64) {
            let pause = probe_pause(failures, 5, jitter);
            prop_assert!(pause >= Duration::from_secs(4) && pause <= Duration::from_secs(72), "{:?}", pause);
            prop_assert!(probe_pause(failures.saturating_add(1), 5, jitter) >= pause);
        }

        #[test]
        fn chance_lies_between_nothing_and_all(event_id in ".*", attempt in any::<i32>()) {
            prop_assert!((0.0..=1.0).contains(&jitter(&event_id, attempt)));
        }

        #[test]
        fn a_pause_stays_within_a_fifth_of_its_mean(event_id in ".*", attempt in 1..=10_i32) {
            let even = PAUSES[usize::try_from(attempt - 1).unwrap()];
            let Next::Again(pause) = next(&BUSY, attempt, jitter(&event_id, attempt)) else {
                panic!("attempt {attempt} was the last");
            };
            prop_assert!(pause >= even.mul_f64(0.799) && pause <= even.mul_f64(1.201), "{:?}", pause);
        }
    }
}

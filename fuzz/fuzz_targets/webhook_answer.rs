//! Every answer of a webhook means something, and no pause that follows from it is longer than the schedule allows.

#![no_main]

use std::time::{Duration, SystemTime};

use libfuzzer_sys::fuzz_target;
use postroom::fuzzing::read_answer;
use postroom::webhook::Outcome;
use postroom::webhook::schedule::{self, Next};

const DAY: Duration = Duration::from_secs(24 * 3_600);

fuzz_target!(|answer: (u16, Option<&str>, u32, i32, &str)| {
    let (status, retry_after, seconds, attempt, event_id) = answer;
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.into());

    let outcome = read_answer(status, retry_after, now);

    assert_eq!(outcome.status(), Some(status));
    assert_eq!(matches!(outcome, Outcome::Delivered { .. }), (200..300).contains(&status));
    assert_eq!(outcome.cure().is_empty(), matches!(outcome, Outcome::Delivered { .. }));
    if let Outcome::Retry { retry_after: Some(pause), .. } = outcome {
        assert!(pause <= DAY && matches!(status, 429 | 503));
    }
    let jitter = schedule::jitter(event_id, attempt);
    assert!((0.0..=1.0).contains(&jitter));
    match schedule::next(&outcome, attempt, jitter) {
        Next::Delivered => assert!((200..300).contains(&status)),
        Next::Again(pause) => assert!(pause <= DAY.mul_f64(1.2)),
        Next::Dead => assert!(attempt > 2),
    }
    assert!(schedule::probe_pause(attempt, 5, jitter) <= DAY);
});

//! Whether the loops of this process make progress.
//!
//! A loop that hangs looks like one with nothing to do, so each says how long it may be silent. Invariant: a
//! loop that ended without a word, or panicked, is late in the end; only the process's end takes it off.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The loops that have to show progress. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Heartbeats {
    loops: Arc<Mutex<Vec<Heart>>>,
}

/// With it one loop shows progress. Clones beat for the same loop.
#[derive(Debug, Clone)]
pub struct Heart {
    name: Arc<str>,
    max_silence: Duration,
    last: Arc<Mutex<Instant>>,
}

/// A loop that was silent for longer than it may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Late {
    /// Name of the loop.
    pub name: String,
    /// How long it has been silent.
    pub silence: Duration,
    /// How long it may be.
    pub max_silence: Duration,
}

impl Heartbeats {
    /// Adds a loop, which counts as having just made progress. `max_silence` must exceed the longest that it
    /// waits on purpose and the longest deadline within one unit of its work. A loop that starts again under
    /// its name takes the place of the former.
    pub fn register(&self, name: impl Into<String>, max_silence: Duration) -> Heart {
        let heart =
            Heart { name: name.into().into(), max_silence, last: Arc::new(Mutex::new(Instant::now())) };
        let mut loops = locked(&self.loops);
        loops.retain(|known| known.name != heart.name);
        loops.push(heart.clone());
        heart
    }

    /// The loops that are late now; empty while all is well.
    pub fn late(&self) -> Vec<Late> {
        locked(&self.loops).iter().filter_map(Heart::late).collect()
    }
}

impl Heart {
    /// Shows progress: a unit of work done, or found that there is none.
    pub fn beat(&self) {
        *locked(&self.last) = Instant::now();
    }

    fn late(&self) -> Option<Late> {
        let silence = locked(&self.last).elapsed();
        (silence > self.max_silence).then(|| Late {
            name: self.name.to_string(),
            silence,
            max_silence: self.max_silence,
        })
    }
}

impl fmt::Display for Late {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, silence, max_silence } = self;
        let silence = humantime::format_duration(Duration::from_secs(silence.as_secs()));
        let max_silence = humantime::format_duration(*max_silence);
        write!(f, "loop \"{name}\" has made no progress for {silence}; at most {max_silence} is allowed")
    }
}

/// Nothing can be left half done under these locks, so a panic elsewhere while one was held does no harm.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_hours(1);

    #[test]
    fn only_the_silent_loop_is_late() {
        let heartbeats = Heartbeats::default();
        heartbeats.register("intake support", LONG);
        heartbeats.register("delivery", Duration::ZERO);

        let late: Vec<String> = heartbeats.late().into_iter().map(|late| late.name).collect();

        assert_eq!(late, ["delivery"]);
    }

    #[test]
    fn a_loop_that_starts_again_takes_the_place_of_the_former() {
        let heartbeats = Heartbeats::default();
        heartbeats.register("delivery", Duration::ZERO);
        heartbeats.register("delivery", LONG);

        assert_eq!(heartbeats.late(), []);
    }

    #[test]
    fn a_loop_whose_handle_is_gone_is_still_watched() {
        let heartbeats = Heartbeats::default();
        drop(heartbeats.register("delivery", Duration::ZERO));

        assert_eq!(heartbeats.late().len(), 1);
    }

    #[test]
    fn a_late_loop_is_named_with_both_times() {
        let late = Late {
            name: "intake support".to_owned(),
            silence: Duration::from_millis(361_500),
            max_silence: Duration::from_mins(5),
        };

        assert_eq!(
            late.to_string(),
            "loop \"intake support\" has made no progress for 6m 1s; at most 5m is allowed"
        );
    }
}

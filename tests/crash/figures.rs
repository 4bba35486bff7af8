//! What was done and seen, for a summary.

use std::collections::BTreeMap;
use std::fmt;

/// Counters of one or several runs.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    /// Blows by what they were.
    pub(crate) blows: BTreeMap<&'static str, u64>,
    /// Deaths by step.
    pub(crate) steps: BTreeMap<&'static str, u64>,
    /// Rounds in which the planned moment did not come, and the worker was killed as it stood.
    pub(crate) never_came: u64,
    /// What was in hand at SIGKILLs.
    pub(crate) in_hand: BTreeMap<&'static str, u64>,
    pub(crate) mails: u64,
    pub(crate) copies: u64,
    /// Mails held in the end, until they were released, by reason.
    pub(crate) held: BTreeMap<String, u64>,
    pub(crate) deliveries: u64,
    pub(crate) attempts: u64,
    /// Mails that Dovecot left in both folders when it was killed in the middle of a MOVE.
    pub(crate) half_moved: u64,
    /// KiB.
    pub(crate) memory_peak: u64,
}

impl Figures {
    pub(crate) fn add(&mut self, other: Self) {
        for (mine, theirs) in [
            (&mut self.blows, other.blows),
            (&mut self.steps, other.steps),
            (&mut self.in_hand, other.in_hand),
        ] {
            for (name, count) in theirs {
                *mine.entry(name).or_default() += count;
            }
        }
        self.never_came += other.never_came;
        self.mails += other.mails;
        self.copies += other.copies;
        for (reason, count) in other.held {
            *self.held.entry(reason).or_default() += count;
        }
        self.deliveries += other.deliveries;
        self.attempts += other.attempts;
        self.half_moved += other.half_moved;
        self.memory_peak = self.memory_peak.max(other.memory_peak);
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} blows", self.blows.values().sum::<u64>())?;
        for (title, counters) in
            [("to", &self.blows), ("by itself at", &self.steps), ("when killed from outside,", &self.in_hand)]
        {
            for (name, count) in counters {
                writeln!(f, "  {title} {name}: {count}")?;
            }
        }
        writeln!(f, "  the planned moment did not come: {}", self.never_came)?;
        writeln!(f, "{} mails, {} copies of them", self.mails, self.copies)?;
        for (reason, count) in &self.held {
            writeln!(f, "  held until released, {reason}: {count}")?;
        }
        writeln!(f, "{} deliveries in {} attempts", self.deliveries, self.attempts)?;
        writeln!(f, "{} half moved by a killed Dovecot", self.half_moved)?;
        write!(f, "{} MiB of memory at most", self.memory_peak / 1024)
    }
}

//! `[delivery]`

use std::time::Duration;

use super::redacted::Toml;
use super::section::Section;

/// How deliveries are made, for every webhook.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// How often due deliveries are looked for when nothing wakes the loop.
    pub poll_interval: Duration,
    /// How many requests to one webhook may be under way at once.
    pub concurrency: usize,
    /// The most bytes of an answer that are read.
    pub max_answer_bytes: usize,
}

impl Delivery {
    pub(super) fn read(mut section: Section<'_>) -> Option<Self> {
        let poll_interval = section.duration("poll_interval");
        let concurrency = section.number("concurrency", 1..=256);
        let max_answer_bytes = section.size("max_answer_bytes", 16 << 20);
        section.end();
        Some(Self {
            poll_interval: poll_interval?,
            concurrency: concurrency?,
            max_answer_bytes: usize::try_from(max_answer_bytes?).ok()?,
        })
    }

    pub(super) fn write(&self, toml: &mut Toml) {
        toml.header("[delivery]");
        toml.duration("poll_interval", self.poll_interval);
        toml.plain("concurrency", self.concurrency);
        toml.size("max_answer_bytes", self.max_answer_bytes as u64);
    }
}

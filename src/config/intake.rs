//! `[intake]`

use super::redacted::Toml;
use super::section::Section;
use super::units;

/// How mail is taken in, for every mailbox.
#[derive(Debug, Clone)]
pub struct Intake {
    /// The most messages fetched and recorded together.
    pub batch_messages: usize,
    /// The most bytes fetched and recorded together. A larger message goes alone.
    pub batch_bytes: u64,
    /// Messages above this stay in the mailbox, held; their ticket is made from the header.
    pub max_message_bytes: u64,
    /// The most messages settled in one command. Large sets are far cheaper for the server.
    pub settle_messages: usize,
}

/// async-imap 0.12 ends a connection whose buffer would pass 512 MiB.
const MAX_MESSAGE_BYTES: u64 = 500 << 20;

impl Intake {
    pub(super) fn read(mut section: Section<'_>) -> Option<Self> {
        let batch_messages = section.number("batch_messages", 1..=10_000);
        let batch_bytes = section.size("batch_bytes", MAX_MESSAGE_BYTES);
        let max_message_bytes = section.size("max_message_bytes", MAX_MESSAGE_BYTES);
        let settle_messages = section.number("settle_messages", 1..=10_000);
        if let (Some(batch), Some(message)) = (batch_bytes, max_message_bytes)
            && batch > message
        {
            let allowed = format!("at most max_message_bytes, which is {}", units::format_size(message));
            section.refuse("batch_bytes", units::format_size(batch), &allowed);
        }
        section.end();
        Some(Self {
            batch_messages: batch_messages?,
            batch_bytes: batch_bytes?,
            max_message_bytes: max_message_bytes?,
            settle_messages: settle_messages?,
        })
    }

    pub(super) fn write(&self, toml: &mut Toml) {
        toml.header("[intake]");
        toml.plain("batch_messages", self.batch_messages);
        toml.size("batch_bytes", self.batch_bytes);
        toml.size("max_message_bytes", self.max_message_bytes);
        toml.plain("settle_messages", self.settle_messages);
    }
}

//! What is told when a person merged tickets, or split messages off one.

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use crate::event::Event;

/// Messages of one event beyond this are left out. The helpdesk knows them by their former places.
const MAX_MESSAGES: usize = 1_000;

/// A ticket, by what it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct TicketRef {
    /// As sent to helpdesks.
    pub id: Uuid,
    /// For people.
    pub number: i64,
}

/// Everything an event about merged tickets says.
#[derive(Debug, Clone, Copy)]
pub struct Merged<'a> {
    /// When.
    pub at: DateTime<Utc>,
    /// Name of their mailbox.
    pub mailbox: &'a str,
    /// The ticket that is left.
    pub ticket: TicketRef,
    /// The one that was merged into it.
    pub merged: TicketRef,
    /// What is added to the sequences of the latter's messages.
    pub offset: i32,
    /// The sequence of the newest message of the ticket that is left.
    pub sequence: i32,
}

/// Everything an event about messages that were split off says.
#[derive(Debug, Clone)]
pub struct Split<'a> {
    /// When.
    pub at: DateTime<Utc>,
    /// Name of the mailbox.
    pub mailbox: &'a str,
    /// The ticket that they were in.
    pub ticket: TicketRef,
    /// The ticket that they are in.
    pub opened: TicketRef,
    /// They, in their order.
    pub messages: Vec<MovedMessage>,
    /// The sequence of the newest message that the ticket ever had.
    pub sequence: i32,
}

/// A message that went to another ticket.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct MovedMessage {
    /// Its id.
    pub id: Uuid,
    /// Its place in the ticket before.
    #[serde(rename = "former_sequence")]
    pub former: i32,
    /// Its place in the ticket now.
    pub sequence: i32,
}

impl Event {
    /// Renders `ticket.merged`.
    pub fn merged(merged: &Merged<'_>) -> Self {
        let Merged { at, mailbox, ticket, merged, offset, sequence } = *merged;
        Self::new("ticket.merged", at, |event_id| MergedData {
            event_id: event_id.to_owned(),
            mailbox,
            sequence,
            ticket,
            merged_ticket: merged,
            sequence_offset: offset,
        })
    }

    /// Renders `ticket.split`.
    pub fn split(split: &Split<'_>) -> Self {
        Self::new("ticket.split", split.at, |event_id| SplitData {
            event_id: event_id.to_owned(),
            mailbox: split.mailbox,
            sequence: split.sequence,
            ticket: split.ticket,
            new_ticket: split.opened,
            messages: split.messages.iter().take(MAX_MESSAGES).copied().collect(),
            truncated: split.messages.len() > MAX_MESSAGES,
        })
    }
}

#[derive(Serialize)]
struct MergedData<'a> {
    event_id: String,
    mailbox: &'a str,
    sequence: i32,
    ticket: TicketRef,
    merged_ticket: TicketRef,
    sequence_offset: i32,
}

#[derive(Serialize)]
struct SplitData<'a> {
    event_id: String,
    mailbox: &'a str,
    sequence: i32,
    ticket: TicketRef,
    new_ticket: TicketRef,
    messages: Vec<MovedMessage>,
    truncated: bool,
}

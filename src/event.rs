//! The versioned JSON contract with helpdesks: what is sent when a message has been stored, when a person merged or split
//! tickets, and when a mailbox stops or begins to work.
//!
//! The envelope is Standard Webhooks 1.0's (`type`, `timestamp`, `data`). An event is rendered once, when its
//! message is recorded, and delivered byte for byte. Fields are only ever added within a schema version.

mod mailbox;
mod ticket;

use std::fmt::Write;

use chrono::{DateTime, FixedOffset, SecondsFormat, Utc};
use serde::{Serialize, Serializer};
use uuid::Uuid;

use crate::mail::{Address, Attachment, Mail};
use crate::message::{Uid, UidValidity};
use crate::rule::{Priority, Ruling};
use crate::text;
use crate::ticket::{Filing, Ticket};

pub use mailbox::Unhealthy;
pub use ticket::{Merged, MovedMessage, Split, TicketRef};

/// Grows when a field changes its meaning or goes.
const SCHEMA_VERSION: u32 = 1;

/// Receivers expect events of about 256 KiB at most; a body beyond this is cut and marked `truncated`. As written in
/// JSON, which makes six bytes of a control character: counted as it stands, a mail of those made ten times as much.
const MAX_TEXT_BYTES: usize = 96 * 1024;

/// HTML beyond this, written in JSON too, is left out rather than cut, since half of it is not HTML.
const MAX_HTML_BYTES: usize = 96 * 1024;

/// Addresses of one field, attachments and references beyond this are left out.
const MAX_ITEMS: usize = 100;

/// All that a sender can repeat (ids, addresses, header fields, attachments) takes so many bytes together. What does
/// not fit is left out; what matters more comes first.
const MAX_LIST_BYTES: usize = 64 * 1024;

/// Header fields that a helpdesk needs to treat a mail rightly. All others stay in the database.
const HEADERS: [&str; 12] = [
    "auto-submitted",
    "delivered-to",
    "importance",
    "list-id",
    "list-unsubscribe",
    "precedence",
    "priority",
    "return-path",
    "x-auto-response-suppress",
    "x-original-to",
    "x-priority",
    "x-spam-flag",
];

/// An event, ready to be stored with its deliveries.
#[derive(Clone, PartialEq, Eq)]
pub struct Event {
    /// `evt_…`: unique, the same in every attempt and for every webhook.
    pub id: String,
    /// `ticket.created`, `ticket.message.received`, `ticket.merged`, `ticket.split`, `mailbox.unhealthy`,
    /// `mailbox.recovered` or `endpoint.test`.
    pub kind: &'static str,
    /// The JSON text, without NUL.
    pub body: String,
}

/// Everything an event about a received message says.
#[derive(Clone, Copy)]
pub struct Received<'a> {
    /// When it was recorded.
    pub at: DateTime<Utc>,
    /// Name of the mailbox it came to.
    pub mailbox: &'a str,
    /// Where it was in it; `None` if it came out of a file.
    pub found: Option<Found<'a>>,
    /// Id of the stored message.
    pub message_id: Uuid,
    /// The ticket, this message counted.
    pub ticket: &'a Ticket,
    /// Why that ticket.
    pub filing: &'a Filing,
    /// What the rules of the configuration came to.
    pub ruling: &'a Ruling,
    /// The mail.
    pub mail: &'a Mail,
}

/// Where a message was when it was fetched.
#[derive(Debug, Clone, Copy)]
pub struct Found<'a> {
    /// The folder.
    pub folder: &'a str,
    /// UIDVALIDITY of that folder.
    pub uidvalidity: UidValidity,
    /// UID in it.
    pub uid: Uid,
}

impl Event {
    /// Renders the event about a received message: `ticket.created` if it opened its ticket.
    pub fn received(received: &Received<'_>) -> Self {
        let kind =
            if received.filing.ticket.is_none() { "ticket.created" } else { "ticket.message.received" };
        Self::new(kind, received.at, |event_id| Data::new(event_id, received))
    }

    /// Renders `endpoint.test`, by which an operator finds out whether a webhook works. Says nothing else.
    pub fn test(at: DateTime<Utc>) -> Self {
        Self::new("endpoint.test", at, |event_id| Test { event_id: event_id.to_owned() })
    }

    fn new<T: Serialize>(kind: &'static str, at: DateTime<Utc>, data: impl FnOnce(&str) -> T) -> Self {
        let id = format!("evt_{}", Uuid::now_v7().simple());
        let envelope = Envelope {
            kind,
            timestamp: at.to_rfc3339_opts(SecondsFormat::Millis, true),
            schema_version: SCHEMA_VERSION,
            data: data(&id),
        };
        Self { kind, body: json(&envelope), id }
    }
}

fn json(value: &impl Serialize) -> String {
    // Serialising strings and numbers into memory cannot fail.
    serde_json::to_string(value).unwrap_or_default()
}

#[derive(Serialize)]
struct Envelope<T> {
    #[serde(rename = "type")]
    kind: &'static str,
    timestamp: String,
    schema_version: u32,
    data: T,
}

#[derive(Serialize)]
struct Test {
    event_id: String,
}

#[derive(Serialize)]
struct Data<'a> {
    event_id: String,
    sequence: i32,
    ticket: TicketData<'a>,
    thread: ThreadData<'a>,
    message: MessageData<'a>,
    attachments: Vec<AttachmentData<'a>>,
    source: SourceData<'a>,
}

#[derive(Serialize)]
struct TicketData<'a> {
    id: Uuid,
    number: i64,
    is_new: bool,
    status: &'a str,
    subject: Text<'a>,
    tags: Vec<&'a str>,
    priority: Option<&'static str>,
}

#[derive(Serialize)]
struct ThreadData<'a> {
    rule: &'static str,
    matched_message_id: Option<Text<'a>>,
}

#[derive(Serialize)]
struct MessageData<'a> {
    id: Uuid,
    message_id: Option<Text<'a>>,
    in_reply_to: Vec<Text<'a>>,
    references: Vec<Text<'a>>,
    subject: Text<'a>,
    date: Option<String>,
    received_at: Option<String>,
    from: Option<AddressData<'a>>,
    sender: Option<AddressData<'a>>,
    reply_to: Vec<AddressData<'a>>,
    to: Vec<AddressData<'a>>,
    cc: Vec<AddressData<'a>>,
    text: Text<'a>,
    html: Option<Text<'a>>,
    truncated: bool,
    size: u64,
    headers: Vec<(Text<'a>, Text<'a>)>,
    defects: Vec<&'static str>,
    rules: Vec<&'a str>,
}

#[derive(Serialize)]
struct AddressData<'a> {
    name: Text<'a>,
    address: Text<'a>,
}

#[derive(Serialize)]
struct AttachmentData<'a> {
    part: u32,
    filename: Option<Text<'a>>,
    content_type: Text<'a>,
    size: u64,
    sha256: String,
    content_id: Option<Text<'a>>,
    inline: bool,
}

#[derive(Serialize)]
struct SourceData<'a> {
    mailbox: &'a str,
    folder: Option<&'a str>,
    uidvalidity: Option<u32>,
    uid: Option<u32>,
}

impl<'a> Data<'a> {
    fn new(event_id: &str, received: &Received<'a>) -> Self {
        let Received { ticket, filing, mail, .. } = *received;
        let mut room = Room { bytes: MAX_LIST_BYTES };
        Self {
            event_id: event_id.to_owned(),
            sequence: ticket.message_count,
            ticket: TicketData {
                id: ticket.id,
                number: ticket.number,
                is_new: filing.ticket.is_none(),
                status: &ticket.status,
                subject: Text(&ticket.subject),
                tags: ticket.labels.tags.iter().take(MAX_ITEMS).map(String::as_str).collect(),
                priority: ticket.labels.priority.map(Priority::as_str),
            },
            thread: ThreadData {
                rule: filing.rule.as_str(),
                matched_message_id: filing.evidence.as_deref().map(Text),
            },
            message: MessageData::new(received.message_id, mail, received.ruling, &mut room),
            attachments: room.take(mail.attachments.iter().map(AttachmentData::new)),
            source: SourceData {
                mailbox: received.mailbox,
                folder: received.found.map(|found| found.folder),
                uidvalidity: received.found.map(|found| found.uidvalidity.0),
                uid: received.found.map(|found| found.uid.0),
            },
        }
    }
}

impl<'a> MessageData<'a> {
    fn new(id: Uuid, mail: &'a Mail, ruling: &'a Ruling, room: &mut Room) -> Self {
        let text = cut(&mail.text, MAX_TEXT_BYTES);
        let html = mail.html.as_deref().filter(|html| cut(html, MAX_HTML_BYTES).len() == html.len());
        Self {
            id,
            message_id: mail.message_id.as_deref().map(Text),
            in_reply_to: room.take_last(&mail.in_reply_to),
            references: room.take_last(&mail.references),
            subject: Text(&mail.subject),
            date: mail.date.map(rfc3339),
            received_at: mail.received.map(rfc3339),
            from: mail.from.as_ref().map(AddressData::new),
            sender: mail.sender.as_ref().map(AddressData::new),
            reply_to: room.take(mail.reply_to.iter().map(AddressData::new)),
            headers: room.take(forwarded(mail)),
            to: room.take(mail.to.iter().map(AddressData::new)),
            cc: room.take(mail.cc.iter().map(AddressData::new)),
            truncated: text.len() < mail.text.len() || html.is_some() != mail.html.is_some(),
            text: Text(text),
            html: html.map(Text),
            size: mail.size,
            defects: mail.defects.iter().map(|defect| defect.as_str()).collect(),
            rules: ruling.rules.iter().take(MAX_ITEMS).map(String::as_str).collect(),
        }
    }
}

impl<'a> AddressData<'a> {
    fn new(address: &'a Address) -> Self {
        Self { name: Text(&address.name), address: Text(&address.address) }
    }
}

impl<'a> AttachmentData<'a> {
    fn new(attachment: &'a Attachment) -> Self {
        Self {
            part: attachment.part,
            filename: attachment.filename.as_deref().map(Text),
            content_type: Text(&attachment.content_type),
            size: attachment.size,
            sha256: hex(&attachment.sha256),
            content_id: attachment.content_id.as_deref().map(Text),
            inline: attachment.inline,
        }
    }
}

/// Text from outside: NUL is left out, since many receivers store events in a database that refuses it.
struct Text<'a>(&'a str);

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&text::clean(self.0))
    }
}

/// What is left of [`MAX_LIST_BYTES`].
struct Room {
    bytes: usize,
}

impl Room {
    /// The first of `items`, as many as there is room for.
    fn take<T: Serialize>(&mut self, items: impl Iterator<Item = T>) -> Vec<T> {
        items.take(MAX_ITEMS).take_while(|item| self.has_place(item)).collect()
    }

    /// The last of `ids`, in their order: the newest are last and matter most.
    fn take_last<'a>(&mut self, ids: &'a [String]) -> Vec<Text<'a>> {
        let mut ids = self.take(ids.iter().rev().map(|id| Text(id)));
        ids.reverse();
        ids
    }

    /// Takes the place of an item, with its comma, if there is as much.
    fn has_place(&mut self, item: &impl Serialize) -> bool {
        let left = self.bytes.checked_sub(json(item).len() + 1);
        self.bytes = left.unwrap_or(self.bytes);
        left.is_some()
    }
}

/// The longest beginning of `text` that takes at most `max` bytes in JSON.
fn cut(text: &str, max: usize) -> &str {
    let mut bytes = 0;
    let end = text.char_indices().find(|(_, char)| {
        bytes += match char {
            '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
            '\0'..='\u{1f}' => 6,
            _ => char.len_utf8(),
        };
        bytes > max
    });
    end.and_then(|(end, _)| text.get(..end)).unwrap_or(text)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        // Writing into a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn rfc3339(date: DateTime<FixedOffset>) -> String {
    date.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn forwarded(mail: &Mail) -> impl Iterator<Item = (Text<'_>, Text<'_>)> {
    let is_forwarded = |(name, value): &&(String, String)| {
        value.len() <= 2_000 && HEADERS.contains(&name.to_ascii_lowercase().as_str())
    };
    mail.headers.iter().filter(is_forwarded).map(|(name, value)| (Text(name), Text(value)))
}

#[cfg(test)]
mod tests;

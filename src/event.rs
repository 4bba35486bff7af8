//! The versioned JSON contract with helpdesks: what is sent when a message has been stored, when a person merged or split
//! tickets, and when a mailbox stops or begins to work.
//!
//! The envelope is Standard Webhooks 1.0's (`type`, `timestamp`, `data`). An event is rendered once, when its
//! message is recorded, and delivered byte for byte. Fields are only ever added within a schema version.

mod mailbox;
mod reply;
mod ticket;
mod verdict;

use chrono::{DateTime, FixedOffset, SecondsFormat, Utc};
use serde::{Serialize, Serializer};
use uuid::Uuid;

use crate::mail::{Address, Attachment, Authentication, Calendar, Mail, Protection, Verdict};
use crate::message::{Uid, UidValidity};
use crate::rule::{Priority, Ruling};
use crate::text;
use crate::ticket::{Confidence, Filing, Place, Policy, SubjectToken, Ticket};

pub use mailbox::Unhealthy;
use reply::ReplyData;
pub use ticket::{Merged, MovedMessage, Split, TicketRef};
use verdict::{AutomationData, BounceData, ComplaintData, ReceiptData};

/// Grows when a field changes its meaning or goes.
const SCHEMA_VERSION: u32 = 1;

/// Receivers expect events of about 256 KiB at most; a body beyond this is cut and marked `truncated`. As written in
/// JSON, which makes six bytes of a control character: counted as it stands, a mail of those made ten times as much.
const MAX_TEXT_BYTES: usize = 96 * 1024;

/// The body and the reply in it together. A reply is mostly short; one that is the whole of a long body is cut to what
/// the body leaves.
const MAX_TEXTS_BYTES: usize = 108 * 1024;

/// HTML beyond this, written in JSON too, is left out rather than cut, since half of it is not HTML.
const MAX_HTML_BYTES: usize = 96 * 1024;

/// Addresses of one field, attachments and references beyond this are left out.
const MAX_ITEMS: usize = 100;

/// All that a sender can repeat (ids, addresses, header fields, what a report names, attachments) takes so many bytes
/// together. What does not fit is left out; what matters more comes first.
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
    /// `ticket.created`, `ticket.message.received`, `ticket.merged`, `ticket.split`, `message.bounced`,
    /// `message.suspended`, `mailbox.unhealthy`, `mailbox.recovered` or `endpoint.test`.
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
    /// The ticket, this message counted; `None` if it is in none.
    pub ticket: Option<&'a Ticket>,
    /// Why that ticket.
    pub filing: &'a Filing,
    /// What it was filed by: it issues the tokens by which replies name the ticket.
    pub policy: &'a Policy,
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
    /// Renders the event about a received message: `ticket.created` if it opened its ticket. None of a message that is
    /// archived, unless it tells that a mail did not arrive.
    pub fn received(received: &Received<'_>) -> Option<Self> {
        let is_bounce = received.mail.automation.verdict == Verdict::BounceFailed;
        let kind = match received.filing.place {
            Place::Opens => "ticket.created",
            Place::Joins(_) | Place::Archived if is_bounce => "message.bounced",
            Place::Joins(_) => "ticket.message.received",
            Place::Suspended(_) => "message.suspended",
            Place::Archived => return None,
        };
        Some(Self::new(kind, received.at, |event_id| Data::new(event_id, received)))
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
    sequence: Option<i32>,
    ticket: Option<TicketData<'a>>,
    thread: ThreadData<'a>,
    suspension: Option<SuspensionData>,
    message: MessageData<'a>,
    attachments: Vec<AttachmentData<'a>>,
    automation: AutomationData,
    bounce: Option<BounceData<'a>>,
    receipt: Option<ReceiptData<'a>>,
    complaint: Option<ComplaintData<'a>>,
    authentication: Option<&'a Authentication>,
    source: SourceData<'a>,
}

#[derive(Serialize)]
struct TicketData<'a> {
    id: Uuid,
    number: i64,
    is_new: bool,
    status: &'a str,
    reopened: bool,
    subject: Text<'a>,
    tags: Vec<&'a str>,
    priority: Option<&'static str>,
}

#[derive(Serialize)]
struct ThreadData<'a> {
    rule: &'static str,
    matched_message_id: Option<Text<'a>>,
    evidence: Option<Text<'a>>,
    confidence: Option<f64>,
    related_ticket_id: Option<Uuid>,
    action: &'static str,
    reply_token: Option<String>,
    subject_token: Option<String>,
}

/// Why the message waits for a person.
#[derive(Serialize)]
struct SuspensionData {
    reason: &'static str,
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
    reply_text: Text<'a>,
    reply_extraction: Option<ReplyData>,
    html: Option<Text<'a>>,
    truncated: bool,
    size: u64,
    headers: Vec<(Text<'a>, Text<'a>)>,
    defects: Vec<&'static str>,
    calendar: Option<&'a Calendar>,
    protection: Option<&'static str>,
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
    detected_type: Option<&'static str>,
    size: u64,
    sha256: String,
    content_id: Option<Text<'a>>,
    inline: bool,
    referenced_by_html: bool,
    from_tnef: bool,
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
        let Received { ticket, filing, mail, policy, .. } = *received;
        let mut room = Room { bytes: MAX_LIST_BYTES };
        let message = MessageData::new(received.message_id, mail, received.ruling, &mut room);
        let bounce = BounceData::of(mail, &mut room);
        let receipt = ReceiptData::of(mail, &mut room);
        let complaint = ComplaintData::of(mail, &mut room);
        Self {
            event_id: event_id.to_owned(),
            sequence: ticket.map(|ticket| ticket.message_count),
            ticket: ticket.map(|ticket| TicketData {
                id: ticket.id,
                number: ticket.number,
                is_new: filing.place == Place::Opens,
                status: &ticket.status,
                reopened: filing.reopens,
                subject: Text(&ticket.subject),
                tags: ticket.labels.tags.iter().take(MAX_ITEMS).map(String::as_str).collect(),
                priority: ticket.labels.priority.map(Priority::as_str),
            }),
            thread: ThreadData {
                rule: filing.rule_name(),
                matched_message_id: filing.matched_message_id().map(Text),
                evidence: filing.evidence.as_deref().map(Text),
                confidence: filing.confidence.map(Confidence::fraction),
                related_ticket_id: filing.related,
                action: filing.action.as_str(),
                reply_token: ticket.and_then(|ticket| policy.tokens.issue(ticket.number, ticket.id)),
                subject_token: ticket
                    .map(|ticket| SubjectToken::issue(&policy.subject_prefix, ticket.number, ticket.id)),
            },
            suspension: match filing.place {
                Place::Suspended(reason) => Some(SuspensionData { reason: reason.as_str() }),
                Place::Opens | Place::Joins(_) | Place::Archived => None,
            },
            message,
            attachments: room.take(mail.attachments.iter().map(AttachmentData::new)),
            automation: AutomationData::of(mail),
            bounce,
            receipt,
            complaint,
            authentication: mail.authentication.as_ref(),
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
        let reply = cut(mail.reply_text(), MAX_TEXTS_BYTES.saturating_sub(json_bytes(text)));
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
            truncated: text.len() < mail.text.len()
                || reply.len() < mail.reply_text().len()
                || html.is_some() != mail.html.is_some(),
            text: Text(text),
            reply_text: Text(reply),
            reply_extraction: mail.reply.as_ref().map(ReplyData::new),
            html: html.map(Text),
            size: mail.size,
            defects: mail.defects.iter().map(|defect| defect.as_str()).collect(),
            calendar: mail.calendar.as_ref(),
            protection: mail.protection.map(Protection::as_str),
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
            detected_type: attachment.detected_type,
            size: attachment.size,
            sha256: text::hex(&attachment.sha256),
            content_id: attachment.content_id.as_deref().map(Text),
            inline: attachment.inline,
            referenced_by_html: attachment.referenced_by_html,
            from_tnef: attachment.from_tnef,
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
        bytes += char_bytes(*char);
        bytes > max
    });
    end.and_then(|(end, _)| text.get(..end)).unwrap_or(text)
}

/// What `text` takes in JSON, at most.
fn json_bytes(text: &str) -> usize {
    text.chars().map(char_bytes).sum()
}

fn char_bytes(char: char) -> usize {
    match char {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '\0'..='\u{1f}' => 6,
        _ => char.len_utf8(),
    }
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

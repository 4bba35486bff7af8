//! Any bytes are read into a mail within limits, always the same one, and told to helpdesks in sound JSON without NUL.

#![no_main]

use chrono::DateTime;
use libfuzzer_sys::fuzz_target;
use postroom::event::{Event, Found, Received};
use postroom::mail::{self, Defect};
use postroom::message::{Extent, Listed, Message, Uid, UidValidity};
use postroom::rule::{Labels, Ruling};
use postroom::ticket::{self, Threads, Ticket};
use serde_json::Value;
use uuid::Uuid;

/// A character of one byte becomes at most so many: of three bytes in UTF-8, and as an entity in HTML.
const GROWTH: usize = 12;

/// What the smallest mail may grow to: marks, defects, ids.
const BASE: usize = 4_096;

/// No event is larger.
const EVENT_BYTES: usize = 320 * 1024;

fuzz_target!(|source: &[u8]| {
    let listed = Listed { uid: Uid(1), size: source.len() as u64, internal_date: None };
    let message = Message { listed, source: source.to_vec(), extent: Extent::Whole };

    let mail = mail::read(&message);

    assert!(!mail.defects.contains(&Defect::ParserFailed), "a panic was caught");
    assert!(mail.text.len() <= GROWTH * source.len() + BASE);
    assert!(mail.html.as_ref().is_none_or(|html| html.len() <= GROWTH * source.len() + BASE));
    let headers: usize = mail.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    assert!(headers <= GROWTH * source.len() + BASE);
    assert_eq!(mail::read(&message).fingerprint, mail.fingerprint);
    for attachment in &mail.attachments {
        let bytes = mail::attached(source, attachment.part).expect("an attachment is found again");
        assert_eq!(bytes.len() as u64, attachment.size);
    }

    let filing = ticket::file(&mail, &Threads::new());
    let (id, number, status) = (Uuid::nil(), 1, "open".to_owned());
    let ticket = Ticket { id, number, subject: mail.subject.clone(), status, message_count: 1, labels: Labels::default() };
    let event = Event::received(&Received {
        at: DateTime::UNIX_EPOCH,
        mailbox: "support",
        found: Some(Found { folder: "INBOX", uidvalidity: UidValidity(1), uid: Uid(1) }),
        message_id: id,
        ticket: &ticket,
        filing: &filing,
        ruling: &Ruling::default(),
        mail: &mail,
    });
    assert!(event.body.len() <= EVENT_BYTES, "{} bytes of event", event.body.len());
    assert!(is_without_nul(&serde_json::from_str(&event.body).expect("an event is JSON")));
    let header = mail::read(&Message { extent: Extent::Header, ..message });
    assert!(header.defects.contains(&Defect::Oversized) && !header.defects.contains(&Defect::ParserFailed));
});

fn is_without_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => !text.contains('\0'),
        Value::Array(items) => items.iter().all(is_without_nul),
        Value::Object(fields) => {
            fields.iter().all(|(key, value)| !key.contains('\0') && is_without_nul(value))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
    }
}

//! Any bytes are read into a mail within limits, always the same one, and told to helpdesks in sound JSON without NUL.

#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use chrono::DateTime;
use libfuzzer_sys::fuzz_target;
use postroom::config::{Action, Actions, Filing, NewTopic};
use postroom::event::{Event, Found, Received};
use postroom::mail::{self, Authserv, Defect, Facts};
use postroom::message::{Extent, Listed, Message, Uid, UidValidity};
use postroom::rule::{Labels, Ruling};
use postroom::ticket::{self, Clues, Known, Policy, Ticket};
use serde_json::Value;
use uuid::Uuid;

/// A character of one byte becomes at most so many: of three bytes in UTF-8, and as an entity in HTML; and a reference
/// in compressed RTF stands for eight times its bytes.
const GROWTH: usize = 12 * 8;

/// What the smallest mail may grow to: marks, defects, ids.
const BASE: usize = 4_096;

/// No event is larger.
const EVENT_BYTES: usize = 320 * 1024;

/// Files all mail, with a key for tokens and without limits.
static POLICY: LazyLock<Policy> = LazyLock::new(|| {
    let filing = Filing {
        token_keys: vec!["a key of tests and nothing else".into()],
        threshold_percent: 70,
        reopen_window: Duration::ZERO,
        new_topic: NewTopic::Never,
        subject_prefix: "pr".to_owned(),
        shared_domains: Vec::new(),
        sender_per_hour: 0,
        sender_pause: Duration::ZERO,
        unlimited_senders: Vec::new(),
        ticket_per_day: 0,
        same_mail: 0,
        same_mail_window: Duration::ZERO,
        actions: Actions::all(Action::Ticket),
    };
    Policy::new(&filing, &[], &[], ["a@b"])
});

fuzz_target!(|source: &[u8]| {
    let listed = Listed { uid: Uid(1), size: source.len() as u64, internal_date: None };
    let message = Message { listed, source: source.to_vec(), extent: Extent::Whole };

    let facts = Facts::new(["a@b"], Authserv::Exchange);
    let mail = mail::read(&message, &facts);

    assert!(!mail.defects.contains(&Defect::ParserFailed), "a panic was caught");
    assert!(mail.text.len() <= GROWTH * source.len() + BASE);
    assert!(mail.html.as_ref().is_none_or(|html| html.len() <= GROWTH * source.len() + BASE));
    assert!(mail.reply_text().len() <= GROWTH * source.len() + BASE);
    assert_eq!(mail.reply_text().trim().is_empty(), mail.text.trim().is_empty(), "a reply is what there is");
    let headers: usize = mail.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    assert!(headers <= GROWTH * source.len() + BASE);
    assert_eq!(mail::read(&message, &facts).fingerprint, mail.fingerprint);
    for attachment in &mail.attachments {
        let bytes = mail::attached(source, attachment.part).expect("an attachment is found again");
        assert_eq!(bytes.len() as u64, attachment.size);
    }

    let policy = &*POLICY;
    let filing = ticket::file(&Clues::of(&mail, policy), &Known::default(), policy, DateTime::UNIX_EPOCH);
    let (id, number, status) = (Uuid::nil(), 1, "open".to_owned());
    let (subject, labels) = (mail.subject.clone(), Labels::default());
    let ticket = Ticket { id, number, subject, status, message_count: 1, labels };
    let event = Event::received(&Received {
        at: DateTime::UNIX_EPOCH,
        mailbox: "support",
        found: Some(Found { folder: "INBOX", uidvalidity: UidValidity(1), uid: Uid(1) }),
        message_id: id,
        ticket: Some(&ticket),
        filing: &filing,
        policy,
        ruling: &Ruling::default(),
        mail: &mail,
    })
    .expect("all mail is to go into a ticket");
    assert!(event.body.len() <= EVENT_BYTES, "{} bytes of event", event.body.len());
    assert!(is_without_nul(&serde_json::from_str(&event.body).expect("an event is JSON")));
    let header = mail::read(&Message { extent: Extent::Header, ..message }, &facts);
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

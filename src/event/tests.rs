//! What every event is: sound JSON without NUL, within bounds, and faithful to what fits.

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::mail;
use crate::message::{Extent, Listed, Message};
use crate::rule::{Labels, Ruling};
use crate::ticket;

/// What a receiver has to be able to take.
const EVENT_BYTES: usize = 320 * 1024;

/// A mail without anything in it.
fn blank() -> Mail {
    let listed = Listed { uid: Uid(1), size: 0, internal_date: None };
    mail::read(&Message { listed, source: Vec::new(), extent: Extent::Whole })
}

fn render(mail: &Mail) -> (Event, Value) {
    let filing = ticket::file(mail, &ticket::Threads::new());
    let (id, subject, status) = (Uuid::nil(), mail.subject.clone(), "open".to_owned());
    let ticket = Ticket { id, number: 1, subject, status, message_count: 1, labels: Labels::default() };
    let event = Event::received(&Received {
        at: DateTime::UNIX_EPOCH,
        mailbox: "support",
        found: Some(Found { folder: "INBOX", uidvalidity: UidValidity(1), uid: Uid(1) }),
        message_id: id,
        ticket: &ticket,
        filing: &filing,
        ruling: &Ruling::default(),
        mail,
    });
    let value = serde_json::from_str(&event.body).unwrap();
    (event, value)
}

/// A mail in which everything is `text`, as often and as long as reading lets it be.
fn full_of(text: &str) -> Mail {
    let times = |bytes: usize| text.repeat(bytes / text.len());
    let address = Address { name: times(998), address: times(998) };
    let attachment = Attachment {
        part: u32::MAX,
        filename: Some(times(255)),
        content_type: times(255),
        size: u64::MAX,
        sha256: [0xff; 32],
        content_id: Some(times(998)),
        inline: true,
    };
    Mail {
        message_id: Some(times(998)),
        in_reply_to: vec![times(998); 100],
        references: vec![times(998); 100],
        from: Some(address.clone()),
        sender: Some(address.clone()),
        reply_to: vec![address.clone(); 1_000],
        to: vec![address.clone(); 1_000],
        cc: vec![address; 1_000],
        subject: times(998),
        text: times(2 * 1024 * 1024),
        html: Some(times(96 * 1024)),
        headers: vec![("X-Priority".to_owned(), times(2_000)); 1_000],
        attachments: vec![attachment; 1_000],
        ..blank()
    }
}

#[test]
fn no_mail_makes_an_event_too_large_to_be_taken() {
    for text in ["x", "\"", "\u{1}", "\0", "\u{10ffff}", "\n"] {
        let (event, value) = render(&full_of(text));

        assert!(event.body.len() <= EVENT_BYTES, "{text:?}: {} bytes", event.body.len());
        assert_eq!(value["data"]["message"]["truncated"], true, "{text:?}");
    }
}

#[test]
fn what_matters_more_has_its_place_before_what_matters_less() {
    let mut mail = full_of("x");
    mail.references = (0..100).map(|i| format!("{i}")).collect();
    mail.in_reply_to.truncate(1);
    mail.reply_to.truncate(1);
    mail.headers.truncate(1);

    let (_, value) = render(&mail);

    let message = &value["data"]["message"];
    assert_eq!(message["references"].as_array().unwrap().len(), 100);
    assert_eq!(message["references"][99], "99");
    assert!(!message["to"].as_array().unwrap().is_empty());
    assert_eq!(value["data"]["attachments"].as_array().unwrap().len(), 0);
}

proptest! {
    #[test]
    fn an_event_says_what_the_mail_says_without_nul(
        texts in prop::collection::vec("(\\PC|\\x00|\\n|\\x01|\"){0,12}", 6),
    ) {
        let [subject, text, html, name, address, id] = texts.try_into().unwrap();
        let mut mail = blank();
        mail.to = vec![Address { name, address }; 2];
        mail.references = vec![id];
        mail.headers = vec![("List-Id".to_owned(), subject.clone()), ("X-Private".to_owned(), subject.clone())];
        (mail.subject, mail.text, mail.html) = (subject, text, Some(html));

        let (_, value) = render(&mail);

        let without_nul = |text: &str| text.replace('\0', "");
        let message = &value["data"]["message"];
        prop_assert_eq!(&message["subject"], &without_nul(&mail.subject));
        prop_assert_eq!(&message["text"], &without_nul(&mail.text));
        prop_assert_eq!(&message["html"], &without_nul(mail.html.as_ref().unwrap()));
        prop_assert_eq!(&message["to"][1]["name"], &without_nul(&mail.to[1].name));
        prop_assert_eq!(&message["to"][1]["address"], &without_nul(&mail.to[1].address));
        prop_assert_eq!(&message["references"][0], &without_nul(&mail.references[0]));
        prop_assert_eq!(message["headers"].as_array().unwrap().len(), 1);
        prop_assert_eq!(&message["truncated"], false);
    }

    #[test]
    fn a_text_is_cut_by_what_it_takes_in_json(text in "(\\PC|\\n|\\x01|\"|\\\\|\\x7f|\\x08){0,100}", max in 0..300_usize) {
        let kept = cut(&text, max);
        prop_assert!(text.starts_with(kept));
        let json = |text: &str| serde_json::to_string(text).unwrap().len() - 2;
        prop_assert!(json(kept) <= max);
        prop_assert!(kept.len() == text.len() || json(&text) > max);
    }
}

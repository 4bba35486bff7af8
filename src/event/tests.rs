//! What every event is: sound JSON without NUL, within bounds, and faithful to what fits.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::mail;
use crate::mail::Reply;
use crate::mail::calendar;
use crate::mail::calendar::{Participant, Time};
use crate::mail::{
    Action, Automation, Composite, Delivery, Feedback, Method, Original, Outcome, Receipt, Recipient, Report,
    Signal, Verdict,
};
use crate::message::{Extent, Listed, Message};
use crate::rule::{Labels, Ruling};
use crate::ticket;
use crate::ticket::Clues;

/// What a receiver has to be able to take.
const EVENT_BYTES: usize = 320 * 1024;

/// A mail without anything in it.
fn blank() -> Mail {
    let listed = Listed { uid: Uid(1), size: 0, internal_date: None };
    mail::read(&Message { listed, source: Vec::new(), extent: Extent::Whole }, &mail::Facts::default())
}

/// Into a ticket that it opens, whoever wrote it.
fn file(mail: &Mail, policy: &Policy) -> Filing {
    let policy = policy.of_release();
    ticket::file(&Clues::of(mail, &policy), &ticket::Known::default(), &policy, DateTime::UNIX_EPOCH)
}

fn render(mail: &Mail) -> (Event, Value) {
    let policy = ticket::tests::policy();
    let filing = file(mail, &policy);
    let (id, subject, status) = (Uuid::nil(), mail.subject.clone(), "open".to_owned());
    let ticket = Ticket { id, number: 1, subject, status, message_count: 1, labels: Labels::default() };
    let event = Event::received(&Received {
        at: DateTime::UNIX_EPOCH,
        mailbox: "support",
        found: Some(Found { folder: "INBOX", uidvalidity: UidValidity(1), uid: Uid(1) }),
        message_id: id,
        ticket: Some(&ticket),
        filing: &filing,
        policy: &policy,
        ruling: &Ruling::default(),
        mail,
    })
    .unwrap();
    let value = serde_json::from_str(&event.body).unwrap();
    (event, value)
}

/// A mail in which everything is `text`, as often and as long as reading lets it be.
fn full_of(text: &str) -> Mail {
    let times = |bytes: usize| text.repeat(bytes / text.len());
    // Reading leaves control characters out of reports.
    let printed = |bytes: usize| times(bytes).replace(char::is_control, "\\");
    let address = Address { name: times(998), address: times(998) };
    let attachment = Attachment {
        part: u32::MAX,
        filename: Some(times(255)),
        content_type: times(255),
        detected_type: Some("application/pdf"),
        size: u64::MAX,
        sha256: [0xff; 32],
        content_id: Some(times(998)),
        inline: true,
        referenced_by_html: true,
        from_tnef: true,
    };
    // Its texts are on one line.
    let on_one_line = text.replace(char::is_control, "x").repeat(998);
    let participant = Participant { name: on_one_line.clone(), address: on_one_line.clone() };
    let time = Time { local: times(20), zone: Some(on_one_line.clone()), utc: Some(DateTime::UNIX_EPOCH) };
    let calendar = Calendar {
        method: Some(times(32)),
        uid: Some(on_one_line.clone()),
        summary: Some(on_one_line.clone()),
        location: Some(on_one_line),
        status: Some(times(32)),
        start: Some(time.clone()),
        end: Some(time),
        recurring: true,
        organizer: Some(participant.clone()),
        reply: Some(calendar::Reply { participant, status: Some(times(32)) }),
    };
    let original = Original { message_id: Some(printed(998)), references: vec![printed(998); 20] };
    let recipient = Recipient {
        address: printed(998),
        original_address: Some(printed(998)),
        action: Action::Failed,
        status: Some("5.1.1".to_owned()),
        diagnostic_type: Some("smtp".to_owned()),
        diagnostic: Some(printed(500)),
    };
    let automation = Automation {
        verdict: Verdict::BounceFailed,
        signals: vec![Signal::DeliveryReport; 40],
        suppress_auto_response: true,
    };
    Mail {
        automation,
        report: Some(Report::Delivery(Delivery { recipients: vec![recipient; 100], original })),
        calendar: Some(calendar),
        protection: Some(Protection::SmimeEncrypted),
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
        reply: Some(Reply { text: Some(times(2 * 1024 * 1024)), method: Method::Inline, confidence: 97 }),
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

/// What the event about a mail says beside the mail itself.
fn told(verdict: Verdict, report: Report) -> Value {
    let mut mail = blank();
    mail.automation = Automation {
        verdict,
        signals: vec![Signal::DeliveryReport, Signal::NullReturnPath],
        suppress_auto_response: true,
    };
    mail.report = Some(report);
    render(&mail).1["data"].take()
}

#[test]
fn an_event_says_who_wrote_the_mail_and_why_that_is_thought() {
    let mail = blank();
    assert_eq!(
        render(&mail).1["data"]["automation"],
        json!({"verdict": "human", "signals": [], "suppress_auto_response": false})
    );

    let data = told(Verdict::BounceFailed, Report::Delivery(Delivery::default()));

    let signals = json!([
        {"name": "delivery_report", "strength": "hard"},
        {"name": "null_return_path", "strength": "soft"},
    ]);
    assert_eq!(
        data["automation"],
        json!({"verdict": "bounce_failed", "signals": signals, "suppress_auto_response": true})
    );
}

#[test]
fn an_event_about_a_report_says_what_it_is_about() {
    let original = || Original {
        message_id: Some("a@x".to_owned()),
        references: vec!["b@x".to_owned(), "c@x".to_owned()],
    };
    let told_original = json!({"message_id": "a@x", "references": ["b@x", "c@x"]});
    let recipient = Recipient {
        address: "ann@x".to_owned(),
        original_address: None,
        action: Action::Delayed,
        status: Some("4.4.7".to_owned()),
        diagnostic_type: Some("smtp".to_owned()),
        diagnostic: Some("timeout".to_owned()),
    };
    let delivery = || Delivery { recipients: vec![recipient.clone()], original: original() };

    let bounce = told(Verdict::BounceDelayed, Report::Delivery(delivery()));
    let arrived = told(Verdict::Receipt, Report::Delivery(delivery()));
    let receipt = told(
        Verdict::Receipt,
        Report::Receipt(Receipt {
            recipient: Some("ann@x".to_owned()),
            disposition: "displayed".to_owned(),
            manual: true,
            original: original(),
        }),
    );
    let feedback = || {
        Report::Feedback(Feedback {
            feedback_type: "abuse".to_owned(),
            reported_domain: Some("x".to_owned()),
            recipients: vec!["ann@x".to_owned()],
            original: original(),
        })
    };
    let complaint = told(Verdict::Complaint, feedback());
    let failed_check = told(Verdict::AutoGenerated, feedback());

    let told_recipient = json!({
        "address": "ann@x", "original_address": null, "action": "delayed", "status": "4.4.7",
        "diagnostic_type": "smtp", "diagnostic": "timeout",
    });
    assert_eq!(bounce["bounce"], json!({"recipients": [told_recipient], "original": told_original}));
    assert_eq!(
        receipt["receipt"],
        json!({"recipient": "ann@x", "disposition": "displayed", "manual": true, "original": told_original})
    );
    assert_eq!(
        complaint["complaint"],
        json!({
            "feedback_type": "abuse", "reported_domain": "x", "recipients": ["ann@x"], "original": told_original,
        })
    );
    for (data, said) in [(bounce, "bounce"), (receipt, "receipt"), (complaint, "complaint")] {
        let others = ["bounce", "receipt", "complaint"].into_iter().filter(|other| *other != said);
        assert!(others.into_iter().all(|other| data[other].is_null()), "{said}");
    }
    assert!(arrived["bounce"].is_null(), "a mail that arrived did not bounce");
    assert!(failed_check["complaint"].is_null(), "nobody complains of a failed check");
}

#[test]
fn an_event_says_what_a_trusted_server_found_of_the_sender() {
    let mut mail = blank();
    assert!(render(&mail).1["data"]["authentication"].is_null());
    mail.authentication = Some(Authentication {
        server: None,
        spf: Some(Outcome::SoftFail),
        dkim: Some(Outcome::TempError),
        dmarc: Some(Outcome::Pass),
        compauth: Some(Composite::SoftPass),
        compauth_reason: Some(109),
        aligned: true,
    });

    let (_, value) = render(&mail);

    assert_eq!(
        value["data"]["authentication"],
        json!({
            "server": null, "spf": "softfail", "dkim": "temperror", "dmarc": "pass", "compauth": "softpass",
            "compauth_reason": 109, "aligned": true,
        })
    );
}

#[test]
fn the_reply_is_told_beside_the_text() {
    let mut mail = blank();
    mail.text = "Yes.\n\n> Really?".to_owned();
    let (_, value) = render(&mail);
    assert_eq!(value["data"]["message"]["reply_text"], mail.text);

    mail.reply = Some(Reply { text: Some("Yes.".to_owned()), method: Method::TextQuote, confidence: 75 });
    let (_, value) = render(&mail);

    let message = &value["data"]["message"];
    assert_eq!((&message["text"], &message["reply_text"]), (&mail.text.into(), &"Yes.".into()));
    let extraction = json!({"method": "text_quote", "confidence": 0.75, "inline_answers": false});
    assert_eq!((&message["reply_extraction"], &message["truncated"]), (&extraction, &false.into()));
}

#[test]
fn a_reply_has_what_the_text_leaves() {
    let mut mail = blank();
    mail.text = "x".repeat(MAX_TEXT_BYTES);

    let (_, value) = render(&mail);

    let message = &value["data"]["message"];
    assert_eq!(message["text"].as_str().unwrap().len(), MAX_TEXT_BYTES);
    assert_eq!(message["reply_text"].as_str().unwrap().len(), MAX_TEXTS_BYTES - MAX_TEXT_BYTES);
    assert_eq!(message["truncated"], true);
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

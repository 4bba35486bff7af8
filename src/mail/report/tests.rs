//! What reports say, and what mail servers say in words.

use proptest::prelude::*;

use super::*;
use crate::mail::{Address, Facts, Mail, limit, read};
use crate::message::{Extent, Listed, Message, Uid};

fn mail(source: &str) -> Mail {
    let source = source.replace('\n', "\r\n").into_bytes();
    let listed = Listed { uid: Uid(1), size: 0, internal_date: None };
    read(&Message { listed, source, extent: Extent::Whole }, &Facts::default())
}

/// A report with these fields, and this returned.
fn report(kind: &str, fields: &str, returned: &str) -> Report {
    let source = format!(
        "From: mailer-daemon@x.example\nContent-Type: multipart/report; report-type={kind}; boundary=b\n\n\
         --b\n\nIn words.\n--b\nContent-Type: message/{kind}\n\n{fields}\n{returned}--b--\n"
    );
    mail(&source).report.expect("it is a report")
}

fn delivery(fields: &str, returned: &str) -> Delivery {
    match report("delivery-status", fields, returned) {
        Report::Delivery(delivery) => delivery,
        other => panic!("{other:?}"),
    }
}

fn notice(text: &str) -> Notice {
    let us = Address { name: String::new(), address: "us@example.com".to_owned() };
    Notice::read(text, &[us])
}

fn recipients(delivery: &Delivery) -> Vec<(&str, Action, Option<&str>)> {
    let recipients = delivery.recipients.iter();
    recipients
        .map(|recipient| (recipient.address.as_str(), recipient.action, recipient.status.as_deref()))
        .collect()
}

/// Holds for every report, however it was made.
pub(in crate::mail) fn assert_within_limits(report: &Report) {
    let is_text = |text: &str, chars: usize| {
        assert!(text.chars().count() <= chars && !text.contains(char::is_control), "{text:?}");
    };
    let original = match report {
        Report::Delivery(Delivery { recipients, original }) => {
            assert!(recipients.len() <= limit::RECIPIENTS_REPORTED);
            for recipient in recipients {
                assert!(!recipient.address.is_empty());
                is_text(&recipient.address, limit::ID_BYTES);
                is_text(recipient.original_address.as_deref().unwrap_or_default(), limit::ID_BYTES);
                is_text(recipient.status.as_deref().unwrap_or_default(), 9);
                is_text(recipient.diagnostic_type.as_deref().unwrap_or_default(), limit::KEYWORD_CHARS);
                is_text(recipient.diagnostic.as_deref().unwrap_or_default(), limit::DIAGNOSTIC_CHARS);
            }
            original
        }
        Report::Receipt(receipt) => {
            is_text(receipt.recipient.as_deref().unwrap_or_default(), limit::ID_BYTES);
            is_text(&receipt.disposition, limit::KEYWORD_CHARS);
            &receipt.original
        }
        Report::Feedback(feedback) => {
            assert!(feedback.recipients.len() <= limit::RECIPIENTS_REPORTED);
            feedback.recipients.iter().for_each(|recipient| is_text(recipient, limit::ID_BYTES));
            is_text(&feedback.feedback_type, limit::KEYWORD_CHARS);
            is_text(feedback.reported_domain.as_deref().unwrap_or_default(), limit::DOMAIN_CHARS);
            &feedback.original
        }
    };
    assert!(original.references.len() <= limit::REFERENCES_REPORTED);
    for id in original.message_id.iter().chain(&original.references) {
        assert!(!id.is_empty() && id.len() <= limit::ID_BYTES);
        is_text(id, limit::ID_BYTES);
    }
}

#[test]
fn what_a_recipients_fields_leave_out_follows_from_the_others() {
    for (fields, expected) in [
        ("Final-Recipient: rfc822; a@x\nAction: failed\nStatus: 5.1.1", (Action::Failed, Some("5.1.1"))),
        ("Final-Recipient: rfc822; a@x\nStatus: 4.2.2", (Action::Delayed, Some("4.2.2"))),
        ("Final-Recipient: rfc822; a@x\nStatus: 2.0.0", (Action::Delivered, Some("2.0.0"))),
        ("Original-Recipient: a@x\nAction: Expanded", (Action::Expanded, None)),
        ("Final-Recipient: rfc822; a@x", (Action::Failed, None)),
        (
            "Final-Recipient: rfc822; a@x\nAction: gone\nDiagnostic-Code: smtp; 452 4.2.2 Full",
            (Action::Delayed, Some("4.2.2")),
        ),
        (
            "Final-Recipient: rfc822; a@x\nAction: failed\nStatus: 5.0.0\nDiagnostic-Code: smtp; 550 5.1.1 No",
            (Action::Failed, Some("5.1.1")),
        ),
        (
            "Final-Recipient: rfc822; a@x\nAction: failed\nStatus: 5.0.0\nDiagnostic-Code: smtp; 450 4.1.1 No",
            (Action::Failed, Some("5.0.0")),
        ),
    ] {
        let delivery = delivery(&format!("Reporting-MTA: dns; x\n\n{fields}\n"), "");
        assert_eq!(recipients(&delivery), [("a@x", expected.0, expected.1)], "{fields}");
    }
}

#[test]
fn groups_are_found_however_they_are_parted() {
    let apart =
        "Reporting-MTA: dns; x\n\n\n\nFinal-Recipient: a@x\nStatus: 5.1.1\n \nFinal-Recipient: b@x\n\n";
    let together = "Final-Recipient: a@x\nStatus: 5.1.1\nFinal-Recipient: b@x\nAction: failed\n";
    let with_junk = "no field at all\n\nFinal-Recipient: a@x\nStatus: 5.1.1\n\n????\nFinal-Recipient: b@x\n";

    for fields in [apart, together, with_junk] {
        let delivery = delivery(fields, "");
        let addresses: Vec<&str> = recipients(&delivery).iter().map(|recipient| recipient.0).collect();
        assert_eq!(addresses, ["a@x", "b@x"], "{fields}");
    }
}

#[test]
fn the_original_is_named_by_what_came_back_or_by_the_report() {
    let returned = |kind: &str| {
        format!(
            "--b\nContent-Type: {kind}\n\nMessage-ID: <a@x>\nReferences: <b@x>\nIn-Reply-To: <c@x> <b@x>\n\n"
        )
    };
    for kind in ["message/rfc822", "text/rfc822-headers", "message/global-headers", "text/rfc822-header"] {
        let original = delivery("Final-Recipient: a@x\n", &returned(kind)).original;
        assert_eq!(original.message_id.as_deref(), Some("a@x"), "{kind}");
        assert_eq!(original.references, ["b@x", "c@x"], "{kind}");
    }
    let by_field = delivery("X-Original-Message-ID: <d@x>\n\nFinal-Recipient: a@x\n", "").original;
    assert_eq!(by_field.message_id.as_deref(), Some("d@x"));
    let answer = mail(
        "From: mailer-daemon@x.example\nIn-Reply-To: <e@x>\n\
         Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n\
         --b\nContent-Type: message/delivery-status\n\nFinal-Recipient: a@x\n--b--\n",
    );
    match answer.report {
        Some(Report::Delivery(delivery)) => assert_eq!(delivery.original.message_id.as_deref(), Some("e@x")),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_receipt_says_what_was_done_and_by_whom() {
    for (written, disposition, manual) in [
        ("manual-action/MDN-sent-manually; displayed", "displayed", true),
        ("automatic-action/MDN-sent-automatically;deleted/error,x", "deleted", false),
        ("Automatic-Action/MDN-Sent-Automatically (by rule); Processed", "processed", false),
        ("displayed", "displayed", false),
        ("", "", false),
    ] {
        let fields =
            format!("Final-Recipient: rfc822;a@x\nOriginal-Message-ID: <o@x>\nDisposition: {written}\n");
        let expected = Receipt {
            recipient: Some("a@x".to_owned()),
            disposition: disposition.to_owned(),
            manual,
            original: Original { message_id: Some("o@x".to_owned()), references: Vec::new() },
        };
        let receipt = report("disposition-notification", &fields, "");
        assert!(receipt == Report::Receipt(expected), "{written}");
    }
}

#[test]
fn words_of_a_notice_are_read() {
    for (text, expected) in [
        (
            "Sorry.\n\n<a@x.example>:\n192.0.2.7 does not like recipient.\n550 no mailbox (#5.1.1)\n",
            &[("a@x.example", Action::Failed, Some("5.1.1"))][..],
        ),
        (
            "following address(es) failed:\n\n  a@x.example\n    552 5.2.2 full\n  b@x.example\n    550 unknown\n",
            &[("a@x.example", Action::Failed, Some("5.2.2")), ("b@x.example", Action::Failed, None)],
        ),
        (
            "Your message to a@x.example couldn't be delivered.\nStatus code: 550 5.7.350\n",
            &[("a@x.example", Action::Failed, Some("5.7.350"))],
        ),
        (
            "Sender Address: us@example.com\nRecipient Address: a@x.example\n",
            &[("a@x.example", Action::Failed, None)],
        ),
        (
            "Message from us@example.com to a@x.example has not\n yet been delivered. Ask postmaster@x.example\n",
            &[("a@x.example", Action::Delayed, None)],
        ),
        (
            "us@example.com\npostmaster@x.example is sorry.\n",
            &[("postmaster@x.example", Action::Failed, None)],
        ),
        ("Nobody is named: @ x@ @x a@b\n", &[]),
    ] {
        let notice = notice(text);
        assert_eq!(recipients(&notice.delivery), expected, "{text}");
    }
}

#[test]
fn the_original_behind_the_words_is_read_and_its_people_are_no_recipients() {
    let notice = notice(
        "<a@x.example>: host mx.x.example said: 550 5.1.1 User unknown\n\n\
         ------ This is a copy of the message, including all the headers. ------\n\n\
         \tReceived: from y by z\n\tMessage-ID: <o@example.com>\n\tIn-Reply-To: <m@x.example>\n\tTo: b@x.example\n\n\
         b@x.example\n",
    );

    assert_eq!(recipients(&notice.delivery), [("a@x.example", Action::Failed, Some("5.1.1"))]);
    assert_eq!(notice.delivery.original.message_id.as_deref(), Some("o@example.com"));
    assert!(notice.has_refusal && !notice.has_fields);
}

#[test]
fn fields_of_a_report_in_the_text_are_read_as_such() {
    let notice = notice(
        "Technical report:\n\nReporting-MTA: dns; x\n\nAction: delayed\nFinal-Recipient: rfc822; a@x\n",
    );

    assert!(notice.has_fields);
    assert_eq!(recipients(&notice.delivery), [("a@x", Action::Delayed, None)]);
}

#[test]
fn endless_reports_are_cut() {
    let many: String =
        (0..5_000).fold(String::new(), |all, i| all + &format!("Final-Recipient: rfc822; {i}@x\n\n"));
    let long = format!("Final-Recipient: a@x\nDiagnostic-Code: smtp; {}\n", "é".repeat(5_000));
    let ids: String = (0..500).fold(String::new(), |all, i| all + &format!("<{i}@x>\n "));
    let returned = format!("--b\nContent-Type: message/rfc822\n\nReferences: {ids}\nSubject: x\n\n");

    assert_eq!(delivery(&many, "").recipients.len(), limit::RECIPIENTS_REPORTED);
    let diagnostic = delivery(&long, "").recipients.remove(0).diagnostic.unwrap();
    assert_eq!(diagnostic.chars().count(), limit::DIAGNOSTIC_CHARS);
    let references = delivery("Final-Recipient: a@x\n", &returned).original.references;
    assert_eq!(references.len(), limit::REFERENCES_REPORTED);
    assert_eq!(references.last().unwrap(), "499@x");
}

#[test]
fn nothing_of_a_report_is_in_its_debug_form() {
    let delivery = delivery(
        "Final-Recipient: private@x\nDiagnostic-Code: smtp; private\n",
        "--b\nContent-Type: message/rfc822\n\nMessage-ID: <private@x>\n\n",
    );
    let receipt =
        report("disposition-notification", "Final-Recipient: private@x\nDisposition: private\n", "");
    let feedback = report("feedback-report", "Original-Rcpt-To: private@x\nReported-Domain: private\n", "");

    let debug = format!("{delivery:?} {receipt:?} {feedback:?}");

    assert!(!debug.contains("private"), "{debug}");
}

proptest! {
    #[test]
    fn any_words_are_read_within_limits(
        pieces in prop::collection::vec(prop::sample::select(&[
            "a@x.example", "<", ">", ":", "\n", " ", "\t", "@", ".", "550", "5.1.1", "Received:", "Message-ID: <a@b>",
            "Final-Recipient: rfc822;", "Action: ", "Status: ", "Recipient", "- ", "é", "\0", "\u{202e}", "x",
        ][..]), 0..80),
    ) {
        let notice = notice(&pieces.concat());

        prop_assert!(notice.delivery.recipients.len() <= limit::RECIPIENTS_REPORTED);
        for recipient in &notice.delivery.recipients {
            prop_assert!(!recipient.address.is_empty() && recipient.address.len() <= limit::ID_BYTES);
            prop_assert!(!recipient.address.contains(char::is_control));
        }
    }
}

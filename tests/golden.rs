//! Golden mails: each `tests/mail/NN-what-it-shows.eml` is read, and what a person and a dashboard would see
//! of it is compared with the snapshot beside it.

#![expect(clippy::unwrap_used, reason = "a failed setup step is a failed test")]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use chrono::DateTime;
use postroom::mail::{self, Address, Authserv, Facts, Mail, Protection};
use postroom::message::{Extent, Listed, Message, Uid};

#[test]
fn every_golden_mail_is_read_as_its_snapshot_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mail");
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("mail/snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "eml"));
    paths.sort();

    for path in &paths {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let source = fs::read(path).unwrap();
        let mail = mail::read(&message(source.clone()), &facts(name));
        settings.bind(|| insta::assert_snapshot!(name, view(&mail)));
        for attachment in &mail.attachments {
            let bytes = mail::attached(&source, attachment.part).unwrap();
            assert_eq!(bytes.len() as u64, attachment.size, "{name}, part {}", attachment.part);
        }
    }

    assert!(paths.len() > 100, "{} golden mails", paths.len());
}

fn message(source: Vec<u8>) -> Message {
    let received = DateTime::parse_from_rfc3339("2026-03-03T08:05:09Z").unwrap();
    let listed = Listed { uid: Uid(1), size: source.len() as u64, internal_date: Some(received) };
    Message { listed, source, extent: Extent::Whole }
}

/// What the configuration of the mailbox said that a mail came to.
fn facts(name: &str) -> Facts {
    let authserv = if name.contains("exchange-online") {
        Authserv::Exchange
    } else {
        Authserv::Named(vec!["mx.example.com".to_owned()])
    };
    Facts::new(["support@example.com"], authserv)
}

/// Everything in a mail, for reading.
fn view(mail: &Mail) -> String {
    let mut view = String::new();
    let mut line = |name: &str, value: &str| {
        if !value.is_empty() {
            writeln!(view, "{name}: {}", visible(value)).unwrap();
        }
    };
    line("from", &addresses(mail.from.as_slice()));
    line("sender", &addresses(mail.sender.as_slice()));
    line("reply-to", &addresses(&mail.reply_to));
    line("to", &addresses(&mail.to));
    line("cc", &addresses(&mail.cc));
    line("subject", &mail.subject);
    line("date", &mail.date.map(|date| date.to_rfc3339()).unwrap_or_default());
    line("received", &mail.received.map(|date| date.to_rfc3339()).unwrap_or_default());
    line("message-id", mail.message_id.as_deref().unwrap_or_default());
    line("in-reply-to", &mail.in_reply_to.join(" | "));
    line("references", &mail.references.join(" | "));
    line("size", &mail.size.to_string());
    line("fingerprint", &hex(&mail.fingerprint.0));
    let reply = mail.reply.as_ref().map(|reply| format!("{}, {}", reply.method.as_str(), reply.confidence));
    line("reply", &reply.unwrap_or_default());
    line("defects", &mail.defects.iter().map(|defect| defect.as_str()).collect::<Vec<_>>().join(", "));
    line("verdict", &verdict(mail));
    line("report", &mail.report.as_ref().map(json).unwrap_or_default());
    line("authentication", &mail.authentication.as_ref().map(json).unwrap_or_default());
    for attachment in &mail.attachments {
        let filename = attachment.filename.as_deref().unwrap_or("(no name)");
        let content_id = attachment.content_id.as_deref().map(|id| format!(", id {id}")).unwrap_or_default();
        let detected = attachment.detected_type.map(|found| format!(" (really {found})")).unwrap_or_default();
        let facts = [
            (attachment.inline, ", inline"),
            (attachment.referenced_by_html && !attachment.inline, ", referenced"),
            (attachment.from_tnef, ", from winmail.dat"),
        ];
        let facts: String = facts.iter().filter(|(holds, _)| *holds).map(|(_, fact)| *fact).collect();
        line(
            "attachment",
            &format!(
                "part {}: {filename}, {}{detected}, {} bytes{content_id}{facts}, {}",
                attachment.part,
                attachment.content_type,
                attachment.size,
                hex(&attachment.sha256[..8])
            ),
        );
    }
    line("protection", mail.protection.map(Protection::as_str).unwrap_or_default());
    line("calendar", &mail.calendar.as_ref().map(|c| serde_json::to_string(c).unwrap()).unwrap_or_default());
    let headers: Vec<String> = mail
        .headers
        .iter()
        .map(|(name, value)| {
            format!(
                "{name}: {value}
"
            )
        })
        .collect();
    section(&mut view, "headers", &headers.concat());
    section(&mut view, "text", &mail.text);
    section(
        &mut view,
        "reply",
        mail.reply.as_ref().and_then(|reply| reply.text.as_deref()).unwrap_or_default(),
    );
    section(&mut view, "html", mail.html.as_deref().unwrap_or_default());
    view
}

/// Who wrote a mail and why that is thought; nothing of one that nothing is known against.
fn verdict(mail: &Mail) -> String {
    let automation = &mail.automation;
    if automation.signals.is_empty() {
        return String::new();
    }
    let signals: Vec<String> = automation
        .signals
        .iter()
        .map(|signal| format!("{} ({})", signal.as_str(), signal.strength().as_str()))
        .collect();
    let answered = if automation.suppress_auto_response { ", not to be answered automatically" } else { "" };
    format!("{}{answered}, by {}", automation.verdict.as_str(), signals.join(", "))
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap()
}

fn section(view: &mut String, name: &str, content: &str) {
    if !content.is_empty() {
        writeln!(view, "\n---- {name}\n{}", visible(content)).unwrap();
    }
}

fn addresses(addresses: &[Address]) -> String {
    addresses
        .iter()
        .map(|Address { name, address }| format!("{name} <{address}>"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// Shows characters that a terminal or an editor would not.
fn visible(text: &str) -> String {
    let hidden = |char: char| char.is_control() && char != '\n' || char == '\u{fffd}' || char == '\u{a0}';
    text.chars()
        .flat_map(|char| if hidden(char) { char.escape_unicode().collect() } else { vec![char] })
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

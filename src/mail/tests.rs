//! What holds for every mail: reading ends, soon, with a `Mail` within limits, and tells the same mail by its
//! content.

mod fingerprint;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use chrono::DateTime;
use proptest::prelude::*;

use super::*;
use crate::message::{Extent, Listed, Message, Uid};

fn message(source: impl Into<Vec<u8>>) -> Message {
    let received = DateTime::parse_from_rfc3339("2026-03-03T08:05:09Z").unwrap();
    let source = source.into();
    let listed = Listed { uid: Uid(1), size: source.len() as u64, internal_date: Some(received) };
    Message { listed, source, extent: Extent::Whole }
}

fn read(message: &Message) -> Mail {
    super::read(message, &Facts::new(["support@example.com"], Authserv::Exchange))
}

/// Reads a mail that is made to exhaust the reader.
fn read_hostile(source: impl Into<Vec<u8>>) -> Mail {
    let message = message(source);
    let started = Instant::now();

    let mail = read(&message);

    // Far more than it takes, even unoptimised on a busy machine; far less than its square.
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    assert_within_limits(&mail);
    mail
}

fn assert_within_limits(mail: &Mail) {
    for addresses in [&mail.reply_to, &mail.to, &mail.cc] {
        assert!(addresses.len() <= limit::ADDRESSES);
        assert!(addresses.iter().all(|address| address.address.len() <= limit::ID_BYTES));
        assert!(addresses.iter().all(|address| address.name.chars().count() <= limit::NAME_CHARS));
    }
    for ids in [&mail.references, &mail.in_reply_to] {
        assert!(ids.len() <= limit::IDS);
        assert!(ids.iter().all(|id| !id.is_empty() && id.len() <= limit::ID_BYTES));
        assert!(ids.iter().all(|id| !id.contains(['<', '>', ' ', '\n', '\r'])));
    }
    assert!(mail.subject.chars().count() <= limit::NAME_CHARS);
    assert!(mail.headers.len() <= limit::FIELDS);
    assert!(mail.headers.iter().all(|(_, value)| value.len() <= limit::VALUE_BYTES && !value.contains('\n')));
    assert!(mail.attachments.len() <= limit::PARTS);
    for attachment in &mail.attachments {
        if let Some(name) = &attachment.filename {
            assert!(!name.is_empty() && name.len() <= limit::FILENAME_BYTES);
            assert!(!name.contains(['/', '\\', '\0', '\n']) && !name.starts_with('.'));
        }
    }
    assert!(mail.text.len() <= limit::TEXT_BYTES && !mail.text.contains('\r'));
    let reply = mail.reply.as_ref().and_then(|reply| reply.text.as_ref());
    assert!(reply.is_none_or(|reply| !reply.trim().is_empty()));
    assert!(!mail.reply_text().is_empty() || mail.text.is_empty());
    if let Some(html) = &mail.html {
        assert!(html.len() <= limit::HTML_BYTES);
    }
    let automation = &mail.automation;
    assert!(automation.signals.is_sorted_by(|one, next| one < next), "each once, in order");
    assert!(automation.verdict == Verdict::Human || automation.suppress_auto_response);
    if let Some(report) = &mail.report {
        assert_ne!(automation.verdict, Verdict::Human);
        report::tests::assert_within_limits(report);
    }
    if let Some(server) = mail.authentication.as_ref().and_then(|found| found.server.as_ref()) {
        assert!(server.len() <= limit::DOMAIN_CHARS && !server.contains(char::is_control));
    }
    // A panic would not show otherwise: it is caught.
    assert!(!mail.defects.contains(&Defect::ParserFailed));
    assert!(mail.defects.is_sorted_by(|one, next| one < next), "each once, in order: {:?}", mail.defects);
}

static GOLDEN_MAILS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mail");
    let replies = fs::read_dir(folder.join("reply")).unwrap();
    let paths = fs::read_dir(folder).unwrap().chain(replies).map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = paths.filter(|path| path.extension().is_some_and(|e| e == "eml")).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
});

proptest! {
    #[test]
    fn any_bytes_are_read_within_limits(source in prop::collection::vec(any::<u8>(), 0..2_000)) {
        assert_within_limits(&read(&message(source)));
    }

    #[test]
    fn anything_that_looks_like_mail_is_read_within_limits(
        pieces in prop::collection::vec(prop::sample::select(&[
            "From: ", "To: ", "Subject: ", "References: ", "Date: ", "Message-ID: ", "Content-Type: ", "\r\n", "\n",
            "\r\n\r\n", "\r\n ", "multipart/mixed; boundary=b", "multipart/alternative; boundary=\"b\"", "text/html",
            "message/rfc822", "--b", "--b--", "Content-Transfer-Encoding: base64", "quoted-printable", "=?utf-8?q?",
            "=?utf-8?b?", "?=", "=C3=", "<a@b>", "<", ">", "\"", "(", ";", ":", ",", "=", "name*0*=x'y'%z;",
            "charset=iso-2022-jp", "\x1b$B", "é", "\0", "<p>", "<table>", "<b>", "</p>", "<!--", "&amp;", "cid:", "YWJj",
            "3 Mar 2026 09:05:07 +0100", "filename=\"../a\"", "x", "Return-Path: <>", "X-Failed-Recipients: ",
            "multipart/report; report-type=delivery-status; boundary=b", "message/delivery-status", "Status: 5.1.1",
            "Final-Recipient: rfc822;", "message/feedback-report", "Feedback-Type: ", "Disposition: ", "text/calendar",
            "Authentication-Results: spf=", "Auto-Submitted: ", "auto-replied", "METHOD:REQUEST", "mailer-daemon@x.example",
        ][..]), 0..60),
    ) {
        assert_within_limits(&read(&message(pieces.concat())));
    }

    #[test]
    fn a_damaged_mail_is_read_within_limits(
        which in any::<prop::sample::Index>(),
        damages in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 1..20),
        end in any::<prop::sample::Index>(),
    ) {
        let mut source = which.get(&GOLDEN_MAILS).clone();
        for (at, byte, how) in damages {
            let at = at.index(source.len() + 1);
            match how {
                0 => source.insert(at, byte),
                1 => drop(source.drain(at..(at + usize::from(byte)).min(source.len()))),
                _ => source.iter_mut().skip(at).take(1).for_each(|old| *old = byte),
            }
        }
        source.truncate(end.index(2 * source.len() + 1));
        assert_within_limits(&read(&message(source)));
    }
}

#[test]
fn messages_in_messages_cost_nothing() {
    let mail = read_hostile("Content-Type: message/rfc822\n\n".repeat(32_000));

    assert_eq!(mail.attachments.len(), 1);
}

#[test]
fn deep_multiparts_are_left_whole() {
    let mut source = String::new();
    for level in 0..20_000 {
        write!(source, "Content-Type: multipart/mixed; boundary={level}\n\n--{level}\n").unwrap();
    }

    let mail = read_hostile(source);

    assert_eq!(mail.attachments.len(), 1);
    assert!(mail.defects.contains(&Defect::TooDeep));
}

#[test]
fn a_hundred_thousand_parts_are_a_thousand() {
    let head = "Content-Type: multipart/mixed; boundary=b\n\n";

    let mail = read_hostile(head.to_owned() + &"--b\nContent-Type: a/b\n\nx\n".repeat(100_000));

    assert_eq!(mail.attachments.len(), limit::PARTS - 1);
    assert!(mail.defects.contains(&Defect::TooMany));
}

#[test]
fn a_hundred_thousand_fields_are_a_thousand() {
    let mail = read_hostile("A: b\n".repeat(100_000) + "\nthe text\n");

    assert_eq!(mail.headers.len(), limit::FIELDS);
    assert!(mail.defects.contains(&Defect::TooMany));
    assert_eq!(mail.text, "the text\n");
}

#[test]
fn an_endless_subject_is_cut() {
    for piece in [
        "x",
        "=?ab?q?x",
        "=?utf-8?b?YQ==?= ",
        "=?utf-8?b?YQ?= ",
        "=?utf-8?b?Y?= ",
        "=?utf-8?q?=C3?= ",
        "=?utf-8?q?=3D=3Futf-8=3Fq=3Fx=3F=3D?= ",
        "=?iso-2022-jp?b?GyRCJA?= ",
    ] {
        let source = format!("Subject: {}\n\nthe text\n", piece.repeat(400_000 / piece.len()));

        let mail = read_hostile(source);

        assert!(mail.defects.contains(&Defect::TooLong), "{piece}");
        assert_eq!(mail.text, "the text\n");
    }
}

#[test]
fn a_field_that_never_ends_is_left_out() {
    let mail =
        read_hostile(format!("From: a@example.com\nSubject: {}\n\nthe text\n", "x ".repeat(1_000_000)));

    assert_eq!(mail.subject, "");
    assert!(mail.defects.contains(&Defect::TooMany));
    assert_eq!(mail.text, "the text\n");
}

#[test]
fn endless_lists_in_a_header_are_cut() {
    let source = format!(
        "To: {}\nReferences: {}\nCc: {}\nContent-Type: a/b{}\n\n",
        "a@example.com, ".repeat(5_000),
        (0..5_000).fold(String::new(), |ids, i| ids + &format!("<{i}@example.com> ")),
        "(".repeat(100_000),
        "; a*1*=''%41 =?ab?q?x".repeat(5_000)
    );

    let mail = read_hostile(source);

    assert_eq!(mail.to.len(), limit::ADDRESSES);
    assert_eq!(mail.references.len(), limit::IDS);
    assert_eq!(mail.references.last().unwrap(), "4999@example.com");
    assert!(mail.defects.contains(&Defect::TooMany));
}

#[test]
fn a_single_long_line_is_cut() {
    let mail = read_hostile([b"\n".as_slice(), &vec![b'x'; 8 * 1024 * 1024]].concat());

    assert_eq!(mail.text.len(), limit::TEXT_BYTES);
    assert!(mail.defects.contains(&Defect::TooLong));
}

#[test]
fn charsets_that_never_come_to_rest_cost_no_more_than_their_length() {
    for (label, piece) in [
        ("iso-2022-jp", &b"\x1b$B$"[..]),
        ("iso-2022-jp", b"\x1b(I\x0ex"),
        ("us-ascii", b"\x1b$)C\x1b"),
        ("hz-gb-2312", b"~{~"),
        ("utf-7", b"+AAA"),
        ("utf-7", b"+ "),
        ("utf-16", b"\xd8\n"),
        ("utf-32", b"\xff"),
        ("cp437", b"\xff"),
        ("utf-8", b"\xff\n\xc3\xbc\xff\n\xc3\xbc\n"),
        ("iso-8859-2", b"\x80 \xc3"),
        ("shift_jis", b"\xfd\xc3"),
        ("x-unknown", b"\xfc"),
        ("x-unknown", b"plain plain \xfc\n"),
    ] {
        let head = format!("Content-Type: text/plain; charset={label}; format=flowed\n\n");

        let mail = read_hostile([head.as_bytes(), &piece.repeat(2_000_000 / piece.len())].concat());

        assert!(!mail.text.is_empty(), "{label}");
    }
}

#[test]
fn lines_that_never_end_flow_no_longer_than_they_are() {
    for piece in ["x \n", "> \n", ">", "> > x \n", " "] {
        let body = piece.repeat(2_000_000 / piece.len());

        let mail = read_hostile(format!("Content-Type: text/plain; format=flowed\n\n{body}"));

        assert!(mail.text.len() <= 2 * body.len(), "{piece}");
    }
}

#[test]
fn html_that_would_exhaust_its_parser_is_read_as_text() {
    let formatting = (0..600).map(|i| format!("<b id={i}>")).collect::<Vec<_>>().concat();
    let attributes = (0..50_000).map(|i| format!("a{i} ")).collect::<Vec<_>>().concat();
    for html in [
        "<div>".repeat(100_000) + "x",
        format!("<p>{formatting}</p>{}", "<p>x</p>".repeat(5_000)),
        format!("<table>{}", "x<i></i>".repeat(30_000)),
        format!("<p {attributes}>x"),
        "<p>x</p>".repeat(200_000),
    ] {
        let mail = read_hostile(format!("Content-Type: text/html\n\n{html}"));

        assert_eq!(mail.html, None);
        assert!(mail.defects.contains(&Defect::HtmlTooComplex));
        assert!(mail.text.contains('x'));
    }
}

#[test]
fn endless_reports_and_notices_cost_no_more_than_their_length() {
    let head = |kind: &str| format!("From: mailer-daemon@x.example\nReturn-Path: <>\nContent-Type: {kind}\n");
    for source in [
        head("message/delivery-status") + "\n" + &"Final-Recipient: rfc822; a@x\n\n".repeat(100_000),
        head("message/delivery-status") + "\n" + &"\n".repeat(2_000_000),
        head("message/delivery-status") + "\n" + &"no field\n".repeat(200_000),
        head("message/feedback-report") + "\n" + &"Original-Rcpt-To: <".repeat(100_000),
        head("text/plain") + "\n" + &"a@b.c".repeat(400_000),
        head("text/plain") + "\n" + &"<a@b.c>\n".repeat(200_000),
        head("text/plain") + "\n" + &"Message-ID:\n".repeat(200_000),
        head("text/plain") + "\n" + &"Action: failed\n\n".repeat(100_000),
        head("text/calendar") + "\n" + &"a:".repeat(1_000_000),
        head("text/plain") + &format!("X-Failed-Recipients: {}\n\n", "a@b.c,".repeat(60_000)),
        head("text/plain") + &format!("Subject: {}\n\n", "[".repeat(400_000)),
    ] {
        read_hostile(source);
    }
}

#[test]
fn nuls_and_nothing_are_read() {
    assert_eq!(read_hostile(vec![0; 100_000]).text.len(), 100_000);
    assert_eq!(
        read_hostile("").defects,
        [Defect::Empty, Defect::NoFrom, Defect::NoMessageId, Defect::NoDate]
    );
    assert_eq!(read_hostile("\r\n\r\n").text, "\n");
}

#[test]
fn an_oversized_message_is_its_header() {
    let whole = message("From: a@example.com\r\nContent-Type: text/plain\r\n\r\n");

    let mail = read(&Message { extent: Extent::Header, ..whole });

    assert_eq!(mail.from.unwrap().address, "a@example.com");
    assert_eq!(mail.text, "");
    assert_eq!(mail.defects, [Defect::NoMessageId, Defect::NoDate, Defect::Oversized]);
}

const PLAIN: &str = "From: =?utf-8?q?J=C3=B6rg?= <j@example.com>\r\nSubject: Hello\r\n there\r\n\
    Date: Tue, 3 Mar 2026 09:05:07 +0100\r\nMessage-ID: <a@example.com>\r\n\
    Content-Type: multipart/mixed; boundary=one\r\n\r\n\
    --one\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
    Gr=C3=BC=C3=9Fe=20\r\nund mehr\r\n\r\n--one\r\nContent-Type: application/pdf; name=a.pdf\r\n\
    Content-Transfer-Encoding: base64\r\n\r\ncGRm\r\ncGRm\r\n\
    --one\r\nContent-Type: message/rfc822\r\n\r\nMessage-ID: <b@example.com>\r\n\
    Content-Type: multipart/mixed; boundary=two\r\n\r\n--two\r\n\r\ninner\r\n--two--\r\n--one--\r\n";

#[test]
fn a_mail_came_when_the_server_says_or_when_it_was_sent_if_that_can_be_true() {
    let came_at = |date: &str, received: bool| {
        let mut message = message(format!("Date: {date}\n\n"));
        message.listed.internal_date = message.listed.internal_date.filter(|_| received);
        read(&message).came_at().map(|date| date.to_rfc3339())
    };

    assert_eq!(came_at("1 Mar 2026 10:00:00 +0000", true).as_deref(), Some("2026-03-03T08:05:09+00:00"));
    assert_eq!(came_at("1 Mar 2026 10:00:00 +0000", false).as_deref(), Some("2026-03-01T10:00:00+00:00"));
    assert_eq!(came_at("1 Mar 2139 10:00:00 +0000", false), None);
    assert_eq!(came_at("long ago", false), None);
}

#[test]
fn nothing_of_a_mail_is_in_its_debug_form() {
    let mail = read(&message(PLAIN));

    let debug = format!("{mail:?}{:?}{:?}", mail.from, mail.attachments);

    for private in ["Jörg", "example.com", "Hello", "Grüße", "a.pdf"] {
        assert!(!debug.contains(private), "{debug}");
    }
}

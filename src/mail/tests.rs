//! What holds for every mail: reading ends, soon, with a `Mail` within limits, and tells the same mail by its
//! content.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use base64::Engine as _;
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
    if let Some(html) = &mail.html {
        assert!(html.len() <= limit::HTML_BYTES);
    }
    // A panic would not show otherwise: it is caught.
    assert!(!mail.defects.contains(&Defect::ParserFailed));
    assert!(mail.defects.is_sorted_by(|one, next| one < next), "each once, in order: {:?}", mail.defects);
}

static GOLDEN_MAILS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mail");
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
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
            "3 Mar 2026 09:05:07 +0100", "filename=\"../a\"", "x",
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

fn fingerprint(source: &str) -> Fingerprint {
    read(&message(source)).fingerprint
}

#[test]
fn a_mail_whose_mime_was_rebuilt_keeps_its_fingerprint() {
    let rebuilt = PLAIN
        .replace("boundary=one", "boundary=\"other\"")
        .replace("--one", "--other")
        .replace("=two", "=three")
        .replace("--two", "--three")
        .replace("=?utf-8?q?J=C3=B6rg?=", "=?iso-8859-1?q?J=F6rg?=")
        .replace("Hello\r\n there", "Hello there")
        .replace("09:05:07 +0100", "08:05:07 +0000 (UTC)")
        .replace("quoted-printable", "8bit")
        .replace("Gr=C3=BC=C3=9Fe=20", "Grüße")
        .replace("und mehr\r\n", "und mehr")
        .replace("cGRm\r\ncGRm", "cGRmcGRm")
        .replace("From:", "X-Added: by a server\r\nFrom:");

    assert_ne!(rebuilt, PLAIN);
    assert_eq!(fingerprint(&rebuilt), fingerprint(PLAIN));
}

proptest! {
    #[test]
    fn however_a_mail_is_encoded_its_fingerprint_is_the_same(
        subject in "[a-zé€ ]{0,60}",
        text in "([a-zé€.=]{0,40}\n){0,5}",
        width in 1..70_usize,
    ) {
        let base64 = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
        let qp = |text: &str| text.bytes().map(|byte| format!("={byte:02X}")).collect::<Vec<_>>();
        let words = |text: &str| {
            let words = text.as_bytes().chunks(width).map(|piece| format!("=?utf-8?q?{}?=", qp_of(piece)));
            words.collect::<Vec<_>>().join("\r\n ")
        };
        let mail = |subject: &str, encoding: &str, text: &str| {
            fingerprint(&format!(
                "Message-ID: <a@b>\r\nSubject: {subject}\r\nContent-Type: text/plain; charset=utf-8\r\n\
                 Content-Transfer-Encoding: {encoding}\r\n\r\n{text}"
            ))
        };
        let subject = subject.split_whitespace().collect::<Vec<_>>().join(" ");

        let plain = mail(&subject, "8bit", &text);

        prop_assert_eq!(mail(&words(&subject), "8bit", &text.replace('\n', "\r\n")), plain);
        prop_assert_eq!(mail(&format!("=?utf-8?b?{}?=", base64(&subject)), "base64", &base64(&text)), plain);
        let lines: Vec<String> = qp(&text).chunks(width).map(<[String]>::concat).collect();
        prop_assert_eq!(mail(&subject.replace(' ', "\r\n "), "quoted-printable", &lines.join("=\r\n")), plain);
    }
}

fn qp_of(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("={byte:02X}")).collect::<Vec<_>>().concat()
}

#[test]
fn a_mail_that_differs_in_anything_a_person_sees_differs_in_its_fingerprint() {
    for (old, new) in [
        ("Hello", "Hallo"),
        ("j@example.com", "k@example.com"),
        ("J=C3=B6rg", "Georg"),
        ("<a@example.com>", "<c@example.com>"),
        ("09:05:07", "09:05:08"),
        ("und mehr", "und weniger"),
        ("cGRm\r\n", "cGRn\r\n"),
        ("<b@example.com>", "<d@example.com>"),
    ] {
        assert_ne!(fingerprint(&PLAIN.replacen(old, new, 1)), fingerprint(PLAIN), "{old} → {new}");
    }
}

#[test]
fn the_time_of_receipt_tells_apart_only_what_nothing_else_does() {
    let later = |source: &str| {
        let mut message = message(source);
        message.listed.internal_date = None;
        read(&message).fingerprint
    };

    assert_ne!(later("Subject: x\n\n"), fingerprint("Subject: x\n\n"));
    assert_eq!(later("Message-ID: <a@b>\n\n"), fingerprint("Message-ID: <a@b>\n\n"));
    assert_eq!(
        later("Date: 3 Mar 2026 09:05:07 +0100\n\n"),
        fingerprint("Date: 3 Mar 2026 09:05:07 +0100\n\n")
    );
}

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

#[test]
fn mails_that_differ_only_in_what_is_not_read_are_not_copies() {
    let text = "x".repeat(limit::BODY_BYTES);
    let parts =
        |end| format!("Content-Type: multipart/mixed; boundary=b\n\n{}{end}", "--b\n\nx\n".repeat(1_200));
    let bytes =
        |byte| [&b"Message-ID: <a@b>\nContent-Type: text/plain; charset=utf-8\n\n"[..], &[byte]].concat();
    let id = |end| format!("Date: 3 Mar 2026 09:05:07 +0100\nMessage-ID: <{}{end}>\n\n", "x".repeat(2_000));
    let subject = |end| format!("Message-ID: <a@b>\nSubject: {}{end}\n\n", "x".repeat(2_000));
    let header = |end| format!("Message-ID: <a@b>\nSubject: {}{end}\n\n", "x".repeat(limit::HEADER_BYTES));
    let attached = |end| format!("Message-ID: <a@b>\nContent-Type: message/rfc822\n\nSubject: a\n\n{end}");
    for (one, other) in [
        (
            format!("Message-ID: <a@b>\n\n{text}1").into_bytes(),
            format!("Message-ID: <a@b>\n\n{text}2").into_bytes(),
        ),
        (parts(1).into_bytes(), parts(2).into_bytes()),
        (bytes(0xfe), bytes(0xff)),
        (id(1).into_bytes(), id(2).into_bytes()),
        (subject(1).into_bytes(), subject(2).into_bytes()),
        (header(1).into_bytes(), header(2).into_bytes()),
        (attached(1).into_bytes(), attached(2).into_bytes()),
    ] {
        let (one, other) = (read(&message(one.clone())).fingerprint, read(&message(other)).fingerprint);

        assert_ne!(one, other);
    }
}

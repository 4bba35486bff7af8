//! The same mail has the same fingerprint, however it was carried, and another mail another one.

use base64::Engine as _;
use proptest::prelude::*;

use super::{PLAIN, message, read};
use crate::mail::{Fingerprint, limit};

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

//! Formats that are text.

use memchr::memmem;

/// How much of a file is read for what kind of text it is.
const TEXT_BYTES: usize = 4096;

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Fields that a message begins with, in lower case.
const FIRST_FIELDS: [&[u8]; 12] = [
    b"received:",
    b"return-path:",
    b"delivered-to:",
    b"message-id:",
    b"from:",
    b"to:",
    b"subject:",
    b"date:",
    b"mime-version:",
    b"authentication-results:",
    b"dkim-signature:",
    b"x-",
];

/// Fields that tell a message from other text, in lower case.
const FIELDS: [&[u8]; 5] = [b"\nfrom:", b"\ndate:", b"\nsubject:", b"\nmessage-id:", b"\nmime-version:"];

/// What a text is that begins like this.
pub(super) fn find(head: &[u8]) -> Option<&'static str> {
    let head = head.get(..TEXT_BYTES).unwrap_or(head);
    let head = head.strip_prefix(BYTE_ORDER_MARK).unwrap_or(head).trim_ascii_start().to_ascii_lowercase();
    let begins = |starts: &[&[u8]]| starts.iter().any(|start| head.starts_with(start));
    let holds = |mark: &[u8]| memmem::find(&head, mark).is_some();
    if begins(&[b"<!doctype html", b"<html", b"<head>", b"<body", b"<script", b"<iframe", b"<meta "]) {
        return Some("text/html");
    }
    if begins(&[b"<svg"]) || begins(&[b"<?xml", b"<!doctype svg"]) && holds(b"<svg") {
        return Some("image/svg+xml");
    }
    if begins(&[b"<?xml"]) {
        return Some(if holds(b"<html") { "text/html" } else { "text/xml" });
    }
    if begins(&[b"begin:vcalendar"]) {
        return Some("text/calendar");
    }
    if begins(&[b"begin:vcard"]) {
        return Some("text/vcard");
    }
    let is_message = begins(&FIRST_FIELDS) && {
        let with_first = [b"\n", &head[..]].concat();
        FIELDS.iter().filter(|field| memmem::find(&with_first, field).is_some()).count() >= 3
    };
    is_message.then_some("message/rfc822")
}

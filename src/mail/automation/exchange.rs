//! What the rules of Exchange mailboxes say of what they send.
//!
//! A rule that answers, one that forwards and one that redirects mark what they send alike (Exchange Online, since
//! September 2025 at the latest): `Auto-Submitted: auto-generated`, `X-MS-Exchange-Generated-Message-Source: Mailbox
//! Rules Agent`, and `X-MS-Exchange-Inbox-Rules-Loop` with the mailbox's address. Yet an answer is a program's, and what
//! is handed on is as much a person's as it was before. Exchange 2010 to 2019 mark absences by the last field only.

use crate::mail::automation::Signal;
use crate::mail::automation::evidence::Evidence;
use crate::mail::header::Header;
use crate::mail::{Mail, structured};

/// What a rule did, with what else was found of the mail.
pub(super) fn signal(mail: &Mail, header: &Header<'_>, evidence: &Evidence) -> Option<Signal> {
    let mut loops = header.all("X-MS-Exchange-Inbox-Rules-Loop").peekable();
    let is_rule = is_generated_by_rule(header);
    if !is_rule && loops.peek().is_none() {
        return None;
    }
    let author = mail.from.as_ref().map(|from| from.address.as_str()).unwrap_or_default();
    let is_author = |mailbox: &str| mailbox.trim().eq_ignore_ascii_case(author);
    let is_by_the_mailbox = loops.any(|field| is_author(&field.text()));
    if !is_by_the_mailbox {
        // Somebody else wrote it. A mailbox that forwarded it without a rule's mark tells nothing.
        return is_rule.then_some(Signal::ExchangeRedirect);
    }
    if evidence.is_forward {
        return Some(Signal::ExchangeForward);
    }
    let is_answer = evidence.has_any(&[Signal::SuppressField, Signal::AutoReplySubject]);
    match (is_answer, is_rule) {
        (true, _) => Some(Signal::ExchangeReply),
        (false, true) => Some(Signal::ExchangeForward),
        // The owner's own mail, that a rule of the owner once handed on.
        (false, false) => None,
    }
}

/// Whether a rule of a mailbox made the mail. It copies `X-MS-Exchange-Message-Is-Ndr` from what it was made for.
pub(super) fn is_generated_by_rule(header: &Header<'_>) -> bool {
    header.all("X-MS-Exchange-Generated-Message-Source").any(|field| {
        let words: Vec<String> = structured::words(&field.text()).take(3).collect();
        words.concat().starts_with("mailboxrules")
    })
}

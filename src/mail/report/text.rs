//! What a mail server says in words: recipients, status and original of a notice without a report in it.
//!
//! Qmail, older Exims and Exchanges, and many gateways write nothing else, and some programs save a report as its text.
//! Only the beginning is read, and only in a mail that something else shows to be a notice.

use crate::mail::header::Header;
use crate::mail::report::delivery::Draft;
use crate::mail::report::{Action, Delivery, Original, Recipient, fields};
use crate::mail::{Address, limit};

/// A notice in words.
pub(in crate::mail) struct Notice {
    /// What it tells.
    pub(in crate::mail) delivery: Delivery,
    /// Whether it holds the fields of a report as text.
    pub(in crate::mail) has_fields: bool,
    /// Whether it quotes a server's refusal.
    pub(in crate::mail) has_refusal: bool,
}

/// By which a notice says that nothing is lost yet.
const DELAYS: [&str; 9] = [
    "has been delayed",
    "is delayed",
    "not yet been delivered",
    "not been delivered yet",
    "still being retried",
    "will be retried",
    "will continue to try",
    "will keep trying",
    "warning message only",
];

/// By which a report's fields begin.
const FIELDS: [&str; 4] = ["reporting-mta:", "final-recipient:", "original-recipient:", "action:"];

/// By which the header of the original may begin.
const ORIGINALS: [&str; 9] = [
    "received:",
    "return-path:",
    "message-id:",
    "arc-seal:",
    "dkim-signature:",
    "authentication-results:",
    "delivered-to:",
    "date:",
    "from:",
];

/// How many places are tried for it.
const MAX_TRIES: usize = 16;

impl Notice {
    /// Reads a mail's text. `sent_to` are the notice's own recipients, who did not fail.
    pub(in crate::mail) fn read(text: &str, sent_to: &[Address]) -> Self {
        let text = crate::text::cut(text, limit::NOTICE_BYTES);
        let original = original_in(text);
        let recipients = recipients_by_fields(text);
        if !recipients.is_empty() {
            return Self { delivery: Delivery { recipients, original }, has_fields: true, has_refusal: true };
        }
        let mut words =
            Words { sent_to, recipients: Vec::new(), first: None, status: None, has_refusal: false };
        for line in text.lines().take_while(|line| !begins_original(line)) {
            words.add(line);
        }
        let has_refusal = words.has_refusal;
        let recipients = words.finish(action(text));
        Self { delivery: Delivery { recipients, original }, has_fields: false, has_refusal }
    }
}

/// Reads the fields of a report, where they stand in the text.
fn recipients_by_fields(text: &str) -> Vec<Recipient> {
    let mut recipients = Vec::new();
    let begin = lines_at(text).find(|(_, line)| begins_with(line, &FIELDS)).map(|(at, _)| at);
    let fields = begin.and_then(|at| text.get(at..)).unwrap_or_default();
    fields::groups_in(fields.as_bytes(), |group| {
        let mut draft = Draft::default();
        for field in group.fields() {
            draft.add(field);
        }
        if recipients.len() < limit::RECIPIENTS_REPORTED {
            recipients.extend(draft.finish());
        }
    });
    recipients
}

/// What the original's header tells, where it stands in the text.
fn original_in(text: &str) -> Original {
    lines_at(text)
        .filter(|(_, line)| begins_with(line, &ORIGINALS))
        .take(MAX_TRIES)
        .map(|(at, _)| Original::of(&Header::split(text.get(at..).unwrap_or_default().as_bytes()).0))
        .find(|original| original.message_id.is_some())
        .unwrap_or_default()
}

/// The lines of a text, each with the place where it begins: behind white space, for many notices indent.
fn lines_at(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    text.split_inclusive('\n').map(move |line| {
        let begin = at + (line.len() - line.trim_start().len());
        at += line.len();
        (begin, line.trim())
    })
}

fn begins_original(line: &str) -> bool {
    let line = line.trim().trim_start_matches(['-', '=', '*', ' ']).to_lowercase();
    begins_with(&line, &["received:", "return-path:", "original message header", "message header"])
        || line.contains("copy of the message")
        || line.contains("copy of your message")
}

fn begins_with(line: &str, words: &[&str]) -> bool {
    words.iter().any(|word| line.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word)))
}

fn action(text: &str) -> Action {
    // One line, for a phrase may be broken over two.
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    if DELAYS.iter().any(|phrase| text.contains(phrase)) { Action::Delayed } else { Action::Failed }
}

/// The words of a notice, line by line.
struct Words<'a> {
    sent_to: &'a [Address],
    recipients: Vec<Recipient>,
    /// The first address in a sentence.
    first: Option<String>,
    /// The first status that is nobody's yet.
    status: Option<String>,
    has_refusal: bool,
}

impl Words<'_> {
    fn add(&mut self, line: &str) {
        let is_new = |address: &String| {
            !self.sent_to.iter().any(|own| own.address.eq_ignore_ascii_case(address))
                && !self.recipients.iter().any(|known| known.address.eq_ignore_ascii_case(address))
        };
        if let Some(address) = headed(line).filter(is_new) {
            if self.recipients.len() < limit::RECIPIENTS_REPORTED {
                self.recipients.push(Recipient::failed(address, Action::Failed));
            }
        } else if self.first.is_none() {
            self.first =
                addresses(line).map(str::to_owned).find(|address| is_new(address) && is_persons(address));
        }
        let status = fields::status(line).filter(|status| !status.starts_with('2'));
        self.has_refusal |=
            status.is_some() || line.split(|char: char| !char.is_ascii_digit()).any(is_refusal);
        match self.recipients.last_mut() {
            Some(recipient) if recipient.status.is_none() => recipient.status = status,
            _ => self.status = self.status.take().or(status),
        }
    }

    fn finish(self, action: Action) -> Vec<Recipient> {
        let mut recipients = self.recipients;
        if recipients.is_empty() {
            recipients.extend(self.first.map(|address| Recipient::failed(address, Action::Failed)));
        }
        for recipient in &mut recipients {
            recipient.action = action;
            recipient.status = recipient.status.take().or_else(|| self.status.clone());
        }
        recipients
    }
}

/// Whether an address is not of who looks after the server.
fn is_persons(address: &str) -> bool {
    let local = address.split('@').next().unwrap_or_default().to_lowercase();
    !matches!(local.as_str(), "postmaster" | "mailer-daemon" | "abuse" | "helpdesk" | "support")
}

/// Whether a number is a server's refusal (RFC 5321 §4.2.3).
fn is_refusal(number: &str) -> bool {
    matches!(number, "421" | "450" | "451" | "452" | "550" | "551" | "552" | "553" | "554")
}

/// The address that a line begins with, or that stands alone behind a label of a recipient.
fn headed(line: &str) -> Option<String> {
    let line = line.trim().trim_start_matches(['*', '•', '>', '-', '|', ' ', '\t']);
    let head = line.split(char::is_whitespace).next().unwrap_or_default();
    let address = addresses(head)
        .next()
        .filter(|address| head.trim_start_matches(['<', '"', '\'', '(']).starts_with(address));
    let labelled = || {
        let (label, value) = line.split_once(':')?;
        let label = label.to_lowercase();
        let is_label = ["recipient", "address", "rcpt"].iter().any(|word| label.contains(word));
        let value = value.trim();
        let address = addresses(value).next().filter(|_| is_label && label.len() <= 40)?;
        (value.len() <= address.len() + 20).then_some(address)
    };
    address.or_else(labelled).map(str::to_owned)
}

/// What looks like an address in a text: atoms around an `@`, the right one with a dot.
fn addresses(text: &str) -> impl Iterator<Item = &str> {
    let is_local = |char: char| char.is_alphanumeric() || ".!#$%&'*+-/=?^_`{|}~".contains(char);
    let is_domain = |char: char| char.is_alphanumeric() || char == '.' || char == '-';
    text.match_indices('@').filter_map(move |(at, _)| {
        let (left, right) = (text.get(..at)?, text.get(at + 1..)?);
        let start = left.rfind(|char| !is_local(char)).map_or(0, |i| i + left.get(i..).map_or(1, first_len));
        let length = right.find(|char| !is_domain(char)).unwrap_or(right.len());
        let domain = right.get(..length)?.trim_end_matches(['.', '-']);
        let local = text.get(start..at)?;
        let is_address =
            !local.is_empty() && domain.trim_start_matches('.').contains('.') && domain.len() <= 255;
        let address = text.get(start..at + 1 + domain.len())?;
        (is_address && address.len() <= limit::ID_BYTES).then_some(address)
    })
}

/// Bytes of the first character.
fn first_len(text: &str) -> usize {
    text.chars().next().map_or(1, char::len_utf8)
}

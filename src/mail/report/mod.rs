//! Reports of mail systems about a mail that was sent: what became of it (RFC 3464), that it was opened (RFC 8098),
//! that somebody complained of it (RFC 5965).
//!
//! Told by the part that holds the report and not by the outer type alone, which gateways and programs rewrite. What
//! a mail server says in words only is read too ([`text`]), if something else says that it is a report.
//!
//! Invariant: no text in a report holds a control character, and each has a limit.

mod delivery;
mod feedback;
mod fields;
mod original;
mod receipt;
mod text;

use std::fmt;

use serde::Serialize;

use crate::mail::header::Header;
use crate::mail::part::Part;

pub(super) use delivery::failed_recipients;
pub(super) use text::Notice;

/// A report. The mails it is about are those that somebody sent to a customer, not ones that came in.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Report {
    /// What became of a mail (RFC 3464).
    Delivery(Delivery),
    /// What a recipient did with it (RFC 8098).
    Receipt(Receipt),
    /// That somebody complained of it, or that a check of it failed (RFC 5965).
    Feedback(Feedback),
}

/// What became of a mail at each of its recipients.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub struct Delivery {
    /// Its recipients, at most 100. None, if the report names none.
    pub recipients: Vec<Recipient>,
    /// The mail.
    pub original: Original,
}

/// What became of a mail at one recipient.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Recipient {
    /// The address that was tried in the end.
    pub address: String,
    /// The address that the mail was sent to, where that is another one and the report tells it.
    pub original_address: Option<String>,
    /// What became of it.
    pub action: Action,
    /// The enhanced status code (RFC 3463), such as `5.1.1`.
    pub status: Option<String>,
    /// How the diagnostic is to be understood: `smtp`, `x-unix` and the like, in lower case.
    pub diagnostic_type: Option<String>,
    /// What the last server said, at most 500 characters.
    pub diagnostic: Option<String>,
}

/// What became of a mail at a recipient (RFC 3464 §2.3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It was given up.
    Failed,
    /// It is still being tried.
    Delayed,
    /// It arrived.
    Delivered,
    /// It was handed on to where nobody reports.
    Relayed,
    /// It was handed on to several addresses.
    Expanded,
}

/// What a recipient, or the recipient's program, did with a mail.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Receipt {
    /// Whose receipt it is.
    pub recipient: Option<String>,
    /// What was done with the mail: `displayed`, `deleted`, `dispatched`, `processed`, `denied`, `failed`, or what
    /// else is written.
    pub disposition: String,
    /// Whether a person had it sent.
    pub manual: bool,
    /// The mail.
    pub original: Original,
}

/// What somebody, or a check, had against a mail.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Feedback {
    /// `abuse`, `fraud`, `virus`, `opt-out`, `not-spam`, `auth-failure`, `other`, or what else is written.
    pub feedback_type: String,
    /// The domain that is complained of.
    pub reported_domain: Option<String>,
    /// Whom the mail was sent to, at most 100. Often left out, to protect who complained.
    pub recipients: Vec<String>,
    /// The mail.
    pub original: Original,
}

/// The mail that a report is about, as far as the report tells.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub struct Original {
    /// Its Message-ID as its sender gave it, without angle brackets.
    pub message_id: Option<String>,
    /// The ids that it referred to (References, In-Reply-To), oldest first: those of mails that came in, if it was an
    /// answer.
    pub references: Vec<String>,
}

impl Report {
    /// The report that a mail's parts hold, if one of them is a report.
    pub(super) fn of(parts: &[Part<'_>]) -> Option<Self> {
        let original = || Original::returned(parts);
        parts.iter().find_map(|part| match part.media_type.as_str() {
            "message/delivery-status" | "message/global-delivery-status" => {
                Some(Self::Delivery(Delivery::read(part, original())))
            }
            "message/disposition-notification" | "message/global-disposition-notification" => {
                Some(Self::Receipt(Receipt::read(part, original())))
            }
            "message/feedback-report" => Some(Self::Feedback(Feedback::read(part, original()))),
            _ => None,
        })
    }

    /// The complaint that Outlook.com's junk mail reporting sends: no feedback report, but the mail itself, with a
    /// field that names who complained (seen from 2009 to 2026).
    pub(super) fn of_outlook_complaint(header: &Header<'_>, parts: &[Part<'_>]) -> Option<Self> {
        Feedback::read_outlook(header, parts).map(Self::Feedback)
    }
}

impl Delivery {
    /// The worst of what became of the mail; `None` if the report does not say.
    pub(super) fn worst(&self) -> Option<Action> {
        let actions = || self.recipients.iter().map(|recipient| recipient.action);
        [Action::Failed, Action::Delayed]
            .into_iter()
            .find(|bad| actions().any(|action| action == *bad))
            .or_else(|| actions().next())
    }
}

impl Action {
    /// The name it is stored and sent by.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Delayed => "delayed",
            Self::Delivered => "delivered",
            Self::Relayed => "relayed",
            Self::Expanded => "expanded",
        }
    }
}

// By hand, all of them: addresses and ids must not reach a log.
impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delivery(delivery) => delivery.fmt(f),
            Self::Receipt(receipt) => receipt.fmt(f),
            Self::Feedback(feedback) => feedback.fmt(f),
        }
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery").field("recipients", &self.recipients).finish_non_exhaustive()
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recipient")
            .field("action", &self.action)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receipt").field("manual", &self.manual).finish_non_exhaustive()
    }
}

impl fmt::Debug for Feedback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feedback").field("recipients", &self.recipients.len()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Original {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Original").field("references", &self.references.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(super) mod tests;

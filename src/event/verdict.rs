//! What an event says of who wrote a mail, and of the report that it is.

use serde::Serialize;

use crate::event::{Room, Text};
use crate::mail::{Mail, Original, Recipient, Report, Verdict};

/// Who wrote it.
#[derive(Serialize)]
pub(super) struct AutomationData {
    verdict: &'static str,
    signals: Vec<SignalData>,
    suppress_auto_response: bool,
}

/// Why that is thought.
#[derive(Serialize)]
struct SignalData {
    name: &'static str,
    strength: &'static str,
}

/// That a mail did not arrive, or not yet.
#[derive(Serialize)]
pub(super) struct BounceData<'a> {
    recipients: Vec<&'a Recipient>,
    original: OriginalData<'a>,
}

/// That a mail was opened, deleted, or the like.
#[derive(Serialize)]
pub(super) struct ReceiptData<'a> {
    recipient: Option<Text<'a>>,
    disposition: Text<'a>,
    manual: bool,
    original: OriginalData<'a>,
}

/// That somebody complained of a mail.
#[derive(Serialize)]
pub(super) struct ComplaintData<'a> {
    feedback_type: Text<'a>,
    reported_domain: Option<Text<'a>>,
    recipients: Vec<Text<'a>>,
    original: OriginalData<'a>,
}

/// The mail that a report is about.
#[derive(Serialize)]
struct OriginalData<'a> {
    message_id: Option<Text<'a>>,
    references: Vec<Text<'a>>,
}

impl AutomationData {
    pub(super) fn of(mail: &Mail) -> Self {
        let automation = &mail.automation;
        let signals = automation.signals.iter();
        Self {
            verdict: automation.verdict.as_str(),
            signals: signals
                .map(|signal| SignalData { name: signal.as_str(), strength: signal.strength().as_str() })
                .collect(),
            suppress_auto_response: automation.suppress_auto_response,
        }
    }
}

impl<'a> BounceData<'a> {
    pub(super) fn of(mail: &'a Mail, room: &mut Room) -> Option<Self> {
        let is_bounce = matches!(mail.automation.verdict, Verdict::BounceFailed | Verdict::BounceDelayed);
        match mail.report.as_ref().filter(|_| is_bounce)? {
            Report::Delivery(delivery) => Some(Self {
                original: OriginalData::new(&delivery.original, room),
                recipients: room.take(delivery.recipients.iter()),
            }),
            _ => None,
        }
    }
}

impl<'a> ReceiptData<'a> {
    pub(super) fn of(mail: &'a Mail, room: &mut Room) -> Option<Self> {
        match mail.report.as_ref()? {
            Report::Receipt(receipt) => Some(Self {
                recipient: receipt.recipient.as_deref().map(Text),
                disposition: Text(&receipt.disposition),
                manual: receipt.manual,
                original: OriginalData::new(&receipt.original, room),
            }),
            _ => None,
        }
    }
}

impl<'a> ComplaintData<'a> {
    pub(super) fn of(mail: &'a Mail, room: &mut Room) -> Option<Self> {
        let is_complaint = mail.automation.verdict == Verdict::Complaint;
        match mail.report.as_ref().filter(|_| is_complaint)? {
            Report::Feedback(feedback) => Some(Self {
                feedback_type: Text(&feedback.feedback_type),
                reported_domain: feedback.reported_domain.as_deref().map(Text),
                original: OriginalData::new(&feedback.original, room),
                recipients: room.take(feedback.recipients.iter().map(|recipient| Text(recipient))),
            }),
            _ => None,
        }
    }
}

impl<'a> OriginalData<'a> {
    fn new(original: &'a Original, room: &mut Room) -> Self {
        Self {
            message_id: original.message_id.as_deref().map(Text),
            references: room.take_last(&original.references),
        }
    }
}

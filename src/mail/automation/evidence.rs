//! Gathers what speaks in a mail for a program as its author.

use std::collections::BTreeSet;

use crate::mail::automation::subject::Subject;
use crate::mail::automation::{Signal, exchange, field};
use crate::mail::header::Header;
use crate::mail::part::{Disposition, Part};
use crate::mail::report::{Action, Delivery, Notice, Original, Report, failed_recipients};
use crate::mail::{Facts, Mail, calendar, part};

/// What was found.
pub(super) struct Evidence {
    pub(super) signals: BTreeSet<Signal>,
    /// Whether it answers a mail, as far as it says.
    pub(super) is_answer: bool,
    /// Whether its subject says that somebody hands it on.
    pub(super) is_forward: bool,
    /// The report that it may be.
    pub(super) report: Option<Report>,
}

/// By which mail servers write.
const MAIL_SERVERS: [&str; 9] = [
    "mailer-daemon",
    "mailerdaemon",
    "mailer_daemon",
    "mail-daemon",
    "maildaemon",
    "mdaemon",
    "microsoftexchange329e71ec88ae4615bbc36ab6ce41109e",
    "mail-delivery-subsystem",
    "mail.delivery.system",
];

/// By which mail servers write, and those who look after them.
const POSTMASTERS: [&str; 3] = ["postmaster", "post_master", "post-master"];

/// By which those write that want no answer.
const NO_REPLY: [&str; 8] = [
    "no-reply",
    "noreply",
    "no_reply",
    "no.reply",
    "donotreply",
    "do-not-reply",
    "do_not_reply",
    "nepasrepondre",
];

/// Words by which a calendar's part does something (RFC 5546), where others only publish.
const SCHEDULING: [&str; 7] = ["REQUEST", "REPLY", "CANCEL", "COUNTER", "DECLINECOUNTER", "ADD", "REFRESH"];

/// As much of a calendar as is searched for its method, which stands near its beginning.
const CALENDAR_BYTES: usize = 16 * 1024;

impl Evidence {
    pub(super) fn gather(mail: &Mail, header: &Header<'_>, parts: &[Part<'_>], facts: &Facts) -> Self {
        let subject = Subject::of(&mail.subject);
        let mut evidence = Self {
            signals: BTreeSet::new(),
            is_answer: !(mail.in_reply_to.is_empty() && mail.references.is_empty()),
            is_forward: subject.is_forward(),
            report: None,
        };
        for written in header.fields() {
            field::add(written, facts, &mut evidence.signals);
        }
        evidence.add_author(mail, header, facts);
        evidence.add_type(header);
        evidence.add_parts(header, parts);
        evidence.signals.extend(is_packed_meeting(mail, parts).then_some(Signal::Scheduling));
        evidence.signals.extend(subject.signal());
        evidence.signals.extend(exchange::signal(mail, header, &evidence));
        if header.first("X-MS-Exchange-Message-Is-Ndr").is_some() && !exchange::is_generated_by_rule(header) {
            evidence.signals.insert(Signal::ExchangeNdr);
        }
        if evidence.may_be_notice() {
            evidence.add_notice(mail, header, parts);
        }
        evidence.add_original(mail);
        evidence
    }

    pub(super) fn has(&self, signal: Signal) -> bool {
        self.signals.contains(&signal)
    }

    pub(super) fn has_any(&self, signals: &[Signal]) -> bool {
        signals.iter().any(|signal| self.has(*signal))
    }

    fn add_author(&mut self, mail: &Mail, header: &Header<'_>, facts: &Facts) {
        let Some(from) = &mail.from else {
            let is_nobody = header.first("From").is_some_and(|field| field.text().trim() == "<>");
            self.signals.extend(is_nobody.then_some(Signal::MailServer));
            return;
        };
        let local = from.address.split('@').next().unwrap_or_default().to_lowercase();
        let name = from.name.to_lowercase();
        let is_server_by_name = ["mail delivery", "mailer-daemon", "mailer daemon", "mail administrator"];
        if MAIL_SERVERS.contains(&local.as_str())
            || is_server_by_name.iter().any(|head| name.starts_with(head))
        {
            self.signals.insert(Signal::MailServer);
        } else if POSTMASTERS.contains(&local.as_str()) {
            self.signals.insert(Signal::Postmaster);
        }
        if NO_REPLY.iter().any(|head| local.starts_with(head)) || local.ends_with("-noreply") {
            self.signals.insert(Signal::NoReplySender);
        }
        if facts.is_own(&from.address) {
            let for_another =
                mail.reply_to.iter().any(|to| !to.address.is_empty() && !facts.is_own(&to.address));
            self.signals.insert(if for_another { Signal::OwnAddressForAnother } else { Signal::OwnAddress });
        }
    }

    fn add_type(&mut self, header: &Header<'_>) {
        let (media_type, report_type) = part::report_type(header);
        if media_type != "multipart/report" {
            return;
        }
        // RFC 6522 wants it; without it the parts tell.
        let signal = match report_type.as_deref() {
            Some("delivery-status" | "global-delivery-status") => Signal::DeliveryReport,
            Some("disposition-notification") => Signal::DispositionReport,
            Some("feedback-report") => Signal::FeedbackReport,
            _ => Signal::OtherReport,
        };
        self.signals.insert(signal);
    }

    fn add_parts(&mut self, header: &Header<'_>, parts: &[Part<'_>]) {
        self.report = Report::of(parts).or_else(|| Report::of_outlook_complaint(header, parts));
        if let Some(report) = &self.report {
            let is_report = self.signals.remove(&Signal::OtherReport) || self.has(Signal::DeliveryReport);
            self.signals.insert(match report {
                Report::Delivery(_) if is_report => Signal::DeliveryReport,
                // Without a word about it in the outer type, somebody may have attached it.
                Report::Delivery(_) => Signal::DeliveryStatusPart,
                Report::Receipt(_) => Signal::DispositionReport,
                Report::Feedback(_) => Signal::FeedbackReport,
            });
        }
        if parts.iter().any(schedules) {
            self.signals.insert(Signal::Scheduling);
        }
        if parts.iter().any(|part| part.filename.as_deref().is_some_and(is_dmarc_report)) {
            self.signals.insert(Signal::DmarcReport);
        }
    }

    /// Whether the text is worth reading for what a mail server says in it.
    fn may_be_notice(&self) -> bool {
        let is_soft = self.has_any(&[Signal::MailServer, Signal::Postmaster, Signal::NullReturnPath]);
        let by_subject = self.has_any(&[Signal::BounceSubject, Signal::DelaySubject]);
        let is_hard = self.has_any(&[Signal::FailedRecipients, Signal::ExchangeNdr, Signal::DeliveryReport]);
        (is_soft || by_subject || is_hard) && !self.is_forward && self.tells_no_recipient()
    }

    fn tells_no_recipient(&self) -> bool {
        match &self.report {
            None => true,
            Some(Report::Delivery(delivery)) => delivery.recipients.is_empty(),
            Some(_) => false,
        }
    }

    fn add_notice(&mut self, mail: &Mail, header: &Header<'_>, parts: &[Part<'_>]) {
        let notice = Notice::read(&mail.text, &mail.to);
        if notice.has_fields {
            self.signals.insert(Signal::DeliveryStatusText);
        }
        if notice.has_refusal {
            self.signals.insert(Signal::RefusalText);
        }
        let mut delivery =
            Delivery { recipients: failed_recipients(header), original: Original::returned(parts) };
        if delivery.recipients.is_empty() {
            delivery.recipients = notice.delivery.recipients;
        } else {
            delivery.add_words_of(&notice.delivery.recipients);
        }
        // What a server puts into the subject is surer than what is made of its words.
        if self.has(Signal::DelaySubject) && !notice.has_fields {
            delivery.recipients.iter_mut().for_each(|recipient| recipient.action = Action::Delayed);
        }
        if delivery.original.message_id.is_none() {
            delivery.original = match self.report.take() {
                Some(Report::Delivery(known)) if known.original.message_id.is_some() => known.original,
                _ => notice.delivery.original,
            };
        }
        self.report = Some(Report::Delivery(delivery));
    }

    /// Where a report does not name its mail, it may answer it: Exchange's and Gmail's do.
    fn add_original(&mut self, mail: &Mail) {
        let original = match &mut self.report {
            Some(Report::Delivery(delivery)) => &mut delivery.original,
            Some(Report::Receipt(receipt)) => &mut receipt.original,
            _ => return,
        };
        if original.message_id.is_none() {
            original.message_id = mail.in_reply_to.first().or(mail.references.last()).cloned();
        }
    }
}

/// Whether a mail is about a meeting of which no calendar tells, but a `winmail.dat`.
fn is_packed_meeting(mail: &Mail, parts: &[Part<'_>]) -> bool {
    let method = mail.calendar.as_ref().and_then(|calendar| calendar.method.as_deref());
    method.is_some_and(|method| SCHEDULING.contains(&method)) && calendar::find(parts.iter()).is_none()
}

/// Whether a part is a calendar that does something and is shown, not merely attached.
fn schedules(part: &Part<'_>) -> bool {
    if part.media_type != "text/calendar" || part.disposition == Some(Disposition::Attachment) {
        return false;
    }
    let content = part.content.get(..CALENDAR_BYTES).unwrap_or(part.content);
    let bytes = part.encoding.bytes(content).0;
    let text = String::from_utf8_lossy(&bytes);
    let method = text.lines().find_map(|line| {
        let (name, value) = line.trim().split_once(':')?;
        name.eq_ignore_ascii_case("METHOD").then(|| value.trim().to_ascii_uppercase())
    });
    method.is_some_and(|method| SCHEDULING.contains(&method.as_str()))
}

/// RFC 7489 §7.2.1.1: `receiver!domain!begin!end[!id].xml`, mostly compressed.
fn is_dmarc_report(filename: &str) -> bool {
    let name = filename.to_lowercase();
    let pieces: Vec<&str> = name.split('!').take(6).collect();
    let is_time = |piece: Option<&&str>| {
        piece.is_some_and(|piece| piece.len() >= 9 && piece.bytes().take(9).all(|byte| byte.is_ascii_digit()))
    };
    (4..=5).contains(&pieces.len())
        && is_time(pieces.get(2))
        && is_time(pieces.get(3))
        && [".xml", ".xml.gz", ".gz", ".zip"].iter().any(|end| name.ends_with(end))
}

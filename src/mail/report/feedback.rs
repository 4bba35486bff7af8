//! Feedback reports (RFC 5965), by which providers pass on that somebody complained.

use crate::mail::header::{Field, Header};
use crate::mail::part::Part;
use crate::mail::report::original::returns_mail;
use crate::mail::report::{Feedback, Original, fields};
use crate::mail::{address, limit, message_id, structured};

impl Feedback {
    /// Reads the part that holds the report; `original` is what the mail that came back tells of itself.
    pub(super) fn read(part: &Part<'_>, original: Original) -> Self {
        let mut feedback =
            Self { feedback_type: String::new(), reported_domain: None, recipients: Vec::new(), original };
        fields::groups(part, |group| feedback.add(group));
        if feedback.feedback_type.is_empty() {
            "other".clone_into(&mut feedback.feedback_type);
        }
        feedback
    }

    fn add(&mut self, group: &Header<'_>) {
        for field in group.fields() {
            let is = |name: &str| field.name.eq_ignore_ascii_case(name);
            if is("Feedback-Type") && self.feedback_type.is_empty() {
                let keyword = structured::keyword(&field.text());
                self.feedback_type = fields::text(&keyword, limit::KEYWORD_CHARS).unwrap_or_default();
            } else if is("Reported-Domain") && self.reported_domain.is_none() {
                self.reported_domain = fields::text(&field.text(), limit::DOMAIN_CHARS);
            } else if is("Original-Rcpt-To") || is("Removal-Recipient") {
                if self.recipients.len() < limit::RECIPIENTS_REPORTED {
                    self.recipients.extend(fields::bare_address(&field.text()));
                }
            } else if is("Original-Message-ID") && self.original.message_id.is_none() {
                self.original.message_id = message_id::ids(&field.text()).next();
            }
        }
    }

    /// Reads what Outlook.com's junk mail reporting sends: the mail, with who complained in a field of its own.
    pub(super) fn read_outlook(outer: &Header<'_>, parts: &[Part<'_>]) -> Option<Self> {
        let from = outer.first("From").and_then(|field| address::addresses(&field.text()).next())?;
        if !from.address.eq_ignore_ascii_case("staff@hotmail.com") {
            return None;
        }
        let returned = parts.iter().find(|part| returns_mail(&part.media_type))?;
        let content = fields::content(returned);
        let header = Header::split(&content).0;
        let recipient = |field: Field<'_>| fields::bare_address(&field.text());
        let recipients: Vec<String> =
            header.first("X-HmXmrOriginalRecipient").and_then(recipient).into_iter().collect();
        (!recipients.is_empty()).then(|| Self {
            feedback_type: "abuse".to_owned(),
            reported_domain: None,
            recipients,
            original: Original::of(&header),
        })
    }
}

//! Delivery status notifications (RFC 3464).

use crate::mail::header::{Field, Header};
use crate::mail::part::Part;
use crate::mail::report::{Action, Delivery, Original, Recipient, fields};
use crate::mail::{address, limit, message_id, structured};

impl Delivery {
    /// Reads the part that holds the report; `original` is what the mail that came back tells of itself.
    pub(super) fn read(part: &Part<'_>, original: Original) -> Self {
        let mut delivery = Self { recipients: Vec::new(), original };
        fields::groups(part, |group| delivery.add(group));
        delivery
    }

    /// Adds what one group of fields says. The first is about the mail and each other about a recipient, but not all
    /// systems keep them apart.
    fn add(&mut self, group: &Header<'_>) {
        if self.original.message_id.is_none() {
            // Gmail writes it into the group about the mail.
            let id = group.first("X-Original-Message-ID").or_else(|| group.first("Original-Message-ID"));
            self.original.message_id = id.and_then(|field| message_id::ids(&field.text()).next());
        }
        let mut draft = Draft::default();
        for field in group.fields() {
            if field.name.eq_ignore_ascii_case("Final-Recipient") && draft.address.is_some() {
                self.push(std::mem::take(&mut draft));
            }
            draft.add(field);
        }
        self.push(draft);
    }

    /// Adds what the notice's words say of these recipients.
    pub(in crate::mail) fn add_words_of(&mut self, told: &[Recipient]) {
        for recipient in &mut self.recipients {
            let same = told.iter().find(|other| other.address.eq_ignore_ascii_case(&recipient.address));
            if let Some(same) = same {
                recipient.action = same.action;
                recipient.status.clone_from(&same.status);
            }
        }
    }

    fn push(&mut self, draft: Draft) {
        if self.recipients.len() < limit::RECIPIENTS_REPORTED {
            self.recipients.extend(draft.finish());
        }
    }
}

/// The recipients that Exim and others name in a field of the outer header, where no part is a report.
pub(in crate::mail) fn failed_recipients(header: &Header<'_>) -> Vec<Recipient> {
    header
        .all("X-Failed-Recipients")
        .flat_map(|field| {
            address::addresses(&field.text()).take(limit::RECIPIENTS_REPORTED).collect::<Vec<_>>()
        })
        .filter_map(|found| fields::bare_address(&found.address))
        .take(limit::RECIPIENTS_REPORTED)
        .map(|address| Recipient::failed(address, Action::Failed))
        .collect()
}

impl Recipient {
    /// A recipient of whom nothing else is known.
    pub(super) fn failed(address: String, action: Action) -> Self {
        Self {
            address,
            original_address: None,
            action,
            status: None,
            diagnostic_type: None,
            diagnostic: None,
        }
    }
}

/// A recipient whose fields are being read.
#[derive(Default)]
pub(super) struct Draft {
    address: Option<String>,
    original_address: Option<String>,
    action: Option<Action>,
    status: Option<String>,
    diagnostic_type: Option<String>,
    diagnostic: Option<String>,
}

impl Draft {
    /// Takes a field in, if it is one about a recipient.
    pub(super) fn add(&mut self, field: &Field<'_>) {
        let is = |name: &str| field.name.eq_ignore_ascii_case(name);
        if is("Final-Recipient") {
            self.address = fields::address(field);
        } else if is("Original-Recipient") {
            self.original_address = fields::address(field);
        } else if is("Action") {
            self.action = Action::parse(&field.text());
        } else if is("Status") {
            self.status = fields::status(&field.text());
        } else if is("Diagnostic-Code") {
            self.diagnose(&field.text());
        }
    }

    fn diagnose(&mut self, value: &str) {
        let (kind, text) = match value.split_once(';') {
            Some((kind, text)) if is_atom(kind.trim()) => (Some(kind.trim().to_ascii_lowercase()), text),
            _ => (None, value),
        };
        self.diagnostic_type = kind;
        self.diagnostic = fields::text(text, limit::DIAGNOSTIC_CHARS);
    }

    /// The recipient, if there is one. What its fields leave out follows from the others: RFC 3464 wants Action and
    /// Status, and not all systems write both. Some write a class only (`5.0.0`) where the diagnostic says more.
    pub(super) fn finish(self) -> Option<Recipient> {
        let address = self.address.or_else(|| self.original_address.clone())?;
        let told = self.diagnostic.as_deref().and_then(fields::status);
        let status = match (self.status, told) {
            (Some(vague), Some(told)) if vague.ends_with(".0.0") && same_class(&vague, &told) => Some(told),
            (status, told) => status.or(told),
        };
        let action =
            self.action.unwrap_or(match status.as_deref().and_then(|status| status.chars().next()) {
                Some('2') => Action::Delivered,
                Some('4') => Action::Delayed,
                _ => Action::Failed,
            });
        let original_address =
            self.original_address.filter(|original| !original.eq_ignore_ascii_case(&address));
        Some(Recipient {
            address,
            original_address,
            action,
            status,
            diagnostic_type: self.diagnostic_type,
            diagnostic: self.diagnostic,
        })
    }
}

impl Action {
    /// Reads the field's value. `None` if it is none of the five.
    pub(super) fn parse(value: &str) -> Option<Self> {
        let keyword = structured::keyword(value);
        [Self::Failed, Self::Delayed, Self::Delivered, Self::Relayed, Self::Expanded]
            .into_iter()
            .find(|action| action.as_str() == keyword)
    }
}

fn is_atom(text: &str) -> bool {
    (1..=40).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn same_class(one: &str, other: &str) -> bool {
    one.chars().next() == other.chars().next()
}

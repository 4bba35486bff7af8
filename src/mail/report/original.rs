//! The mail that a report returns, whole or by its header.

use crate::mail::header::Header;
use crate::mail::part::Part;
use crate::mail::report::{Original, fields};
use crate::mail::{limit, message_id};

impl Original {
    /// What the first part that returns a mail tells of it.
    pub(in crate::mail) fn returned(parts: &[Part<'_>]) -> Self {
        parts.iter().find(|part| returns_mail(&part.media_type)).map(Self::in_part).unwrap_or_default()
    }

    fn in_part(part: &Part<'_>) -> Self {
        let content = fields::content(part);
        Self::of(&Header::split(&content).0)
    }

    /// What a header tells of its mail. Outlook.com's servers give a mail another Message-ID and keep the one that it
    /// was sent with in a field of their own.
    pub(super) fn of(header: &Header<'_>) -> Self {
        let first = |name: &str| header.first(name).and_then(|field| message_id::ids(&field.text()).next());
        let all = |name: &str| {
            header
                .first(name)
                .map(|field| message_id::ids(&field.text()).collect::<Vec<_>>())
                .unwrap_or_default()
        };
        let mut references = all("References");
        references
            .extend(all("In-Reply-To").into_iter().filter(|id| !references.contains(id)).collect::<Vec<_>>());
        references.drain(..references.len().saturating_sub(limit::REFERENCES_REPORTED));
        Self {
            message_id: first("X-Microsoft-Original-Message-ID").or_else(|| first("Message-ID")),
            references,
        }
    }
}

/// Whether a part of this type holds a mail or the header of one.
pub(super) fn returns_mail(media_type: &str) -> bool {
    matches!(
        media_type,
        "message/rfc822"
            | "message/global"
            | "text/rfc822-headers"
            | "text/rfc822-header"
            | "message/rfc822-headers"
            | "message/global-headers"
    )
}

//! Mail and what is known of its references → [`Filing`]: which ticket a mail belongs to, by which rule, on
//! what evidence. Pure.
//!
//! Never by subject alone, and never by an empty id: those put replies into strangers' tickets.

use std::collections::HashMap;

use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::mail::Mail;
use crate::rule::Labels;

/// How many ids of one mail are looked at. Long References are a habit of broken clients and of attackers;
/// the newest ids, which come first here, are the ones that matter.
const MAX_CANDIDATES: usize = 50;

/// A Message-ID as the store looks it up: its SHA-256, because ids have any length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ThreadKey(pub [u8; 32]);

impl ThreadKey {
    /// The key of a Message-ID without angle brackets.
    pub fn of(message_id: &str) -> Self {
        Self(Sha256::digest(message_id.as_bytes()).into())
    }
}

/// A ticket, as far as filing and events need it.
#[derive(Clone, PartialEq, Eq)]
pub struct Ticket {
    /// As sent to helpdesks.
    pub id: Uuid,
    /// For people.
    pub number: i64,
    /// Subject of its first message.
    pub subject: String,
    /// `open` or `closed`.
    pub status: String,
    /// The sequence of its newest message.
    pub message_count: i32,
    /// Its tags and its priority.
    pub labels: Labels,
}

// By hand: the subject is private.
impl std::fmt::Debug for Ticket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ticket").field("number", &self.number).finish_non_exhaustive()
    }
}

/// Which rule chose the ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// None did: the mail opens a ticket.
    Opened,
    /// In-Reply-To names a message of the ticket.
    InReplyTo,
    /// References name a message of the ticket.
    References,
}

impl Rule {
    /// The name it is stored and sent by.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::InReplyTo => "in_reply_to",
            Self::References => "references",
        }
    }
}

/// Where a mail belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filing {
    /// The ticket it joins; `None` if it opens one.
    pub ticket: Option<Uuid>,
    /// Why.
    pub rule: Rule,
    /// The Message-ID that the rule matched.
    pub evidence: Option<String>,
}

/// The tickets of known Message-IDs.
pub type Threads = HashMap<ThreadKey, Uuid>;

/// The ids that may name a mail's ticket, best first: In-Reply-To, then References from the newest.
pub fn candidates(mail: &Mail) -> impl Iterator<Item = (Rule, &str)> {
    let replied = mail.in_reply_to.iter().map(|id| (Rule::InReplyTo, id.as_str()));
    let referred = mail.references.iter().rev().map(|id| (Rule::References, id.as_str()));
    replied.chain(referred).filter(|(_, id)| !id.is_empty()).take(MAX_CANDIDATES)
}

/// Files a mail.
pub fn file(mail: &Mail, threads: &Threads) -> Filing {
    for (rule, id) in candidates(mail) {
        if let Some(&ticket) = threads.get(&ThreadKey::of(id)) {
            return Filing { ticket: Some(ticket), rule, evidence: Some(id.to_owned()) };
        }
    }
    Filing { ticket: None, rule: Rule::Opened, evidence: None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::message::{Extent, Listed, Message, Uid};

    fn mail(headers: &str) -> Mail {
        let source = format!("{headers}\r\n\r\nHello\r\n").into_bytes();
        let listed = Listed { uid: Uid(1), size: 0, internal_date: None };
        crate::mail::read(&Message { listed, source, extent: Extent::Whole })
    }

    fn threads(known: &[(&str, u128)]) -> Threads {
        known.iter().map(|&(id, ticket)| (ThreadKey::of(id), Uuid::from_u128(ticket))).collect()
    }

    #[test]
    fn in_reply_to_decides_before_references() {
        let reply = mail("In-Reply-To: <b@x>\r\nReferences: <a@x> <c@x>");

        let filing = file(&reply, &threads(&[("a@x", 1), ("b@x", 2), ("c@x", 3)]));

        assert_eq!(filing.ticket, Some(Uuid::from_u128(2)));
        assert_eq!((filing.rule, filing.evidence.as_deref()), (Rule::InReplyTo, Some("b@x")));
    }

    #[test]
    fn the_newest_reference_wins() {
        let reply = mail("In-Reply-To: <unknown@x>\r\nReferences: <a@x> <c@x> <unknown@x>");

        let filing = file(&reply, &threads(&[("a@x", 1), ("c@x", 3)]));

        assert_eq!((filing.ticket, filing.rule), (Some(Uuid::from_u128(3)), Rule::References));
    }

    #[test]
    fn an_unknown_or_empty_reference_opens_a_ticket() {
        for headers in
            ["In-Reply-To: <unknown@x>", "In-Reply-To: <>\r\nReferences: <>", "Subject: Re: Printer"]
        {
            let filing = file(&mail(headers), &threads(&[("", 1), ("a@x", 2)]));

            assert_eq!(filing, Filing { ticket: None, rule: Rule::Opened, evidence: None }, "{headers}");
        }
    }

    #[test]
    fn endless_references_are_not_all_looked_at() {
        let ids: Vec<String> = (0..20_000).map(|i| format!("<{i}@x>")).collect();
        let reply = mail(&format!("References: {}", ids.join("\r\n ")));

        assert!(candidates(&reply).count() <= MAX_CANDIDATES);
    }

    proptest! {
        #[test]
        fn a_mail_joins_the_ticket_of_the_first_candidate_that_is_known(
            replied in prop::collection::vec(0..200_u8, 0..70),
            referred in prop::collection::vec(0..200_u8, 0..70),
            known in prop::collection::hash_map(0..200_u8, any::<u128>(), 0..20),
        ) {
            let mut reply = mail("Subject: x");
            reply.in_reply_to = replied.iter().map(u8::to_string).collect();
            reply.references = referred.iter().map(u8::to_string).collect();
            let named: Vec<(String, u128)> = known.iter().map(|(id, &ticket)| (id.to_string(), ticket)).collect();
            let named: Vec<(&str, u128)> = named.iter().map(|(id, ticket)| (id.as_str(), *ticket)).collect();

            let filing = file(&reply, &threads(&named));

            let in_order: Vec<u8> = replied.iter().chain(referred.iter().rev()).copied().take(MAX_CANDIDATES).collect();
            let place = in_order.iter().position(|id| known.contains_key(id));
            let expected = place.map_or(
                Filing { ticket: None, rule: Rule::Opened, evidence: None },
                |place| Filing {
                    ticket: Some(Uuid::from_u128(known[&in_order[place]])),
                    rule: if place < replied.len() { Rule::InReplyTo } else { Rule::References },
                    evidence: Some(in_order[place].to_string()),
                },
            );
            prop_assert_eq!(filing, expected);
        }
    }
}

//! Mail and what is known → [`Filing`]: which ticket a mail belongs to, by which rule, on what evidence, and how
//! sure that is; or why it is in none. Pure.
//!
//! ```text
//! Mail ─► Clues ─┬─► (the store looks them up) ─► Known ─┐
//!                └───────────────────────────────────────┴─► file ─► Filing ─► Known (for the next mail)
//! ```
//!
//! Invariant: a mail joins a ticket by a token that was given out, by an id together with who sent it, or by a token in
//! the subject together with who sent it. Never by a subject's words, an empty id, `Thread-Index` or a number in the
//! text alone: those put replies into strangers' tickets.
//!
//! Invariant: what is decided depends on the mails, on when they came and on what is known, never on how they stand in a
//! batch.

mod clues;
mod file;
mod freemail;
mod key;
mod known;
mod order;
mod person;
mod policy;
mod quote;
mod rate;
mod subject;
mod token;

#[cfg(test)]
pub(crate) mod tests;

use uuid::Uuid;

use crate::config::Action;
use crate::rule::Labels;

pub use clues::Clues;
pub use file::file;
pub use key::{KeyKind, ThreadKey};
pub use known::{Known, KnownTicket, Named, Role};
pub use order::in_order;
pub use policy::Policy;
pub use rate::{Bucket, RateKey, Rates, Repeats};
pub use token::{SubjectToken, TokenKeys};

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

/// Which rule chose the ticket. In the order in which they are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// None did.
    Opened,
    /// A reply token in an id or an address.
    ReplyToken,
    /// In-Reply-To names a message of the ticket.
    InReplyTo,
    /// References name a message of the ticket.
    References,
    /// It names an id that messages of the ticket name too.
    Alias,
    /// Messages of the ticket name it: a reply to it came before it did.
    Parent,
    /// A reply token in the text.
    BodyToken,
    /// A subject token, and the sender is somebody who may.
    SubjectToken,
    /// It reports of a mail that was sent out of the ticket.
    Report,
    /// Another system's ticket number.
    Tracker,
}

impl Rule {
    /// Every rule.
    pub const ALL: [Self; 10] = [
        Self::Opened,
        Self::ReplyToken,
        Self::InReplyTo,
        Self::References,
        Self::Alias,
        Self::Parent,
        Self::BodyToken,
        Self::SubjectToken,
        Self::Report,
        Self::Tracker,
    ];

    /// The name it is stored and sent by.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::ReplyToken => "reply_token",
            Self::InReplyTo => "in_reply_to",
            Self::References => "references",
            Self::Alias => "alias",
            Self::Parent => "parent",
            Self::BodyToken => "body_token",
            Self::SubjectToken => "subject_token",
            Self::Report => "report",
            Self::Tracker => "tracker",
        }
    }

    /// Whether its evidence is a Message-ID.
    fn is_by_id(self) -> bool {
        matches!(self, Self::InReplyTo | Self::References | Self::Alias | Self::Parent | Self::Report)
    }
}

/// How sure a rule is that a mail belongs to a ticket.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Confidence(u8);

impl Confidence {
    /// So many of a hundred.
    pub const fn percent(percent: u8) -> Self {
        Self(if percent > 100 { 100 } else { percent })
    }

    /// From 0 to 1.
    pub fn fraction(self) -> f64 {
        f64::from(self.0) / 100.0
    }
}

impl std::fmt::Debug for Confidence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.fraction().fmt(f)
    }
}

/// Where a mail belongs.
#[derive(Clone, PartialEq, Eq)]
pub struct Filing {
    /// Into a ticket, or not.
    pub place: Place,
    /// Why.
    pub rule: Rule,
    /// What the rule matched: an id, a token, a number.
    pub evidence: Option<String>,
    /// How sure the rule is; `None` if none matched.
    pub confidence: Option<Confidence>,
    /// A ticket that it has to do with and is not in.
    pub related: Option<Uuid>,
    /// What is done with mail of its kind.
    pub action: Action,
    /// Whether it opens the closed ticket that it joins.
    pub reopens: bool,
    /// What else was considered, and what spoke against it.
    pub considered: Vec<Considered>,
}

impl Filing {
    fn unmatched(place: Place, action: Action, related: Option<Uuid>) -> Self {
        Self {
            place,
            rule: Rule::Opened,
            evidence: None,
            confidence: None,
            related,
            action,
            reopens: false,
            considered: Vec::new(),
        }
    }

    /// Keeps it out of any ticket until a person has looked, unless it is kept already.
    fn suspend(&mut self, reason: Reason) {
        match self.place {
            Place::Suspended(_) => return,
            Place::Joins(ticket) => self.related = Some(ticket),
            Place::Opens | Place::Archived => {}
        }
        self.place = Place::Suspended(reason);
        self.reopens = false;
    }

    /// The name of its rule, as it is stored and sent. A mail that no rule found a ticket for opens one, or is in none.
    pub fn rule_name(&self) -> &'static str {
        match (self.rule, self.place) {
            (Rule::Opened, Place::Suspended(_) | Place::Archived) => "none",
            (rule, _) => rule.as_str(),
        }
    }

    /// The ticket that is there already and to which its id is to lead: the one that it joins. Or, if it is archived
    /// and a rule was sure of a ticket, that one: replies to what an agent wrote, and sent here too, name it.
    pub fn leads_to(&self) -> Option<Uuid> {
        match self.place {
            Place::Joins(ticket) => Some(ticket),
            Place::Archived => self.confidence.and(self.related),
            Place::Opens | Place::Suspended(_) => None,
        }
    }

    /// The Message-ID that led to the ticket.
    pub fn matched_message_id(&self) -> Option<&str> {
        self.evidence.as_deref().filter(|_| self.rule.is_by_id())
    }

    /// Whether it counts for how much its sender sends. What is suspended for another reason than that, or archived,
    /// does not.
    fn is_counted(&self) -> bool {
        match self.place {
            Place::Opens | Place::Joins(_) => true,
            Place::Suspended(reason) => {
                matches!(reason, Reason::SenderRate | Reason::TicketRate | Reason::Repeated)
            }
            Place::Archived => false,
        }
    }
}

// By hand: evidence is private.
impl std::fmt::Debug for Filing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Filing")
            .field("place", &self.place)
            .field("rule", &self.rule)
            .field("confidence", &self.confidence)
            .field("related", &self.related)
            .field("considered", &self.considered)
            .finish_non_exhaustive()
    }
}

/// Where a mail is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In a ticket that it opens.
    Opens,
    /// In a ticket that is there.
    Joins(Uuid),
    /// In none, until a person has looked.
    Suspended(Reason),
    /// In none.
    Archived,
}

/// Why a mail is suspended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Mail of its kind is.
    Verdict,
    /// It would join a ticket in which its author is not, and the author's domain did not send it.
    Forged,
    /// A rule of the configuration says so.
    Rule,
    /// Its sender sends too much.
    SenderRate,
    /// Its ticket gets too much.
    TicketRate,
    /// The same came too often.
    Repeated,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 6] =
        [Self::Verdict, Self::Forged, Self::Rule, Self::SenderRate, Self::TicketRate, Self::Repeated];

    /// The name it is stored and sent by.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Verdict => "verdict",
            Self::Forged => "forged",
            Self::Rule => "rule",
            Self::SenderRate => "sender_rate",
            Self::TicketRate => "ticket_rate",
            Self::Repeated => "repeated",
        }
    }
}

/// A ticket that a mail might have joined.
#[derive(Clone, PartialEq, Eq)]
pub struct Considered {
    /// By which rule.
    pub rule: Rule,
    /// What the rule matched.
    pub evidence: String,
    /// The ticket, if the rule found one.
    pub ticket: Option<Uuid>,
    /// How sure the rule was.
    pub confidence: Option<Confidence>,
    /// What spoke against it.
    pub objection: Objection,
}

// By hand: evidence is private.
impl std::fmt::Debug for Considered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Considered")
            .field("rule", &self.rule)
            .field("ticket", &self.ticket)
            .field("objection", &self.objection)
            .finish_non_exhaustive()
    }
}

/// Why a mail does not join a ticket that a rule found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Objection {
    /// A token is not signed by us.
    BadSignature,
    /// A token names no ticket of this mailbox.
    NoSuchTicket,
    /// Nobody of the ticket sends it, or gets it too.
    Stranger,
    /// The author may be of the ticket, but the author's domain did not send it.
    Forged,
    /// It is less sure than the threshold.
    Unsure,
    /// The ticket was closed too long ago.
    Closed,
    /// It has another subject and quotes nothing.
    NewTopic,
    /// It is handed on, and to people who are not in the ticket.
    Forwarded,
    /// An earlier rule was sure of another ticket.
    Outranked,
}

impl Objection {
    /// Every objection.
    pub const ALL: [Self; 9] = [
        Self::BadSignature,
        Self::NoSuchTicket,
        Self::Stranger,
        Self::Forged,
        Self::Unsure,
        Self::Closed,
        Self::NewTopic,
        Self::Forwarded,
        Self::Outranked,
    ];

    /// The name it is stored by.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadSignature => "bad_signature",
            Self::NoSuchTicket => "no_such_ticket",
            Self::Stranger => "stranger",
            Self::Forged => "forged",
            Self::Unsure => "unsure",
            Self::Closed => "closed",
            Self::NewTopic => "new_topic",
            Self::Forwarded => "forwarded",
            Self::Outranked => "outranked",
        }
    }
}

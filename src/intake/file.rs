//! Files letters: in the order that [`ticket::in_order`] gives them, each knowing those before it.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::config;
use crate::event::{Event, Found, Received};
use crate::intake::read::Letter;
use crate::message::UidValidity;
use crate::rule::Labels;
use crate::store::{Entry, Known, NewMessage};
use crate::ticket;
use crate::ticket::{Clues, Filing, Place, Policy, Ticket};

/// Where a letter goes.
pub(super) enum Placement<'a> {
    New(Box<Filed<'a>>),
    Copy { letter: &'a Letter, of: Uuid },
}

/// A new message, filed.
pub(super) struct Filed<'a> {
    letter: &'a Letter,
    id: Uuid,
    filing: Filing,
    /// As it stands with this message; without a number if it is opened.
    ticket: Option<Ticket>,
    /// When it reached the mailbox.
    at: DateTime<Utc>,
}

/// Where the letters were found, and who is to hear of them.
#[derive(Clone, Copy)]
pub(super) struct Origin<'a> {
    pub(super) mailbox: &'a config::Mailbox,
    pub(super) policy: &'a Policy,
    /// Of their folder; `None` if they came out of files.
    pub(super) uidvalidity: Option<UidValidity>,
    /// Whether anybody is.
    pub(super) has_webhooks: bool,
    /// When they are recorded.
    pub(super) now: DateTime<Utc>,
}

/// Files letters, and adds them to what is known.
pub(super) fn file<'a>(letters: &'a [Letter], known: &mut Known, origin: Origin<'_>) -> Vec<Placement<'a>> {
    let received_at = |letter: &Letter| letter.received_at(origin.now);
    let batch: Vec<(&Clues, DateTime<Utc>)> =
        letters.iter().map(|letter| (&letter.clues, received_at(letter))).collect();
    let in_order = ticket::in_order(&batch).into_iter().filter_map(|place| letters.get(place));
    in_order
        .map(|letter| {
            let fingerprint = letter.mail.fingerprint;
            if let Some(&of) = known.stored.get(&fingerprint) {
                return Placement::Copy { letter, of };
            }
            let (id, at) = (Uuid::now_v7(), received_at(letter));
            known.stored.insert(fingerprint, id);
            Placement::New(Box::new(file_one(letter, id, at, &mut known.filing, origin.policy)))
        })
        .collect()
}

/// Files a letter as the message `id`.
pub(super) fn file_one<'a>(
    letter: &'a Letter,
    id: Uuid,
    at: DateTime<Utc>,
    known: &mut ticket::Known,
    policy: &Policy,
) -> Filed<'a> {
    let filing = ticket::file(&letter.clues, known, policy, at);
    let opened = || Ticket {
        id: Uuid::now_v7(),
        number: 0,
        subject: letter.mail.subject.clone(),
        status: "open".to_owned(),
        message_count: 0,
        labels: Labels::default(),
    };
    let ticket = known.add(&letter.clues, &filing, opened, at, policy);
    Filed { letter, id, filing, ticket, at }
}

impl Placement<'_> {
    /// Whether it opens a ticket, which is to have a number.
    pub(super) fn opens(&self) -> bool {
        matches!(self, Self::New(filed) if filed.opens())
    }
}

/// Gives the tickets that are opened their numbers, and renders the events.
pub(super) fn entries<'a>(
    placements: Vec<Placement<'a>>,
    numbers: Vec<i64>,
    origin: Origin<'_>,
) -> Vec<Entry<'a>> {
    let mut numbers = numbers.into_iter();
    let mut opened: HashMap<Uuid, i64> = HashMap::new();
    placements
        .into_iter()
        .map(|placement| match placement {
            Placement::Copy { letter, of } => Entry::Copy { uid: letter.uid, of, extent: letter.extent },
            Placement::New(mut filed) => {
                if filed.opens() {
                    let id = filed.ticket.as_ref().map(|ticket| ticket.id).unwrap_or_default();
                    opened.insert(id, numbers.next().unwrap_or_default());
                }
                if let Some(ticket) = &mut filed.ticket {
                    ticket.number = opened.get(&ticket.id).copied().unwrap_or(ticket.number);
                }
                Entry::New(Box::new(filed.message(origin)))
            }
        })
        .collect()
}

impl<'a> Filed<'a> {
    /// Whether it opens a ticket.
    pub(super) fn opens(&self) -> bool {
        self.filing.place == Place::Opens
    }

    /// The ticket that it is in.
    pub(super) fn ticket_mut(&mut self) -> Option<&mut Ticket> {
        self.ticket.as_mut()
    }

    /// It as it is stored, with its event.
    pub(super) fn message(self, origin: Origin<'_>) -> NewMessage<'a> {
        let Self { letter, id, filing, ticket, at } = self;
        let ruling = letter.clues.ruling();
        let folder = origin.mailbox.folder.as_str();
        let found = origin.uidvalidity.map(|uidvalidity| Found { folder, uidvalidity, uid: letter.uid });
        let event = origin.has_webhooks.then(|| {
            Event::received(&Received {
                at: origin.now,
                mailbox: &origin.mailbox.name,
                found,
                message_id: id,
                ticket: ticket.as_ref(),
                filing: &filing,
                policy: origin.policy,
                ruling,
                mail: &letter.mail,
            })
        });
        NewMessage {
            uid: letter.uid,
            id,
            received_at: at,
            extent: letter.extent,
            mail: &letter.mail,
            source: &letter.source,
            filing,
            ruling: ruling.clone(),
            ticket,
            degraded: letter.degraded.as_deref(),
            event: event.flatten(),
        }
    }
}

impl Letter {
    /// When it reached the mailbox, as far as is known.
    pub(super) fn received_at(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        self.mail.came_at().map_or(now, |date| date.to_utc())
    }
}

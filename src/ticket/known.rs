//! What is known of the mails of a batch before they are filed, and what each adds for those after it.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::config::Action;
use crate::rule::Status;
use crate::ticket::clues::Clues;
use crate::ticket::person;
use crate::ticket::policy::Policy;
use crate::ticket::rate::Rates;
use crate::ticket::{Filing, KeyKind, Place, ThreadKey, Ticket};

/// What is known, of one mailbox.
#[derive(Clone, Default)]
pub struct Known {
    /// By id: the ticket that it leads to.
    pub keys: HashMap<ThreadKey, (Uuid, KeyKind)>,
    /// Those tickets.
    pub tickets: HashMap<Uuid, KnownTicket>,
    /// By number: the tickets that tokens name.
    pub numbers: HashMap<i64, Named>,
    /// What is remembered of senders and contents.
    pub rates: Rates,
    /// What mails have added, and is to be stored with them. In order: so two writers never wait for each other's rows
    /// in turn.
    added_keys: BTreeMap<ThreadKey, (Uuid, KeyKind)>,
    added_people: BTreeMap<(Uuid, String), Role>,
}

/// A ticket that a token names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named {
    /// Its id, for which its tokens were made.
    pub id: Uuid,
    /// The ticket that its mail goes to: another one, if it was merged.
    pub ticket: Uuid,
}

/// A ticket and who is in it.
#[derive(Clone)]
pub struct KnownTicket {
    /// It.
    pub ticket: Ticket,
    /// Since when it is closed, if it is.
    pub closed_at: Option<DateTime<Utc>>,
    /// Whose mail is in it, and to whom, by plain address.
    pub people: BTreeMap<String, Role>,
    /// When its newest messages came.
    pub recent: Vec<DateTime<Utc>>,
}

/// What somebody is to a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Mail of theirs is in it.
    Writer,
    /// Mail in it went to them too.
    Recipient,
}

// By hand: people are private.
impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Known")
            .field("keys", &self.keys.len())
            .field("tickets", &self.tickets.len())
            .finish_non_exhaustive()
    }
}

// By hand: people are private.
impl std::fmt::Debug for KnownTicket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KnownTicket").field("ticket", &self.ticket).finish_non_exhaustive()
    }
}

impl KnownTicket {
    /// A ticket that is stored, and its people. If none are stored, a release before this one has opened it: then
    /// `requester` is the one that is known.
    pub fn stored(
        ticket: Ticket,
        closed_at: Option<DateTime<Utc>>,
        mut people: BTreeMap<String, Role>,
        requester: &str,
        recent: Vec<DateTime<Utc>>,
    ) -> Self {
        if people.is_empty() {
            people.extend(person::plain(requester).map(|requester| (requester, Role::Writer)));
        }
        Self { ticket, closed_at, people, recent }
    }
}

impl Role {
    /// The name it is stored by.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Writer => "writer",
            Self::Recipient => "recipient",
        }
    }

    /// Reads that name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Writer, Self::Recipient].into_iter().find(|role| role.as_str() == name)
    }
}

impl Known {
    /// Adds a filed mail that came at `at`: into `opened`, if it opens a ticket. The ticket as it stands then, or
    /// `None` if the mail is in none.
    ///
    /// Its id leads to its ticket unless an earlier message bore it: a later one may be anybody's. The ids that it
    /// names do so too, as long as no mail with them is there.
    pub fn add(
        &mut self,
        clues: &Clues,
        filing: &Filing,
        opened: impl FnOnce() -> Ticket,
        at: DateTime<Utc>,
        policy: &Policy,
    ) -> Option<Ticket> {
        if filing.is_counted() {
            self.rates.count(clues.sender, Some(clues.content), at, &policy.limits);
        }
        let id = match filing.place {
            Place::Opens => {
                let ticket = opened();
                let id = ticket.id;
                let known =
                    KnownTicket { ticket, closed_at: None, people: BTreeMap::new(), recent: Vec::new() };
                self.tickets.insert(id, known);
                id
            }
            Place::Joins(_) | Place::Suspended(_) | Place::Archived => filing.leads_to()?,
        };
        for (key, kind) in keys_of(clues, filing) {
            let before = self.keys.get(&key);
            if before.is_none_or(|(_, before)| kind == KeyKind::Own && *before == KeyKind::Seen) {
                self.keys.insert(key, (id, kind));
                self.added_keys.insert(key, (id, kind));
            }
        }
        if filing.place == Place::Archived {
            return None;
        }
        let known = self.tickets.get_mut(&id)?;
        for (address, role) in people_of(clues, filing) {
            if known.people.get(address).is_none_or(|before| role < *before) {
                known.people.insert(address.to_owned(), role);
                self.added_people.insert((id, address.to_owned()), role);
            }
        }
        known.recent.push(at);
        known.ticket.message_count += 1;
        clues.ruling.label(&mut known.ticket.labels);
        let status = clues.ruling.effects.status.or(filing.reopens.then_some(Status::Open));
        if let Some(status) = status {
            status.as_str().clone_into(&mut known.ticket.status);
            known.closed_at = (status == Status::Closed).then_some(at);
        }
        Some(known.ticket.clone())
    }

    /// The keys that mails have added.
    pub fn added_keys(&self) -> &BTreeMap<ThreadKey, (Uuid, KeyKind)> {
        &self.added_keys
    }

    /// The people whom mails have brought into tickets.
    pub fn added_people(&self) -> &BTreeMap<(Uuid, String), Role> {
        &self.added_people
    }
}

/// The keys that a mail adds to the ticket that it is in, or [leads to](Filing::leads_to).
fn keys_of(clues: &Clues, filing: &Filing) -> impl Iterator<Item = (ThreadKey, KeyKind)> {
    let kind = if filing.place == Place::Archived { KeyKind::Seen } else { KeyKind::Own };
    let own = clues.own.iter().map(move |id| (id.key, kind));
    let seen = clues.named.iter().map(|(_, id)| (id.key, KeyKind::Seen));
    let tracker = clues.tracker.iter().map(|id| (id.key, KeyKind::Tracker));
    own.chain(seen).chain(tracker)
}

/// Those whom a filed mail brings into its ticket. A program's mail brings nobody: not the mail server that refused
/// one, nor the deputy whom an absent person names.
fn people_of<'a>(clues: &'a Clues, filing: &Filing) -> impl Iterator<Item = (&'a str, Role)> {
    let is_brought = filing.action == Action::Ticket;
    let writers = clues.writers.iter().map(|address| (address.as_str(), Role::Writer));
    let recipients = clues.recipients.iter().map(|address| (address.as_str(), Role::Recipient));
    writers.chain(recipients).filter(move |_| is_brought)
}

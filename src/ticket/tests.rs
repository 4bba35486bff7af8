//! Filing as a whole: every rule and every guard as a case with a name, and what holds for any mail.

mod chance;
mod guards;
mod rates;
mod rules;

use std::fmt::Write as _;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::*;
use crate::config;
use crate::config::{Actions, NewTopic};
use crate::mail;
use crate::mail::{Authserv, Facts, Mail};
use crate::message::{Extent, Listed, Message, Uid};

/// The mailbox's address.
const OWN: &str = "support@corp.example";

/// The documented defaults, with a key, of a mailbox with the address [`OWN`].
pub(crate) fn policy() -> Policy {
    with(|_| ())
}

/// Without rates, where mails alike are meant to come again and again.
fn lenient() -> Policy {
    with(|filing| (filing.sender_per_hour, filing.ticket_per_day, filing.same_mail) = (0, 0, 0))
}

fn with(change: impl FnOnce(&mut config::Filing)) -> Policy {
    let mut filing = config::Filing {
        token_keys: vec!["a key of tests and nothing else".into()],
        threshold_percent: 70,
        reopen_window: Duration::from_hours(14 * 24),
        new_topic: NewTopic::Closed,
        subject_prefix: "pr".to_owned(),
        shared_domains: Vec::new(),
        sender_per_hour: 20,
        sender_pause: Duration::from_hours(1),
        unlimited_senders: Vec::new(),
        ticket_per_day: 50,
        same_mail: 3,
        same_mail_window: Duration::from_mins(10),
        actions: Actions {
            auto_reply: Action::AppendOnly,
            bounce_failed: Action::AppendOnly,
            bounce_delayed: Action::AppendOnly,
            receipt: Action::AppendOnly,
            complaint: Action::Suspend,
            own_loop: Action::Archive,
            ..Actions::all(Action::Ticket)
        },
    };
    change(&mut filing);
    let jira = config::Tracker {
        name: "jira".to_owned(),
        pattern: regex::Regex::new(r"\b(PROJ-\d+)\b").unwrap(),
        domains: vec!["jira.example".to_owned()],
    };
    Policy::new(&filing, &[jira], &[], [OWN, "help@corp.example"])
}

/// A mail as it comes, to the mailbox unless it says to whom.
fn read(source: &str) -> Mail {
    let (header, body) = source.split_once("\n\n").unwrap_or((source, "Hello"));
    let mut header = header.replace('\n', "\r\n");
    for field in ["From: ann@a.example", "To: support@corp.example", "Subject: Printer broken"] {
        let name = field.split(':').next().unwrap();
        if !header.lines().any(|line| line.starts_with(&format!("{name}:"))) {
            write!(header, "\r\n{field}").unwrap();
        }
    }
    let source = format!("{}\r\n\r\n{body}", header.trim_start()).into_bytes();
    let listed = Listed { uid: Uid(1), size: 0, internal_date: None };
    let facts = Facts::new([OWN, "help@corp.example"], Authserv::Named(vec!["mx.corp.example".to_owned()]));
    mail::read(&Message { listed, source, extent: Extent::Whole }, &facts)
}

/// A mailbox and what has come to it.
struct World {
    policy: Policy,
    known: Known,
    now: DateTime<Utc>,
    tickets: Vec<Uuid>,
}

impl World {
    fn new(policy: Policy) -> Self {
        let now = DateTime::UNIX_EPOCH + TimeDelta::days(20_000);
        Self { policy, known: Known::default(), now, tickets: Vec::new() }
    }

    /// A mail comes, a minute after the one before.
    fn receive(&mut self, mail: &Mail) -> Filing {
        self.now += TimeDelta::minutes(1);
        let clues = Clues::of(mail, &self.policy);
        let filing = file(&clues, &self.known, &self.policy, self.now);
        let number = i64::try_from(self.tickets.len()).unwrap() + 1;
        let (subject, status) = (mail.subject.clone(), "open".to_owned());
        let labels = Labels::default();
        let opened = || Ticket { id: Uuid::now_v7(), number, subject, status, message_count: 0, labels };
        let ticket = self.known.add(&clues, &filing, opened, self.now, &self.policy);
        if filing.place == Place::Opens {
            let id = ticket.unwrap().id;
            self.tickets.push(id);
            self.known.numbers.insert(number, Named { id, ticket: id });
        }
        filing
    }

    fn number(&self, ticket: Uuid) -> usize {
        self.tickets.iter().position(|known| *known == ticket).unwrap() + 1
    }

    fn ticket(&mut self, number: usize) -> &mut KnownTicket {
        self.known.tickets.get_mut(&self.tickets[number - 1]).unwrap()
    }

    fn close(&mut self, number: usize, days_ago: i64) {
        let closed_at = self.now - TimeDelta::days(days_ago);
        let ticket = self.ticket(number);
        ticket.closed_at = Some(closed_at);
        ticket.ticket.status = "closed".to_owned();
    }

    fn token(&self, number: usize) -> String {
        self.policy.tokens.issue(i64::try_from(number).unwrap(), self.tickets[number - 1]).unwrap()
    }

    /// A filing in words.
    fn tell(&self, filing: &Filing) -> String {
        let mut told = match filing.place {
            Place::Opens => "opens".to_owned(),
            Place::Joins(ticket) => format!("joins {}", self.number(ticket)),
            Place::Suspended(reason) => format!("suspended ({})", reason.as_str()),
            Place::Archived => "archived".to_owned(),
        };
        if let Some(confidence) = filing.confidence {
            write!(told, " by {} {}", filing.rule.as_str(), confidence.fraction()).unwrap();
        }
        if filing.reopens {
            told.push_str(", reopens");
        }
        if let Some(related) = filing.related {
            write!(told, ", related {}", self.number(related)).unwrap();
        }
        for other in &filing.considered {
            let ticket = other.ticket.map_or("none".to_owned(), |ticket| self.number(ticket).to_string());
            let (rule, objection) = (other.rule.as_str(), other.objection.as_str());
            write!(told, "; not {ticket} by {rule}: {objection}").unwrap();
        }
        told
    }
}

/// What comes first in most cases: ann asks, with bob in copy.
const ASKED: &str = "Message-ID: <q@a.example>\nFrom: Ann <ann@a.example>\nCc: bob@b.example";

/// One case: mails that came before, the one in question, and what becomes of it. `{token}` and `{subject}` stand for
/// the first ticket's.
fn check(name: &str, before: &[&str], mail: &str, expected: &str) {
    check_in(World::new(lenient()), name, before, mail, expected);
}

fn check_in(mut world: World, name: &str, before: &[&str], mail: &str, expected: &str) {
    for before in before {
        receive(&mut world, before);
    }
    let filing = receive(&mut world, mail);
    assert_eq!(world.tell(&filing), expected, "{name}");
}

fn receive(world: &mut World, mail: &str) -> Filing {
    let mut mail = mail.to_owned();
    if mail.contains("{token}") {
        mail = mail.replace("{token}", &world.token(1));
    }
    if mail.contains("{subject}") {
        mail = mail.replace("{subject}", &SubjectToken::issue("pr", 1, world.tickets[0]));
    }
    world.receive(&read(&mail))
}

/// With ticket 1 closed so many days ago.
fn closed(days_ago: i64) -> World {
    let mut world = World::new(lenient());
    receive(&mut world, ASKED);
    world.close(1, days_ago);
    world
}

//! The rules: a mail's clues and what is known → [`Filing`].
//!
//! The rules are asked in order, each with all its clues, and each answer has a confidence. The first that is sure
//! enough decides; of those that are not, the first is remembered as related. Then guards look at the match: a mail may
//! name a ticket rightly and still be about something else, or not be what it says it is. Then come the rules of the
//! configuration, which may keep it back whatever it is, and last the rates.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::config::{Action, NewTopic};
use crate::rule::Status;
use crate::ticket::clues::{Clues, Id};
use crate::ticket::known::{Known, KnownTicket, Role};
use crate::ticket::policy::Policy;
use crate::ticket::rate::DAY;
use crate::ticket::subject::Subject;
use crate::ticket::token::Token;
use crate::ticket::{Confidence, Considered, Filing, KeyKind, Objection, Place, Reason, Rule};

/// What was considered is kept up to this: enough to explain, whatever somebody puts into a mail.
const MAX_CONSIDERED: usize = 10;

/// Files a mail that reached its mailbox at `at`.
pub fn file(clues: &Clues, known: &Known, policy: &Policy, at: DateTime<Utc>) -> Filing {
    let matches = Matches { clues, known, policy }.all();
    let chosen = matches.iter().position(|found| found.is_sure(policy.threshold));
    let action = policy.action(clues.verdict);
    let mut considered: Vec<Considered> = considered(&matches, chosen, policy.threshold);
    let chosen = chosen.and_then(|place| matches.into_iter().nth(place));

    let mut filing = match chosen.and_then(|found| Some((known.tickets.get(&found.ticket?)?, found))) {
        None => {
            let place = match action {
                Action::Ticket => Place::Opens,
                Action::AppendOnly | Action::Archive => Place::Archived,
                Action::Suspend => Place::Suspended(Reason::Verdict),
            };
            Filing::unmatched(place, action, considered.iter().find_map(|other| other.ticket))
        }
        Some((ticket, found)) => match guard(clues, ticket, policy, action, at) {
            Ok(place) => found.filing(place, action, ticket),
            Err(objection) => {
                considered.insert(0, found.considered(objection));
                Filing::unmatched(Place::Opens, action, Some(ticket.ticket.id))
            }
        },
    };
    // Before the rates: what a rule keeps back says nothing of how much its sender may send.
    if clues.ruling.effects.suspend && policy.minds_suspending_rules() {
        filing.suspend(Reason::Rule);
    }
    if let Some(reason) = over(clues, known, policy, &filing, at) {
        filing.suspend(reason);
    }
    if let Place::Joins(ticket) = filing.place {
        let is_closed = known.tickets.get(&ticket).is_some_and(|known| known.closed_at.is_some());
        filing.reopens = match clues.ruling.effects.status {
            Some(Status::Open) => is_closed,
            Some(Status::Closed) => false,
            None => filing.reopens,
        };
    }
    considered.truncate(MAX_CONSIDERED);
    Filing { considered, ..filing }
}

/// What a rule found.
struct Match<'a> {
    rule: Rule,
    evidence: &'a str,
    ticket: Option<Uuid>,
    /// How sure it is, or why it is not taken at all.
    verdict: Result<Confidence, Objection>,
}

impl Match<'_> {
    fn is_sure(&self, threshold: Confidence) -> bool {
        self.ticket.is_some() && self.verdict.is_ok_and(|confidence| confidence >= threshold)
    }

    fn considered(&self, objection: Objection) -> Considered {
        Considered {
            rule: self.rule,
            evidence: self.evidence.to_owned(),
            ticket: self.ticket,
            confidence: self.verdict.ok(),
            objection,
        }
    }

    fn filing(&self, place: Place, action: Action, ticket: &KnownTicket) -> Filing {
        let id = ticket.ticket.id;
        Filing {
            place,
            rule: self.rule,
            evidence: Some(self.evidence.to_owned()),
            confidence: self.verdict.ok(),
            related: (place != Place::Joins(id)).then_some(id),
            action,
            reopens: place == Place::Joins(id) && action == Action::Ticket && ticket.closed_at.is_some(),
            considered: Vec::new(),
        }
    }
}

/// All but the chosen one, of each ticket and objection the first: those that name the chosen one's ticket for another
/// reason say nothing new.
fn considered(matches: &[Match<'_>], chosen: Option<usize>, threshold: Confidence) -> Vec<Considered> {
    let chosen = chosen.and_then(|place| matches.get(place)).and_then(|found| found.ticket);
    let mut considered: Vec<Considered> = Vec::new();
    for found in matches.iter().filter(|found| chosen.is_none() || found.ticket != chosen) {
        let objection = match found.verdict {
            Err(objection) => objection,
            Ok(confidence) if confidence < threshold => Objection::Unsure,
            Ok(_) => Objection::Outranked,
        };
        let is_known = |known: &Considered| (known.ticket, known.objection) == (found.ticket, objection);
        if considered.len() < MAX_CONSIDERED && !considered.iter().any(is_known) {
            considered.push(found.considered(objection));
        }
    }
    considered
}

/// Asks the rules.
struct Matches<'a> {
    clues: &'a Clues,
    known: &'a Known,
    policy: &'a Policy,
}

impl<'a> Matches<'a> {
    fn all(&self) -> Vec<Match<'a>> {
        let clues = self.clues;
        let mut all = Vec::new();
        all.extend(
            clues.signed.iter().map(|(token, place)| self.signed(Rule::ReplyToken, token, place, 100)),
        );
        all.extend(clues.named.iter().filter_map(|(rule, id)| self.own(*rule, id)));
        all.extend(clues.named.iter().filter_map(|(_, id)| self.seen(Rule::Alias, id)));
        all.extend(clues.own.iter().filter_map(|id| self.seen(Rule::Parent, id)));
        all.extend(
            clues.quoted_tokens.iter().map(|token| self.signed(Rule::BodyToken, token, &token.text, 90)),
        );
        all.extend(self.subject_tokens());
        all.extend(
            clues.reported_tokens.iter().map(|token| self.signed(Rule::Report, token, &token.text, 90)),
        );
        all.extend(clues.reported.iter().filter_map(|id| self.reported(id)));
        all.extend(clues.tracker.iter().filter_map(|id| self.tracked(id)));
        all
    }

    /// T1, T4, T6: whoever has the token was given it.
    fn signed(&self, rule: Rule, token: &'a Token, evidence: &'a str, percent: u8) -> Match<'a> {
        let found = |ticket, verdict| Match { rule, evidence, ticket, verdict };
        match self.known.numbers.get(&token.number) {
            Some(named) if self.policy.tokens.verify(token, named.id) => {
                found(Some(named.ticket), Ok(Confidence::percent(percent)))
            }
            // Whom it names is the forger's choice, and nothing to go by.
            Some(_) => found(None, Err(Objection::BadSignature)),
            None => found(None, Err(Objection::NoSuchTicket)),
        }
    }

    /// T2: a message of the ticket bears the id.
    fn own(&self, rule: Rule, id: &'a Id) -> Option<Match<'a>> {
        let (ticket, known) = self.by_key(id, KeyKind::Own)?;
        let percent = match self.nearness(known) {
            Nearness::Participant => 90,
            Nearness::Colleague => 75,
            Nearness::Stranger => 60,
        };
        Some(Match {
            rule,
            evidence: &id.text,
            ticket: Some(ticket),
            verdict: Ok(Confidence::percent(percent)),
        })
    }

    /// T3: messages of the ticket name the id too, or name this very mail, which comes after its reply.
    fn seen(&self, rule: Rule, id: &'a Id) -> Option<Match<'a>> {
        let (ticket, known) = self.by_key(id, KeyKind::Seen)?;
        let verdict = match self.nearness(known) {
            Nearness::Participant => Ok(Confidence::percent(80)),
            Nearness::Colleague | Nearness::Stranger => Err(Objection::Stranger),
        };
        Some(Match { rule, evidence: &id.text, ticket: Some(ticket), verdict })
    }

    /// T5: the token is no proof, so the sender must be somebody who has written in the ticket, or was written to, or
    /// who works where the mailbox is.
    fn subject_tokens(&self) -> impl Iterator<Item = Match<'a>> {
        self.clues.subject_tokens.iter().map(|token| {
            let found =
                |ticket, verdict| Match { rule: Rule::SubjectToken, evidence: &token.text, ticket, verdict };
            let named = self.known.numbers.get(&token.number).filter(|named| token.is_of(named.id));
            let ticket = named.map(|named| named.ticket);
            let Some((id, known)) = ticket.and_then(|id| Some((id, self.known.tickets.get(&id)?))) else {
                return found(None, Err(Objection::NoSuchTicket));
            };
            let is_in_it =
                self.clues.author.as_deref().is_some_and(|author| {
                    known.people.contains_key(author) || self.policy.is_colleague(author)
                });
            let verdict = match (is_in_it, self.clues.is_forged) {
                (true, false) => Ok(Confidence::percent(70)),
                (true, true) => Err(Objection::Forged),
                (false, _) => Err(Objection::Stranger),
            };
            found(Some(id), verdict)
        })
    }

    /// T6: the mail reports of one that was sent out of the ticket.
    fn reported(&self, id: &'a Id) -> Option<Match<'a>> {
        let &(ticket, kind) = self.known.keys.get(&id.key)?;
        let percent = match kind {
            KeyKind::Own => 90,
            KeyKind::Seen => 80,
            KeyKind::Tracker => return None,
        };
        let verdict = Ok(Confidence::percent(percent));
        Some(Match { rule: Rule::Report, evidence: &id.text, ticket: Some(ticket), verdict })
    }

    /// T7: another system gave the matter a number. It is sure if that system's address is in the ticket already.
    fn tracked(&self, id: &'a Id) -> Option<Match<'a>> {
        let (ticket, known) = self.by_key(id, KeyKind::Tracker)?;
        let is_in_it = self.clues.author.as_ref().is_some_and(|author| known.people.contains_key(author));
        let verdict = Ok(Confidence::percent(if is_in_it { 80 } else { 60 }));
        Some(Match { rule: Rule::Tracker, evidence: &id.text, ticket: Some(ticket), verdict })
    }

    fn by_key(&self, id: &Id, wanted: KeyKind) -> Option<(Uuid, &'a KnownTicket)> {
        let &(ticket, _) = self.known.keys.get(&id.key).filter(|(_, kind)| *kind == wanted)?;
        Some((ticket, self.known.tickets.get(&ticket)?))
    }

    fn nearness(&self, ticket: &KnownTicket) -> Nearness {
        let Clues { author, recipients, .. } = self.clues;
        // That it goes to those who wrote, too, shows that they have it. That it goes to somebody whom they once wrote
        // to does not: that may be another address of the mailbox.
        let is_writer = |address: &String| ticket.people.get(address) == Some(&Role::Writer);
        let is_in_it = author.as_ref().is_some_and(|author| ticket.people.contains_key(author));
        if is_in_it || recipients.iter().any(is_writer) {
            return Nearness::Participant;
        }
        let is_colleague = |author: &String| {
            self.policy.is_colleague(author)
                || ticket.people.keys().any(|other| self.policy.is_one_organisation(author, other))
        };
        if author.as_ref().is_some_and(is_colleague) { Nearness::Colleague } else { Nearness::Stranger }
    }
}

/// How near a mail's people are to a ticket's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Nearness {
    /// The author is in the ticket, or somebody who wrote in it gets the mail too.
    Participant,
    /// The author belongs to the organisation of somebody in the ticket, or to the mailbox's.
    Colleague,
    /// Neither.
    Stranger,
}

/// Where a mail goes that names a ticket rightly; or why it is a matter of its own.
fn guard(
    clues: &Clues,
    known: &KnownTicket,
    policy: &Policy,
    action: Action,
    at: DateTime<Utc>,
) -> Result<Place, Objection> {
    let joins = Place::Joins(known.ticket.id);
    match action {
        Action::Suspend => return Ok(Place::Suspended(Reason::Verdict)),
        Action::Archive => return Ok(Place::Archived),
        Action::Ticket | Action::AppendOnly => {}
    }
    let is_in_it = clues.author.as_ref().is_some_and(|author| known.people.contains_key(author));
    if clues.is_forged && !is_in_it {
        return Ok(Place::Suspended(Reason::Forged));
    }
    // What only adds never opens anything, whatever it says.
    if action == Action::AppendOnly {
        return Ok(joins);
    }
    if known.closed_at.is_some_and(|closed_at| closed_at + policy.reopen_window < at) {
        return Err(Objection::Closed);
    }
    let may_be_another_matter = match policy.new_topic {
        NewTopic::Never => false,
        NewTopic::Closed => known.closed_at.is_some(),
        NewTopic::Unquoted => known.closed_at.is_some() || !clues.has_quotes,
    };
    if may_be_another_matter && clues.subject.differs_from(&Subject::read(&known.ticket.subject)) {
        return Err(Objection::NewTopic);
    }
    let goes_to_others = clues.recipients.iter().any(|recipient| !known.people.contains_key(recipient));
    if clues.subject.is_forward && goes_to_others {
        return Err(Objection::Forwarded);
    }
    Ok(joins)
}

/// Why a mail that would go into a ticket is too much.
fn over(clues: &Clues, known: &Known, policy: &Policy, filing: &Filing, at: DateTime<Utc>) -> Option<Reason> {
    let ticket = match filing.place {
        Place::Opens => None,
        Place::Joins(ticket) => known.tickets.get(&ticket),
        Place::Suspended(_) | Place::Archived => return None,
    };
    let (rates, limits) = (&known.rates, &policy.limits);
    if rates.is_sender_over(clues.sender, at, limits) {
        return Some(Reason::SenderRate);
    }
    let limit = usize::try_from(limits.ticket_per_day).unwrap_or(usize::MAX);
    let today = |ticket: &KnownTicket| ticket.recent.iter().filter(|time| (at - **time).abs() < DAY).count();
    if limit > 0 && ticket.is_some_and(|ticket| today(ticket) >= limit) {
        return Some(Reason::TicketRate);
    }
    rates.is_repeated(Some(clues.content), at, limits).then_some(Reason::Repeated)
}

//! What an administrator decided about filing, ready for use.

use chrono::TimeDelta;

use crate::config;
use crate::config::{Action, Actions, NewTopic, Tracker};
use crate::mail::Verdict;
use crate::rule;
use crate::ticket::Confidence;
use crate::ticket::person;
use crate::ticket::rate::Limits;
use crate::ticket::token::TokenKeys;

/// By what a mailbox's mail is filed.
#[derive(Clone)]
pub struct Policy {
    /// What signs reply tokens.
    pub tokens: TokenKeys,
    /// What subject tokens begin with.
    pub subject_prefix: String,
    /// How much is too much.
    pub(super) limits: Limits,
    /// Less sure than this, and a mail does not join a ticket.
    pub(super) threshold: Confidence,
    /// A ticket that was closed longer ago is not opened again.
    pub(super) reopen_window: TimeDelta,
    /// When a reply under another subject is a matter of its own.
    pub(super) new_topic: NewTopic,
    pub(super) trackers: Vec<Tracker>,
    /// What is done with mail of certain kinds, besides.
    pub(super) rules: Vec<rule::Rule>,
    /// Plain addresses, and domains, of senders who may send any number of mails.
    unlimited: Vec<String>,
    /// The mailbox's addresses, plain.
    own: Vec<String>,
    /// Domains at which anybody gets an address.
    shared: Vec<String>,
    actions: Actions,
    /// Whether a person has looked at the mail.
    is_release: bool,
}

// By hand: addresses must not reach a log.
impl std::fmt::Debug for Policy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Policy")
            .field("tokens", &self.tokens)
            .field("limits", &self.limits)
            .field("threshold", &self.threshold)
            .field("actions", &self.actions)
            .finish_non_exhaustive()
    }
}

impl Policy {
    /// Of a mailbox with these addresses.
    pub fn new<'a>(
        filing: &config::Filing,
        trackers: &[Tracker],
        rules: &[rule::Rule],
        own: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        // A duration of the configuration is at most 30 days.
        let delta = |duration| TimeDelta::from_std(duration).unwrap_or(TimeDelta::days(30));
        Self {
            tokens: TokenKeys::new(&filing.token_keys),
            subject_prefix: filing.subject_prefix.clone(),
            limits: Limits {
                sender_per_hour: filing.sender_per_hour,
                sender_pause: delta(filing.sender_pause),
                ticket_per_day: filing.ticket_per_day,
                same_mail: filing.same_mail,
                same_mail_window: delta(filing.same_mail_window),
            },
            threshold: Confidence::percent(filing.threshold_percent),
            reopen_window: delta(filing.reopen_window),
            new_topic: filing.new_topic,
            trackers: trackers.to_vec(),
            rules: rules.to_vec(),
            unlimited: filing.unlimited_senders.iter().map(|sender| sender.to_ascii_lowercase()).collect(),
            own: own.into_iter().filter_map(person::plain).collect(),
            shared: filing.shared_domains.iter().map(|domain| domain.to_ascii_lowercase()).collect(),
            actions: filing.actions,
            is_release: false,
        }
    }

    /// This policy for a mail that a person has looked at and wants filed: whatever wrote it, whoever sent it, and
    /// however often.
    #[must_use]
    pub fn of_release(&self) -> Self {
        let none = Limits { sender_per_hour: 0, ticket_per_day: 0, same_mail: 0, ..self.limits.clone() };
        Self { limits: none, actions: Actions::all(Action::Ticket), is_release: true, ..self.clone() }
    }

    /// Whether senders and contents are counted at all.
    pub fn has_rates(&self) -> bool {
        self.limits.sender_per_hour > 0 || self.limits.same_mail > 0
    }

    /// How many messages of a ticket are looked at: as many as may come in a day.
    pub fn recent_messages(&self) -> u32 {
        self.limits.ticket_per_day
    }

    /// Whether a rule may keep a mail out of its ticket.
    pub(super) fn minds_suspending_rules(&self) -> bool {
        !self.is_release
    }

    /// Whether a sender whose domain did not send a mail is not believed.
    pub(super) fn minds_forgeries(&self) -> bool {
        !self.is_release
    }

    /// Whether the mailbox has this plain address.
    pub(super) fn is_own(&self, address: &str) -> bool {
        self.own.iter().any(|own| own == address)
    }

    /// Whether whoever has this plain address may send any number of mails.
    pub(super) fn is_unlimited(&self, address: &str) -> bool {
        self.unlimited.iter().any(|known| known == address || known == person::domain(address))
    }

    /// Whether somebody with this plain address works where the mailbox is.
    pub(super) fn is_colleague(&self, address: &str) -> bool {
        self.own.iter().any(|own| self.is_one_organisation(own, address))
    }

    /// Whether two people with these plain addresses belong to one organisation.
    pub(super) fn is_one_organisation(&self, one: &str, other: &str) -> bool {
        person::is_one_organisation(person::domain(one), person::domain(other), &self.shared)
    }

    /// What is done with mail of this verdict.
    pub(super) fn action(&self, verdict: Verdict) -> Action {
        let actions = &self.actions;
        match verdict {
            Verdict::Human => actions.human,
            Verdict::AutoReply => actions.auto_reply,
            Verdict::AutoGenerated => actions.auto_generated,
            Verdict::BulkList => actions.bulk_list,
            Verdict::BounceFailed => actions.bounce_failed,
            Verdict::BounceDelayed => actions.bounce_delayed,
            Verdict::Receipt => actions.receipt,
            Verdict::Calendar => actions.calendar,
            Verdict::Complaint => actions.complaint,
            Verdict::OwnLoop => actions.own_loop,
        }
    }
}

//! What an administrator wants done with mail of a certain kind: rules, asked in their order, each of which holds for a
//! mail or not. Pure, and total: in time linear in the mail, whatever is in it.
//!
//! Invariant: what the rules come to depends on the mail alone, so that it can be explained, and is the same when a
//! batch is filed anew.

mod pattern;

use std::collections::BTreeSet;
use std::fmt;

use crate::mail::{Defect, Mail, Verdict};

pub use pattern::Pattern;

/// A rule. It holds for a mail if each of its conditions does.
#[derive(Debug, Clone)]
pub struct Rule {
    /// What it is called. Not private.
    pub name: String,
    /// When it holds.
    pub conditions: Conditions,
    /// What follows.
    pub effects: Effects,
    /// Whether no rule after it is asked.
    pub stop: bool,
}

/// Conditions of a rule. Of a list, one has to hold; an empty one is no condition.
#[derive(Clone, Default)]
pub struct Conditions {
    /// The author's address.
    pub from: Vec<Pattern>,
    /// The address of a recipient, in To or Cc.
    pub to: Vec<Pattern>,
    /// The subject.
    pub subject: Vec<Pattern>,
    /// A header field: its name in lower case, and its value.
    pub header: Vec<(String, Pattern)>,
    /// Who wrote it.
    pub verdict: Vec<Verdict>,
    /// More bytes than this.
    pub larger: Option<u64>,
    /// Fewer bytes than this.
    pub smaller: Option<u64>,
    /// Whether there is an attachment that is not shown inside the body.
    pub has_attachment: Option<bool>,
}

// By hand: patterns are of addresses.
impl fmt::Debug for Conditions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conditions").field("verdict", &self.verdict).finish_non_exhaustive()
    }
}

/// What follows from a rule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Effects {
    /// Tags for the ticket, beside those it has.
    pub tags: Vec<String>,
    /// The ticket's priority.
    pub priority: Option<Priority>,
    /// The ticket's status.
    pub status: Option<Status>,
    /// The webhooks that hear of the mail, in place of all. None are named if it is no matter of the rule.
    pub webhooks: Vec<String>,
    /// Whether the mail is suspended.
    pub suspend: bool,
}

/// How urgent a ticket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// It can wait.
    Low,
    /// As any other.
    Normal,
    /// Sooner than others.
    High,
    /// Now.
    Urgent,
}

impl Priority {
    /// Every priority, by the name it is written, stored and sent by.
    pub const NAMES: [(&str, Self); 4] =
        [("low", Self::Low), ("normal", Self::Normal), ("high", Self::High), ("urgent", Self::Urgent)];

    /// The name it is stored and sent by.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
            Self::Urgent => "urgent",
        }
    }

    /// The one with this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::NAMES.into_iter().find(|(known, _)| *known == name).map(|(_, priority)| priority)
    }
}

/// Whether a ticket is still to be worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It is.
    Open,
    /// It is not.
    Closed,
}

impl Status {
    /// Every status, by the name it is written, stored and sent by.
    pub const NAMES: [(&str, Self); 2] = [("open", Self::Open), ("closed", Self::Closed)];

    /// The name it is stored and sent by.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
        }
    }
}

/// What a ticket bears beside its mail.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels {
    /// Its tags.
    pub tags: BTreeSet<String>,
    /// How urgent it is, if anything said so.
    pub priority: Option<Priority>,
}

/// What the rules come to for one mail.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ruling {
    /// The names of the rules that hold, in their order.
    pub rules: Vec<String>,
    /// What follows from them: tags and webhooks of all, and of the rest what the last one says.
    pub effects: Effects,
}

/// Asks the rules.
pub fn rule(rules: &[Rule], mail: &Mail) -> Ruling {
    let mut ruling = Ruling::default();
    for rule in rules {
        if !rule.conditions.hold(mail) {
            continue;
        }
        ruling.rules.push(rule.name.clone());
        let (all, one) = (&mut ruling.effects, &rule.effects);
        add(&mut all.tags, &one.tags);
        add(&mut all.webhooks, &one.webhooks);
        all.priority = one.priority.or(all.priority);
        all.status = one.status.or(all.status);
        all.suspend |= one.suspend;
        if rule.stop {
            break;
        }
    }
    ruling
}

/// Adds what is not there yet.
fn add(all: &mut Vec<String>, more: &[String]) {
    for item in more {
        if !all.contains(item) {
            all.push(item.clone());
        }
    }
}

impl Ruling {
    /// Whether a webhook hears of the mail.
    pub fn tells(&self, webhook: &str) -> bool {
        let webhooks = &self.effects.webhooks;
        webhooks.is_empty() || webhooks.iter().any(|name| name == webhook)
    }

    /// What a ticket with these labels bears once the mail is in it.
    pub fn label(&self, labels: &mut Labels) {
        labels.tags.extend(self.effects.tags.iter().cloned());
        labels.priority = self.effects.priority.or(labels.priority);
    }
}

impl Conditions {
    fn hold(&self, mail: &Mail) -> bool {
        // How much more there is than the header, nobody has looked.
        let size = if mail.defects.contains(&Defect::Oversized) { u64::MAX } else { mail.size };
        let is_one_of = |patterns: &[Pattern], texts: &[&str]| {
            patterns.is_empty()
                || patterns.iter().any(|pattern| texts.iter().any(|text| pattern.matches(text)))
        };
        let from: Vec<&str> = mail.from.iter().map(|from| from.address.as_str()).collect();
        let to: Vec<&str> = mail.to.iter().chain(&mail.cc).map(|to| to.address.as_str()).collect();
        let has_header = |(name, pattern): &(String, Pattern)| {
            let mut fields = mail.headers.iter().filter(|(field, _)| field.eq_ignore_ascii_case(name));
            fields.any(|(_, value)| pattern.matches(value))
        };
        let has_attachment = || mail.attachments.iter().any(|attachment| !attachment.inline);
        is_one_of(&self.from, &from)
            && is_one_of(&self.to, &to)
            && is_one_of(&self.subject, &[&mail.subject])
            && (self.header.is_empty() || self.header.iter().any(has_header))
            && (self.verdict.is_empty() || self.verdict.contains(&mail.automation.verdict))
            && self.larger.is_none_or(|bytes| size > bytes)
            && self.smaller.is_none_or(|bytes| size < bytes)
            && self.has_attachment.is_none_or(|wanted| has_attachment() == wanted)
    }
}

#[cfg(test)]
mod tests;

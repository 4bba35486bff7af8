//! `postroom explain`

use std::convert::Infallible;
use std::str::FromStr;

use anyhow::Context;
use clap::Args as ClapArgs;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::cli::output;
use crate::cli::tickets::person;
use crate::cli::{Ending, open_store};
use crate::config::Config;
use crate::message::Uid;
use crate::store::{Explained, UnfiledState, Wanted};

#[derive(Debug, ClapArgs)]
pub(super) struct Args {
    /// The message: its id, MAILBOX/UID, or its Message-ID
    message: Name,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A message, as a person names it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Name {
    Id(Uuid),
    Place(String, Uid),
    MessageId(String),
}

impl FromStr for Name {
    type Err = Infallible;

    /// A Message-ID may look like anything but an id of ours. It has an `@`, mostly, and a mailbox's name has none.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(id) = text.parse() {
            return Ok(Self::Id(id));
        }
        let place = text.rsplit_once('/').filter(|(mailbox, _)| !mailbox.contains(['@', '<']));
        if let Some((mailbox, Ok(uid))) = place.map(|(mailbox, uid)| (mailbox, uid.parse())) {
            return Ok(Self::Place(mailbox.to_owned(), Uid(uid)));
        }
        let id = text.trim();
        let id = id.strip_prefix('<').and_then(|id| id.strip_suffix('>')).unwrap_or(id);
        Ok(Self::MessageId(id.to_owned()))
    }
}

/// What `--json` prints of each message.
#[derive(Serialize)]
struct Explanation<'a> {
    id: Uuid,
    mailbox: &'a str,
    message_id: Option<&'a str>,
    place: Place<'a>,
    filing: Filing<'a>,
    automation: Automation<'a>,
    rules: &'a [String],
}

#[derive(Serialize)]
struct Place<'a> {
    ticket: Option<i64>,
    sequence: Option<i32>,
    state: Option<UnfiledState>,
    reason: Option<&'a str>,
    related_ticket: Option<i64>,
}

#[derive(Serialize)]
struct Filing<'a> {
    rule: &'a str,
    evidence: Option<&'a str>,
    confidence: Option<f64>,
    considered: Vec<Considered>,
}

#[derive(Serialize)]
struct Automation<'a> {
    verdict: Option<&'a str>,
    signals: &'a [String],
    action: Option<&'a str>,
}

/// A ticket that the message might have joined.
#[derive(Serialize, Deserialize)]
struct Considered {
    rule: String,
    evidence: String,
    ticket: Option<i64>,
    confidence: Option<f64>,
    objection: String,
}

pub(super) async fn run(config: &Config, args: &Args) -> anyhow::Result<Ending> {
    let store = open_store(config).await?;
    let wanted = match &args.message {
        Name::Id(id) => Wanted::Id(*id),
        Name::Place(mailbox, uid) => Wanted::Place(mailbox, *uid),
        Name::MessageId(id) => Wanted::MessageId(id),
    };
    let found = store.explain(wanted).await.context("looking the message up")?;
    anyhow::ensure!(
        !found.is_empty(),
        "no such message is stored; `postroom held list` shows what is kept in a mailbox on doubt"
    );
    if args.json {
        let all: Vec<Explanation<'_>> = found.iter().map(Explanation::of).collect::<Result<_, _>>()?;
        output::json(&all)?;
        return Ok(Ending::Done);
    }
    for (place, message) in found.iter().enumerate() {
        if place > 0 {
            output::line("")?;
        }
        for line in lines(message)? {
            output::line(output::tame(&line))?;
        }
    }
    Ok(Ending::Done)
}

impl<'a> Explanation<'a> {
    fn of(message: &'a Explained) -> anyhow::Result<Self> {
        Ok(Self {
            id: message.id,
            mailbox: &message.mailbox,
            message_id: message.message_id.as_deref(),
            place: Place {
                ticket: message.ticket,
                sequence: message.sequence,
                state: message.state,
                reason: message.reason.as_deref(),
                related_ticket: message.related_ticket,
            },
            filing: Filing {
                rule: &message.filing_rule,
                evidence: message.filing_evidence.as_deref(),
                confidence: message.filing_confidence.map(hundredths),
                considered: considered(message)?,
            },
            automation: Automation {
                verdict: message.verdict.as_deref(),
                signals: message.signals.as_deref().unwrap_or_default(),
                action: message.filing_action.as_deref(),
            },
            rules: &message.rules,
        })
    }
}

/// What it says to a person.
fn lines(message: &Explained) -> anyhow::Result<Vec<String>> {
    let mut lines = vec![
        format!("Message {}, mailbox {}, {}", message.id, message.mailbox, output::time(message.received_at)),
        format!("From {}: {}", person(&message.from_name, &message.from_address), message.subject),
        String::new(),
        place(message),
        format!("  {}: {}", message.filing_rule, rule_in_words(&message.filing_rule)),
    ];
    if let Some(evidence) = &message.filing_evidence {
        let confidence = message.filing_confidence.map(|confidence| format!(", confidence {confidence}"));
        lines.push(format!("  evidence: {evidence}{}", confidence.unwrap_or_default()));
    }
    if let Some(related) = message.related_ticket {
        lines.push(format!("  It has to do with ticket {related}."));
    }
    let considered = considered(message)?;
    if !considered.is_empty() {
        lines.push("Also considered:".to_owned());
    }
    for other in considered {
        let ticket = other.ticket.map_or_else(|| "no ticket".to_owned(), |ticket| format!("ticket {ticket}"));
        let confidence = other.confidence.map(|confidence| format!(", confidence {confidence}"));
        lines.push(format!(
            "  {ticket} by {}: {}{}. {}",
            other.rule,
            other.evidence,
            confidence.unwrap_or_default(),
            objection_in_words(&other.objection)
        ));
    }
    lines.push(String::new());
    lines.push(match (&message.verdict, &message.filing_action) {
        (Some(verdict), Some(action)) => {
            format!("Written by: {verdict}; with such mail, this is done: {action}")
        }
        (Some(verdict), None) => format!("Written by: {verdict}"),
        (None, _) => "Who wrote it was not judged when it was stored.".to_owned(),
    });
    match message.signals.as_deref() {
        Some([]) => lines.push("  Nothing in it speaks for a program.".to_owned()),
        Some(signals) => lines.push(format!("  signals: {}", signals.join(", "))),
        None => {}
    }
    if !message.rules.is_empty() {
        lines.push(format!("Rules: {}", message.rules.join(", ")));
    }
    if !message.defects.is_empty() {
        lines.push(format!("Defects: {}", message.defects.join(", ")));
    }
    Ok(lines)
}

fn place(message: &Explained) -> String {
    let ticket = || message.ticket.unwrap_or_default();
    match (message.state, message.sequence) {
        (Some(UnfiledState::Suspended), _) => {
            let reason = message.reason.as_deref().unwrap_or_default();
            format!(
                "It is suspended: {}. `postroom suspended release {}` files it.",
                reason_in_words(reason),
                message.id
            )
        }
        (Some(UnfiledState::Archived), _) => "It is archived, in no ticket.".to_owned(),
        (Some(UnfiledState::Released), _) => {
            let when = message.released_at.map(output::time).unwrap_or_default();
            format!("It is in ticket {}, into which it was released on {when}.", ticket())
        }
        (None, Some(1)) => format!("It opened ticket {}.", ticket()),
        (None, _) => format!("It is in ticket {}.", ticket()),
    }
}

fn considered(message: &Explained) -> anyhow::Result<Vec<Considered>> {
    match &message.considered {
        Some(json) => serde_json::from_str(json).context("reading what was considered"),
        None => Ok(Vec::new()),
    }
}

/// A confidence as it was meant: a column of this type keeps 0.9 as the number nearest to it.
fn hundredths(confidence: f32) -> f64 {
    (f64::from(confidence) * 100.0).round() / 100.0
}

fn rule_in_words(rule: &str) -> &'static str {
    match rule {
        "opened" => "no rule was sure of a ticket",
        "none" => "no rule was sure of a ticket, and such mail opens none",
        "reply_token" => "it bears the ticket's reply token",
        "in_reply_to" => "it answers a message of the ticket",
        "references" => "it refers to a message of the ticket",
        "alias" => "it refers to what messages of the ticket refer to",
        "parent" => "messages of the ticket refer to it; they came first",
        "body_token" => "its text holds the ticket's reply token",
        "subject_token" => {
            "its subject holds the ticket's token, and its author is in the ticket or works here"
        }
        "report" => "it reports of a mail that was sent out of the ticket",
        "tracker" => "it has another system's number, as messages of the ticket have",
        _ => "a rule that this version does not know",
    }
}

fn reason_in_words(reason: &str) -> &'static str {
    match reason {
        "verdict" => "such mail is, by the configuration",
        "forged" => "its author is not in the ticket, and the author's domain did not send it",
        "rule" => "a rule of the configuration says so",
        "sender_rate" => "its sender sends too much",
        "ticket_rate" => "its ticket gets too much",
        "repeated" => "the same came too often",
        _ => "for a reason that this version does not know",
    }
}

fn objection_in_words(objection: &str) -> &'static str {
    match objection {
        "bad_signature" => "Its signature is not ours.",
        "no_such_ticket" => "There is no such ticket.",
        "stranger" => "Nobody of the ticket sends it.",
        "forged" => "The author's domain did not send it.",
        "unsure" => "That is less sure than the threshold.",
        "closed" => "The ticket was closed too long ago.",
        "new_topic" => "It has another subject, and quotes nothing or comes to a closed ticket.",
        "forwarded" => "It is handed on to people who are not in the ticket.",
        "outranked" => "An earlier rule was sure of another ticket.",
        _ => "For a reason that this version does not know.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ticket::{Objection, Reason, Rule};

    #[test]
    fn a_message_is_named_in_three_ways() {
        let message = |text: &str| text.parse::<Name>().unwrap();
        let id = "019a0000-0000-7000-8000-000000000001";

        assert_eq!(message(id), Name::Id(id.parse().unwrap()));
        assert_eq!(message("support/4711"), Name::Place("support".to_owned(), Uid(4_711)));
        for (text, id) in [
            ("<a@b>", "a@b"),
            (" a@b ", "a@b"),
            ("<a/7@b/9>", "a/7@b/9"),
            ("a/7@b/9", "a/7@b/9"),
            ("support/x", "support/x"),
        ] {
            assert_eq!(message(text), Name::MessageId(id.to_owned()), "{text}");
        }
    }

    #[test]
    fn every_word_that_is_stored_is_explained() {
        for rule in Rule::ALL {
            assert!(!rule_in_words(rule.as_str()).contains("does not know"), "{rule:?}");
        }
        for reason in Reason::ALL {
            assert!(!reason_in_words(reason.as_str()).contains("does not know"), "{reason:?}");
        }
        for objection in Objection::ALL {
            assert!(!objection_in_words(objection.as_str()).contains("does not know"), "{objection:?}");
        }
    }

    #[test]
    fn a_confidence_is_printed_as_it_was_meant() {
        for percent in 0..=100_u8 {
            let meant = f64::from(percent) / 100.0;
            #[expect(clippy::cast_possible_truncation, reason = "as the column does")]
            let stored = meant as f32;
            assert!((hundredths(stored) - meant).abs() < f64::EPSILON, "{percent}");
        }
    }
}

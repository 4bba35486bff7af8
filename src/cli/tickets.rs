//! `postroom tickets list`, `postroom tickets show`

use anyhow::Context;
use clap::{Args, Subcommand};
use serde::Serialize;

use crate::cli::merge;
use crate::cli::output;
use crate::cli::{Ending, open_store};
use crate::config::Config;
use crate::mail::Verdict;
use crate::store::{MessageLine, Switched, TicketLine};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// The tickets with the newest mail
    List(List),
    /// One ticket with its messages
    Show(Show),
    /// Close tickets: mail that comes within `reopen_window` opens them again, later mail opens others
    Close(Numbers),
    /// Open closed tickets
    Reopen(Numbers),
    /// Merge a ticket into another one of its mailbox, and tell the webhooks
    Merge(merge::MergeArgs),
    /// Split messages off a ticket into a new one, and tell the webhooks
    Split(merge::SplitArgs),
}

#[derive(Debug, Args)]
pub(super) struct Numbers {
    /// The tickets' numbers
    #[arg(required = true, value_name = "NUMBER")]
    numbers: Vec<i64>,
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// Only tickets of this mailbox
    #[arg(long, value_name = "NAME")]
    mailbox: Option<String>,
    /// How many at the most
    #[arg(long, default_value_t = 50, value_name = "COUNT")]
    limit: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Show {
    /// The ticket's number
    number: i64,
    /// Print all of each text, with quotes and signatures
    #[arg(long)]
    full: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Whole {
    #[serde(flatten)]
    ticket: TicketLine,
    messages: Vec<MessageLine>,
}

pub(super) async fn run(config: &Config, command: Command) -> anyhow::Result<Ending> {
    match command {
        Command::List(args) => list(config, &args).await,
        Command::Show(args) => show(config, &args).await,
        Command::Close(args) => set_open(config, &args.numbers, false).await,
        Command::Reopen(args) => set_open(config, &args.numbers, true).await,
        Command::Merge(args) => merge::merge(config, &args).await,
        Command::Split(args) => merge::split(config, &args).await,
    }
}

async fn list(config: &Config, args: &List) -> anyhow::Result<Ending> {
    let store = open_store(config).await?;
    let tickets = store.list_tickets(args.mailbox.as_deref(), args.limit).await.context("listing tickets")?;
    if args.json {
        output::json(&tickets)?;
        return Ok(Ending::Done);
    }
    if tickets.is_empty() {
        output::line("No tickets.")?;
        return Ok(Ending::Done);
    }
    let mut table = output::table(&["ticket", "mailbox", "newest mail", "messages", "requester", "subject"]);
    for ticket in tickets {
        table.add_row([
            ticket.number.to_string(),
            ticket.mailbox,
            output::time(ticket.last_message_at),
            ticket.message_count.to_string(),
            person(&ticket.requester_name, &ticket.requester_address),
            output::tame(&ticket.subject),
        ]);
    }
    output::line(table)?;
    Ok(Ending::Done)
}

async fn show(config: &Config, args: &Show) -> anyhow::Result<Ending> {
    let store = open_store(config).await?;
    let found = store.show_ticket(args.number).await.context("looking the ticket up")?;
    let (ticket, messages) = found.with_context(|| {
        format!("there is no ticket {}; `postroom tickets list` shows those there are", args.number)
    })?;
    if args.json {
        output::json(&Whole { ticket, messages })?;
        return Ok(Ending::Done);
    }
    output::line(format!("Ticket {}  {}", ticket.number, output::tame(&ticket.subject)))?;
    output::line(format!(
        "{}, mailbox {}, from {}",
        ticket.status,
        ticket.mailbox,
        person(&ticket.requester_name, &ticket.requester_address)
    ))?;
    if let Some(number) = ticket.merged_into {
        output::line(format!("Merged into ticket {number}, where its messages are"))?;
    }
    if let Some(priority) = &ticket.priority {
        output::line(format!("Priority: {priority}"))?;
    }
    if !ticket.tags.is_empty() {
        output::line(format!("Tags: {}", ticket.tags.join(", ")))?;
    }
    for message in messages {
        output::line("")?;
        output::line(format!(
            "── {} ── {} ── {}",
            message.sequence,
            output::time(message.received_at),
            person(&message.from_name, &message.from_address)
        ))?;
        output::line(format!("Subject: {}", output::tame(&message.subject)))?;
        if let Some(evidence) = &message.filing_evidence {
            output::line(format!("Filed here by {}: {}", message.filing_rule, output::tame(evidence)))?;
        }
        if let Some(verdict) = message.verdict.filter(|verdict| *verdict != Verdict::Human.as_str()) {
            let signals = message.signals.unwrap_or_default().join(", ");
            output::line(format!("Verdict: {verdict} ({signals})"))?;
        }
        if !message.rules.is_empty() {
            output::line(format!("Rules: {}", message.rules.join(", ")))?;
        }
        if !message.attachments.is_empty() {
            output::line(format!("Attachments: {}", output::tame(&message.attachments.join(", "))))?;
        }
        if !message.defects.is_empty() {
            output::line(format!("Defects: {}", message.defects.join(", ")))?;
        }
        output::line(format!("Size: {}, message {}", output::bytes(message.size), message.id))?;
        output::line("")?;
        match message.reply_text.filter(|_| !args.full) {
            Some(reply) => {
                output::line(output::tame_lines(&reply).trim_end())?;
                output::line("[quotes or a signature left out; --full shows them]")?;
            }
            None => output::line(output::tame_lines(&message.text).trim_end())?,
        }
    }
    Ok(Ending::Done)
}

async fn set_open(config: &Config, numbers: &[i64], open: bool) -> anyhow::Result<Ending> {
    let store = open_store(config).await?;
    let mut ending = Ending::Done;
    for number in numbers {
        let complaint = match store.set_ticket_open(*number, open).await.context("changing the ticket")? {
            Switched::Done => {
                output::line(format!("Ticket {number} is {}.", if open { "open" } else { "closed" }))?;
                continue;
            }
            Switched::Merged(into) => {
                format!("Ticket {number} was merged into ticket {into}; name that one.")
            }
            Switched::Unknown => {
                format!("There is no ticket {number}; `postroom tickets list` shows those there are.")
            }
        };
        output::line(complaint)?;
        ending = Ending::Incomplete;
    }
    Ok(ending)
}

/// Somebody on one line.
pub(super) fn person(name: &str, address: &str) -> String {
    output::tame(&match (name, address) {
        ("", address) => address.to_owned(),
        (name, "") => name.to_owned(),
        (name, address) => format!("{name} <{address}>"),
    })
}

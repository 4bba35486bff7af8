//! `postroom suspended list`, `postroom suspended release`

use anyhow::Context;
use clap::{ArgGroup, Args, Subcommand};
use serde::Serialize;
use uuid::Uuid;

use crate::cli::output;
use crate::cli::tickets::person;
use crate::cli::{Ending, open_store};
use crate::config::Config;
use crate::intake;
use crate::intake::Released;
use crate::store::{Store, UnfiledLine, UnfiledState};

/// Messages that are looked up at once when all are to be released.
const PAGE: u32 = 1_000;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// The messages that are stored in no ticket until a person has looked, and why; oldest first
    List(List),
    /// File messages whatever spoke against it, each into its ticket or a new one, and tell helpdesks
    Release(Release),
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// Only messages of this mailbox
    #[arg(long, value_name = "NAME")]
    mailbox: Option<String>,
    /// Those that were archived instead: stored in no ticket without anybody being asked
    #[arg(long)]
    archived: bool,
    /// How many at the most
    #[arg(long, default_value_t = 50, value_name = "COUNT")]
    limit: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").required(true).args(["messages", "mailbox", "all"]))]
pub(super) struct Release {
    /// Messages, suspended or archived, by the id that `list` shows
    #[arg(value_name = "ID")]
    messages: Vec<Uuid>,
    /// All suspended ones of this mailbox
    #[arg(long, value_name = "NAME")]
    mailbox: Option<String>,
    /// All suspended ones of every mailbox
    #[arg(long)]
    all: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What became of one.
#[derive(Serialize)]
struct Outcome {
    id: Uuid,
    /// The ticket that it is in now.
    ticket: Option<i64>,
    is_new: bool,
    /// Why nothing was done.
    refused: Option<String>,
}

pub(super) async fn run(config: &Config, command: Command) -> anyhow::Result<Ending> {
    match command {
        Command::List(args) => list(config, &args).await,
        Command::Release(args) => release(config, &args).await,
    }
}

async fn list(config: &Config, args: &List) -> anyhow::Result<Ending> {
    let store = open_store(config).await?;
    let state = if args.archived { UnfiledState::Archived } else { UnfiledState::Suspended };
    let listed = store.list_unfiled(state, args.mailbox.as_deref(), args.limit).await;
    let messages = listed.context("listing messages")?;
    if args.json {
        output::json(&messages)?;
        return Ok(Ending::Done);
    }
    if messages.is_empty() {
        output::line(if args.archived { "No message is archived." } else { "No message is suspended." })?;
        return Ok(Ending::Done);
    }
    let mut table = output::table(&["id", "mailbox", "received", "from", "subject", "reason", "ticket"]);
    for message in messages {
        table.add_row([
            message.id.to_string(),
            message.mailbox.clone(),
            output::time(message.received_at),
            person(&message.from_name, &message.from_address),
            output::tame(&message.subject),
            reason(&message),
            message.related_ticket.map(|ticket| ticket.to_string()).unwrap_or_default(),
        ]);
    }
    output::line(table)?;
    Ok(Ending::Done)
}

fn reason(message: &UnfiledLine) -> String {
    let verdict = message.verdict.as_deref().unwrap_or_default();
    match message.reason.as_deref() {
        None | Some("verdict") => verdict.to_owned(),
        Some(reason) => reason.to_owned(),
    }
}

async fn release(config: &Config, args: &Release) -> anyhow::Result<Ending> {
    let store = open_store(config).await?;
    let webhooks: Vec<&str> = config.webhooks.iter().map(|webhook| webhook.name.as_str()).collect();
    // A worker may not have run with this configuration yet.
    store.register_webhooks(&webhooks).await.context("registering webhooks")?;
    let mut outcomes = Vec::new();
    if args.messages.is_empty() {
        // Page by page: what has been released is not listed again.
        loop {
            let page = store.list_unfiled(UnfiledState::Suspended, args.mailbox.as_deref(), PAGE).await;
            let mut page = page.context("listing messages")?;
            page.retain(|message| outcomes.iter().all(|outcome: &Outcome| outcome.id != message.id));
            if page.is_empty() {
                break;
            }
            for message in page {
                outcomes.push(release_one(config, &store, &webhooks, message.id).await?);
            }
        }
    } else {
        for id in &args.messages {
            outcomes.push(release_one(config, &store, &webhooks, *id).await?);
        }
    }
    report(args, &outcomes)
}

async fn release_one(config: &Config, store: &Store, webhooks: &[&str], id: Uuid) -> anyhow::Result<Outcome> {
    let refused = |why: String| Outcome { id, ticket: None, is_new: false, refused: Some(why) };
    let found = store.unfiled(id).await.context("looking the message up")?;
    let Some(unfiled) = found else {
        return Ok(refused("no message of this id is, or was, in no ticket".to_owned()));
    };
    let Some(mailbox) = config.mailboxes.iter().find(|mailbox| mailbox.name == unfiled.mailbox) else {
        return Ok(refused(format!("its mailbox {:?} is not in the configuration", unfiled.mailbox)));
    };
    let policy = intake::policy(config, mailbox);
    let released = intake::release(store, mailbox, &policy, webhooks, &unfiled).await;
    Ok(match released.with_context(|| format!("releasing {id}"))? {
        Released::Into { ticket, is_new } => Outcome { id, ticket: Some(ticket), is_new, refused: None },
        Released::Already => refused("it is in a ticket already".to_owned()),
    })
}

fn report(args: &Release, outcomes: &[Outcome]) -> anyhow::Result<Ending> {
    if args.json {
        output::json(&outcomes)?;
    } else {
        for outcome in outcomes {
            output::line(match (&outcome.refused, outcome.ticket) {
                (Some(why), _) => format!("{}: not released: {why}", outcome.id),
                (None, ticket) => {
                    let new = if outcome.is_new { ", which is new" } else { "" };
                    format!("{}: released into ticket {}{new}", outcome.id, ticket.unwrap_or_default())
                }
            })?;
        }
        if outcomes.is_empty() {
            output::line("No message is suspended.")?;
        }
    }
    let is_done = outcomes.iter().all(|outcome| outcome.refused.is_none());
    Ok(if is_done { Ending::Done } else { Ending::Incomplete })
}

//! `postroom tickets merge`, `postroom tickets split`

use std::str::FromStr;

use anyhow::{Context, bail};
use clap::Args;
use uuid::Uuid;

use crate::cli::output;
use crate::cli::{Ending, open_store};
use crate::config::Config;
use crate::store::{Chosen, Divide, Merge, Store};

#[derive(Debug, Args)]
pub(super) struct MergeArgs {
    /// Number of the ticket that goes
    from: i64,
    /// Number of the ticket that its messages, and later replies, go to
    into: i64,
}

#[derive(Debug, Args)]
pub(super) struct SplitArgs {
    /// The ticket's number
    ticket: i64,
    /// The messages: their places in the ticket, as `postroom tickets show` has them, or their ids
    #[arg(required = true, value_name = "MESSAGE", value_parser = chosen)]
    messages: Vec<Chosen>,
}

pub(super) async fn merge(config: &Config, args: &MergeArgs) -> anyhow::Result<Ending> {
    let (store, webhooks) = open(config).await?;
    let MergeArgs { from, into } = *args;
    match store.merge_tickets(from, into, &webhooks).await.context("merging the tickets")? {
        Merge::Done { messages } => {
            output::line(format!(
                "Ticket {from} is merged into ticket {into}: {messages} messages went over"
            ))?;
        }
        Merge::Already => output::line(format!("Ticket {from} was merged into ticket {into} before"))?,
        Merge::Unknown(number) => bail!("{}", unknown(number)),
        Merge::Same => bail!("a ticket can't be merged into itself"),
        Merge::OtherMailbox => {
            bail!("the tickets belong to two mailboxes, and mail stays within its mailbox")
        }
        Merge::Gone(gone, other) => bail!("ticket {gone} was merged into ticket {other}; name that one"),
    }
    Ok(Ending::Done)
}

pub(super) async fn split(config: &Config, args: &SplitArgs) -> anyhow::Result<Ending> {
    let (store, webhooks) = open(config).await?;
    let number = args.ticket;
    match store.split_ticket(number, &args.messages, &webhooks).await.context("splitting the ticket")? {
        Divide::Done { ticket } => output::line(format!("Ticket {ticket} is opened for what was split off"))?,
        Divide::Unknown => bail!("{}", unknown(number)),
        Divide::Gone(other) => bail!("ticket {number} was merged into ticket {other}; name that one"),
        Divide::NotInTicket(Chosen::Sequence(sequence)) => {
            bail!("ticket {number} has no message {sequence}; it may have been split off before")
        }
        Divide::NotInTicket(Chosen::Id(id)) => {
            bail!("message {id} is not in ticket {number}; it may have been split off before")
        }
        Divide::Whole => bail!("no message would be left in ticket {number}"),
    }
    Ok(Ending::Done)
}

async fn open(config: &Config) -> anyhow::Result<(Store, Vec<&str>)> {
    let (store, webhooks) = (open_store(config).await?, config.webhook_names());
    store.register_webhooks(&webhooks).await.context("registering webhooks")?;
    Ok((store, webhooks))
}

fn unknown(number: i64) -> String {
    format!("there is no ticket {number}; `postroom tickets list` shows those there are")
}

fn chosen(text: &str) -> Result<Chosen, String> {
    let sequence = i32::from_str(text).ok().filter(|sequence| *sequence > 0).map(Chosen::Sequence);
    sequence
        .or_else(|| Uuid::from_str(text).ok().map(Chosen::Id))
        .ok_or_else(|| "neither a place in the ticket, from 1, nor an id".to_owned())
}

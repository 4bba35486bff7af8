//! `postroom held list`, `postroom held retry`, `postroom held export`

use std::path::PathBuf;
use std::str::FromStr;

use anyhow::Context;
use chrono::Utc;
use clap::{Args, Subcommand};

use crate::cli::output;
use crate::cli::{Ending, explained, known_mailbox, open_store};
use crate::config;
use crate::config::Config;
use crate::credentials::{Credentials, NotLoggedIn};
use crate::message::{Extent, Listed, Uid};
use crate::store::{HeldLine, Which};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// The messages that are kept in their mailbox on doubt, and why; oldest first
    List(List),
    /// Have held messages taken in again, at the mailbox's next cycle
    Retry(Retry),
    /// Write the source of one to standard output or a file: as stored, or else out of the mailbox
    Export(Export),
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// Only messages of this mailbox
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
#[group(required = true, multiple = false)]
pub(super) struct Retry {
    /// Messages, as `list` names them
    #[arg(value_name = "MAILBOX/UID")]
    messages: Vec<Place>,
    /// All of this mailbox
    #[arg(long, value_name = "NAME")]
    mailbox: Option<String>,
    /// All of every mailbox
    #[arg(long)]
    all: bool,
}

#[derive(Debug, Args)]
pub(super) struct Export {
    /// The message, as `list` names it
    #[arg(value_name = "MAILBOX/UID")]
    message: Place,
    /// Where to; a file that exists is not overwritten
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// A message, as an operator names it: `support/4711`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    mailbox: String,
    uid: Uid,
}

impl FromStr for Place {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = text.rsplit_once('/').and_then(|(mailbox, uid)| {
            Some(Self { mailbox: mailbox.to_owned(), uid: Uid(uid.parse().ok()?) })
        });
        read.ok_or("a mailbox's name, a slash and a UID are wanted, such as support/4711")
    }
}

impl Place {
    fn which(&self) -> Which<'_> {
        Which::One(&self.mailbox, self.uid)
    }
}

pub(super) async fn run(config: &Config, command: Command) -> anyhow::Result<Ending> {
    match command {
        Command::List(args) => list(config, &args).await,
        Command::Retry(args) => retry(config, &args).await,
        Command::Export(args) => export(config, &args).await,
    }
}

async fn list(config: &Config, args: &List) -> anyhow::Result<Ending> {
    let store = open_store(config).await?;
    let which = args.mailbox.as_deref().map_or(Which::All, Which::Mailbox);
    let held = store.list_held(which, args.limit).await.context("listing held messages")?;
    if args.json {
        output::json(&held)?;
        return Ok(Ending::Done);
    }
    if held.is_empty() {
        output::line("No message is held.")?;
        return Ok(Ending::Done);
    }
    let mut table = output::table(&["message", "since", "size", "reason", "tries", "next try", "stored"]);
    for message in held {
        table.add_row([
            format!("{}/{}", message.mailbox, message.uid),
            output::time(message.seen_at),
            output::bytes(message.size),
            message.reason.clone(),
            message.attempts.to_string(),
            next_try(&message),
            stored(&message),
        ]);
    }
    output::line(table)?;
    Ok(Ending::Done)
}

fn next_try(message: &HeldLine) -> String {
    match message.retry_at {
        Some(at) if at <= Utc::now() => "now".to_owned(),
        Some(at) => output::time(at),
        None => "by hand".to_owned(),
    }
}

fn stored(message: &HeldLine) -> String {
    match message.ticket {
        Some(ticket) => format!("header, ticket {ticket}"),
        None if message.header_stored => "header, in no ticket".to_owned(),
        None if message.set_aside => "source".to_owned(),
        None => "nothing".to_owned(),
    }
}

async fn retry(config: &Config, args: &Retry) -> anyhow::Result<Ending> {
    let store = open_store(config).await?;
    let wanted: Vec<Which<'_>> = match &args.mailbox {
        _ if args.all => vec![Which::All],
        Some(mailbox) => vec![Which::Mailbox(known_mailbox(config, mailbox)?.name.as_str())],
        None => args.messages.iter().map(Place::which).collect(),
    };
    let mut retried = 0;
    for &which in &wanted {
        retried += store.retry_held(which).await.context("retrying held messages")?;
    }
    output::line(format!("{retried} held messages are taken in at the next cycle."))?;
    let mut ending = Ending::Done;
    for place in &args.messages {
        // What is still held now could not be retried.
        for left in store.list_held(place.which(), 1).await.context("listing held messages")? {
            let place =
                left.ticket.map_or_else(|| "no ticket".to_owned(), |ticket| format!("ticket {ticket}"));
            output::line(format!(
                "{}/{} stays held: it is larger than max_message_bytes. Its header is in {place}; take the rest out \
                 of the mailbox by hand.",
                left.mailbox, left.uid
            ))?;
            ending = Ending::Incomplete;
        }
    }
    if usize::try_from(retried).unwrap_or(usize::MAX) < args.messages.len() && ending == Ending::Done {
        output::line("The others are not held; `postroom held list` shows what is.")?;
        ending = Ending::Incomplete;
    }
    Ok(ending)
}

async fn export(config: &Config, args: &Export) -> anyhow::Result<Ending> {
    let place = &args.message;
    let store = open_store(config).await?;
    let held = store.list_held(place.which(), 1).await.context("looking the message up")?;
    let Some(line) = held.first() else {
        anyhow::bail!("{}/{} is not held; `postroom held list` shows what is", place.mailbox, place.uid.0);
    };
    let set_aside = store.source_set_aside(&place.mailbox, place.uid).await.context("reading its source")?;
    let source = if let Some(source) = set_aside {
        source.unpack().context("unpacking its source")?
    } else {
        if let Some(left) = store.backoff_left(&place.mailbox).await.context("asking the database")? {
            anyhow::bail!(
                "its source is not stored, and the mailbox's server asked to be left alone for another {} s",
                left.as_secs() + 1
            );
        }
        let credentials = Credentials::new(&config.secrets, store);
        fetch(known_mailbox(config, &place.mailbox)?, &credentials, line).await?
    };
    output::raw("a source", args.output.as_deref(), |write| write(&source))?;
    Ok(Ending::Done)
}

/// Fetches a message as it is in the mailbox, and changes nothing there.
async fn fetch(
    config: &config::Mailbox,
    credentials: &Credentials,
    line: &HeldLine,
) -> anyhow::Result<Vec<u8>> {
    let what = || format!("its source is not stored, so it was to be fetched from mailbox {}", config.name);
    let (mut session, _) = match credentials.log_in(config).await {
        Ok(logged_in) => logged_in,
        Err(NotLoggedIn::Credential(error)) => {
            return Err(explained(&error, error.cure())).with_context(what);
        }
        Err(NotLoggedIn::Mailbox { error, .. }) => {
            return Err(explained(&error, error.cure())).with_context(what);
        }
    };
    let mut selected = session.select(&config.folder).await.with_context(what)?;
    anyhow::ensure!(
        i64::from(selected.uidvalidity().0) == line.uidvalidity,
        "the folder's UIDs have changed meanwhile; the next cycle lists it anew"
    );
    let listed = Listed {
        uid: Uid(u32::try_from(line.uid)?),
        size: u64::try_from(line.size).unwrap_or(0),
        internal_date: None,
    };
    let messages = selected.fetch(&[listed], Extent::Whole).await.with_context(what)?;
    let message = messages.into_iter().next();
    session.logout().await;
    Ok(message.context("its source is not stored, and the mailbox does not give it")?.source)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_named_by_mailbox_and_uid() {
        let place = |mailbox: &str, uid| Place { mailbox: mailbox.to_owned(), uid: Uid(uid) };
        assert_eq!("support/4711".parse(), Ok(place("support", 4_711)));
        assert_eq!("a/b/1".parse(), Ok(place("a/b", 1)));
        for wrong in ["4711", "support", "support/", "support/x", "support/-1", "support/4294967296"] {
            assert!(wrong.parse::<Place>().is_err(), "{wrong}");
        }
    }
}

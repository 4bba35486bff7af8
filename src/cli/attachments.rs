//! `postroom attachments list`, `postroom attachments get`

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::cli::output;
use crate::cli::{Ending, open_store};
use crate::config::Config;
use crate::mail;
use crate::mail::Facts;
use crate::message::{Extent, Listed, Message, Uid};
use crate::store::{AttachmentLine, Holder, Of, Store};
use crate::text;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// The attachments of a message, or of all messages of a ticket
    List(List),
    /// Write one to standard output or a file, decoded from the stored source
    Get(Get),
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// A message's id, as `tickets show` and events name it, or a ticket's number
    #[arg(value_name = "MESSAGE|TICKET", value_parser = read_of)]
    of: Of,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Get {
    /// The message's id
    message: Uuid,
    /// The attachment's part, as `list` and events name it
    part: u32,
    /// Where to; a file that exists is not overwritten
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

fn read_of(text: &str) -> Result<Of, &'static str> {
    let of = text.parse().map(Of::Message).or_else(|_| text.parse().map(Of::Ticket));
    of.map_err(|_| "a message's id or a ticket's number is wanted")
}

pub(super) async fn run(config: &Config, command: Command) -> anyhow::Result<Ending> {
    match command {
        Command::List(args) => list(config, &args).await,
        Command::Get(args) => get(config, &args).await,
    }
}

async fn list(config: &Config, args: &List) -> anyhow::Result<Ending> {
    let store = open_store(config).await?;
    let holders = store.holders(args.of).await.context("looking the messages up")?;
    anyhow::ensure!(
        !holders.is_empty(),
        "there is no such message or ticket; `postroom tickets list` and `postroom tickets show` name those there are"
    );
    let mut attachments = store.list_attachments(args.of).await.context("listing attachments")?;
    for holder in holders.iter().filter(|holder| holder.is_degraded) {
        attachments.extend(read_again(&store, holder).await?);
    }
    if args.json {
        output::json(&attachments)?;
        return Ok(Ending::Done);
    }
    if attachments.is_empty() {
        output::line("No attachments.")?;
        return Ok(Ending::Done);
    }
    let mut table = output::table(&["message", "part", "name", "type", "size", "remarks"]);
    for attachment in attachments {
        table.add_row([
            attachment.message_id.to_string(),
            attachment.part.to_string(),
            output::tame(attachment.filename.as_deref().unwrap_or_default()),
            output::tame(attachment.detected_type.as_ref().unwrap_or(&attachment.content_type)),
            output::bytes(attachment.size),
            remarks(&attachment),
        ]);
    }
    output::line(table)?;
    Ok(Ending::Done)
}

fn remarks(attachment: &AttachmentLine) -> String {
    let claim = attachment.detected_type.as_ref().map(|_| format!("called {}", attachment.content_type));
    let inline = attachment.inline.then(|| "shown in the HTML".to_owned());
    let from_tnef = attachment.from_tnef.then(|| "from winmail.dat".to_owned());
    output::tame(&[claim, inline, from_tnef].into_iter().flatten().collect::<Vec<_>>().join(", "))
}

/// The attachments of a message without rows for them: PostgreSQL refused parts of it, but its source is whole.
async fn read_again(store: &Store, holder: &Holder) -> anyhow::Result<Vec<AttachmentLine>> {
    let Some((extent, source)) = store.source(holder.message_id).await.context("reading a source")? else {
        return Ok(Vec::new());
    };
    let listed = Listed { uid: Uid(0), size: source.len() as u64, internal_date: None };
    let mail = mail::read(&Message { listed, source, extent }, &Facts::default());
    let line = |attachment: mail::Attachment| AttachmentLine {
        message_id: holder.message_id,
        sequence: holder.sequence,
        part: i32::try_from(attachment.part).unwrap_or(i32::MAX),
        filename: attachment.filename,
        content_type: attachment.content_type,
        detected_type: attachment.detected_type.map(str::to_owned),
        size: i64::try_from(attachment.size).unwrap_or(i64::MAX),
        sha256: text::hex(&attachment.sha256),
        inline: attachment.inline,
        from_tnef: attachment.from_tnef,
    };
    Ok(mail.attachments.into_iter().map(line).collect())
}

async fn get(config: &Config, args: &Get) -> anyhow::Result<Ending> {
    let store = open_store(config).await?;
    let (extent, source) = store
        .source(args.message)
        .await
        .context("reading the message's source")?
        .context("there is no such message; `postroom tickets show` names those of a ticket")?;
    anyhow::ensure!(
        extent == Extent::Whole,
        "only the header of this message is stored: it is larger than max_message_bytes, and still in its mailbox"
    );
    let recorded = store.list_attachments(Of::Message(args.message)).await.context("listing attachments")?;
    let recorded = recorded.into_iter().find(|line| u32::try_from(line.part) == Ok(args.part));
    let mut hasher = Sha256::new();
    anyhow::ensure!(
        mail::pour(&source, args.part, |piece| hasher.update(piece)),
        "this message has no part {}; `postroom attachments list {}` shows those it has",
        args.part,
        args.message
    );
    let sha256 = text::hex(&hasher.finalize());
    anyhow::ensure!(
        recorded.is_none_or(|recorded| recorded.sha256 == sha256),
        "part {} of this message is not what was recorded under that number, but by another version of Postroom: its \
         SHA-256 differs",
        args.part
    );
    output::raw("an attachment", args.output.as_deref(), |write| {
        mail::pour(&source, args.part, write);
    })?;
    Ok(Ending::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_and_a_ticket_are_told_apart() {
        let id = Uuid::now_v7();
        assert_eq!(read_of(&id.to_string()), Ok(Of::Message(id)));
        assert_eq!(read_of("4711"), Ok(Of::Ticket(4_711)));
        assert!(read_of("support/1").is_err());
    }
}

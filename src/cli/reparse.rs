//! `postroom reparse`

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;
use chrono::{DateTime, Local, NaiveDate, Utc};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use uuid::{NoContext, Timestamp, Uuid};

use crate::app::Shutdown;
use crate::cli::output;
use crate::cli::{Ending, FRAME, complain, known_mailbox, open_store};
use crate::config::Config;
use crate::intake;
use crate::intake::{Outcome, Reparse};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Write down what differs. Without this, nothing is changed
    #[arg(long)]
    apply: bool,
    /// Only messages of this mailbox
    #[arg(long, value_name = "NAME")]
    mailbox: Option<String>,
    /// Only messages stored since: 2026-01-31, or with a time, 2026-01-31T10:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<DateTime<Utc>>,
    /// Only messages after this id: where an earlier run was stopped
    #[arg(long, value_name = "ID", conflicts_with = "since")]
    after: Option<Uuid>,
    /// Name each message that differs, and in which columns
    #[arg(long)]
    verbose: bool,
    /// Print JSON, one object a line: each message that differs, and at the end what it comes to
    #[arg(long)]
    json: bool,
}

/// What it comes to.
#[derive(Debug, Default, Serialize)]
struct Summary {
    read: u64,
    changed: u64,
    whole_again: u64,
    failed: u64,
    keep_fingerprint: u64,
    applied: bool,
    columns: BTreeMap<String, u64>,
    /// Where it was stopped.
    stopped_after: Option<Uuid>,
}

pub(super) async fn run(config: &Config, args: Args) -> anyhow::Result<Ending> {
    if let Some(mailbox) = &args.mailbox {
        known_mailbox(config, mailbox)?;
    }
    let store = open_store(config).await?;
    let shutdown = Shutdown::on_signals()?;
    let after = args.after.or_else(|| args.since.map(first_id)).unwrap_or(Uuid::nil());
    let count =
        store.count_stored(args.mailbox.as_deref(), after).await.context("counting stored messages")?;
    let (bar, done) = (bar(count), AtomicU64::new(0));
    let mut summary = Summary { applied: args.apply, ..Summary::default() };
    let job = Reparse {
        store: &store,
        mailboxes: &config.mailboxes,
        mailbox: args.mailbox.as_deref(),
        limits: &config.intake,
        apply: args.apply,
        done: &done,
    };
    let tell = |outcome: Outcome| bar.suspend(|| summary.add(&args, &outcome));
    let ended = tokio::select! {
        ended = intake::reparse(&job, after, tell, &shutdown.soft) => ended,
        () = shutdown.hard.cancelled() => anyhow::bail!("stopped at once; a batch is written whole or not at all"),
        never = show(&bar, &done) => match never {},
    };
    bar.finish_and_clear();
    summary.stopped_after = ended.context("reading stored messages again")?;
    summary.read = done.load(Ordering::Relaxed);
    summary.report(&args)?;
    Ok(if summary.stopped_after.is_none() && summary.failed == 0 { Ending::Done } else { Ending::Incomplete })
}

/// The smallest id that a message stored at this time can have: ids are UUIDs of version 7.
fn first_id(since: DateTime<Utc>) -> Uuid {
    let seconds = u64::try_from(since.timestamp()).unwrap_or(0);
    let id = Uuid::new_v7(Timestamp::from_unix(NoContext, seconds, 0));
    // Its first 48 bits are the time.
    Uuid::from_u128(id.as_u128() & !((1 << 80) - 1))
}

fn time(text: &str) -> Result<DateTime<Utc>, String> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(time.to_utc());
    }
    let midnight = text.parse::<NaiveDate>().ok().and_then(|date| date.and_hms_opt(0, 0, 0));
    midnight
        .and_then(|time| time.and_local_timezone(Local).earliest())
        .map(|time| time.to_utc())
        .ok_or_else(|| "neither a date like 2026-01-31 nor a time like 2026-01-31T10:00:00Z".to_owned())
}

fn bar(count: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:30} {pos} of {len} messages, {per_sec}, {eta} left");
    ProgressBar::new(count).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

async fn show(bar: &ProgressBar, done: &AtomicU64) -> std::convert::Infallible {
    let mut frame = tokio::time::interval(FRAME);
    loop {
        frame.tick().await;
        bar.set_position(done.load(Ordering::Relaxed));
    }
}

#[derive(Serialize)]
struct Line<'a> {
    id: Uuid,
    ticket: Option<i64>,
    columns: &'a [String],
    keeps_fingerprint: bool,
    is_whole_again: bool,
}

impl Summary {
    fn add(&mut self, args: &Args, outcome: &Outcome) -> anyhow::Result<()> {
        let (changed, is_whole_again) = match outcome {
            Outcome::Failed { id, reason } => {
                self.failed += 1;
                complain(&format!("message {id}: {reason}"));
                return Ok(());
            }
            Outcome::Changed { changed, is_whole_again } => (changed, *is_whole_again),
        };
        self.changed += u64::from(!changed.columns.is_empty());
        self.keep_fingerprint += u64::from(changed.keeps_fingerprint);
        self.whole_again += u64::from(is_whole_again);
        for column in &changed.columns {
            *self.columns.entry(column.clone()).or_default() += 1;
        }
        if args.json {
            let line = Line {
                id: changed.id,
                ticket: changed.ticket,
                columns: &changed.columns,
                keeps_fingerprint: changed.keeps_fingerprint,
                is_whole_again,
            };
            output::line(serde_json::to_string(&line)?)?;
        } else if args.verbose {
            let ticket = changed.ticket.map_or_else(String::new, |number| format!(", ticket {number}"));
            let kept = if changed.keeps_fingerprint { " (keeps its fingerprint)" } else { "" };
            output::line(format!("{}{ticket}: {}{kept}", changed.id, changed.columns.join(", ")))?;
        }
        Ok(())
    }

    fn report(&self, args: &Args) -> anyhow::Result<()> {
        if args.json {
            return Ok(output::line(serde_json::to_string(self)?)?);
        }
        let verb = if self.applied { "were changed" } else { "would change; --apply writes it down" };
        output::line(format!("{} messages read again, of which {} {verb}", self.read, self.changed))?;
        if !self.columns.is_empty() {
            let mut table = output::table(&["column", "messages"]);
            for (column, count) in &self.columns {
                table.add_row([column.clone(), count.to_string()]);
            }
            output::line(table)?;
        }
        let notes = [
            (self.whole_again, "have their content again, which PostgreSQL refused before"),
            (self.keep_fingerprint, "keep their fingerprint, for another message bears the new one"),
            (self.failed, "could not be read again and stay as they were"),
        ];
        for (count, note) in notes.into_iter().filter(|(count, _)| *count > 0) {
            output::line(format!("  {count} {note}"))?;
        }
        if let Some(after) = self.stopped_after {
            output::line(format!("  stopped before the end; go on with --after {after}"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_bounds_the_ids_of_what_was_stored_since() {
        let (before, now) = (Uuid::now_v7(), Utc::now());
        let since = |seconds| first_id(now + chrono::TimeDelta::seconds(seconds));

        assert!(since(-2) < before && before < since(2));
        assert_eq!(time("2026-01-31T10:00:00+01:00").unwrap().to_rfc3339(), "2026-01-31T09:00:00+00:00");
        assert!(time("2026-01-31").is_ok() && time("2026-02-30").is_err() && time("yesterday").is_err());
    }
}

//! `postroom drain`

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::{ProgressBar, ProgressStyle};

use crate::app;
use crate::app::{Delivered, Drained, Shutdown};
use crate::cli::output;
use crate::cli::{Ending, FRAME, LINE, known_mailbox};
use crate::config;
use crate::config::Config;
use crate::intake::Tally;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only this mailbox; may be given several times
    #[arg(long, value_name = "NAME")]
    mailbox: Vec<String>,
}

pub(super) async fn run(config: Config, args: Args) -> anyhow::Result<Ending> {
    let mailboxes = chosen(&config, &args.mailbox)?;
    let tallies: Vec<Arc<Tally>> =
        mailboxes.iter().map(|mailbox| Arc::new(Tally::new(&mailbox.name))).collect();
    let shutdown = Shutdown::on_signals()?;
    let bar = bar();
    let drained = tokio::select! {
        drained = app::drain(Arc::new(config), &mailboxes, &tallies, &shutdown) => drained,
        never = show(&bar, &tallies) => match never {},
    };
    bar.finish_and_clear();
    let (mailboxes, webhooks) = drained?;
    let mut ending = Ending::Done;
    for mailbox in mailboxes {
        report(&mailbox)?;
        if !mailbox.is_complete() {
            ending = Ending::Incomplete;
        }
    }
    for webhook in webhooks {
        report_deliveries(&webhook)?;
    }
    Ok(ending)
}

fn chosen(config: &Config, names: &[String]) -> anyhow::Result<Vec<config::Mailbox>> {
    for name in names {
        known_mailbox(config, name)?;
    }
    let wanted = |mailbox: &&config::Mailbox| names.is_empty() || names.contains(&mailbox.name);
    Ok(config.mailboxes.iter().filter(wanted).cloned().collect())
}

fn bar() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:30} {pos} of {len} mails, {per_sec}, {eta} left");
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

async fn show(bar: &ProgressBar, tallies: &[Arc<Tally>]) -> std::convert::Infallible {
    let pause = if bar.is_hidden() { LINE } else { FRAME };
    let mut frame = tokio::time::interval(pause);
    frame.tick().await;
    loop {
        frame.tick().await;
        let sum = |counter: fn(&Tally) -> u64| tallies.iter().map(|tally| counter(tally)).sum::<u64>();
        let taken = sum(Tally::taken);
        // What an earlier run has listed is not counted as seen in this one.
        let known = sum(|tally| tally.seen.get()).max(taken);
        bar.set_length(known);
        bar.set_position(taken);
        if bar.is_hidden() {
            // Whoever reads this may have gone; the drain goes on.
            drop(output::line(format!("{taken} of {known} mails so far")));
        }
    }
}

fn report_deliveries(delivered: &Delivered) -> anyhow::Result<()> {
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let tally = &delivered.tally;
    output::line(format!(
        "{}: {} delivered, {} failed, {} given up",
        delivered.webhook,
        count(&tally.delivered),
        count(&tally.failed),
        count(&tally.dead),
    ))?;
    if count(&tally.failed) > 0 {
        output::line(
            "  failed deliveries are tried again by `postroom run`, or by the next drain once they are due",
        )?;
    }
    if let Some(failure) = &delivered.failure {
        output::line(format!("  not all were tried: {failure}"))?;
    }
    Ok(())
}

fn report(drained: &Drained) -> anyhow::Result<()> {
    let tally = &drained.tally;
    output::line(format!(
        "{}: {} recorded, {} duplicates, {} settled, {}",
        drained.mailbox,
        tally.recorded.get(),
        tally.duplicates.get(),
        tally.settled.get(),
        indicatif::HumanBytes(tally.bytes.get()),
    ))?;
    if tally.suspended.get() > 0 {
        output::line(format!(
            "  {} of them suspended until a person has looked: `postroom suspended list`",
            tally.suspended.get()
        ))?;
    }
    if let Some(failure) = &drained.failure {
        output::line(format!("  failed: {failure}"))?;
    }
    for (reason, held) in &drained.standing.held {
        output::line(format!("  {held} held in the mailbox: {reason}"))?;
    }
    if drained.standing.seen > 0 {
        output::line(format!("  {} listed, not yet stored", drained.standing.seen))?;
    }
    if drained.standing.recorded > 0 {
        output::line(format!(
            "  {} stored, still in the mailbox; the next run settles them",
            drained.standing.recorded
        ))?;
    }
    if drained.failure.is_none() && !drained.keeps && drained.left > 0 {
        output::line(format!("  {} messages are in the folder still", drained.left))?;
    }
    Ok(())
}

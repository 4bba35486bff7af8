//! `postroom import`

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};

use crate::app::Shutdown;
use crate::archive;
use crate::cli::output;
use crate::cli::{Ending, FRAME, LINE, complain, known_mailbox, open_store};
use crate::config::Config;
use crate::intake;
use crate::intake::{Failed, Import, Tally};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Mails (.eml), mboxes, Maildirs, and folders with any of these
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The mailbox whose mail it becomes; it is not connected to
    #[arg(long, value_name = "NAME")]
    mailbox: String,
    /// Tell the webhooks of each mail, as of one that was fetched
    #[arg(long)]
    announce: bool,
}

pub(super) async fn run(config: &Config, args: Args) -> anyhow::Result<Ending> {
    let mailbox = known_mailbox(config, &args.mailbox)?;
    let webhooks = if args.announce { config.webhook_names() } else { Vec::new() };
    let store = open_store(config).await?;
    store.register_mailboxes(std::slice::from_ref(mailbox)).await.context("registering the mailbox")?;
    store.register_webhooks(&webhooks).await.context("registering webhooks")?;
    let inlet =
        store.files_of(&mailbox.name).await?.context("the mailbox was just registered and is gone")?;
    let shutdown = Shutdown::on_signals()?;
    let (tally, done) = (Tally::new(&mailbox.name), AtomicU64::new(0));
    let job = Import {
        store: &store,
        mailbox,
        inlet,
        limits: &config.intake,
        policy: &intake::policy(config, mailbox),
        webhooks: &webhooks,
        tally: &tally,
        done: &done,
    };
    let paths = args.paths.clone();
    let survey = tokio::task::spawn_blocking(move || archive::survey(&paths)).await?;

    let bar = bar(survey.bytes);
    let mut failures = 0_u64;
    let failed = |failed: &Failed| {
        failures += 1;
        let complaint = output::tame(&format!("not imported: {}: {}", failed.place, failed.reason));
        bar.suspend(|| complain(&complaint));
    };
    let imported = tokio::select! {
        imported = intake::import(&job, args.paths, failed, &shutdown.soft) => imported,
        () = shutdown.hard.cancelled() => {
            anyhow::bail!("stopped at once; run it again, what is stored is recognised")
        }
        never = show(&bar, &tally, &done) => match never {},
    };
    bar.finish_and_clear();

    report(&mailbox.name, &tally, failures, survey.passed_over)?;
    let stopped = imported.context("run it again once that is mended; what is stored is recognised")?;
    if !stopped.is_complete() {
        output::line("  stopped before the end; run it again, what is stored is recognised")?;
    }
    Ok(if stopped.is_complete() && failures == 0 { Ending::Done } else { Ending::Incomplete })
}

fn bar(bytes: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:30} {bytes} of {total_bytes}, {msg}, {eta} left");
    ProgressBar::new(bytes).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

async fn show(bar: &ProgressBar, tally: &Tally, done: &AtomicU64) -> std::convert::Infallible {
    let mut frame = tokio::time::interval(if bar.is_hidden() { LINE } else { FRAME });
    frame.tick().await;
    loop {
        frame.tick().await;
        bar.set_position(done.load(Ordering::Relaxed));
        bar.set_message(format!("{} mails", tally.taken()));
        if bar.is_hidden() {
            // Whoever reads this may have gone; the import goes on.
            drop(output::line(format!("{} mails so far", tally.taken())));
        }
    }
}

fn report(mailbox: &str, tally: &Tally, failures: u64, passed_over: u64) -> anyhow::Result<()> {
    output::line(format!(
        "{mailbox}: {} imported, {} duplicates, {failures} failed, {}",
        tally.recorded.get(),
        tally.duplicates.get(),
        indicatif::HumanBytes(tally.bytes.get()),
    ))?;
    if tally.held.get() > 0 {
        output::line(format!("  {} larger than max_message_bytes, by their header alone", tally.held.get()))?;
    }
    if passed_over > 0 {
        output::line(format!("  {passed_over} other files were passed over"))?;
    }
    Ok(())
}

//! The command line: one file a command.
//!
//! Results go to standard output, everything else to standard error. Exit codes: 0 done, 1 failed, 2 wrong
//! usage, 78 bad configuration (`EX_CONFIG` of sysexits.h, which tells systemd not to try again).

mod attachments;
mod check;
mod config;
mod deliveries;
mod drain;
mod explain;
mod held;
mod import;
mod login;
mod merge;
mod migrate;
mod output;
mod reparse;
mod run;
mod suspended;
mod tickets;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Parser, Subcommand};

use crate::config as settings;
use crate::config::Config;
use crate::store::Store;
use crate::telemetry;
use crate::text;

/// How long a person waits for the database.
const PATIENCE: Duration = Duration::from_secs(5);

/// Threads that serve sockets; reading mail has threads of its own. Each more costs memory, for the allocator keeps
/// an arena for it.
const WORKERS: usize = 2;

/// How often a progress bar moves.
const FRAME: Duration = Duration::from_millis(100);

/// How often progress is told in a line where there is no terminal.
const LINE: Duration = Duration::from_secs(5);

const FAILED: u8 = 1;
const BAD_CONFIGURATION: u8 = 78;

/// Empties support mailboxes into tickets in PostgreSQL and tells helpdesks by webhook. Never loses a mail.
#[derive(Debug, Parser)]
#[command(name = "postroom", version, propagate_version = true)]
pub struct Cli {
    /// Configuration file; its keys override the built-in defaults, the environment overrides both
    #[arg(long, value_name = "FILE", env = "POSTROOM_CONFIG", global = true)]
    config: Option<PathBuf>,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the worker: empty every mailbox again and again, and deliver
    Run,
    /// Empty the mailboxes once, try the due deliveries, and exit
    Drain(drain::Args),
    /// Try the database, every mailbox and every webhook, and say what is wrong and what to do
    Check,
    /// Sign in to a mailbox of Outlook.com or Microsoft 365, once, in a browser
    Login(login::Args),
    /// Apply missing database migrations
    Migrate,
    /// Print the effective configuration, secrets hidden
    Config,
    /// File mail out of files: .eml, mbox, Maildir. Safe to repeat and to interrupt
    Import(import::Args),
    /// Read stored sources again, after an upgrade, and tell what reads differently
    Reparse(reparse::Args),
    /// Look at tickets, merge and split them
    #[command(subcommand)]
    Tickets(tickets::Command),
    /// Look at attachments, and take them out of the stored sources
    #[command(subcommand, alias = "attachment")]
    Attachments(attachments::Command),
    /// Look at messages that are kept in their mailbox on doubt, and have them tried again
    #[command(subcommand)]
    Held(held::Command),
    /// Look at messages that are stored in no ticket, and release them into one
    #[command(subcommand)]
    Suspended(suspended::Command),
    /// Say why a message is in its ticket, and who seems to have written it
    Explain(explain::Args),
    /// Look at deliveries, and have dead ones tried again
    #[command(subcommand)]
    Deliveries(deliveries::Command),
}

/// How a command ended, if not by an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// All done.
    Done,
    /// Not all done; why has been said.
    Incomplete,
}

/// Runs the program and says how it ended.
pub fn main(cli: Cli) -> ExitCode {
    let config = match Config::load(cli.config.as_deref(), std::env::vars_os()) {
        Ok(config) => config,
        Err(problems) => {
            complain(&problems.to_string());
            return ExitCode::from(BAD_CONFIGURATION);
        }
    };
    if let Err(error) = telemetry::init(&config.log) {
        complain(&format!("{error:#}"));
        return ExitCode::from(BAD_CONFIGURATION);
    }
    let runtime =
        match tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                complain(&format!("starting: {error}"));
                return ExitCode::from(FAILED);
            }
        };
    let ended = runtime.block_on(dispatch(cli.command, config));
    // What is still running after an orderly end has been abandoned on purpose.
    runtime.shutdown_background();
    match ended {
        Ok(Ending::Done) => ExitCode::SUCCESS,
        Ok(Ending::Incomplete) => ExitCode::from(FAILED),
        Err(error) if nobody_reads_on(&error) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("postroom: {error:#}"));
            ExitCode::from(FAILED)
        }
    }
}

async fn dispatch(command: Command, config: Config) -> anyhow::Result<Ending> {
    match command {
        Command::Run => run::run(config).await,
        Command::Drain(args) => drain::run(config, args).await,
        Command::Check => check::run(&config).await,
        Command::Login(args) => login::run(&config, &args).await,
        Command::Migrate => migrate::run(&config).await,
        Command::Config => config::run(&config),
        Command::Import(args) => import::run(&config, args).await,
        Command::Reparse(args) => reparse::run(&config, args).await,
        Command::Tickets(command) => tickets::run(&config, command).await,
        Command::Attachments(command) => attachments::run(&config, command).await,
        Command::Held(command) => held::run(&config, command).await,
        Command::Suspended(command) => suspended::run(&config, command).await,
        Command::Explain(args) => explain::run(&config, &args).await,
        Command::Deliveries(command) => deliveries::run(&config, command).await,
    }
}

/// A person waits: not as long as a worker that may start before its database.
fn hasty(database: &settings::Database) -> settings::Database {
    settings::Database { connect_timeout: PATIENCE, ..database.clone() }
}

/// Opens the store for a person's command: it neither migrates nor waits long.
async fn open_store(config: &Config) -> anyhow::Result<Store> {
    let store = Store::connect(&hasty(&config.database)).await.context("opening the database")?;
    let pending = store.pending_migrations().await.context("looking for migrations")?;
    anyhow::ensure!(pending == 0, "{pending} database migrations are missing; run `postroom migrate` first");
    Ok(store)
}

/// The mailbox of this name.
fn known_mailbox<'a>(config: &'a Config, name: &str) -> anyhow::Result<&'a settings::Mailbox> {
    config.mailboxes.iter().find(|mailbox| mailbox.name == name).with_context(|| {
        let known: Vec<&str> = config.mailboxes.iter().map(|mailbox| mailbox.name.as_str()).collect();
        format!("no mailbox is called {name:?}; there are: {}", known.join(", "))
    })
}

/// An error as a person reads it: the whole chain, then what to do.
fn explained(error: &(dyn std::error::Error + 'static), cure: &str) -> anyhow::Error {
    anyhow::anyhow!("{}. {cure}", text::chain(error))
}

fn complain(text: &str) {
    // If even standard error is gone, nobody is there to be told.
    drop(writeln!(std::io::stderr(), "{}", text.trim_end()));
}

fn nobody_reads_on(error: &anyhow::Error) -> bool {
    error.downcast_ref().is_some_and(output::Error::is_end)
}

#[cfg(test)]
mod tests {
    use std::io;

    use anyhow::Context;
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_connection_that_breaks_is_no_success() {
        let broken = || io::Error::from(io::ErrorKind::BrokenPipe);
        let database = Err::<(), _>(broken()).context("migrating the database").unwrap_err();
        let output = anyhow::Error::from(output::Error::from(broken()));

        assert!(!nobody_reads_on(&database));
        assert!(nobody_reads_on(&output));
    }
}

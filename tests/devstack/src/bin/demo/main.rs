//! `make demo`: the worker at work, on this machine and without leaving a trace on it.
//!
//! `demo` starts private servers, puts the sample mails into a mailbox, lets the real worker empty it, shows what came
//! of it, and goes on until Ctrl-C so that more mail can be sent. With `DEMO_ONCE=1` it ends by itself.
//! `demo send SUBJECT TEXT` puts one more mail into the mailbox of the demo that runs.

mod mail;
mod running;
mod show;
mod stage;

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::stage::Stage;

/// How long nobody may send anything before the wait for it begins anew.
const QUIET: Duration = Duration::from_hours(1);

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments.as_slice() {
        [] => play(wants_once()).await,
        ["send", subject, text] => send(subject, text),
        _ => Err(anyhow::anyhow!("usage: demo, or: demo send SUBJECT TEXT")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // If nobody reads that either, the exit status says it.
            let _ = writeln!(io::stderr(), "\nThe demo failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn wants_once() -> bool {
    std::env::var_os("DEMO_ONCE").is_some_and(|value| !value.is_empty() && value != "0")
}

async fn play(once: bool) -> Result<()> {
    let mut stop = Stop::new()?;
    let mut stage = tokio::select! {
        stage = Stage::set() => stage?,
        () = stop.requested() => return Ok(()),
    };
    tokio::select! {
        outcome = stage.wait_until_done() => outcome?,
        () = stop.requested() => return stage.strike().await,
    }
    say(&show::outcome(&stage).await?)?;
    if !once {
        let _running = running::announce(stage.account())?;
        say(show::INVITATION)?;
        tokio::select! {
            outcome = follow(&mut stage) => outcome?,
            () = stop.requested() => say("\nStopping.")?,
        }
    }
    stage.strike().await
}

/// Tells of each event that reaches the helpdesk. Returns only when something is wrong.
async fn follow(stage: &mut Stage) -> Result<()> {
    let mut seen = stage.helpdesk.requests().len();
    loop {
        let ended = tokio::select! {
            requests = stage.helpdesk.wait_for(seen + 1, QUIET) => {
                // None for an hour is no trouble.
                for request in requests.iter().flatten().skip(seen) {
                    say(&format!("  {}", show::line(request, stage.secret())?))?;
                    seen += 1;
                }
                continue;
            }
            ended = stage.worker.wait(QUIET) => ended,
        };
        if let Ok(status) = ended {
            bail!("the worker ended with {status}\n{}", stage.worker.log_tail());
        }
    }
}

fn send(subject: &str, text: &str) -> Result<()> {
    let account = running::find()?;
    account.deliver(&mail::compose(subject, text)?)?;
    say("Sent. Watch the terminal of `make demo`: the ticket appears there within seconds.")
}

/// Prints for the person at the terminal. Fails, where `println!` would panic, if that one has closed it.
fn say(text: &str) -> Result<()> {
    writeln!(io::stdout(), "{text}").context("writing to standard output")
}

/// The wish to end: Ctrl-C, `kill`, or a terminal that was closed.
struct Stop {
    signals: [Signal; 3],
}

impl Stop {
    fn new() -> Result<Self> {
        let listen = |kind| signal(kind).context("listening for signals");
        let signals = [
            listen(SignalKind::interrupt())?,
            listen(SignalKind::terminate())?,
            listen(SignalKind::hangup())?,
        ];
        Ok(Self { signals })
    }

    async fn requested(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.signals;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

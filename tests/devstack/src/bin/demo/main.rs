//! `make demo`: the worker at work, on this machine and without leaving a trace on it.
//!
//! `demo` starts private servers, puts the sample mails into a mailbox, lets the real worker empty it, shows what came
//! of it, and goes on until Ctrl-C so that more mail can be sent. With `DEMO_ONCE=1` it ends by itself. With
//! `PROVIDER=exchange` the mailbox is one like Outlook's: it is signed in to, it pushes, and its tokens expire.
//! `demo send SUBJECT TEXT` puts one more mail into the mailbox of the demo that runs.

mod mail;
mod outlook;
mod running;
mod server;
mod show;
mod stage;

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::{Context, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::server::Provider;
use crate::stage::{QUIET, Stage, while_running};

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
    let provider = Provider::wanted()?;
    let mut stop = Stop::new()?;
    let mut stage = tokio::select! {
        stage = Stage::set(provider) => stage?,
        () = stop.requested() => return Ok(()),
    };
    tokio::select! {
        outcome = stage.perform() => outcome?,
        () = stop.requested() => return stage.strike().await,
    }
    say(&show::outcome(&stage).await?)?;
    if !once {
        let _running = running::announce(stage.server.maildir())?;
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
    let Stage { worker, helpdesk, server, secret, .. } = stage;
    let mut seen = helpdesk.requests().len();
    let telling = async {
        loop {
            // None for an hour is no trouble.
            let Ok(requests) = helpdesk.wait_for(seen + 1, QUIET).await else { continue };
            for request in requests.iter().skip(seen) {
                say(&format!("  {}", show::line(request, secret)?))?;
                seen += 1;
            }
        }
    };
    while_running(worker, async {
        tokio::select! {
            outcome = telling => outcome,
            outcome = server.take_in() => outcome,
        }
    })
    .await
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

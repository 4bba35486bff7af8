//! `postroom login`: a person signs in to a mailbox by device code (RFC 8628), once; the worker renews what comes of it.

use anyhow::{Context, bail};
use chrono::{Local, TimeDelta};
use clap::Args as Arguments;
use tokio::time::{Instant, sleep_until};

use crate::app;
use crate::cli::check;
use crate::cli::check::Access;
use crate::cli::output;
use crate::cli::{Ending, explained, hasty, known_mailbox};
use crate::config;
use crate::config::{Auth, Config, Flow, OAuth2, Provider};
use crate::microsoft::{Client, DeviceCode, Grant, Poll};

#[derive(Debug, Arguments)]
pub(super) struct Args {
    /// The mailbox to sign in to, by its name in the configuration
    mailbox: String,
}

pub(super) async fn run(config: &Config, args: &Args) -> anyhow::Result<Ending> {
    let mailbox = known_mailbox(config, &args.mailbox)?;
    let oauth2 = signed_in_to(mailbox)?;
    // Before the person is bothered: what comes of it has to be stored.
    let store = app::open_store(&Config { database: hasty(&config.database), ..config.clone() }).await?;
    let access = Access::new(config, store);

    let client = Client::new(oauth2)?;
    let mut code = client.device_code().await.map_err(|error| explained(&error, error.cure()))?;
    invite(mailbox, &code)?;
    let grant = wait(&client, &mut code).await?;
    if let Some(problem) = other_account(mailbox, &grant) {
        bail!("{problem}");
    }
    let stored = access.credentials.sign_in(&mailbox.name, &grant).await;
    stored.map_err(|error| explained(&error, error.cure())).context("storing the tokens")?;
    output::line("Signed in; the tokens are stored. Now the mailbox itself:")?;
    check::mailbox_alone(mailbox, &access).await
}

/// How the mailbox is signed in to, if a person does it.
fn signed_in_to(mailbox: &config::Mailbox) -> anyhow::Result<&OAuth2> {
    let name = &mailbox.name;
    match &mailbox.auth {
        Auth::OAuth2(oauth2) => match oauth2.flow {
            Flow::Device => Ok(oauth2),
            Flow::ClientCredentials(_) => bail!(
                "the application itself signs in to mailbox {name}, so no person has to: try it by `postroom check`"
            ),
        },
        Auth::Password(_) => bail!(
            "mailbox {name} is logged in to by a password. To sign in, give it auth = {{ kind = \"oauth2\", flow = \
             \"device\", … }} first"
        ),
        Auth::TokenCommand(_) => bail!(
            "mailbox {name} gets its tokens from a program, so nobody has to sign in here: try it by `postroom check`"
        ),
    }
}

fn invite(mailbox: &config::Mailbox, code: &DeviceCode) -> anyhow::Result<()> {
    let until = Local::now() + TimeDelta::from_std(code.expires_in).unwrap_or_default();
    output::line(format!("To sign in to mailbox {}, open on any device\n", mailbox.name))?;
    output::line(format!("    {}\n", code.verification_uri))?;
    output::line(format!("and enter the code\n\n    {}\n", code.user_code))?;
    output::line(format!(
        "Sign in as {}, or as somebody with full access to that mailbox.",
        output::tame(&mailbox.username)
    ))?;
    Ok(output::line(format!("Waiting until {}; Ctrl-C gives up.\n", until.format("%H:%M")))?)
}

/// Asks again and again whether the person has signed in, as often as the authority allows, until the code ends.
async fn wait(client: &Client, code: &mut DeviceCode) -> anyhow::Result<Grant> {
    let ends = Instant::now() + code.expires_in;
    let mut pause = code.interval;
    while Instant::now() < ends {
        sleep_until(ends.min(Instant::now() + pause)).await;
        match client.poll(code).await {
            Ok(Poll::Granted(grant)) => return Ok(grant),
            Ok(Poll::Pending) => {}
            Ok(Poll::SlowDown) => code.slow_down(),
            // The code outlives a network that fails for a moment.
            Err(error) if error.is_transient() => {
                pause = code.interval.max(error.retry_after().unwrap_or_default());
                continue;
            }
            Err(error) => return Err(explained(&error, error.cure())),
        }
        pause = code.interval;
    }
    bail!("the code has expired before anybody signed in with it. Run this again for another")
}

/// Why what was granted is not for this mailbox, if that is so.
fn other_account(mailbox: &config::Mailbox, grant: &Grant) -> Option<String> {
    let signed_in = grant.username.as_deref()?;
    let is_personal = mailbox.provider == Some(Provider::OutlookCom);
    if !is_personal || signed_in.eq_ignore_ascii_case(&mailbox.username) {
        return None;
    }
    Some(format!(
        "the account that signed in is {}, and `username` of mailbox {} is another. Nothing is stored. Outlook.com opens \
         a mailbox only under the account's primary address, never under an alias: write that as `username`, or run this \
         again and sign in with the other account",
        output::tame(signed_in),
        mailbox.name
    ))
}

//! `postroom check`: tries everything once, in the order in which it is needed, and says what is wrong and what
//! to do. It changes nothing, but sends each webhook an `endpoint.test` event.

use std::time::SystemTime;

use chrono::Utc;

use crate::cli::output;
use crate::cli::{Ending, hasty};
use crate::config;
use crate::config::{Config, Settle};
use crate::event::Event;
use crate::mailbox;
use crate::mailbox::{Credential, Plan};
use crate::store::Store;
use crate::text;
use crate::webhook::{Outcome, Request, Sender};

pub(super) async fn run(config: &Config) -> anyhow::Result<Ending> {
    let mut findings = Findings::default();
    check_database(config, &mut findings).await?;
    for mailbox in &config.mailboxes {
        check_mailbox(mailbox, &mut findings).await?;
    }
    for webhook in &config.webhooks {
        check_webhook(webhook, config.delivery.max_answer_bytes, &mut findings).await?;
    }
    if findings.failures == 0 {
        output::line("All is well.")?;
        return Ok(Ending::Done);
    }
    output::line(format!("{} to mend.", findings.failures))?;
    Ok(Ending::Incomplete)
}

fn good(what: &str, text: impl std::fmt::Display) -> anyhow::Result<()> {
    Ok(output::line(format!("ok    {what}: {text}"))?)
}

/// How often something bad was said.
#[derive(Default)]
struct Findings {
    failures: usize,
}

impl Findings {
    fn bad(&mut self, what: &str, cause: impl std::fmt::Display, cure: &str) -> anyhow::Result<()> {
        self.failures += 1;
        output::line(format!("FAIL  {what}: {cause}"))?;
        Ok(output::line(format!("      {cure}"))?)
    }
}

async fn check_database(config: &Config, findings: &mut Findings) -> anyhow::Result<()> {
    let what = "database";
    let store = match Store::connect(&hasty(&config.database)).await {
        Ok(store) => store,
        Err(error) => {
            let cure = "Check `url` in [database]: host, port, user, password and database name; and that PostgreSQL runs and lets this machine in.";
            return findings.bad(what, text::chain(&error), cure);
        }
    };
    match store.pending_migrations().await {
        Ok(0) => {
            good(what, "connected, schema up to date")?;
            check_deliveries(config, &store, findings).await
        }
        Ok(count) => findings.bad(
            what,
            format!("connected, {count} migrations are missing"),
            "Run `postroom migrate`, or start the worker, which does it too.",
        ),
        Err(error) => findings.bad(
            what,
            text::chain(&error),
            "The user needs rights on the schema: GRANT ALL ON SCHEMA public, or make it the database's owner.",
        ),
    }
}

/// What is to be delivered, and will not be before somebody does something. Dead deliveries are for
/// `deliveries list` and the metrics: the helpdesk may well have refused them for good.
async fn check_deliveries(config: &Config, store: &Store, findings: &mut Findings) -> anyhow::Result<()> {
    let what = "deliveries";
    let gauges = match store.gauges().await {
        Ok(gauges) => gauges,
        Err(error) => {
            return findings.bad(
                what,
                text::chain(&error),
                "PostgreSQL is overloaded, or the user lacks rights.",
            );
        }
    };
    for (name, webhook) in gauges.webhooks {
        let pending = match webhook.pending {
            1 => "1 delivery waits".to_owned(),
            count => format!("{count} deliveries wait"),
        };
        if config.webhooks.iter().all(|configured| configured.name != name) {
            if webhook.pending > 0 {
                findings.bad(
                    what,
                    format!("{pending} for webhook {name:?}, which is not configured"),
                    "Configure it again under this name. If it is gone for good, give them up: README, \"What a helpdesk receives\".",
                )?;
            }
        } else if webhook.switched_off {
            findings.bad(
                what,
                format!("{pending} for webhook {name:?}, which is switched off, for it answered 410 Gone"),
                &format!(
                    "When it takes events again: `postroom deliveries retry --webhook {name}` switches it on."
                ),
            )?;
        }
    }
    Ok(())
}

async fn check_mailbox(config: &config::Mailbox, findings: &mut Findings) -> anyhow::Result<()> {
    let what = format!("mailbox {}", config.name);
    match look_into(config).await {
        Ok(text) => good(&what, text),
        Err(error) => {
            findings.bad(&what, text::chain(&error), error.cure())?;
            if matches!(error, mailbox::Error::NoFolder { .. })
                && let Ok(folders) = folders(config).await
            {
                output::line(format!("      Folders there are: {}", output::tame(&folders.join(", "))))?;
            }
            Ok(())
        }
    }
}

async fn look_into(config: &config::Mailbox) -> Result<String, mailbox::Error> {
    let credential = Credential::configured(&config.auth).ok_or(mailbox::Error::LoginDisabled)?;
    let mut session = mailbox::connect(config, &credential).await?;
    let plan = Plan::choose(session.capabilities(), &config.settle);
    let selected = session.select(&config.folder).await?;
    let (exists, uidvalidity) = (selected.exists(), selected.uidvalidity());
    let mut text = format!(
        "logged in to {}:{}, folder {:?} holds {exists} messages (UIDVALIDITY {uidvalidity}); stored messages {plan}",
        config.host, config.port, config.folder
    );
    if let Settle::Move { to } = &config.settle
        && !session.folders().await?.contains(to)
    {
        text.push_str("; that folder will be created");
    }
    session.logout().await;
    Ok(text)
}

async fn folders(config: &config::Mailbox) -> Result<Vec<String>, mailbox::Error> {
    let credential = Credential::configured(&config.auth).ok_or(mailbox::Error::LoginDisabled)?;
    mailbox::connect(config, &credential).await?.folders().await
}

async fn check_webhook(
    config: &config::Webhook,
    max_answer_bytes: usize,
    findings: &mut Findings,
) -> anyhow::Result<()> {
    let what = format!("webhook {}", config.name);
    let sender = match Sender::new(config, max_answer_bytes) {
        Ok(sender) => sender,
        Err(error) => return findings.bad(&what, text::chain(&error), "Correct it in [[webhook]]."),
    };
    let event = Event::test(Utc::now());
    let request = Request { event_id: &event.id, body: &event.body, now: SystemTime::now() };
    match sender.send(request).await {
        outcome @ Outcome::Delivered { .. } => good(&what, format!("took the test event: {outcome}")),
        outcome => findings.bad(&what, outcome, outcome.cure()),
    }
}

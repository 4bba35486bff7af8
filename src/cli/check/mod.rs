//! `postroom check`: tries everything once, in the order in which it is needed, and says what is wrong and what
//! to do. It changes nothing, but renews a token that is due and sends each webhook an `endpoint.test` event.

mod diagnosis;
mod mailbox;

use std::time::SystemTime;

use chrono::Utc;

use crate::cli::output;
use crate::cli::{Ending, hasty};
use crate::config;
use crate::config::Config;
use crate::credentials::Credentials;
use crate::event::Event;
use crate::store::Store;
use crate::text;
use crate::webhook::{Outcome, Request, Sender};

pub(super) async fn run(config: &Config) -> anyhow::Result<Ending> {
    let mut findings = Findings::default();
    let store = check_database(config, &mut findings).await?;
    let access = store.map(|store| Access::new(config, store));
    for mailbox in &config.mailboxes {
        mailbox::check(mailbox, access.as_ref(), &mut findings).await?;
    }
    for webhook in &config.webhooks {
        check_webhook(webhook, config.delivery.max_answer_bytes, &mut findings).await?;
    }
    findings.conclude()
}

/// Tries one mailbox alone.
pub(super) async fn mailbox_alone(mailbox: &config::Mailbox, access: &Access) -> anyhow::Result<Ending> {
    let mut findings = Findings::default();
    mailbox::check(mailbox, Some(access), &mut findings).await?;
    findings.conclude()
}

fn good(what: &str, text: impl std::fmt::Display) -> anyhow::Result<()> {
    Ok(output::line(format!("ok    {what}: {text}"))?)
}

/// Says more about the line before.
fn more(text: impl std::fmt::Display) -> anyhow::Result<()> {
    Ok(output::line(format!("      {text}"))?)
}

/// What the database knows of mailboxes, and what it keeps to open them.
pub(super) struct Access {
    store: Store,
    pub(super) credentials: Credentials,
}

impl Access {
    pub(super) fn new(config: &Config, store: Store) -> Self {
        Self { credentials: Credentials::new(&config.secrets, store.clone()), store }
    }
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
        more(cure)
    }

    fn conclude(&self) -> anyhow::Result<Ending> {
        if self.failures == 0 {
            output::line("All is well.")?;
            return Ok(Ending::Done);
        }
        output::line(format!("{} to mend.", self.failures))?;
        Ok(Ending::Incomplete)
    }
}

/// The store, if it can be used.
async fn check_database(config: &Config, findings: &mut Findings) -> anyhow::Result<Option<Store>> {
    let what = "database";
    let store = match Store::connect(&hasty(&config.database)).await {
        Ok(store) => store,
        Err(error) => {
            let cure = "Check `url` in [database]: host, port, user, password and database name; and that PostgreSQL runs and lets this machine in.";
            findings.bad(what, text::chain(&error), cure)?;
            return Ok(None);
        }
    };
    match store.pending_migrations().await {
        Ok(0) => {
            good(what, "connected, schema up to date")?;
            check_deliveries(config, &store, findings).await?;
            return Ok(Some(store));
        }
        Ok(count) => findings.bad(
            what,
            format!("connected, {count} migrations are missing"),
            "Run `postroom migrate`, or start the worker, which does it too.",
        )?,
        Err(error) => findings.bad(
            what,
            text::chain(&error),
            "The user needs rights on the schema: GRANT ALL ON SCHEMA public, or make it the database's owner.",
        )?,
    }
    Ok(None)
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

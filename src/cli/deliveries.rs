//! `postroom deliveries list`, `postroom deliveries retry`

use anyhow::Context;
use clap::{ArgGroup, Args, Subcommand};

use crate::cli::output;
use crate::cli::{Ending, open_store};
use crate::config::Config;
use crate::store::{DeliveryLine, DeliveryStatus, NotRetried, Retried};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// What helpdesks have heard, are to hear, or could not be told; newest first
    List(List),
    /// Try dead deliveries again: with the same id and body, and all eleven attempts before them
    Retry(Retry),
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// Only deliveries to this webhook
    #[arg(long, value_name = "NAME")]
    webhook: Option<String>,
    /// Only deliveries in this state
    #[arg(long, value_parser = ["pending", "delivered", "dead"])]
    status: Option<String>,
    /// How many at the most
    #[arg(long, default_value_t = 50, value_name = "COUNT")]
    limit: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").required(true).args(["event", "webhook", "all"]))]
pub(super) struct Retry {
    /// Only the dead deliveries of these events, as `postroom deliveries list` shows them
    #[arg(value_name = "EVENT_ID")]
    event: Vec<String>,
    /// All dead deliveries to this webhook; it is tried at once, also if it asked for a pause or answered 410 Gone
    #[arg(long, value_name = "NAME")]
    webhook: Option<String>,
    /// All dead deliveries
    #[arg(long)]
    all: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(config: &Config, command: Command) -> anyhow::Result<Ending> {
    match command {
        Command::List(args) => list(config, args).await,
        Command::Retry(args) => retry(config, args).await,
    }
}

async fn list(config: &Config, args: List) -> anyhow::Result<Ending> {
    let status = args.status.as_deref().map(|status| match status {
        "delivered" => DeliveryStatus::Delivered,
        "dead" => DeliveryStatus::Dead,
        _ => DeliveryStatus::Pending,
    });
    let store = open_store(config).await?;
    let listed = store.list_deliveries(args.webhook.as_deref(), status, args.limit).await;
    let deliveries = listed.context("listing deliveries")?;
    if args.json {
        output::json(&deliveries)?;
        return Ok(Ending::Done);
    }
    if deliveries.is_empty() {
        output::line("No deliveries.")?;
        return Ok(Ending::Done);
    }
    let titles =
        ["stored", "webhook", "about", "event", "type", "status", "attempts", "next attempt", "last answer"];
    let mut table = output::table(&titles);
    for delivery in deliveries {
        table.add_row([
            output::time(delivery.created_at),
            delivery.webhook.clone(),
            about(&delivery),
            delivery.event_id.clone(),
            delivery.event_type.clone(),
            status_word(delivery.status).to_owned(),
            delivery.attempt.to_string(),
            next_attempt(config, &delivery),
            delivery.last_error.or(delivery.last_status.map(|status| status.to_string())).unwrap_or_default(),
        ]);
    }
    output::line(table)?;
    Ok(Ending::Done)
}

/// The ticket or the mailbox that an event is about.
fn about(delivery: &DeliveryLine) -> String {
    match (delivery.ticket, &delivery.mailbox) {
        (Some(ticket), _) => format!("ticket {ticket}"),
        (None, Some(mailbox)) => format!("mailbox {mailbox}"),
        (None, None) => String::new(),
    }
}

async fn retry(config: &Config, args: Retry) -> anyhow::Result<Ending> {
    let store = open_store(config).await?;
    let retried = if let Some(webhook) = &args.webhook {
        let retried = store.retry_webhook(webhook).await.context("retrying deliveries")?;
        vec![retried.with_context(|| unknown_webhook(config, webhook))?]
    } else if args.all {
        store.retry_all().await.context("retrying deliveries")?
    } else {
        let retried = store.retry_events(&args.event).await.context("retrying deliveries")?;
        retried.map_err(|refused| anyhow::anyhow!(explain(&refused)))?
    };
    if args.json {
        output::json(&retried)?;
        return Ok(Ending::Done);
    }
    if retried.is_empty() {
        output::line("No delivery is dead.")?;
    }
    for webhook in &retried {
        report(config, webhook)?;
    }
    Ok(Ending::Done)
}

fn report(config: &Config, retried: &Retried) -> anyhow::Result<()> {
    let name = &retried.webhook;
    output::line(match retried.deliveries {
        1 => format!("{name}: 1 delivery is tried again"),
        count => format!("{name}: {count} deliveries are tried again"),
    })?;
    if retried.switched_on {
        output::line("  it had answered 410 Gone and is switched on again")?;
    }
    if retried.switched_off {
        output::line(format!(
            "  it is switched off, for it answered 410 Gone; `postroom deliveries retry --webhook {name}` switches it on"
        ))?;
    }
    if !is_configured(config, name) {
        output::line("  it is not configured: they wait until it is, under the same name")?;
    }
    Ok(())
}

fn unknown_webhook(config: &Config, name: &str) -> String {
    let known: Vec<&str> = config.webhooks.iter().map(|webhook| webhook.name.as_str()).collect();
    format!("no webhook is called {name:?}; there are: {}", known.join(", "))
}

fn explain(refused: &NotRetried) -> String {
    let unknown = refused.unknown.iter().map(|id| format!("there is no delivery of event {id:?}"));
    let not_dead = refused.not_dead.iter().map(|(id, status)| {
        let status = status_word(*status);
        format!("the delivery of event {id:?} is {status}: only what is dead can be retried")
    });
    let reasons: Vec<String> = unknown.chain(not_dead).collect();
    format!(
        "{}\nNothing was retried. `postroom deliveries list --status dead` shows what can be.",
        reasons.join("\n")
    )
}

fn next_attempt(config: &Config, delivery: &DeliveryLine) -> String {
    match delivery.next_attempt_at {
        Some(_) if !is_configured(config, &delivery.webhook) => {
            "none: the webhook is not configured".to_owned()
        }
        Some(time) => output::time(time),
        None => String::new(),
    }
}

fn is_configured(config: &Config, webhook: &str) -> bool {
    config.webhooks.iter().any(|configured| configured.name == webhook)
}

fn status_word(status: DeliveryStatus) -> &'static str {
    match status {
        DeliveryStatus::Pending => "pending",
        DeliveryStatus::Delivered => "delivered",
        DeliveryStatus::Dead => "dead",
    }
}

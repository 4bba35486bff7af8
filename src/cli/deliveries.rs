//! `postroom deliveries list`

use anyhow::Context;
use clap::{Args, Subcommand};

use crate::cli::output;
use crate::cli::{Ending, open_store};
use crate::config::Config;
use crate::store::DeliveryStatus;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// What helpdesks have heard, are to hear, or could not be told; newest first
    List(List),
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

pub(super) async fn run(config: &Config, command: Command) -> anyhow::Result<Ending> {
    let Command::List(args) = command;
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
        ["stored", "webhook", "ticket", "event", "status", "attempts", "next attempt", "last answer"];
    let mut table = output::table(&titles);
    for delivery in deliveries {
        table.add_row([
            output::time(delivery.created_at),
            delivery.webhook,
            delivery.ticket.to_string(),
            delivery.event_type,
            status_word(delivery.status).to_owned(),
            delivery.attempt.to_string(),
            delivery.next_attempt_at.map(output::time).unwrap_or_default(),
            delivery.last_error.or(delivery.last_status.map(|status| status.to_string())).unwrap_or_default(),
        ]);
    }
    output::line(table)?;
    Ok(Ending::Done)
}

fn status_word(status: DeliveryStatus) -> &'static str {
    match status {
        DeliveryStatus::Pending => "pending",
        DeliveryStatus::Delivered => "delivered",
        DeliveryStatus::Dead => "dead",
    }
}

//! IDLE, as servers do it.

use std::time::Duration;

use anyhow::{Result, ensure};
use devstack::Exchange;
use devstack::exchange::{Habits, Idle, Reaction};

use crate::client::Client;

const LIMIT: Duration = Duration::from_secs(20);
const MAIL: &[u8] = b"Subject: a\r\n\r\nb\r\n";
const ACCEPTED: &str = "+ IDLE accepted, awaiting DONE command.\r\n";

async fn exchange(idle: Idle) -> Result<Exchange> {
    Exchange::start(Habits { idle, ..Habits::default() }).await
}

/// A client with the inbox open and an IDLE begun.
async fn idling(exchange: &Exchange) -> Result<Client> {
    let mut client = Client::open(exchange).await?;
    client.say("T IDLE").await?;
    let line = client.line().await?;
    ensure!(line == ACCEPTED, "{line}");
    exchange.wait_for_idling(1, LIMIT).await?;
    Ok(client)
}

#[tokio::test]
async fn a_delivered_mail_is_pushed_to_whoever_idles() -> Result<()> {
    let exchange = exchange(Idle::Tells).await?;
    let mut client = idling(&exchange).await?;

    for n in 1..=3 {
        exchange.deliver(MAIL)?;
        assert_eq!(client.line().await?, format!("* {n} EXISTS\r\n"));
    }
    exchange.deliver_to("somebody.else@example.com", MAIL)?;
    client.say("DONE").await?;
    assert_eq!(client.line().await?, "T OK IDLE completed.\r\n");

    exchange.deliver(MAIL)?;
    assert_eq!(
        client.ask("NOOP").await?,
        "* 4 EXISTS\r\nT OK NOOP completed.\r\n",
        "not before the next command"
    );
    assert_eq!(exchange.idling(), 0);
    Ok(())
}

#[tokio::test]
async fn what_another_connection_does_is_pushed_too() -> Result<()> {
    let exchange = exchange(Idle::Tells).await?;
    exchange.deliver(MAIL)?;
    let mut client = idling(&exchange).await?;
    let mut other = Client::open(&exchange).await?;

    other.ask("UID STORE 1 +FLAGS.SILENT (\\Deleted)").await?;
    other.ask("UID EXPUNGE 1").await?;

    assert_eq!(client.line().await?, "* 1 EXPUNGE\r\n");
    Ok(())
}

#[tokio::test]
async fn what_came_before_the_idle_is_told_after_the_plus_or_before_it() -> Result<()> {
    for (idle, lines) in
        [(Idle::Tells, [ACCEPTED, "* 1 EXISTS\r\n"]), (Idle::TellsBeforehand, ["* 1 EXISTS\r\n", ACCEPTED])]
    {
        let exchange = exchange(idle).await?;
        let mut client = Client::open(&exchange).await?;
        exchange.deliver(MAIL)?;

        client.say("T IDLE").await?;

        assert_eq!([client.line().await?, client.line().await?], lines, "{idle:?}");
        client.say("DONE").await?;
        assert_eq!(client.line().await?, "T OK IDLE completed.\r\n", "and only once");
    }
    Ok(())
}

#[tokio::test]
async fn a_server_that_misses_news_says_nothing_until_the_idle_ends() -> Result<()> {
    let exchange = exchange(Idle::Misses).await?;
    let mut client = idling(&exchange).await?;
    exchange.deliver(MAIL)?;

    client.say("DONE").await?;

    assert_eq!([client.line().await?, client.line().await?], ["* 1 EXISTS\r\n", "T OK IDLE completed.\r\n"]);
    Ok(())
}

#[tokio::test]
async fn a_server_can_end_an_idle_itself() -> Result<()> {
    let exchange = exchange(Idle::EndsByBye).await?;
    let mut client = idling(&exchange).await?;
    exchange.deliver(MAIL)?;
    assert_eq!(client.rest().await?, "* BYE Connection is closed. 13\r\n");

    exchange.adopt(Habits { idle: Idle::EndsByOk, ..Habits::default() });
    let mut client = idling(&exchange).await?;
    exchange.deliver(MAIL)?;
    assert_eq!(client.line().await?, "T OK IDLE completed.\r\n");
    client.say("DONE").await?;
    assert_eq!(client.line().await?, "* 2 EXISTS\r\n");
    assert!(client.line().await?.starts_with("DONE BAD "), "it came too late");
    assert_eq!(client.ask("NOOP").await?, "T OK NOOP completed.\r\n");
    Ok(())
}

#[tokio::test]
async fn idle_is_refused_unless_it_is_announced_and_a_folder_is_open() -> Result<()> {
    let exchange = exchange(Idle::Tells).await?;
    let mut client = Client::connect(&exchange).await?;
    client.line().await?;
    client.ask(&format!("LOGIN {} {}", exchange.user(), exchange.password())).await?;
    assert_eq!(client.ask("IDLE").await?, "T BAD Command received in Invalid state.\r\n");

    exchange.adopt(Habits::default().without(&["IDLE"]));
    let mut client = Client::open(&exchange).await?;
    assert!(client.ask("IDLE").await?.starts_with("T BAD "));
    Ok(())
}

#[tokio::test]
async fn an_idle_can_be_throttled_and_ends_by_done_alone() -> Result<()> {
    let exchange = exchange(Idle::Tells).await?;
    let mut client = idling(&exchange).await?;
    client.say("T NOOP").await?;
    assert!(client.line().await?.starts_with("T BAD"), "that is not DONE");

    exchange.once("IDLE", Reaction::throttle(300));
    assert!(client.ask("IDLE").await?.contains("Suggested Backoff Time: 300 milliseconds"));
    assert_eq!(client.rest().await?, "* BYE Connection closed. 14\r\n");
    Ok(())
}

//! What it says of itself, and that it does what it is told.

use anyhow::{Context, Result};
use devstack::Exchange;
use devstack::exchange::{Body, Habits, Reaction};

use crate::client::Client;

#[tokio::test]
async fn it_introduces_itself_as_exchange_does() -> Result<()> {
    let exchange = Exchange::start(Habits::default()).await?;
    let mut client = Client::connect(&exchange).await?;

    assert!(client.line().await?.starts_with("* OK The Microsoft Exchange IMAP4 service is ready."));
    assert!(!client.ask("CAPABILITY").await?.contains(" MOVE"));
    assert_eq!(client.ask("LOGIN support@example.com wrong").await?, "T NO LOGIN failed.\r\n");
    assert_eq!(client.ask("SELECT INBOX").await?, "T BAD Command received in Invalid state.\r\n");

    let mut client = Client::open(&exchange).await?;
    assert!(client.ask("CAPABILITY").await?.contains(" MOVE"));
    let opened = client.ask("SELECT inbox").await?;
    assert!(opened.contains("[UIDVALIDITY 14]") && opened.contains("[UIDNEXT 1]"), "{opened}");
    assert!(!opened.contains("\\*"), "no keyword of a client's own is kept");
    let long = format!("UID FETCH {} (UID)", "1,".repeat(5_200));
    assert!(client.ask(&long).await?.starts_with("T BAD"));
    assert!(
        client.ask("LOGOUT").await?.contains("* BYE Microsoft Exchange Server IMAP4 server signing off.")
    );
    Ok(())
}

#[tokio::test]
async fn it_gives_moves_and_expunges_by_uid_alone() -> Result<()> {
    let exchange = Exchange::start(Habits::default()).await?;
    for text in ["one", "two", "three", "four"] {
        exchange.deliver(format!("Subject: {text}\r\n\r\n{text}").as_bytes())?;
    }
    let mut client = Client::open(&exchange).await?;
    client.ask("CREATE Done").await?;

    let moved = client.ask("UID MOVE 2 \"Done\"").await?;
    assert!(moved.contains("* OK [COPYUID 15 2 1]") && moved.contains("* 2 EXPUNGE"), "{moved}");
    client.ask("UID STORE 3:4 +FLAGS.SILENT (\\Deleted $Mine)").await?;
    assert!(client.ask("UID EXPUNGE 1,3").await?.contains("* 2 EXPUNGE"), "flagged and named");
    let left = client.ask("UID FETCH 1:* (UID FLAGS BODY.PEEK[HEADER])").await?;
    assert!(left.contains("* 2 FETCH (UID 4 FLAGS (\\Deleted) BODY[HEADER] {17}\r\nSubject: four"), "{left}");
    for never in ["EXPUNGE", "CLOSE", "FETCH 1 (UID)", "STORE 1 +FLAGS (\\Deleted)", "MOVE 1 Done"] {
        assert!(client.ask(never).await?.starts_with("T BAD"), "{never}");
    }

    let subjects: Vec<usize> = exchange.messages("INBOX").iter().map(|mail| mail.source.len()).collect();
    assert_eq!((subjects, exchange.count("Done"), exchange.count("Nowhere")), (vec![19, 21], 1, 0));
    Ok(())
}

#[tokio::test]
async fn it_misbehaves_as_told_and_records_everything() -> Result<()> {
    let exchange = Exchange::start(Habits::default()).await?;
    let uid = exchange.deliver(b"Subject: a\r\n\r\nb")?;
    exchange.change(|mailbox| {
        let message = mailbox.folder("INBOX")?.message(uid)?;
        message.body = Body::Nil;
        anyhow::Ok(())
    })?;
    let mut client = Client::open(&exchange).await?;
    exchange.nth(2, "NOOP", Reaction::no("not now"));
    exchange.once("BODY.PEEK[]", Reaction::push(&["* 7 EXISTS"]));
    exchange.once("LIST", Reaction::throttle(300));

    assert!(client.ask("NOOP").await?.starts_with("T OK"));
    assert_eq!(client.ask("NOOP").await?, "T NO not now\r\n");
    assert!(client.ask("NOOP").await?.starts_with("T OK"));
    assert!(client.ask("UID FETCH 1 (BODY.PEEK[])").await?.contains("BODY[] NIL"));
    assert_eq!(client.line().await?, "* 7 EXISTS\r\n");
    assert!(client.ask("LIST \"\" *").await?.contains("Suggested Backoff Time: 300 milliseconds"));
    assert_eq!(client.rest().await?, "* BYE Connection closed. 14\r\n");

    let last = exchange.commands().pop().context("it records what it is told")?;
    assert_eq!((last.line().as_str(), last.uidvalidity), ("LIST \"\" *", Some(14)));
    assert_eq!(exchange.most_open(), 1);
    Ok(())
}

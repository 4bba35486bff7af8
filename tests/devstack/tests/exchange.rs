//! The server that plays Exchange: what it says of itself, and that it does what it is told.

use anyhow::{Context, Result, ensure};
use devstack::Exchange;
use devstack::exchange::{Body, Habits, Reaction};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::TcpStream;
use tokio_native_tls::TlsStream;

/// A client that speaks IMAP by hand.
struct Client(BufStream<TlsStream<TcpStream>>);

impl Client {
    async fn connect(exchange: &Exchange) -> Result<Self> {
        let authority = native_tls::Certificate::from_pem(&std::fs::read(exchange.ca_pem_path())?)?;
        let tls = native_tls::TlsConnector::builder().add_root_certificate(authority).build()?;
        let tcp = TcpStream::connect((exchange.host(), exchange.port())).await?;
        let stream = tokio_native_tls::TlsConnector::from(tls).connect(exchange.host(), tcp).await?;
        Ok(Self(BufStream::new(stream)))
    }

    /// … logged in, with the inbox open.
    async fn open(exchange: &Exchange) -> Result<Self> {
        let mut client = Self::connect(exchange).await?;
        client.line().await?;
        let login = format!("LOGIN {} {}", exchange.user(), exchange.password());
        ensure!(client.ask(&login).await?.ends_with("T OK LOGIN completed.\r\n"));
        client.ask("SELECT INBOX").await?;
        Ok(client)
    }

    async fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.0.read_line(&mut line).await?;
        Ok(line)
    }

    /// Runs a command and gives all that comes up to its end, or to that of the connection.
    async fn ask(&mut self, command: &str) -> Result<String> {
        self.0.write_all(format!("T {command}\r\n").as_bytes()).await?;
        self.0.flush().await?;
        let mut answer = String::new();
        loop {
            let line = self.line().await?;
            answer.push_str(&line);
            if line.is_empty() || line.starts_with("T ") {
                return Ok(answer);
            }
        }
    }
}

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
    let mut rest = String::new();
    client.0.read_to_string(&mut rest).await?;
    assert_eq!(rest, "* BYE Connection closed. 14\r\n");

    let last = exchange.commands().pop().context("it records what it is told")?;
    assert_eq!((last.line().as_str(), last.uidvalidity), ("LIST \"\" *", Some(14)));
    assert_eq!(exchange.most_open(), 1);
    Ok(())
}

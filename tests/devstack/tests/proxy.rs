//! The proxies: what they let through, and what they break.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use devstack::{
    Account, CommitFault, Database, Direction, Dovecot, Fault, ImapProxy, Options, Postgres, TcpProxy,
};
use sqlx::{Connection, PgConnection};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_native_tls::TlsStream;

const LIMIT: Duration = Duration::from_secs(20);
/// Long enough for loopback.
const MOMENT: Duration = Duration::from_millis(100);

/// A proxy, a client of it, and the server's end of that connection.
async fn pipe() -> Result<(TcpProxy, TcpStream, TcpStream)> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let proxy = TcpProxy::to_port(listener.local_addr()?.port()).await?;
    let (client, server) = tokio::join!(TcpStream::connect(("127.0.0.1", proxy.port())), listener.accept());
    Ok((proxy, client?, server?.0))
}

async fn hear(stream: &mut TcpStream, bytes: usize) -> Result<Vec<u8>> {
    let mut heard = vec![0; bytes];
    timeout(LIMIT, stream.read_exact(&mut heard)).await??;
    Ok(heard)
}

/// What is left to be read until the connection is closed.
async fn hear_all(stream: &mut TcpStream) -> Result<Vec<u8>> {
    let mut heard = Vec::new();
    timeout(LIMIT, stream.read_to_end(&mut heard)).await??;
    Ok(heard)
}

#[tokio::test]
async fn bytes_pass_both_ways_until_they_are_cut() -> Result<()> {
    let (proxy, mut client, mut server) = pipe().await?;
    client.write_all(b"question").await?;
    assert_eq!(hear(&mut server, 8).await?, b"question");
    server.write_all(b"answer").await?;
    assert_eq!(hear(&mut client, 6).await?, b"answer");

    proxy.cut();

    assert_eq!((hear_all(&mut client).await?, hear_all(&mut server).await?), (vec![], vec![]));
    Ok(())
}

#[tokio::test]
async fn a_reset_is_told_from_a_close() -> Result<()> {
    let (proxy, mut client, _server) = pipe().await?;

    proxy.reset();

    let error = client.read_u8().await.err().context("it goes on")?;
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    proxy.refuse();
    assert!(matches!(
        TcpStream::connect(("127.0.0.1", proxy.port())).await?.read(&mut [0]).await,
        Ok(0) | Err(_)
    ));
    assert_eq!(proxy.taken(), 1);
    Ok(())
}

#[tokio::test]
async fn exactly_as_many_bytes_pass_as_were_wanted() -> Result<()> {
    for cut in [0, 1, 5, 8] {
        let (proxy, mut client, mut server) = pipe().await?;
        proxy.cut_after(Direction::ToServer, cut);

        client.write_all(b"all this").await?;

        assert_eq!(hear_all(&mut server).await?, b"all this".get(..cut).context("too long")?);
        assert_eq!(proxy.strikes(), 1);
    }
    Ok(())
}

#[tokio::test]
async fn a_stall_holds_one_direction_and_loses_nothing() -> Result<()> {
    let (proxy, mut client, mut server) = pipe().await?;
    proxy.stall(Direction::ToServer);
    client.write_all(b"held").await?;
    server.write_all(b"free").await?;

    assert_eq!(hear(&mut client, 4).await?, b"free");
    assert!(timeout(MOMENT, server.read_u8()).await.is_err(), "it was held");
    proxy.pass();

    assert_eq!(hear(&mut server, 4).await?, b"held");
    Ok(())
}

/// A connection by way of the proxy, and a table of its database.
async fn client_of(proxy: &TcpProxy, database: &Database) -> Result<PgConnection> {
    database.rows("CREATE TABLE IF NOT EXISTS deed (n integer)").await?;
    Ok(PgConnection::connect(&database.url_through(proxy)).await?)
}

#[tokio::test]
async fn a_commit_is_cut_off_before_or_after_it_is_done() -> Result<()> {
    let database = Postgres::shared().await?.database().await?;
    let proxy = database.proxy().await?;
    for (fault, rows) in [(CommitFault::Lost, "1"), (CommitFault::Unanswered, "2")] {
        proxy.at_commit(2, fault);
        for cut in [false, true] {
            let mut client = client_of(&proxy, &database).await?;
            database.rows("TRUNCATE deed").await?;
            database.rows("INSERT INTO deed VALUES (0)").await?;
            let mut transaction = client.begin().await?;
            sqlx::query("INSERT INTO deed VALUES (1)").execute(&mut *transaction).await?;
            assert_eq!(transaction.commit().await.is_err(), cut, "{fault:?}");
        }
        assert_eq!(database.value("SELECT count(*) FROM deed").await?, rows, "{fault:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_stalled_commit_is_made_when_it_passes() -> Result<()> {
    let database = Postgres::shared().await?.database().await?;
    let proxy = database.proxy().await?;
    let mut client = client_of(&proxy, &database).await?;
    proxy.at_commit(1, CommitFault::Stalled);
    let mut transaction = client.begin().await?;
    sqlx::query("INSERT INTO deed VALUES (1)").execute(&mut *transaction).await?;

    let (committed, seen) = tokio::join!(timeout(LIMIT, transaction.commit()), async {
        proxy.wait_for_strikes(1, LIMIT).await?;
        let seen = database.value("SELECT count(*) FROM deed").await?;
        proxy.pass();
        anyhow::Ok(seen)
    });

    committed??;
    assert_eq!((seen?.as_str(), database.value("SELECT count(*) FROM deed").await?.as_str()), ("0", "1"));
    Ok(())
}

#[tokio::test]
async fn a_commit_is_chosen_by_what_its_transaction_said() -> Result<()> {
    let database = Postgres::shared().await?.database().await?;
    let proxy = database.proxy().await?;
    let mut client = client_of(&proxy, &database).await?;
    proxy.at_commit_of("INSERT INTO deed", CommitFault::AnswerStalled);
    let other = client.begin().await?;
    timeout(LIMIT, other.commit()).await??;

    let mut transaction = client.begin().await?;
    sqlx::query("INSERT INTO deed VALUES (1)").execute(&mut *transaction).await?;
    let (committed, seen) = tokio::join!(timeout(LIMIT, transaction.commit()), async {
        proxy.wait_for_strikes(1, LIMIT).await?;
        let seen = database.value("SELECT count(*) FROM deed").await?;
        proxy.pass();
        anyhow::Ok(seen)
    });

    committed??;
    assert_eq!(seen?, "1", "it was committed before the client heard of it");
    Ok(())
}

#[tokio::test]
async fn connections_that_are_forgotten_stay_open_and_new_ones_pass() -> Result<()> {
    let database = Postgres::shared().await?.database().await?;
    let proxy = database.proxy().await?;
    let mut client = client_of(&proxy, &database).await?;

    proxy.forget();

    assert!(timeout(MOMENT, client.ping()).await.is_err(), "neither an answer nor an end");
    client_of(&proxy, &database).await?.ping().await?;
    Ok(())
}

/// An IMAP client that trusts the authority of the server behind the proxy.
struct Client(BufReader<TlsStream<TcpStream>>);

impl Client {
    async fn log_in(proxy: &ImapProxy, dovecot: &Dovecot, account: &Account) -> Result<Self> {
        let authority = native_tls::Certificate::from_pem(dovecot.authority().pem())?;
        let tls = native_tls::TlsConnector::builder().add_root_certificate(authority).build()?;
        let tcp = TcpStream::connect(("127.0.0.1", proxy.port())).await?;
        let tls = tokio_native_tls::TlsConnector::from(tls).connect(dovecot.host(), tcp).await?;
        let mut client = Self(BufReader::new(tls));
        client.0.read_line(&mut String::new()).await?;
        let login = format!("LOGIN {} \"{}\"", account.user(), account.password());
        for command in [&login, "SELECT INBOX"] {
            client.ask(command).await.map_err(anyhow::Error::msg)?;
        }
        Ok(client)
    }

    /// Sends a command and returns everything up to its tagged answer, or what came of that.
    async fn ask(&mut self, command: &str) -> Result<String, String> {
        let mut answer = String::new();
        let asked = timeout(LIMIT, async {
            self.0.get_mut().write_all(format!("t {command}\r\n").as_bytes()).await?;
            loop {
                let start = answer.len();
                if self.0.read_line(&mut answer).await? == 0 {
                    bail!("closed");
                }
                if answer.get(start..).is_some_and(|line| line.starts_with("t ")) {
                    return Ok(());
                }
            }
        });
        match asked.await {
            Ok(Ok(())) => Ok(answer),
            _ => Err(answer),
        }
    }
}

/// A mailbox of three mails behind a proxy.
async fn mailbox() -> Result<(Dovecot, Account, ImapProxy)> {
    let dovecot = Dovecot::start(Options::default()).await?;
    let account = dovecot.account("support")?;
    account.deliver_many(["Subject: a\n\nOne.\n", "Subject: b\n\nu OK {3}\n", "Subject: c\n\nThree.\n"])?;
    let proxy = ImapProxy::to(&dovecot).await?;
    let mut client = Client::log_in(&proxy, &dovecot, &account).await?;
    client.ask("CREATE Processed").await.map_err(anyhow::Error::msg)?;
    Ok((dovecot, account, proxy))
}

#[tokio::test]
async fn imap_passes_as_it_is_and_without_what_is_hidden() -> Result<()> {
    let (dovecot, account, proxy) = mailbox().await?;
    let mut client = Client::log_in(&proxy, &dovecot, &account).await?;

    let fetched = client.ask("UID FETCH 2 BODY[]").await.map_err(anyhow::Error::msg)?;
    assert!(fetched.contains("Subject: b\r\n\r\nu OK {3}\r\n)\r\n"), "{fetched}");
    assert!(client.ask("CAPABILITY").await.is_ok_and(|answer| answer.contains(" MOVE")));
    proxy.hide(&["MOVE", "UIDPLUS"]);
    let answer = client.ask("CAPABILITY").await.map_err(anyhow::Error::msg)?;
    assert!(!answer.contains("MOVE") && !answer.contains("UIDPLUS") && answer.contains(" IDLE"), "{answer}");
    assert!(proxy.commands().contains(&"UID FETCH 2 BODY[]".to_owned()));
    Ok(())
}

#[tokio::test]
async fn a_command_is_cut_off_where_it_was_to_be() -> Result<()> {
    let (dovecot, account, proxy) = mailbox().await?;
    let mut left = 3;
    for (fault, heard, done) in [
        (Fault::CutBefore, "", false),
        (Fault::CutAnswer, "", true),
        (Fault::CutBeforeEnd, "* OK [COPYUID ", true),
    ] {
        proxy.after(1, "UID MOVE", fault.clone());
        let mut client = Client::log_in(&proxy, &dovecot, &account).await?;
        client.ask("UID MOVE 99 Processed").await.map_err(anyhow::Error::msg)?;

        let Err(answer) = client.ask(&format!("UID MOVE {} Processed", 4 - left)).await else {
            bail!("{fault:?} let it pass")
        };

        assert_eq!((answer.is_empty(), answer.starts_with(heard)), (heard.is_empty(), true), "{answer}");
        left -= usize::from(done);
        account.wait_for_count("INBOX", left, LIMIT).await?;
    }
    assert_eq!(proxy.strikes(), 3);
    Ok(())
}

#[tokio::test]
async fn a_literal_is_cut_within() -> Result<()> {
    let (dovecot, account, proxy) = mailbox().await?;
    for bytes in [0, 7] {
        let mut client = Client::log_in(&proxy, &dovecot, &account).await?;
        proxy.at("UID FETCH", Fault::CutInLiteral(bytes));
        let Err(answer) = client.ask("UID FETCH 1 BODY[]").await else { bail!("it let it pass") };
        let literal = answer.split_once("}\r\n").context("no literal")?.1;
        assert_eq!(literal, "Subject: a".get(..bytes).context("too long")?);
    }
    Ok(())
}

#[tokio::test]
async fn what_is_stalled_waits_for_its_release() -> Result<()> {
    let (dovecot, account, proxy) = mailbox().await?;
    // Uid, and how many mails are in the inbox while its move is stalled.
    for (fault, uid, seen_then) in [(Fault::Stall, 1, 3), (Fault::StallAnswer, 2, 1)] {
        let strikes = proxy.strikes();
        let mut client = Client::log_in(&proxy, &dovecot, &account).await?;
        proxy.at("UID MOVE", fault);

        let command = format!("UID MOVE {uid} Processed");
        let (answer, seen) = tokio::join!(client.ask(&command), async {
            proxy.wait_for_strikes(strikes + 1, LIMIT).await?;
            let seen = account.count("INBOX")?;
            proxy.release();
            anyhow::Ok(seen)
        });

        assert!(answer.is_ok_and(|answer| answer.contains("\nt OK")));
        assert_eq!(seen?, seen_then);
    }
    Ok(())
}

#[tokio::test]
async fn answers_are_made_up_and_added_to() -> Result<()> {
    let (dovecot, account, proxy) = mailbox().await?;
    let mut client = Client::log_in(&proxy, &dovecot, &account).await?;
    proxy.at("UID MOVE", Fault::Answer("* 9 EXISTS\r\n{tag} OK done"));
    proxy.at("NOOP", Fault::Inject("* 7 EXPUNGE"));

    assert_eq!(client.ask("UID MOVE 1 Processed").await, Ok("* 9 EXISTS\r\nt OK done\r\n".to_owned()));
    assert!(client.ask("NOOP").await.is_ok_and(|answer| answer.starts_with("* 7 EXPUNGE\r\nt OK")));
    assert_eq!(account.count("INBOX")?, 3);
    Ok(())
}

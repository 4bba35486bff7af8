//! The private Dovecot, seen by a client.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use devstack::identity::{Access, Habits};
use devstack::{Account, Dovecot, Identity, Options};
use openssl::ssl::{SslConnector, SslMethod, SslStream};

const LIMIT: Duration = Duration::from_secs(20);

/// A client that trusts the server's authority and nobody else.
struct Client(BufReader<SslStream<TcpStream>>);

impl Client {
    fn connect(dovecot: &Dovecot) -> Result<Self> {
        let mut tls = SslConnector::builder(SslMethod::tls_client())?;
        tls.set_ca_file(dovecot.ca_pem_path())?;
        let tcp = TcpStream::connect(("127.0.0.1", dovecot.port()))?;
        tcp.set_read_timeout(Some(LIMIT))?;
        let mut client = Self(BufReader::new(tls.build().connect(dovecot.host(), tcp)?));
        client.0.read_line(&mut String::new())?;
        Ok(client)
    }

    fn log_in(dovecot: &Dovecot, account: &Account) -> Result<Self> {
        let mut client = Self::connect(dovecot)?;
        let answer = client.ask(&format!("LOGIN {} \"{}\"", account.user(), account.password()))?;
        ensure!(answer.contains("t OK"), "{answer}");
        Ok(client)
    }

    /// Logs in by a mechanism and returns the tagged answer. A challenge, in which Dovecot explains its refusal, is
    /// answered by nothing.
    fn authenticate(&mut self, mechanism: &str, response: &str) -> Result<String> {
        let response = openssl::base64::encode_block(response.as_bytes());
        self.0.get_mut().write_all(format!("t AUTHENTICATE {mechanism} {response}\r\n").as_bytes())?;
        loop {
            let mut line = String::new();
            ensure!(self.0.read_line(&mut line)? > 0, "the connection ended");
            if line.starts_with("t ") {
                return Ok(line);
            }
            if line.starts_with("+ ") {
                self.0.get_mut().write_all(b"\r\n")?;
            }
        }
    }

    /// Sends a command and returns everything up to its tagged answer.
    fn ask(&mut self, command: &str) -> Result<String> {
        self.0.get_mut().write_all(format!("t {command}\r\n").as_bytes())?;
        let mut answer = String::new();
        loop {
            let start = answer.len();
            ensure!(self.0.read_line(&mut answer)? > 0, "the connection ended after {answer:?}");
            if answer.get(start..).context("a character was cut")?.starts_with("t ") {
                return Ok(answer);
            }
        }
    }
}

#[tokio::test]
async fn a_client_that_trusts_the_authority_logs_in_and_sees_delivered_mail() -> Result<()> {
    let dovecot = Dovecot::start(Options::default()).await?;
    let account = dovecot.account("support@example.com")?;
    account.deliver(b"Subject: one\r\n\r\nlines\r\n")?;
    account.deliver_many(["Subject: two\n\n", "Subject: three\n\n"])?;

    let mut client = Client::log_in(&dovecot, &account)?;
    let selected = client.ask("SELECT INBOX")?;
    let fetched = client.ask("FETCH 1 BODY[]")?;

    assert!(selected.contains("* 3 EXISTS"), "{selected}");
    assert!(fetched.contains("Subject: one\r\n\r\nlines\r\n"), "{fetched}");
    Ok(())
}

#[tokio::test]
async fn mail_delivered_while_a_client_looks_shows_up() -> Result<()> {
    let dovecot = Dovecot::start(Options::default()).await?;
    let account = dovecot.account("support")?;
    let mut client = Client::log_in(&dovecot, &account)?;
    client.ask("SELECT INBOX")?;

    account.deliver(b"Subject: late\n\n")?;

    let answer = client.ask("NOOP")?;
    assert!(answer.contains("* 1 EXISTS"), "{answer}");
    Ok(())
}

#[tokio::test]
async fn a_wrong_password_is_refused_at_once_and_again() -> Result<()> {
    let dovecot = Dovecot::start(Options::default()).await?;

    for _ in 0..3 {
        let started = std::time::Instant::now();
        let answer = Client::connect(&dovecot)?.ask("LOGIN support wrong")?;

        assert!(answer.contains("t NO [AUTHENTICATIONFAILED]"), "{answer}");
        assert!(started.elapsed() < Duration::from_millis(1500), "took {:?}", started.elapsed());
    }
    Ok(())
}

#[tokio::test]
async fn move_and_uidplus_are_offered_unless_hidden() -> Result<()> {
    let plain = Dovecot::start(Options::default()).await?;
    let old = Dovecot::start(Options { without: &["MOVE", "UIDPLUS"], ..Options::default() }).await?;

    for (dovecot, offered) in [(plain, true), (old, false)] {
        let answer = Client::log_in(&dovecot, &dovecot.account("support")?)?.ask("CAPABILITY")?;
        for capability in [" MOVE", " UIDPLUS"] {
            assert_eq!(answer.contains(capability), offered, "{answer}");
        }
        assert!(answer.contains(" IDLE"), "{answer}");
    }
    Ok(())
}

#[tokio::test]
async fn a_certificate_of_another_host_is_refused() -> Result<()> {
    let dovecot =
        Dovecot::start(Options { certified_host: "mail.example.com", ..Options::default() }).await?;

    assert!(Client::connect(&dovecot).is_err());
    Ok(())
}

#[tokio::test]
async fn the_maildir_tells_what_a_client_did() -> Result<()> {
    let dovecot = Dovecot::start(Options::default()).await?;
    let account = dovecot.account("support")?;
    let other = dovecot.account("sales")?;
    account.deliver_many(["Subject: a\n\n", "Subject: b\n\n", "Subject: c\n\n"])?;

    let mut client = Client::log_in(&dovecot, &account)?;
    for command in
        ["CREATE Processed", "SELECT INBOX", "MOVE 1 Processed", "STORE 1 +FLAGS (\\Deleted \\Seen)"]
    {
        let answer = client.ask(command)?;
        ensure!(answer.contains("t OK"), "{answer}");
    }

    account.wait_for_count("Processed", 1, LIMIT).await?;
    assert_eq!(account.sources("Processed")?, [b"Subject: a\n\n"]);
    let flags: Vec<String> = account.messages("INBOX")?.into_iter().map(|mail| mail.flags).collect();
    assert_eq!(flags, ["ST", ""]);
    assert_eq!((other.count("INBOX")?, other.count("Processed")?), (0, 0));
    Ok(())
}

#[tokio::test]
async fn a_stopped_server_refuses_and_comes_back_on_its_port() -> Result<()> {
    let mut dovecot = Dovecot::start(Options::default()).await?;
    let account = dovecot.account("support")?;
    account.deliver(b"Subject: kept\n\n")?;
    let mut client = Client::log_in(&dovecot, &account)?;

    dovecot.stop().await?;
    assert!(client.ask("NOOP").is_err());
    assert!(Client::connect(&dovecot).is_err());
    dovecot.start_again().await?;

    let answer = Client::log_in(&dovecot, &account)?.ask("STATUS INBOX (MESSAGES)")?;
    assert!(answer.contains("(MESSAGES 1)"), "{answer}");
    Ok(())
}

#[tokio::test]
async fn a_killed_server_takes_its_processes_along_and_comes_back_with_its_mail() -> Result<()> {
    let mut dovecot = Dovecot::start(Options::default()).await?;
    let account = dovecot.account("support")?;
    account.deliver(b"Subject: kept\n\n")?;
    let mut client = Client::log_in(&dovecot, &account)?;
    client.ask("SELECT INBOX")?;

    dovecot.kill9().await?;
    assert!(client.ask("NOOP").is_err());
    dovecot.start_again().await?;

    let answer = Client::log_in(&dovecot, &account)?.ask("STATUS INBOX (MESSAGES)")?;
    assert!(answer.contains("(MESSAGES 1)"), "{answer}");
    Ok(())
}

// The platform must answer while this test's client waits for Dovecot.
#[tokio::test(flavor = "multi_thread")]
async fn an_access_token_opens_the_account_that_it_is_for_while_it_is_good() -> Result<()> {
    const ANNA: &str = "anna@example.com";
    let identity = Identity::start(Habits::default()).await?;
    let url = identity.introspection_url();
    let options = Options { introspection_url: Some(&url), ..Options::default() };
    let dovecot = Dovecot::start(options).await?;
    let account = dovecot.account(ANNA)?;
    account.deliver(b"Subject: one\n\n")?;
    // As long as Microsoft's, and of their form.
    let token = ["eyJ0eXAi", "eyJhdWQi", "c2lnbg"].map(|part| part.repeat(100)).join(".");
    identity.tokens().add(&token, Access::imap(ANNA), LIMIT);
    let xoauth2 = |user: &str| format!("user={user}\x01auth=Bearer {token}\x01\x01");
    let bearer = format!("n,a={ANNA},\x01auth=Bearer {token}\x01\x01");

    let capabilities = Client::connect(&dovecot)?.ask("CAPABILITY")?;
    for mechanism in ["PLAIN", "XOAUTH2", "OAUTHBEARER"] {
        assert!(capabilities.contains(&format!(" AUTH={mechanism}")), "{capabilities}");
    }
    for (mechanism, response) in [("XOAUTH2", &xoauth2(ANNA)), ("OAUTHBEARER", &bearer)] {
        let mut client = Client::connect(&dovecot)?;
        let answer = client.authenticate(mechanism, response)?;
        assert!(answer.starts_with("t OK"), "{answer}");
        assert!(client.ask("STATUS INBOX (MESSAGES)")?.contains("(MESSAGES 1)"));
    }
    assert!(Client::log_in(&dovecot, &account).is_ok(), "the password still opens it, too");

    let answer = Client::connect(&dovecot)?.authenticate("XOAUTH2", &xoauth2("berta@example.com"))?;
    assert!(answer.starts_with("t NO"), "{answer}");
    identity.tokens().expire_all();
    for (mechanism, response) in [("XOAUTH2", &xoauth2(ANNA)), ("OAUTHBEARER", &bearer)] {
        let answer = Client::connect(&dovecot)?.authenticate(mechanism, response)?;
        assert!(answer.starts_with("t NO"), "{answer}");
    }
    Ok(())
}

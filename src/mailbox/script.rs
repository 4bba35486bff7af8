//! A server that plays a transcript, for tests of the driver and of what is built on it.
//!
//! A line `C: …` is expected from the client, a line `S: …` is sent, and `S> …` is sent without a line end.
//! After the last line the server hangs up; after `stall` it neither answers nor hangs up. Tags are `P1`, `P2`, ….

use std::time::Duration;

use secrecy::SecretString;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::config;

use super::connect::open;
use super::credential::Credential;
use super::error::Error;
use super::session::Session;

/// The beginning of every transcript that [`session`] plays.
const LOGIN: &str = r#"
    S: * OK [CAPABILITY IMAP4rev1] ready
    C: P1 LOGIN "support@example.com" "secret"
    S: P1 OK [CAPABILITY IMAP4rev1 IDLE MOVE UIDPLUS] welcome
"#;

/// How long a client may take to send what the transcript says.
const LIMIT: Duration = Duration::from_secs(10);

/// A server that is playing. Dropped without [`finished`](Self::finished), it checks nothing.
pub(super) struct Server(JoinHandle<()>);

impl Server {
    /// Fails unless the transcript is played to its end.
    pub(super) async fn finished(self) {
        timeout(LIMIT, self.0).await.expect("the client sent less than the transcript says").unwrap();
    }
}

/// The mailbox that the transcripts are about. Its deadlines are long enough never to pass by accident.
pub(super) fn mailbox() -> config::Mailbox {
    config::Mailbox {
        name: "support".to_owned(),
        provider: None,
        host: "localhost".to_owned(),
        port: 993,
        ca_pem: None,
        username: "support@example.com".to_owned(),
        auth: config::Auth::Password(SecretString::from("secret")),
        addresses: Vec::new(),
        trusted_authserv: Vec::new(),
        folder: "INBOX".to_owned(),
        settle: config::Settle::Keep,
        ip_family: config::IpFamily::Auto,
        poll_interval: Duration::from_mins(1),
        idle_timeout: Duration::from_mins(5),
        connect_timeout: Duration::from_mins(1),
        command_timeout: Duration::from_mins(1),
        stall_timeout: Duration::from_mins(1),
    }
}

/// What that mailbox is logged in to with.
pub(super) fn password() -> Credential {
    Credential::Password(SecretString::from("secret"))
}

/// Connects to a server that plays `transcript` from the greeting on.
pub(super) async fn connect(config: &config::Mailbox, transcript: &str) -> (Result<Session, Error>, Server) {
    connect_with(&Credential::configured(&config.auth).unwrap(), config, transcript).await
}

/// As [`connect`], with a credential that is not in the configuration.
pub(super) async fn connect_with(
    credential: &Credential,
    config: &config::Mailbox,
    transcript: &str,
) -> (Result<Session, Error>, Server) {
    let (client, server) = tokio::io::duplex(4 * 1024);
    let server = Server(tokio::spawn(play(server, transcript.to_owned())));
    (open(client, false, config, credential).await, server)
}

/// A session with a server that plays `transcript` after the login; the next tag is `P2`.
pub(super) async fn session(transcript: &str) -> (Session, Server) {
    session_of(&mailbox(), transcript).await
}

/// As [`session`], with other deadlines.
pub(super) async fn session_of(config: &config::Mailbox, transcript: &str) -> (Session, Server) {
    let (session, server) = connect(config, &format!("{LOGIN}{transcript}")).await;
    (session.unwrap(), server)
}

/// As [`session`], with `exists` messages in INBOX, which is to be selected first; the next tag is `P3`.
pub(super) async fn inbox(exists: u32, transcript: &str) -> (Session, Server) {
    inbox_of(&mailbox(), exists, transcript).await
}

/// As [`inbox`], with other deadlines.
pub(super) async fn inbox_of(config: &config::Mailbox, exists: u32, transcript: &str) -> (Session, Server) {
    let select = format!(
        r#"
        C: P2 SELECT "INBOX"
        S: * {exists} EXISTS
        S: * OK [UIDVALIDITY 14] UIDs valid
        S: * OK [PERMANENTFLAGS (\Deleted \Seen)] Limited
        S: P2 OK [READ-WRITE] done
        "#
    );
    session_of(config, &format!("{select}{transcript}")).await
}

async fn play(wire: DuplexStream, transcript: String) {
    let mut wire = BufReader::new(wire);
    for step in transcript.lines().map(str::trim_start).filter(|step| !step.is_empty()) {
        if let Some(expected) = step.strip_prefix("C: ") {
            let mut line = String::new();
            wire.read_line(&mut line).await.unwrap();
            assert_eq!(line, format!("{expected}\r\n"), "the client's next line");
        } else if let Some(line) = step.strip_prefix("S: ") {
            wire.write_all(format!("{line}\r\n").as_bytes()).await.unwrap();
        } else if let Some(part) = step.strip_prefix("S> ") {
            wire.write_all(part.as_bytes()).await.unwrap();
        } else {
            assert_eq!(step, "stall", "a step of the transcript");
            std::future::pending::<()>().await;
        }
    }
}

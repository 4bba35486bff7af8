//! From a name to a logged-in session: DNS, TCP, TLS, greeting, login.
//!
//! Invariant: the certificate is always verified, name included; there is no way to switch that off.
//! Invariant: every step has its deadline, and no credential is sent before TLS stands.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_native_tls::TlsStream;

use crate::config;

use super::capability::Capabilities;
use super::credential::Credential;
use super::driver::{Driver, Wire};
use super::error::{Error, TlsFault};
use super::login::login;
use super::session::Session;

/// Connects and logs in. Each of lookup, TCP, TLS, greeting and login may take `connect_timeout`.
pub async fn connect(config: &config::Mailbox, credential: &Credential) -> Result<Session, Error> {
    let connector = connector(config)?;
    let tcp = dial(config).await?;
    let tls = handshake(&connector, tcp, config).await?;
    open(tls, config, credential).await
}

/// Logs in over a connection that has just been made.
pub(super) async fn open(
    wire: impl Wire + 'static,
    config: &config::Mailbox,
    credential: &Credential,
) -> Result<Session, Error> {
    let mut driver = Driver::new(wire, config);
    let announced = driver.greeting(config.connect_timeout).await?;
    let announced = match announced {
        Some(announced) => announced,
        None => Capabilities::ask(&mut driver).await?,
    };
    let announced = login(&mut driver, &announced, config, credential).await?;
    let capabilities = match announced {
        Some(announced) => announced,
        None => Capabilities::ask(&mut driver).await?,
    };
    tracing::debug!(mailbox = config.name, %capabilities, "logged in");
    Ok(Session::new(driver, capabilities))
}

fn connector(config: &config::Mailbox) -> Result<tokio_native_tls::TlsConnector, Error> {
    let tls_error = |source| Error::Tls { host: config.host.clone(), fault: TlsFault::Handshake, source };
    let mut builder = native_tls::TlsConnector::builder();
    builder.min_protocol_version(Some(native_tls::Protocol::Tlsv12));
    if let Some(pem) = &config.ca_pem {
        let authority = native_tls::Certificate::stack_from_pem(pem).unwrap_or_default();
        if authority.is_empty() {
            return Err(Error::Authority { host: config.host.clone() });
        }
        for certificate in authority {
            builder.add_root_certificate(certificate);
        }
    }
    builder.build().map(Into::into).map_err(tls_error)
}

/// Opens a TCP connection to the first address that takes it. IPv4 comes first: behind the IPv6 addresses of
/// Outlook.com a login succeeds and every command after it fails with "User is authenticated but not connected"
/// (Microsoft Q&A 4586042, seen until 2026).
async fn dial(config: &config::Mailbox) -> Result<TcpStream, Error> {
    let addresses = lookup(config).await?;
    let share = config.connect_timeout / u32::try_from(addresses.len()).unwrap_or(u32::MAX).max(1);
    let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses {
        match dial_one(address, share).await {
            Ok(tcp) => return Ok(tcp),
            Err(error) => failure = error,
        }
    }
    Err(Error::Connect { host: config.host.clone(), port: config.port, source: failure })
}

async fn lookup(config: &config::Mailbox) -> Result<Vec<SocketAddr>, Error> {
    let host = config.host.as_str();
    let failed = |source| Error::Lookup { host: host.to_owned(), source };
    let mut addresses: Vec<SocketAddr> =
        match timeout(config.connect_timeout, lookup_host((host, config.port))).await {
            Ok(found) => found.map_err(failed)?.collect(),
            Err(_) => return Err(failed(io::ErrorKind::TimedOut.into())),
        };
    addresses.sort_by_key(SocketAddr::is_ipv6);
    Ok(addresses)
}

async fn dial_one(address: SocketAddr, limit: Duration) -> io::Result<TcpStream> {
    let tcp = timeout(limit, TcpStream::connect(address)).await.map_err(|_| io::ErrorKind::TimedOut)??;
    // Commands are small and each waits for its answer.
    tcp.set_nodelay(true)?;
    Ok(tcp)
}

async fn handshake(
    connector: &tokio_native_tls::TlsConnector,
    tcp: TcpStream,
    config: &config::Mailbox,
) -> Result<TlsStream<TcpStream>, Error> {
    match timeout(config.connect_timeout, connector.connect(&config.host, tcp)).await {
        Ok(stream) => stream.map_err(|source| Error::Tls {
            host: config.host.clone(),
            fault: TlsFault::of(&source),
            source,
        }),
        Err(_) => Err(Error::Timeout { during: "the TLS handshake", limit: config.connect_timeout }),
    }
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use crate::mailbox::script;

    use super::*;

    async fn refused(transcript: &str) -> Error {
        let (session, server) = script::connect(&script::mailbox(), transcript).await;
        let error = session.unwrap_err();
        server.finished().await;
        error
    }

    #[tokio::test]
    async fn capabilities_are_those_announced_after_the_login() {
        for transcript in [
            // As Dovecot does it: with the greeting and with the OK.
            r#"
            S: * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] ready
            C: P1 LOGIN "support@example.com" "secret"
            S: P1 OK [CAPABILITY IMAP4rev1 move UIDPLUS] welcome
            "#,
            r#"
            S: * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] ready
            C: P1 LOGIN "support@example.com" "secret"
            S: * CAPABILITY IMAP4rev1 MOVE UIDPLUS
            S: P1 OK welcome
            "#,
            // As Exchange does it: when asked.
            r#"
            S: * OK The Microsoft Exchange IMAP4 service is ready.
            C: P1 CAPABILITY
            S: * CAPABILITY IMAP4 IMAP4rev1 AUTH=PLAIN UIDPLUS
            S: P1 OK CAPABILITY completed.
            C: P2 LOGIN "support@example.com" "secret"
            S: P2 OK LOGIN completed.
            C: P3 CAPABILITY
            S: * CAPABILITY IMAP4 IMAP4rev1 UIDPLUS MOVE
            S: P3 OK CAPABILITY completed.
            "#,
        ] {
            let (session, server) = script::connect(&script::mailbox(), transcript).await;

            let session = session.unwrap();
            assert!(session.capabilities().has("MOVE") && session.capabilities().has("UIDPLUS"));
            assert!(!session.capabilities().has("AUTH=PLAIN"));
            server.finished().await;
        }
    }

    #[tokio::test]
    async fn a_greeting_that_is_none_is_refused() {
        let bye = refused("S: * BYE Too many connections").await;
        assert_eq!(
            bye.to_string(),
            "the server closed the connection during the greeting: Too many connections"
        );
        assert!(bye.is_transient());

        let preauth = refused("S: * PREAUTH [CAPABILITY IMAP4rev1] welcome").await;
        assert!(matches!(preauth, Error::PreAuthenticated), "{preauth}");

        let other = refused("S: 220 smtp.example.com ESMTP").await;
        assert!(matches!(other, Error::Unreadable { .. }), "{other}");

        let nothing = refused("").await;
        assert!(matches!(nothing, Error::Closed { said: None, .. }), "{nothing}");
    }

    #[tokio::test]
    async fn a_silent_server_is_given_up() {
        let config = config::Mailbox { connect_timeout: Duration::from_millis(20), ..script::mailbox() };
        for transcript in [
            "stall",
            r#"
            S: * OK [CAPABILITY IMAP4rev1] ready
            C: P1 LOGIN "support@example.com" "secret"
            stall
            "#,
        ] {
            let (session, _server) = script::connect(&config, transcript).await;

            let error = session.unwrap_err();
            assert!(matches!(error, Error::Timeout { .. }), "{error}");
        }
    }

    #[tokio::test]
    async fn no_password_is_sent_to_a_server_that_takes_none() {
        let error = refused("S: * OK [CAPABILITY IMAP4rev1 LOGINDISABLED] ready").await;

        assert!(matches!(error, Error::LoginDisabled), "{error}");
        assert!(!error.is_transient());
    }

    #[tokio::test]
    async fn a_refused_login_is_told_from_a_server_out_of_order() {
        let answered = |answer: &str| {
            format!(
                r#"
                S: * OK [CAPABILITY IMAP4rev1] ready
                C: P1 LOGIN "support@example.com" "secret"
                {answer}
                "#
            )
        };

        let wrong = refused(&answered("S: P1 NO [AUTHENTICATIONFAILED] Authentication failed.")).await;
        assert_eq!(wrong.to_string(), "login refused: [AUTHENTICATIONFAILED] Authentication failed.");
        assert!(!wrong.is_transient());

        let bad = refused(&answered("S: P1 BAD User is authenticated but not connected.")).await;
        assert!(matches!(bad, Error::LoginRefused { .. }), "{bad}");

        let later = refused(&answered("S: P1 NO [UNAVAILABLE] Temporary authentication failure.")).await;
        assert!(matches!(later, Error::Refused { during: "LOGIN", .. }), "{later}");
        assert!(later.is_transient());

        let cut = refused(&answered("S: * BYE Connection closed. 14")).await;
        assert_eq!(cut.to_string(), "the server closed the connection during LOGIN: Connection closed. 14");
    }

    #[tokio::test]
    async fn a_password_that_a_quoted_string_cannot_hold_is_sent_as_a_literal() {
        let config = config::Mailbox {
            auth: config::Auth::Password(SecretString::from("pässe")),
            ..script::mailbox()
        };
        let (session, server) = script::connect(
            &config,
            r#"
            S: * OK [CAPABILITY IMAP4rev1] ready
            C: P1 LOGIN "support@example.com" {6}
            S: + go on
            C: pässe
            S: P1 OK [CAPABILITY IMAP4rev1] welcome
            "#,
        )
        .await;

        session.unwrap();
        server.finished().await;
    }

    #[tokio::test]
    async fn names_and_ports_where_nothing_is_are_told_apart() {
        // A port that was free a moment ago.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let refused =
            connect(&config::Mailbox { port, ..script::mailbox() }, &script::password()).await.unwrap_err();
        assert!(matches!(refused, Error::Connect { .. }), "{refused}");
        assert!(refused.cure().starts_with("Nothing listens there."), "{}", refused.cure());

        let unknown = config::Mailbox { host: "mail.invalid".to_owned(), ..script::mailbox() };
        let unknown = connect(&unknown, &script::password()).await.unwrap_err();
        assert!(matches!(unknown, Error::Lookup { .. }), "{unknown}");
    }

    #[tokio::test]
    async fn a_server_without_tls_and_one_that_is_silent_are_told_apart() {
        let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let config = config::Mailbox { port: server.local_addr().unwrap().port(), ..script::mailbox() };
        let greet = async {
            let (mut tcp, _) = server.accept().await.unwrap();
            tcp.write_all(b"* OK no TLS here\r\n").await.unwrap();
            // Open until the client hangs up.
            drop(tcp.read_to_end(&mut Vec::new()).await);
        };

        let password = script::password();
        let (error, ()) = tokio::join!(connect(&config, &password), greet);
        let error = error.unwrap_err();
        assert!(matches!(error, Error::Tls { fault: TlsFault::Handshake, .. }), "{error:?}");

        let config = config::Mailbox { connect_timeout: Duration::from_millis(20), ..config };
        let error = connect(&config, &script::password()).await.unwrap_err();
        assert_eq!(error.to_string(), "no answer within 20ms during the TLS handshake");
    }

    #[tokio::test]
    async fn an_authority_that_is_no_certificate_is_refused_before_connecting() {
        for pem in ["", "not a certificate"] {
            let config = config::Mailbox { ca_pem: Some(pem.into()), ..script::mailbox() };

            let error = connect(&config, &script::password()).await.unwrap_err();

            assert!(matches!(error, Error::Authority { .. }), "{error}");
        }
    }
}

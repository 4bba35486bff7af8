//! From a name to a logged-in session: DNS, TCP, TLS, greeting, login.
//!
//! Invariant: every step has its deadline, and no credential is sent before TLS stands.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_native_tls::TlsStream;

use crate::config;
use crate::config::IpFamily;

use super::capability::Capabilities;
use super::credential::Credential;
use super::driver::{Driver, Wire};
use super::error::{Error, TlsFault};
use super::login::login;
use super::session::Session;
use super::trust;

/// Connects and logs in. Each of lookup, TCP, TLS, greeting and login may take `connect_timeout`.
pub async fn connect(config: &config::Mailbox, credential: &Credential) -> Result<Session, Error> {
    let connector = trust::connector(config)?;
    let (tcp, address) = dial(config).await?;
    let tls = handshake(&connector, tcp, config).await?;
    open(tls, address.is_ipv6(), config, credential).await
}

/// Logs in over a connection that has just been made.
pub(super) async fn open(
    wire: impl Wire + 'static,
    is_ipv6: bool,
    config: &config::Mailbox,
    credential: &Credential,
) -> Result<Session, Error> {
    let mut driver = Driver::new(wire, is_ipv6, config, credential);
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
    tracing::debug!(mailbox = config.name, is_ipv6, %capabilities, "logged in");
    Ok(Session::new(driver, capabilities))
}

/// Opens a TCP connection to the first address that takes it. IPv4 comes first: behind the IPv6 addresses of
/// Outlook.com a login succeeds and every command after it fails with "User is authenticated but not connected"
/// (Microsoft Q&A 4586042, seen until 2026).
async fn dial(config: &config::Mailbox) -> Result<(TcpStream, SocketAddr), Error> {
    let addresses = lookup(config).await?;
    let share = config.connect_timeout / u32::try_from(addresses.len()).unwrap_or(u32::MAX).max(1);
    let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses {
        match dial_one(address, share).await {
            Ok(tcp) => return Ok((tcp, address)),
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
    of_family(&mut addresses, config.ip_family);
    if addresses.is_empty() {
        return Err(Error::NoAddress { host: host.to_owned(), family: config.ip_family });
    }
    Ok(addresses)
}

/// Leaves the addresses to try, in their order.
fn of_family(addresses: &mut Vec<SocketAddr>, family: IpFamily) {
    addresses.retain(|address| match family {
        IpFamily::Auto => true,
        IpFamily::V4 => address.is_ipv4(),
        IpFamily::V6 => address.is_ipv6(),
    });
    addresses.sort_by_key(SocketAddr::is_ipv6);
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

    #[test]
    fn addresses_are_tried_ipv4_first_and_of_the_wanted_family_alone() {
        for (family, tried) in [
            (IpFamily::Auto, "192.0.2.1:993 192.0.2.2:993 [2001:db8::1]:993 [2001:db8::2]:993"),
            (IpFamily::V4, "192.0.2.1:993 192.0.2.2:993"),
            (IpFamily::V6, "[2001:db8::1]:993 [2001:db8::2]:993"),
        ] {
            let found = ["[2001:db8::1]:993", "192.0.2.1:993", "[2001:db8::2]:993", "192.0.2.2:993"];
            let mut addresses = found.map(|address| address.parse().unwrap()).to_vec();

            of_family(&mut addresses, family);

            let addresses: Vec<String> = addresses.iter().map(SocketAddr::to_string).collect();
            assert_eq!(addresses.join(" "), tried, "{family:?}");
        }
    }

    #[tokio::test]
    async fn a_host_without_an_address_of_the_wanted_family_is_told_from_one_without_any() {
        for (host, ip_family, said) in [
            ("127.0.0.1", IpFamily::V6, "127.0.0.1 has no IPv6 address"),
            ("::1", IpFamily::V4, "::1 has no IPv4 address"),
        ] {
            let config = config::Mailbox { host: host.to_owned(), ip_family, ..script::mailbox() };

            let error = connect(&config, &script::password()).await.unwrap_err();

            assert_eq!(error.to_string(), said);
            assert!(!error.is_transient() && !error.is_refusal());
        }
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

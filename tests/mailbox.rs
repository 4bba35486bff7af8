//! The mailbox port against a real Dovecot and, for what only Exchange does, against a server that behaves like it.

#![expect(clippy::unwrap_used, reason = "a failed setup step is a failed test")]

use std::time::{Duration, Instant};

use devstack::exchange::{Habits, Idle};
use devstack::identity::{Access, Tokens};
use devstack::{Account, Dovecot, Exchange, Identity, Options, identity};
use postroom::config;
use postroom::mailbox::{Credential, Error, Plan, Remedy, Removal, Session, TlsFault, connect};
use postroom::message::{Extent, Listed, Uid, UidSet};
use secrecy::SecretString;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

/// Longer than any test: a wait that ends by it was not ended by what the test is about.
const LONG: Duration = Duration::from_mins(9);

/// A Dovecot and an account on it.
struct Server {
    dovecot: Dovecot,
    account: Account,
}

impl Server {
    async fn start() -> Self {
        Self::start_as(Options::default()).await
    }

    /// A server that hides these capabilities.
    async fn without(capabilities: &[&str]) -> Self {
        Self::start_as(Options { without: capabilities, ..Options::default() }).await
    }

    async fn start_as(options: Options<'_>) -> Self {
        let dovecot = Dovecot::start(options).await.unwrap();
        let account = dovecot.account("support").unwrap();
        Self { dovecot, account }
    }

    fn mailbox(&self) -> config::Mailbox {
        config::Mailbox {
            name: "support".to_owned(),
            provider: None,
            host: self.dovecot.host().to_owned(),
            port: self.dovecot.port(),
            ca_pem: Some(self.dovecot.authority().pem().to_owned()),
            username: self.account.user().to_owned(),
            auth: config::Auth::Password(SecretString::from(self.account.password())),
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

    async fn log_in(&self) -> Session {
        log_in(&self.mailbox()).await.unwrap()
    }

    /// Puts `count` numbered mails into the inbox.
    fn deliver(&self, count: u32) {
        self.account.deliver_many((1..=count).map(mail)).unwrap();
    }

    /// The numbers of the mails in a folder, ascending.
    fn numbers(&self, folder: &str) -> Vec<u32> {
        let mut numbers: Vec<u32> =
            self.account.sources(folder).unwrap().iter().map(|source| number(source)).collect();
        numbers.sort_unstable();
        numbers
    }
}

/// Connects with the password that stands in the configuration.
async fn log_in(config: &config::Mailbox) -> Result<Session, Error> {
    connect(config, &Credential::configured(&config.auth).unwrap()).await
}

fn mail(number: u32) -> String {
    format!("Subject: {number}\r\nFrom: anna@example.com\r\n\r\nHello\r\n.\r\nThis is mail {number}.\r\n")
}

fn number(source: &[u8]) -> u32 {
    let source = std::str::from_utf8(source).unwrap();
    source.lines().next().unwrap().strip_prefix("Subject: ").unwrap().parse().unwrap()
}

fn uids(uids: impl IntoIterator<Item = u32>) -> UidSet {
    uids.into_iter().map(Uid).collect()
}

/// All messages of INBOX.
async fn list(session: &mut Session) -> Vec<Listed> {
    let listing = session.select("INBOX").await.unwrap().list(Uid(0)).await.unwrap();
    assert!(listing.complete);
    listing.messages
}

#[tokio::test]
async fn a_server_certified_by_the_given_authority_is_logged_in_to() {
    let server = Server::start().await;

    let session = server.log_in().await;

    assert!(session.capabilities().has("MOVE"), "{}", session.capabilities());
    assert!(session.capabilities().has("UIDPLUS"), "{}", session.capabilities());
    session.logout().await;
}

#[tokio::test]
async fn a_server_of_an_unknown_authority_is_refused() {
    let server = Server::start().await;

    let error = log_in(&config::Mailbox { ca_pem: None, ..server.mailbox() }).await.unwrap_err();

    assert!(matches!(error, Error::Tls { fault: TlsFault::Untrusted, .. }), "{error:?}");
    assert!(!error.is_transient());
}

#[tokio::test]
async fn a_server_certified_for_another_name_is_refused() {
    let server =
        Server::start_as(Options { certified_host: "elsewhere.example", ..Options::default() }).await;

    let error = log_in(&server.mailbox()).await.unwrap_err();

    assert!(matches!(error, Error::Tls { fault: TlsFault::WrongName, .. }), "{error:?}");
    assert!(!error.is_transient());
}

#[tokio::test]
async fn a_wrong_password_is_refused() {
    let server = Server::start().await;
    let auth = config::Auth::Password(SecretString::from("wrong"));

    let error = log_in(&config::Mailbox { auth, ..server.mailbox() }).await.unwrap_err();

    assert_eq!(error.to_string(), "login refused: [AUTHENTICATIONFAILED] Authentication failed.");
    assert!(!error.is_transient());
}

#[tokio::test]
async fn messages_come_byte_for_byte_and_unseen() {
    let server = Server::start().await;
    server.deliver(3);
    let mut session = server.log_in().await;
    let listed = list(&mut session).await;
    let mut inbox = session.select("INBOX").await.unwrap();
    assert_eq!(inbox.exists(), 3);

    let messages = inbox.fetch(&listed, Extent::Whole).await.unwrap();
    let headers = inbox.fetch(&listed[..1], Extent::Header).await.unwrap();

    assert_eq!(messages.len(), 3);
    for (message, number) in messages.iter().zip(1..) {
        assert_eq!(message.listed.uid, Uid(number));
        assert_eq!(message.source, mail(number).as_bytes());
        assert_eq!(message.listed.size, mail(number).len() as u64);
        assert!(message.listed.internal_date.is_some());
    }
    assert_eq!(headers[0].source, b"Subject: 1\r\nFrom: anna@example.com\r\n\r\n");
    assert!(server.account.messages("INBOX").unwrap().iter().all(|mail| mail.flags.is_empty()));
}

#[tokio::test]
async fn a_large_message_comes_whole() {
    let server = Server::start().await;
    let large = format!("Subject: large\r\n\r\n{}", "0123456789abcdef\r\n".repeat(500_000));
    server.account.deliver(large.as_bytes()).unwrap();
    let mut session = server.log_in().await;
    let listed = list(&mut session).await;

    let messages = session.select("INBOX").await.unwrap().fetch(&listed, Extent::Whole).await.unwrap();

    assert!(messages[0].source == large.as_bytes());
}

#[tokio::test]
async fn a_message_that_is_gone_is_neither_fetched_nor_present() {
    let server = Server::start().await;
    server.deliver(2);
    let mut session = server.log_in().await;
    let listed = list(&mut session).await;
    let mut other = server.log_in().await;
    let removed = Plan::Delete { removal: Removal::Expunge };
    other.select("INBOX").await.unwrap().settle(&removed, &uids([1])).await.unwrap();
    let mut inbox = session.select("INBOX").await.unwrap();

    let messages = inbox.fetch(&listed, Extent::Whole).await.unwrap();
    let present = inbox.present(&uids([1, 2, 3])).await.unwrap();

    assert_eq!(messages.iter().map(|message| message.listed.uid).collect::<Vec<_>>(), [Uid(2)]);
    assert_eq!(present, uids([2]));
}

#[tokio::test]
async fn thousands_of_messages_are_listed_in_windows() {
    let server = Server::start().await;
    server.deliver(3_000);
    let mut session = server.log_in().await;
    let mut inbox = session.select("INBOX").await.unwrap();

    let mut found = Vec::new();
    let mut windows = 0;
    let mut above = Uid(0);
    loop {
        let listing = inbox.list(above).await.unwrap();
        windows += 1;
        above = listing.looked_at;
        found.extend(listing.messages.iter().map(|listed| listed.uid.0));
        if listing.complete {
            break;
        }
    }

    assert_eq!(found, (1..=3_000).collect::<Vec<_>>());
    assert_eq!(windows, 3);
}

/// Settles mails 1 and 2 of four, of which somebody else has flagged the third `\Deleted`, and leaves the
/// server to be looked at.
async fn settle(hidden: &[&str], wanted: config::Settle) -> (Server, Plan) {
    let server = Server::without(hidden).await;
    server.deliver(4);
    let mut other = server.log_in().await;
    let flagged = Plan::Delete { removal: Removal::Flag };
    other.select("INBOX").await.unwrap().settle(&flagged, &uids([3])).await.unwrap();
    let mut session = server.log_in().await;
    if let config::Settle::Move { to } = &wanted {
        session.ensure_folder(to).await.unwrap();
    }
    let plan = Plan::choose(session.capabilities(), &wanted);
    let mut inbox = session.select("INBOX").await.unwrap();

    // UID 99 does not exist: a message that has gone in the meantime is settled.
    let left = inbox.settle(&plan, &uids([1, 2, 99])).await.unwrap();
    let again = inbox.settle(&plan, &uids([99])).await.unwrap();

    assert!(left.is_empty() && again.is_empty(), "{left} {again}");
    session.logout().await;
    (server, plan)
}

fn move_to_done() -> config::Settle {
    config::Settle::Move { to: "Done".to_owned() }
}

/// Which mails of INBOX are flagged `\Deleted`.
fn deleted(server: &Server) -> Vec<u32> {
    let mut deleted: Vec<u32> = server
        .account
        .messages("INBOX")
        .unwrap()
        .iter()
        .filter(|mail| mail.flags.contains('T'))
        .map(|mail| number(&mail.source))
        .collect();
    deleted.sort_unstable();
    deleted
}

#[tokio::test]
async fn settled_by_move() {
    let (server, plan) = settle(&[], move_to_done()).await;

    assert_eq!(plan, Plan::Move { to: "Done".to_owned() });
    assert_eq!((server.numbers("INBOX"), server.numbers("Done")), (vec![3, 4], vec![1, 2]));
    assert_eq!(deleted(&server), [3]);
}

#[tokio::test]
async fn settled_without_move() {
    let (server, plan) = settle(&["MOVE"], move_to_done()).await;

    assert_eq!(plan, Plan::Copy { to: "Done".to_owned(), removal: Removal::Expunge });
    assert_eq!((server.numbers("INBOX"), server.numbers("Done")), (vec![3, 4], vec![1, 2]));
    assert_eq!(deleted(&server), [3]);
}

#[tokio::test]
async fn settled_without_move_and_uidplus() {
    let (server, plan) = settle(&["MOVE", "UIDPLUS"], move_to_done()).await;

    assert_eq!(plan, Plan::Copy { to: "Done".to_owned(), removal: Removal::Flag });
    assert_eq!((server.numbers("INBOX"), server.numbers("Done")), (vec![1, 2, 3, 4], vec![1, 2]));
    assert_eq!(deleted(&server), [1, 2, 3]);
}

#[tokio::test]
async fn settled_by_expunging() {
    let (server, plan) = settle(&[], config::Settle::Expunge).await;

    assert_eq!(plan, Plan::Delete { removal: Removal::Expunge });
    assert_eq!(server.numbers("INBOX"), [3, 4]);
    assert_eq!(deleted(&server), [3]);
}

#[tokio::test]
async fn settled_by_expunging_without_uidplus() {
    let (server, plan) = settle(&["UIDPLUS"], config::Settle::Expunge).await;

    assert_eq!(plan, Plan::Delete { removal: Removal::Flag });
    assert_eq!(server.numbers("INBOX"), [1, 2, 3, 4]);
    assert_eq!(deleted(&server), [1, 2, 3]);
}

#[tokio::test]
async fn settled_by_keeping() {
    let (server, plan) = settle(&[], config::Settle::Keep).await;

    assert_eq!(plan, Plan::Keep);
    assert_eq!(server.numbers("INBOX"), [1, 2, 3, 4]);
    assert_eq!(deleted(&server), [3]);
}

#[tokio::test]
async fn thousands_of_scattered_messages_are_moved() {
    let server = Server::start().await;
    server.deliver(1_200);
    let mut session = server.log_in().await;
    session.ensure_folder("Done").await.unwrap();
    let plan = Plan::Move { to: "Done".to_owned() };
    let odd = || (1..=1_200).step_by(2);
    let mut inbox = session.select("INBOX").await.unwrap();

    let left = inbox.settle(&plan, &uids(odd())).await.unwrap();

    assert!(left.is_empty());
    assert_eq!(inbox.exists(), 600);
    assert_eq!(server.numbers("Done"), odd().collect::<Vec<_>>());
}

#[tokio::test]
async fn a_missing_target_folder_is_made_and_one_that_cannot_be_is_a_refusal() {
    let server = Server::start().await;
    server.deliver(2);
    let mut session = server.log_in().await;
    let mut inbox = session.select("INBOX").await.unwrap();

    let left = inbox.settle(&Plan::Move { to: "Nowhere".to_owned() }, &uids([1])).await.unwrap();
    assert!(left.is_empty());
    assert_eq!((server.numbers("INBOX"), server.numbers("Nowhere")), (vec![2], vec![1]));

    let impossible = Plan::Move { to: "a//b".to_owned() };
    let refused = inbox.settle(&impossible, &uids([2])).await.unwrap_err();
    assert!(refused.is_refusal(), "{refused}");
    assert_eq!(inbox.present(&uids([2])).await.unwrap(), uids([2]));
    assert_eq!(server.numbers("INBOX"), [2]);
}

#[tokio::test]
async fn folders_of_any_name_are_created_once_and_found_again() {
    let server = Server::start().await;
    let mut session = server.log_in().await;

    for name in ["Done", "Erledigt & übersetzt", r#"a "b" \ c"#, "100% *", "日本語"] {
        for _ in 0..2 {
            session.ensure_folder(name).await.unwrap();
        }
        assert_eq!(session.select(name).await.unwrap().exists(), 0);
        let folders = session.folders().await.unwrap();
        assert_eq!(folders.iter().filter(|folder| *folder == name).count(), 1, "{name} in {folders:?}");
    }
}

#[tokio::test]
async fn a_missing_folder_is_named() {
    let server = Server::start().await;
    let mut session = server.log_in().await;

    let error = session.select("Suport").await.unwrap_err();

    assert_eq!(error.to_string(), "there is no folder \"Suport\"");
    session.select("INBOX").await.unwrap();
}

#[tokio::test]
async fn new_mail_ends_a_wait() {
    let server = Server::start().await;
    server.deliver(2);
    let mut session = server.log_in().await;
    assert!(session.pushes() && !session.is_ipv6());
    assert_eq!(list(&mut session).await.len(), 2);
    let stop = CancellationToken::new();

    // While it waits, between a listing and a wait, and again after both.
    let (waited, ()) = tokio::join!(session.wait(LONG, &stop), async { server.deliver(1) });
    waited.unwrap();
    assert_eq!(list(&mut session).await.len(), 3);
    server.deliver(1);
    session.wait(LONG, &stop).await.unwrap();
    assert_eq!(list(&mut session).await.len(), 4);
    let (waited, ()) = tokio::join!(session.wait(LONG, &stop), async { server.deliver(1) });
    waited.unwrap();

    assert_eq!(list(&mut session).await.len(), 5);
    session.logout().await;
}

#[tokio::test]
async fn a_wait_that_is_stopped_or_has_lasted_long_enough_leaves_the_session_in_step() {
    let server = Server::start().await;
    server.deliver(2);
    let mut session = server.log_in().await;
    let moved = Plan::Move { to: "Done".to_owned() };
    let stop = CancellationToken::new();

    for uid in [1, 2] {
        let mut inbox = session.select("INBOX").await.unwrap();
        assert!(inbox.settle(&moved, &uids([uid])).await.unwrap().is_empty());
        if uid == 1 {
            let limit = Duration::from_millis(100);
            let began = Instant::now();
            session.wait(limit, &stop).await.unwrap();
            assert!(began.elapsed() >= limit, "our own settling is no news");
        } else {
            let (waited, ()) = tokio::join!(session.wait(LONG, &stop), async { stop.cancel() });
            waited.unwrap();
        }
    }

    assert!(list(&mut session).await.is_empty());
    assert_eq!(server.numbers("Done"), [1, 2]);
}

#[tokio::test]
async fn without_idle_a_wait_is_a_pause_and_the_mail_is_there_afterwards() {
    let server = Server::without(&["IDLE"]).await;
    let mut session = server.log_in().await;
    assert!(!session.pushes());
    assert!(list(&mut session).await.is_empty());
    server.deliver(1);
    let began = Instant::now();

    session.wait(Duration::from_millis(100), &CancellationToken::new()).await.unwrap();

    assert!(began.elapsed() >= Duration::from_millis(100));
    assert_eq!(list(&mut session).await.len(), 1);
}

#[tokio::test]
async fn a_server_that_stops_ends_the_session_with_an_error() {
    let mut server = Server::start().await;
    server.deliver(1);
    let mut session = server.log_in().await;
    let mut inbox = session.select("INBOX").await.unwrap();
    server.dovecot.stop().await.unwrap();

    let error = inbox.list(Uid(0)).await.unwrap_err();

    assert!(matches!(error, Error::Closed { .. } | Error::Io { .. }), "{error:?}");
    let error = log_in(&server.mailbox()).await.unwrap_err();
    assert!(matches!(error, Error::Connect { .. }) && error.is_transient(), "{error:?}");
}

#[tokio::test]
async fn a_connection_that_is_cut_without_a_goodbye_ends_the_session_with_an_error() {
    let server = Server::start().await;
    server.deliver(1);
    let relay = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = relay.local_addr().unwrap().port();
    let (cut, wait) = oneshot::channel::<()>();
    let target = ("127.0.0.1", server.dovecot.port());
    let relay = tokio::spawn(async move {
        let (mut client, _) = relay.accept().await.unwrap();
        let mut dovecot = TcpStream::connect(target).await.unwrap();
        tokio::select! {
            ended = copy_bidirectional(&mut client, &mut dovecot) => panic!("{ended:?} before the cut"),
            _ = wait => {}
        }
    });
    let mut session = log_in(&config::Mailbox { port, ..server.mailbox() }).await.unwrap();
    let mut inbox = session.select("INBOX").await.unwrap();
    cut.send(()).unwrap();
    relay.await.unwrap();

    let error = inbox.list(Uid(0)).await.unwrap_err();

    assert!(matches!(error, Error::Closed { .. } | Error::Io { .. }), "{error:?}");
}

/// As long as Microsoft's, and of their form.
fn access_token(letter: &str) -> String {
    ["eyJ0eXAi", "eyJhdWQi", letter].map(|part| part.repeat(150)).join(".")
}

fn token(token: &str) -> Credential {
    Credential::Token(SecretString::from(token))
}

// The platform must answer while Dovecot asks it about a token.
#[tokio::test(flavor = "multi_thread")]
async fn a_good_token_opens_its_mailbox_and_a_bad_one_none_by_either_mechanism() {
    let identity = Identity::start(identity::Habits::default()).await.unwrap();
    let introspection_url = Some(identity.introspection_url());
    for hidden in [&["AUTH=OAUTHBEARER"][..], &["AUTH=XOAUTH2"], &["AUTH=XOAUTH2", "SASL-IR"]] {
        let options = Options {
            without: hidden,
            introspection_url: introspection_url.as_deref(),
            ..Options::default()
        };
        let dovecot = Dovecot::start(options).await.unwrap();
        let account = dovecot.account("anna@example.com").unwrap();
        let server = Server { dovecot, account };
        server.deliver(2);
        let (good, bad) = (access_token("good"), access_token("bad"));
        identity.tokens().add(&good, Access::imap("anna@example.com"), LONG);

        let mut session = connect(&server.mailbox(), &token(&good)).await.unwrap();
        assert_eq!(list(&mut session).await.len(), 2, "{hidden:?}");
        session.logout().await;

        let another = config::Mailbox { username: "berta@example.com".to_owned(), ..server.mailbox() };
        for (config, wrong) in [(&server.mailbox(), &bad), (&another, &good)] {
            let error = connect(config, &token(wrong)).await.unwrap_err();
            assert!(matches!(error, Error::LoginRefused { by_token: true, .. }), "{hidden:?}: {error:?}");
            assert_eq!(error.remedy(), Remedy::Refresh);
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("eyJ") && !shown.contains("berta"), "{shown}");
        }
    }
}

#[tokio::test]
async fn a_server_that_takes_no_tokens_gets_none() {
    let server = Server::start().await;

    let error = connect(&server.mailbox(), &token(&access_token("good"))).await.unwrap_err();

    assert!(matches!(error, Error::NoMechanism), "{error:?}");
}

/// A mailbox on a server that behaves like Exchange.
fn mailbox_on(exchange: &Exchange) -> config::Mailbox {
    config::Mailbox {
        provider: None,
        name: "support".to_owned(),
        host: exchange.host().to_owned(),
        port: exchange.port(),
        ca_pem: Some(std::fs::read(exchange.ca_pem_path()).unwrap()),
        username: exchange.user().to_owned(),
        auth: config::Auth::Password(SecretString::from(exchange.password())),
        addresses: Vec::new(),
        trusted_authserv: Vec::new(),
        folder: "INBOX".to_owned(),
        settle: config::Settle::Keep,
        ip_family: config::IpFamily::V4,
        poll_interval: Duration::from_mins(1),
        idle_timeout: Duration::from_mins(5),
        connect_timeout: Duration::from_mins(1),
        command_timeout: Duration::from_mins(1),
        stall_timeout: Duration::from_mins(1),
    }
}

const MAIL: &[u8] = b"Subject: one\r\n\r\nHello\r\n";

#[tokio::test]
async fn mail_ends_a_wait_whatever_the_server_does_in_an_idle() {
    for idle in [Idle::Tells, Idle::TellsBeforehand, Idle::EndsByOk] {
        let exchange = Exchange::start(Habits { idle, ..Habits::default() }).await.unwrap();
        let mut session = log_in(&mailbox_on(&exchange)).await.unwrap();
        assert!(list(&mut session).await.is_empty());
        let stop = CancellationToken::new();

        let told = session.wait(LONG, &stop);
        let ((), waited) = tokio::join!(
            async {
                exchange.wait_for_idling(1, LONG).await.unwrap();
                exchange.deliver(MAIL).unwrap();
            },
            told
        );

        waited.unwrap();
        assert_eq!(list(&mut session).await.len(), 1, "{idle:?}");
        // After the listing and before the wait.
        exchange.deliver(MAIL).unwrap();
        session.wait(LONG, &stop).await.unwrap();
        assert_eq!(list(&mut session).await.len(), 2, "{idle:?}");
    }
}

#[tokio::test]
async fn a_server_that_ends_the_connection_in_an_idle_ends_the_wait_at_once() {
    let habits = Habits { idle: Idle::EndsByBye, ..Habits::default() };
    let exchange = Exchange::start(habits).await.unwrap();
    let mut session = log_in(&mailbox_on(&exchange)).await.unwrap();
    list(&mut session).await;
    let stop = CancellationToken::new();

    let ((), ended) = tokio::join!(
        async {
            exchange.wait_for_idling(1, LONG).await.unwrap();
            exchange.deliver(MAIL).unwrap();
        },
        session.wait(LONG, &stop)
    );

    let error = ended.unwrap_err();
    assert!(matches!(error, Error::Closed { during: "IDLE", .. }), "{error:?}");
    assert_eq!(error.remedy(), Remedy::Retry);
}

#[tokio::test]
async fn a_token_that_expires_in_an_idle_ends_the_wait_and_calls_for_another() {
    let tokens = Tokens::new();
    let exchange =
        Exchange::with_tokens(Habits::default(), tokens.clone(), "support@example.com").await.unwrap();
    let first = access_token("one");
    tokens.add(&first, Access::imap("support@example.com"), LONG);
    let mut session = connect(&mailbox_on(&exchange), &token(&first)).await.unwrap();
    list(&mut session).await;
    let stop = CancellationToken::new();

    let ((), ended) = tokio::join!(
        async {
            exchange.wait_for_idling(1, LONG).await.unwrap();
            tokens.expire_all();
        },
        session.wait(LONG, &stop)
    );

    let error = ended.unwrap_err();
    assert!(matches!(error, Error::TokenExpired { during: "IDLE" }), "{error:?}");
    assert_eq!((error.remedy(), error.is_transient()), (Remedy::Refresh, true));
    let error = connect(&mailbox_on(&exchange), &token(&first)).await.unwrap_err();
    assert!(matches!(error, Error::LoginRefused { by_token: true, .. }), "{error:?}");

    let second = access_token("two");
    tokens.add(&second, Access::imap("support@example.com"), LONG);
    let mut session = connect(&mailbox_on(&exchange), &token(&second)).await.unwrap();
    list(&mut session).await;
}

#[tokio::test]
async fn whoever_may_not_open_a_mailbox_is_logged_in_and_not_connected() {
    let tokens = Tokens::new();
    let exchange =
        Exchange::with_tokens(Habits::default(), tokens.clone(), "shared@example.com").await.unwrap();
    let annas = access_token("anna");
    tokens.add(&annas, Access::imap("anna@example.com"), LONG);

    let mut session = connect(&mailbox_on(&exchange), &token(&annas)).await.unwrap();
    let error = session.select("INBOX").await.unwrap_err();
    assert!(matches!(error, Error::NotConnected { by_token: true, is_ipv6: false, .. }), "{error:?}");
    assert_eq!((error.remedy(), error.is_refusal()), (Remedy::Configuration, false));

    exchange.permit("anna@example.com", "shared@example.com");
    let mut session = connect(&mailbox_on(&exchange), &token(&annas)).await.unwrap();
    assert!(list(&mut session).await.is_empty());
}

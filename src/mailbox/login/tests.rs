//! Logins of every kind, with servers that take them, do not, and say why.

use std::time::Duration;

use secrecy::SecretString;

use crate::config;
use crate::mailbox::credential::Credential;
use crate::mailbox::error::Error;
use crate::mailbox::remedy::Remedy;
use crate::mailbox::script;

/// The response of XOAUTH2 for the user and the token of these tests, …
const XOAUTH2: &str = "dXNlcj1zdXBwb3J0QGV4YW1wbGUuY29tAWF1dGg9QmVhcmVyIGV5SjBlWEEBAQ==";
/// … of OAUTHBEARER, …
const OAUTHBEARER: &str =
    "bixhPXN1cHBvcnRAZXhhbXBsZS5jb20sAWhvc3Q9bG9jYWxob3N0AXBvcnQ9OTkzAWF1dGg9QmVhcmVyIGV5SjBlWEEBAQ==";
/// … and of PLAIN for their password.
const PLAIN: &str = "AHN1cHBvcnRAZXhhbXBsZS5jb20Ac2VjcmV0";

/// What a server says of a token that it does not take: `{"status":"400"}`.
const CHALLENGE: &str = "eyJzdGF0dXMiOiI0MDAifQ==";

fn token(token: &str) -> Credential {
    Credential::Token(SecretString::from(token))
}

fn password(password: &str) -> Credential {
    Credential::Password(SecretString::from(password))
}

/// What a login leads to with a server that plays the transcript, to its end, after a greeting that announces these.
async fn log_in(credential: &Credential, announced: &str, transcript: &str) -> Result<(), Error> {
    log_in_as(&script::mailbox(), credential, announced, transcript).await
}

async fn log_in_as(
    config: &config::Mailbox,
    credential: &Credential,
    announced: &str,
    transcript: &str,
) -> Result<(), Error> {
    let announced = format!("IMAP4rev1 {announced}");
    let transcript = format!("S: * OK [CAPABILITY {}] ready\n{transcript}", announced.trim());
    let (session, server) = script::connect_with(credential, config, &transcript).await;
    server.finished().await;
    session.map(drop)
}

#[tokio::test]
async fn a_token_goes_by_the_mechanism_that_is_announced() {
    for (announced, mechanism, response) in [
        ("AUTH=PLAIN AUTH=XOAUTH2 AUTH=OAUTHBEARER", "XOAUTH2", XOAUTH2),
        ("AUTH=xoauth2 LOGINDISABLED", "XOAUTH2", XOAUTH2),
        ("AUTH=PLAIN AUTH=OAUTHBEARER", "OAUTHBEARER", OAUTHBEARER),
    ] {
        let in_the_command = format!(
            "C: P1 AUTHENTICATE {mechanism} {response}
             S: P1 OK [CAPABILITY IMAP4rev1 MOVE] welcome"
        );
        log_in(&token("eyJ0eXA"), &format!("SASL-IR {announced}"), &in_the_command).await.unwrap();

        for asks in ["S: +", "S: + ", "S: + go on"] {
            let when_asked = format!(
                "C: P1 AUTHENTICATE {mechanism}
                 {asks}
                 C: {response}
                 S: P1 OK [CAPABILITY IMAP4rev1 MOVE] welcome"
            );
            log_in(&token("eyJ0eXA"), announced, &when_asked).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_token_is_not_sent_to_a_server_that_takes_none() {
    let error = log_in(&token("eyJ0eXA"), "SASL-IR AUTH=PLAIN AUTH=LOGIN", "").await.unwrap_err();

    assert!(matches!(error, Error::NoMechanism), "{error}");
    assert_eq!((error.remedy(), error.kind()), (Remedy::Configuration, "login"));
}

#[tokio::test]
async fn the_account_of_an_error_is_dismissed_and_the_refusal_heeded() {
    for (mechanism, response, dismissal) in [("XOAUTH2", XOAUTH2, ""), ("OAUTHBEARER", OAUTHBEARER, "AQ==")] {
        let told = format!("S: + {CHALLENGE}\nC: {dismissal}\n");
        for times in [1, 2] {
            let challenges = told.repeat(times);
            for (announced, command) in [
                ("SASL-IR", format!("C: P1 AUTHENTICATE {mechanism} {response}")),
                ("IDLE", format!("C: P1 AUTHENTICATE {mechanism}\nS: + \nC: {response}")),
            ] {
                let error = log_in(
                    &token("eyJ0eXA"),
                    &format!("{announced} AUTH={mechanism}"),
                    &format!("{command}\n{challenges}S: P1 NO AUTHENTICATE failed."),
                )
                .await
                .unwrap_err();

                assert_eq!(error.to_string(), "login by access token refused: AUTHENTICATE failed.");
                assert_eq!(error.remedy(), Remedy::Refresh);
                assert!(!error.is_transient() && !error.is_refusal());
            }
        }

        let endless = format!("C: P1 AUTHENTICATE {mechanism} {response}\n{}", told.repeat(2));
        let announced = format!("SASL-IR AUTH={mechanism}");
        let error = log_in(&token("eyJ0eXA"), &announced, &format!("{endless}S: + {CHALLENGE}")).await;
        assert!(matches!(error, Err(Error::Unreadable { during: "AUTHENTICATE" })), "{error:?}");
    }
}

#[tokio::test]
async fn the_user_is_the_mailboxs_whoever_the_token_is_for() {
    let config = config::Mailbox { username: "shared@example.com".to_owned(), ..script::mailbox() };
    log_in_as(
        &config,
        &token("eyJ0eXA"),
        "SASL-IR AUTH=XOAUTH2",
        "C: P1 AUTHENTICATE XOAUTH2 dXNlcj1zaGFyZWRAZXhhbXBsZS5jb20BYXV0aD1CZWFyZXIgZXlKMGVYQQEB
         S: P1 OK [CAPABILITY IMAP4rev1 MOVE] welcome",
    )
    .await
    .unwrap();
}

#[tokio::test]
async fn what_would_end_a_field_is_refused_before_anything_is_sent() {
    let every = "SASL-IR AUTH=XOAUTH2 AUTH=OAUTHBEARER AUTH=PLAIN AUTH=LOGIN";
    for (username, credential) in [
        ("support@example.com", token("eyJ0\0eXA")),
        ("support@example.com", token("eyJ0\x01auth=Bearer eXA")),
        ("support\x01@example.com", token("eyJ0eXA")),
        ("support\0@example.com", token("eyJ0eXA")),
        ("support\0@example.com", password("secret")),
        ("support@example.com", password("a\0b")),
    ] {
        let config = config::Mailbox { username: username.to_owned(), ..script::mailbox() };
        for announced in [every, "AUTH=OAUTHBEARER LOGINDISABLED AUTH=LOGIN", "AUTH=XOAUTH2"] {
            let error = log_in_as(&config, &credential, announced, "").await.unwrap_err();

            assert!(matches!(error, Error::Unsendable), "{username:?} {announced}: {error}");
        }
    }
}

#[tokio::test]
async fn a_password_goes_by_login_unless_that_is_disabled() {
    let welcome = "S: P1 OK [CAPABILITY IMAP4rev1 MOVE] welcome";
    for (announced, command) in [
        ("SASL-IR AUTH=PLAIN", r#"C: P1 LOGIN "support@example.com" "secret""#.to_owned()),
        ("LOGINDISABLED SASL-IR AUTH=PLAIN AUTH=LOGIN", format!("C: P1 AUTHENTICATE PLAIN {PLAIN}")),
        ("LOGINDISABLED AUTH=PLAIN", format!("C: P1 AUTHENTICATE PLAIN\nS: +\nC: {PLAIN}")),
        (
            "LOGINDISABLED SASL-IR AUTH=LOGIN",
            "C: P1 AUTHENTICATE LOGIN
             S: + VXNlciBOYW1lAA==
             C: c3VwcG9ydEBleGFtcGxlLmNvbQ==
             S: + UGFzc3dvcmQA
             C: c2VjcmV0"
                .to_owned(),
        ),
    ] {
        log_in(&password("secret"), announced, &format!("{command}\n{welcome}")).await.unwrap();
    }
}

#[tokio::test]
async fn no_password_is_sent_to_a_server_that_takes_none() {
    for announced in ["LOGINDISABLED", "LOGINDISABLED SASL-IR AUTH=XOAUTH2 AUTH=GSSAPI"] {
        let error = log_in(&password("secret"), announced, "").await.unwrap_err();

        assert!(matches!(error, Error::LoginDisabled), "{error}");
        assert_eq!(error.remedy(), Remedy::Configuration);
    }
}

#[tokio::test]
async fn what_a_quoted_string_cannot_hold_goes_by_plain_or_else_as_a_literal() {
    let welcome = "S: P1 OK [CAPABILITY IMAP4rev1] welcome";
    for (username, secret, announced, commands) in [
        (
            "support@example.com",
            "pässe",
            "AUTH=PLAIN",
            "C: P1 AUTHENTICATE PLAIN\nS: +\nC: AHN1cHBvcnRAZXhhbXBsZS5jb20AcMOkc3Nl",
        ),
        ("jürgen", "pw", "SASL-IR AUTH=PLAIN", "C: P1 AUTHENTICATE PLAIN AGrDvHJnZW4AcHc="),
        (
            "support@example.com",
            "pässe",
            "AUTH=LOGIN",
            "C: P1 LOGIN \"support@example.com\" {6}\nS: + go on\nC: pässe",
        ),
        ("jürgen", "pw", "", "C: P1 LOGIN {7}\nS: +\nC: jürgen \"pw\""),
        ("jürgen", "a\r\nb", "", "C: P1 LOGIN {7}\nS: +\nC: jürgen {4}\nS: +\nC: a\nC: b"),
        ("anna", r#"pass "word" \o/"#, "AUTH=PLAIN", r#"C: P1 LOGIN "anna" "pass \"word\" \\o/""#),
    ] {
        let config = config::Mailbox { username: username.to_owned(), ..script::mailbox() };
        log_in_as(&config, &password(secret), announced, &format!("{commands}\n{welcome}")).await.unwrap();
    }
}

#[tokio::test]
async fn a_refused_login_is_told_from_a_server_out_of_order() {
    let by_password = |answer: &str| {
        let transcript = format!("C: P1 LOGIN \"support@example.com\" \"secret\"\n{answer}");
        async move { log_in(&password("secret"), "", &transcript).await.unwrap_err() }
    };
    let by_token = |answer: &str| {
        let transcript = format!("C: P1 AUTHENTICATE XOAUTH2 {XOAUTH2}\n{answer}");
        async move { log_in(&token("eyJ0eXA"), "SASL-IR AUTH=XOAUTH2", &transcript).await.unwrap_err() }
    };

    let wrong = by_password("S: P1 NO [AUTHENTICATIONFAILED] Authentication failed.").await;
    assert_eq!(wrong.to_string(), "login refused: [AUTHENTICATIONFAILED] Authentication failed.");
    assert!(!wrong.is_transient());

    let seconds = Duration::from_secs;
    for (answer, remedy, token_remedy, kind) in [
        ("NO LOGIN failed.", Remedy::Configuration, Remedy::Refresh, "login"),
        ("NO AUTHENTICATE failed.", Remedy::Configuration, Remedy::Refresh, "login"),
        ("BAD Command Argument Error. 12", Remedy::Configuration, Remedy::Refresh, "login"),
        // Not one that had been good: no reason to connect again at once, and again.
        ("NO AccessTokenExpired", Remedy::Configuration, Remedy::Refresh, "login"),
        (
            "BAD User is authenticated but not connected.",
            Remedy::Configuration,
            Remedy::Configuration,
            "login",
        ),
        ("NO Server Unavailable. 15", Remedy::Retry, Remedy::Retry, "refused"),
        ("NO [UNAVAILABLE] Temporary authentication failure.", Remedy::Retry, Remedy::Retry, "refused"),
        ("NO [INUSE] Busy", Remedy::Retry, Remedy::Retry, "refused"),
        ("NO [LIMIT] Too many connections", Remedy::Retry, Remedy::Retry, "refused"),
        (
            "NO Request is throttled. Suggested Backoff Time: 7000 milliseconds",
            Remedy::BackOff(seconds(7)),
            Remedy::BackOff(seconds(7)),
            "throttled",
        ),
    ] {
        for (error, remedy) in [
            (by_password(&format!("S: P1 {answer}")).await, remedy),
            (by_token(&format!("S: P1 {answer}\nS: * BYE Connection closed. 14")).await, token_remedy),
        ] {
            assert_eq!((error.remedy(), error.kind()), (remedy, kind), "{answer}: {error}");
            let is_hopeless = matches!(remedy, Remedy::Configuration | Remedy::Refresh);
            assert_eq!(error.is_transient(), !is_hopeless, "{answer}: {error}");
        }
    }

    let cut = by_password("S: * BYE Connection closed. 14").await;
    assert_eq!(cut.to_string(), "the server closed the connection during LOGIN: Connection closed. 14");
    let throttled = by_token("S: * BYE Request is throttled. Suggested Backoff Time: 9 milliseconds").await;
    assert_eq!(throttled.remedy(), Remedy::BackOff(Duration::from_millis(9)));
}

#[tokio::test]
async fn a_login_without_a_mailbox_behind_it_is_explained() {
    let transcript = format!(
        "S: * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=XOAUTH2] ready
         C: P1 AUTHENTICATE XOAUTH2 {XOAUTH2}
         S: P1 OK AUTHENTICATE completed.
         C: P2 CAPABILITY
         S: P2 BAD User is authenticated but not connected.
         S: * BYE Connection closed. 14"
    );
    let (session, server) = script::connect_with(&token("eyJ0eXA"), &script::mailbox(), &transcript).await;

    let error = session.unwrap_err();

    assert!(matches!(error, Error::NotConnected { by_token: true, is_ipv6: false, .. }), "{error:?}");
    assert_eq!(
        error.to_string(),
        "the login is good but opens no mailbox: the server said \"User is authenticated but not connected\" to \
         CAPABILITY, over IPv4"
    );
    server.finished().await;
}

#[tokio::test]
async fn each_cure_of_a_login_names_what_there_is_to_change() {
    let not_connected = |by_token, is_ipv6| Error::NotConnected { during: "SELECT", by_token, is_ipv6 };
    let refused = |by_token| Error::LoginRefused { by_token, said: None };
    for (error, words) in [
        (not_connected(true, true), "`ip_family` to \"v4\""),
        (not_connected(false, true), "`ip_family` to \"v4\""),
        (not_connected(true, false), "Add-MailboxPermission"),
        (not_connected(true, false), "Full Access"),
        (not_connected(true, false), "licence"),
        (not_connected(false, false), "`username`"),
        (refused(true), "-ImapEnabled $true"),
        (refused(false), "no passwords any more"),
    ] {
        assert!(error.cure().contains(words), "{error}: {}", error.cure());
    }
}

//! The driver against servers that break off, refuse, lie and chatter, by way of every command that there is.

mod calls;

use std::time::Duration;

use crate::config;
use crate::mailbox::error::{Answer, Error};
use crate::mailbox::remedy::Remedy;
use crate::mailbox::script;
use crate::message::Extent;

use calls::{CALLS, five, listed};

#[tokio::test]
async fn a_refusal_is_an_error_in_every_command() {
    for call in CALLS {
        let no = call.fails_with(&format!("S: TAG NO not now\n{}", call.refused)).await;
        assert!(matches!(no, Error::Refused { answer: Answer::No, .. }), "{}: {no}", call.transcript);

        let bad = call.fails_with(&format!("S: TAG BAD what\n{}", call.refused)).await;
        assert!(matches!(bad, Error::Refused { answer: Answer::Bad, .. }), "{}: {bad}", call.transcript);
        assert!(bad.to_string().ends_with("was answered BAD: what"), "{bad}");
    }
}

#[tokio::test]
async fn the_end_of_the_connection_is_an_error_in_every_command() {
    for call in CALLS {
        let between = call.fails_with("").await;
        assert!(matches!(between, Error::Closed { said: None, .. }), "{}: {between}", call.transcript);

        let inside = call.fails_with("S> * 1 FETCH (UI").await;
        assert!(matches!(inside, Error::Closed { said: None, .. }), "{}: {inside}", call.transcript);

        let bye = call.fails_with("S: * BYE Connection is closed. 13").await;
        assert!(bye.to_string().ends_with(": Connection is closed. 13"), "{bye}");
        assert!(matches!(bye, Error::Closed { said: Some(_), .. }), "{}: {bye}", call.transcript);
    }
}

#[tokio::test]
async fn an_answer_out_of_step_is_an_error_in_every_command() {
    for call in CALLS {
        for ending in [
            "S: P99 OK somebody else's",
            "S: + go on",
            "S: * 5 NONSENSE ((",
            // The parser panics on these two.
            "S: * 1 FETCH (UID 5 INTERNALDATE NIL)",
            "S: * OK [ALERT]é",
        ] {
            // A listing goes on without a line about a message.
            if ending.contains("FETCH") && call.transcript.contains("RFC822.SIZE") {
                continue;
            }
            let error = call.fails_with(ending).await;
            assert!(matches!(error, Error::Unreadable { .. }), "{} then {ending}: {error}", call.transcript);
        }
    }
}

#[tokio::test]
async fn what_exchange_says_has_its_remedy_in_every_command() {
    let pause = |milliseconds| Remedy::BackOff(Duration::from_millis(milliseconds));
    for (ending, remedy, kind) in [
        (
            "S: TAG NO Request is throttled. Suggested Backoff Time: 299961 milliseconds
             S: * BYE Connection closed. 14",
            pause(299_961),
            "throttled",
        ),
        ("S: TAG BAD Request is throttled. Suggested Backoff Time: 1 milliseconds", pause(1), "throttled"),
        ("S: * BYE request is throttled. suggested backoff time: 20 milliseconds", pause(20), "throttled"),
        ("S: TAG NO Request is throttled.", pause(300_000), "throttled"),
        ("S: * BYE Session invalidated - AccessTokenExpired", Remedy::Refresh, "expired"),
        (
            "S: * BYE Session invalidated - AccessTokenExpired
             S: TAG BAD Command received in Invalid state.",
            Remedy::Refresh,
            "expired",
        ),
        (
            "S: TAG BAD User is authenticated but not connected.
             S: * BYE Connection closed. 14",
            Remedy::Configuration,
            "login",
        ),
        ("S: TAG NO User is authenticated but not connected.", Remedy::Configuration, "login"),
        ("S: TAG BAD Command received in Invalid state.", Remedy::Retry, "unreadable"),
        ("S: * BYE Connection is closed. 13", Remedy::Retry, "closed"),
        ("S: * BYE Connection closed. 14", Remedy::Retry, "closed"),
        ("S: * BYE Microsoft Exchange Server IMAP4 server signing off.", Remedy::Retry, "closed"),
        ("S: * BYE Connection closed. 14\nS: TAG NO not now", Remedy::Retry, "closed"),
    ] {
        for call in CALLS {
            // Nothing follows it, so a command more would end otherwise.
            let error = call.fails_with(ending).await;
            assert_eq!(error.remedy(), remedy, "{} then {ending}: {error}", call.transcript);
            assert_eq!(error.kind(), kind, "{error}");
            assert_eq!(error.is_about_session(), kind != "closed", "{error}");
            assert!(!error.is_refusal(), "{error}");
            assert_eq!(error.is_transient(), remedy != Remedy::Configuration, "{error}");
        }
    }
}

#[tokio::test]
async fn a_server_that_cannot_at_the_moment_refuses_the_one_thing() {
    for text in [
        "NO Server Unavailable. 15",
        "NO [UNAVAILABLE] Backend is away.",
        "NO [INUSE] Mailbox is locked.",
        "NO [LIMIT] Too much.",
        "BAD Command Argument Error. 11",
    ] {
        for call in CALLS {
            let error = call.fails_with(&format!("S: TAG {text}\n{}", call.refused)).await;
            assert!(error.is_refusal(), "{} then {text}: {error}", call.transcript);
            assert_eq!(error.remedy(), Remedy::Retry, "{error}");
            assert!(!error.is_about_session(), "{error}");
        }
    }
}

#[tokio::test]
async fn chatter_between_the_answers_changes_nothing() {
    let (mut session, server) = script::inbox(
        3,
        r"
        S: * 4 EXISTS
        S: * 1 EXPUNGE
        C: P3 UID FETCH 5 (UID BODY.PEEK[])
        S: * 7 EXISTS
        S: * 0 RECENT
        S: * OK Still here
        S: * 2 FETCH (UID 6 FLAGS (\Seen))
        S: * 2 FETCH (FLAGS (\Seen))
        S: * 1 FETCH (UID 5 FLAGS (\Seen))
        S: * NO Nearly out of space
        S: * 3 FETCH (FLAGS () BODY[] {2}
        S: hi UID 5)
        S: * 2 EXPUNGE
        S: * CAPABILITY IMAP4rev1 MOVE
        S: P3 OK done
        ",
    )
    .await;
    let mut folder = session.select("INBOX").await.unwrap();

    let messages = folder.fetch(&[listed(5)], Extent::Whole).await.unwrap();

    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0].source, b"hi");
    assert_eq!(folder.exists(), 6);
    server.finished().await;
}

#[tokio::test]
async fn the_end_of_the_connection_inside_a_mail_is_an_error() {
    let (mut session, _server) = script::inbox(
        1,
        "
        C: P3 UID FETCH 5 (UID BODY.PEEK[])
        S: * 1 FETCH (UID 5 BODY[] {1000}
        S: Subject: cut short
        ",
    )
    .await;

    let error = session.select("INBOX").await.unwrap().fetch(&[listed(5)], Extent::Whole).await.unwrap_err();

    assert!(matches!(error, Error::Closed { during: "UID FETCH", said: None }), "{error}");
}

#[tokio::test]
async fn a_mail_that_stops_coming_ends_by_the_stall_timeout() {
    let config = config::Mailbox { stall_timeout: Duration::from_millis(20), ..script::mailbox() };
    let (mut session, _server) = script::inbox_of(
        &config,
        1,
        "
        C: P3 UID FETCH 5 (UID BODY.PEEK[])
        S: * 1 FETCH (UID 5 BODY[] {1000}
        S: Subject: stalled
        stall
        ",
    )
    .await;

    let error = session.select("INBOX").await.unwrap().fetch(&[listed(5)], Extent::Whole).await.unwrap_err();

    assert_eq!(error.to_string(), "no answer within 20ms during UID FETCH");
}

#[tokio::test]
async fn a_command_may_be_silent_for_longer_than_a_mail() {
    let config = config::Mailbox {
        stall_timeout: Duration::ZERO,
        command_timeout: Duration::from_millis(500),
        ..script::mailbox()
    };
    // The answer to the fetch lies ready before it is asked for, so there is no silence in it.
    let (mut session, _server) = script::inbox_of(
        &config,
        1,
        "
        S: P3 OK done
        C: P3 UID FETCH 5 (UID BODY.PEEK[])
        C: P4 UID FETCH 5 (UID)
        stall
        ",
    )
    .await;
    let mut folder = session.select("INBOX").await.unwrap();

    let messages = folder.fetch(&[listed(5)], Extent::Whole).await.unwrap();
    let error = folder.present(&five()).await.unwrap_err();

    assert!(messages.is_empty());
    assert_eq!(error.to_string(), "no answer within 500ms during UID FETCH");
}

#[tokio::test]
async fn a_command_without_an_answer_ends_by_the_command_timeout() {
    let config = config::Mailbox { command_timeout: Duration::from_millis(20), ..script::mailbox() };
    let (mut session, _server) = script::session_of(
        &config,
        r#"
        C: P2 LIST "" "*"
        S: * LIST () "/" INBOX
        stall
        "#,
    )
    .await;

    let error = session.folders().await.unwrap_err();

    assert_eq!(error.to_string(), "no answer within 20ms during LIST");
    assert!(error.is_transient());
}

#[tokio::test]
async fn errors_hold_nothing_of_a_mail_or_an_address() {
    for ending in [
        "S: * 1 FETCH (UID 5 BODY[] canary from anna@canary.example)",
        "S: TAG NO cannot give canary@canary.example that",
        "S: * BYE mailbox of support@example.com or <SUPPORT> is moved, ask anna@canary.example",
    ] {
        for call in CALLS {
            let error = call.fails_with(ending).await;

            let shown = format!("{error} {error:?}").to_lowercase();
            for private in ["canary", "anna", "support", "example.com"] {
                assert!(!shown.contains(private), "{shown}");
            }
        }
    }
}

#[tokio::test]
async fn more_than_was_asked_for_is_refused_when_it_is_announced() {
    // Nothing comes after the announcement, so only the announcement can end it.
    let fetched = |literal: &str| {
        format!("C: P3 UID FETCH 5:6 (UID BODY.PEEK[])\nS: * 1 FETCH (UID 5 BODY[] {literal}\nstall")
    };
    for transcript in [
        fetched("{3900000000}"),
        fetched("{400000000}"),
        fetched("{10000000}\nS: * 1 FETCH (UID 6 BODY[] {10000000}").replace(
            "\nS: * 1 FETCH (UID 6",
            &format!("\nS: {})\nS: * 1 FETCH (UID 6", "x".repeat(10_000_000)),
        ),
    ] {
        let (mut session, _server) = script::inbox(2, &transcript).await;
        let mut folder = session.select("INBOX").await.unwrap();

        let error = folder.fetch(&[listed(5), listed(6)], Extent::Whole).await.unwrap_err();

        assert!(matches!(error, Error::TooMuch { during: "UID FETCH" }), "{error}");
        assert!(error.is_transient() && !error.is_refusal());
    }

    let folder = "C: P2 LIST \"\" \"*\"\nS: * LIST () \"/\" {2000000}\nstall";
    let (mut session, _server) = script::session(folder).await;
    let error = session.folders().await.unwrap_err();
    assert!(matches!(error, Error::TooMuch { during: "LIST" }), "{error}");
}

#[tokio::test]
async fn a_mail_alone_may_be_far_larger_than_the_server_said() {
    let large = "x".repeat(20_000_000);
    let (mut session, server) = script::inbox(
        1,
        &format!(
            "
            C: P3 UID FETCH 5 (UID BODY.PEEK[])
            S: * 1 FETCH (UID 5 BODY[] {{20000000}}
            S: {large})
            S: P3 OK done
            "
        ),
    )
    .await;
    let mut folder = session.select("INBOX").await.unwrap();

    let messages = folder.fetch(&[listed(5)], Extent::Whole).await.unwrap();

    assert_eq!(messages[0].source.len(), 20_000_000);
    server.finished().await;
}

#[tokio::test]
async fn another_uidvalidity_ends_the_session() {
    for told in [
        // In an answer, with it, and before the command that would use a UID.
        "C: P3 UID FETCH 5 (UID)\nS: * OK [UIDVALIDITY 15] new\nS: P3 OK done",
        "C: P3 UID FETCH 5 (UID)\nS: * 1 FETCH (UID 5)\nS: P3 OK [UIDVALIDITY 15] done",
        "S: * OK [UIDVALIDITY 15] new",
    ] {
        let (mut session, server) = script::inbox(1, told).await;

        let error = session.select("INBOX").await.unwrap().present(&five()).await.unwrap_err();

        assert!(matches!(error, Error::Renumbered { during: "UID FETCH" }), "{told}: {error}");
        assert!(error.is_transient() && !error.is_refusal());
        server.finished().await;
    }

    let (mut session, server) =
        script::inbox(1, "S: * OK [UIDVALIDITY 14] as before\nC: P3 UID FETCH 5 (UID)\nS: P3 OK done").await;
    session.select("INBOX").await.unwrap().present(&five()).await.unwrap();
    server.finished().await;
}

#[tokio::test]
async fn logout_ends_whatever_the_server_does() {
    let (session, server) = script::session(
        "
        C: P2 LOGOUT
        S: * BYE so long
        S: P2 OK done
        ",
    )
    .await;
    session.logout().await;
    server.finished().await;

    let (session, _server) = script::session("").await;
    session.logout().await;
}

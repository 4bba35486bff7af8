//! Waits, with servers that tell of mail in time, early, late, never, and in odd ways.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::config;
use crate::mailbox::error::Error;
use crate::mailbox::plan::Plan;
use crate::mailbox::remedy::Remedy;
use crate::mailbox::script;
use crate::mailbox::session::Session;
use crate::message::{Uid, UidSet};

/// Longer than any test: a wait that ends by it has not been ended by what the test is about.
const LONG: Duration = Duration::from_mins(9);

/// Shorter than any: a wait that does not end by it has been ended by something else.
const SHORT: Duration = Duration::from_millis(100);

/// The command by which a session is shown to be in step after a wait.
const NEXT: &str = r#"
    C: P4 LIST "" "*"
    S: * LIST () "/" INBOX
    S: P4 OK done
"#;

/// A session with three messages in the folder that is open.
async fn idle_in(transcript: &str) -> (Session, script::Server) {
    let (mut session, server) = script::inbox(3, transcript).await;
    session.select("INBOX").await.unwrap();
    (session, server)
}

async fn wait(session: &mut Session, limit: Duration) -> Result<(), Error> {
    session.wait(limit, &CancellationToken::new()).await
}

async fn assert_in_step(mut session: Session, server: script::Server) {
    assert_eq!(session.folders().await.unwrap(), ["INBOX"]);
    server.finished().await;
}

#[tokio::test]
async fn mail_ends_a_wait_whenever_it_is_told_of() {
    for told in [
        "S: + IDLE accepted, awaiting DONE command.\nS: * 4 EXISTS",
        "S: + \nS: * 4 EXISTS\nS: * 1 RECENT",
        // Before the server is ready.
        "S: * 4 EXISTS\nS: + idling",
        // Another has gone at the same time, or was never told to have gone.
        "S: + idling\nS: * 1 EXPUNGE\nS: * 3 EXISTS",
        "S: + idling\nS: * 2 EXISTS",
        // Among other news.
        "S: + idling\nS: * OK Still here\nS: * 2 FETCH (FLAGS (\\Seen))\nS: * 4 EXISTS\nS: * 5 EXISTS",
    ] {
        let (mut session, server) =
            idle_in(&format!("C: P3 IDLE\n{told}\nC: DONE\nS: P3 OK IDLE terminated.\n{NEXT}")).await;

        wait(&mut session, LONG).await.unwrap();

        assert_in_step(session, server).await;
    }
}

#[tokio::test]
async fn an_idle_that_the_server_ends_ends_the_wait() {
    for told in ["S: + idling\nS: P3 OK Idle completed.", "S: * 4 EXISTS\nS: P3 OK Idle completed."] {
        let (mut session, server) = idle_in(&format!("C: P3 IDLE\n{told}\n{NEXT}")).await;

        wait(&mut session, LONG).await.unwrap();

        assert!(session.pushes());
        assert_in_step(session, server).await;
    }
}

#[tokio::test]
async fn a_server_that_ends_each_idle_at_once_is_polled() {
    let ended = ["P3", "P4", "P5"]
        .map(|tag| format!("C: {tag} IDLE\nS: + idling\nS: {tag} OK Idle completed.\n"))
        .concat();
    let (mut session, server) = idle_in(&format!("{ended}{}", NEXT.replace("P4", "P6"))).await;

    for _ in 0..3 {
        wait(&mut session, LONG).await.unwrap();
    }

    assert!(!session.pushes());
    assert_in_step(session, server).await;
}

#[tokio::test]
async fn a_wait_ends_by_its_limit_whatever_else_is_told() {
    for told in [
        "",
        "S: * 3 EXISTS",
        "S: * 2 EXPUNGE\nS: * 2 EXISTS",
        "S: * 1 FETCH (FLAGS (\\Seen))",
        "S: * OK Still here\nS: * 0 RECENT\nS: * FLAGS (\\Seen)",
    ] {
        let (mut session, server) =
            idle_in(&format!("C: P3 IDLE\nS: + idling\n{told}\nC: DONE\nS: P3 OK done\n{NEXT}")).await;
        let began = Instant::now();

        wait(&mut session, SHORT).await.unwrap();

        assert!(began.elapsed() >= SHORT, "{told}");
        assert_in_step(session, server).await;
    }
}

#[tokio::test]
async fn a_stop_ends_a_wait_in_step() {
    let (mut session, server) =
        idle_in(&format!("C: P3 IDLE\nS: + idling\nC: DONE\nS: P3 OK done\n{NEXT}")).await;
    let stop = CancellationToken::new();

    let (ended, ()) = tokio::join!(session.wait(LONG, &stop), async { stop.cancel() });

    ended.unwrap();
    // Cancelled before it begins, too.
    session.wait(LONG, &stop).await.unwrap();
    assert_in_step(session, server).await;
}

#[tokio::test]
async fn what_is_told_after_the_listing_began_ends_the_wait_before_it_begins() {
    let listed = "C: P3 UID FETCH 5:* (UID RFC822.SIZE INTERNALDATE)
                  S: * 1 FETCH (UID 5 RFC822.SIZE 7)
                  S: * 2 FETCH (UID 6 RFC822.SIZE 7)
                  S: * 3 FETCH (UID 7 RFC822.SIZE 7)";
    let next = NEXT.replace("P4", "P5");
    for told in [
        // With the listing, with the settling, and after both. The EXPUNGE of what was moved is no news.
        format!("{listed}\nS: * 4 EXISTS\nS: P3 OK done\n@\nS: * 1 EXPUNGE\nS: P4 OK done\n{next}"),
        format!("{listed}\nS: P3 OK done\n@\nS: * 1 EXPUNGE\nS: * 3 EXISTS\nS: P4 OK done\n{next}"),
        format!("{listed}\nS: P3 OK done\n@\nS: * 1 EXPUNGE\nS: P4 OK done\nS: * 3 EXISTS\n{next}"),
    ] {
        let moved = "C: P4 UID MOVE 5 \"Done\"\nS: * OK [COPYUID 14 5 1] moved";
        let (mut session, server) = script::inbox(3, &told.replace('@', moved)).await;
        empty(&mut session).await;

        wait(&mut session, LONG).await.unwrap();

        assert_in_step(session, server).await;
    }
}

#[tokio::test]
async fn what_the_listing_shows_or_our_settling_takes_away_is_no_news() {
    let (mut session, server) = script::inbox(
        3,
        &format!(
            r#"
            S: * 4 EXISTS
            C: P3 UID FETCH 5:* (UID RFC822.SIZE INTERNALDATE)
            S: * 1 FETCH (UID 5 RFC822.SIZE 7)
            S: * 2 FETCH (UID 6 RFC822.SIZE 7)
            S: * 3 FETCH (UID 7 RFC822.SIZE 7)
            S: * 4 FETCH (UID 8 RFC822.SIZE 7)
            S: P3 OK done
            C: P4 UID MOVE 5 "Done"
            S: * OK [COPYUID 14 5 1] moved
            S: * 1 EXPUNGE
            S: * 3 EXISTS
            S: P4 OK done
            C: P5 IDLE
            S: + idling
            C: DONE
            S: P5 OK done
            {}
            "#,
            NEXT.replace("P4", "P6")
        ),
    )
    .await;
    empty(&mut session).await;
    let began = Instant::now();

    wait(&mut session, SHORT).await.unwrap();

    assert!(began.elapsed() >= SHORT);
    assert_in_step(session, server).await;
}

/// Lists the end of the folder and moves the message with UID 5.
async fn empty(session: &mut Session) {
    let five: UidSet = [Uid(5)].into_iter().collect();
    let mut inbox = session.select("INBOX").await.unwrap();
    assert!(inbox.list(Uid(4)).await.unwrap().complete);
    inbox.settle(&Plan::Move { to: "Done".to_owned() }, &five).await.unwrap();
}

#[tokio::test]
async fn opening_a_folder_forgets_the_news_of_the_one_before() {
    let (mut session, server) = script::inbox(
        3,
        &format!(
            r#"
            S: * 7 EXISTS
            C: P3 SELECT "INBOX"
            S: * 7 EXISTS
            S: * OK [UIDVALIDITY 14] UIDs valid
            S: P3 OK done
            C: P4 IDLE
            S: + idling
            S: * 8 EXISTS
            C: DONE
            S: P4 OK done
            {}
            "#,
            NEXT.replace("P4", "P5")
        ),
    )
    .await;
    session.select("INBOX").await.unwrap();
    assert_eq!(session.select("INBOX").await.unwrap().exists(), 7);

    wait(&mut session, LONG).await.unwrap();

    assert_in_step(session, server).await;
}

#[tokio::test]
async fn a_refused_idle_is_not_tried_again() {
    for refusal in [
        "S: P3 NO not now",
        "S: P3 BAD Command Argument Error. 11",
        "S: + idling\nS: P3 NO enough",
        "S: + idling\nS: * 4 EXISTS\nC: DONE\nS: P3 BAD what",
    ] {
        let (mut session, server) = idle_in(&format!("C: P3 IDLE\n{refusal}\n{NEXT}")).await;
        assert!(session.pushes());

        wait(&mut session, LONG).await.unwrap();
        assert!(!session.pushes(), "{refusal}");

        wait(&mut session, SHORT).await.unwrap();
        assert_in_step(session, server).await;
    }
}

#[tokio::test]
async fn without_idle_or_an_open_folder_a_wait_is_a_pause() {
    let (session, server) = script::connect(
        &script::mailbox(),
        &format!(
            r#"
            S: * OK [CAPABILITY IMAP4rev1] ready
            C: P1 LOGIN "support@example.com" "secret"
            S: P1 OK [CAPABILITY IMAP4rev1 MOVE] welcome
            C: P2 SELECT "INBOX"
            S: * 3 EXISTS
            S: * OK [UIDVALIDITY 14] UIDs valid
            S: P2 OK done
            {}
            "#,
            NEXT.replace("P4", "P3")
        ),
    )
    .await;
    let mut without_idle = session.unwrap();
    without_idle.select("INBOX").await.unwrap();
    assert!(!without_idle.pushes());
    let (without_folder, other_server) = script::session(&NEXT.replace("P4", "P2")).await;
    assert!(without_folder.pushes());

    for (mut session, server) in [(without_idle, server), (without_folder, other_server)] {
        let began = Instant::now();
        wait(&mut session, SHORT).await.unwrap();
        assert!(began.elapsed() >= SHORT);

        let stop = CancellationToken::new();
        let (ended, ()) = tokio::join!(session.wait(LONG, &stop), async { stop.cancel() });
        ended.unwrap();
        assert_in_step(session, server).await;
    }
}

#[tokio::test]
async fn what_ends_the_session_ends_the_wait_with_its_remedy() {
    let pause = Remedy::BackOff(Duration::from_millis(299_961));
    let throttled = "Request is throttled. Suggested Backoff Time: 299961 milliseconds";
    for (ending, remedy, kind) in [
        ("S: * BYE Session invalidated - AccessTokenExpired\nstall".to_owned(), Remedy::Refresh, "expired"),
        (format!("S: * BYE {throttled}\nstall"), pause, "throttled"),
        (format!("S: P3 NO {throttled}\nS: * BYE Connection closed. 14"), pause, "throttled"),
        ("S: P3 BAD User is authenticated but not connected.".to_owned(), Remedy::Configuration, "login"),
        ("S: * BYE Connection is closed. 13".to_owned(), Remedy::Retry, "closed"),
        (String::new(), Remedy::Retry, "closed"),
        ("S: * OK [UIDVALIDITY 15] new".to_owned(), Remedy::Retry, "unreadable"),
        ("S: P99 OK somebody else's".to_owned(), Remedy::Retry, "unreadable"),
        ("S: * 5 NONSENSE ((".to_owned(), Remedy::Retry, "unreadable"),
    ] {
        for begun in ["", "S: + idling\n"] {
            let (mut session, _server) = idle_in(&format!("C: P3 IDLE\n{begun}{ending}")).await;

            let error = wait(&mut session, LONG).await.unwrap_err();

            assert_eq!((error.remedy(), error.kind()), (remedy, kind), "{begun}{ending}: {error}");
            assert!(!error.is_refusal(), "{error}");
        }
        // Between two commands.
        if !ending.starts_with("S: P3") {
            let (mut session, server) = idle_in(&ending).await;
            if !ending.contains("stall") {
                server.finished().await;
            }

            let error = wait(&mut session, LONG).await.unwrap_err();

            assert_eq!((error.remedy(), error.kind()), (remedy, kind), "{ending}: {error}");
        }
    }

    let (mut session, _server) = idle_in("C: P3 IDLE\nS: + idling\nS: + idling still").await;
    let error = wait(&mut session, LONG).await.unwrap_err();
    assert!(matches!(error, Error::Unreadable { during: "IDLE" }), "{error}");
}

#[tokio::test]
async fn a_server_that_does_not_begin_or_end_an_idle_is_given_up() {
    let config = config::Mailbox { command_timeout: Duration::from_millis(50), ..script::mailbox() };
    for transcript in [
        "C: P3 IDLE\nstall",
        "C: P3 IDLE\nS: * 4 EXISTS\nstall",
        "C: P3 IDLE\nS: + idling\nS: * 4 EXISTS\nC: DONE\nstall",
        "C: P3 IDLE\nS: + idling\nS: * 4 EXISTS\nC: DONE\nS: * 5 EXISTS\nstall",
    ] {
        let (mut session, _server) = script::inbox_of(&config, 3, transcript).await;
        session.select("INBOX").await.unwrap();

        let error = wait(&mut session, LONG).await.unwrap_err();

        assert_eq!(error.to_string(), "no answer within 50ms during IDLE");
    }
}

//! Servers that refuse, break off or fall silent, at every command.

use super::outlook::Outlook;
use crate::support::{LIMIT, MOVE, start};
use devstack::Signal;
use devstack::exchange::{Habits, Reaction};

/// Every command of a cycle, by what is only in its line.
const COMMANDS: [&str; 8] =
    ["CAPABILITY", "LOGIN", "LIST", "CREATE", "SELECT", "RFC822.SIZE", "BODY.PEEK[]", "UID MOVE"];

/// And those that come when there is no MOVE.
const COPYING: [&str; 4] = ["UID COPY", "UID STORE", "UID EXPUNGE", "(UID)"];

/// How often a message's pauses may have to pass until it is settled.
const MAX_PAUSES: usize = 5;

fn reactions() -> Vec<Reaction> {
    vec![
        Reaction::no("Server Unavailable. 15"),
        Reaction::bad("User is authenticated but not connected."),
        Reaction::throttle(299_961),
        Reaction::Close(""),
        Reaction::Close("Session invalidated - AccessTokenExpired"),
        Reaction::Cut(0),
        Reaction::Cut(30),
    ]
}

/// Reacts to the commands with `part` in their line, one reaction after the other, and then obeys.
fn react_in_turn(outlook: &Outlook, part: &'static str) {
    let mut reactions = reactions().into_iter();
    outlook.exchange.script(move |command, _| command.line().contains(part).then(|| reactions.next())?);
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_breaks_and_whenever_nothing_is_lost_or_doubled() {
    let mut outlook = Outlook::new().await;
    for command in COMMANDS {
        outlook.deliver(3);
        if command == "CREATE" {
            outlook.exchange.change(|mailbox| mailbox.delete("Processed"));
        }
        let processed = outlook.exchange.count("Processed");
        react_in_turn(&outlook, command);

        let mut pauses = 0;
        while outlook.exchange.count("INBOX") > 0 {
            outlook.empty_later().await;
            outlook.assert_promise().await;
            pauses += 1;
            assert!(pauses < MAX_PAUSES, "{command}");
        }

        assert_eq!(outlook.exchange.count("Processed"), processed + 3, "{command}");
        outlook.exchange.behave();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_falls_silent_is_given_up_and_nothing_is_lost() {
    let mut outlook = Outlook::impatient().await;
    for command in ["LOGIN", "RFC822.SIZE", "BODY.PEEK[]", "UID MOVE"] {
        outlook.deliver(3);
        outlook.exchange.once(command, Reaction::Silence);

        assert!(!outlook.empty().await.is_empty(), "{command}");
        outlook.empty_later().await;

        outlook.assert_emptied().await;
        outlook.exchange.behave();
    }
    assert_eq!(outlook.exchange.count("Processed"), 12);
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_breaks_without_move_nothing_is_lost_and_no_copies_pile_up() {
    let mut outlook = Outlook::with(Habits::default().without(&["MOVE"]), MOVE, "").await;
    for command in COPYING {
        for reaction in [reactions().remove(0), Reaction::throttle(1_000), Reaction::Cut(0)] {
            outlook.deliver(3);
            let processed = outlook.exchange.count("Processed");
            outlook.exchange.once(command, reaction.clone());

            outlook.empty().await;
            outlook.empty_later().await;

            outlook.assert_promise().await;
            assert_eq!(outlook.exchange.count("INBOX"), 0, "{command}: {reaction:?}");
            let copies = outlook.exchange.count("Processed") - processed;
            assert!((3..=6).contains(&copies), "{command}: {reaction:?}: {copies} copies");
            outlook.exchange.behave();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_ends_anywhere_in_a_mail_is_no_mail() {
    let mut outlook = Outlook::new().await;
    outlook.deliver(4);
    for length in [1, 28, 29, 150, 500] {
        outlook.exchange.once("BODY.PEEK[]", Reaction::Cut(length));
        assert!(outlook.intake.cycle().await.is_err(), "{length}");
        let stored = outlook.database.value("SELECT count(*)::text FROM messages").await.unwrap();
        assert_eq!(stored, "0", "{length}");
        // Breaking off is the server's fault here, and not a message's.
        outlook.database.rows("UPDATE ledger SET attempts = 0").await.unwrap();
    }
    outlook.exchange.behave();

    outlook.empty().await;

    outlook.assert_emptied().await;
    assert_eq!(outlook.exchange.count("Processed"), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_worker_goes_on_after_every_break_with_one_connection_at_a_time() {
    let mut outlook = Outlook::new().await;
    outlook.intake.store.release_lease(&outlook.intake.lease).await.unwrap();
    outlook.exchange.once("SELECT", Reaction::throttle(1_000));
    outlook.exchange.once("UID MOVE", Reaction::Close("Session invalidated - AccessTokenExpired"));
    outlook.deliver(5);
    let mut worker = start(&outlook.config_file(), &["run"]);
    outlook.exchange.wait_for_count("Processed", 5, LIMIT).await.unwrap();

    // In the session that goes on, too.
    outlook.exchange.once("UID MOVE", Reaction::Deny("NO Server Unavailable. 15".to_owned()));
    outlook.exchange.change(|mailbox| mailbox.delete("Processed"));
    outlook.deliver(5);
    outlook.exchange.wait_for_count("Processed", 5, LIMIT).await.unwrap();
    worker.signal(Signal::TERM).unwrap();
    assert!(worker.wait(LIMIT).await.unwrap().success());

    outlook.assert_promise().await;
    assert_eq!(outlook.exchange.count("INBOX"), 0);
    assert_eq!(outlook.exchange.most_open(), 1);
}

//! UIDs that come to mean other messages.

use super::outlook::Outlook;
use crate::support::{MOVE, mail};
use devstack::exchange::{Habits, Mailbox, Reaction};

const KEEP: &str = r#"{ kind = "keep" }"#;

/// Another mail comes first, and every UID means the message before.
fn shift(mailbox: &mut Mailbox, source: &[u8]) {
    let inbox = mailbox.folder("INBOX").unwrap();
    inbox.deliver(source);
    inbox.messages.rotate_right(1);
    mailbox.renumber("INBOX").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn between_sessions_they_do_no_harm() {
    let mut outlook = Outlook::new().await;
    for round in 0..3 {
        outlook.deliver(4);
        // Stored, but not moved under the former UIDs.
        outlook.exchange.once("UID MOVE", Reaction::Close(""));
        assert!(outlook.intake.cycle().await.is_err());
        let other = mail(&format!("other{round}"), "");
        outlook.exchange.change(|mailbox| shift(mailbox, &other));
        outlook.expect(other);

        assert_eq!(outlook.empty().await.len(), 0);
        outlook.assert_emptied().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_in_the_middle_of_a_session_ends_it() {
    let mut outlook = Outlook::new().await;
    for when in ["RFC822.SIZE", "BODY.PEEK[]", "UID MOVE"] {
        outlook.deliver(5);
        let other = mail(&format!("other-{}", when.len()), "");
        let unstored = other.clone();
        let mut changed = false;
        // The answer is about the UIDs that are new, and only its end says so.
        outlook.exchange.script(move |command, mailbox| {
            if changed || !command.line().contains(when) {
                return None;
            }
            changed = true;
            shift(mailbox, &unstored);
            (command.name == "UID MOVE").then(Reaction::pretend)
        });
        outlook.expect(other);

        let failures = outlook.empty().await;

        assert_eq!(failures.len(), 1, "{when}: {failures:?}");
        outlook.assert_emptied().await;
        outlook.exchange.behave();
    }
    assert_eq!(outlook.exchange.count("Processed"), 18);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_is_told_between_two_commands_comes_in_time() {
    let mut outlook = Outlook::new().await;
    outlook.deliver(5);
    outlook.exchange.once("BODY.PEEK[]", Reaction::push(&["* OK [UIDVALIDITY 99] UIDVALIDITY value"]));

    let failures = outlook.empty().await;

    assert_eq!(failures.len(), 1, "{failures:?}");
    outlook.assert_emptied().await;
    let commands = outlook.exchange.commands();
    let mut named = commands.iter().filter(|command| ["SELECT", "UID MOVE"].contains(&command.name.as_str()));
    let named: Vec<&str> = named.by_ref().map(|command| command.name.as_str()).collect();
    assert_eq!(named, ["SELECT", "SELECT", "UID MOVE"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn numbering_that_starts_anew_with_every_empty_inbox_loses_nothing() {
    let mut outlook =
        Outlook::with(Habits { renumbers_when_empty: true, ..Habits::default() }, MOVE, "").await;
    for count in [5, 1, 3, 5] {
        outlook.deliver(count);
        outlook.empty().await;
        outlook.assert_emptied().await;
    }
    assert_eq!(outlook.exchange.count("Processed"), 14);
}

#[tokio::test(flavor = "multi_thread")]
async fn kept_mail_is_known_again_under_every_numbering() {
    let mut outlook = Outlook::with(Habits::default(), KEEP, "").await;
    for _ in 0..3 {
        outlook.deliver(3);
        assert_eq!(outlook.empty().await.len(), 0);
        outlook.exchange.change(|mailbox| mailbox.renumber("INBOX").unwrap());
    }
    assert_eq!(outlook.empty().await.len(), 0);

    outlook.assert_promise().await;
    assert_eq!(outlook.exchange.count("INBOX"), 9);
}

#[tokio::test(flavor = "multi_thread")]
async fn uids_that_begin_anew_under_the_same_uidvalidity_are_looked_at_again() {
    let mut outlook = Outlook::new().await;
    outlook.deliver(3);
    outlook.empty().await;
    outlook.exchange.change(|mailbox| mailbox.folder("INBOX").unwrap().uidnext = 1);
    outlook.deliver(2);

    outlook.empty_later().await;

    outlook.assert_emptied().await;
}

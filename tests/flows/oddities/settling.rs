//! What is odd about taking stored mail out of the inbox.

use super::outlook::Outlook;
use crate::support::MOVE;
use devstack::exchange::{CopyUid, Habits, Message, Reaction};

const EXPUNGE: &str = r#"{ kind = "expunge" }"#;

#[tokio::test(flavor = "multi_thread")]
async fn whether_and_where_copyuid_comes_makes_no_difference() {
    let mut outlook = Outlook::new().await;
    for without in [&[][..], &["MOVE"]] {
        for copyuid in [CopyUid::Untagged, CopyUid::Tagged, CopyUid::Absent] {
            outlook.exchange.adopt(Habits { copyuid, ..Habits::default().without(without) });
            outlook.deliver(7);

            assert_eq!(outlook.empty().await.len(), 0, "{without:?} {copyuid:?}");

            outlook.assert_emptied().await;
        }
    }
    assert_eq!(outlook.exchange.count("Processed"), 42);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_that_does_half_and_fails_is_finished_later() {
    let mut outlook = Outlook::new().await;
    outlook.deliver(8);
    let mut failures = 0;
    outlook.exchange.script(move |command, mailbox| {
        failures += usize::from(command.name == "UID MOVE");
        (command.name == "UID MOVE" && failures <= 3).then(|| {
            let inbox = mailbox.folder("INBOX").unwrap().uids();
            let named = command.uids_among(&inbox);
            mailbox.relocate(&named[..named.len() / 2], "INBOX", "Processed").unwrap();
            Reaction::no("Server Unavailable. 15")
        })
    });

    outlook.empty().await;
    outlook.empty_later().await;

    outlook.assert_emptied().await;
    assert_eq!(outlook.exchange.count("Processed"), 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_that_is_done_and_denied_is_not_done_again() {
    let mut outlook = Outlook::new().await;
    outlook.deliver(6);
    outlook.exchange.once("UID MOVE", Reaction::Deny("NO Server Unavailable. 15".to_owned()));

    outlook.empty().await;

    outlook.assert_emptied().await;
    let moves = outlook.exchange.commands().iter().filter(|command| command.name == "UID MOVE").count();
    assert_eq!(moves, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_that_is_said_to_be_done_and_is_not_leaves_the_mail() {
    let mut outlook = Outlook::new().await;
    outlook.deliver(6);
    outlook.exchange.once("UID MOVE", Reaction::pretend());

    outlook.empty().await;
    assert_eq!((outlook.exchange.count("INBOX"), outlook.exchange.count("Processed")), (6, 0));
    outlook.assert_promise().await;
    outlook.empty_later().await;

    outlook.assert_emptied().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_is_said_to_be_done_into_a_folder_that_is_missing_deletes_nothing() {
    let mut outlook = Outlook::with(Habits::default().without(&["MOVE"]), MOVE, "").await;
    outlook.deliver(6);
    let mut copies = 0;
    outlook.exchange.script(move |command, mailbox| {
        copies += usize::from(command.name == "UID COPY");
        (command.name == "UID COPY" && copies == 1).then(|| {
            mailbox.delete("Processed");
            Reaction::pretend()
        })
    });

    outlook.empty().await;

    outlook.assert_emptied().await;
    assert_eq!(outlook.exchange.count("Processed"), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_that_can_be_copied_and_not_removed_is_copied_once() {
    let mut outlook = Outlook::with(Habits::default().without(&["MOVE"]), MOVE, "").await;
    outlook.deliver(6);
    // For two cycles, and for each half and quarter that is tried in them.
    outlook.exchange.always("UID STORE", Reaction::no("Server Unavailable. 15"));
    outlook.empty().await;
    outlook.empty_later().await;
    assert_eq!((outlook.exchange.count("INBOX"), outlook.exchange.count("Processed")), (6, 6));

    outlook.exchange.behave();
    outlook.empty_later().await;

    outlook.assert_emptied().await;
    assert_eq!(outlook.exchange.count("Processed"), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_command_has_copied_is_not_copied_again_when_the_next_is_refused() {
    let mut outlook = Outlook::with(Habits::default().without(&["MOVE"]), MOVE, "").await;
    // So scattered that their UIDs do not fit one command.
    for number in 0..200 {
        outlook.exchange.change(|mailbox| mailbox.folder("INBOX").unwrap().uidnext = 1_000_000 + number * 10);
        outlook.deliver(1);
    }
    outlook.exchange.nth(2, "UID COPY", Reaction::no("Server Unavailable. 15"));

    outlook.empty().await;
    outlook.empty_later().await;

    assert_eq!((outlook.exchange.count("INBOX"), outlook.exchange.count("Processed")), (0, 200));
    let stored = "SELECT count(*)::text FROM messages";
    assert_eq!(outlook.database.value(stored).await.unwrap(), "200");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_folder_that_is_deleted_meanwhile_is_made_again() {
    let mut outlook = Outlook::new().await;
    for without in [&[][..], &["MOVE"]] {
        // Refused, or said to be done.
        for reaction in [None, Some(Reaction::pretend())] {
            outlook.exchange.adopt(Habits::default().without(without));
            outlook.deliver(6);
            let mut deleted = false;
            let pretended = reaction.clone();
            outlook.exchange.script(move |command, mailbox| {
                let is_transfer = ["UID MOVE", "UID COPY"].contains(&command.name.as_str());
                (is_transfer && !std::mem::replace(&mut deleted, true))
                    .then(|| mailbox.delete("Processed"))
                    .and(pretended.clone())
            });

            assert_eq!(outlook.empty().await.len(), 0, "{without:?} {reaction:?}");

            outlook.assert_promise().await;
            let places = ["INBOX", "Processed"].map(|folder| outlook.exchange.count(folder));
            assert_eq!(places, [0, 6], "{without:?} {reaction:?}");
            outlook.exchange.behave();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stored_mail_that_is_gone_before_it_is_moved_counts_as_settled() {
    let mut outlook = Outlook::new().await;
    let uids = outlook.deliver(6);
    let taken = uids[1..3].to_vec();
    let mut come = false;
    outlook.exchange.script(move |command, mailbox| {
        if command.name == "UID MOVE" && !std::mem::replace(&mut come, true) {
            mailbox.folder("INBOX").unwrap().remove(&taken);
        }
        None
    });

    assert_eq!(outlook.empty().await.len(), 0);

    outlook.assert_promise().await;
    assert_eq!((outlook.exchange.count("INBOX"), outlook.exchange.count("Processed")), (0, 4));
    let settled = "SELECT count(*)::text FROM ledger WHERE state = 'settled'";
    assert_eq!(outlook.database.value(settled).await.unwrap(), "6");
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_that_others_flagged_deleted_is_not_expunged_with_ours() {
    for (settle, habits) in [(EXPUNGE, Habits::default()), (MOVE, Habits::default().without(&["MOVE"]))] {
        let mut outlook = Outlook::with(habits, settle, "").await;
        outlook.deliver(6);
        // It comes, flagged, when we have flagged ours and have not expunged them yet.
        let late = b"Message-ID: <late@example.com>\r\nFrom: ann@example.com\r\n\r\nNo, wait.\r\n";
        let mut come = false;
        outlook.exchange.script(move |command, mailbox| {
            if command.name == "UID EXPUNGE" && !std::mem::replace(&mut come, true) {
                let inbox = mailbox.folder("INBOX").unwrap();
                let uid = inbox.deliver(late);
                inbox.message(uid).unwrap().flags.insert("\\Deleted".to_owned());
            }
            None
        });
        outlook.expect(late.to_vec());

        assert_eq!(outlook.empty().await.len(), 0);

        let left = outlook.exchange.messages("INBOX");
        assert_eq!(left.len(), 1);
        assert!(left[0].is_deleted() && left[0].source == late);

        assert_eq!(outlook.empty().await.len(), 0);
        outlook.assert_promise().await;
        assert_eq!(outlook.exchange.count("INBOX"), 0, "stored, it is ours to settle");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_uidplus_nothing_is_ever_expunged() {
    for (settle, processed) in [(EXPUNGE, 0), (MOVE, 6)] {
        let habits = Habits { copyuid: CopyUid::Absent, ..Habits::default().without(&["MOVE", "UIDPLUS"]) };
        let mut outlook = Outlook::with(habits, settle, "").await;
        outlook.deliver(6);

        for _ in 0..3 {
            assert_eq!(outlook.empty_later().await.len(), 0);
        }

        outlook.assert_promise().await;
        assert_eq!((outlook.exchange.count("INBOX"), outlook.exchange.count("Processed")), (6, processed));
        assert!(outlook.exchange.messages("INBOX").iter().all(Message::is_deleted));
        assert!(outlook.exchange.commands().iter().all(|command| !command.name.contains("EXPUNGE")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn creating_a_folder_that_is_there_may_end_the_session() {
    let mut outlook = Outlook::new().await;
    outlook.exchange.change(|mailbox| mailbox.create("Processed"));
    outlook.deliver(3);
    // Not listed at this moment.
    outlook.exchange.once("LIST", Reaction::pretend());
    outlook.exchange.once("CREATE", Reaction::Close("Connection is closed. 13"));

    assert_eq!(outlook.empty().await.len(), 1);

    outlook.assert_emptied().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_below_the_inbox_are_used_by_their_whole_names() {
    let habits = Habits { prefix: "INBOX.", delimiter: '.', ..Habits::default() };
    let settle = r#"{ kind = "move", to = "INBOX.Processed" }"#;
    let mut outlook = Outlook::with(habits.clone(), settle, "").await;
    outlook.deliver(5);
    assert_eq!(outlook.empty().await.len(), 0);
    outlook.assert_promise().await;
    assert_eq!((outlook.exchange.count("INBOX"), outlook.exchange.count("INBOX.Processed")), (0, 5));

    // Under a name that the server takes for nothing, all stays where it is.
    let mut outlook = Outlook::with(habits, MOVE, "").await;
    outlook.deliver(5);
    for _ in 0..2 {
        assert!(outlook.intake.cycle().await.is_err());
    }
    assert_eq!(outlook.exchange.count("INBOX"), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_says_of_logins_after_the_login_does_not_matter() {
    let mut habits = Habits::default();
    habits.after_login.push("LOGINDISABLED");
    let mut outlook = Outlook::with(habits, MOVE, "").await;
    outlook.deliver(3);

    assert_eq!(outlook.empty().await.len(), 0);

    outlook.assert_emptied().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_moves_nothing_is_not_asked_without_end() {
    let mut outlook = Outlook::new().await;
    outlook.deliver(6);
    outlook.exchange.always("UID MOVE", Reaction::no("Server Unavailable. 15"));
    let asked = |outlook: &Outlook| {
        outlook.exchange.commands().iter().filter(|command| command.name == "UID MOVE").count()
    };

    assert!(outlook.intake.cycle().await.is_err());
    let first = asked(&outlook);
    for _ in 0..3 {
        outlook.intake.cycle().await.unwrap();
    }

    assert_eq!(asked(&outlook), first, "after a refusal there is a pause");
    outlook.exchange.behave();
    outlook.empty_later().await;
    outlook.assert_emptied().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_that_seemed_settled_is_settled_after_all() {
    let mut outlook = Outlook::new().await;
    outlook.deliver(6);
    // The move is refused, and the look at what it did finds nothing there.
    outlook.exchange.once("UID MOVE", Reaction::no("Server Unavailable. 15"));
    outlook.exchange.once("(UID)", Reaction::pretend());

    assert_eq!(outlook.empty().await.len(), 1);
    outlook.empty_later().await;

    outlook.assert_emptied().await;
}

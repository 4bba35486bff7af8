//! What is odd about the list of messages.

use super::outlook::Outlook;
use crate::support::{MOVE, mail};
use devstack::exchange::{Body, Habits, Reaction};

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_cannot_be_listed_stops_nothing() {
    let mut outlook = Outlook::new().await;
    let uids = outlook.deliver(40);
    // The parser panics on the first, and refuses the others.
    for (uid, date) in
        [(uids[3], "NIL"), (uids[17], "\"05-Jan"), (uids[39], "\"yesterday\" RFC822.SIZE none")]
    {
        outlook.change(uid, |message| message.date = date.to_owned());
    }

    assert_eq!(outlook.empty().await.len(), 0);

    outlook.assert_emptied().await;
    assert_eq!(outlook.exchange.count("Processed"), 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_left_out_of_the_list_is_found() {
    let mut outlook = Outlook::new().await;
    let uids = outlook.deliver(12);
    for uid in [uids[0], uids[7]] {
        outlook.change(uid, |message| message.is_unlisted = true);
    }

    assert_eq!(outlook.empty().await.len(), 0);

    outlook.assert_emptied().await;
    assert_eq!(outlook.exchange.count("Processed"), 12);
}

#[tokio::test(flavor = "multi_thread")]
async fn news_in_every_answer_changes_nothing() {
    let mut outlook = Outlook::new().await;
    outlook.deliver(12);
    outlook.exchange.always(
        "UID ",
        Reaction::chatter(&[
            "* 14 EXISTS",
            "* 2 RECENT",
            "* 13 EXPUNGE",
            r"* 3 FETCH (FLAGS (\Seen))",
            r"* 4 FETCH (UID 4 FLAGS (\Seen))",
            "* OK Still here",
        ]),
    );

    assert_eq!(outlook.empty().await.len(), 0);

    outlook.assert_emptied().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_tell_uidnext_is_emptied() {
    let mut outlook = Outlook::with(Habits { uidnext: false, ..Habits::default() }, MOVE, "").await;
    for count in [0, 9, 4] {
        outlook.deliver(count);
        assert_eq!(outlook.empty().await.len(), 0);
    }

    outlook.assert_emptied().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sizes_that_are_wrong_lose_nothing() {
    let mut outlook = Outlook::new().await;
    let uids = outlook.deliver(9);
    let mut large = mail("large", "");
    large.extend("A long line of nothing much.\n".repeat(50_000).into_bytes());
    let large = outlook.deliver_one(&large);
    for (uid, size) in [(uids[1], 0), (uids[4], 1), (uids[7], 140 << 20), (large, 0)] {
        outlook.change(uid, |message| message.size = size);
    }

    assert_eq!(outlook.empty().await.len(), 0);

    outlook.assert_emptied().await;
    assert_eq!(outlook.exchange.count("Processed"), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_huge_mail_that_is_said_to_be_empty_is_taken_alone() {
    let mut outlook = Outlook::new().await;
    outlook.deliver(6);
    let mut huge = mail("huge", "Content-Type: application/octet-stream\n");
    huge.extend("x".repeat(17_500_000).into_bytes());
    let huge = outlook.deliver_one(&huge);
    outlook.change(huge, |message| message.size = 0);

    let failures = outlook.empty().await;

    assert!(!failures.is_empty(), "it is too much for a batch of empty mails");
    outlook.assert_emptied().await;
    assert_eq!(outlook.exchange.count("Processed"), 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_said_to_be_larger_than_we_take_is_held() {
    let mut outlook = Outlook::new().await;
    let uids = outlook.deliver(3);
    outlook.change(uids[1], |message| message.size = 4_000_000_000);

    assert_eq!(outlook.empty().await.len(), 0);

    outlook.assert_emptied().await;
    let held = outlook.held().await;
    assert_eq!(held.into_iter().collect::<Vec<_>>(), [(uids[1], "larger than max_message_bytes".to_owned())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_that_comes_while_the_folder_is_emptied_is_emptied_too() {
    let mut outlook = Outlook::new().await;
    outlook.deliver(5);
    let late = b"Message-ID: <late@example.com>\r\nFrom: ann@example.com\r\n\r\nHurry!\r\n";
    let mut come = false;
    outlook.exchange.script(move |command, mailbox| {
        if command.name == "UID MOVE" && !std::mem::replace(&mut come, true) {
            mailbox.folder("INBOX").unwrap().deliver(late);
        }
        None
    });
    outlook.expect(late.to_vec());

    assert_eq!(outlook.empty().await.len(), 0);
    assert_eq!(outlook.exchange.count("INBOX"), 1, "what is not stored is not moved");
    assert_eq!(outlook.empty().await.len(), 0);

    outlook.assert_emptied().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_that_seemed_gone_is_taken_in_after_all() {
    let mut outlook = Outlook::new().await;
    let uids = outlook.deliver(6);
    outlook.change(uids[2], |message| message.body = Body::LeftOut);
    // Not even the look whether it is there finds it.
    outlook.exchange.once("(UID)", Reaction::pretend());
    outlook.empty().await;
    let gone = "SELECT count(*)::text FROM ledger WHERE state = 'gone'";
    assert_eq!(outlook.database.value(gone).await.unwrap(), "1");

    outlook.change(uids[2], |message| message.body = Body::Source);
    outlook.empty_later().await;

    outlook.assert_emptied().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_that_was_left_out_of_the_list_above_the_watermark_is_found() {
    for settle in [MOVE, r#"{ kind = "keep" }"#] {
        let mut outlook = Outlook::with(Habits::default(), settle, "").await;
        outlook.deliver(3);
        outlook.empty().await;
        let uids = outlook.deliver(3);
        outlook.change(uids[1], |message| message.is_unlisted = true);
        outlook.empty().await;

        outlook.change(uids[1], |message| message.is_unlisted = false);
        outlook.empty_later().await;

        outlook.assert_promise().await;
    }
}

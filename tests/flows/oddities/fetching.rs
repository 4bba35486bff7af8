//! What is odd about the messages themselves.

use super::outlook::Outlook;
use crate::support::{MOVE, mail};
use devstack::exchange::{Body, Habits};

const NOT_GIVEN: &str = "the server does not give it";
const BROKE: &str = "the connection broke when it was fetched";

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_in_place_of_a_mail_is_held_until_the_mail_comes() {
    // What does not come is waited for.
    let mut outlook = Outlook::impatient().await;
    for (body, reason) in [
        (Body::LeftOut, NOT_GIVEN),
        (Body::Nil, NOT_GIVEN),
        (Body::Empty, NOT_GIVEN),
        (Body::Notice, NOT_GIVEN),
        // Shorter and longer than announced, and 3.9 GB of which nobody has the memory.
        (Body::Announced(60), BROKE),
        (Body::Announced(20_000), BROKE),
        (Body::Announced(3_900_000_000), BROKE),
    ] {
        let uids = outlook.deliver(12);
        outlook.change(uids[5], |message| message.body = body);

        outlook.empty().await;

        outlook.assert_emptied().await;
        let held: Vec<_> = outlook.held().await.into_iter().collect();
        assert_eq!(held, [(uids[5], reason.to_owned())], "{body:?}");

        outlook.change(uids[5], |message| message.body = Body::Source);
        outlook.empty_later().await;

        outlook.assert_emptied().await;
        assert_eq!(outlook.exchange.count("INBOX"), 0, "{body:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_is_left_out_once_is_asked_for_again() {
    let mut outlook = Outlook::new().await;
    let uids = outlook.deliver(6);
    for uid in [uids[0], uids[5]] {
        outlook.change(uid, |message| message.body = Body::LeftOutOnce);
    }

    assert_eq!(outlook.empty().await.len(), 0);

    outlook.assert_emptied().await;
    assert_eq!(outlook.exchange.count("Processed"), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_faults_in_one_folder_delay_none_of_the_rest() {
    let mut outlook = Outlook::new().await;
    let uids = outlook.deliver(60);
    for (at, body) in [
        (2, Body::Notice),
        (9, Body::Announced(3_900_000_000)),
        (21, Body::LeftOut),
        (22, Body::Nil),
        (40, Body::Announced(50)),
        (59, Body::LeftOut),
    ] {
        outlook.change(uids[at], |message| message.body = body);
    }

    outlook.empty().await;

    outlook.assert_emptied().await;
    assert_eq!(outlook.held().await.len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn line_ends_are_stored_as_they_came() {
    let mut outlook = Outlook::new().await;
    outlook.deliver_as_it_is(mail("bare", "X-Odd: 1\n"));
    outlook.deliver_as_it_is(
        b"Message-ID: <mixed@example.com>\r\nFrom: a@example.com\n\r\n\rone\n\r\ntwo".to_vec(),
    );
    outlook.deliver(2);

    assert_eq!(outlook.empty().await.len(), 0);

    outlook.assert_emptied().await;
    assert_eq!(outlook.exchange.count("Processed"), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_another_client_takes_away_is_no_trouble() {
    let mut outlook = Outlook::with(Habits::default(), MOVE, "[intake]\nbatch_messages = 4").await;
    outlook.deliver(9);
    outlook.exchange.deliver(&mail("taken", "")).unwrap();
    let mut taken = false;
    outlook.exchange.script(move |command, mailbox| {
        if command.line().contains("BODY.PEEK[]") && !std::mem::replace(&mut taken, true) {
            mailbox.folder("INBOX").unwrap().remove(&[10]);
        }
        None
    });

    assert_eq!(outlook.empty().await.len(), 0);

    outlook.assert_emptied().await;
    let gone = "SELECT count(*)::text FROM ledger WHERE state = 'gone'";
    assert_eq!(outlook.database.value(gone).await.unwrap(), "1");
}

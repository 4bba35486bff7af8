//! Tickets that are merged, and messages that are split off.

use crate::support::{Intake, MOVE, Site, mail, run, start, wait_for_rows};
use rustix::process::Signal;
use serde_json::{Value, json};

fn reply(id: &str, to: &str) -> Vec<u8> {
    mail(id, &format!("In-Reply-To: <{to}@example.com>\n"))
}

async fn taken_in(site: &Site, intake: &Intake, mails: &[Vec<u8>]) {
    site.account.deliver_many(mails).unwrap();
    intake.cycle().await.unwrap();
}

/// Number of the ticket, sequence and Message-ID of each message.
async fn places(site: &Site) -> Vec<String> {
    let rows = site.database.rows(
        "SELECT t.number || '/' || m.sequence || ' ' || split_part(m.message_id, '@', 1)
         FROM messages m JOIN tickets t ON t.id = m.ticket_id ORDER BY t.number, m.sequence",
    );
    rows.await.unwrap().concat()
}

async fn event(site: &Site, kind: &str) -> Value {
    let body = format!("SELECT body FROM deliveries WHERE event_type = '{kind}' ORDER BY id DESC LIMIT 1");
    serde_json::from_str(&site.database.value(&body).await.unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merged_ticket_leaves_its_messages_its_replies_and_its_deliveries_to_the_other() {
    let site = Site::new().await;
    let intake = Intake::of(&site).await;
    let config = site.config_file(MOVE, "");
    taken_in(&site, &intake, &[mail("a", ""), reply("a2", "a"), mail("b", ""), reply("b2", "b")]).await;

    let (code, output, complaints) = run(&config, &["tickets", "merge", "2", "1"]).await;

    assert_eq!(code, Some(0), "{complaints}");
    assert_eq!(output, "Ticket 2 is merged into ticket 1: 2 messages went over\n");
    taken_in(&site, &intake, &[reply("b3", "b2"), reply("a3", "a")]).await;
    assert_eq!(places(&site).await, ["1/1 a", "1/2 a2", "1/3 b", "1/4 b2", "1/5 b3", "1/6 a3"]);
    let told = event(&site, "ticket.merged").await;
    assert_eq!(told["data"]["ticket"]["number"], 1);
    assert_eq!(told["data"]["merged_ticket"]["number"], 2);
    assert_eq!((&told["data"]["sequence_offset"], &told["data"]["sequence"]), (&json!(2), &json!(4)));
    let order =
        "SELECT string_agg(event_type || ' ' || coalesce(sequence, 0), ', ' ORDER BY id) FROM deliveries
                 WHERE ticket_id = (SELECT id FROM tickets WHERE number = 1)";
    assert_eq!(
        site.database.value(order).await.unwrap(),
        "ticket.created 1, ticket.message.received 2, ticket.created 1, ticket.message.received 2, ticket.merged 4, \
         ticket.message.received 5, ticket.message.received 6",
        "all of both go out in one order"
    );

    let (code, output, _) = run(&config, &["tickets", "merge", "2", "1"]).await;
    assert_eq!((code, output.as_str()), (Some(0), "Ticket 2 was merged into ticket 1 before\n"));
    assert_eq!(site.number("SELECT count(*) FROM deliveries WHERE event_type = 'ticket.merged'").await, 1);
    let (_, shown, _) = run(&config, &["tickets", "show", "2"]).await;
    assert!(shown.contains("closed") && shown.contains("Merged into ticket 1"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_of_merges_leads_to_its_end() {
    let site = Site::new().await;
    let intake = Intake::of(&site).await;
    let config = site.config_file(MOVE, "");
    taken_in(&site, &intake, &[mail("a", ""), mail("b", ""), mail("c", "")]).await;

    run(&config, &["tickets", "merge", "1", "2"]).await;
    run(&config, &["tickets", "merge", "2", "3"]).await;
    taken_in(&site, &intake, &[reply("a2", "a"), reply("b2", "b")]).await;

    assert_eq!(places(&site).await, ["3/1 c", "3/2 b", "3/3 a", "3/4 a2", "3/5 b2"]);
    let (code, _, complaints) = run(&config, &["tickets", "merge", "3", "1"]).await;
    assert_eq!(code, Some(1));
    assert!(complaints.contains("ticket 1 was merged into ticket 3; name that one"), "{complaints}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_merged_or_split_is_left_alone_and_told() {
    let site = Site::new().await;
    let intake = Intake::of(&site).await;
    let config = site.config_file(MOVE, "");
    taken_in(&site, &intake, &[mail("a", ""), reply("a2", "a"), mail("b", ""), mail("c", "")]).await;
    site.database
        .rows("INSERT INTO mailboxes (name, host, account, folder) VALUES ('other', '', '', '')")
        .await
        .unwrap();
    site.database
        .rows("UPDATE tickets SET mailbox_id = (SELECT id FROM mailboxes WHERE name = 'other') WHERE number = 3")
        .await
        .unwrap();
    let before = places(&site).await;

    for (arguments, complaint) in [
        (["merge", "1", "1"], "a ticket can't be merged into itself"),
        (["merge", "1", "9"], "there is no ticket 9"),
        (["merge", "9", "1"], "there is no ticket 9"),
        (["merge", "1", "3"], "mail stays within its mailbox"),
        (["split", "9", "1"], "there is no ticket 9"),
        (["split", "1", "7"], "ticket 1 has no message 7"),
        (["split", "1", "01987f5e-0000-7000-8000-000000000000"], "is not in ticket 1"),
        (["split", "2", "1"], "no message would be left in ticket 2"),
    ] {
        let (code, _, complaints) = run(&config, &[&["tickets"], arguments.as_slice()].concat()).await;
        assert_eq!(code, Some(1), "{arguments:?}");
        assert!(complaints.contains(complaint), "{arguments:?}: {complaints}");
    }
    assert_eq!(places(&site).await, before);
    let told = "SELECT count(*) FROM deliveries WHERE event_type IN ('ticket.merged', 'ticket.split')";
    assert_eq!(site.number(told).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_split_off_opens_a_ticket_to_which_its_replies_go() {
    let site = Site::new().await;
    let intake = Intake::of(&site).await;
    let config = site.config_file(MOVE, "");
    taken_in(&site, &intake, &[mail("a", ""), reply("a2", "a"), reply("a3", "a2"), reply("a4", "a")]).await;
    let id = site
        .database
        .value("SELECT id::text FROM messages WHERE message_id = 'a3@example.com'")
        .await
        .unwrap();

    let (code, output, complaints) = run(&config, &["tickets", "split", "1", "2", &id]).await;

    assert_eq!(
        (code, output.as_str()),
        (Some(0), "Ticket 2 is opened for what was split off\n"),
        "{complaints}"
    );
    taken_in(&site, &intake, &[reply("a5", "a3"), reply("a6", "a4")]).await;
    assert_eq!(
        places(&site).await,
        ["1/1 a", "1/4 a4", "1/5 a6", "2/1 a2", "2/2 a3", "2/3 a5"],
        "a place that helpdesks know means no other message"
    );
    let told = &event(&site, "ticket.split").await["data"];
    assert_eq!((&told["ticket"]["number"], &told["new_ticket"]["number"]), (&json!(1), &json!(2)));
    assert_eq!(told["messages"][1], json!({"id": id, "former_sequence": 3, "sequence": 2}));
    assert_eq!(
        site.database.rows("SELECT subject, message_count::text FROM tickets ORDER BY number").await.unwrap(),
        [["About a", "5"], ["About a2", "3"]]
    );
    let (code, _, complaints) = run(&config, &["tickets", "split", "1", "2"]).await;
    assert_eq!(code, Some(1));
    assert!(complaints.contains("it may have been split off before"), "{complaints}");

    // And back again.
    run(&config, &["tickets", "merge", "2", "1"]).await;
    taken_in(&site, &intake, &[reply("a7", "a2")]).await;
    assert_eq!(places(&site).await, ["1/1 a", "1/4 a4", "1/5 a6", "1/6 a2", "1/7 a3", "1/8 a5", "1/9 a7"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn merging_while_mail_comes_in_loses_doubles_and_misplaces_nothing() {
    let site = Site::new().await;
    let intake = Intake::of(&site).await;
    let config = site.config_file(MOVE, "");
    let first: Vec<_> = (0..20).map(|i| mail(&format!("t{i}"), "")).collect();
    taken_in(&site, &intake, &first).await;
    intake.store.release_lease(&intake.lease).await.unwrap();
    let replies: Vec<_> = (0..400).map(|i| reply(&format!("r{i}"), &format!("t{}", i % 20))).collect();
    site.account.deliver_many(&replies).unwrap();

    let worker = start(&site.config_file(MOVE, "[intake]\nbatch_messages = 7"), &["run"]);
    for number in 2..=20 {
        let (code, _, complaints) = run(&config, &["tickets", "merge", &number.to_string(), "1"]).await;
        assert_eq!(code, Some(0), "{complaints}");
    }
    wait_for_rows(&site, "SELECT count(*) FROM messages", 420).await;
    let pending = "SELECT count(*) FROM deliveries WHERE status = 'delivered'";
    wait_for_rows(&site, pending, 439).await;
    worker.signal(Signal::TERM).unwrap();

    let misplaced =
        "SELECT count(*) FROM messages m JOIN tickets t ON t.id = m.ticket_id WHERE t.number <> 1";
    assert_eq!(site.number(misplaced).await, 0);
    let sequence = "SELECT count(*) FROM tickets WHERE number = 1 AND message_count = 420";
    assert_eq!(site.number(sequence).await, 1);
}

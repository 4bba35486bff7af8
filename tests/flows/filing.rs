//! Filing on real servers: each rule end to end, what is suspended and released, and rates that workers share.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::support::{DELIVERED, Intake, MOVE, NO_RATES, Site, assert_promise, run};
use postroom::config::Config;
use postroom::message::UidValidity;

/// With a key for tokens and no limits.
fn filing() -> String {
    format!("{NO_RATES}token_key = \"a key of tests and nothing else\"\n")
}

/// What stands in `[[mailbox]]`: another address of the mailbox, and whose word counts.
fn mailbox() -> String {
    format!("{MOVE}\naddresses = [\"support@corp.example\"]\ntrusted_authserv = [\"mx.corp.example\"]")
}

/// A tracker, in front of the mailbox.
const TRACKER: &str = "[[tracker]]\nname = \"jira\"\npattern = 'PROJ-\\d+'\ndomains = [\"jira.example\"]\n";

/// A mail to the mailbox: its header's first lines, and its text.
fn mail(header: &str, text: &str) -> Vec<u8> {
    let mut header = header.to_owned();
    for field in
        ["To: support@corp.example", "Subject: Printer broken", "Date: Mon, 5 Jan 2026 10:00:00 +0000"]
    {
        let name = field.split_once(':').unwrap().0;
        if !header.lines().any(|line| line.starts_with(&format!("{name}:"))) {
            header = format!("{header}\n{field}");
        }
    }
    format!("{header}\n\n{text}\n").into_bytes()
}

fn asked() -> Vec<u8> {
    mail("Message-ID: <q@a.example>\nFrom: Ann <ann@a.example>\nCc: bob@b.example", "It is broken.")
}

/// Delivers mails and lets them be taken in, together.
async fn take_in<const N: usize>(site: &Site, intake: &Intake, mails: [Vec<u8>; N]) {
    site.account.deliver_many(mails).unwrap();
    intake.cycle().await.unwrap();
}

/// Each message: its ticket and place in it, or where it is instead, the rule and how sure it was.
async fn filed(site: &Site) -> Vec<String> {
    let rows = site
        .database
        .rows(
            "SELECT coalesce(t.number || '.' || m.sequence, u.state || coalesce(' (' || u.reason || ')', '')),
                    m.filing_rule, coalesce(m.filing_confidence::text, '-'), coalesce(r.number::text, '-')
             FROM messages m LEFT JOIN tickets t ON t.id = m.ticket_id LEFT JOIN tickets r ON r.id = m.related_ticket_id
             LEFT JOIN unfiled u ON u.message_id = m.id AND u.state <> 'released'
             ORDER BY m.id",
        )
        .await
        .unwrap();
    rows.iter().map(|row| row.join(" ")).collect()
}

/// The events, oldest first.
async fn events(site: &Site) -> Vec<Value> {
    let rows = site.database.rows("SELECT body FROM deliveries ORDER BY id").await.unwrap();
    rows.iter().map(|row| serde_json::from_str(&row[0]).unwrap()).collect()
}

async fn intake_and_file(site: &Site, sections: &str) -> (Intake, PathBuf) {
    let file = site.config_file(&mailbox(), sections);
    (Intake::new(Config::load(Some(&file), []).unwrap()).await, file)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_rule_finds_its_ticket() {
    let site = Site::new().await;
    let (intake, _) = intake_and_file(&site, &format!("{TRACKER}{}", filing())).await;
    take_in(&site, &intake, [asked()]).await;
    let thread = events(&site).await[0]["data"]["thread"].clone();
    let (token, subject) =
        (thread["reply_token"].as_str().unwrap(), thread["subject_token"].as_str().unwrap());
    let returned = format!("Message-ID: <{token}@desk.example>\nTo: ann@a.example");
    let bounce = format!(
        "--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx\n\nFinal-Recipient: rfc822; ann@a.example\n\
         Action: failed\nStatus: 5.1.1\n\n--b\nContent-Type: text/rfc822-headers\n\n{returned}\n--b--"
    );
    for letter in [
        mail(&format!("From: eve@e.example\nTo: support+{token}@corp.example"), "By address"),
        mail(&format!("From: eve@e.example\nIn-Reply-To: <7.{token}@desk.example>"), "By id"),
        mail(
            "From: ann@a.example\nIn-Reply-To: <q@a.example>\nReferences: <out@desk.example>",
            "By In-Reply-To",
        ),
        mail("From: zoe@a.example\nReferences: <q@a.example> <lost@a.example>", "By References"),
        mail("From: bob@b.example\nIn-Reply-To: <out@desk.example>", "By what the ticket refers to"),
        mail("From: eve@e.example\nSubject: AW: Printer broken", &format!("By text\n> [{token}]")),
        mail(&format!("From: bob@b.example\nSubject: {subject} Printer broken"), "By subject"),
        mail(
            "From: mailer-daemon@mx.example\nSubject: Undeliverable\nContent-Type: multipart/report; \
             report-type=delivery-status; boundary=b",
            &bounce,
        ),
        mail("From: bot@jira.example\nSubject: [JIRA] PROJ-17 Toner", "Opened by a tracker"),
        mail("From: bot@jira.example\nSubject: [JIRA] PROJ-17 Toner, done", "By its number"),
    ] {
        take_in(&site, &intake, [letter]).await;
    }

    let expected = [
        "1.1 opened - -",
        "1.2 reply_token 1 -",
        "1.3 reply_token 1 -",
        "1.4 in_reply_to 0.9 -",
        "1.5 references 0.75 -",
        "1.6 alias 0.8 -",
        "1.7 body_token 0.9 -",
        "1.8 subject_token 0.7 -",
        "1.9 report 0.9 -",
        "2.1 opened - -",
        "2.2 tracker 0.8 -",
    ];
    assert_eq!(filed(&site).await, expected);
    let events = events(&site).await;
    let kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    let (created, received) = ("ticket.created", "ticket.message.received");
    let mut kinds_expected = vec![received; 11];
    (kinds_expected[0], kinds_expected[8], kinds_expected[9]) = (created, "message.bounced", created);
    assert_eq!(kinds, kinds_expected);
    let replied = &events[3]["data"];
    assert_eq!(replied["thread"]["matched_message_id"], "q@a.example");
    assert_eq!(replied["thread"]["confidence"], 0.9);
    assert_eq!(
        replied["thread"]["reply_token"], thread["reply_token"],
        "the same in every event of a ticket"
    );
    assert_eq!(replied["ticket"]["reopened"], false);
    assert!(events[1]["data"]["thread"]["matched_message_id"].is_null(), "an address is no id");
    assert_eq!(events[8]["data"]["bounce"]["recipients"][0]["address"], "ann@a.example");
    assert_eq!(events[8]["data"]["thread"]["action"], "append_only");
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_never_get_into_a_ticket() {
    let site = Site::new().await;
    let (intake, _) = intake_and_file(&site, &filing()).await;
    take_in(
        &site,
        &intake,
        [asked(), mail("Message-ID: <g@x>\nFrom: gus@gmail.com\nSubject: Toner", "Empty")],
    )
    .await;
    let subject = events(&site).await[0]["data"]["thread"]["subject_token"].as_str().unwrap().to_owned();
    let strangers = [
        mail("From: eve@e.example\nIn-Reply-To: <q@a.example>", "With a known id"),
        mail("From: eve@e.example\nIn-Reply-To: <q@a.example>\nCc: bob@b.example", "And somebody in copy"),
        mail("From: eve@gmail.com\nIn-Reply-To: <g@x>\nSubject: Toner", "From the same free provider"),
        mail(&format!("From: eve@e.example\nSubject: Re: {subject}"), "With the subject's token"),
        mail(
            "From: eve@e.example\nTo: support+pr.1.0000.00000000000000000000@corp.example",
            "With a forged token",
        ),
        mail(
            "From: eve@e.example\nSubject: Re: Printer broken\nThread-Topic: Printer broken",
            "With the subject",
        ),
        mail("From: eve@e.example\nIn-Reply-To: <>\nReferences: <>", "With nothing"),
    ];
    // Together, and so that each has to be told from the others.
    take_in(&site, &intake, strangers).await;

    let mut found = filed(&site).await.split_off(2);
    found.sort();
    assert!(found.iter().all(|line| line.contains(".1 opened - ")), "{found:?}");
    let related = "SELECT count(*) FROM messages WHERE related_ticket_id IS NOT NULL";
    assert_eq!(site.number(related).await, 4, "what they name is told, and no more");
    assert_eq!(site.number("SELECT count(*) FROM tickets").await, 9);
}

#[tokio::test(flavor = "multi_thread")]
async fn replies_find_their_parent_in_whatever_order_they_come() {
    let parent = || mail("Message-ID: <1@a.example>\nFrom: ann@a.example\nCc: bob@b.example", "First");
    let child = || {
        mail(
            "Message-ID: <2@b.example>\nFrom: bob@b.example\nTo: support@corp.example, ann@a.example\nIn-Reply-To: <1@a.example>",
            "Second",
        )
    };
    let grandchild = || {
        mail(
            "Message-ID: <3@a.example>\nFrom: ann@a.example\nIn-Reply-To: <2@b.example>\nReferences: <1@a.example> <2@b.example>",
            "Third",
        )
    };

    // In one batch: as if they had come in order.
    for batch in [[grandchild(), child(), parent()], [child(), parent(), grandchild()]] {
        let site = Site::new().await;
        let (intake, _) = intake_and_file(&site, &filing()).await;
        take_in(&site, &intake, batch).await;
        assert_eq!(filed(&site).await, ["1.1 opened - -", "1.2 in_reply_to 0.9 -", "1.3 in_reply_to 0.9 -"]);
        let first = "SELECT requester_address FROM tickets";
        assert_eq!(site.database.value(first).await.unwrap(), "ann@a.example", "the parent opened it");
    }

    // Over batches: the parent joins what its reply has opened.
    let site = Site::new().await;
    let (intake, _) = intake_and_file(&site, &filing()).await;
    take_in(&site, &intake, [child()]).await;
    take_in(&site, &intake, [parent()]).await;
    take_in(&site, &intake, [grandchild()]).await;
    assert_eq!(filed(&site).await, ["1.1 opened - -", "1.2 parent 0.8 -", "1.3 in_reply_to 0.9 -"]);
    let kinds = "SELECT string_agg(kind, ' ' ORDER BY kind) FROM thread_keys";
    assert_eq!(site.database.value(kinds).await.unwrap(), "own own own", "its id is no longer only named");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_ticket_is_opened_again_for_a_while() {
    let site = Site::new().await;
    let (intake, file) = intake_and_file(&site, &filing()).await;
    take_in(&site, &intake, [asked()]).await;
    let (code, out, _) = run(&file, &["tickets", "close", "1", "77"]).await;
    assert_eq!((code, out.lines().next()), (Some(1), Some("Ticket 1 is closed.")), "{out}");
    let reply = |text: &str| mail("From: ann@a.example\nIn-Reply-To: <q@a.example>", text);

    take_in(
        &site,
        &intake,
        [mail("From: ann@a.example\nIn-Reply-To: <q@a.example>\nAuto-Submitted: auto-replied", "Away")],
    )
    .await;
    let status =
        "SELECT status || coalesce(' since ' || (closed_at IS NOT NULL), '') FROM tickets WHERE number = 1";
    assert_eq!(site.database.value(status).await.unwrap(), "closed since true", "a program opens nothing");
    take_in(&site, &intake, [reply("Still broken")]).await;
    assert_eq!(site.database.value(status).await.unwrap(), "open since false");

    site.database
        .rows("UPDATE tickets SET status = 'closed', closed_at = now() - interval '15 days' WHERE number = 1")
        .await
        .unwrap();
    take_in(&site, &intake, [reply("Broken again")]).await;

    assert_eq!(
        filed(&site).await,
        ["1.1 opened - -", "1.2 in_reply_to 0.9 -", "1.3 in_reply_to 0.9 -", "2.1 opened - 1"]
    );
    let events = events(&site).await;
    let told: Vec<_> = events
        .iter()
        .map(|event| (&event["data"]["ticket"]["status"], &event["data"]["ticket"]["reopened"]))
        .collect();
    let text = |told: &(&Value, &Value)| format!("{} {}", told.0, told.1);
    assert_eq!(
        told.iter().map(text).collect::<Vec<_>>(),
        ["\"open\" false", "\"closed\" false", "\"open\" true", "\"open\" false"]
    );
    let first = &events[0]["data"]["ticket"]["id"];
    assert_eq!(&events[3]["data"]["thread"]["related_ticket_id"], first);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_suspended_is_stored_told_and_released_once() {
    let site = Site::new().await;
    let (intake, file) = intake_and_file(&site, &filing()).await;
    let forged = mail(
        "Authentication-Results: mx.corp.example; dmarc=fail header.from=a.example\nMessage-ID: <z@a.example>\n\
         From: Zoe <zoe@a.example>\nIn-Reply-To: <q@a.example>",
        "Pay to this account instead.",
    );
    take_in(&site, &intake, [asked()]).await;
    take_in(&site, &intake, [forged.clone(), forged]).await;

    assert_eq!(filed(&site).await, ["1.1 opened - -", "suspended (forged) in_reply_to 0.75 1"]);
    assert_eq!(site.account.count("INBOX").unwrap(), 0, "it is stored, so it is settled");
    assert_eq!(site.number("SELECT count(*) FROM sources").await, 2);
    assert_eq!(site.number("SELECT count(*) FROM ledger WHERE state = 'settled'").await, 3);
    assert_eq!(site.number("SELECT message_count FROM tickets").await, 1);
    assert_eq!(site.number("SELECT suspended FROM dashboard.mail_age").await, 1);
    let told = &events(&site).await[1];
    assert_eq!(told["type"], "message.suspended");
    assert_eq!(told["data"]["suspension"]["reason"], "forged");
    assert!(told["data"]["ticket"].is_null() && told["data"]["sequence"].is_null());
    assert!(told["data"]["thread"]["reply_token"].is_null(), "it is in no ticket that a reply could name");

    let (_, list, _) = run(&file, &["suspended", "list"]).await;
    assert!(list.contains("Zoe <zoe@a.example>") && list.contains("forged"), "{list}");
    let (_, json, _) = run(&file, &["suspended", "list", "--json"]).await;
    let listed: Value = serde_json::from_str(&json).unwrap();
    let id = listed[0]["id"].as_str().unwrap();
    assert_eq!(listed[0]["related_ticket"], 1);

    let release = async || run(&file, &["suspended", "release", id]).await;
    let released: [_; 4] = tokio::join!(release(), release(), release(), release()).into();

    let done = released.iter().filter(|(code, ..)| *code == Some(0)).count();
    assert_eq!(done, 1, "of all who try, one does it: {released:?}");
    assert!(released.iter().any(|(_, out, _)| out.contains("released into ticket 1")), "{released:?}");
    assert!(released.iter().any(|(_, out, _)| out.contains("it is in a ticket already")), "{released:?}");
    assert_eq!(filed(&site).await, ["1.1 opened - -", "1.2 in_reply_to 0.75 -"]);
    assert_eq!(site.number("SELECT message_count FROM tickets").await, 2);
    let told = &events(&site).await[2];
    assert_eq!(told["type"], "ticket.message.received");
    assert_eq!(told["data"]["message"]["text"], "Pay to this account instead.\n");
    assert_eq!(told["data"]["message"]["id"], id);
    assert_eq!(site.number("SELECT suspended FROM dashboard.mail_age").await, 0);
    assert!(run(&file, &["suspended", "list"]).await.1.contains("No message is suspended."));

    // From now on its replies find it.
    take_in(&site, &intake, [mail("From: zoe@a.example\nIn-Reply-To: <z@a.example>", "And hurry")]).await;
    assert_eq!(filed(&site).await[2], "1.3 in_reply_to 0.9 -");
    drop(intake);
    site.database.rows("UPDATE mailboxes SET lease_until = NULL, lease_holder = NULL").await.unwrap();
    assert_eq!(run(&file, &["drain"]).await.0, Some(0));
    assert_eq!(site.number(DELIVERED).await, 4, "what is about no ticket is delivered too");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_is_suspended_is_released_together() {
    let site = Site::new().await;
    let (intake, file) =
        intake_and_file(&site, &format!("{}[filing.actions]\nbulk_list = \"suspend\"\n", filing())).await;
    let post = |i: usize, more: &str| {
        mail(
            &format!("Message-ID: <{i}@l.example>\nFrom: p{i}@a.example\nList-Id: <l.example>{more}"),
            &format!("Post {i}"),
        )
    };
    take_in(&site, &intake, [post(1, ""), post(2, ""), post(3, "\nIn-Reply-To: <1@l.example>")]).await;
    assert_eq!(site.number("SELECT count(*) FROM tickets").await, 0);
    assert_eq!(intake.tally.suspended.get(), 3);

    let (code, out, _) = run(&file, &["suspended", "release", "--all"]).await;

    assert_eq!(code, Some(0), "{out}");
    let kinds = "SELECT string_agg(event_type, ' ' ORDER BY id) FROM deliveries WHERE ticket_id IS NOT NULL";
    let kinds = site.database.value(kinds).await.unwrap();
    assert_eq!(kinds.matches("ticket.created").count(), 2, "{kinds}");
    let found = filed(&site).await;
    assert!(
        found.iter().any(|line| line.starts_with("1.2 ") || line.starts_with("2.2 ")),
        "the reply is with what it answers: {found:?}"
    );
    assert!(run(&file, &["suspended", "release", "--all"]).await.1.contains("No message is suspended."));
    let unknown = "01900000-0000-7000-8000-000000000000";
    let (code, out, _) = run(&file, &["suspended", "release", unknown]).await;
    assert_eq!(code, Some(1));
    assert!(out.contains("no message of this id is, or was, in no ticket"), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_archived_is_stored_and_told_to_nobody() {
    let site = Site::new().await;
    let (intake, file) = intake_and_file(&site, &filing()).await;
    take_in(
        &site,
        &intake,
        [
            mail("Message-ID: <o@a.example>\nFrom: ann@a.example\nAuto-Submitted: auto-replied", "Away"),
            mail("Message-ID: <l@corp.example>\nFrom: support@corp.example", "Our own"),
        ],
    )
    .await;

    assert_eq!(filed(&site).await, ["archived none - -", "archived none - -"]);
    assert_eq!(site.number("SELECT count(*) FROM deliveries").await, 0);
    assert_eq!(site.number("SELECT count(*) FROM tickets").await, 0);
    assert_eq!(site.account.count("Processed").unwrap(), 2);
    assert_eq!(intake.tally.archived.get(), 2);
    let (_, list, _) = run(&file, &["suspended", "list", "--archived"]).await;
    assert!(list.contains("auto_reply") && list.contains("own_loop"), "{list}");

    let id = site.database.value("SELECT id FROM messages WHERE verdict = 'auto_reply'").await.unwrap();
    assert_eq!(
        run(&file, &["suspended", "release", &id]).await.0,
        Some(0),
        "a person may want it all the same"
    );
    assert_eq!(site.number("SELECT count(*) FROM tickets").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_share_what_they_know_of_a_senders_rate() {
    let site = Site::new().await;
    let sections = "[filing]\nsender_per_hour = 20\nticket_per_day = 0\nsame_mail = 0\n";
    let (first, _) = intake_and_file(&site, sections).await;
    let some = |from: usize| -> [Vec<u8>; 15] {
        std::array::from_fn(|i| mail(&format!("From: ann@a.example\nSubject: {}", from + i), "More"))
    };
    let suspended = "SELECT count(*) FROM unfiled WHERE reason = 'sender_rate'";
    take_in(&site, &first, some(0)).await;
    assert_eq!(site.number(suspended).await, 0);

    // Another process takes over.
    site.database.rows("UPDATE mailboxes SET lease_until = now() - interval '1 second'").await.unwrap();
    let (mut second, _) = {
        let file = site.config_file(&mailbox(), sections);
        let config = Config::load(Some(&file), []).unwrap();
        let lease = first.store.acquire_lease("support", &"second".into()).await.unwrap().unwrap();
        let store = postroom::store::Store::connect(&config.database).await.unwrap();
        let (tally, webhooks) = (postroom::intake::Tally::new("support"), vec!["helpdesk"]);
        (Intake { store, lease, config, tally, webhooks }, file)
    };
    take_in(&site, &second, some(15)).await;
    assert_eq!(site.number(suspended).await, 10, "of 30, 20 are filed");
    take_in(&site, &second, [mail("From: bob@b.example\nSubject: Other", "Hello")]).await;
    assert_eq!(site.number(suspended).await, 10, "others are not shut out");

    // And back.
    site.database.rows("UPDATE mailboxes SET lease_until = now() - interval '1 second'").await.unwrap();
    second.lease = first.store.acquire_lease("support", &"third".into()).await.unwrap().unwrap();
    take_in(&site, &second, [mail("From: ann@a.example\nSubject: Again", "Hello")]).await;
    assert_eq!(site.number(suspended).await, 11);
    let kinds = "SELECT count(*) FROM deliveries WHERE event_type = 'message.suspended'";
    assert_eq!(site.number(kinds).await, 11);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_mail_and_a_busy_ticket_are_stopped_over_batches() {
    let site = Site::new().await;
    let sections = "[filing]\nsender_per_hour = 0\nticket_per_day = 3\nsame_mail = 3\n";
    let (intake, _) = intake_and_file(&site, sections).await;
    take_in(&site, &intake, [asked()]).await;
    let alarm = |i: usize| mail(&format!("From: a{i}@m.example\nSubject: Alarm"), "Alarm");
    for i in 0..4 {
        take_in(
            &site,
            &intake,
            [alarm(i), mail("From: ann@a.example\nIn-Reply-To: <q@a.example>", &format!("Reply {i}"))],
        )
        .await;
    }

    let reasons = "SELECT string_agg(reason, ' ' ORDER BY reason) FROM unfiled";
    assert_eq!(site.database.value(reasons).await.unwrap(), "repeated repeated ticket_rate ticket_rate");
    assert_eq!(site.number("SELECT message_count FROM tickets WHERE number = 1").await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_tells_nothing_of_a_rate_any_more_is_forgotten() {
    let site = Site::new().await;
    let (intake, _) = intake_and_file(&site, "[filing]\n").await;
    take_in(&site, &intake, [asked()]).await;
    site.database
        .rows(
            "INSERT INTO sender_rates (mailbox_id, sender, full_at, newest_at, shut_until)
             VALUES (1, 1, now() - interval '2 hours', now() - interval '3 hours', NULL),
                    (1, 2, now() - interval '2 hours', now() - interval '3 hours', now() + interval '1 hour');
             INSERT INTO mail_repeats (mailbox_id, content, came_at)
             VALUES (1, 1, ARRAY[now() - interval '3 days', now() - interval '2 days']),
                    (1, 2, ARRAY[now() - interval '2 days', now() - interval '1 hour'])",
        )
        .await
        .unwrap();

    let (lease, anew) = (&intake.lease, UidValidity(4_711));
    intake.store.open_folder(lease, anew, None, Duration::from_hours(1)).await.unwrap();

    let left = "SELECT (SELECT string_agg(sender::text, ' ' ORDER BY sender) FROM sender_rates WHERE sender IN (1, 2)),
                       (SELECT string_agg(content::text, ' ' ORDER BY content) FROM mail_repeats WHERE content IN (1, 2)),
                       (SELECT count(*) FROM sender_rates), (SELECT count(*) FROM mail_repeats)";
    assert_eq!(site.database.rows(left).await.unwrap(), [["2", "2", "2", "2"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_explained_to_a_person_and_to_a_program() {
    let site = Site::new().await;
    let (intake, file) = intake_and_file(&site, &filing()).await;
    take_in(&site, &intake, [asked()]).await;
    let reply =
        "Message-ID: <e@e.example>\nFrom: Eve <eve@e.example>\nIn-Reply-To: <q@a.example>\nPrecedence: list";
    take_in(&site, &intake, [mail(reply, "Me too")]).await;
    let id = site.database.value("SELECT id FROM messages WHERE message_id = 'e@e.example'").await.unwrap();
    let uid = site.database.value("SELECT max(uid) FROM ledger").await.unwrap();

    for name in [id.as_str(), &format!("support/{uid}"), "<e@e.example>", "e@e.example"] {
        let (code, out, err) = run(&file, &["explain", name]).await;
        assert_eq!(code, Some(0), "{name}: {err}");
        for said in [
            "It opened ticket 2.",
            "It has to do with ticket 1.",
            "ticket 1 by in_reply_to: q@a.example, confidence 0.6. That is less sure than the threshold.",
            "Written by: bulk_list; with such mail, this is done: ticket",
            "signals: precedence_list",
        ] {
            assert!(out.contains(said), "{name}: {said}: {out}");
        }
    }
    let (_, json, _) = run(&file, &["explain", "q@a.example", "--json"]).await;
    let told: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(told[0]["place"]["ticket"], 1);
    assert_eq!(told[0]["filing"]["rule"], "opened");
    assert_eq!(told[0]["automation"]["verdict"], "human");
    let (code, _, err) = run(&file, &["explain", "nobody@nowhere.example"]).await;
    assert_eq!(code, Some(1));
    assert!(err.contains("no such message is stored"), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn defaults_let_ordinary_mail_through() {
    let site = Site::new().await;
    let intake = Intake::new(site.config(MOVE, "[filing]\n")).await;
    site.account.deliver_many(crate::support::mails(12)).unwrap();
    intake.cycle().await.unwrap();
    drop(intake);
    site.database.rows("UPDATE mailboxes SET lease_until = NULL, lease_holder = NULL").await.unwrap();

    assert_eq!(run(&site.config_file(MOVE, "[filing]\n"), &["drain"]).await.0, Some(0));
    assert_promise(&site, 12).await;
}

/// What a release before this one stored is filed by as well as what this one stores.
#[tokio::test(flavor = "multi_thread")]
async fn tickets_of_before_know_their_people_and_ids() {
    let database = devstack::Postgres::shared().await.unwrap().database().await.unwrap();
    let mut migrations: Vec<PathBuf> =
        std::fs::read_dir("migrations").unwrap().map(|entry| entry.unwrap().path()).collect();
    migrations.sort();
    let is_before = |path: &PathBuf| !path.file_name().unwrap().to_string_lossy().starts_with("0010");
    for migration in migrations.iter().take_while(|path| is_before(path)) {
        database.rows(&std::fs::read_to_string(migration).unwrap()).await.unwrap();
    }
    database
        .rows(
            r#"INSERT INTO tickets (id, number, mailbox_id, subject, requester_name, requester_address, message_count,
                                    first_message_at, last_message_at)
               VALUES ('00000000-0000-7000-8000-000000000001', 1, 1, '', '', '', 1, now(), now());
               INSERT INTO messages (id, mailbox_id, ticket_id, sequence, fingerprint, message_id, in_reply_to,
                                     reference_ids, from_name, from_address, reply_to, recipients_to, recipients_cc,
                                     subject, received_at, text, headers, filing_rule, size, defects)
               SELECT gen_random_uuid(), 1, '00000000-0000-7000-8000-000000000001', n, n::text::bytea,
                      'AbC.' || n || '@PROD.Example.com', '{}', '{}', '', address,
                      '[{"name": "", "address": "Ann+Home@A.example"}]',
                      '[{"name": "", "address": "BOB+x+y@b.example"}, {"name": "", "address": "ann@a.example"}]',
                      '[{"name": "", "address": "nobody"}, {"name": "", "address": "+@b.example"}]',
                      '', now(), '', '[]', 'opened', 1, '{}'
               FROM unnest(ARRAY['Zoe@A.EXAMPLE', ' zoe+1@a.example ', '', 'no one@a.example']) WITH ORDINALITY AS x (address, n);
               INSERT INTO thread_keys (mailbox_id, key, ticket_id)
               SELECT 1, sha256(message_id::bytea), ticket_id FROM messages"#,
        )
        .await
        .unwrap();

    let migration = migrations.iter().find(|path| !is_before(path)).unwrap();
    database.rows(&std::fs::read_to_string(migration).unwrap()).await.unwrap();

    let people =
        database.rows("SELECT address, role FROM participants ORDER BY address COLLATE \"C\"").await.unwrap();
    let expected = [
        ["+@b.example", "recipient"],
        ["ann@a.example", "writer"],
        ["bob@b.example", "recipient"],
        ["zoe@a.example", "writer"],
    ];
    assert_eq!(people.iter().filter(|row| !row[0].contains(' ')).cloned().collect::<Vec<_>>(), expected);
    let by_key = "SELECT count(*) FROM thread_keys WHERE key = sha256('AbC.1@prod.example.com')";
    assert_eq!(database.value(by_key).await.unwrap(), "1");
}

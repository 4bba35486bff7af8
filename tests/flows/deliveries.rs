//! Deliveries as an operator sees and mends them, and what a crash in the middle of one leads to: the built binary.

use std::collections::BTreeMap;

use devstack::{Answer, Signal};

use crate::support::{
    DELIVERED, LIMIT, MOVE, Site, assert_promise, expire_leases, mail, mails, postroom, run, start,
    wait_for_rows,
};

const DEAD: &str = "SELECT count(*) FROM deliveries WHERE status = 'dead'";

/// Gives every delivery up, as if all its attempts had failed.
async fn let_die(site: &Site) {
    let give_up =
        "UPDATE deliveries SET status = 'dead', attempt = 11, finished_at = now(), last_status = 500,
                   last_error = 'answered 500' WHERE status = 'pending'";
    site.database.rows(give_up).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_the_answer_and_its_record_it_delivers_once_more_and_the_same() {
    let site = Site::new().await;
    site.account.deliver_many(mails(3)).unwrap();
    let config = site.config_file(MOVE, "");
    let mut command = postroom(&config, &["run"]);
    command.env("POSTROOM_TEST_DIE_AT", "after_answer:1");
    let mut worker = devstack::Worker::start(&command).unwrap();
    assert!(!worker.wait(LIMIT).await.unwrap().success());
    assert!(!site.helpdesk.requests().is_empty(), "it died after an answer");
    assert_eq!(site.number(DELIVERED).await, 0, "and wrote none down");

    expire_leases(&site).await;
    assert_eq!(run(&config, &["drain"]).await.0, Some(0));

    // This compares the bytes of each id, too.
    assert_promise(&site, 3).await;
    let mut told: BTreeMap<String, u32> = BTreeMap::new();
    for request in site.helpdesk.requests() {
        *told.entry(request.header("webhook-id").unwrap().to_owned()).or_default() += 1;
    }
    assert!(told.values().any(|&times| times == 2), "what was answered is sent again");
    assert!(told.values().all(|&times| times <= 2), "and no more than that: {told:?}");
    assert_eq!(site.number("SELECT max(attempt) FROM deliveries").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_a_request_it_delivers_later() {
    let site = Site::new().await;
    site.account.deliver(&mail("a", "")).unwrap();
    let config = site.config_file(MOVE, "");
    let mut command = postroom(&config, &["run"]);
    command.env("POSTROOM_TEST_DIE_AT", "before_send:1");
    let mut worker = devstack::Worker::start(&command).unwrap();
    assert!(!worker.wait(LIMIT).await.unwrap().success());
    assert!(site.helpdesk.requests().is_empty());

    expire_leases(&site).await;
    assert_eq!(run(&config, &["drain"]).await.0, Some(0));

    assert_promise(&site, 1).await;
    assert_eq!(site.helpdesk.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_deliveries_are_retried_from_the_command_line() {
    let site = Site::new().await;
    site.helpdesk.answer(422);
    site.account.deliver_many([mail("a", ""), mail("b", "")]).unwrap();
    let config = site.config_file(MOVE, "");
    run(&config, &["drain"]).await;
    let_die(&site).await;
    let first = site.database.value("SELECT event_id FROM deliveries ORDER BY id").await.unwrap();
    let (_, list, _) = run(&config, &["deliveries", "list", "--status", "dead"]).await;
    assert!(list.contains(&first), "{list}");

    // What is asked for must be clear, and be there.
    for unclear in [&["deliveries", "retry"] as &[_], &["deliveries", "retry", "--all", &first]] {
        assert_eq!(run(&config, unclear).await.0, Some(2));
    }
    let (code, _, err) = run(&config, &["deliveries", "retry", &first, "evt_typo"]).await;
    assert_eq!(code, Some(1));
    assert!(
        err.contains("no delivery of event \"evt_typo\"") && err.contains("Nothing was retried"),
        "{err}"
    );
    let (code, _, err) = run(&config, &["deliveries", "retry", "--webhook", "typo"]).await;
    assert_eq!(code, Some(1));
    assert!(err.contains("no webhook is called \"typo\"; there are: helpdesk"), "{err}");
    assert_eq!(site.number(DEAD).await, 2);

    let (code, out, _) = run(&config, &["deliveries", "retry", &first]).await;
    assert_eq!((code, out.as_str()), (Some(0), "helpdesk: 1 delivery is tried again\n"));
    let (code, _, err) = run(&config, &["deliveries", "retry", &first]).await;
    assert_eq!(code, Some(1));
    assert!(err.contains("is pending: only what is dead can be retried"), "{err}");
    let (code, json, _) = run(&config, &["deliveries", "retry", "--all", "--json"]).await;
    assert_eq!(code, Some(0));
    assert!(json.contains("\"webhook\": \"helpdesk\"") && json.contains("\"deliveries\": 1"), "{json}");
    assert_eq!(run(&config, &["deliveries", "retry", "--all"]).await.1, "No delivery is dead.\n");

    site.helpdesk.answer(200);
    assert_eq!(run(&config, &["drain"]).await.0, Some(0));
    assert_promise(&site, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_was_gone_is_switched_on_while_the_worker_runs() {
    let site = Site::new().await;
    site.helpdesk.answer(410);
    site.account.deliver(&mail("a", "")).unwrap();
    let config = site.config_file(MOVE, "[delivery]\npoll_interval = \"1h\"");
    let mut worker = start(&config, &["run"]);
    worker.wait_for_line("the webhook is gone", LIMIT).await.unwrap();
    wait_for_rows(&site, "SELECT count(*) FROM webhooks WHERE switched_off_at IS NOT NULL", 1).await;
    site.helpdesk.answer(200);
    let (code, out, _) = run(&config, &["check"]).await;
    assert_eq!(code, Some(1));
    assert!(out.contains("1 delivery waits for webhook \"helpdesk\", which is switched off"), "{out}");

    let (code, out, _) = run(&config, &["deliveries", "retry", "--webhook", "helpdesk"]).await;

    assert_eq!(code, Some(0));
    assert!(out.contains("answered 410 Gone and is switched on again"), "{out}");
    wait_for_rows(&site, DELIVERED, 1).await;
    worker.signal(Signal::TERM).unwrap();
    assert!(worker.wait(LIMIT).await.unwrap().success());
    let (code, out, _) = run(&config, &["check"]).await;
    assert_eq!((code, out.ends_with("All is well.\n")), (Some(0), true), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_to_a_webhook_that_is_not_configured_are_said() {
    let site = Site::new().await;
    site.helpdesk.answer(Answer::status(503));
    site.account.deliver_many([mail("a", ""), mail("b", "")]).unwrap();
    let config = site.config_file(MOVE, "");
    run(&config, &["drain"]).await;
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("name = \"helpdesk\"", "name = \"successor\"")).unwrap();
    site.helpdesk.answer(200);

    let (code, out, _) = run(&config, &["check"]).await;
    assert_eq!(code, Some(1));
    assert!(out.contains("2 deliveries wait for webhook \"helpdesk\", which is not configured"), "{out}");
    let (_, list, _) = run(&config, &["deliveries", "list"]).await;
    assert_eq!(list.matches("none: the webhook is not configured").count(), 2, "{list}");
    let_die(&site).await;
    let (code, out, _) = run(&config, &["deliveries", "retry", "--webhook", "helpdesk"]).await;
    assert_eq!(code, Some(0));
    assert!(out.contains("2 deliveries are tried again") && out.contains("it is not configured"), "{out}");

    std::fs::write(&config, text).unwrap();
    assert_eq!(run(&config, &["drain"]).await.0, Some(0));
    assert_eq!(site.number(DELIVERED).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn floods_of_answers_take_no_memory() {
    let site = Site::new().await;
    let config = site.config_file(MOVE, "");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("timeout = \"5s\"", "timeout = \"2s\"")).unwrap();
    site.account.deliver(&mail("quiet", "")).unwrap();
    let mut worker = start(&config, &["run"]);
    wait_for_rows(&site, DELIVERED, 1).await;
    let peak = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", worker.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap().to_owned();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
    };
    let before = peak();

    let many_headers = (0..100_000).fold(Answer::status(200), |answer, _| answer.header("X-Many", "x"));
    let large = Answer::status(200).body(vec![0; 64 << 20]);
    let floods = [Answer::endless(), Answer::endless_head(), Answer::interim(), many_headers, large];
    let count = floods.len();
    site.helpdesk.answer_in_turn(floods);
    site.account.deliver_many((0..count).map(|n| mail(&format!("flood{n}"), ""))).unwrap();
    let ended = "SELECT count(*) FROM deliveries WHERE attempt > 0 AND lease_until IS NULL";
    wait_for_rows(&site, ended, i64::try_from(count).unwrap() + 1).await;
    let after = peak();

    assert!(after <= before + 16, "{before} MiB before, {after} MiB after");
    worker.signal(Signal::TERM).unwrap();
    assert!(worker.wait(LIMIT).await.unwrap().success());
}

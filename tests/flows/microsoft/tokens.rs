//! Tokens that end, are refused, or are lost, under a worker that runs.

use std::time::Duration;

use devstack::identity::{Fault, Habits, Kind};
use devstack::{Signal, exchange};

use super::site::{Site, USER};
use crate::support::{LIMIT, mail, postroom, run, start};

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_ends_in_mid_session_is_replaced_without_an_error() {
    let site = Site::new().await;
    let config = site.device();
    site.sign_in(&config).await;
    let mut worker = start(&config, &["run"]);
    site.exchange.wait_for_idling(1, LIMIT).await.unwrap();

    site.identity.tokens().expire_all();
    worker.wait_for_line("the access token has expired; connecting with another", LIMIT).await.unwrap();
    site.exchange.wait_for_idling(1, LIMIT).await.unwrap();
    site.exchange.deliver(&mail("after", "")).unwrap();

    site.wait_until_told(&["ticket.created"]).await;
    assert_eq!(site.identity.count(Kind::Refresh), 1);
    let log = worker.stderr().unwrap();
    assert!(!log.contains("WARN") && !log.contains("ERROR"), "{log}");
    assert_eq!(site.exchange.most_open(), 1, "one connection for a mailbox");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_renewed_before_its_token_ends() {
    let site = Site::new().await;
    let config = site.device();
    site.sign_in(&config).await;
    // It is renewed five minutes before its hour is over: in ten seconds.
    let earlier = "interval '54 min 50 s'";
    let aged = format!(
        "UPDATE oauth_tokens SET renewed_at = renewed_at - {earlier}, expires_at = expires_at - {earlier}"
    );
    site.database.rows(&aged).await.unwrap();

    let worker = start(&config, &["run"]);
    site.identity.wait_for(Kind::Refresh, 1, LIMIT).await.unwrap();
    site.exchange.wait_for_connections(3, LIMIT).await.unwrap();
    site.exchange.wait_for_idling(1, LIMIT).await.unwrap();

    let log = worker.stderr().unwrap();
    assert!(!log.contains("expired") && !log.contains("WARN"), "{log}");
    assert_eq!(site.exchange.most_open(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_refused_at_the_login_is_renewed_once_and_then_a_person_is_asked() {
    let site = Site::new().await;
    let config = site.device();
    site.sign_in(&config).await;
    let signed_in = site.exchange.connections().len();
    site.exchange.always("AUTHENTICATE", exchange::Reaction::Answer("NO AUTHENTICATE failed.".to_owned()));

    let mut worker = start(&config, &["run"]);
    site.wait_until_told(&["mailbox.unhealthy"]).await;

    assert_eq!(site.identity.count(Kind::Refresh), 1);
    assert_eq!(site.exchange.connections().len() - signed_in, 2, "no more until a long pause is over");
    let event = site.events().remove(0);
    assert_eq!(event["data"]["kind"], "login");
    assert!(event["data"]["cure"].as_str().unwrap().contains("IMAP"), "{event}");
    worker.signal(Signal::TERM).unwrap();
    assert!(worker.wait(LIMIT).await.unwrap().success(), "a long pause ends at once");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_workers_of_a_refused_mailbox_pause_as_one() {
    let site = Site::new().await;
    let config = site.device();
    site.sign_in(&config).await;
    let signed_in = site.exchange.connections().len();
    site.exchange.always("AUTHENTICATE", exchange::Reaction::Answer("NO AUTHENTICATE failed.".to_owned()));

    let mut workers = [start(&config, &["run"]), start(&config, &["run"])];
    for worker in &mut workers {
        worker.wait_for_line("postroom is running", LIMIT).await.unwrap();
    }
    site.wait_for_number("SELECT count(*) FROM mailboxes WHERE paused_until > now() + interval '1 min'", 1)
        .await;
    // Each of them looks whether it may go on, more than once.
    let looks = "SELECT count(*) FROM mailboxes WHERE lease_holder IS NULL";
    site.wait_for_number(looks, 1).await;
    for worker in &mut workers {
        worker.run_for(Duration::from_secs(12)).await.unwrap();
    }

    // A worker that starts tries at once, so the second may have, too.
    let connections = site.exchange.connections().len() - signed_in;
    assert!((2..=4).contains(&connections), "{connections}");

    site.exchange.behave();
    site.sign_in(&config).await;
    site.exchange.wait_for_idling(1, LIMIT).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_that_has_ended_is_told_and_the_next_one_noticed() {
    let site = Site::new().await;
    let config = site.device();
    site.sign_in(&config).await;
    site.identity.tokens().expire_all();
    site.identity.fail_next(1, Fault::PasswordChanged);

    let mut worker = start(&config, &["run"]);
    site.wait_until_told(&["mailbox.unhealthy"]).await;
    worker.wait_for_line("AADSTS50173", LIMIT).await.unwrap();
    assert!(site.events()[0]["data"]["cure"].as_str().unwrap().contains("postroom login"));

    site.sign_in(&config).await;
    site.wait_until_told(&["mailbox.unhealthy", "mailbox.recovered"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_a_grant_and_its_commit_it_goes_on_or_asks_for_a_sign_in() {
    for strict_rotation in [false, true] {
        let habits = Habits { strict_rotation, ..Habits::default() };
        let site = Site::with(habits, exchange::Habits::default()).await;
        let config = site.device();
        site.sign_in(&config).await;
        site.exchange.deliver(&mail("waiting", "")).unwrap();
        site.database.rows("UPDATE oauth_tokens SET expires_at = now()").await.unwrap();
        let mut command = postroom(&config, &["drain"]);
        command.env("POSTROOM_TEST_DIE_AT", "after_grant:1");

        let mut dying = devstack::Worker::start(&command).unwrap();
        assert!(!dying.wait(LIMIT).await.unwrap().success());
        assert_eq!(site.identity.count(Kind::Refresh), 1);
        site.database.rows("UPDATE mailboxes SET lease_until = now()").await.unwrap();

        let (code, out, log) = run(&config, &["drain"]).await;
        if strict_rotation {
            assert_eq!(code, Some(1), "{out}");
            assert!(out.contains("postroom login") || log.contains("postroom login"), "{out}\n{log}");
            site.sign_in(&config).await;
            site.drain(&config).await;
        } else {
            assert_eq!(code, Some(0), "{out}\n{log}");
        }
        assert_eq!(site.exchange.count("INBOX"), 0);
        assert_eq!(site.number("SELECT count(*) FROM messages").await, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_platform_that_is_away_is_waited_for() {
    let mut site = Site::new().await;
    let config = site.device();
    site.sign_in(&config).await;
    site.database.rows("UPDATE oauth_tokens SET expires_at = now()").await.unwrap();
    site.identity.stop().await.unwrap();

    let mut worker = start(&config, &["run"]);
    worker.wait_for_line("starting over after a pause", LIMIT).await.unwrap();
    site.identity.start_again().await.unwrap();
    site.exchange.deliver(&mail("late", "")).unwrap();

    site.wait_until_told(&["ticket.created"]).await;
    drop(worker);
    assert_eq!(site.exchange.user(), USER);
}

//! A server that wants to be left alone, and is.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use devstack::exchange::Reaction;
use devstack::identity::{Fault, Kind};
use devstack::{Signal, poll};

use postroom::config::Config;
use postroom::store::Store;

use super::site::Site;
use crate::support::{LIMIT, mail, run, start};

/// The pause that is asked for: long enough that nothing else explains it, short enough for a test.
const PAUSE: Duration = Duration::from_millis(2_321);

fn throttled() -> Reaction {
    Reaction::AnswerAndClose(format!(
        "NO Request is throttled. Suggested Backoff Time: {} milliseconds",
        PAUSE.as_millis()
    ))
}

/// Throttles the first command with this in its line, and tells when that was.
fn throttle_once(site: &Site, part: &'static str) -> Arc<OnceLock<Instant>> {
    let throttled_at = Arc::new(OnceLock::new());
    let at = Arc::clone(&throttled_at);
    site.exchange.script(move |command, _| {
        (command.line().contains(part) && at.set(Instant::now()).is_ok()).then(throttled)
    });
    throttled_at
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_is_kept_to_the_millisecond_whichever_command_was_throttled() {
    for command in ["AUTHENTICATE", "SELECT", "UID FETCH", "BODY.PEEK[]", "UID MOVE", "IDLE"] {
        let site = Site::new().await;
        let config = site.device();
        site.sign_in(&config).await;
        site.exchange.deliver(&mail("m", "")).unwrap();
        let throttled_at = throttle_once(&site, command);

        let mut worker = start(&config, &["run"]);
        worker.wait_for_line("the server asked to be left alone", LIMIT).await.unwrap();
        let connections = site.exchange.connections().len();
        site.exchange.wait_for_connections(connections + 1, LIMIT).await.unwrap();

        let back = *site.exchange.connections().last().unwrap();
        let waited = back.duration_since(*throttled_at.get().unwrap());
        assert!(waited >= PAUSE, "{command}: {waited:?}");
        site.wait_until_told(&["ticket.created"]).await;
        site.exchange.wait_for_count("INBOX", 0, LIMIT).await.unwrap();
        assert_eq!(site.exchange.count("Processed"), 1, "{command}");
        assert_eq!(site.number("SELECT count(*) FROM ledger WHERE state = 'held'").await, 0, "{command}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_outlives_the_worker_that_was_told_and_holds_for_every_other() {
    let site = Site::new().await;
    let config = site.device();
    site.sign_in(&config).await;
    let long = "NO Request is throttled. Suggested Backoff Time: 299961 milliseconds";
    site.exchange.once("SELECT", Reaction::AnswerAndClose(long.to_owned()));
    let mut first = start(&config, &["run"]);
    first.wait_for_line("the server asked to be left alone", LIMIT).await.unwrap();
    site.wait_for_number("SELECT count(*) FROM mailboxes WHERE backoff_until > now() + interval '4 min'", 1)
        .await;
    first.signal(Signal::KILL).unwrap();
    first.wait(LIMIT).await.unwrap();
    site.database.rows("UPDATE mailboxes SET lease_until = NULL").await.unwrap();
    let connections = site.exchange.connections().len();

    let mut second = start(&config, &["run"]);
    second.wait_for_line("postroom is running", LIMIT).await.unwrap();
    let (code, said, _) = run(&config, &["drain"]).await;
    assert_eq!(code, Some(1));
    assert!(said.contains("the server asked to be left alone"), "{said}");
    let (code, said, _) = run(&config, &["check"]).await;
    assert_eq!(code, Some(1));
    assert!(said.contains("asked to be left alone until"), "{said}");
    assert_eq!(site.exchange.connections().len(), connections, "nobody has called it");

    site.database.rows("UPDATE mailboxes SET backoff_until = now()").await.unwrap();
    second.signal(Signal::TERM).unwrap();
    assert!(second.wait(LIMIT).await.unwrap().success(), "not even a long pause holds up a stop");
    site.drain(&config).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_that_the_identity_platform_asks_for_is_kept_as_well() {
    let site = Site::new().await;
    let config = site.device();
    site.sign_in(&config).await;
    site.database.rows("UPDATE oauth_tokens SET expires_at = now()").await.unwrap();
    site.identity.fail_next(1, Fault::Throttled(Some(1_234)));

    let worker = start(&config, &["run"]);
    let rests = "SELECT count(*) FROM mailboxes WHERE backoff_until > now() + interval '20 min'";
    site.wait_for_number(rests, 1).await;

    // Longer than max_poll_age: nobody need wait for that to know.
    site.wait_until_told(&["mailbox.unhealthy"]).await;
    assert_eq!(site.identity.count(Kind::Refresh), 1);
    drop(worker);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_holds_for_every_mailbox_of_the_account() {
    let site = Site::new().await;
    let config = site.device();
    let store = Store::connect(&Config::load(Some(&config), []).unwrap().database).await.unwrap();
    store.migrate().await.unwrap();
    let mailboxes = "INSERT INTO mailboxes (name, host, account, folder) VALUES
        ('inbox', 'outlook', 'ann', 'INBOX'), ('sales', 'outlook', 'ann', 'Sales'), ('other', 'outlook', 'bob', 'INBOX')";
    site.database.rows(mailboxes).await.unwrap();

    store.back_off("inbox", Duration::from_secs(100)).await.unwrap();
    store.back_off("sales", Duration::from_secs(50)).await.unwrap();

    for (name, rests) in [("inbox", true), ("sales", true), ("other", false)] {
        let left = store.backoff_left(name).await.unwrap();
        assert_eq!(left.is_some_and(|left| left > Duration::from_secs(60)), rests, "{name}");
        let lease = store.acquire_lease(name, &"worker".into()).await.unwrap();
        assert_eq!(lease.is_none(), rests, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn logins_are_rationed_although_each_succeeds() {
    let site = Site::new().await;
    let config = site.device();
    site.sign_in(&config).await;
    site.exchange.always("SELECT", Reaction::Close("Connection is closed. 13"));
    let before = site.exchange.connections().len();

    let worker = start(&config, &["run"]);
    site.exchange.wait_for_connections(before + 3, LIMIT).await.unwrap();
    let third = Instant::now();
    site.exchange.wait_for_connections(before + 4, LIMIT).await.unwrap();

    assert!(third.elapsed() > Duration::from_secs(10), "{:?}", third.elapsed());
    drop(worker);
    poll::until("the connections to end", LIMIT, async || {
        anyhow::ensure!(site.exchange.idling() == 0, "one idles");
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(site.exchange.most_open(), 1);
}

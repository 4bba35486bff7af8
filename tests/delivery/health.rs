//! What is told of a mailbox itself: once for each change, in order, and in nobody's way.

use std::time::Duration;

use chrono::{DateTime, Utc};
use postroom::event::{Event, Unhealthy};
use postroom::store::{Failure, Lease, Store};

use crate::world::{HELPDESK, World};

const NOW: Duration = Duration::ZERO;
const HOUR: Duration = Duration::from_hours(1);

/// A world with a mailbox that a worker empties.
async fn emptied() -> (World, Lease) {
    let world = World::start().await;
    let mailbox = "INSERT INTO mailboxes (name, host, account, folder) VALUES ('support', 'mail.example', 'support', 'INBOX')";
    world.database.rows(mailbox).await.unwrap();
    let lease = world.store.acquire_lease("support", &"worker".into()).await.unwrap().unwrap();
    (world, lease)
}

/// Writes down a failure that is given so much patience; whether the mailbox became unhealthy by it.
async fn fail(store: &Store, patience: Duration) -> bool {
    let (reason, cure) = ("login refused", "Sign in again.");
    let event =
        Event::unhealthy(&Unhealthy { at: Utc::now(), mailbox: "support", kind: "login", reason, cure });
    let failure = Failure {
        reason,
        needs_person: patience.is_zero(),
        begun: Duration::from_mins(1),
        patience,
        event: &event,
        webhooks: &[HELPDESK],
    };
    store.poll_failed("support", &failure).await.unwrap()
}

async fn complete(store: &Store, lease: &Lease) {
    let recovered = |since: DateTime<Utc>| Event::recovered(Utc::now(), "support", since);
    store.poll_completed(lease, &[HELPDESK], recovered).await.unwrap();
}

async fn events(world: &World) -> String {
    let events = "SELECT string_agg(event_type, ' ' ORDER BY id) FROM deliveries";
    world.database.value(events).await.unwrap()
}

#[tokio::test]
async fn helpdesks_hear_of_each_change_once() {
    let (world, lease) = emptied().await;
    let another = world.another_store().await;

    let became = tokio::join!(fail(&world.store, NOW), fail(&another, NOW), fail(&world.store, NOW));
    assert_eq!([became.0, became.1, became.2].iter().filter(|&&became| became).count(), 1, "{became:?}");
    complete(&world.store, &lease).await;
    complete(&world.store, &lease).await;
    assert!(fail(&another, NOW).await, "and of the next one again");

    assert_eq!(events(&world).await, "mailbox.unhealthy mailbox.recovered mailbox.unhealthy");
}

#[tokio::test]
async fn what_may_end_by_itself_is_told_when_it_does_not() {
    let (world, lease) = emptied().await;

    assert!(!fail(&world.store, HOUR).await);
    complete(&world.store, &lease).await;
    assert!(!fail(&world.store, HOUR).await, "what ended counts no more");
    let long_ago = "UPDATE mailboxes SET failing_since = failing_since - interval '61 min'";
    world.database.rows(long_ago).await.unwrap();

    assert!(fail(&world.store, HOUR).await);
    assert_eq!(events(&world).await, "mailbox.unhealthy");
}

#[tokio::test]
async fn what_a_person_has_to_act_on_is_left_alone_for_half_of_the_time_it_has_failed() {
    let (world, lease) = emptied().await;
    for (failing_for, pause) in [("0 s", 120), ("3 min", 120), ("20 min", 600), ("5 h", 1_800)] {
        let since = format!("UPDATE mailboxes SET failing_since = now() - interval '{failing_for}'");
        world.database.rows(&since).await.unwrap();
        fail(&world.store, NOW).await;
        let left = world.store.pause_left("support").await.unwrap().unwrap().as_secs();
        assert!((pause - 20..=pause + 1).contains(&left), "{failing_for}: {left}");
    }
    // Unless one has acted since what failed was begun.
    let signed_in = "UPDATE mailboxes SET paused_until = NULL;
                     INSERT INTO oauth_tokens SELECT id, '', 1, now() - interval '30 s', now(), now() FROM mailboxes";
    world.database.rows(signed_in).await.unwrap();
    fail(&world.store, NOW).await;
    assert_eq!(world.store.pause_left("support").await.unwrap(), None);
    world.database.rows("DELETE FROM oauth_tokens").await.unwrap();
    fail(&world.store, NOW).await;

    world.store.release_lease(&lease).await.unwrap();
    let again = world.store.acquire_lease("support", &"another".into()).await.unwrap();
    assert!(again.is_none(), "by every worker");
    assert_eq!(world.store.backoff_left("support").await.unwrap(), None, "the server has not asked for it");
}

#[tokio::test]
async fn a_completed_poll_of_a_worker_that_lost_its_lease_changes_nothing() {
    let (world, lease) = emptied().await;
    fail(&world.store, NOW).await;
    world.database.rows("UPDATE mailboxes SET lease_epoch = lease_epoch + 1").await.unwrap();

    complete(&world.store, &lease).await;

    assert_eq!(events(&world).await, "mailbox.unhealthy");
}

#[tokio::test]
async fn events_of_a_mailbox_go_out_in_order_and_hold_up_no_ticket() {
    let (world, lease) = emptied().await;
    fail(&world.store, NOW).await;
    complete(&world.store, &lease).await;
    world.store_event(1, "evt_ticket").await;
    // The first of the mailbox waits for its next attempt.
    let later = "UPDATE deliveries SET next_attempt_at = now() + interval '1 h' WHERE event_type = 'mailbox.unhealthy'";
    world.database.rows(later).await.unwrap();

    world.cycle().await;
    assert_eq!(world.told(), ["evt_ticket"]);
    world.pass_time().await;
    world.cycle().await;

    let kinds: Vec<String> = world
        .helpdesk
        .requests()
        .iter()
        .skip(1)
        .map(|request| {
            let event: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
            assert_eq!(event["data"]["mailbox"], "support");
            assert_eq!(event["data"]["event_id"], request.header("webhook-id").unwrap());
            event["type"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(kinds, ["mailbox.unhealthy", "mailbox.recovered"]);
    assert_eq!(world.store.next_due(HELPDESK).await.unwrap(), None);
}

#[tokio::test]
async fn deliveries_about_a_mailbox_are_listed_with_the_others() {
    let (world, _lease) = emptied().await;
    fail(&world.store, NOW).await;
    world.store_event(7, "evt_ticket").await;

    let listed = world.store.list_deliveries(None, None, 10).await.unwrap();

    let about: Vec<_> = listed.iter().map(|line| (line.ticket, line.mailbox.as_deref())).collect();
    assert_eq!(about, [(Some(7), None), (None, Some("support"))]);
}

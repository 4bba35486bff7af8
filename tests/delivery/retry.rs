//! Dead deliveries that an operator has retried.

use std::time::Duration;

use postroom::delivery;
use postroom::delivery::Job;
use postroom::store::{DeliveryStatus, Fate, Finish, Finished, Health, NotRetried, Retried};
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::world::{HELPDESK, LEASE, LIMIT, World, limits};

const DEAD: Finish<'_> =
    Finish { fate: Fate::Dead, health: Health::Works, status: Some(422), error: Some("answered 422") };

fn retried(deliveries: i64) -> Retried {
    Retried { webhook: HELPDESK.to_owned(), deliveries, switched_on: false, switched_off: false }
}

fn ids(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|&id| id.to_owned()).collect()
}

/// Lets a delivery die by being refused three times.
async fn let_die(world: &World, event_id: &str) {
    world.helpdesk.answer(422);
    for _ in 0..3 {
        world.pass_time().await;
        world.cycle().await;
    }
    assert_eq!(world.delivery(event_id).await, "dead 3 422 answered 422");
    world.helpdesk.answer(200);
}

#[tokio::test]
async fn a_retried_delivery_has_its_id_its_bytes_and_the_whole_schedule() {
    let world = World::start().await;
    world.store_event(1, "evt_1").await;
    world.helpdesk.answer(503);
    let die = async || {
        for _ in 0..15 {
            world.pass_time().await;
            world.cycle().await;
        }
    };
    die().await;
    assert_eq!(world.delivery("evt_1").await, "dead 11 503 answered 503");

    assert_eq!(world.store.retry_events(&ids(&["evt_1"])).await.unwrap(), Ok(vec![retried(1)]));
    die().await;
    assert_eq!(world.delivery("evt_1").await, "dead 22 503 answered 503");
    assert_eq!(world.told().len(), 22);

    world.store.retry_events(&ids(&["evt_1"])).await.unwrap().unwrap();
    world.helpdesk.answer(200);
    world.pass_time().await;
    world.cycle().await;
    assert_eq!(world.delivery("evt_1").await, "delivered 23 200");
    let requests = world.helpdesk.requests();
    assert!(requests.iter().all(|request| request.header("webhook-id") == Some("evt_1")));
    assert!(requests.iter().all(|request| request.body == requests[0].body));
}

#[tokio::test]
async fn a_retried_delivery_goes_before_the_younger_ones_of_its_ticket() {
    let world = World::start().await;
    world.store_event(1, "evt_1a").await;
    let_die(&world, "evt_1a").await;
    world.store_event(1, "evt_1b").await;
    world.store_event(1, "evt_1c").await;
    let before = world.told().len();

    world.store.retry_events(&ids(&["evt_1a"])).await.unwrap().unwrap();
    world.cycle().await;

    assert_eq!(world.told()[before..], ["evt_1a", "evt_1b", "evt_1c"]);
}

#[tokio::test]
async fn a_claim_from_before_a_retry_cannot_finish_the_one_after() {
    let world = World::start().await;
    world.store_event(1, "evt_1").await;
    let late = world.store.claim(HELPDESK, 1, LEASE).await.unwrap().remove(0);
    world.store.finish(&late, &DEAD).await.unwrap();

    world.store.retry_all().await.unwrap();
    let delivered = Finish { fate: Fate::Delivered, health: Health::Works, status: Some(200), error: None };
    assert_eq!(world.store.finish(&late, &delivered).await.unwrap(), Finished::TakenOver);
    world.store.release(std::slice::from_ref(&late)).await.unwrap();
    assert_eq!(world.delivery("evt_1").await, "pending 1 422 answered 422", "nothing has changed");

    let claim = world.store.claim(HELPDESK, 1, LEASE).await.unwrap().remove(0);
    assert_eq!((claim.attempt, claim.counted_attempt), (2, 1));
    assert_eq!(world.store.finish(&late, &delivered).await.unwrap(), Finished::TakenOver);
    assert_eq!(world.store.finish(&claim, &delivered).await.unwrap(), Finished::Ours);
}

#[tokio::test]
async fn one_wrong_event_id_retries_nothing_and_is_named() {
    let world = World::start().await;
    world.store_event(1, "evt_dead").await;
    let_die(&world, "evt_dead").await;
    world.store_event(2, "evt_pending").await;

    let wrong = ids(&["evt_dead", "evt_pending", "evt_never"]);
    let refused = world.store.retry_events(&wrong).await.unwrap();

    let pending = ("evt_pending".to_owned(), DeliveryStatus::Pending);
    assert_eq!(refused, Err(NotRetried { unknown: ids(&["evt_never"]), not_dead: vec![pending] }));
    assert_eq!(world.count("status = 'dead'").await, 1);
}

#[tokio::test]
async fn retrying_a_webhook_switches_it_on_and_ends_its_pause() {
    let world = World::start().await;
    world.store_event(1, "evt_1").await;
    let_die(&world, "evt_1").await;
    world.store_event(2, "evt_2").await;
    world.helpdesk.answer_in_turn([410]);
    world.cycle().await;
    let paused = "UPDATE webhooks SET failures = 30, paused_until = now() + interval '1 day'";
    world.database.rows(paused).await.unwrap();

    let all = world.store.retry_all().await.unwrap();
    assert_eq!(all, [Retried { switched_off: true, ..retried(1) }], "this does not switch it on");
    world.cycle().await;
    assert_eq!(world.count("status = 'pending'").await, 2);

    let on = world.store.retry_webhook(HELPDESK).await.unwrap();
    assert_eq!(on, Some(Retried { switched_on: true, ..retried(0) }));
    world.cycle().await;
    assert_eq!(world.count("status = 'delivered'").await, 2);
    assert_eq!(world.store.retry_webhook(HELPDESK).await.unwrap(), Some(retried(0)), "it was on");
    assert_eq!(world.store.retry_webhook("other").await.unwrap(), None);
    assert_eq!(world.store.retry_all().await.unwrap(), [], "nothing is dead");
}

#[tokio::test]
async fn a_retry_of_one_webhook_leaves_the_others_dead() {
    let world = World::start().await;
    world.store_event(1, "evt_1").await;
    world
        .database
        .rows(
            "INSERT INTO webhooks (name, failures) VALUES ('other', 7);
             INSERT INTO deliveries (event_id, webhook, event_type, ticket_id, sequence, body)
             SELECT event_id, 'other', event_type, ticket_id, sequence, body FROM deliveries;
             UPDATE deliveries SET status = 'dead', attempt = 11, finished_at = now()",
        )
        .await
        .unwrap();

    assert_eq!(world.store.retry_webhook(HELPDESK).await.unwrap(), Some(retried(1)));

    assert_eq!(world.count("webhook = 'other' AND status = 'dead'").await, 1);
    assert_eq!(
        world.database.value("SELECT failures FROM webhooks WHERE name = 'other'").await.unwrap(),
        "7"
    );
    // An event that is dead at one webhook is retried there, whatever became of it elsewhere.
    let other = Retried { webhook: "other".to_owned(), ..retried(1) };
    assert_eq!(world.store.retry_events(&ids(&["evt_1"])).await.unwrap(), Ok(vec![other]));
}

#[tokio::test]
async fn a_retry_wakes_whoever_delivers() {
    let world = World::start().await;
    let mut listener = world.store.listen(LIMIT);
    let heard = async |listener: &mut postroom::store::Listener| {
        timeout(LIMIT, listener.wait()).await.expect("the listener hears of it").unwrap();
    };
    heard(&mut listener).await;

    world.store.retry_webhook(HELPDESK).await.unwrap();
    heard(&mut listener).await;

    world.store_event(1, "evt_1").await;
    let_die(&world, "evt_1").await;
    world.store.retry_events(&ids(&["evt_1"])).await.unwrap().unwrap();
    heard(&mut listener).await;

    // And what it wakes finds the delivery due at once.
    let (sender, limits, stop) = (world.sender(), limits(), CancellationToken::new());
    let job = Job { store: &world.store, sender: &sender, limits: &limits, wake: &Notify::new() };
    assert_eq!(world.store.next_due(HELPDESK).await.unwrap(), Some(Duration::ZERO));
    delivery::cycle(&job, &std::sync::Arc::default(), &stop).await.unwrap();
    assert_eq!(world.delivery("evt_1").await, "delivered 4 200");
}

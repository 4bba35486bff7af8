//! The flow: what a helpdesk hears of, in which order, and what the tables say of it afterwards.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use devstack::{Answer, Durability, Postgres};
use postroom::config;
use postroom::delivery;
use postroom::delivery::{Job, Tally};
use postroom::webhook::Sender;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::world::{HELPDESK, LIMIT, World, limits, webhook};

/// Answers 500 to some events, and 200 to all others.
fn refuse(world: &World, refused: &'static [&'static str]) {
    world.helpdesk.answer_with(move |request| {
        let event_id = request.header("webhook-id").unwrap();
        Answer::status(if refused.contains(&event_id) { 500 } else { 200 })
    });
}

#[tokio::test]
async fn a_delivery_is_made_once() {
    let world = World::start().await;
    world.store_event(1, "evt_1").await;

    let tally = world.cycle().await;
    let idle = world.cycle().await;

    assert_eq!(world.told(), ["evt_1"]);
    assert_eq!(world.delivery("evt_1").await, "delivered 1 200");
    assert_eq!(world.count("finished_at IS NOT NULL AND lease_until IS NULL").await, 1);
    assert_eq!((tally.delivered.load(Ordering::Relaxed), tally.work()), (1, 1));
    assert_eq!(idle.work(), 0);
}

#[tokio::test]
async fn a_backlog_is_worked_off_by_two_workers_together() {
    let world = World::start().await;
    for n in 0..60 {
        world.store_event(n % 20, &format!("evt_{n}")).await;
    }

    let (ours, theirs) = tokio::join!(world.cycle(), world.cycle());

    assert_eq!(ours.work() + theirs.work(), 60);
    assert_eq!(world.count("status = 'delivered' AND attempt = 1").await, 60);
    let told = world.told();
    assert_eq!((told.len(), told.iter().collect::<BTreeSet<_>>().len()), (60, 60), "none twice");
    for ticket in 0..20_usize {
        let of_ticket: Vec<usize> = told
            .iter()
            .map(|id| id.trim_start_matches("evt_").parse().unwrap())
            .filter(|n| n % 20 == ticket)
            .collect();
        assert_eq!(of_ticket, [ticket, ticket + 20, ticket + 40]);
    }
}

#[tokio::test]
async fn a_failing_delivery_holds_back_its_ticket_and_no_other() {
    let world = World::start().await;
    for (ticket, event_id) in [(1, "evt_1a"), (1, "evt_1b"), (2, "evt_2a"), (2, "evt_2b")] {
        world.store_event(ticket, event_id).await;
    }
    refuse(&world, &["evt_1a"]);

    let tally = world.cycle().await;

    assert_eq!(tally.failed.load(Ordering::Relaxed), 1);
    assert_eq!(world.delivery("evt_1a").await, "pending 1 500 answered 500");
    assert_eq!(world.delivery("evt_1b").await, "pending 0");
    assert_eq!(world.count("status = 'delivered'").await, 2);
    assert_eq!(world.count("next_attempt_at BETWEEN now() + '3 s' AND now() + '6 s'").await, 1);

    refuse(&world, &[]);
    world.pass_time().await;
    world.cycle().await;

    let told = world.told();
    assert_eq!(told[told.len() - 2..], ["evt_1a", "evt_1b"]);
    let mut bodies = world.helpdesk.requests().into_iter();
    let mut first = bodies.by_ref().filter(|request| request.header("webhook-id") == Some("evt_1a"));
    assert_eq!(first.next().unwrap().body, first.next().unwrap().body, "the same bytes in every attempt");
}

#[tokio::test]
async fn a_hanging_delivery_holds_back_its_ticket_and_no_other() {
    let world = World::start().await;
    world.helpdesk.answer_with(|request| {
        let answer = Answer::status(200);
        if request.header("webhook-id") == Some("evt_hangs") { answer.held() } else { answer }
    });
    for (ticket, event_id) in [(1, "evt_hangs"), (1, "evt_behind"), (2, "evt_2"), (3, "evt_3"), (4, "evt_4")]
    {
        world.store_event(ticket, event_id).await;
    }
    let two_at_once = config::Delivery { concurrency: 2, ..limits() };
    let (sender, wake, tally) = (world.sender(), Notify::new(), Arc::default());
    let job = Job { store: &world.store, sender: &sender, limits: &two_at_once, wake: &wake };
    let stop = CancellationToken::new();

    let helpdesk = async {
        world.helpdesk.wait_for(4, LIMIT).await.unwrap();
        // What comes later goes out as well, while the first still hangs.
        world.store_event(5, "evt_5").await;
        wake.notify_one();
        world.helpdesk.wait_for(5, LIMIT).await.unwrap();
        assert!(!world.told().contains(&"evt_behind".to_owned()));
        world.helpdesk.release();
    };
    let (ended, ()) = tokio::join!(delivery::cycle(&job, &tally, &stop), helpdesk);

    ended.unwrap();
    assert_eq!(world.told().last().unwrap(), "evt_behind");
    assert_eq!(world.count("status = 'delivered' AND attempt = 1").await, 6);
}

#[tokio::test]
async fn no_more_requests_are_under_way_than_configured() {
    let world = World::start().await;
    world.helpdesk.answer_with(|request| {
        let answer = Answer::status(200);
        if request.header("webhook-id") == Some("evt_0") { answer } else { answer.held() }
    });
    for ticket in 0..6 {
        world.store_event(ticket, &format!("evt_{ticket}")).await;
    }
    let three = config::Delivery { concurrency: 3, ..limits() };
    let (sender, tally, stop) = (world.sender(), Arc::default(), CancellationToken::new());
    let job = Job { store: &world.store, sender: &sender, limits: &three, wake: &Notify::new() };

    let helpdesk = async {
        // The first three, and one in the place of evt_0, which alone is answered.
        world.helpdesk.wait_for(4, LIMIT).await.unwrap();
        assert_eq!(world.count("lease_until IS NOT NULL").await, 3);
        world.helpdesk.answer(200);
        world.helpdesk.release();
    };
    let (ended, ()) = tokio::join!(delivery::cycle(&job, &tally, &stop), helpdesk);

    ended.unwrap();
    assert_eq!(tally.delivered.load(Ordering::Relaxed), 6);
}

#[tokio::test]
async fn a_stop_finishes_what_is_under_way_and_starts_nothing() {
    let world = World::start().await;
    world.helpdesk.answer(Answer::status(200).held());
    for ticket in 0..3 {
        world.store_event(ticket, &format!("evt_{ticket}")).await;
    }
    let one = config::Delivery { concurrency: 1, ..limits() };
    let (sender, tally, stop): (_, Arc<Tally>, _) =
        (world.sender(), Arc::default(), CancellationToken::new());
    let job = Job { store: &world.store, sender: &sender, limits: &one, wake: &Notify::new() };

    let helpdesk = async {
        world.helpdesk.wait_for(1, LIMIT).await.unwrap();
        stop.cancel();
        world.helpdesk.release();
    };
    let (ended, ()) = tokio::join!(delivery::cycle(&job, &tally, &stop), helpdesk);

    ended.unwrap();
    assert_eq!(world.delivery("evt_0").await, "delivered 1 200");
    assert_eq!(world.count("status = 'pending' AND attempt = 0 AND lease_until IS NULL").await, 2);
}

#[tokio::test]
async fn a_stop_during_a_claim_gives_it_back() {
    let world = World::start().await;
    world.store_event(1, "evt_1").await;
    let (sender, limits, tally, stop) = (world.sender(), limits(), Arc::default(), CancellationToken::new());
    let job = Job { store: &world.store, sender: &sender, limits: &limits, wake: &Notify::new() };
    let lock = world.lock("LOCK TABLE deliveries").await;

    let operator = async {
        lock.is_awaited_by(1).await;
        stop.cancel();
        lock.release().await;
    };
    let (ended, ()) = tokio::join!(delivery::cycle(&job, &tally, &stop), operator);

    ended.unwrap();
    assert!(world.told().is_empty());
    assert_eq!(world.count("status = 'pending' AND attempt = 0 AND lease_until IS NULL").await, 1);
}

#[tokio::test]
async fn a_cut_cycle_leaves_its_deliveries_to_be_taken_over() {
    let world = World::start().await;
    world.helpdesk.answer_in_turn([Answer::status(200).held()]);
    world.store_event(1, "evt_1").await;
    let (sender, limits, tally, stop) = (world.sender(), limits(), Arc::default(), CancellationToken::new());
    let job = Job { store: &world.store, sender: &sender, limits: &limits, wake: &Notify::new() };

    tokio::select! {
        _ = delivery::cycle(&job, &tally, &stop) => panic!("the helpdesk has not answered"),
        _ = world.helpdesk.wait_for(1, LIMIT) => {}
    }
    world.cycle().await;
    assert_eq!(world.told().len(), 1, "the lease lives");
    world.pass_time().await;
    world.cycle().await;

    assert_eq!(world.told(), ["evt_1", "evt_1"]);
    assert_eq!(world.delivery("evt_1").await, "delivered 2 200");
}

#[tokio::test]
async fn a_database_that_went_away_costs_one_more_attempt_of_what_was_under_way() {
    let mut postgres = Postgres::start(Durability::Processes).await.unwrap();
    let world = World::on(&postgres).await;
    world.helpdesk.answer_in_turn([Answer::status(200).held()]);
    world.store_event(1, "evt_1").await;
    let (sender, limits, tally, stop) = (world.sender(), limits(), Arc::default(), CancellationToken::new());
    let job = Job { store: &world.store, sender: &sender, limits: &limits, wake: &Notify::new() };

    let outage = async {
        world.helpdesk.wait_for(1, LIMIT).await.unwrap();
        postgres.stop().await.unwrap();
        world.helpdesk.release();
    };
    let (ended, ()) = tokio::join!(delivery::cycle(&job, &tally, &stop), outage);
    ended.unwrap_err();

    postgres.start_again().await.unwrap();
    world.pass_time().await;
    world.cycle().await;
    assert_eq!(world.told(), ["evt_1", "evt_1"]);
    assert_eq!(world.delivery("evt_1").await, "delivered 2 200");
}

#[tokio::test]
async fn gone_switches_the_webhook_off() {
    let world = World::start().await;
    world.store_event(1, "evt_1").await;
    world.helpdesk.answer_in_turn([410]);

    world.cycle().await;
    world.store_event(2, "evt_2").await;
    world.pass_time().await;
    world.cycle().await;

    assert_eq!(world.told(), ["evt_1"]);
    assert_eq!(world.delivery("evt_1").await, "pending 1 410 answered 410");
    let switched_off = "SELECT switched_off_at IS NOT NULL FROM webhooks";
    assert_eq!(world.database.value(switched_off).await.unwrap(), "t");
}

#[tokio::test]
async fn too_many_requests_gives_the_webhook_the_rest_it_asks_for() {
    let world = World::start().await;
    world.store_event(1, "evt_1").await;
    world.helpdesk.answer_in_turn([Answer::status(429).retry_after("600")]);

    world.cycle().await;
    world.store_event(2, "evt_2").await;
    world.cycle().await;

    assert_eq!(world.told(), ["evt_1"], "it asked not to be sent anything");
    let due = world.store.next_due(HELPDESK).await.unwrap().unwrap();
    assert!(due <= Duration::from_secs(600) && due > Duration::from_secs(540), "{due:?}");
    assert_eq!(world.count("next_attempt_at > now() + '540 s' AND event_id = 'evt_1'").await, 1);

    world.pass_time().await;
    world.cycle().await;
    assert_eq!(world.count("status = 'delivered'").await, 2);
}

#[tokio::test]
async fn a_rejected_delivery_dies_after_three_tries_and_frees_its_ticket() {
    let world = World::start().await;
    world.store_event(1, "evt_1a").await;
    world.store_event(1, "evt_1b").await;
    world.helpdesk.answer_in_turn([400, 422, 413]);

    for _ in 0..3 {
        let failures = "SELECT failures FROM webhooks";
        assert_eq!(world.database.value(failures).await.unwrap(), "0", "the webhook works");
        world.cycle().await;
        world.pass_time().await;
    }

    assert_eq!(world.told(), ["evt_1a", "evt_1a", "evt_1a", "evt_1b"]);
    assert_eq!(world.delivery("evt_1a").await, "dead 3 413 answered 413");
    assert_eq!(world.delivery("evt_1b").await, "delivered 1 200");
}

#[tokio::test]
async fn a_delivery_that_always_fails_dies_visibly() {
    let world = World::start().await;
    world.store_event(1, "evt_1").await;
    world.helpdesk.answer(503);

    for _ in 0..15 {
        world.pass_time().await;
        world.cycle().await;
    }

    assert_eq!(world.told().len(), 11);
    assert_eq!(world.delivery("evt_1").await, "dead 11 503 answered 503");
}

#[tokio::test]
async fn a_webhook_that_is_down_is_probed_by_one_request() {
    let world = World::start().await;
    for ticket in 0..20 {
        world.store_event(ticket, &format!("evt_{ticket}")).await;
    }
    world.helpdesk.answer(503);

    world.cycle().await;
    let at_first = world.told().len();
    assert!((5..=12).contains(&at_first), "not all 20 were tried: {at_first}");
    world.pass_time().await;
    tokio::join!(world.cycle(), world.cycle());
    assert_eq!(world.told().len(), at_first + 1, "two workers, one probe");

    world.helpdesk.answer(200);
    world.pass_time().await;
    world.cycle().await;
    assert_eq!(world.count("status = 'delivered'").await, 20);
}

#[tokio::test]
async fn trouble_is_written_down_in_words() {
    let world = World::start().await;
    world.store_event(1, "evt_1").await;
    world.helpdesk.answer(Answer::status(200).held());
    let hasty = config::Webhook { timeout: Duration::from_millis(300), ..webhook(&world.helpdesk.url()) };
    let (sender, limits) = (Arc::new(Sender::new(&hasty, 1024).unwrap()), limits());
    let job = Job { store: &world.store, sender: &sender, limits: &limits, wake: &Notify::new() };

    delivery::cycle(&job, &Arc::default(), &CancellationToken::new()).await.unwrap();

    assert_eq!(world.delivery("evt_1").await, "pending 1 too slow: no answer in time");
    let last_error = "SELECT last_error FROM webhooks";
    assert_eq!(world.database.value(last_error).await.unwrap(), "too slow: no answer in time");
}

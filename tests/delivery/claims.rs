//! The outbox alone: who may attempt what, and whose word counts.

use std::collections::BTreeSet;
use std::time::Duration;

use devstack::poll;
use postroom::store::{BREAKS_AT, Claim, DeliveryStatus, Fate, Finish, Finished, Health, Store};

use crate::world::{HELPDESK, LEASE, LIMIT, World};

const DELIVERED: Finish<'_> =
    Finish { fate: Fate::Delivered, health: Health::Works, status: Some(200), error: None };

const PAUSE: Duration = Duration::from_secs(100);

/// A failure after which the delivery is due again at once.
const FAILED: Finish<'_> = Finish {
    fate: Fate::Retry { after: Duration::ZERO },
    health: Health::Fails { rest: None, probe_pause: PAUSE },
    status: Some(503),
    error: Some("answered 503"),
};

async fn claim(store: &Store, limit: usize) -> Vec<Claim> {
    store.claim(HELPDESK, limit, LEASE).await.unwrap()
}

/// Claims the one delivery that can be claimed.
async fn claim_one(store: &Store) -> Claim {
    let mut claims = claim(store, 10).await;
    assert_eq!(claims.len(), 1, "{claims:?}");
    claims.remove(0)
}

fn ids(claims: &[Claim]) -> Vec<&str> {
    claims.iter().map(|claim| claim.event_id.as_str()).collect()
}

/// Takes a webhook down to its breaker.
async fn break_down(world: &World) {
    for _ in 0..BREAKS_AT {
        let claim = claim_one(&world.store).await;
        world.store.finish(&claim, &FAILED).await.unwrap();
    }
}

#[tokio::test]
async fn two_claimers_share_without_overlap() {
    let world = World::start().await;
    for ticket in 0..40 {
        world.store_event(ticket, &format!("evt_{ticket}")).await;
    }
    let (one, other) = (world.store.clone(), world.another_store().await);
    let take = async |store: &Store| {
        let mut claimed = Vec::new();
        loop {
            let claims = claim(store, 3).await;
            if claims.is_empty() {
                return claimed;
            }
            claimed.extend(claims.into_iter().map(|claim| claim.event_id));
        }
    };

    let (ours, theirs) = tokio::join!(take(&one), take(&other));

    assert!(!ours.is_empty() && !theirs.is_empty(), "both were at it");
    let all: BTreeSet<&String> = ours.iter().chain(&theirs).collect();
    assert_eq!((ours.len() + theirs.len(), all.len()), (40, 40));
}

#[tokio::test]
async fn a_claim_takes_the_longest_due_first() {
    let world = World::start().await;
    for (ticket, event_id) in [(1, "evt_1"), (2, "evt_2"), (3, "evt_3")] {
        world.store_event(ticket, event_id).await;
    }
    let overdue = "UPDATE deliveries SET next_attempt_at = now() - interval '1 h' WHERE event_id = 'evt_3'";
    world.database.rows(overdue).await.unwrap();

    assert_eq!(ids(&claim(&world.store, 2).await), ["evt_3", "evt_1"]);
    assert_eq!(ids(&claim(&world.store, 2).await), ["evt_2"]);
}

#[tokio::test]
async fn a_claim_reads_little_of_a_long_backlog() {
    let world = World::start().await;
    world.store_event(1, "evt_1").await;
    // With no statistics of it, as in the first minute after a large mailbox was emptied.
    let backlog = "ALTER TABLE deliveries SET (autovacuum_enabled = off);
                   INSERT INTO tickets
                   SELECT lpad(n::text, 32, '0')::uuid, n, mailbox_id, subject, requester_name, requester_address,
                          status, message_count, first_message_at, last_message_at, created_at
                   FROM tickets, generate_series(2, 5000) AS n;
                   INSERT INTO deliveries (event_id, webhook, event_type, ticket_id, sequence, body)
                   SELECT 'evt_' || t.number, d.webhook, d.event_type, t.id, 1, d.body
                   FROM deliveries d, tickets t WHERE t.number > 1";
    world.database.rows(backlog).await.unwrap();

    let other = world.another_store().await;
    assert_eq!(claim(&other, 8).await.len(), 8);
    assert_eq!(other.next_due(HELPDESK).await.unwrap(), Some(Duration::ZERO));

    // A connection that ends hands in what it has counted.
    other.close().await;
    let counted = "SELECT idx_tup_read FROM pg_stat_user_indexes
                   WHERE indexrelname = 'deliveries_due' AND idx_scan >= 2";
    let read = poll::until("the counts", LIMIT, async || world.database.value(counted).await).await.unwrap();
    assert!(read.parse::<u32>().unwrap() < 100, "{read} entries were read");
}

#[tokio::test]
async fn only_the_oldest_pending_delivery_of_a_ticket_can_be_claimed() {
    let world = World::start().await;
    for (ticket, event_id) in [(1, "evt_1a"), (1, "evt_1b"), (2, "evt_2a"), (1, "evt_1c")] {
        world.store_event(ticket, event_id).await;
    }

    let claims = claim(&world.store, 10).await;
    assert_eq!(ids(&claims), ["evt_1a", "evt_2a"]);

    // Not while the first waits for its next attempt either.
    let later = Finish { fate: Fate::Retry { after: LEASE }, ..FAILED };
    world.store.finish(&claims[0], &later).await.unwrap();
    assert!(claim(&world.store, 10).await.is_empty());

    // A dead one blocks nothing.
    world.pass_time().await;
    let claims = claim(&world.store, 1).await;
    assert_eq!(ids(&claims), ["evt_1a"]);
    world.store.finish(&claims[0], &Finish { fate: Fate::Dead, ..FAILED }).await.unwrap();
    let claims = claim(&world.store, 10).await;
    assert_eq!(ids(&claims), ["evt_1b", "evt_2a"], "evt_2a's lease is over, too");
}

#[tokio::test]
async fn an_expired_lease_is_taken_over_and_the_late_writer_is_fenced_off() {
    let world = World::start().await;
    world.store_event(1, "evt_1").await;
    let late = claim_one(&world.store).await;
    assert!(claim(&world.store, 10).await.is_empty(), "the lease lives");
    world.pass_time().await;

    let successor = claim_one(&world.another_store().await).await;

    assert_eq!((late.attempt, successor.attempt), (1, 2));
    assert_eq!(world.store.finish(&late, &FAILED).await.unwrap(), Finished::TakenOver);
    assert_eq!(world.delivery("evt_1").await, "pending 2");
    let failures = "SELECT failures FROM webhooks";
    assert_eq!(
        world.database.value(failures).await.unwrap(),
        "0",
        "its word does not count for the webhook either"
    );

    assert_eq!(world.store.finish(&successor, &DELIVERED).await.unwrap(), Finished::Ours);
    assert_eq!(world.delivery("evt_1").await, "delivered 2 200");
    assert_eq!(world.store.finish(&successor, &FAILED).await.unwrap(), Finished::TakenOver);
    assert_eq!(world.delivery("evt_1").await, "delivered 2 200");
}

#[tokio::test]
async fn a_released_claim_was_never_made() {
    let world = World::start().await;
    world.store_event(1, "evt_1").await;
    let claims = claim(&world.store, 10).await;

    world.store.release(&claims).await.unwrap();

    assert_eq!(world.delivery("evt_1").await, "pending 0");
    let again = claim_one(&world.store).await;
    assert_eq!(again.attempt, 1);
    world.pass_time().await;
    claim_one(&world.store).await;
    world.store.release(&[again]).await.unwrap();
    assert_eq!(world.delivery("evt_1").await, "pending 2", "only its holder can release it");
}

#[tokio::test]
async fn one_probe_at_a_time_goes_to_a_webhook_that_is_down() {
    let world = World::start().await;
    world.store_event(1, "evt_1").await;
    break_down(&world).await;
    for ticket in 2..10 {
        world.store_event(ticket, &format!("evt_{ticket}")).await;
    }
    assert!(claim(&world.store, 10).await.is_empty(), "it is left alone at first");
    world.pass_time().await;

    let (one, other) = (world.store.clone(), world.another_store().await);
    let lock = world.lock("LOCK TABLE deliveries").await;
    let meet = async {
        lock.is_awaited_by(2).await;
        lock.release().await;
    };
    let (ours, theirs, ()) = tokio::join!(claim(&one, 10), claim(&other, 10), meet);
    assert_eq!(ours.len() + theirs.len(), 1, "one of them probes");
    let probe = ours.into_iter().chain(theirs).next().unwrap();

    assert_eq!(world.store.finish(&probe, &FAILED).await.unwrap(), Finished::Ours);
    assert!(claim(&other, 10).await.is_empty(), "it is left alone after a failed probe");
    let due = world.store.next_due(HELPDESK).await.unwrap().unwrap();
    assert!(due <= PAUSE && due > PAUSE / 2, "not the probe's lease decides: {due:?}");

    world.pass_time().await;
    let probe = claim_one(&other).await;
    world.store.finish(&probe, &DELIVERED).await.unwrap();
    assert_eq!(claim(&world.store, 10).await.len(), 8, "all at once after a good one");
}

#[tokio::test]
async fn a_probe_that_dies_with_its_worker_is_replaced() {
    let world = World::start().await;
    world.store_event(1, "evt_1").await;
    break_down(&world).await;
    world.pass_time().await;
    let abandoned = claim_one(&world.store).await;
    let due = world.store.next_due(HELPDESK).await.unwrap().unwrap();
    assert!(due > LEASE / 2, "until its lease ends nobody probes: {due:?}");

    world.pass_time().await;
    let probe = claim_one(&world.another_store().await).await;
    assert_eq!(probe.attempt, abandoned.attempt + 1);

    world.store.release(&[probe]).await.unwrap();
    claim_one(&world.store).await;
}

#[tokio::test]
async fn a_success_ends_no_pause_that_was_asked_for() {
    let world = World::start().await;
    for ticket in 1..=3 {
        world.store_event(ticket, &format!("evt_{ticket}")).await;
    }
    let claims = claim(&world.store, 2).await;
    let busy = Finish { health: Health::Fails { rest: Some(LEASE), probe_pause: PAUSE }, ..FAILED };
    world.store.finish(&claims[0], &busy).await.unwrap();

    world.store.finish(&claims[1], &DELIVERED).await.unwrap();

    assert!(claim(&world.store, 10).await.is_empty());
    let due = world.store.next_due(HELPDESK).await.unwrap().unwrap();
    assert!(due <= LEASE && due > LEASE / 2, "{due:?}");
    world.pass_time().await;
    assert_eq!(ids(&claim(&world.store, 10).await), ["evt_3", "evt_1"]);
}

#[tokio::test]
async fn a_webhook_that_is_gone_gets_nothing_until_it_is_switched_on() {
    let world = World::start().await;
    world.store_event(1, "evt_1").await;
    world.store_event(2, "evt_2").await;
    let claims = claim(&world.store, 1).await;
    let gone = Finish { health: Health::Gone, status: Some(410), error: Some("answered 410"), ..FAILED };
    world.store.finish(&claims[0], &gone).await.unwrap();

    world.pass_time().await;
    assert!(claim(&world.store, 10).await.is_empty());
    assert_eq!(world.store.next_due(HELPDESK).await.unwrap(), None);
    world.store.register_webhooks(&[HELPDESK]).await.unwrap();
    assert!(claim(&world.store, 10).await.is_empty(), "a restart does not switch it on");

    world.database.rows("UPDATE webhooks SET switched_off_at = NULL").await.unwrap();
    assert_eq!(claim(&world.store, 10).await.len(), 2);
}

#[tokio::test]
async fn the_next_due_time_is_that_of_what_can_be_claimed() {
    let world = World::start().await;
    let next_due = async || world.store.next_due(HELPDESK).await.unwrap();
    assert_eq!(next_due().await, None, "nothing is pending");

    world.store_event(1, "evt_1a").await;
    world.store_event(1, "evt_1b").await;
    assert_eq!(next_due().await, Some(Duration::ZERO));

    let first = claim_one(&world.store).await;
    let leased = next_due().await.unwrap();
    assert!(leased <= LEASE && leased > LEASE / 2, "evt_1b waits for evt_1a: {leased:?}");

    let later = Finish { fate: Fate::Retry { after: PAUSE }, ..FAILED };
    world.store.finish(&first, &later).await.unwrap();
    let retry = next_due().await.unwrap();
    assert!(retry <= PAUSE && retry > PAUSE / 2, "{retry:?}");
}

#[tokio::test]
async fn deliveries_are_listed_newest_first() {
    let world = World::start().await;
    world.store_event(7, "evt_1").await;
    world.store_event(8, "evt_2").await;
    let claims = claim(&world.store, 1).await;
    world.store.finish(&claims[0], &Finish { fate: Fate::Dead, ..FAILED }).await.unwrap();

    let list = async |webhook, status, limit| {
        let lines = world.store.list_deliveries(webhook, status, limit).await.unwrap();
        lines.into_iter().map(|line| line.event_id).collect::<Vec<_>>()
    };
    assert_eq!(list(None, None, 10).await, ["evt_2", "evt_1"]);
    assert_eq!(list(None, None, 1).await, ["evt_2"]);
    assert_eq!(list(Some(HELPDESK), Some(DeliveryStatus::Pending), 10).await, ["evt_2"]);
    assert!(list(Some("other"), None, 10).await.is_empty());

    let dead = world.store.list_deliveries(None, Some(DeliveryStatus::Dead), 10).await.unwrap().remove(0);
    assert_eq!((dead.ticket, dead.attempt, dead.last_status), (Some(7), 1, Some(503)));
    assert_eq!(dead.last_error.as_deref(), Some("answered 503"));
    assert!(dead.finished_at.is_some() && dead.next_attempt_at.is_none());
}

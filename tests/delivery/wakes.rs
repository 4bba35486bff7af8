//! What ends a wait between cycles.

use std::time::Duration;

use postroom::delivery;
use postroom::delivery::Job;
use postroom::store::Listener;
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::world::{LIMIT, World, limits};

async fn heard(listener: &mut Listener) {
    timeout(LIMIT, listener.wait()).await.expect("the listener hears of it").unwrap();
}

async fn notify(world: &World) {
    world.database.rows("NOTIFY postroom_deliveries").await.unwrap();
}

#[tokio::test]
async fn a_notification_is_heard_also_after_the_connection_was_lost() {
    let world = World::start().await;
    let mut listener = world.store.listen(LIMIT);
    heard(&mut listener).await;

    notify(&world).await;
    heard(&mut listener).await;

    let quiet = timeout(Duration::from_millis(50), listener.wait()).await;
    assert!(quiet.is_err(), "nothing to hear");

    let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
               WHERE datname = current_database() AND query LIKE 'LISTEN%'";
    assert_eq!(world.database.value(cut).await.unwrap(), "1");
    // Whether this is an error depends on how the end shows; after it, or instead of it, comes a wake-up.
    if timeout(LIMIT, listener.wait()).await.expect("the end is noticed").is_err() {
        heard(&mut listener).await;
    }
    notify(&world).await;
    heard(&mut listener).await;
}

#[tokio::test]
async fn a_wait_ends_by_wake_by_what_is_due_by_the_clock_and_by_stop() {
    let world = World::start().await;
    let (sender, wake, stop) = (world.sender(), Notify::new(), CancellationToken::new());
    let hourly = limits();
    let job = Job { store: &world.store, sender: &sender, limits: &hourly, wake: &wake };
    let wait = async |job: &Job<'_>| {
        timeout(LIMIT, delivery::wait(job, &stop)).await.expect("the wait ends").unwrap();
    };

    wake.notify_one();
    wait(&job).await;

    let often = postroom::config::Delivery { poll_interval: Duration::from_millis(1), ..limits() };
    wait(&Job { limits: &often, ..job }).await;

    world.store_event(1, "evt_1").await;
    wait(&job).await;

    let soon = "UPDATE deliveries SET next_attempt_at = now() + interval '100 ms'";
    world.database.rows(soon).await.unwrap();
    wait(&job).await;
    assert_eq!(world.count("next_attempt_at <= now()").await, 1, "not before it was due");

    world.database.rows("UPDATE deliveries SET next_attempt_at = now() + interval '1 h'").await.unwrap();
    stop.cancel();
    wait(&job).await;
}

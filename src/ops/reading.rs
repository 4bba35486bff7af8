//! The store's gauges for the ops endpoint: bounded in time, and asked for once however many scrape and probe.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};
use tracing::{info, warn};

use crate::store::{Gauges, Store};

/// How long the database may take, the wait for a connection included. Below the timeout of the probes in `deploy/`.
const LIMIT: Duration = Duration::from_secs(3);

/// Reads the gauges; holds the last answer.
#[derive(Debug)]
pub(super) struct Readings {
    store: Store,
    max_age: Duration,
    last: Mutex<Option<Reading>>,
}

#[derive(Debug)]
struct Reading {
    at: Instant,
    gauges: Result<Arc<Gauges>, DatabaseAway>,
}

/// The database did not answer. Why is in the log: its words may name what does not belong on this endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum DatabaseAway {
    #[error("the database did not answer within {}", humantime::format_duration(LIMIT))]
    Silent,
    #[error("the database could not be asked; the log says why")]
    Failed,
}

impl Readings {
    pub(super) fn new(store: Store, max_age: Duration) -> Self {
        Self { store, max_age, last: Mutex::new(None) }
    }

    /// The gauges as of at most `max_age` ago. An answer that failed is held as long as one that did not, and
    /// whoever asks meanwhile waits for the one that is asking: a database in trouble is not asked more often.
    pub(super) async fn latest(&self) -> Result<Arc<Gauges>, DatabaseAway> {
        let mut last = self.last.lock().await;
        if let Some(reading) = last.as_ref()
            && reading.at.elapsed() < self.max_age
        {
            return reading.gauges.clone();
        }
        let was_away = last.as_ref().is_some_and(|reading| reading.gauges.is_err());
        let gauges = self.read(was_away).await;
        if was_away && gauges.is_ok() {
            info!("the database answers the ops endpoint again");
        }
        *last = Some(Reading { at: Instant::now(), gauges: gauges.clone() });
        gauges
    }

    /// Logs why it failed, but only the first time of several.
    async fn read(&self, was_away: bool) -> Result<Arc<Gauges>, DatabaseAway> {
        match timeout(LIMIT, self.store.gauges()).await {
            Ok(Ok(gauges)) => Ok(Arc::new(gauges)),
            Ok(Err(error)) => {
                if !was_away {
                    warn!(
                        error = &error as &dyn std::error::Error,
                        "the ops endpoint could not ask the database"
                    );
                }
                Err(DatabaseAway::Failed)
            }
            Err(_elapsed) => {
                if !was_away {
                    warn!(limit = ?LIMIT, "the database did not answer the ops endpoint in time");
                }
                Err(DatabaseAway::Silent)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use devstack::Postgres;

    use super::*;
    use crate::config;

    async fn store() -> Store {
        let database = Postgres::shared().await.unwrap().database().await.unwrap();
        let database = config::Database {
            url: database.url().into(),
            max_connections: 2,
            connect_timeout: Duration::from_secs(10),
        };
        Store::connect(&database).await.unwrap()
    }

    #[tokio::test]
    async fn a_young_answer_is_handed_out_again() {
        let store = store().await;
        store.migrate().await.unwrap();
        let readings = Readings::new(store, Duration::MAX);

        let (first, second) = tokio::join!(readings.latest(), readings.latest());

        assert!(Arc::ptr_eq(&first.unwrap(), &second.unwrap()));
    }

    #[tokio::test]
    async fn an_old_answer_is_not() {
        let store = store().await;
        store.migrate().await.unwrap();
        let readings = Readings::new(store, Duration::ZERO);

        let (first, second) = tokio::join!(readings.latest(), readings.latest());

        assert!(!Arc::ptr_eq(&first.unwrap(), &second.unwrap()));
    }

    #[tokio::test]
    async fn a_young_failure_stands_too() {
        let store = store().await;
        let readings = Readings::new(store.clone(), Duration::MAX);
        assert_eq!(readings.latest().await, Err(DatabaseAway::Failed));

        store.migrate().await.unwrap();

        assert_eq!(readings.latest().await, Err(DatabaseAway::Failed));
    }
}

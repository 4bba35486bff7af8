//! Hearing of new deliveries at once, by PostgreSQL's NOTIFY.
//!
//! Only ever a wake-up. A notification can be missed (while the connection is lost, or behind a pooler that
//! does not pass them on), so whoever waits here also looks by the clock.

use std::time::Duration;

use sqlx::AssertSqlSafe;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use tokio::time::timeout;

use crate::store;
use crate::store::{Error, Store};

/// Notified by the commit that stores deliveries.
pub(super) const CHANNEL: &str = "postroom_deliveries";

/// Hears of new deliveries, over a connection of its own.
///
/// Not one of the pool's: a listener that is dropped waits for its connection's answer before it gives it back, and
/// one that has fallen silent would keep its place.
pub struct Listener {
    options: PgConnectOptions,
    patience: Duration,
    /// None until the first wait, and after an error.
    connected: Option<PgListener>,
}

impl Store {
    /// A listener that connects when it is first waited on. When it has heard nothing for `patience`, it looks
    /// whether its connection is still there.
    pub fn listen(&self, patience: Duration) -> Listener {
        let options = PgConnectOptions::clone(&self.pool.connect_options());
        Listener { options, patience, connected: None }
    }
}

impl Listener {
    /// Waits until there may be new deliveries: after a notification, and after each time that a connection
    /// was made, for some may have been missed before.
    ///
    /// # Errors
    /// When there is no connection. The next call makes one; pause before it.
    pub async fn wait(&mut self) -> Result<(), Error> {
        let Some(listener) = &mut self.connected else {
            let connected = timeout(store::ACQUIRE_TIMEOUT, connect(&self.options)).await;
            self.connected = Some(connected.unwrap_or_else(|_| Err(store::silent()))?);
            return Ok(());
        };
        let ended = loop {
            match timeout(self.patience, listener.try_recv()).await {
                // Or None: the connection was lost and made again.
                Ok(Ok(_)) => return Ok(()),
                Ok(Err(error)) => break error,
                // Nothing to hear, or nobody there. No error tells of a connection that a firewall has forgotten.
                Err(_) => {
                    // What it has said before, so that `pg_stat_activity` goes on telling what it is for.
                    let again = sqlx::raw_sql(AssertSqlSafe(format!("LISTEN {CHANNEL}")));
                    match timeout(store::SIGN_OF_LIFE, again.execute(&mut *listener)).await {
                        Ok(Ok(_)) => {}
                        Ok(Err(error)) => break error,
                        Err(_) => break store::silent(),
                    }
                }
            }
        };
        // Not every lost connection is let go by PgListener itself.
        self.connected = None;
        Err(ended.into())
    }
}

async fn connect(options: &PgConnectOptions) -> Result<PgListener, sqlx::Error> {
    // A new pool each time: in the old one the lost connection may have the only place.
    let pool = PgPoolOptions::new().max_connections(1).max_lifetime(None).idle_timeout(None);
    let mut listener = PgListener::connect_with(&pool.connect_lazy_with(options.clone())).await?;
    listener.listen(CHANNEL).await?;
    Ok(listener)
}

// By hand: PgListener holds the connection's settings, and they hold the password.
impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listener").field("connected", &self.connected.is_some()).finish_non_exhaustive()
    }
}

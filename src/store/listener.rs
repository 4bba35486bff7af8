//! Hearing of new deliveries at once, by PostgreSQL's NOTIFY.
//!
//! Only ever a wake-up. A notification can be missed (while the connection is lost, or behind a pooler that
//! does not pass them on), so whoever waits here also looks by the clock.

use sqlx::postgres::{PgListener, PgPool};

use crate::store::{Error, Store};

/// Notified by the commit that stores deliveries.
pub(super) const CHANNEL: &str = "postroom_deliveries";

/// Hears of new deliveries. Takes a connection out of the pool for as long as it lives.
pub struct Listener {
    pool: PgPool,
    /// None until the first wait, and after an error.
    connected: Option<PgListener>,
}

impl Store {
    /// A listener that connects when it is first waited on.
    pub fn listen(&self) -> Listener {
        Listener { pool: self.pool.clone(), connected: None }
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
            let mut listener = PgListener::connect_with(&self.pool).await?;
            listener.listen(CHANNEL).await?;
            self.connected = Some(listener);
            return Ok(());
        };
        match listener.try_recv().await {
            // Or None: the connection was lost and made again.
            Ok(_) => Ok(()),
            Err(error) => {
                // Not every lost connection is let go by PgListener itself.
                self.connected = None;
                Err(error.into())
            }
        }
    }
}

// By hand: PgListener holds the connection's settings, and they hold the password.
impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listener").field("connected", &self.connected.is_some()).finish_non_exhaustive()
    }
}

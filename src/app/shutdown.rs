//! Stopping in two steps.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// The two steps of a stop. Cheap to clone; all clones are one.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    /// Asked to stop: finish the unit in hand, start nothing new.
    pub soft: CancellationToken,
    /// Told to stop at once: drop everything. Nothing is lost, since the ledger on disk knows what is done.
    pub hard: CancellationToken,
}

impl Shutdown {
    /// Takes the first SIGTERM or SIGINT as [`soft`](Self::soft) and the second as [`hard`](Self::hard).
    ///
    /// # Errors
    /// If the process may not handle signals.
    pub fn on_signals() -> io::Result<Self> {
        let shutdown = Self::default();
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let tokens = shutdown.clone();
        tokio::spawn(async move {
            let mut next = async || tokio::select! { _ = terminate.recv() => (), _ = interrupt.recv() => () };
            next().await;
            info!("stopping: finishing what is under way; signal again to stop at once");
            tokens.soft.cancel();
            next().await;
            warn!("stopping at once");
            tokens.hard.cancel();
        });
        Ok(shutdown)
    }
}

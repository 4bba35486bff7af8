//! Waiting for something to become true.

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::time::{Instant, sleep, timeout_at};

const PAUSE: Duration = Duration::from_millis(10);

/// Calls `check` until it succeeds, and returns what it returned.
///
/// `what` completes the sentence "timed out waiting for …". A failing `check` says what it saw instead; the error
/// at the end of `limit` ends with the last such report. What can never become true any more (a server that exited)
/// is reported at once by returning it as a value.
pub async fn until<T>(what: &str, limit: Duration, mut check: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    let deadline = Instant::now() + limit;
    let mut last = anyhow::anyhow!("the first check did not come to an end");
    loop {
        match timeout_at(deadline, check()).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(seen)) => last = seen,
            Err(_) => break,
        }
        if Instant::now() >= deadline {
            break;
        }
        sleep(PAUSE).await;
    }
    Err(last).with_context(|| format!("timed out after {limit:?} waiting for {what}"))
}

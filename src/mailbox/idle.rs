//! Waiting for mail: by IDLE (RFC 2177) where the server has it, else for a time.
//!
//! Every end of a wait means that there may be mail, and no more. Exchange is known to leave notifications out
//! (nmail #112) and to send them early (php-imap #258), so the folder is looked into after every wait, and whoever waits
//! sees to it that none is long.
//!
//! Invariant: no arrival falls between a listing and the wait after it: what the server tells from the moment at which
//! the end of the folder is asked for ends that wait before it begins.
//! Invariant: a wait that ends well leaves the session in step: IDLE has had its DONE, and that its tagged answer.

use std::time::Duration;

use tokio::pin;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::driver::{Driver, Heard};
use super::error::Error;
use super::session::Session;

const IDLE: &str = "IDLE";

/// How long beginning and ending an IDLE may take each. No server has anything to look up for that.
const STEP: Duration = Duration::from_secs(15);

/// An IDLE that the server ends sooner than this, and without news, is no IDLE: without a pause somewhere, looking and
/// waiting would follow upon one another as fast as the network allows.
const SHORTEST: Duration = Duration::from_secs(1);

/// After so many of those in a row the server counts as one without IDLE.
const SHORT_IDLES: u32 = 3;

/// Who ended an IDLE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    ByUs,
    ByServer,
}

impl Session {
    /// Whether the server tells of new mail by itself, so that [`wait`](Self::wait) may be long. If not, it is a pause
    /// between two polls.
    pub fn pushes(&self) -> bool {
        self.capabilities().has(IDLE) && !self.has_refused_idle
    }

    /// Waits until there may be new mail in the open folder, `limit` has passed, or `stop` is cancelled. Which it was
    /// is not told.
    ///
    /// Of what the server says, only a number of messages (EXISTS) that is not the known one ends it, and the end of
    /// the IDLE itself. Flags that change, messages that go (our own settling is still told of now), and signs of life
    /// do not. If it has told of messages since the end of the folder was last listed, the wait is over at once. A
    /// server that refuses IDLE, or keeps ending it as soon as it is begun, is not asked again in this session, and the
    /// wait ends, so that the caller can choose its limit anew. Without IDLE or an open folder it is a pause.
    ///
    /// Dropped before it ends, it leaves the session in the middle of an IDLE: drop that, too.
    pub async fn wait(&mut self, limit: Duration, stop: &CancellationToken) -> Result<(), Error> {
        self.driver.catch_up(IDLE)?;
        if self.driver.has_news() || stop.is_cancelled() {
            return Ok(());
        }
        if !self.pushes() || !self.driver.has_folder() {
            stop.run_until_cancelled(sleep(limit)).await;
            return Ok(());
        }
        let begun = Instant::now();
        match self.driver.idle(limit, stop).await {
            Err(Error::Refused { .. }) => {
                tracing::debug!("the server refuses IDLE: its folders are polled");
                self.has_refused_idle = true;
                Ok(())
            }
            Ok(Ended::ByServer) if begun.elapsed() < SHORTEST && !self.driver.has_news() => {
                self.short_idles += 1;
                if self.short_idles >= SHORT_IDLES {
                    tracing::debug!("the server ends each IDLE at once: its folders are polled");
                    self.has_refused_idle = true;
                }
                Ok(())
            }
            ended => {
                self.short_idles = 0;
                ended.map(drop)
            }
        }
    }
}

impl Driver {
    async fn idle(&mut self, limit: Duration, stop: &CancellationToken) -> Result<Ended, Error> {
        let soon = STEP.min(self.command_timeout());
        let Some(tag) = in_time(soon, self.begin_idle()).await? else { return Ok(Ended::ByServer) };
        let enough = sleep(limit);
        pin!(enough);
        while !self.has_news() {
            let heard = tokio::select! {
                // In this order, so that a server that chatters without a pause keeps nobody.
                biased;
                () = stop.cancelled() => break,
                () = &mut enough => break,
                heard = self.hear(IDLE, &tag) => heard?,
            };
            if has_ended(heard)? {
                return Ok(Ended::ByServer);
            }
        }
        in_time(soon, self.end_idle(&tag)).await.map(|()| Ended::ByUs)
    }

    /// Gives the tag if the server is idling, and nothing if it ended that at once.
    async fn begin_idle(&mut self) -> Result<Option<String>, Error> {
        tracing::debug!(command = IDLE, "IMAP command");
        let tag = self.begin(IDLE, IDLE).await?;
        loop {
            let heard = self.hear(IDLE, &tag).await?;
            if matches!(heard, Heard::GoOn) {
                return Ok(Some(tag));
            }
            if has_ended(heard)? {
                return Ok(None);
            }
        }
    }

    async fn end_idle(&mut self, tag: &str) -> Result<(), Error> {
        self.send(IDLE, "DONE").await?;
        while !has_ended(self.hear(IDLE, tag).await?)? {}
        Ok(())
    }
}

/// Whether the command has its tagged answer.
fn has_ended(heard: Heard) -> Result<bool, Error> {
    match heard {
        Heard::Done => Ok(true),
        Heard::Untagged => Ok(false),
        // It is not waited for the end of the connection, which may be as far off as the end of the wait.
        Heard::Bye(error) => Err(error),
        Heard::GoOn => Err(Error::Unreadable { during: IDLE }),
    }
}

async fn in_time<T>(limit: Duration, step: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    timeout(limit, step).await.unwrap_or(Err(Error::Timeout { during: IDLE, limit }))
}

#[cfg(test)]
mod tests;

//! What a test does to the bytes that pass: holds them, delays them, cuts after so many.

use std::io;
use std::ops::ControlFlow;
use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::poll;

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// What the client says.
    ToServer,
    /// What the server says.
    ToClient,
}

/// The controls that all connections of a proxy share.
#[derive(Debug)]
pub(super) struct Valve {
    setting: watch::Sender<Setting>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Setting {
    to_server_stalled: bool,
    to_client_stalled: bool,
    delay: Duration,
    cut_after: Option<(Direction, usize)>,
    strikes: usize,
}

impl Setting {
    fn stalled(&mut self, direction: Direction) -> &mut bool {
        match direction {
            Direction::ToServer => &mut self.to_server_stalled,
            Direction::ToClient => &mut self.to_client_stalled,
        }
    }
}

impl Valve {
    pub(super) fn new() -> Self {
        Self { setting: watch::Sender::new(Setting::default()) }
    }

    pub(super) fn pass(&self) {
        self.setting
            .send_modify(|setting| *setting = Setting { strikes: setting.strikes, ..Setting::default() });
    }

    pub(super) fn stall(&self, direction: Direction) {
        self.setting.send_modify(|setting| *setting.stalled(direction) = true);
    }

    pub(super) fn delay(&self, delay: Duration) {
        self.setting.send_modify(|setting| setting.delay = delay);
    }

    pub(super) fn cut_after(&self, direction: Direction, bytes: usize) {
        self.setting.send_modify(|setting| setting.cut_after = Some((direction, bytes)));
    }

    /// Counts a fault that took place.
    pub(super) fn strike(&self) {
        self.setting.send_modify(|setting| setting.strikes += 1);
    }

    pub(super) fn strikes(&self) -> usize {
        self.setting.borrow().strikes
    }

    pub(super) async fn wait_for_strikes(&self, count: usize, limit: Duration) -> Result<()> {
        poll::until(&format!("{count} faults of the proxy"), limit, async || {
            let strikes = self.strikes();
            ensure!(strikes >= count, "{strikes} took place");
            Ok(())
        })
        .await
    }

    /// Returns once nothing is held in this direction.
    pub(super) async fn open(&self, direction: Direction) {
        // The sender is ours, so this cannot end otherwise.
        let _ = self.setting.subscribe().wait_for(|setting| !*setting.clone().stalled(direction)).await;
    }

    /// Writes `bytes` to the far side, as they are let through. Breaks if the connection is to end there.
    pub(super) async fn write(
        &self,
        direction: Direction,
        bytes: &[u8],
        far: &mut (impl AsyncWrite + Unpin),
    ) -> io::Result<ControlFlow<()>> {
        let delay = self.setting.borrow().delay;
        if !delay.is_zero() {
            sleep(delay).await;
        }
        self.open(direction).await;
        let (pass, flow) = match self.count(direction, bytes.len()) {
            Some(left) => (bytes.get(..left).unwrap_or_default(), ControlFlow::Break(())),
            None => (bytes, ControlFlow::Continue(())),
        };
        far.write_all(pass).await?;
        far.flush().await?;
        Ok(flow)
    }

    /// How many bytes may still pass, if the connection is to be cut among or after these.
    fn count(&self, direction: Direction, bytes: usize) -> Option<usize> {
        let mut last = None;
        self.setting.send_if_modified(|setting| {
            let Some((counted, left)) = &mut setting.cut_after else { return false };
            if *counted != direction {
                return false;
            }
            if *left > bytes {
                *left -= bytes;
                return false;
            }
            last = Some(*left);
            setting.cut_after = None;
            setting.strikes += 1;
            true
        });
        last
    }
}

//! The built program under test, run as an operator runs it.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use tokio::time::timeout;

use crate::folder::Folder;
use crate::log;
use crate::poll;
use crate::process::{End, Process};

/// Longer than any test takes.
const FOREVER: Duration = Duration::from_hours(24);

/// A program started by a test. Dropped, it is killed.
///
/// Its output goes to files, so that all of it is there as soon as the program has ended, however that came about.
#[derive(Debug)]
pub struct Worker {
    process: Process,
    folder: Folder,
}

impl Worker {
    /// Starts `command`: its program, arguments, environment and working folder. Redirections of its own are ignored.
    pub fn start(command: &Command) -> Result<Self> {
        let folder = Folder::new("worker")?;
        let stdout = log::open(&folder.path().join("stdout"), folder.owner())?;
        let stderr = log::open(&folder.path().join("stderr"), folder.owner())?;
        let process = Process::spawn(command, folder.owner(), End::Kill, stdout, stderr)?;
        Ok(Self { process, folder })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        self.process.signal(signal)
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.process.ended()
    }

    /// Waits until it ends by itself.
    pub async fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        let outcome = self.process.wait(limit).await;
        outcome.map_err(|error| log::explain(&error, &self.log_tail()))
    }

    /// Lets it run for `time`, so that whatever comes next strikes it at a moment that nobody chose.
    ///
    /// Fails if it ends meanwhile.
    pub async fn run_for(&mut self, time: Duration) -> Result<()> {
        match timeout(time, self.process.wait(FOREVER)).await {
            Err(_) => Ok(()),
            Ok(ended) => bail!("it ended by itself: {}\n{}", ended?, self.log_tail()),
        }
    }

    /// The most memory it has had so far, in KiB. Known for as long as it runs.
    pub fn memory_peak(&self) -> Result<u64> {
        let path = format!("/proc/{}/status", self.id());
        let status = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next());
        peak.with_context(|| format!("no VmHWM in {path}"))?.parse().context("reading VmHWM")
    }

    /// Waits until a line of its output contains `text`, and returns the first such line.
    ///
    /// Fails as soon as the program has ended without one.
    pub async fn wait_for_line(&mut self, text: &str, limit: Duration) -> Result<String> {
        let what = format!("the line {text:?}");
        let outcome = poll::until(&what, limit, async || {
            // In this order: what it wrote before it ended is then read after.
            let ended = self.ended()?;
            let output = self.stdout()? + &self.stderr()?;
            match (output.lines().find(|line| line.contains(text)), ended) {
                (Some(line), _) => Ok(Ok(line.to_owned())),
                (None, Some(status)) => Ok(Err(anyhow::anyhow!("it ended with {status}"))),
                (None, None) => anyhow::bail!("no such line"),
            }
        });
        outcome.await.flatten().map_err(|error| log::explain(&error, &self.log_tail()))
    }

    /// What it has written to standard output.
    pub fn stdout(&self) -> Result<String> {
        log::read(&self.folder.path().join("stdout"))
    }

    /// What it has written to standard error.
    pub fn stderr(&self) -> Result<String> {
        log::read(&self.folder.path().join("stderr"))
    }

    /// The two files it writes to: standard output and standard error.
    pub fn logs(&self) -> [PathBuf; 2] {
        ["stdout", "stderr"].map(|name| self.folder.path().join(name))
    }

    /// The last lines of both.
    pub fn log_tail(&self) -> String {
        self.logs().map(|path| log::tail(&path)).join("\n")
    }
}

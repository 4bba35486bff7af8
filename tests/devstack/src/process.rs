//! A child process in a process group of its own, under guard.

use std::fs::File;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::owner::Owner;
use crate::{guard, poll};

/// Waits for one line and only then becomes the program, so that the guard knows the process group before anything
/// runs in it. If we die in between, the line never comes and this ends by itself.
const GATE: &str = r#"read -r _ && exec "$@""#;

/// How a process is ended by whoever cannot wait for it: `Drop` and the guard.
#[derive(Debug, Clone, Copy)]
pub(crate) enum End {
    /// At once.
    Kill,
    /// As PostgreSQL's immediate shutdown: as fast, but it takes its shared memory along.
    Quit,
}

/// A running child. Dropped, it is ended and waited for.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
    group: Pid,
    end: End,
    ended: Option<ExitStatus>,
}

impl Process {
    /// Starts `command` (its program, arguments, environment and folder; not its redirections) as `owner`, with
    /// nothing on standard input.
    pub(crate) fn spawn(
        command: &Command,
        owner: &Owner,
        end: End,
        stdout: File,
        stderr: File,
    ) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut gate = Command::new("/bin/sh");
        gate.args(["-c", GATE, "gate"]).arg(command.get_program()).args(command.get_args());
        // Settings in the environment of whoever runs the tests are not meant for them.
        for (key, _) in std::env::vars_os().filter(|(key, _)| key.as_encoded_bytes().starts_with(b"POSTROOM"))
        {
            gate.env_remove(key);
        }
        for (key, value) in command.get_envs() {
            match value {
                Some(value) => gate.env(key, value),
                None => gate.env_remove(key),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            gate.current_dir(folder);
        }
        let mut child = gate
            .uid(owner.uid)
            .gid(owner.gid)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(stdout)
            .stderr(stderr)
            .spawn()
            .with_context(|| format!("starting {name}"))?;
        let gate = child.stdin.take();
        let process = Self { group: Pid::from_child(&child), name, child, end, ended: None };
        guard::watch(process.guarded())?;
        gate.context("no standard input")?
            .write_all(b"go\n")
            .with_context(|| format!("letting {} start", process.name))?;
        Ok(process)
    }

    /// The process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal to the process itself, not to its children.
    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        // Its number may be another's by now.
        ensure!(self.ended.is_none(), "{} ({}) has ended", self.name, self.id());
        kill_process(self.group, signal)
            .with_context(|| format!("sending {signal:?} to {} ({})", self.name, self.id()))
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().with_context(|| format!("waiting for {}", self.name))?;
            if self.ended.is_some() {
                self.clear();
            }
        }
        Ok(self.ended)
    }

    /// Waits until it ends by itself.
    pub(crate) async fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        let what = format!("{} ({}) to end", self.name, self.id());
        poll::until(&what, limit, async || self.ended()?.context("it is running")).await
    }

    fn guarded(&self) -> String {
        let signal = match self.end {
            End::Kill => "KILL",
            End::Quit => "QUIT",
        };
        format!("{signal}:{}", self.group)
    }

    /// Ends children that the process left behind, and hands its group's number back.
    fn clear(&self) {
        let _ = kill_process_group(self.group, Signal::KILL);
        guard::forget(self.guarded());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Ok(None) = self.ended() {
            let signal = match self.end {
                End::Kill => Signal::KILL,
                End::Quit => Signal::QUIT,
            };
            let _ = kill_process_group(self.group, signal);
            // A stopped process takes its signal only once it continues.
            let _ = kill_process_group(self.group, Signal::CONT);
            let _ = self.child.wait();
            self.clear();
        }
    }
}

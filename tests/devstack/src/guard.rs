//! Cleans up after this process, whatever ends it.
//!
//! A shell of our own (`guard.sh`) reads a pipe whose other end only we hold. However we die, the kernel closes that
//! end; the shell then ends the process groups and removes the folders it was told of. `PR_SET_PDEATHSIG` would not
//! do: it fires when the spawning *thread* ends, and libtest gives each test a thread. Nor would `Drop`: statics
//! (the shared PostgreSQL) are never dropped, and SIGKILL drops nothing.
//!
//! **Invariant**: nothing that outlives us, neither process nor folder, exists before the guard knows of it.

use std::fmt::Display;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};

/// The guard's input, once there is something to guard. Never closed by us: closing is the alarm.
static INPUT: Mutex<Option<ChildStdin>> = Mutex::new(None);

/// Puts `thing`, a folder or `SIGNAL:GROUP`, under guard.
pub(crate) fn watch(thing: impl Display) -> Result<()> {
    let mut input = lock();
    let pipe = match input.as_mut() {
        Some(pipe) => pipe,
        None => input.insert(start()?),
    };
    writeln!(pipe, "+ {thing}").context("telling the guard what to clean up (was it killed?)")
}

/// Takes `thing` from under guard: it is gone, and its process id may soon be another's.
pub(crate) fn forget(thing: impl Display) {
    if let Some(pipe) = lock().as_mut() {
        // A guard that is gone guards nothing that could be forgotten.
        let _ = writeln!(pipe, "- {thing}");
    }
}

fn lock() -> MutexGuard<'static, Option<ChildStdin>> {
    INPUT.lock().unwrap_or_else(PoisonError::into_inner)
}

fn start() -> Result<ChildStdin> {
    let mut shell = Command::new("/bin/sh")
        .args(["-c", include_str!("guard.sh"), "postroom-guard"])
        .current_dir("/")
        .stdin(Stdio::piped())
        // It outlives us by a moment: whoever reads our output must not wait for it.
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Ctrl-C on the terminal is for us, not for it.
        .process_group(0)
        .spawn()
        .context("starting the guard with /bin/sh")?;
    shell.stdin.take().context("the guard has no input")
}

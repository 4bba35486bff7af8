//! A program that prints an access token, for providers that are not built in.
//!
//! It is run without a shell, with nothing on its standard input. Its standard error is discarded, since
//! programs like to print secrets there, and so is what it prints when it fails. It gets none of our own
//! settings, which may be secrets, by the environment.
//!
//! Invariant: a program that has not finished does not outlive the call. By its deadline, or if the call is
//! dropped, it is killed together with what it has started.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::config;

/// Tokens have a few thousand bytes.
const MAX_OUTPUT_BYTES: usize = 64 << 10;

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The program can't be started.
    #[error("{} can't be run", program.display())]
    NotRun {
        /// The program.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The program says that it failed.
    #[error("{} failed: {status}", program.display())]
    Failed {
        /// The program.
        program: PathBuf,
        /// How it ended.
        status: ExitStatus,
    },
    /// The program took too long.
    #[error("{} took longer than {}", program.display(), humantime::format_duration(*limit))]
    TimedOut {
        /// The program.
        program: PathBuf,
        /// Its limit.
        limit: Duration,
    },
    /// What the program printed is not a token.
    #[error("{} printed {flaw}", program.display())]
    NoToken {
        /// The program.
        program: PathBuf,
        /// What it printed instead, in kind.
        flaw: &'static str,
    },
}

/// Runs the program and takes what it prints, white space around it aside. Dropping this kills the program.
pub async fn token(command: &config::TokenCommand) -> Result<SecretString, Error> {
    let program = || command.program.clone();
    let mut running =
        Running::start(command).map_err(|source| Error::NotRun { program: program(), source })?;
    let (output, status) = timeout(command.timeout, running.finish())
        .await
        .map_err(|_| Error::TimedOut { program: program(), limit: command.timeout })?
        .map_err(|source| Error::NotRun { program: program(), source })?;
    match status {
        Some(status) if !status.success() => Err(Error::Failed { program: program(), status }),
        _ => read(&output).map_err(|flaw| Error::NoToken { program: program(), flaw }),
    }
}

impl Error {
    /// Whether trying again soon may help. If not, a person has to act.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Failed { .. } | Self::TimedOut { .. } => true,
            Self::NotRun { .. } | Self::NoToken { .. } => false,
        }
    }

    /// What a person can do about it.
    pub fn cure(&self) -> &'static str {
        match self {
            Self::NotRun { source, .. } => match source.kind() {
                io::ErrorKind::NotFound => {
                    "Check `command`: a program with a slash in its name is looked for beside the \
                     configuration file, one without in PATH. Of a script, check the first line too."
                }
                io::ErrorKind::PermissionDenied => {
                    "Make the program executable for the user that the worker runs as."
                }
                _ => "Run the program by hand as the worker's user.",
            },
            Self::Failed { .. } => {
                "Run the program by hand as the worker's user, to see what it says: its standard error is \
                 not kept, for it may hold secrets."
            }
            Self::TimedOut { .. } => {
                "Run the program by hand as the worker's user, to see what it waits for; it can't ask \
                 anybody. If it only takes long, raise `timeout`."
            }
            Self::NoToken { .. } => {
                "Let the program print the access token to its standard output, and nothing else."
            }
        }
    }
}

/// A program that runs, with whatever it has started.
struct Running(Child);

impl Running {
    fn start(command: &config::TokenCommand) -> io::Result<Self> {
        let mut program = Command::new(&command.program);
        program.args(&command.arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        for name in std::env::vars_os().map(|(name, _)| name).filter(is_ours) {
            program.env_remove(name);
        }
        // A group of its own, so that all of it can be killed.
        program.process_group(0).kill_on_drop(true).spawn().map(Self)
    }

    /// What it prints, and how it ends: `None` if it printed too much for anybody to care.
    async fn finish(&mut self) -> io::Result<(Zeroizing<Vec<u8>>, Option<ExitStatus>)> {
        // Of the full size at once: growing would leave copies behind.
        let mut output = Zeroizing::new(Vec::with_capacity(MAX_OUTPUT_BYTES + 1));
        if let Some(stdout) = self.0.stdout.take() {
            stdout.take(MAX_OUTPUT_BYTES as u64 + 1).read_to_end(&mut output).await?;
        }
        if output.len() > MAX_OUTPUT_BYTES {
            return Ok((output, None));
        }
        Ok((output, Some(self.0.wait().await?)))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // No id once it has been waited for: by then, the number may be another's.
        let group = self.0.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(group) = group {
            // Fails if nothing of it is left.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Whether a variable of the environment is one of our settings.
fn is_ours(name: &OsString) -> bool {
    name.as_encoded_bytes().starts_with(config::ENVIRONMENT_PREFIX.as_bytes())
}

fn read(output: &[u8]) -> Result<SecretString, &'static str> {
    if output.len() > MAX_OUTPUT_BYTES {
        return Err("more than 64 KiB");
    }
    let token = output.trim_ascii();
    if token.is_empty() {
        return Err("nothing");
    }
    match std::str::from_utf8(token) {
        Ok(token) if token.bytes().all(|byte| byte.is_ascii_graphic()) => Ok(token.into()),
        _ => Err("more than a token, or none: a token is visible ASCII without spaces"),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use devstack::poll;
    use secrecy::ExposeSecret as _;

    use super::*;

    /// Longer than any test may take.
    const LONG: Duration = Duration::from_mins(1);

    fn command(program: &str, arguments: &[&str]) -> config::TokenCommand {
        config::TokenCommand {
            program: program.into(),
            arguments: arguments.iter().map(ToString::to_string).collect(),
            timeout: LONG,
        }
    }

    fn script(script: &str) -> config::TokenCommand {
        command("/bin/sh", &["-c", script])
    }

    async fn printed(text: &str) -> Result<SecretString, Error> {
        token(&script(text)).await
    }

    #[tokio::test]
    async fn what_a_program_prints_is_the_token() {
        for text in [
            "echo eyJ0.eXAi_O-iJ",
            "printf '\\n eyJ0.eXAi_O-iJ\\r\\n\\n'",
            "echo eyJ0.eXAi_O-iJ; echo canary >&2",
        ] {
            assert_eq!(printed(text).await.unwrap().expose_secret(), "eyJ0.eXAi_O-iJ", "{text}");
        }
    }

    #[tokio::test]
    async fn arguments_go_to_the_program_and_not_to_a_shell() {
        let token = token(&command("printf", &["%s", "$HOME;`id`&"])).await.unwrap();

        assert_eq!(token.expose_secret(), "$HOME;`id`&");
    }

    #[tokio::test]
    async fn what_is_no_token_is_refused_and_not_shown() {
        for (text, flaw) in [
            ("true", "nothing"),
            ("echo", "nothing"),
            ("echo canary canary", "more than a token"),
            ("printf 'canary\\ncanary'", "more than a token"),
            ("printf 'can\\001ary'", "more than a token"),
            ("printf 'can\\303\\244ry'", "more than a token"),
            ("printf 'canary\\377'", "more than a token"),
            ("yes canary", "more than 64 KiB"),
        ] {
            let error = printed(text).await.unwrap_err();

            assert!(error.to_string().starts_with(&format!("/bin/sh printed {flaw}")), "{text}: {error}");
            assert!(!error.is_transient());
            assert!(!format!("{error:?} {error}").contains("canary"), "{error:?}");
        }
    }

    #[tokio::test]
    async fn a_program_that_fails_gives_no_token() {
        let error = printed("echo canary; exit 3").await.unwrap_err();

        assert_eq!(error.to_string(), "/bin/sh failed: exit status: 3");
        assert!(error.is_transient());
        assert!(!format!("{error:?}").contains("canary"), "{error:?}");
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_told_from_one_that_may_not_run() {
        let folder = tempfile::tempdir().unwrap();
        let text = folder.path().join("text");
        fs::write(&text, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&text, fs::Permissions::from_mode(0o644)).unwrap();

        let missing = token(&command("/nowhere/token", &[])).await.unwrap_err();
        let forbidden = token(&command(text.to_str().unwrap(), &[])).await.unwrap_err();

        assert_eq!(missing.to_string(), "/nowhere/token can't be run");
        assert!(missing.cure().starts_with("Check `command`"), "{}", missing.cure());
        assert!(forbidden.cure().starts_with("Make the program executable"), "{}", forbidden.cure());
    }

    #[tokio::test]
    async fn a_program_that_waits_for_somebody_is_told_that_nobody_is_there() {
        assert_eq!(printed("read -r line || echo nobody").await.unwrap().expose_secret(), "nobody");
    }

    #[tokio::test]
    async fn a_program_that_takes_too_long_is_given_up() {
        for text in ["sleep 1000", "sleep 1000 & echo token", "exec >&-; sleep 1000"] {
            let command = config::TokenCommand { timeout: Duration::from_millis(50), ..script(text) };

            let error = token(&command).await.unwrap_err();

            assert_eq!(error.to_string(), "/bin/sh took longer than 50ms", "{text}");
        }
    }

    #[tokio::test]
    async fn a_call_that_is_dropped_leaves_nothing_running() {
        let folder = tempfile::tempdir().unwrap();
        let pids = folder.path().join("pids");
        let script = script(&format!("sleep 1000 & echo $$ $! >{}; wait", pids.display()));
        let call = tokio::spawn(async move { token(&script).await });
        let pids = poll::until("the program to start", LONG, async || {
            let pids = fs::read_to_string(&pids)?;
            pids.ends_with('\n').then_some(pids).ok_or_else(|| anyhow::anyhow!("not yet written"))
        });
        let pids = pids.await.unwrap();

        call.abort();

        poll::until("it and what it started to end", LONG, async || {
            let running: Vec<_> = pids.split_whitespace().filter(|pid| is_running(pid)).collect();
            anyhow::ensure!(running.is_empty(), "{running:?} run");
            Ok(())
        })
        .await
        .unwrap();
    }

    #[test]
    fn our_own_settings_are_kept_from_the_program() {
        assert!(is_ours(&"POSTROOM__DATABASE__URL".into()));
        assert!(!is_ours(&"PATH".into()) && !is_ours(&"POSTROOM_CONFIG".into()));
    }

    /// Whether there is such a process, and not only its exit status for a parent that does not ask.
    fn is_running(pid: &str) -> bool {
        let stat = fs::read_to_string(Path::new("/proc").join(pid).join("stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with('Z'))
    }
}

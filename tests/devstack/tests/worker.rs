//! Running a program under test. A shell stands in for it.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use devstack::{Signal, Worker};

const LIMIT: Duration = Duration::from_secs(20);

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

#[tokio::test]
async fn output_and_exit_status_are_kept() -> Result<()> {
    let mut command = shell("echo \"out $WORD in $(pwd)\"; echo err >&2; exit 3");
    command.env("WORD", "of order").current_dir("/");
    let mut worker = Worker::start(&command)?;

    let line = worker.wait_for_line("err", LIMIT).await?;
    let status = worker.wait(LIMIT).await?;

    assert_eq!(line, "err");
    assert_eq!(status.code(), Some(3));
    assert_eq!((worker.stdout()?.as_str(), worker.stderr()?.as_str()), ("out of order in /\n", "err\n"));
    Ok(())
}

#[tokio::test]
async fn a_signal_reaches_the_program() -> Result<()> {
    let mut worker =
        Worker::start(&shell("trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.01; done"))?;
    worker.wait_for_line("up", LIMIT).await?;

    worker.signal(Signal::TERM)?;

    assert!(worker.wait(LIMIT).await?.success());
    assert_eq!(worker.stdout()?, "up\nbye\n");
    assert!(worker.signal(Signal::TERM).is_err(), "its number may be another's now");
    Ok(())
}

#[tokio::test]
async fn a_line_that_cannot_come_any_more_is_not_waited_for() -> Result<()> {
    let mut worker = Worker::start(&shell("echo the last words >&2; exit 1"))?;

    let Err(error) = worker.wait_for_line("up", LIMIT).await else { anyhow::bail!("it came") };

    let message = format!("{error:#}");
    assert!(message.contains("exit status: 1") && message.contains("the last words"), "{message}");
    Ok(())
}

#[tokio::test]
async fn a_program_runs_for_a_while_unless_it_ends() -> Result<()> {
    let mut worker = Worker::start(&shell("echo up; exec sleep 600"))?;
    worker.wait_for_line("up", LIMIT).await?;

    worker.run_for(Duration::from_millis(20)).await?;
    assert!(worker.memory_peak()? > 0);
    worker.signal(Signal::KILL)?;
    let ended = worker.run_for(LIMIT).await;

    assert!(format!("{:#}", ended.unwrap_err()).contains("signal: 9"));
    Ok(())
}

#[tokio::test]
async fn a_dropped_worker_is_killed_with_its_children_and_its_folder_is_gone() -> Result<()> {
    let mut worker = Worker::start(&shell("trap '' TERM; sleep 600 & echo child $!; wait"))?;
    let line = worker.wait_for_line("child", LIMIT).await?;
    let child = PathBuf::from("/proc").join(line.strip_prefix("child ").context("no id")?);
    let [log, _] = worker.logs();
    assert!(child.exists() && log.exists());

    drop(worker);

    devstack::poll::until("the child to die", LIMIT, async || {
        let state = std::fs::read_to_string(child.join("stat")).unwrap_or_default();
        anyhow::ensure!(state.is_empty() || state.contains(") Z "), "{state}");
        Ok(())
    })
    .await?;
    assert!(!log.exists());
    Ok(())
}

//! What remains when the test process is killed: nothing.
#![expect(clippy::print_stdout, reason = "the process that is to be killed tells the other what to look for")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use devstack::{Database, Dovecot, Durability, Folder, Options, Postgres, Signal, Worker, poll};

const LIMIT: Duration = Duration::from_secs(30);
const ROLE: &str = "DEVSTACK_TEST_IS_TO_BE_KILLED";
const THIS_TEST: &str = "nothing_survives_a_parent_that_is_killed";

#[tokio::test]
async fn nothing_survives_a_parent_that_is_killed() -> Result<()> {
    if std::env::var_os(ROLE).is_some() {
        return be_killed().await;
    }
    // The parent to be killed is this test again, in a process of its own.
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--exact", THIS_TEST, "--nocapture"]).env(ROLE, "yes");
    let mut parent = Worker::start(&command)?;
    parent.wait_for_line("ready", LIMIT).await?;
    let output = parent.stdout()?;
    let folders: Vec<&Path> =
        output.lines().filter_map(|line| line.strip_prefix("folder ")).map(Path::new).collect();
    let orphans = || processes_in(&folders);
    ensure!(folders.len() == 3, "{output}");
    // At least a postmaster, its helpers, a Dovecot master, its helpers.
    ensure!(orphans()?.len() > 6, "{:?} in {output}", orphans()?);

    parent.signal(Signal::KILL)?;
    parent.wait(LIMIT).await?;

    poll::until("its servers and folders to go", LIMIT, async || {
        let (processes, folders) =
            (orphans()?, folders.iter().filter(|folder| folder.exists()).collect::<Vec<_>>());
        ensure!(processes.is_empty() && folders.is_empty(), "{processes:?} and {folders:?} are left");
        Ok(())
    })
    .await
}

/// Starts one of each and waits for its end.
async fn be_killed() -> Result<()> {
    let postgres = Postgres::start(Durability::Processes).await?;
    let dovecot = Dovecot::start(Options::default()).await?;
    let folder = Folder::new("guarded")?;
    println!("folder {}", folder.path().display());
    println!("folder {}", dovecot.ca_pem_path().parent().context("no parent")?.display());
    println!("folder {}", socket_folder(&postgres.database().await?)?.display());
    println!("ready");
    std::future::pending().await
}

fn socket_folder(database: &Database) -> Result<PathBuf> {
    let (_, host) = database.url().split_once("host=").context("no host")?;
    Ok(PathBuf::from(host.split('&').next().context("no end")?))
}

/// The living processes that work in one of these folders.
fn processes_in(folders: &[&Path]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let process = entry?.path();
        // Most entries are no processes, and some processes end while they are looked at.
        let Ok(place) = fs::read_link(process.join("cwd")) else { continue };
        if folders.iter().any(|folder| place.starts_with(folder)) {
            found.push(process);
        }
    }
    Ok(found)
}

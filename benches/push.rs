//! How soon a helpdesk hears of a mail, and what waiting for mail costs: the built worker at a server that pushes.
//!
//! Two figures that no ratio tells: the time from a mail's delivery to its webhook, over 500 mails sent one after
//! another, and the memory and CPU time of a worker with 1,000 mailboxes in which nothing happens. The servers run in
//! this process, so that the worker's own figures are its own.
//!
//! `cargo bench --bench push` prints both; `-- latency` or `-- idle` one of them.

#![expect(clippy::print_stdout, reason = "the figures are what a benchmark is for")]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use devstack::exchange::Habits;
use devstack::{Database, Durability, Exchange, Folder, Helpdesk, Identity, Postgres, Worker};

const MAILS: usize = 500;
const MAILBOXES: usize = 1_000;
/// How long a thousand of them are watched: long enough that each is looked into once, as `idle_timeout` has it.
const WATCHED: Duration = Duration::from_secs(330);
const LIMIT: Duration = Duration::from_mins(5);

fn main() -> Result<()> {
    let chosen: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let wants = |name: &str| chosen.is_empty() || chosen.iter().any(|chosen| chosen == name);
    // `cargo test --benches` runs it too, without being asked for figures.
    if !std::env::args().any(|argument| argument == "--bench") {
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        if wants("latency") {
            latency().await?;
        }
        if wants("idle") {
            idle().await?;
        }
        Ok(())
    })
}

/// A worker's surroundings.
struct Site {
    exchange: Exchange,
    identity: Identity,
    helpdesk: Helpdesk,
    database: Database,
    folder: Folder,
    _postgres: Postgres,
}

impl Site {
    async fn new() -> Result<Self> {
        let identity = Identity::start(devstack::identity::Habits::default()).await?;
        let postgres = Postgres::start(Durability::Full).await?;
        Ok(Self {
            exchange: Exchange::with_tokens(Habits::default(), identity.tokens(), &user(0)).await?,
            identity,
            helpdesk: Helpdesk::start().await?,
            database: postgres.database().await?,
            folder: Folder::new("bench")?,
            _postgres: postgres,
        })
    }

    /// So many mailboxes of one application, which may open them all.
    fn config(&self, mailboxes: usize) -> Result<PathBuf> {
        let mut text = format!(
            "[database]\nurl = \"{}\"\n[ops]\nlisten = \"off\"\n[[webhook]]\nname = \"helpdesk\"\nurl = \"{}\"\n\
             secret = \"whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD\"\n",
            self.database.url(),
            self.helpdesk.url()
        );
        for number in 0..mailboxes {
            self.exchange.permit(self.identity.client_id(), &user(number));
            write!(
                text,
                "[[mailbox]]\nname = \"box-{number}\"\nhost = \"{host}\"\nport = {port}\nca_file = \"{ca}\"\n\
                 username = \"{user}\"\n[mailbox.auth]\nkind = \"oauth2\"\nflow = \"client_credentials\"\n\
                 tenant = \"contoso.example\"\nclient_id = \"{client_id}\"\nclient_secret = \"{secret}\"\n\
                 authority = \"{authority}\"\nca_file = \"{authority_ca}\"\n",
                host = self.exchange.host(),
                port = self.exchange.port(),
                ca = self.exchange.ca_pem_path().display(),
                user = user(number),
                client_id = self.identity.client_id(),
                secret = self.identity.client_secret(),
                authority = self.identity.url(),
                authority_ca = self.identity.ca_pem_path().display(),
            )?;
        }
        self.folder.write("postroom.toml", text)
    }
}

fn user(number: usize) -> String {
    format!("box-{number}@example.com")
}

async fn latency() -> Result<()> {
    let site = Site::new().await?;
    let worker = start(&site.config(1)?)?;
    let mut took = Vec::new();
    for number in 0..MAILS {
        site.exchange.wait_for_idling(1, LIMIT).await?;
        let delivered = SystemTime::now();
        site.exchange.deliver(&mail(number))?;
        let requests = site.helpdesk.wait_for(number + 1, LIMIT).await?;
        let told = requests.last().context("no webhook")?.received_at;
        took.push(told.duration_since(delivered)?);
    }
    took.sort_unstable();
    let at =
        |share: usize| took.get((took.len() * share / 100).min(took.len() - 1)).copied().unwrap_or_default();
    println!(
        "delivery to webhook, {MAILS} mails: p50 {:.1?}, p90 {:.1?}, p99 {:.1?}, most {:.1?}",
        at(50),
        at(90),
        at(99),
        at(100)
    );
    drop(worker);
    Ok(())
}

async fn idle() -> Result<()> {
    let site = Site::new().await?;
    let begun = SystemTime::now();
    let mut worker = start(&site.config(MAILBOXES)?)?;
    site.exchange.wait_for_idling(MAILBOXES, LIMIT).await?;
    println!("{MAILBOXES} mailboxes idle after {:.1?}", begun.elapsed()?);
    let before = cpu_time(&worker)?;
    worker.run_for(WATCHED).await?;
    let used = cpu_time(&worker)?.saturating_sub(before);
    site.exchange.wait_for_idling(MAILBOXES, LIMIT).await?;
    println!(
        "{MAILBOXES} idle mailboxes: {} MiB resident ({} MiB at most), {:.2} % of a core over {WATCHED:?}",
        memory(&worker, "VmRSS:")? / 1024,
        memory(&worker, "VmHWM:")? / 1024,
        used.as_secs_f64() / WATCHED.as_secs_f64() * 100.0
    );
    Ok(())
}

fn start(config: &Path) -> Result<Worker> {
    Worker::start(Command::new(env!("CARGO_BIN_EXE_postroom")).arg("run").arg("--config").arg(config))
}

fn mail(number: usize) -> Vec<u8> {
    format!(
        "Message-ID: <{number}@example.org>\r\nDate: Mon, 5 Jan 2026 10:00:00 +0000\r\nFrom: Ann <ann@example.org>\r\n\
         To: box-0@example.com\r\nSubject: Mail {number}\r\n\r\nHello, this is number {number}.\r\n"
    )
    .into_bytes()
}

/// User and system time of the worker's process.
fn cpu_time(worker: &Worker) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", worker.id()))?;
    // After the name, which ends in the last parenthesis, utime and stime are the 12th and 13th (proc(5)), in ticks of 10 ms.
    let (_, fields) = stat.rsplit_once(')').context("no name in stat")?;
    let ticks =
        |nth| -> Result<u64> { Ok(fields.split_whitespace().nth(nth).context("a short stat")?.parse()?) };
    Ok(Duration::from_millis((ticks(11)? + ticks(12)?) * 10))
}

/// A line of the worker's memory figures, in KiB.
fn memory(worker: &Worker, line: &str) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", worker.id()))?;
    let found = status.lines().find_map(|found| found.strip_prefix(line)?.split_whitespace().next());
    Ok(found.with_context(|| format!("no {line}"))?.parse()?)
}

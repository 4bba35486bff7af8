//! The servers of a run, and workers on them: two mailboxes, settled in two ways, and two helpdesks, one of them
//! slow and faulty.

use std::collections::HashMap;
use std::fmt::Write;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, ensure};
use devstack::{Account, Answer, Chance, Database, Dovecot, Folder, Helpdesk, Options, Request, Worker};
use postroom::step::Step;

use crate::LIMIT;
use crate::arrivals::Arrivals;
use crate::mail::Mail;

pub(crate) const MAILBOXES: [&str; 2] = ["support", "billing"];
pub(crate) const WEBHOOKS: [&str; 2] = ["steady", "shaky"];

const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oDqZTSDtKRmbM=";

/// An event fails at most that often by the helpdesk's fault: kills make attempts, too, and there are eleven.
const FAULTS: u32 = 3;

pub(crate) struct Rig {
    pub(crate) dovecot: Dovecot,
    pub(crate) accounts: [Account; 2],
    pub(crate) database: Database,
    pub(crate) desks: [Helpdesk; 2],
    /// What has been delivered into the mailboxes.
    pub(crate) arrivals: Arrivals,
    requests: Arc<AtomicU64>,
    config: PathBuf,
    _folder: Folder,
}

/// How far the work has come.
#[derive(Debug, Clone)]
pub(crate) struct Standing {
    /// PostgreSQL's time.
    pub(crate) at: String,
    pub(crate) recorded: u64,
    pub(crate) settled: u64,
    pub(crate) sent: u64,
}

impl Rig {
    /// Starts the servers on `database` and applies the migrations. `seed` decides the helpdesk's faults.
    pub(crate) async fn start(database: Database, seed: u64) -> Result<Self> {
        let dovecot = Dovecot::start(Options::default()).await?;
        let accounts = [dovecot.account(MAILBOXES[0])?, dovecot.account(MAILBOXES[1])?];
        let desks = [Helpdesk::start().await?, Helpdesk::start().await?];
        let folder = Folder::new("crash")?;
        let config = folder.write("postroom.toml", configuration(&dovecot, &accounts, &database, &desks))?;
        let requests = Arc::new(AtomicU64::new(0));
        let arrivals = Arrivals::default();
        let rig = Self { dovecot, accounts, database, desks, arrivals, requests, config, _folder: folder };
        rig.trouble(seed);
        let (migrated, said) = rig.run_to_end(&["migrate"]).await?;
        ensure!(migrated, "{said}");
        Ok(rig)
    }

    /// Lets one helpdesk fail and hesitate.
    fn trouble(&self, seed: u64) {
        let mut chance = Chance::of(seed);
        let mut faults: HashMap<String, u32> = HashMap::new();
        let requests = Arc::clone(&self.requests);
        self.desks[1].answer_with(move |request| {
            requests.fetch_add(1, Ordering::Relaxed);
            let draw = chance.below(12);
            let faults = faults.entry(event_id(request)).or_default();
            match draw {
                0 | 1 if *faults < FAULTS => {
                    *faults += 1;
                    if draw == 0 { Answer::none() } else { Answer::status(503) }
                }
                2 | 3 => Answer::status(200).held(),
                _ => Answer::status(200),
            }
        });
        let requests = Arc::clone(&self.requests);
        self.desks[0].answer_with(move |_| {
            requests.fetch_add(1, Ordering::Relaxed);
            Answer::status(200)
        });
    }

    /// Ends the trouble: from now on all is taken at once.
    pub(crate) fn calm(&self) {
        for desk in &self.desks {
            desk.answer(200);
            desk.release();
        }
    }

    /// Lets slow answers go.
    pub(crate) fn hurry(&self) {
        self.desks[1].release();
    }

    pub(crate) fn deliver(&mut self, mail: &Mail) -> Result<()> {
        self.accounts[mail.mailbox].deliver(&mail.bytes)?;
        self.arrivals.note(mail);
        Ok(())
    }

    /// Notes which mails the killed Dovecot has left in both folders: copied by a MOVE, and not yet removed. They will
    /// be moved once more. No client can help that.
    pub(crate) fn note_half_moved(&mut self) -> Result<()> {
        let (inbox, processed) = (self.accounts[0].sources("INBOX")?, self.accounts[0].sources("Processed")?);
        self.arrivals.note_present(0, inbox.iter().chain(&processed));
        Ok(())
    }

    pub(crate) fn worker(&self) -> Result<Worker> {
        Worker::start(&self.postroom(&["run"]))
    }

    /// A worker that takes itself down.
    pub(crate) fn worker_dying_at(&self, step: Step, nth: u32) -> Result<Worker> {
        Worker::start(self.postroom(&["run"]).env("POSTROOM_TEST_DIE_AT", format!("{}:{nth}", step.as_str())))
    }

    /// Runs a command to its end: whether it succeeded, and what it said.
    pub(crate) async fn run_to_end(&self, arguments: &[&str]) -> Result<(bool, String)> {
        let mut worker = Worker::start(&self.postroom(arguments))?;
        let status = worker.wait(LIMIT).await?;
        Ok((status.success(), worker.log_tail()))
    }

    pub(crate) async fn standing(&self) -> Result<Standing> {
        let sql = "SELECT now()::text, (SELECT count(*)::text FROM messages),
                       (SELECT count(*)::text FROM ledger WHERE state = 'settled')";
        let row = self.database.rows(sql).await?.into_iter().next().context("no row")?;
        let [at, recorded, settled] = <[String; 3]>::try_from(row).ok().context("three columns")?;
        Ok(Standing { at, recorded: recorded.parse()?, settled: settled.parse()?, sent: self.sent() })
    }

    pub(crate) fn sent(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// One row of numbers out of the database.
    pub(crate) async fn numbers<const N: usize>(&self, sql: &str) -> Result<[u64; N]> {
        let row = self.database.rows(sql).await?.into_iter().next().context("no row")?;
        let numbers: Vec<u64> = row.iter().map(|number| number.parse()).collect::<Result<_, _>>()?;
        numbers.try_into().ok().context("another number of columns")
    }

    /// Lets all time pass that anything waits for: leases of killed workers, and pauses before the next try.
    ///
    /// Fails where a suspended worker holds a lock.
    pub(crate) async fn pass_time(&self) -> Result<()> {
        let sql = "SET lock_timeout = '200ms';
            UPDATE mailboxes SET lease_until = now() - interval '1 second' WHERE lease_until IS NOT NULL;
            UPDATE ledger SET retry_at = now() WHERE retry_at IS NOT NULL;
            UPDATE webhooks SET paused_until = NULL;
            UPDATE deliveries SET lease_until = NULL, next_attempt_at = now() WHERE status = 'pending'";
        self.database.rows(sql).await.map(drop)
    }

    /// Has held messages tried again: one that two random kills hit while it was alone in hand is suspected of them.
    pub(crate) async fn release_held(&self) -> Result<()> {
        let (done, said) = self.run_to_end(&["held", "retry", "--all"]).await?;
        ensure!(done, "{said}");
        Ok(())
    }

    fn postroom(&self, arguments: &[&str]) -> Command {
        let mut postroom = Command::new(env!("CARGO_BIN_EXE_postroom"));
        postroom.args(arguments).arg("--config").arg(&self.config);
        postroom
    }
}

pub(crate) fn event_id(request: &Request) -> String {
    request.header("webhook-id").unwrap_or_default().to_owned()
}

/// Small batches, so that there are many moments to strike at.
fn configuration(
    dovecot: &Dovecot,
    accounts: &[Account; 2],
    database: &Database,
    desks: &[Helpdesk; 2],
) -> String {
    let settle = [r#"{ kind = "move", to = "Processed" }"#, r#"{ kind = "expunge" }"#];
    let mut text = format!(
        "[database]\nurl = \"{}\"\n[ops]\nlisten = \"off\"\n[filing]\nsender_per_hour = 0\nticket_per_day = 0\nsame_mail = 0\n[intake]\nbatch_messages = 4\n\
         batch_bytes = \"256 KiB\"\nsettle_messages = 6\n[log]\nfilter = \"debug\"\n",
        database.url()
    );
    for ((name, account), settle) in MAILBOXES.iter().zip(accounts).zip(settle) {
        let _ = write!(
            text,
            "[[mailbox]]\nname = \"{name}\"\nhost = \"{}\"\nport = {}\nca_file = \"{}\"\nusername = \"{}\"\n\
             auth = {{ kind = \"password\", password = \"{}\" }}\nsettle = {settle}\npoll_interval = \"100ms\"\n",
            dovecot.host(),
            dovecot.port(),
            dovecot.ca_pem_path().display(),
            account.user(),
            account.password(),
        );
    }
    for (name, desk) in WEBHOOKS.iter().zip(desks) {
        let _ = write!(
            text,
            "[[webhook]]\nname = \"{name}\"\nurl = \"{}\"\nsecret = \"{SECRET}\"\ntimeout = \"5s\"\n",
            desk.url()
        );
    }
    text
}

//! What flow and process tests have in common: a mailbox on a real Dovecot, a database, a helpdesk.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use devstack::{Account, Database, Dovecot, Helpdesk, Options, Postgres, Request, Worker, poll};
use postroom::config::Config;
use postroom::intake;
use postroom::intake::{Job, Tally};
use postroom::mailbox;
use postroom::mailbox::{Credential, Plan};
use postroom::store::{Lease, Store};
use postroom::ticket::Policy;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

/// No step of a test takes this long, not even on a busy machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// A signing secret.
pub(crate) const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oDqZTSDtKRmbM=";

/// A mailbox, a database and a helpdesk that belong to one test.
pub(crate) struct Site {
    pub(crate) dovecot: Dovecot,
    pub(crate) account: Account,
    pub(crate) database: Database,
    pub(crate) helpdesk: Helpdesk,
    /// Where the worker finds the mailbox: Dovecot itself, unless a test puts a proxy before it.
    pub(crate) imap_port: u16,
    /// Where the worker finds the database. What a test asks the database itself goes straight to it.
    pub(crate) database_url: String,
    folder: tempfile::TempDir,
}

impl Site {
    pub(crate) async fn new() -> Self {
        Self::with(Options::default()).await
    }

    pub(crate) async fn with(options: Options<'_>) -> Self {
        let database = Postgres::shared().await.unwrap().database().await.unwrap();
        Self::on(options, database).await
    }

    pub(crate) async fn on(options: Options<'_>, database: Database) -> Self {
        let dovecot = Dovecot::start(options).await.unwrap();
        let account = dovecot.account("support").unwrap();
        let helpdesk = Helpdesk::start().await.unwrap();
        Self {
            imap_port: dovecot.port(),
            database_url: database.url().to_owned(),
            folder: tempfile::tempdir().unwrap(),
            dovecot,
            account,
            database,
            helpdesk,
        }
    }

    /// Writes a configuration file: the site, with `sections` put in place of defaults.
    ///
    /// Everybody may send any number of mails, unless `sections` have a `[filing]`: tests like to send many at once.
    pub(crate) fn config_file(&self, settle: &str, sections: &str) -> PathBuf {
        let filing = if sections.contains("[filing]") { "" } else { NO_RATES };
        let text = format!(
            r#"
            [database]
            url = "{database}"
            [ops]
            listen = "off"
            {filing}
            {sections}
            [[mailbox]]
            name = "support"
            host = "{host}"
            port = {port}
            ca_file = "{ca}"
            username = "{user}"
            auth = {{ kind = "password", password = "{password}" }}
            settle = {settle}
            poll_interval = "1s"
            [[webhook]]
            name = "helpdesk"
            url = "{url}"
            secret = "{SECRET}"
            timeout = "5s"
            "#,
            database = self.database_url,
            host = self.dovecot.host(),
            port = self.imap_port,
            ca = self.dovecot.ca_pem_path().display(),
            user = self.account.user(),
            password = self.account.password(),
            url = self.helpdesk.url(),
        );
        let path = self.folder.path().join("postroom.toml");
        std::fs::write(&path, text).unwrap();
        path
    }

    pub(crate) fn config(&self, settle: &str, sections: &str) -> Config {
        Config::load(Some(&self.config_file(settle, sections)), []).unwrap()
    }

    /// One number out of the database.
    pub(crate) async fn number(&self, sql: &str) -> i64 {
        self.database.value(sql).await.unwrap().parse().unwrap()
    }
}

/// Everybody may send any number of mails.
pub(crate) const NO_RATES: &str = "[filing]\nsender_per_hour = 0\nticket_per_day = 0\nsame_mail = 0\n";

/// The usual policy.
pub(crate) const MOVE: &str = r#"{ kind = "move", to = "Processed" }"#;

/// A mail with this Message-ID.
pub(crate) fn mail(id: &str, more: &str) -> Vec<u8> {
    format!(
        "Message-ID: <{id}@example.com>\nDate: Mon, 5 Jan 2026 10:00:00 +0000\nFrom: Ann <ann@example.com>\n\
         To: support@example.com\nSubject: About {id}\n{more}\nHello, this is {id}.\n"
    )
    .into_bytes()
}

/// Mails `m0`, `m1`, …; every fourth answers the one before it.
pub(crate) fn mails(count: usize) -> Vec<Vec<u8>> {
    (0..count)
        .map(|i| {
            let reply =
                if i % 4 == 3 { format!("In-Reply-To: <m{}@example.com>\n", i - 1) } else { String::new() };
            mail(&format!("m{i}"), &reply)
        })
        .collect()
}

/// The built binary with these arguments.
pub(crate) fn postroom(config: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_postroom"));
    command.args(arguments).arg("--config").arg(config);
    command
}

/// Starts it.
pub(crate) fn start(config: &Path, arguments: &[&str]) -> Worker {
    Worker::start(&postroom(config, arguments)).unwrap()
}

/// Runs a command to its end: exit code, standard output, standard error.
pub(crate) async fn run(config: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut worker = start(config, arguments);
    let status = worker.wait(LIMIT).await.unwrap();
    (status.code(), worker.stdout().unwrap(), worker.stderr().unwrap())
}

/// Waits until a count of rows is reached.
pub(crate) async fn wait_for_rows(site: &Site, sql: &str, count: i64) {
    poll::until(&format!("{count} rows of {sql}"), LIMIT, async || {
        // The worker may not have migrated yet.
        let found: i64 = site.database.value(sql).await?.parse()?;
        ensure!(found >= count, "{found} rows");
        Ok(())
    })
    .await
    .unwrap();
}

/// Counts stored messages.
pub(crate) const MESSAGES: &str = "SELECT count(*) FROM messages";
/// Counts deliveries that were made.
pub(crate) const DELIVERED: &str = "SELECT count(*) FROM deliveries WHERE status = 'delivered'";

/// What must hold in the end, whatever happened on the way.
pub(crate) async fn assert_promise(site: &Site, count: usize) {
    let expected = i64::try_from(count).unwrap();
    assert_eq!(site.account.count("INBOX").unwrap(), 0, "the inbox is empty");
    assert_eq!(site.account.count("Processed").unwrap(), count, "each mail was moved, once");
    assert_eq!(site.number(MESSAGES).await, expected, "each mail is one message");
    assert_eq!(site.number("SELECT count(*) FROM sources").await, expected, "each has its source");
    assert_eq!(site.number(DELIVERED).await, expected, "each was delivered");
    let tickets = "SELECT count(*) FROM tickets t WHERE message_count
                   <> (SELECT count(*) FROM messages m WHERE m.ticket_id = t.id)";
    assert_eq!(site.number(tickets).await, 0, "tickets count their messages");

    let mut bodies: BTreeMap<String, BTreeSet<Vec<u8>>> = BTreeMap::new();
    for request in site.helpdesk.requests() {
        bodies.entry(event_id(&request)).or_default().insert(request.body);
    }
    assert_eq!(bodies.len(), count, "each event has one id");
    assert!(bodies.values().all(|bodies| bodies.len() == 1), "and in every attempt the same bytes");
}

fn event_id(request: &Request) -> String {
    request.header("webhook-id").unwrap().to_owned()
}

/// Waits until all is done, and sees to it that the promise was kept.
pub(crate) async fn wait_for_promise(site: &Site, count: usize) {
    wait_for_rows(site, DELIVERED, i64::try_from(count).unwrap()).await;
    site.account.wait_for_count("INBOX", 0, LIMIT).await.unwrap();
    wait_for_rows(site, "SELECT count(*) FROM ledger WHERE state = 'settled'", i64::try_from(count).unwrap())
        .await;
    assert_promise(site, count).await;
}

/// A killed worker's leases end by themselves after a minute; a test need not wait for that.
pub(crate) async fn expire_leases(site: &Site) {
    site.database.rows("UPDATE mailboxes SET lease_until = now()").await.unwrap();
    site.database.rows("UPDATE deliveries SET lease_until = now()").await.unwrap();
}

/// A worker's state, driven cycle by cycle.
pub(crate) struct Intake {
    pub(crate) store: Store,
    pub(crate) lease: Lease,
    pub(crate) config: Config,
    pub(crate) tally: Tally,
    pub(crate) webhooks: Vec<&'static str>,
}

impl Intake {
    pub(crate) async fn new(config: Config) -> Self {
        let store = Store::connect(&config.database).await.unwrap();
        store.migrate().await.unwrap();
        store.register_mailboxes(&config.mailboxes).await.unwrap();
        store.register_webhooks(&["helpdesk"]).await.unwrap();
        let lease = store.acquire_lease("support", &"first".into()).await.unwrap().unwrap();
        Self { store, lease, config, tally: Tally::new("support"), webhooks: vec!["helpdesk"] }
    }

    pub(crate) async fn of(site: &Site) -> Self {
        Self::new(site.config(MOVE, "")).await
    }

    /// By what it files mail.
    pub(crate) fn policy(&self) -> Arc<Policy> {
        intake::policy(&self.config, &self.config.mailboxes[0])
    }

    pub(crate) async fn cycle(&self) -> Result<u32, intake::Error> {
        let mailbox = &self.config.mailboxes[0];
        let mut session = mailbox::connect(mailbox, &Credential::configured(&mailbox.auth).unwrap()).await?;
        if let postroom::config::Settle::Move { to } = &mailbox.settle {
            session.ensure_folder(to).await?;
        }
        let plan = Plan::choose(session.capabilities(), &mailbox.settle);
        let job = Job {
            store: &self.store,
            lease: &self.lease,
            mailbox,
            plan: &plan,
            policy: &self.policy(),
            limits: &self.config.intake,
            webhooks: &self.webhooks,
            suspects: &Mutex::new(()),
            tally: &self.tally,
        };
        intake::cycle(&job, &mut session, &CancellationToken::new()).await
    }
}

//! The demo's servers, its mailbox full of samples, and the worker between them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use devstack::{
    Account, Database, Dovecot, Durability, Folder, Helpdesk, Options, Postgres, Signal, Worker, free_port,
    poll, samples,
};

use crate::say;

/// How long the worker may take for the samples, or a command for its answer. Each takes about a second.
const WORK: Duration = Duration::from_mins(2);
/// How long it may take to stop.
const STOP: Duration = Duration::from_secs(40);
const USER: &str = "support@example.com";
const PROCESSED: &str = "Processed";

/// Everything that runs during the demo. Dropped, it is gone; [`strike`](Self::strike) ends it more gently.
pub(crate) struct Stage {
    pub(crate) worker: Worker,
    pub(crate) helpdesk: Helpdesk,
    pub(crate) database: Database,
    program: PathBuf,
    config: PathBuf,
    ops_port: u16,
    secret: String,
    account: Account,
    dovecot: Dovecot,
    _postgres: Postgres,
    _folder: Folder,
}

impl Stage {
    /// Starts the servers, delivers the samples, and starts the worker.
    pub(crate) async fn set() -> Result<Self> {
        let program = program()?;
        say(
            "Starting a private PostgreSQL, a private IMAP server (Dovecot, TLS) and a helpdesk that takes webhooks.",
        )?;
        let postgres = Postgres::start(Durability::Full).await?;
        let database = postgres.database().await?;
        let dovecot = Dovecot::start(Options::default()).await?;
        let account = dovecot.account(USER)?;
        let helpdesk = Helpdesk::start().await?;
        account.deliver_many(samples().iter().map(|sample| sample.bytes))?;
        say(&format!("Put {} sample mails into the inbox of {USER}.", samples().len()))?;

        let folder = Folder::new("demo")?;
        let secret = new_secret()?;
        let ops_port = free_port()?;
        let config = Config {
            database_url: database.url(),
            ops_port,
            host: dovecot.host(),
            port: dovecot.port(),
            ca_file: dovecot.ca_pem_path(),
            password_file: &folder.write("mailbox-password", account.password())?,
            webhook_url: &helpdesk.url(),
            secret_file: &folder.write("webhook-secret", &secret)?,
        };
        let config = folder.write("postroom.toml", config.write())?;
        say(&format!(
            "Starting the worker: {} run --config {}\n",
            shorten(&program).display(),
            config.display()
        ))?;
        let worker = Worker::start(Command::new(&program).arg("run").arg("--config").arg(&config))?;
        Ok(Self {
            worker,
            helpdesk,
            database,
            program,
            config,
            ops_port,
            secret,
            account,
            dovecot,
            _postgres: postgres,
            _folder: folder,
        })
    }

    /// Waits until every sample is stored, has left the inbox and has been delivered; fails if that does not happen.
    pub(crate) async fn wait_until_done(&mut self) -> Result<()> {
        let outcome =
            poll::until("the worker to empty the mailbox and deliver everything", WORK, async || {
                if let Some(status) = self.worker.ended()? {
                    return Ok(Err(anyhow::anyhow!("the worker ended with {status}")));
                }
                self.is_done().await.map(Ok)
            });
        outcome.await.flatten().map_err(|error| anyhow::anyhow!("{error:#}\n{}", self.worker.log_tail()))
    }

    /// Stops the worker as an operator does, then everything else.
    pub(crate) async fn strike(mut self) -> Result<()> {
        self.worker.signal(Signal::TERM)?;
        let status = self.worker.wait(STOP).await?;
        if !status.success() {
            bail!("the worker was asked to stop and ended with {status}\n{}", self.worker.log_tail());
        }
        Ok(())
    }

    /// Runs another command of the program, with the demo's configuration, and returns what it prints.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.program);
        command.args(arguments).arg("--config").arg(&self.config);
        let mut program = Worker::start(&command)?;
        let status = program.wait(WORK).await?;
        ensure!(
            status.success(),
            "postroom {} ended with {status}\n{}",
            arguments.join(" "),
            program.log_tail()
        );
        program.stdout()
    }

    /// The same command as a person would type it.
    pub(crate) fn command_line(&self, arguments: &str) -> String {
        format!("{} {arguments} --config {}", self.program().display(), self.config.display())
    }

    /// The program, as short as it can be named from here.
    pub(crate) fn program(&self) -> &Path {
        shorten(&self.program)
    }

    pub(crate) fn account(&self) -> &Account {
        &self.account
    }

    pub(crate) fn config(&self) -> &Path {
        &self.config
    }

    pub(crate) fn metrics_url(&self) -> String {
        format!("http://127.0.0.1:{}/metrics", self.ops_port)
    }

    pub(crate) fn imap_command(&self) -> String {
        format!(
            "openssl s_client -quiet -crlf -connect {}:{} -CAfile {}   (then: a LOGIN {USER} {})",
            self.dovecot.host(),
            self.dovecot.port(),
            self.dovecot.ca_pem_path().display(),
            self.account.password(),
        )
    }

    pub(crate) fn secret(&self) -> &str {
        &self.secret
    }

    async fn is_done(&self) -> Result<()> {
        let (inbox, processed) = (self.account.count("INBOX")?, self.account.count(PROCESSED)?);
        ensure!(
            inbox == 0 && processed == samples().len(),
            "{inbox} mails in the inbox, {processed} in {PROCESSED}"
        );
        let stored = self.database.value("SELECT count(*) FROM messages").await?;
        ensure!(stored == samples().len().to_string(), "{stored} mails stored");
        let open = self.database.value("SELECT count(*) FROM deliveries WHERE status <> 'delivered'").await?;
        ensure!(open == "0", "{open} deliveries still open");
        let deliveries = self.database.value("SELECT count(*) FROM deliveries").await?;
        let received = self.helpdesk.requests().len().to_string();
        ensure!(deliveries == received, "{deliveries} deliveries made, {received} received");
        Ok(())
    }
}

/// The worker's program, which the build puts beside this one.
fn program() -> Result<PathBuf> {
    let program = std::env::current_exe()?.with_file_name("postroom");
    ensure!(program.is_file(), "{} is missing: `make demo` builds it", program.display());
    Ok(program)
}

fn shorten(path: &Path) -> &Path {
    // A bare name would be looked up in PATH.
    let short = std::env::current_dir().ok().and_then(|here| path.strip_prefix(here).ok());
    short.filter(|short| short.components().count() > 1).unwrap_or(path)
}

/// A signing secret as Standard Webhooks writes it.
fn new_secret() -> Result<String> {
    let mut bytes = [0; 32];
    openssl::rand::rand_bytes(&mut bytes)?;
    Ok(format!("whsec_{}", openssl::base64::encode_block(&bytes)))
}

/// What differs from the program's defaults.
struct Config<'a> {
    database_url: &'a str,
    ops_port: u16,
    host: &'a str,
    port: u16,
    ca_file: &'a Path,
    password_file: &'a Path,
    webhook_url: &'a str,
    secret_file: &'a Path,
}

impl Config<'_> {
    fn write(&self) -> String {
        format!(
            r#"# The configuration of this demo. config/postroom.toml explains every key and its default.

[database]
# A cluster of its own; only a socket leads to it.
url = "{database_url}"

[ops]
# Health and metrics, on a port that was free.
listen = "127.0.0.1:{ops_port}"

[[mailbox]]
name = "support"
# For Outlook.com, `provider = "outlook.com"` stands in place of these three.
host = "{host}"
port = {port}
ca_file = "{ca_file}"
username = "{USER}"
auth = {{ kind = "password", password_file = "{password_file}" }}
settle = {{ kind = "move", to = "{PROCESSED}" }}
# Often, so that a mail sent into the demo shows up at once.
poll_interval = "1s"

[[webhook]]
name = "helpdesk"
# http is taken for loopback addresses only.
url = "{webhook_url}"
secret_file = "{secret_file}"
"#,
            database_url = self.database_url,
            ops_port = self.ops_port,
            host = self.host,
            port = self.port,
            ca_file = self.ca_file.display(),
            password_file = self.password_file.display(),
            webhook_url = self.webhook_url,
            secret_file = self.secret_file.display(),
        )
    }
}

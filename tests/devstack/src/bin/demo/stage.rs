//! The demo's servers and the worker between them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use devstack::{Database, Durability, Folder, Helpdesk, Postgres, Signal, Worker, free_port, poll, samples};

use crate::say;
use crate::server::{Provider, Server};

/// How long the worker may take for the samples, or a command for its answer. Each takes about a second.
pub(crate) const WORK: Duration = Duration::from_mins(2);
/// How long nobody may send anything before the wait for it begins anew.
pub(crate) const QUIET: Duration = Duration::from_hours(1);
/// How long the worker may take to stop.
const STOP: Duration = Duration::from_secs(40);
/// What the mailbox is called in the configuration.
pub(crate) const MAILBOX: &str = "support";
pub(crate) const USER: &str = "support@example.com";
pub(crate) const PROCESSED: &str = "Processed";

/// Everything that runs during the demo. Dropped, it is gone; [`strike`](Self::strike) ends it more gently.
pub(crate) struct Stage {
    pub(crate) worker: Worker,
    pub(crate) helpdesk: Helpdesk,
    pub(crate) database: Database,
    pub(crate) server: Server,
    program: PathBuf,
    config: PathBuf,
    ops_port: u16,
    /// What webhooks are signed with.
    pub(crate) secret: String,
    _postgres: Postgres,
    _folder: Folder,
}

impl Stage {
    /// Starts the servers, signs in where that is the way, and starts the worker.
    pub(crate) async fn set(provider: Provider) -> Result<Self> {
        let program = program()?;
        say(&format!(
            "Starting a private PostgreSQL, {} and a helpdesk that takes webhooks.",
            provider.describe()
        ))?;
        let postgres = Postgres::start(Durability::Full).await?;
        let database = postgres.database().await?;
        let server = Server::start(provider).await?;
        let helpdesk = Helpdesk::start().await?;

        let folder = Folder::new("demo")?;
        let write =
            |name: &str, content: &str| anyhow::Ok(folder.write(name, content)?.display().to_string());
        let secret = new_secret()?;
        let ops_port = free_port()?;
        let config = Config {
            database_url: database.url(),
            ops_port,
            mailbox: &server.config(write)?,
            webhook_url: &helpdesk.url(),
            secret_file: &write("webhook-secret", &secret)?,
        };
        let config = folder.write("postroom.toml", config.write())?;
        let command =
            |name: &str| format!("{} {name} --config {}", shorten(&program).display(), config.display());
        if let Server::Exchange(outlook) = &server {
            say(&format!("Signing in, once: {}\n", command(&format!("login {MAILBOX}"))))?;
            let mut login = Command::new(&program);
            login.args(["login", MAILBOX]).arg("--config").arg(&config);
            outlook.sign_in(&login).await?;
        }
        say(&format!("Starting the worker: {}\n", command("run")))?;
        let worker = Worker::start(Command::new(&program).arg("run").arg("--config").arg(&config))?;
        Ok(Self {
            worker,
            helpdesk,
            database,
            server,
            program,
            config,
            ops_port,
            secret,
            _postgres: postgres,
            _folder: folder,
        })
    }

    /// Shows the worker at work until every sample is dealt with.
    pub(crate) async fn perform(&mut self) -> Result<()> {
        if let Server::Exchange(outlook) = &self.server {
            outlook.show_push(&mut self.worker, &self.helpdesk, &self.secret).await?;
        }
        self.wait_until_done().await
    }

    /// Waits until every sample is stored, has left the inbox and has been delivered; fails if that does not happen.
    async fn wait_until_done(&mut self) -> Result<()> {
        let Self { worker, helpdesk, database, server, .. } = self;
        let done = poll::until("the worker to empty the mailbox and deliver everything", WORK, async || {
            let (inbox, processed) = (server.count("INBOX")?, server.count(PROCESSED)?);
            ensure!(
                inbox == 0 && processed == samples().len(),
                "{inbox} mails in the inbox, {processed} in {PROCESSED}"
            );
            let stored = database.value("SELECT count(*) FROM messages").await?;
            ensure!(stored == samples().len().to_string(), "{stored} mails stored");
            let open = database.value("SELECT count(*) FROM deliveries WHERE status <> 'delivered'").await?;
            ensure!(open == "0", "{open} deliveries still open");
            let deliveries = database.value("SELECT count(*) FROM deliveries").await?;
            let received = helpdesk.requests().len().to_string();
            ensure!(deliveries == received, "{deliveries} deliveries made, {received} received");
            Ok(())
        });
        while_running(worker, done).await
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

    pub(crate) fn config(&self) -> &Path {
        &self.config
    }

    pub(crate) fn metrics_url(&self) -> String {
        format!("http://127.0.0.1:{}/metrics", self.ops_port)
    }
}

/// Waits for something that a program is to bring about, and no longer than the program runs.
pub(crate) async fn while_running<T>(
    program: &mut Worker,
    something: impl Future<Output = Result<T>>,
) -> Result<T> {
    let outcome = tokio::select! {
        outcome = something => outcome,
        status = program.wait(QUIET) => status.and_then(|status| bail!("the program ended with {status}")),
    };
    outcome.map_err(|error| anyhow::anyhow!("{error:#}\n{}", program.log_tail()))
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
    /// What concerns the mailbox.
    mailbox: &'a str,
    webhook_url: &'a str,
    secret_file: &'a str,
}

impl Config<'_> {
    fn write(&self) -> String {
        let Self { database_url, ops_port, mailbox, webhook_url, secret_file } = self;
        format!(
            r#"# The configuration of this demo. config/postroom.toml explains every key and its default.

[database]
# A cluster of its own; only a socket leads to it.
url = "{database_url}"

[ops]
# Health and metrics, on a port that was free.
listen = "127.0.0.1:{ops_port}"

{mailbox}
[[webhook]]
name = "helpdesk"
# http is taken for loopback addresses only.
url = "{webhook_url}"
secret_file = "{secret_file}"
"#
        )
    }
}

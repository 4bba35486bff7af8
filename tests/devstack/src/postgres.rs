//! A private PostgreSQL cluster, run by the distribution's own programs.
//!
//! Only a Unix socket in the cluster's folder leads to it: no port to collide on, and nobody but its user and root
//! can reach it, so it asks for no password. Each test gets a database of its own.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Connection, Row};
use tokio::sync::OnceCell;

use crate::folder::Folder;
use crate::log;
use crate::owner::Owner;
use crate::poll;
use crate::process::{End, Process};
use crate::proxy::TcpProxy;

const OLDEST: u32 = 14;
const SUPERUSER: &str = "postroom";
const START: Duration = Duration::from_secs(20);
const STOP: Duration = Duration::from_secs(30);

/// What a commit survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// A power cut, as PostgreSQL's defaults have it.
    Full,
    /// SIGKILL of every process, but not a power cut. Several times as fast, and right for tests.
    Processes,
}

/// A running cluster. Dropped, it is stopped and removed.
#[derive(Debug)]
pub struct Postgres {
    server: Option<Process>,
    programs: PathBuf,
    folder: Folder,
}

/// A database of a [`Postgres`]. It lasts as long as its cluster.
#[derive(Debug, Clone)]
pub struct Database {
    name: String,
    url: String,
    psql: String,
    folder: PathBuf,
}

/// A table without room to grow.
#[derive(Debug)]
pub struct FullDisk {
    database: Database,
    file: PathBuf,
    aside: PathBuf,
}

impl Postgres {
    /// The cluster that all tests of one test binary share, started by the first that asks.
    ///
    /// It cannot be stopped: a test of trouble with the database starts a cluster of its own.
    pub async fn shared() -> Result<&'static Self> {
        static SHARED: OnceCell<Postgres> = OnceCell::const_new();
        SHARED.get_or_try_init(|| Self::start(Durability::Processes)).await
    }

    /// Makes a cluster and starts it. Takes about a second.
    pub async fn start(durability: Durability) -> Result<Self> {
        let programs = find_programs()?;
        check_version(&programs)?;
        let folder = Folder::owned_by(Owner::of_servers()?, "postgres")?;
        let mut postgres = Self { server: None, programs, folder };
        postgres.initialise(durability).await?;
        postgres.start_again().await?;
        Ok(postgres)
    }

    /// Makes an empty database that nobody else uses.
    pub async fn database(&self) -> Result<Database> {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let name = format!("postroom_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let mut connection = self.connect().await?;
        sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {name}")))
            .execute(&mut connection)
            .await
            .with_context(|| format!("creating database {name}"))?;
        connection.close().await?;
        Ok(Database {
            url: self.url(&name),
            psql: format!("psql -h {} -U {SUPERUSER} {name}", self.folder.path().display()),
            folder: self.folder.path().to_owned(),
            name,
        })
    }

    /// Stops the server as an administrator does: clients are sent away, everything is written.
    pub async fn stop(&mut self) -> Result<()> {
        self.end(Signal::INT).await
    }

    /// Kills the server and leaves the rest to crash recovery.
    pub async fn kill9(&mut self) -> Result<()> {
        self.end(Signal::KILL).await
    }

    /// Starts the server after [`stop`](Self::stop) or [`kill9`](Self::kill9), with the data it had.
    pub async fn start_again(&mut self) -> Result<()> {
        ensure!(self.server.is_none(), "this PostgreSQL is running");
        let log = self.log()?;
        // Children of a killed server hold its shared memory for a moment, and until they have noticed no other
        // server starts on its data: it says so and exits.
        let started = poll::until("PostgreSQL to start", START, async || {
            let mut command = Command::new(self.programs.join("postgres"));
            command.arg("-D").arg(self.data()).env("LC_ALL", "C").current_dir(self.folder.path());
            let server =
                Process::spawn(&command, self.folder.owner(), End::Quit, log.try_clone()?, log.try_clone()?)?;
            self.ready(server).await
        });
        let server = started.await.map_err(|error| log::explain(&error, &self.log_tail()))?;
        self.server = Some(server);
        Ok(())
    }

    /// Waits until `server` takes connections; fails as soon as it has exited.
    async fn ready(&self, mut server: Process) -> Result<Process> {
        let outcome = poll::until("PostgreSQL to take connections", START, async || {
            if let Some(status) = server.ended()? {
                return Ok(Err(anyhow::anyhow!("PostgreSQL ended with {status}")));
            }
            self.connect().await?.close().await?;
            Ok(Ok(()))
        });
        outcome.await??;
        Ok(server)
    }

    async fn end(&mut self, signal: Signal) -> Result<()> {
        let mut server = self.server.take().context("this PostgreSQL is not running")?;
        server.signal(signal)?;
        server.wait(STOP).await.map(drop)
    }

    async fn initialise(&self, durability: Durability) -> Result<()> {
        let mut initdb = Command::new(self.programs.join("initdb"));
        initdb
            .arg("-D")
            .arg(self.data())
            .args(["-U", SUPERUSER, "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"])
            .env("LC_ALL", "C")
            .current_dir(self.folder.path());
        let log = self.log()?;
        let mut initdb = Process::spawn(&initdb, self.folder.owner(), End::Kill, log.try_clone()?, log)?;
        let status = initdb.wait(START).await?;
        ensure!(status.success(), "initdb ended with {status}\n{}", self.log_tail());

        let mut settings = format!(
            "\nlisten_addresses = ''\nunix_socket_directories = '{}'\nport = 5432\nmax_connections = 300\n",
            self.folder.path().display()
        );
        if durability == Durability::Processes {
            settings.push_str("fsync = off\nfull_page_writes = off\n");
        }
        let path = self.data().join("postgresql.conf");
        let mut file = OpenOptions::new().append(true).open(&path)?;
        file.write_all(settings.as_bytes()).with_context(|| format!("writing {}", path.display()))
    }

    async fn connect(&self) -> Result<PgConnection> {
        PgConnection::connect(&self.url("postgres")).await.context("connecting to PostgreSQL")
    }

    /// A URL that both sqlx and libpq understand.
    fn url(&self, database: &str) -> String {
        format!("postgres:///{database}?host={}&user={SUPERUSER}", self.folder.path().display())
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn log(&self) -> Result<File> {
        log::open(&self.folder.path().join("log"), self.folder.owner())
    }

    fn log_tail(&self) -> String {
        log::tail(&self.folder.path().join("log"))
    }
}

impl Database {
    /// Its URL, for sqlx and libpq alike.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Opens a way to its cluster that a test can break.
    pub async fn proxy(&self) -> Result<TcpProxy> {
        TcpProxy::to_socket(self.folder.join(".s.PGSQL.5432")).await
    }

    /// Its URL by way of a [`proxy`](Self::proxy).
    pub fn url_through(&self, proxy: &TcpProxy) -> String {
        format!("postgres:///{}?host=127.0.0.1&port={}&user={SUPERUSER}", self.name, proxy.port())
    }

    /// Lets the disk be full for a table that is empty as yet, until [`FullDisk::free`].
    ///
    /// Its file becomes a link to `/dev/full`, so the first page that PostgreSQL wants to add meets the kernel's own
    /// ENOSPC. That takes neither root nor a file system of a certain size.
    pub async fn fill_disk(&self, table: &str) -> Result<FullDisk> {
        let facts = format!("SELECT pg_relation_filepath('{table}'), pg_relation_size('{table}')");
        let [path, size] =
            <[String; 2]>::try_from(self.rows(&facts).await?.concat()).ok().context("two facts")?;
        ensure!(size == "0", "{table} is not empty");
        let file = self.folder.join("data").join(path);
        let aside = file.with_extension("aside");
        fs::rename(&file, &aside)?;
        symlink("/dev/full", &file)?;
        self.disconnect_all().await?;
        Ok(FullDisk { database: self.clone(), file, aside })
    }

    /// Ends all other connections to it, as an administrator does.
    pub async fn disconnect_all(&self) -> Result<()> {
        let others = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                      WHERE datname = current_database() AND pid <> pg_backend_pid()";
        self.value(others).await.map(drop)
    }

    /// Its name in the cluster.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The shell command with which a person looks into it.
    pub fn psql(&self) -> &str {
        &self.psql
    }

    /// Runs SQL, several statements if need be, and returns all rows as text; NULL is "".
    pub async fn rows(&self, sql: &str) -> Result<Vec<Vec<String>>> {
        let mut connection = PgConnection::connect(&self.url).await.context("connecting to PostgreSQL")?;
        // `raw_sql` uses the simple protocol, in which every value arrives as text.
        let rows = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
            .fetch_all(&mut connection)
            .await
            .with_context(|| format!("asking PostgreSQL: {sql}"))?;
        connection.close().await?;
        rows.iter().map(text).collect()
    }

    /// Runs SQL and returns the first value of the first row as text.
    pub async fn value(&self, sql: &str) -> Result<String> {
        let first = self.rows(sql).await?.into_iter().flatten().next();
        first.with_context(|| format!("no row for: {sql}"))
    }
}

impl FullDisk {
    /// Makes room again.
    pub async fn free(self) -> Result<()> {
        fs::rename(&self.aside, &self.file)?;
        // Whoever has the other file open would go on with it.
        self.database.disconnect_all().await
    }
}

fn text(row: &PgRow) -> Result<Vec<String>> {
    (0..row.len()).map(|i| Ok(row.try_get_unchecked::<Option<String>, _>(i)?.unwrap_or_default())).collect()
}

/// The folder of the newest server programs on this machine.
fn find_programs() -> Result<PathBuf> {
    let mut folders = Vec::new();
    // Debian and its kin keep versions side by side, outside PATH.
    if let Ok(versions) = fs::read_dir("/usr/lib/postgresql") {
        let mut numbers: Vec<u32> =
            versions.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
        numbers.sort_unstable_by(|a, b| b.cmp(a));
        folders.extend(numbers.iter().map(|n| PathBuf::from(format!("/usr/lib/postgresql/{n}/bin"))));
    }
    if let Ok(answer) = Command::new("pg_config").arg("--bindir").output() {
        folders.push(PathBuf::from(String::from_utf8_lossy(&answer.stdout).trim()));
    }
    if let Some(path) = std::env::var_os("PATH") {
        folders.extend(std::env::split_paths(&path));
    }
    folders
        .into_iter()
        .find(|folder| folder.join("initdb").is_file() && folder.join("postgres").is_file())
        .context("no PostgreSQL server on this machine: `make deps` installs it")
}

fn check_version(programs: &Path) -> Result<()> {
    let answer = Command::new(programs.join("postgres")).arg("--version").output()?;
    let answer = String::from_utf8_lossy(&answer.stdout).into_owned();
    // "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)", "postgres (PostgreSQL) 18beta1"
    let number: String = answer
        .trim_start_matches(|c: char| !c.is_ascii_digit())
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    match number.parse::<u32>() {
        Ok(version) if version >= OLDEST => Ok(()),
        _ => bail!("PostgreSQL {OLDEST} or newer is needed; {} is {}", programs.display(), answer.trim()),
    }
}

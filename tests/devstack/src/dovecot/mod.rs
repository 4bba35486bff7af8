//! A private Dovecot: IMAP over TLS on a port of loopback, Maildir, any number of accounts.
//!
//! Every user name logs in with [`PASSWORD`] or, where it is told whom to ask, with an access token; an account is the Maildir that belongs to a name. So tests may share a
//! server and still not see each other's mail.

mod account;
mod settings;

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;

pub use self::account::{Account, StoredMail};

use self::settings::{Settings, Syntax};
use crate::authority::Authority;
use crate::folder::Folder;
use crate::log;
use crate::owner::Owner;
use crate::poll;
use crate::port::free_port;
use crate::process::{End, Process};

/// The password of every account.
const PASSWORD: &str = "correct-horse-battery";
const START: Duration = Duration::from_secs(20);
const STOP: Duration = Duration::from_secs(20);
/// How often another port is tried when somebody has taken the one that was free.
const PORTS: usize = 5;

/// How the server differs from Dovecot's defaults.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// Capabilities that it hides, such as `MOVE` and `UIDPLUS`. It would still obey the commands, but not use a
    /// mechanism (`AUTH=XOAUTH2`).
    pub without: &'a [&'a str],
    /// The DNS name in its certificate. A client that connects to `localhost` must refuse any other.
    pub certified_host: &'a str,
    /// Where it asks about access tokens: [`Identity::introspection_url`](crate::Identity::introspection_url). With it,
    /// it takes XOAUTH2 and OAUTHBEARER besides passwords.
    pub introspection_url: Option<&'a str>,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self { without: &[], certified_host: "localhost", introspection_url: None }
    }
}

/// A running server. Dropped, it is stopped and removed.
#[derive(Debug)]
pub struct Dovecot {
    server: Option<Process>,
    program: PathBuf,
    port: u16,
    authority: Authority,
    ca_pem_path: PathBuf,
    folder: Folder,
}

impl Dovecot {
    /// Makes a server and starts it. Takes about 0.2 s.
    pub async fn start(options: Options<'_>) -> Result<Self> {
        let program = find_program()?;
        let syntax = Syntax::of(&program)?;
        let folder = Folder::owned_by(Owner::of_servers()?, "dovecot")?;
        let authority = Authority::new()?;
        let certified = authority.certify(options.certified_host)?;
        let ca_pem_path = folder.write("ca.pem", authority.pem())?;
        folder.write("server.pem", &certified.certificate)?;
        folder.write("server.key", &certified.key)?;

        let mut dovecot = Self { server: None, program, port: 0, authority, ca_pem_path, folder };
        let mut last = None;
        for _ in 0..PORTS {
            dovecot.port = free_port()?;
            dovecot.configure(syntax, options)?;
            match dovecot.start_again().await {
                Ok(()) => return Ok(dovecot),
                Err(error) => last = Some(error),
            }
            if !log::read(&dovecot.log())?.contains("Address already in use") {
                break;
            }
        }
        Err(last.context("no port was tried")?)
    }

    /// The name to connect to, as its certificate has it unless [`Options`] say otherwise.
    pub fn host(&self) -> &'static str {
        "localhost"
    }

    /// Its port for IMAP over TLS. The same after [`start_again`](Self::start_again).
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The certificate of the authority to trust, as a file.
    pub fn ca_pem_path(&self) -> &Path {
        &self.ca_pem_path
    }

    /// The authority that certified it.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The account of user `name`, made if it does not exist yet.
    pub fn account(&self, name: &str) -> Result<Account> {
        Account::create(self.folder.owner(), &self.homes(), name, PASSWORD)
    }

    /// Stops the server as an administrator does. Connections are closed.
    pub async fn stop(&mut self) -> Result<()> {
        self.end(Signal::TERM).await
    }

    /// Kills the server with all its processes, whatever they are doing.
    pub async fn kill9(&mut self) -> Result<()> {
        self.end(Signal::KILL).await?;
        poll::until("the killed Dovecot's port to be free", STOP, async || {
            TcpListener::bind((Ipv4Addr::LOCALHOST, self.port))
                .map(drop)
                .context("a dying child still listens")
        })
        .await?;
        // A lock file that its maker had no time to write its process id into would hold for a minute or two.
        remove_locks(&self.homes())
    }

    /// Starts the server after [`stop`](Self::stop) or [`kill9`](Self::kill9): same port, same mail.
    pub async fn start_again(&mut self) -> Result<()> {
        ensure!(self.server.is_none(), "this Dovecot is running");
        let file = log::open(&self.log(), self.folder.owner())?;
        let starts = self.starts()?;
        let mut command = Command::new(&self.program);
        command
            .arg("-F")
            .arg("-c")
            .arg(self.folder.path().join("dovecot.conf"))
            .current_dir(self.folder.path());
        let mut server = Process::spawn(&command, self.folder.owner(), End::Kill, file.try_clone()?, file)?;
        let outcome = poll::until("Dovecot to start", START, async || {
            if let Some(status) = server.ended()? {
                return Ok(Err(anyhow::anyhow!("Dovecot ended with {status}")));
            }
            ensure!(self.starts()? > starts, "it does not listen yet");
            Ok(Ok(()))
        });
        outcome.await.flatten().map_err(|error| log::explain(&error, &log::tail(&self.log())))?;
        self.server = Some(server);
        Ok(())
    }

    async fn end(&mut self, signal: Signal) -> Result<()> {
        let mut server = self.server.take().context("this Dovecot is not running")?;
        server.signal(signal)?;
        server.wait(STOP).await.map(drop)
    }

    /// How often it has logged that it is up, which it does once it listens.
    fn starts(&self) -> Result<usize> {
        Ok(log::read(&self.log())?.matches("starting up for imap").count())
    }

    fn configure(&self, syntax: Syntax, options: Options<'_>) -> Result<()> {
        let settings = Settings {
            folder: self.folder.path(),
            homes: &self.homes(),
            log: &self.log(),
            owner: self.folder.owner(),
            port: self.port,
            password: PASSWORD,
            without: options.without,
            introspection_url: options.introspection_url,
        };
        if let Some(url) = options.introspection_url {
            self.folder.write(settings::TOKENS_FILE, settings::token_settings(url, ""))?;
        }
        self.folder.write("dovecot.conf", settings.write(syntax)).map(drop)
    }

    fn homes(&self) -> PathBuf {
        self.folder.path().join("homes")
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }
}

/// Removes all lock files below a folder.
fn remove_locks(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("listing {}", folder.display()))? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            remove_locks(&path)?;
        } else if path.extension().is_some_and(|extension| extension == "lock") {
            fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))?;
        }
    }
    Ok(())
}

fn find_program() -> Result<PathBuf> {
    let mut folders: Vec<PathBuf> =
        std::env::var_os("PATH").iter().flat_map(|path| std::env::split_paths(path)).collect();
    // Not in the PATH of an ordinary user.
    folders.extend(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from));
    folders
        .into_iter()
        .map(|folder| folder.join("dovecot"))
        .find(|program| program.is_file())
        .context("no Dovecot on this machine: `make deps` installs it")
}

//! The demo's Outlook: a mailbox that takes access tokens only, and the platform that gives them out.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail, ensure};
use devstack::exchange::Habits;
use devstack::identity::{self, Kind};
use devstack::{Exchange, Folder, Helpdesk, Identity, Worker, poll, samples};

use crate::stage::{MAILBOX, PROCESSED, QUIET, USER, WORK, while_running};
use crate::{say, show};

/// Between two polls for the person's sign-in. Microsoft asks for 5 seconds.
const INTERVAL: Duration = Duration::from_secs(1);
/// How many mails arrive one by one before the token expires.
const ONE_BY_ONE: usize = 6;

/// Both servers, and a folder in which `demo send` leaves mail.
pub(crate) struct Outlook {
    exchange: Exchange,
    identity: Identity,
    maildir: PathBuf,
    _folder: Folder,
}

impl Outlook {
    pub(crate) async fn start() -> Result<Self> {
        let habits = identity::Habits { interval: INTERVAL, ..identity::Habits::default() };
        let identity = Identity::start(habits).await?;
        let exchange = Exchange::with_tokens(Habits::default(), identity.tokens(), USER).await?;
        let folder = Folder::new("outlook")?;
        let maildir = folder.path().join("Maildir");
        for part in ["new", "tmp"] {
            fs::create_dir_all(maildir.join(part)).context("making a place for mail that is sent in")?;
        }
        Ok(Self { exchange, identity, maildir, _folder: folder })
    }

    pub(crate) fn exchange(&self) -> &Exchange {
        &self.exchange
    }

    pub(crate) fn maildir(&self) -> &Path {
        &self.maildir
    }

    pub(crate) fn count(&self, folder: &str) -> usize {
        self.exchange.count(folder)
    }

    pub(crate) fn config(&self, write: impl Fn(&str, &str) -> Result<String>) -> Result<String> {
        let Self { exchange, identity, .. } = self;
        let mut key = [0; 32];
        openssl::rand::rand_bytes(&mut key)?;
        Ok(format!(
            r#"[secrets]
# Encrypts in the database what the sign-in gives.
key_file = "{key_file}"

[[mailbox]]
name = "{MAILBOX}"
# For Outlook.com, `provider = "outlook.com"` stands in place of these three.
host = "{host}"
port = {port}
ca_file = "{ca_file}"
username = "{USER}"
settle = {{ kind = "move", to = "{PROCESSED}" }}

[mailbox.auth]
kind = "oauth2"
flow = "device"
client_id = "{client_id}"
tenant = "consumers"
# For Microsoft's own, these two are left out.
authority = "{authority}"
ca_file = "{authority_ca_file}"
"#,
            key_file = write("secrets-key", &openssl::base64::encode_block(&key))?,
            host = exchange.host(),
            port = exchange.port(),
            ca_file = exchange.ca_pem_path().display(),
            client_id = identity.client_id(),
            authority = identity.url(),
            authority_ca_file = identity.ca_pem_path().display(),
        ))
    }

    /// Signs in as an administrator does, once, and plays the person at the other device.
    pub(crate) async fn sign_in(&self, login: &Command) -> Result<()> {
        let mut login = Worker::start(login)?;
        let code = while_running(&mut login, self.identity.wait_for_code(WORK)).await?;
        login.wait_for_line(&code, WORK).await?;
        let invitation = login.stdout()? + &login.stderr()?;
        say(&quote(&invitation))?;
        // So that it is seen waiting.
        while_running(&mut login, self.identity.wait_for(Kind::Poll, 1, WORK)).await?;
        say("A person opens that page on any device, enters the code and signs in. Here, the demo does.\n")?;
        self.identity.approve(USER)?;
        let status = login.wait(WORK).await?;
        ensure!(status.success(), "postroom login ended with {status}\n{}", login.log_tail());
        let said = login.stdout()? + &login.stderr()?;
        say(&quote(said.strip_prefix(&invitation).unwrap_or(&said)))
    }

    /// Has mail arrive, the token expire, and more mail arrive; tells how long each took to reach the helpdesk.
    pub(crate) async fn show_push(
        &self,
        worker: &mut Worker,
        helpdesk: &Helpdesk,
        secret: &str,
    ) -> Result<()> {
        let (single, bulk) = samples().split_at_checked(ONE_BY_ONE + 1).context("too few samples")?;
        let (last, first) = single.split_last().context("too few samples")?;
        say("The worker idles: the server will tell it of new mail. From delivery to webhook:\n")?;
        for sample in first {
            self.race(sample.bytes, worker, helpdesk, secret).await?;
        }

        let (refreshes, connections) =
            (self.identity.count(Kind::Refresh), self.exchange.connections().len());
        self.identity.tokens().expire_all();
        say("\nThe access token expires, and the server ends the session: AccessTokenExpired.")?;
        while_running(worker, async {
            self.identity.wait_for(Kind::Refresh, refreshes + 1, WORK).await?;
            self.exchange.wait_for_connections(connections + 1, WORK).await
        })
        .await?;
        say("The worker has got another by its refresh token, and is back. The next mail:\n")?;
        self.race(last.bytes, worker, helpdesk, secret).await?;

        say(&format!("\nThe other {} sample mails arrive all at once.\n", bulk.len()))?;
        bulk.iter().try_for_each(|sample| self.deliver(sample.bytes))
    }

    /// Delivers what is sent into the demo. Returns only when something is wrong.
    pub(crate) async fn take_in(&self) -> Result<()> {
        let new = self.maildir.join("new");
        loop {
            let come = poll::until("mail that is sent in", QUIET, async || {
                fs::read_dir(&new)?.next().transpose()?.context("none")
            });
            // None for an hour is no trouble.
            let Ok(entry) = come.await else { continue };
            self.deliver(&fs::read(entry.path())?)?;
            fs::remove_file(entry.path())?;
        }
    }

    /// Delivers a mail to a worker that idles, waits for its webhook, and tells how long that took.
    async fn race(&self, mail: &[u8], worker: &mut Worker, helpdesk: &Helpdesk, secret: &str) -> Result<()> {
        while_running(worker, self.exchange.wait_for_idling(1, WORK)).await?;
        let seen = helpdesk.requests().len();
        let delivered = SystemTime::now();
        self.deliver(mail)?;
        let requests = while_running(worker, helpdesk.wait_for(seen + 1, WORK)).await?;
        let Some(request) = requests.get(seen) else { bail!("a webhook was lost") };
        let took = request.received_at.duration_since(delivered)?.as_millis();
        say(&format!("  {took:>5} ms  {}", show::line(request, secret)?))
    }

    /// Puts a mail with the line ends of a file into the inbox.
    fn deliver(&self, mail: &[u8]) -> Result<()> {
        let mut lines = Vec::with_capacity(mail.len() + mail.len() / 20);
        for line in mail.split_inclusive(|byte| *byte == b'\n') {
            match line.strip_suffix(b"\n") {
                Some(text) => lines.extend([text, b"\r\n"].concat()),
                None => lines.extend(line),
            }
        }
        self.exchange.deliver(&lines).map(drop)
    }
}

/// What a program says, set off from what the demo says.
fn quote(text: &str) -> String {
    let lines: Vec<String> = text.trim().lines().map(|line| format!("  | {line}")).collect();
    lines.join("\n") + "\n"
}

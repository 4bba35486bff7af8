//! Where the demo's mail comes to: a real Dovecot, or a server that plays Exchange behind Microsoft's sign-in.

use std::path::Path;

use anyhow::{Result, bail};
use devstack::{Account, Dovecot, Options, samples};

use crate::outlook::Outlook;
use crate::say;
use crate::stage::{MAILBOX, PROCESSED, USER};

/// Which server the demo is to be about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Provider {
    Dovecot,
    Exchange,
}

/// A mail server, running.
pub(crate) enum Server {
    Dovecot(Box<Dovecot>, Account),
    Exchange(Box<Outlook>),
}

impl Provider {
    /// The one that the environment names: `PROVIDER=exchange`.
    pub(crate) fn wanted() -> Result<Self> {
        match std::env::var("PROVIDER").unwrap_or_default().as_str() {
            "" | "dovecot" => Ok(Self::Dovecot),
            "exchange" => Ok(Self::Exchange),
            other => bail!("PROVIDER is {other:?}; the demo knows dovecot and exchange"),
        }
    }

    /// What of it is told before anything is started.
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Self::Dovecot => "a private IMAP server (Dovecot, TLS)",
            Self::Exchange => {
                "a server that plays Exchange Online (TLS, access tokens, IDLE), another that plays\n\
                 Microsoft's identity platform"
            }
        }
    }
}

impl Server {
    /// Starts a server. Dovecot's inbox is full from the start.
    pub(crate) async fn start(provider: Provider) -> Result<Self> {
        if provider == Provider::Exchange {
            return Ok(Self::Exchange(Box::new(Outlook::start().await?)));
        }
        let dovecot = Dovecot::start(Options::default()).await?;
        let account = dovecot.account(USER)?;
        account.deliver_many(samples().iter().map(|sample| sample.bytes))?;
        say(&format!("Put {} sample mails into the inbox of {USER}.", samples().len()))?;
        Ok(Self::Dovecot(Box::new(dovecot), account))
    }

    /// Its part of the configuration, for which `write` may write files of secrets.
    pub(crate) fn config(&self, write: impl Fn(&str, &str) -> Result<String>) -> Result<String> {
        match self {
            Self::Dovecot(dovecot, account) => Ok(format!(
                r#"[[mailbox]]
name = "{MAILBOX}"
# For Outlook.com, `provider = "outlook.com"` stands in place of these three.
host = "{host}"
port = {port}
ca_file = "{ca_file}"
username = "{USER}"
auth = {{ kind = "password", password_file = "{password_file}" }}
settle = {{ kind = "move", to = "{PROCESSED}" }}
# Often, so that a mail sent into the demo shows up at once.
poll_interval = "1s"
"#,
                host = dovecot.host(),
                port = dovecot.port(),
                ca_file = dovecot.ca_pem_path().display(),
                password_file = write("mailbox-password", account.password())?,
            )),
            Self::Exchange(outlook) => outlook.config(write),
        }
    }

    /// How many messages a folder holds.
    pub(crate) fn count(&self, folder: &str) -> Result<usize> {
        match self {
            Self::Dovecot(_, account) => account.count(folder),
            Self::Exchange(outlook) => Ok(outlook.count(folder)),
        }
    }

    /// The Maildir that `demo send` is to put mail into.
    pub(crate) fn maildir(&self) -> &Path {
        match self {
            Self::Dovecot(_, account) => account.maildir(),
            Self::Exchange(outlook) => outlook.maildir(),
        }
    }

    /// Sees to it that mail from there arrives. Returns only when something is wrong.
    pub(crate) async fn take_in(&self) -> Result<()> {
        match self {
            // It serves that Maildir.
            Self::Dovecot(..) => std::future::pending().await,
            Self::Exchange(outlook) => outlook.take_in().await,
        }
    }

    /// How to look at it with one's own eyes.
    pub(crate) fn imap_command(&self) -> String {
        let (host, port, ca_file, then) = match self {
            Self::Dovecot(dovecot, account) => (
                dovecot.host(),
                dovecot.port(),
                dovecot.ca_pem_path(),
                format!("a LOGIN {USER} {}", account.password()),
            ),
            Self::Exchange(outlook) => {
                let exchange = outlook.exchange();
                (exchange.host(), exchange.port(), exchange.ca_pem_path(), "a CAPABILITY".to_owned())
            }
        };
        format!(
            "openssl s_client -quiet -crlf -connect {host}:{port} -CAfile {}   (then: {then})",
            ca_file.display()
        )
    }
}

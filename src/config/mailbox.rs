//! `[[mailbox]]`

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use url::Host;

use super::auth::Auth;
use super::layer;
use super::provider::{PROVIDERS, Provider, is_microsoft};
use super::redacted::Toml;
use super::section::Section;

/// One mailbox to empty.
#[derive(Clone)]
pub struct Mailbox {
    /// What it is called in the tables, logs and metrics. Not private.
    pub name: String,
    /// Whose server it is, if the settings followed from that.
    pub provider: Option<Provider>,
    /// DNS name of the IMAP server; the certificate must carry it.
    pub host: String,
    /// Port for IMAP over TLS.
    pub port: u16,
    /// PEM certificates of a private authority, trusted besides the system's.
    pub ca_pem: Option<Vec<u8>>,
    /// Who logs in.
    pub username: String,
    /// How it proves that.
    pub auth: Auth,
    /// The addresses under which it gets mail, besides the user name if that is one.
    pub addresses: Vec<String>,
    /// The servers whose `Authentication-Results` are believed, by the names that they write. Where none is named,
    /// that is Exchange Online's own, if the mailbox is there.
    pub trusted_authserv: Vec<String>,
    /// The folder to empty, in UTF-8.
    pub folder: String,
    /// What becomes of a stored message.
    pub settle: Settle,
    /// Which addresses of the server are connected to.
    pub ip_family: IpFamily,
    /// Pause between two polls, where the server does not tell of new mail by itself.
    pub poll_interval: Duration,
    /// The longest an IDLE lasts: then the folder is looked into, news or not. At most 9 minutes.
    pub idle_timeout: Duration,
    /// Limit of each step of connecting: TCP, TLS, greeting, login.
    pub connect_timeout: Duration,
    /// Limit of one command, from sending to its tagged answer, literals aside.
    pub command_timeout: Duration,
    /// Limit of silence in the middle of an answer: a literal that stalls this long ends the connection.
    pub stall_timeout: Duration,
}

/// Which addresses of a server are connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IpFamily {
    /// All, IPv4 first.
    Auto,
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
}

/// What becomes of a stored message in the mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settle {
    /// Moved to this folder (UTF-8), which is created if missing.
    Move {
        /// The folder.
        to: String,
    },
    /// Deleted for good.
    Expunge,
    /// Left where it is.
    Keep,
}

/// What a mailbox need not say, as TOML. postroom.toml shows the same values.
pub(super) const DEFAULTS: &str = r#"
port = 993
addresses = []
trusted_authserv = []
folder = "INBOX"
settle = { kind = "move", to = "Processed" }
ip_family = "auto"
poll_interval = "60s"
idle_timeout = "5m"
connect_timeout = "30s"
command_timeout = "5m"
stall_timeout = "60s"
"#;

const IP_FAMILIES: [(&str, IpFamily); 3] =
    [("auto", IpFamily::Auto), ("v4", IpFamily::V4), ("v6", IpFamily::V6)];

/// Servers end what is idle for half an hour, some earlier, and not all of them say so.
const LONGEST_IDLE: Duration = Duration::from_mins(9);

impl Mailbox {
    pub(super) fn read(mut section: Section<'_>) -> Option<Self> {
        section.fill(&layer::parse(DEFAULTS));
        let name = section.name();
        let is_provided = section.has("provider");
        let (provider, host) = read_host(&mut section).unzip();
        let provider = provider.flatten();
        let port = section.number("port", 1..=u16::MAX);
        let ca_pem = section.certificates("ca_file");
        let username = read_username(&mut section, is_provided);
        let auth = section.table("auth", r#"a table such as { kind = "password", password_file = "…" }"#);
        let auth = auth.and_then(|auth| Auth::read(auth, provider, host.as_deref()));
        let addresses = section.texts("addresses", r#"a list such as ["help@example.com"]"#, is_address);
        let trusted_authserv =
            section.texts("trusted_authserv", r#"a list such as ["mx.example.com"]"#, is_authserv_id);
        let folder = section.text("folder", "the name of a folder");
        let settle = section.table("settle", r#"a table such as { kind = "move", to = "Processed" }"#);
        let settle = settle.and_then(Settle::read);
        let ip_family = section.choice("ip_family", &IP_FAMILIES);
        let poll_interval = section.duration("poll_interval");
        let idle_timeout = section.duration_up_to("idle_timeout", LONGEST_IDLE);
        let connect_timeout = section.duration("connect_timeout");
        let command_timeout = section.duration("command_timeout");
        let stall_timeout = section.duration("stall_timeout");
        if let (Some(folder), Some(Settle::Move { to })) = (&folder, &settle)
            && is_same_folder(folder, to)
        {
            section.refuse("settle", "a move to the folder that is emptied", "a move to another folder");
        }
        section.end();
        Some(Self {
            name: name?,
            provider,
            host: host?,
            port: port?,
            ca_pem,
            username: username?,
            auth: auth?,
            addresses: addresses?,
            trusted_authserv: trusted_authserv?,
            folder: folder?,
            settle: settle?,
            ip_family: ip_family?,
            poll_interval: poll_interval?,
            idle_timeout: idle_timeout?,
            connect_timeout: connect_timeout?,
            command_timeout: command_timeout?,
            stall_timeout: stall_timeout?,
        })
    }

    /// Whether it is one of Exchange Online's: of Outlook.com or Microsoft 365.
    pub fn is_exchange_online(&self) -> bool {
        is_microsoft(&self.host)
    }

    /// Whether both log in to the same account, as far as names tell.
    pub(super) fn shares_account_with(&self, other: &Self) -> bool {
        self.host.eq_ignore_ascii_case(&other.host) && self.username.eq_ignore_ascii_case(&other.username)
    }

    /// Whether `folder`, of the same account, is the one this empties.
    pub(super) fn empties(&self, folder: &str) -> bool {
        is_same_folder(&self.folder, folder)
    }

    /// Whether this moves mail to where `other`, of the same account, takes it from.
    pub(super) fn moves_into(&self, other: &Self) -> bool {
        matches!(&self.settle, Settle::Move { to } if other.empties(to))
    }

    pub(super) fn write(&self, toml: &mut Toml) {
        toml.header("[[mailbox]]");
        toml.text("name", &self.name);
        toml.text("host", &self.host);
        toml.plain("port", self.port);
        toml.certificates("ca_file", self.ca_pem.as_deref());
        toml.text("username", &self.username);
        toml.list("addresses", self.addresses.iter().map(String::as_str));
        toml.list("trusted_authserv", self.trusted_authserv.iter().map(String::as_str));
        toml.text("folder", &self.folder);
        match &self.settle {
            Settle::Move { to } => toml.inline("settle", &[("kind", "move"), ("to", to)]),
            Settle::Expunge => toml.inline("settle", &[("kind", "expunge")]),
            Settle::Keep => toml.inline("settle", &[("kind", "keep")]),
        }
        toml.text(
            "ip_family",
            match self.ip_family {
                IpFamily::Auto => "auto",
                IpFamily::V4 => "v4",
                IpFamily::V6 => "v6",
            },
        );
        toml.duration("poll_interval", self.poll_interval);
        toml.duration("idle_timeout", self.idle_timeout);
        toml.duration("connect_timeout", self.connect_timeout);
        toml.duration("command_timeout", self.command_timeout);
        toml.duration("stall_timeout", self.stall_timeout);
        self.auth.write(toml);
    }
}

// By hand: a derived `Debug` would print the address that logs in.
impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox")
            .field("name", &self.name)
            .field("host", &self.host)
            .field("port", &self.port)
            .field("auth", &self.auth)
            .field("settle", &self.settle)
            .finish_non_exhaustive()
    }
}

impl Settle {
    fn read(mut section: Section<'_>) -> Option<Self> {
        #[derive(Clone, Copy)]
        enum Kind {
            Move,
            Expunge,
            Keep,
        }
        if !section.has("kind") {
            return section.missing("kind", r#""move", "expunge" or "keep""#);
        }
        let kinds = [("move", Kind::Move), ("expunge", Kind::Expunge), ("keep", Kind::Keep)];
        let settle = match section.choice("kind", &kinds)? {
            Kind::Move => {
                section.required_text("to", "the name of the folder to move to").map(|to| Self::Move { to })
            }
            Kind::Expunge => Some(Self::Expunge),
            Kind::Keep => Some(Self::Keep),
        };
        section.end();
        settle
    }
}

fn read_host(section: &mut Section<'_>) -> Option<(Option<Provider>, String)> {
    let allowed =
        r#"provider = "outlook.com" or "microsoft365", or host = a DNS name such as "imap.example.com""#;
    match (section.has("provider"), section.has("host")) {
        (true, true) => {
            section.refuse("host", "provider as well", "one of the two");
            section.take("provider");
            section.take("host");
            None
        }
        (true, false) => {
            let provider = section.choice("provider", &PROVIDERS)?;
            Some((Some(provider), provider.host().to_owned()))
        }
        (false, true) => {
            let host = section.text("host", allowed)?;
            let known = if host.parse::<IpAddr>().is_ok() { Some(host) } else { domain(&host) };
            if known.is_none() {
                section.refuse(
                    "host",
                    "a string that is not a host name",
                    "a DNS name or an IP address, without port",
                );
            }
            Some((None, known?))
        }
        (false, false) => section.missing("host", allowed),
    }
}

/// A domain in the form that DNS and certificates know (RFC 5890 A-labels).
fn domain(host: &str) -> Option<String> {
    match Host::parse(host) {
        Ok(Host::Domain(domain)) => Some(domain),
        _ => None,
    }
}

fn read_username(section: &mut Section<'_>, is_provided: bool) -> Option<String> {
    let username = section.required_text("username", "the name that logs in, mostly the full address")?;
    if !is_provided || is_full_address(&username) {
        return Some(username);
    }
    let (found, remedy) = if username.contains('\\') {
        let remedy =
            "for a shared mailbox, write its address alone; who signs in is somebody with a right to it";
        ("a name with \\", remedy)
    } else {
        (
            "a name that is no address",
            "the provider knows mailboxes by their primary address, not by a bare name",
        )
    };
    section.note("username", found, "the full address of the mailbox", Some(remedy.to_owned()));
    None
}

fn is_full_address(username: &str) -> bool {
    is_address(username)
        && !username.contains('\\')
        && username.rsplit_once('@').is_some_and(|(_, domain)| domain.contains('.'))
}

fn is_address(text: &str) -> bool {
    let is_part = |part: &str| !part.is_empty() && !part.contains(['@', ' ', '<', '>', ',']);
    text.rsplit_once('@').is_some_and(|(local, domain)| is_part(local) && is_part(domain))
}

/// RFC 8601 §2.2: mostly a host name, and one word.
fn is_authserv_id(text: &str) -> bool {
    !text.contains([' ', ';', ',', '=', '(', ')', '"'])
}

/// RFC 9051 §5.1: INBOX is the one name whose case does not matter.
fn is_same_folder(one: &str, other: &str) -> bool {
    one == other || one.eq_ignore_ascii_case("INBOX") && other.eq_ignore_ascii_case("INBOX")
}

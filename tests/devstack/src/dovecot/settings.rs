//! Dovecot's configuration file, in the syntax of its version.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::owner::Owner;

/// What Dovecot 2.3.19 offers after login. A server that hides one of these must list the others.
const CAPABILITIES: &str = "IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE SORT SORT=DISPLAY THREAD=REFERENCES \
    THREAD=REFS THREAD=ORDEREDSUBJECT MULTIAPPEND URL-PARTIAL CATENATE UNSELECT CHILDREN NAMESPACE UIDPLUS \
    LIST-EXTENDED I18NLEVEL=1 CONDSTORE QRESYNC ESEARCH ESORT SEARCHRES WITHIN CONTEXT=SEARCH LIST-STATUS BINARY \
    MOVE SNIPPET=FUZZY PREVIEW=FUZZY PREVIEW STATUS=SIZE SAVEDATE LITERAL+ NOTIFY";

/// Dovecot 2.3 wants what concerns tokens in a file of its own.
pub(super) const TOKENS_FILE: &str = "tokens.conf.ext";

/// The two syntaxes in use: 2.4 (Debian 13) renamed most settings that matter here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Syntax {
    V2_3,
    V2_4,
}

/// What a server is to be like.
pub(super) struct Settings<'a> {
    pub(super) folder: &'a Path,
    pub(super) homes: &'a Path,
    pub(super) log: &'a Path,
    pub(super) owner: &'a Owner,
    pub(super) port: u16,
    pub(super) password: &'a str,
    pub(super) without: &'a [&'a str],
    /// Where it asks about access tokens (RFC 7662). Without, it takes none.
    pub(super) introspection_url: Option<&'a str>,
}

impl Syntax {
    /// The syntax that `program` reads.
    pub(super) fn of(program: &Path) -> Result<Self> {
        let answer = Command::new(program)
            .arg("--version")
            .output()
            .with_context(|| format!("asking {} for its version", program.display()))?;
        let answer = String::from_utf8_lossy(&answer.stdout).into_owned();
        let mut numbers = answer.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(2)), Some(Ok(3))) => Ok(Self::V2_3),
            (Some(Ok(2)), Some(Ok(minor))) if minor >= 4 => Ok(Self::V2_4),
            _ => bail!("Dovecot 2.3 or 2.4 is needed; {} is {:?}", program.display(), answer.trim()),
        }
    }
}

impl Settings<'_> {
    /// The whole file.
    pub(super) fn write(&self, syntax: Syntax) -> String {
        let own = match syntax {
            Syntax::V2_3 => self.own_2_3(),
            Syntax::V2_4 => self.own_2_4(),
        };
        // The first lines of a 2.4 file must be its versions.
        own + &self.tokens(syntax) + &self.shared() + &self.capability()
    }

    fn tokens(&self, syntax: Syntax) -> String {
        let hidden = |mechanism: &str| {
            self.without.iter().any(|hidden| hidden.eq_ignore_ascii_case(&format!("AUTH={mechanism}")))
        };
        let mechanisms = |all: &[&'static str]| {
            all.iter().copied().filter(|mechanism| !hidden(mechanism)).collect::<Vec<_>>().join(" ")
        };
        let with_tokens = mechanisms(&["plain", "xoauth2", "oauthbearer"]);
        match (self.introspection_url, syntax) {
            (None, _) => format!("auth_mechanisms = {}\n", mechanisms(&["plain"])),
            (Some(_), Syntax::V2_3) => format!(
                r"
auth_mechanisms = {with_tokens}
passdb {{
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = {}/{TOKENS_FILE}
}}
",
                self.folder.display(),
            ),
            // No passdb has to do with tokens any more.
            (Some(url), Syntax::V2_4) => {
                format!("auth_mechanisms = {with_tokens}{}", token_settings(url, "oauth2_"))
            }
        }
    }

    fn own_2_3(&self) -> String {
        let Self { folder, homes, owner, password, .. } = self;
        format!(
            r"
ssl_cert = <{folder}/server.pem
ssl_key = <{folder}/server.key
mail_location = maildir:~/Maildir
passdb {{
  driver = static
  mechanisms = plain
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={homes}/%u
}}
",
            folder = folder.display(),
            homes = homes.display(),
            uid = owner.uid,
            gid = owner.gid,
        )
    }

    fn own_2_4(&self) -> String {
        let Self { folder, homes, owner, password, .. } = self;
        format!(
            r"dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
ssl_server_cert_file = {folder}/server.pem
ssl_server_key_file = {folder}/server.key
mail_driver = maildir
mail_path = ~/Maildir
passdb static {{
  password = {password}
}}
userdb static {{
  fields {{
    uid = {uid}
    gid = {gid}
    home = {homes}/%{{user}}
  }}
}}
",
            folder = folder.display(),
            homes = homes.display(),
            uid = owner.uid,
            gid = owner.gid,
        )
    }

    /// What both versions call the same.
    fn shared(&self) -> String {
        let Self { folder, log, owner, port, .. } = self;
        format!(
            r"
base_dir = {folder}/run
state_dir = {folder}/run
log_path = {log}
protocols = imap
listen = 127.0.0.1
# One user for everything: nothing here needs to be kept from anything else.
default_login_user = {user}
default_internal_user = {user}
default_internal_group = {group}
first_valid_uid = 1
first_valid_gid = 1
ssl = required
# A test of a wrong password must not wait for its answer, nor make the next login wait.
auth_failure_delay = 0
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service imap-login {{
  chroot =
  process_min_avail = 1
  inet_listener imap {{
    port = 0
  }}
  inet_listener imaps {{
    port = {port}
    ssl = yes
  }}
}}
mail_fsync = never
mail_max_userip_connections = 200
namespace inbox {{
  inbox = yes
}}
",
            folder = folder.display(),
            log = log.display(),
            user = owner.user,
            group = owner.group,
        )
    }

    fn capability(&self) -> String {
        if self.without.is_empty() {
            return String::new();
        }
        let left: Vec<&str> =
            CAPABILITIES.split_whitespace().filter(|capability| !self.without.contains(capability)).collect();
        format!("imap_capability = {}\n", left.join(" "))
    }
}

/// How Dovecot asks about a token. In 2.3 these make up [`TOKENS_FILE`], without a prefix.
///
/// It lets in the user whom the answer names, and refuses a client that names another.
pub(super) fn token_settings(url: &str, prefix: &str) -> String {
    format!(
        r"
{prefix}introspection_mode = post
{prefix}introspection_url = {url}
{prefix}username_attribute = username
{prefix}active_attribute = active
{prefix}active_value = true
"
    )
}

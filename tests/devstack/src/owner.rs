//! Whom a server's processes and files belong to.
//!
//! PostgreSQL refuses to run as root, and a mail server as root would need half a dozen system accounts. So both run
//! as `nobody` when we are root, and as ourselves otherwise: one way, whoever runs the tests.

use std::os::unix::fs::chown;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// A user of this system with its primary group.
#[derive(Debug, Clone)]
pub(crate) struct Owner {
    pub(crate) user: String,
    pub(crate) uid: u32,
    pub(crate) group: String,
    pub(crate) gid: u32,
}

impl Owner {
    /// The user we are.
    pub(crate) fn me() -> Result<Self> {
        Self::look_up(None)
    }

    /// The user that servers run as.
    pub(crate) fn of_servers() -> Result<Self> {
        Self::look_up(rustix::process::geteuid().is_root().then_some("nobody"))
    }

    /// Makes a file or folder this user's.
    pub(crate) fn take(&self, path: &Path) -> Result<()> {
        chown(path, Some(self.uid), Some(self.gid))
            .with_context(|| format!("giving {} to {}", path.display(), self.user))
    }

    fn look_up(user: Option<&str>) -> Result<Self> {
        let answer = Command::new("id").args(user).output().context("running id")?;
        ensure!(answer.status.success(), "id knows no user {}", user.unwrap_or("for us"));
        let answer = String::from_utf8_lossy(&answer.stdout);
        Self::parse(&answer).with_context(|| format!("id answered {answer:?}: an unnamed user or group"))
    }

    /// Reads `uid=65534(nobody) gid=65534(nogroup) groups=…`.
    fn parse(answer: &str) -> Option<Self> {
        let mut fields = answer.split_whitespace();
        let mut field = |key: &str| {
            let (number, name) = fields.next()?.strip_prefix(key)?.strip_suffix(')')?.split_once('(')?;
            Some((number.parse().ok()?, name.to_owned()))
        };
        let (uid, user) = field("uid=")?;
        let (gid, group) = field("gid=")?;
        Some(Self { user, uid, group, gid })
    }
}

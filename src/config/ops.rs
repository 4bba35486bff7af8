//! `[ops]`

use std::net::SocketAddr;
use std::time::Duration;

use super::redacted::Toml;
use super::section::Section;

/// The ops endpoint: `/livez`, `/readyz`, `/metrics`.
#[derive(Debug, Clone)]
pub struct Ops {
    /// Where it listens; `None` switches it off. Loopback by default: it has no authentication.
    pub listen: Option<SocketAddr>,
    /// `/readyz` fails when a mailbox's last completed poll is older than this.
    pub max_poll_age: Duration,
    /// How long a stop may take before what is under way is abandoned.
    pub shutdown_grace: Duration,
}

impl Ops {
    pub(super) fn read(mut section: Section<'_>) -> Option<Self> {
        let listen = read_listen(&mut section);
        let max_poll_age = section.duration("max_poll_age");
        let shutdown_grace = section.duration("shutdown_grace");
        section.end();
        Some(Self { listen: listen?, max_poll_age: max_poll_age?, shutdown_grace: shutdown_grace? })
    }

    pub(super) fn write(&self, toml: &mut Toml) {
        toml.header("[ops]");
        toml.text("listen", &self.listen.map_or_else(|| "off".to_owned(), |address| address.to_string()));
        toml.duration("max_poll_age", self.max_poll_age);
        toml.duration("shutdown_grace", self.shutdown_grace);
    }
}

/// `Some(None)` is off.
#[expect(
    clippy::option_option,
    reason = "unreadable, off and on are three things; the outer one never leaves"
)]
fn read_listen(section: &mut Section<'_>) -> Option<Option<SocketAddr>> {
    let allowed = r#"an IP address with a port, such as "127.0.0.1:8025", or "off""#;
    let listen = section.text("listen", allowed)?;
    if listen == "off" {
        return Some(None);
    }
    let address = listen.parse().ok();
    if address.is_none() {
        section.refuse("listen", format!("{listen:?}"), allowed);
    }
    address.map(Some)
}

//! A logged-in connection.

use std::fmt;
use std::time::Duration;

use super::capability::Capabilities;
use super::driver::Driver;

/// How long a polite goodbye may take.
const LOGOUT_TIMEOUT: Duration = Duration::from_secs(2);

/// A logged-in connection. One command runs at a time. After an error that is no
/// [refusal](super::Error::is_refusal), drop it.
pub struct Session {
    pub(super) driver: Driver,
    capabilities: Capabilities,
    /// Whether the server has refused to tell of mail by itself.
    pub(super) has_refused_idle: bool,
    /// How many IDLEs in a row the server has ended as soon as they were begun.
    pub(super) short_idles: u32,
}

impl Session {
    pub(super) fn new(driver: Driver, capabilities: Capabilities) -> Self {
        Self { driver, capabilities, has_refused_idle: false, short_idles: 0 }
    }

    /// What the server can do, as it says after the login.
    pub fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// Whether the connection goes over IPv6.
    pub fn is_ipv6(&self) -> bool {
        self.driver.is_ipv6()
    }

    /// Says goodbye and closes the connection, within two seconds and whatever the server answers.
    pub async fn logout(mut self) {
        let goodbye = ["LOGOUT".to_owned()];
        // It closes either way, and nothing depends on the answer.
        let _ = self.driver.run_lines("LOGOUT", &goodbye, LOGOUT_TIMEOUT, |_| {}).await;
    }
}

// By hand: the connection has nothing to show, and its buffers are mail.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("capabilities", &self.capabilities).finish_non_exhaustive()
    }
}

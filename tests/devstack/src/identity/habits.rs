//! How the identity platform does things for as long as it runs.

use std::time::Duration;

/// The habits of the platform. The default is Microsoft's, but for the pause between polls.
#[derive(Debug, Clone)]
pub struct Habits {
    /// The pause between two polls that it asks for, in whole seconds. Microsoft's is 5 seconds, which no test wants.
    pub interval: Duration,
    /// How long a device code is good for, in whole seconds.
    pub code_lifetime: Duration,
    /// How long an access token is good for, in whole seconds.
    pub access_lifetime: Duration,
    /// Whether a refresh token is good for once only. Microsoft's go on working after they were replaced.
    pub strict_rotation: bool,
    /// What an administrator has consented to for the application itself.
    pub roles: Vec<&'static str>,
}

impl Default for Habits {
    fn default() -> Self {
        Self {
            interval: Duration::ZERO,
            code_lifetime: Duration::from_mins(15),
            access_lifetime: Duration::from_hours(1),
            strict_rotation: false,
            roles: vec!["IMAP.AccessAsApp"],
        }
    }
}

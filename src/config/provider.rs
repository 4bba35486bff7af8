//! `provider` in `[[mailbox]]`: what is published about a provider, so that nobody need write it.

/// A provider whose settings are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    /// Outlook.com: personal accounts, whatever their domain (hotmail.com, live.com, msn.com).
    OutlookCom,
    /// Microsoft 365: work and school accounts.
    Microsoft365,
}

/// What providers are called in the configuration.
pub(super) const PROVIDERS: [(&str, Provider); 2] =
    [("outlook.com", Provider::OutlookCom), ("microsoft365", Provider::Microsoft365)];

impl Provider {
    /// The provider's IMAP server.
    pub(super) fn host(self) -> &'static str {
        match self {
            Self::OutlookCom => "imap-mail.outlook.com",
            Self::Microsoft365 => "outlook.office365.com",
        }
    }

    /// The tenant that a person signs in at, where none is written: the alias of all that have such accounts.
    pub(super) fn tenant(self) -> &'static str {
        match self {
            Self::OutlookCom => "consumers",
            Self::Microsoft365 => "organizations",
        }
    }
}

/// Whether this is the IMAP server of one of them, and so Exchange Online.
pub(super) fn is_microsoft(host: &str) -> bool {
    PROVIDERS.iter().any(|(_, provider)| provider.host().eq_ignore_ascii_case(host))
}

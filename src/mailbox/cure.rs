//! What a person can do about a failure: for the log at three in the morning, and for `postroom check`.

use std::io;

use crate::config::IpFamily;

use super::error::{Error, TlsFault};

impl Error {
    /// What a person can do about it.
    pub fn cure(&self) -> &'static str {
        match self {
            Self::Lookup { .. } | Self::NoAddress { family: IpFamily::Auto, .. } => {
                "Check the spelling of `host`, and that this machine's DNS works."
            }
            Self::NoAddress { .. } => "Set `ip_family` to \"auto\", or give the host such an address in DNS.",
            Self::Connect { source, .. } => match source.kind() {
                io::ErrorKind::ConnectionRefused => {
                    "Nothing listens there. Check `host` and `port`; IMAP over TLS is port 993."
                }
                io::ErrorKind::TimedOut => {
                    "Nothing answers there. Check `host` and `port`, and that a firewall lets this machine out."
                }
                _ => "Check this machine's network, then `host` and `port`.",
            },
            Self::Authority { .. } => "Give the authority's certificates in PEM form in `ca_file`.",
            Self::Tls { fault, .. } => match fault {
                TlsFault::Untrusted => {
                    "If the server's certificate comes from an authority of your own, give that in `ca_file`. \
                     Otherwise see that this machine has the usual authorities (package ca-certificates)."
                }
                TlsFault::WrongName => "Write `host` as it stands in the server's certificate.",
                TlsFault::Expired => "Have the server's certificate renewed, and check this machine's clock.",
                TlsFault::Handshake => {
                    "Check that `port` is the one for IMAP over TLS (993), not the one for STARTTLS (143), and \
                     that the server speaks TLS 1.2 or later."
                }
            },
            Self::PreAuthenticated => "Use a port on which the server asks for a login.",
            Self::LoginDisabled => "Switch password login on at the server, or use another way to log in.",
            Self::NoMechanism => {
                "Check `host` and `port`. A server that takes no access tokens wants a password: \
                 auth = { kind = \"password\", … }."
            }
            Self::Unsendable => {
                "Look for stray bytes in `username`, in the password file, or in what the token command prints."
            }
            Self::LoginRefused { by_token: false, .. } => {
                "Check the user name and the password, and that IMAP is switched on for this mailbox. \
                 Outlook.com and Microsoft 365 take no passwords any more, app passwords included."
            }
            Self::LoginRefused { by_token: true, .. } => {
                "If a new access token does not help: check that IMAP is switched on for this mailbox (Outlook.com: \
                 Settings, Mail, Forwarding and IMAP; Microsoft 365: Set-CASMailbox -ImapEnabled $true), that \
                 `username` is its full address, and that whoever the token is for may open it: the same person, \
                 Full Access to a shared mailbox, or the application's service principal (Add-MailboxPermission)."
            }
            Self::NotConnected { is_ipv6: true, .. } => {
                "Set `ip_family` to \"v4\": over IPv6, Outlook.com opens no mailbox for good logins. If it stays, check \
                 that `username` is the mailbox's full address, that it has a licence, and who may open it."
            }
            Self::NotConnected { by_token: true, .. } => {
                "The token is good, but not for this mailbox. Check that `username` is the mailbox's full address and \
                 that it has a licence. A shared mailbox needs Full Access for the user who signed in; an application \
                 needs Add-MailboxPermission with the object id of its enterprise application, not of its \
                 registration."
            }
            Self::NotConnected { .. } => {
                "The password is good, but not for this mailbox. Check that `username` is the mailbox's full address \
                 and that it has a licence; an administrator's login opens no other mailbox."
            }
            Self::TokenExpired { .. } => "Postroom gets a new access token and connects again.",
            Self::Throttled { .. } => {
                "Postroom leaves the server alone for as long as it asks. If it comes often, look for other programs \
                 that use this mailbox, and make `poll_interval` longer."
            }
            Self::NoFolder { .. } => "Write the folder as `postroom check` lists it, or create it.",
            Self::ReadOnly { .. } => "Give the user the right to delete messages, or settle by `keep`.",
            Self::Incomplete { .. } => "Such a server cannot be emptied safely. Ask whoever runs it.",
            Self::Refused { .. } => {
                "Postroom tries again. If it stays, the server's explanation says more, or its log."
            }
            Self::Timeout { .. } => {
                "Postroom tries again. If it stays, check the network and the server's load."
            }
            Self::Closed { .. } | Self::Io { .. } => {
                "Postroom connects again. If it stays, check the server's limits on connections, and its log."
            }
            Self::TooMuch { .. } => {
                "Postroom connects again. If one message is at fault, it is held, and the rest goes on."
            }
            Self::Renumbered { .. } => "Postroom lists the folder anew, and knows stored mail again.",
            Self::WrongState { .. } => "Postroom connects again. If it stays, the server's log says more.",
            Self::Unreadable { .. } => {
                "Postroom connects again. If it stays, check that an IMAP server answers at `host` and `port`."
            }
        }
    }
}

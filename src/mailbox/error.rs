//! What can go wrong with a mailbox.
//!
//! `Display` says what failed and where, [`Error::cure`] what a person can do about it. Neither holds anything
//! private: of what the server says only [`ServerText`] is kept.

use std::fmt;
use std::io;
use std::time::Duration;

use crate::config::IpFamily;

use super::server_text::ServerText;

/// Why a mailbox could not be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server's name has no address.
    #[error("looking up {host} failed")]
    Lookup {
        /// The name looked up.
        host: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// The server's name has addresses, but none of the family that is wanted.
    #[error("{host} has no {}", wanted(*family))]
    NoAddress {
        /// The name looked up.
        host: String,
        /// What is wanted.
        family: IpFamily,
    },
    /// No address of the server took the connection.
    #[error("connecting to {host}:{port} failed")]
    Connect {
        /// The server's name.
        host: String,
        /// The port.
        port: u16,
        /// What the last address tried gave.
        source: io::Error,
    },
    /// The certificates of the private authority cannot be read.
    #[error("the private certificate authority of {host} is not a list of PEM certificates")]
    Authority {
        /// The server's name.
        host: String,
    },
    /// TLS did not come about.
    #[error("TLS with {host} failed: {fault}")]
    Tls {
        /// The server's name.
        host: String,
        /// What was wrong.
        fault: TlsFault,
        /// What the TLS library said.
        source: native_tls::Error,
    },
    /// The server treats the connection as logged in already, so whose mailbox it is cannot be known.
    #[error("the server greets as if somebody had logged in already (PREAUTH)")]
    PreAuthenticated,
    /// The server takes no passwords.
    #[error("the server takes no password login (LOGINDISABLED)")]
    LoginDisabled,
    /// The user name or the password cannot be sent.
    #[error("the user name or the password has a NUL character, which IMAP cannot carry")]
    Unsendable,
    /// The server refused the user name and password.
    #[error("login refused{}", explained(said.as_ref()))]
    LoginRefused {
        /// The server's explanation.
        said: Option<ServerText>,
    },
    /// The folder does not exist.
    #[error("there is no folder {folder:?}")]
    NoFolder {
        /// Its name, in UTF-8.
        folder: String,
    },
    /// Messages may not be deleted in the folder.
    #[error("messages may not be deleted in folder {folder:?}")]
    ReadOnly {
        /// Its name, in UTF-8.
        folder: String,
    },
    /// The server opened the folder without a fact that nothing can be done safely without.
    #[error("the server gives no {missing} for folder {folder:?}")]
    Incomplete {
        /// The folder's name, in UTF-8.
        folder: String,
        /// What it left out.
        missing: &'static str,
    },
    /// The server answered a command with NO or BAD.
    #[error("{during} was answered {answer}{}", explained(said.as_ref()))]
    Refused {
        /// The command's name.
        during: &'static str,
        /// How it was refused.
        answer: Answer,
        /// The server's explanation.
        said: Option<ServerText>,
    },
    /// A deadline passed.
    #[error("no answer within {} during {during}", humantime::format_duration(*limit))]
    Timeout {
        /// The command's name, or the step of connecting.
        during: &'static str,
        /// The deadline.
        limit: Duration,
    },
    /// The server ended the connection.
    #[error("the server closed the connection during {during}{}", explained(said.as_ref()))]
    Closed {
        /// The command's name, or the step of connecting.
        during: &'static str,
        /// What it said in its BYE.
        said: Option<ServerText>,
    },
    /// The connection broke.
    #[error("the connection broke during {during}: {kind}")]
    Io {
        /// The command's name, or the step of connecting.
        during: &'static str,
        /// How it broke.
        kind: io::ErrorKind,
    },
    /// More came than anything that was asked for.
    #[error("the server sends more during {during} than was asked for")]
    TooMuch {
        /// The command's name.
        during: &'static str,
    },
    /// The UIDs of the open folder have lost their meaning.
    #[error("the folder got another UIDVALIDITY while it was open, during {during}")]
    Renumbered {
        /// The command's name.
        during: &'static str,
    },
    /// What came is not IMAP, is out of step, or was garbled on its way.
    #[error("an answer during {during} could not be understood")]
    Unreadable {
        /// The command's name, or the step of connecting.
        during: &'static str,
    },
}

/// How a server refuses a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The command failed.
    No,
    /// The command was not understood, or not at this moment. Exchange says it for throttling, too.
    Bad,
}

/// Why TLS did not come about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsFault {
    /// No authority that we trust signed the certificate.
    Untrusted,
    /// The certificate is for another name.
    WrongName,
    /// The certificate has expired, or is not valid yet.
    Expired,
    /// Anything else, such as a server that speaks no TLS on this port.
    Handshake,
}

impl Error {
    /// Whether trying again soon may help. If not, a person has to act; trying again rarely is still right,
    /// because the person may act at the server.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Lookup { .. }
            | Self::Connect { .. }
            | Self::Tls { fault: TlsFault::Handshake, .. }
            | Self::Refused { .. }
            | Self::Timeout { .. }
            | Self::Closed { .. }
            | Self::Io { .. }
            | Self::TooMuch { .. }
            | Self::Renumbered { .. }
            | Self::Unreadable { .. } => true,
            Self::NoAddress { .. }
            | Self::Authority { .. }
            | Self::Tls { fault: TlsFault::Untrusted | TlsFault::WrongName | TlsFault::Expired, .. }
            | Self::PreAuthenticated
            | Self::LoginDisabled
            | Self::Unsendable
            | Self::LoginRefused { .. }
            | Self::NoFolder { .. }
            | Self::ReadOnly { .. }
            | Self::Incomplete { .. } => false,
        }
    }

    /// Whether the server understood and said no to this one thing. The session is in step, and other commands
    /// may well succeed.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::NoFolder { .. }
            | Self::ReadOnly { .. }
            | Self::Incomplete { .. }
            | Self::Refused { .. } => true,
            Self::Lookup { .. }
            | Self::NoAddress { .. }
            | Self::Connect { .. }
            | Self::Authority { .. }
            | Self::Tls { .. }
            | Self::PreAuthenticated
            | Self::LoginDisabled
            | Self::Unsendable
            | Self::LoginRefused { .. }
            | Self::Timeout { .. }
            | Self::Closed { .. }
            | Self::Io { .. }
            | Self::TooMuch { .. }
            | Self::Renumbered { .. }
            | Self::Unreadable { .. } => false,
        }
    }

    /// Which sort of failure it is, for a metric: one of [`crate::metric::MAILBOX_ERROR_KINDS`].
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Lookup { .. } | Self::NoAddress { .. } | Self::Connect { .. } => "connect",
            Self::Authority { .. } | Self::Tls { .. } => "tls",
            Self::PreAuthenticated | Self::LoginDisabled | Self::Unsendable | Self::LoginRefused { .. } => {
                "login"
            }
            Self::NoFolder { .. }
            | Self::ReadOnly { .. }
            | Self::Incomplete { .. }
            | Self::Refused { .. } => "refused",
            Self::Timeout { .. } => "timeout",
            Self::Closed { .. } | Self::Io { .. } => "closed",
            Self::TooMuch { .. } | Self::Renumbered { .. } | Self::Unreadable { .. } => "unreadable",
        }
    }

    /// What a person can do about it.
    pub fn cure(&self) -> &'static str {
        match self {
            Self::Lookup { .. } => "Check the spelling of `host`, and that this machine's DNS works.",
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
            Self::Unsendable => "Look for stray bytes in the password file, or choose another password.",
            Self::LoginRefused { .. } => {
                "Check the user name and the password, and that IMAP is switched on for this mailbox. \
                 Outlook.com and Microsoft 365 take no passwords any more, app passwords included."
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
            Self::Unreadable { .. } => {
                "Postroom connects again. If it stays, check that an IMAP server answers at `host` and `port`."
            }
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::No => "NO",
            Self::Bad => "BAD",
        })
    }
}

impl fmt::Display for TlsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Untrusted => "its certificate is not from an authority that we trust",
            Self::WrongName => "its certificate is for another name",
            Self::Expired => "its certificate has expired or is not valid yet",
            Self::Handshake => "the handshake broke off",
        })
    }
}

impl TlsFault {
    /// Reads the fault out of OpenSSL's words: native-tls 0.2 hides the verification result behind them.
    pub(super) fn of(error: &native_tls::Error) -> Self {
        Self::of_words(&error.to_string().to_lowercase())
    }

    fn of_words(words: &str) -> Self {
        let says = |any: &[&str]| any.iter().any(|said| words.contains(said));
        if says(&["hostname mismatch", "ip address mismatch"]) {
            Self::WrongName
        } else if says(&["certificate has expired", "certificate is not yet valid"]) {
            Self::Expired
        } else if says(&["certificate verify failed"]) {
            Self::Untrusted
        } else {
            Self::Handshake
        }
    }
}

fn wanted(family: IpFamily) -> &'static str {
    match family {
        IpFamily::Auto => "address",
        IpFamily::V4 => "IPv4 address",
        IpFamily::V6 => "IPv6 address",
    }
}

fn explained(said: Option<&ServerText>) -> String {
    said.map(|said| format!(": {said}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_read_out_of_what_openssl_says() {
        let failed =
            "error:0a000086:ssl routines:tls_post_process_server_certificate:certificate verify failed";
        for (words, fault) in [
            (format!("{failed}: (certificate has expired)"), TlsFault::Expired),
            (format!("{failed}: (certificate is not yet valid)"), TlsFault::Expired),
            (format!("{failed}: (hostname mismatch)"), TlsFault::WrongName),
            (format!("{failed}: (ip address mismatch)"), TlsFault::WrongName),
            (format!("{failed}: (self-signed certificate)"), TlsFault::Untrusted),
            (
                "error:0a00010b:ssl routines:ssl3_get_record:wrong version number".to_owned(),
                TlsFault::Handshake,
            ),
        ] {
            assert_eq!(TlsFault::of_words(&words), fault, "{words}");
        }
    }
}

//! What can go wrong with a mailbox.
//!
//! `Display` says what failed and where, [`Error::remedy`] what Postroom does about it, [`Error::cure`] what a person
//! can. None holds anything private: of what the server says only [`ServerText`] is kept.

use std::fmt;
use std::io;
use std::time::Duration;

use crate::config::IpFamily;

use super::remedy::Remedy;
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
    #[error("the server takes no password login (LOGINDISABLED, and neither AUTH=PLAIN nor AUTH=LOGIN)")]
    LoginDisabled,
    /// The server takes no access tokens.
    #[error("the server takes no login by access token (neither AUTH=XOAUTH2 nor AUTH=OAUTHBEARER)")]
    NoMechanism,
    /// The user name, the password or the token cannot be sent.
    #[error("the user name, the password or the token has a control character that no login can carry")]
    Unsendable,
    /// The server refused the user name with its password or token.
    #[error("login{} refused{}", if *by_token { " by access token" } else { "" }, explained(said.as_ref()))]
    LoginRefused {
        /// Whether it was by an access token.
        by_token: bool,
        /// The server's explanation.
        said: Option<ServerText>,
    },
    /// The server took the login, and has no mailbox for it. Exchange says so when the login is made, or at any command
    /// after it.
    #[error(
        "the login is good but opens no mailbox: the server said \"User is authenticated but not connected\" to \
         {during}, over {}",
        if *is_ipv6 { "IPv6" } else { "IPv4" }
    )]
    NotConnected {
        /// The command's name.
        during: &'static str,
        /// Whether the login was by an access token.
        by_token: bool,
        /// Whether the connection went over IPv6.
        is_ipv6: bool,
    },
    /// The access token ran out, and the server ended the session.
    #[error("the access token ran out during {during}")]
    TokenExpired {
        /// The command's name.
        during: &'static str,
    },
    /// The server has had enough for a while.
    #[error(
        "{during} was throttled: the server wants to be left alone for {}",
        humantime::format_duration(*pause)
    )]
    Throttled {
        /// The command's name, or the step of connecting.
        during: &'static str,
        /// How long it wants to be left alone.
        pause: Duration,
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
    /// The server believes the session to be elsewhere: not logged in, or without an open folder.
    #[error("the server does not take {during} where it believes the session to be")]
    WrongState {
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
    /// What is to be done about it.
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::Throttled { pause, .. } => Remedy::BackOff(*pause),
            Self::TokenExpired { .. } | Self::LoginRefused { by_token: true, .. } => Remedy::Refresh,
            _ if self.is_transient() => Remedy::Retry,
            _ => Remedy::Configuration,
        }
    }

    /// Whether trying again soon may help. If not, a person has to act; trying again rarely is still right,
    /// because the person may act at the server.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Lookup { .. }
            | Self::Connect { .. }
            | Self::Tls { fault: TlsFault::Handshake, .. }
            | Self::TokenExpired { .. }
            | Self::Throttled { .. }
            | Self::Refused { .. }
            | Self::Timeout { .. }
            | Self::Closed { .. }
            | Self::Io { .. }
            | Self::TooMuch { .. }
            | Self::Renumbered { .. }
            | Self::WrongState { .. }
            | Self::Unreadable { .. } => true,
            Self::NoAddress { .. }
            | Self::Authority { .. }
            | Self::Tls { fault: TlsFault::Untrusted | TlsFault::WrongName | TlsFault::Expired, .. }
            | Self::PreAuthenticated
            | Self::LoginDisabled
            | Self::NoMechanism
            | Self::Unsendable
            | Self::LoginRefused { .. }
            | Self::NotConnected { .. }
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
            | Self::NoMechanism
            | Self::Unsendable
            | Self::LoginRefused { .. }
            | Self::NotConnected { .. }
            | Self::TokenExpired { .. }
            | Self::Throttled { .. }
            | Self::Timeout { .. }
            | Self::Closed { .. }
            | Self::Io { .. }
            | Self::TooMuch { .. }
            | Self::Renumbered { .. }
            | Self::WrongState { .. }
            | Self::Unreadable { .. } => false,
        }
    }

    /// Whether it ended the session for a reason that lies in the session or the account, so that it says nothing of
    /// the messages that were asked for.
    pub fn is_about_session(&self) -> bool {
        matches!(
            self,
            Self::NotConnected { .. }
                | Self::TokenExpired { .. }
                | Self::Throttled { .. }
                | Self::Renumbered { .. }
                | Self::WrongState { .. }
        )
    }

    /// Which sort of failure it is, for a metric: one of [`crate::metric::MAILBOX_ERROR_KINDS`].
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Lookup { .. } | Self::NoAddress { .. } | Self::Connect { .. } => "connect",
            Self::Authority { .. } | Self::Tls { .. } => "tls",
            Self::PreAuthenticated
            | Self::LoginDisabled
            | Self::NoMechanism
            | Self::Unsendable
            | Self::LoginRefused { .. }
            | Self::NotConnected { .. } => "login",
            Self::TokenExpired { .. } => "expired",
            Self::Throttled { .. } => "throttled",
            Self::NoFolder { .. }
            | Self::ReadOnly { .. }
            | Self::Incomplete { .. }
            | Self::Refused { .. } => "refused",
            Self::Timeout { .. } => "timeout",
            Self::Closed { .. } | Self::Io { .. } => "closed",
            Self::TooMuch { .. }
            | Self::Renumbered { .. }
            | Self::WrongState { .. }
            | Self::Unreadable { .. } => "unreadable",
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

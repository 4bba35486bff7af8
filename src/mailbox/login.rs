//! Proving who we are: which command, by what the server announces.

use std::fmt::Write as _;

use secrecy::ExposeSecret;

use crate::config;

use super::capability::Capabilities;
use super::credential::Credential;
use super::driver::Driver;
use super::error::Error;
use super::remedy::Meaning;
use super::sasl;
use super::server_text::ServerText;
use super::string::quoted;

/// How often a server may tell of one error. Once is what the mechanisms know.
const MAX_DISMISSALS: usize = 2;

/// A login's command and its further lines, each of which the server asks for with `+`.
struct Attempt {
    name: &'static str,
    lines: Vec<String>,
}

/// Logs in. Gives the capabilities if the server announces them with its OK.
pub(super) async fn login(
    driver: &mut Driver,
    announced: &Capabilities,
    config: &config::Mailbox,
    credential: &Credential,
) -> Result<Option<Capabilities>, Error> {
    let attempt = match credential {
        Credential::Token(token) => by_token(announced, config, token.expose_secret())?,
        Credential::Password(password) => by_password(announced, &config.username, password.expose_secret())?,
    };
    let mut capabilities = None;
    driver
        .run_lines(attempt.name, &attempt.lines, config.connect_timeout, |response| {
            capabilities = Capabilities::read(response).or(capabilities.take());
        })
        .await
        .map_err(|error| refused(error, credential.is_token()))?;
    Ok(capabilities)
}

/// The user is the mailbox's, who need not be the one whom the token was given to: mailboxes can be shared.
fn by_token(announced: &Capabilities, config: &config::Mailbox, token: &str) -> Result<Attempt, Error> {
    let username = &config.username;
    // Control-A ends a field in both mechanisms.
    if [username, token].iter().any(|value| value.contains(['\0', '\x01'])) {
        return Err(Error::Unsendable);
    }
    let (mut attempt, dismissal) = if announced.has("AUTH=XOAUTH2") {
        (authenticate(announced, "XOAUTH2", sasl::xoauth2(username, token)), "")
    } else if announced.has("AUTH=OAUTHBEARER") {
        let response = sasl::oauthbearer(username, &config.host, config.port, token);
        (authenticate(announced, "OAUTHBEARER", response), sasl::OAUTHBEARER_DISMISSAL)
    } else {
        return Err(Error::NoMechanism);
    };
    attempt.lines.extend([dismissal; MAX_DISMISSALS].map(str::to_owned));
    Ok(attempt)
}

/// By LOGIN, unless PLAIN does what LOGIN does not: where that is disabled, or where it would take literals in a
/// charset that nobody has defined. RFC 4616 says UTF-8.
fn by_password(announced: &Capabilities, username: &str, password: &str) -> Result<Attempt, Error> {
    if [username, password].iter().any(|value| value.contains('\0')) {
        return Err(Error::Unsendable);
    }
    let has_login = !announced.has("LOGINDISABLED");
    let has_plain = announced.has("AUTH=PLAIN");
    let is_ordinary = is_quotable(username) && is_quotable(password);
    if has_login && (is_ordinary || !has_plain) {
        Ok(Attempt { name: "LOGIN", lines: login_lines(username, password) })
    } else if has_plain {
        Ok(authenticate(announced, "PLAIN", sasl::plain(username, password)))
    } else if announced.has("AUTH=LOGIN") {
        let lines = vec!["AUTHENTICATE LOGIN".to_owned(), sasl::login(username), sasl::login(password)];
        Ok(Attempt { name: "AUTHENTICATE", lines })
    } else {
        Err(Error::LoginDisabled)
    }
}

/// The command of a mechanism that has one response: in the command itself, where the server takes it there
/// (RFC 4959), else when asked for.
fn authenticate(announced: &Capabilities, mechanism: &str, response: String) -> Attempt {
    let command = format!("AUTHENTICATE {mechanism}");
    let lines = if announced.has("SASL-IR") {
        vec![format!("{command} {response}")]
    } else {
        vec![command, response]
    };
    Attempt { name: "AUTHENTICATE", lines }
}

/// The LOGIN command. A value that a quoted string cannot hold goes as a literal, which ends its line; the next line
/// follows when the server says `+`.
fn login_lines(username: &str, password: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::from("LOGIN");
    for value in [username, password] {
        if is_quotable(value) {
            line.push(' ');
            line.push_str(&quoted(value));
        } else {
            let _ = write!(line, " {{{}}}", value.len());
            lines.push(std::mem::replace(&mut line, value.to_owned()));
        }
    }
    lines.push(line);
    lines
}

/// Whether a quoted string can hold it (RFC 3501 §4.3): 7-bit, no line ends.
fn is_quotable(value: &str) -> bool {
    value.is_ascii() && !value.contains(['\r', '\n'])
}

/// Tells a refused login from a server that is out of order.
fn refused(error: Error, by_token: bool) -> Error {
    match error {
        Error::Refused { said, .. } if said.as_ref().map(ServerText::meaning) != Some(Meaning::NotNow) => {
            Error::LoginRefused { by_token, said }
        }
        // Not one that had been good before.
        Error::TokenExpired { .. } => Error::LoginRefused { by_token, said: None },
        other => other,
    }
}

#[cfg(test)]
mod tests;

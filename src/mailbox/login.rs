//! Proving who we are. The next way to log in (XOAUTH2) is the next arm of the `match` here: its answer to the
//! server's challenge is one more line of the command.

use std::fmt::Write as _;

use secrecy::ExposeSecret;

use crate::config;

use super::capability::Capabilities;
use super::credential::Credential;
use super::driver::Driver;
use super::error::Error;
use super::remedy::Meaning;
use super::server_text::ServerText;
use super::string::quoted;

/// Logs in. Gives the capabilities if the server announces them with its OK.
pub(super) async fn login(
    driver: &mut Driver,
    announced: &Capabilities,
    config: &config::Mailbox,
    credential: &Credential,
) -> Result<Option<Capabilities>, Error> {
    let (name, lines) = match credential {
        Credential::Password(password) => {
            if announced.has("LOGINDISABLED") {
                return Err(Error::LoginDisabled);
            }
            ("LOGIN", login_lines(&config.username, password.expose_secret())?)
        }
        Credential::Token(_) => return Err(Error::LoginDisabled),
    };
    let mut capabilities = None;
    driver
        .run_lines(name, &lines, config.connect_timeout, |response| {
            capabilities = Capabilities::read(response).or(capabilities.take());
        })
        .await
        .map_err(|error| refused(error, credential.is_token()))?;
    Ok(capabilities)
}

/// The LOGIN command. A value that a quoted string cannot hold (RFC 3501 §4.3: 7-bit, no line ends) goes as a
/// literal, which ends its line; the next line follows when the server says `+`.
fn login_lines(username: &str, password: &str) -> Result<Vec<String>, Error> {
    let mut lines = Vec::new();
    let mut line = String::from("LOGIN");
    for value in [username, password] {
        if value.contains('\0') {
            return Err(Error::Unsendable);
        }
        if value.is_ascii() && !value.contains(['\r', '\n']) {
            line.push(' ');
            line.push_str(&quoted(value));
        } else {
            let _ = write!(line, " {{{}}}", value.len());
            lines.push(std::mem::replace(&mut line, value.to_owned()));
        }
    }
    lines.push(line);
    Ok(lines)
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
mod tests {
    use super::*;

    #[test]
    fn ordinary_values_are_quoted_on_one_line() {
        let lines = login_lines("support@example.com", r#"pass "word" \o/"#).unwrap();

        assert_eq!(lines, [r#"LOGIN "support@example.com" "pass \"word\" \\o/""#]);
    }

    #[test]
    fn what_a_quoted_string_cannot_hold_goes_as_a_literal() {
        assert_eq!(login_lines("anna", "pässe").unwrap(), [r#"LOGIN "anna" {6}"#, "pässe"]);
        assert_eq!(login_lines("jürgen", "pw").unwrap(), ["LOGIN {7}", r#"jürgen "pw""#]);
        assert_eq!(login_lines("jürgen", "a\r\nb").unwrap(), ["LOGIN {7}", "jürgen {4}", "a\r\nb"]);
    }

    #[test]
    fn a_nul_is_refused_before_anything_is_sent() {
        assert!(matches!(login_lines("anna", "a\0b"), Err(Error::Unsendable)));
    }
}

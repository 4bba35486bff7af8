//! `auth` in `[[mailbox]]`: how a mailbox is logged in to.

use secrecy::SecretString;

use super::oauth2::OAuth2;
use super::provider::{Provider, is_microsoft};
use super::redacted::Toml;
use super::secret::SecretKey;
use super::section::Section;
use super::token_command::TokenCommand;

/// How a mailbox is logged in to.
#[derive(Debug, Clone)]
pub enum Auth {
    /// By a password.
    Password(SecretString),
    /// By an access token of Microsoft's identity platform.
    OAuth2(Box<OAuth2>),
    /// By an access token that a program prints.
    TokenCommand(TokenCommand),
}

const PASSWORD: SecretKey =
    SecretKey { key: "password", file_key: "password_file", allowed: "a password", check: |_| Ok(()) };

#[derive(Clone, Copy)]
enum Kind {
    Password,
    OAuth2,
    TokenCommand,
}

const KINDS: [(&str, Kind); 3] =
    [("password", Kind::Password), ("oauth2", Kind::OAuth2), ("token_command", Kind::TokenCommand)];

impl Auth {
    /// Reads how a mailbox of `provider`, or else at `host`, is logged in to. Neither is given if it is not clear
    /// where the mailbox is.
    pub(super) fn read(
        mut section: Section<'_>,
        provider: Option<Provider>,
        host: Option<&str>,
    ) -> Option<Self> {
        if !section.has("kind") {
            return section.missing("kind", r#""password", "oauth2" or "token_command""#);
        }
        match section.choice("kind", &KINDS)? {
            Kind::Password => {
                let is_microsoft = provider.is_some() || host.is_some_and(is_microsoft);
                read_password(section, is_microsoft).map(Self::Password)
            }
            Kind::OAuth2 => OAuth2::read(section, provider, host).map(Box::new).map(Self::OAuth2),
            Kind::TokenCommand => TokenCommand::read(section).map(Self::TokenCommand),
        }
    }

    /// Written as a table of its own, `[mailbox.auth]`, which ends the keys of the mailbox itself.
    pub(super) fn write(&self, toml: &mut Toml) {
        toml.header("[mailbox.auth]");
        match self {
            Self::Password(_) => {
                toml.text("kind", "password");
                toml.text("password", "***");
            }
            Self::OAuth2(oauth2) => {
                toml.text("kind", "oauth2");
                oauth2.write(toml);
            }
            Self::TokenCommand(command) => {
                toml.text("kind", "token_command");
                command.write(toml);
            }
        }
    }
}

/// Outlook.com ended passwords on 2024-09-16, Exchange Online for IMAP in 2022 and 2023.
fn read_password(mut section: Section<'_>, is_microsoft: bool) -> Option<SecretString> {
    let password = section.secret(&PASSWORD);
    if is_microsoft {
        let remedy = "Outlook.com and Microsoft 365 take no passwords any more, app passwords included: sign \
                      in by OAuth 2.0, as [mailbox.auth] in config/postroom.toml shows it";
        section.note("kind", r#""password""#, r#""oauth2" or "token_command""#, Some(remedy.to_owned()));
    }
    section.end();
    password
}

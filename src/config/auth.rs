//! `auth` in `[[mailbox]]`: how a mailbox is logged in to.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use super::redacted::Toml;
use super::secret::SecretKey;
use super::section::Section;

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

/// How Microsoft's identity platform is asked for access tokens.
#[derive(Clone)]
pub struct OAuth2 {
    /// The tenant's authority, without a slash at its end: `https://login.microsoftonline.com/consumers`. https.
    pub authority: Url,
    /// The application (client) id of the registered application. Not secret.
    pub client_id: String,
    /// What the token is to be good for, scopes separated by spaces.
    pub scope: String,
    /// Who signs in.
    pub flow: Flow,
    /// PEM certificates of a private authority, trusted besides the system's.
    pub ca_pem: Option<Vec<u8>>,
}

/// Who signs in.
#[derive(Debug, Clone)]
pub enum Flow {
    /// A person, once, by device code (RFC 8628): `postroom login`.
    Device,
    /// The application itself (RFC 6749 §4.4), which proves who it is.
    ClientCredentials(ClientProof),
}

/// How an application proves who it is.
#[derive(Clone)]
pub enum ClientProof {
    /// By a client secret.
    Secret(SecretString),
    /// By a JWT signed with the key of a certificate that is known to the authority (RFC 7523 §2.2).
    Certificate {
        /// The certificate, in PEM.
        certificate_pem: Vec<u8>,
        /// Its private RSA key, in PEM, unencrypted.
        key_pem: SecretString,
    },
}

/// A program that prints an access token to its standard output.
#[derive(Clone)]
pub struct TokenCommand {
    /// The program.
    pub program: PathBuf,
    /// Its arguments. May be private.
    pub arguments: Vec<String>,
    /// How long it may take.
    pub timeout: Duration,
}

const PASSWORD: SecretKey =
    SecretKey { key: "password", file_key: "password_file", allowed: "a password", check: |_| Ok(()) };

impl Auth {
    pub(super) fn read(mut section: Section<'_>) -> Option<Self> {
        if !section.has("kind") {
            return section.missing("kind", r#""password""#);
        }
        section.choice("kind", &[("password", ())])?;
        let password = section.secret(&PASSWORD);
        section.end();
        Some(Self::Password(password?))
    }

    pub(super) fn write(&self, toml: &mut Toml) {
        match self {
            Self::Password(_) => toml.inline("auth", &[("kind", "password"), ("password", "***")]),
            Self::OAuth2(_) => toml.inline("auth", &[("kind", "oauth2")]),
            Self::TokenCommand(_) => toml.inline("auth", &[("kind", "token_command")]),
        }
    }
}

// By hand: what proves who the application is stays out of logs.
impl fmt::Debug for OAuth2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuth2").field("flow", &self.flow).finish_non_exhaustive()
    }
}

// By hand: both kinds hold a secret.
impl fmt::Debug for ClientProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Secret(_) => "Secret",
            Self::Certificate { .. } => "Certificate",
        })
    }
}

// By hand: people pass secrets as arguments.
impl fmt::Debug for TokenCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCommand").field("program", &self.program).finish_non_exhaustive()
    }
}

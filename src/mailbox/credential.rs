//! What a login is made with.

use secrecy::SecretString;

use crate::config;

/// What a login is made with. It goes to the server and nowhere else.
#[derive(Debug, Clone)]
pub enum Credential {
    /// A password.
    Password(SecretString),
    /// An OAuth 2.0 access token.
    Token(SecretString),
}

impl Credential {
    /// The one that stands in the configuration; `None` where a token has to be obtained first.
    pub fn configured(auth: &config::Auth) -> Option<Self> {
        match auth {
            config::Auth::Password(password) => Some(Self::Password(password.clone())),
            config::Auth::OAuth2(_) | config::Auth::TokenCommand(_) => None,
        }
    }
    /// Whether it is an access token.
    pub(super) fn is_token(&self) -> bool {
        matches!(self, Self::Token(_))
    }
}

//! What a client sends to prove who it is, by the mechanisms that mail servers take.

use anyhow::{Context, Result, bail, ensure};

/// A SASL mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mechanism {
    /// RFC 4616.
    Plain,
    /// Google's, and Microsoft's only one for tokens.
    XOAuth2,
    /// RFC 7628.
    OAuthBearer,
}

/// What a user proves itself by.
pub(super) enum Credential {
    Password(String),
    Token(String),
}

impl Mechanism {
    pub(super) fn of(name: &str) -> Option<Self> {
        match name.to_ascii_uppercase().as_str() {
            "PLAIN" => Some(Self::Plain),
            "XOAUTH2" => Some(Self::XOAuth2),
            "OAUTHBEARER" => Some(Self::OAuthBearer),
            _ => None,
        }
    }

    /// As a capability.
    pub(super) fn capability(self) -> &'static str {
        match self {
            Self::Plain => "AUTH=PLAIN",
            Self::XOAuth2 => "AUTH=XOAUTH2",
            Self::OAuthBearer => "AUTH=OAUTHBEARER",
        }
    }

    /// The user and its proof in a response, which comes in base64.
    pub(super) fn read(self, response: &str) -> Result<(String, Credential)> {
        let response = String::from_utf8(openssl::base64::decode_block(response)?)?;
        match self {
            Self::Plain => {
                let parts: Vec<&str> = response.split('\0').collect();
                let [_, user, password] = parts.as_slice() else { bail!("not three parts") };
                Ok(((*user).to_owned(), Credential::Password((*password).to_owned())))
            }
            Self::XOAuth2 => {
                let (user, token) = response
                    .strip_prefix("user=")
                    .and_then(|rest| rest.strip_suffix("\x01\x01")?.split_once("\x01auth=Bearer "))
                    .context("not a user and a token")?;
                Ok((user.to_owned(), Credential::Token(token.to_owned())))
            }
            Self::OAuthBearer => {
                let (header, pairs) = response.split_once(",\x01").context("no header")?;
                let user = header.strip_prefix("n,a=").context("no user in the header")?;
                let mut pairs = pairs.strip_suffix("\x01\x01").context("no end")?.split('\x01');
                let token = pairs.find_map(|pair| pair.strip_prefix("auth=Bearer ")).context("no token")?;
                ensure!(!user.contains(','), "a comma must be written =2C");
                let user = user.replace("=2C", ",").replace("=3D", "=");
                Ok((user, Credential::Token(token.to_owned())))
            }
        }
    }

    /// What is said in base64 before a refusal, if anything, and what the client must answer.
    pub(super) fn challenge(self, explains: bool) -> Option<(String, &'static str)> {
        let (challenge, apology) = match self {
            // Google's; the answer is an empty line.
            Self::XOAuth2 if explains => {
                (r#"{"status":"400","schemes":"Bearer","scope":"https://mail.google.com/"}"#, "")
            }
            // Part of the mechanism (RFC 7628 §3.2.2 and §3.2.3); the answer is a single %x01.
            Self::OAuthBearer => (r#"{"status":"invalid_token","scope":"https://mail.google.com/"}"#, "AQ=="),
            Self::Plain | Self::XOAuth2 => return None,
        };
        Some((openssl::base64::encode_block(challenge.as_bytes()), apology))
    }
}

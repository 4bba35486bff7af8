//! Device codes: sign-ins that wait for a person (RFC 8628).

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::jwt;

/// The letters of a user code: none that a person takes for another.
const LETTERS: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";

/// A device code, until its tokens have been fetched.
pub(super) struct DeviceCode {
    pub(super) code: String,
    pub(super) user_code: String,
    pub(super) tenant: String,
    pub(super) scope: String,
    pub(super) until: Instant,
    pub(super) verdict: Verdict,
}

/// What the person at the other device has said.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Pending,
    /// Signed in with this account.
    Approved(String),
    Declined,
}

impl DeviceCode {
    pub(super) fn new(tenant: &str, scope: &str, lifetime: Duration) -> Result<Self> {
        let (mut code, mut user_code) = ([0; 96], [0; 9]);
        openssl::rand::rand_bytes(&mut code)?;
        openssl::rand::rand_bytes(&mut user_code)?;
        let letter = |byte: &u8| LETTERS.iter().cycle().nth(usize::from(*byte)).copied().map(char::from);
        Ok(Self {
            code: jwt::encode(&code),
            user_code: user_code.iter().filter_map(letter).collect(),
            tenant: tenant.to_owned(),
            scope: scope.to_owned(),
            until: Instant::now() + lifetime,
            verdict: Verdict::Pending,
        })
    }

    pub(super) fn is_pending(&self) -> bool {
        self.verdict == Verdict::Pending && !self.is_expired()
    }

    pub(super) fn is_expired(&self) -> bool {
        self.until <= Instant::now()
    }

    /// What the client is told. Without `verification_uri_complete`, as Microsoft has it.
    pub(super) fn offer(&self, lifetime: Duration, interval: Duration) -> Value {
        let page = if self.tenant == "consumers" {
            "https://www.microsoft.com/link"
        } else {
            "https://microsoft.com/devicelogin"
        };
        let Self { code, user_code, .. } = self;
        json!({
            "user_code": user_code,
            "device_code": code,
            "verification_uri": page,
            "expires_in": lifetime.as_secs(),
            "interval": interval.as_secs(),
            "message": format!(
                "To sign in, use a web browser to open the page {page} and enter the code {user_code} to \
                 authenticate."
            ),
        })
    }
}

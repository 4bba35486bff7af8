//! What a token says of itself (RFC 7519), for diagnosis. Nothing is verified: that is the mail server's part.

use std::fmt;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value};

/// What a work account's access token says of itself. As it stands there: for people, who have to be spared control
/// characters.
#[derive(Clone, PartialEq, Eq)]
pub struct Claims {
    /// Whom it is for (`aud`): a resource's address or id.
    pub audience: Option<String>,
    /// The application that it was given to (`appid`, `azp`).
    pub application_id: Option<String>,
    /// What the application may do by itself (`roles`).
    pub roles: Vec<String>,
    /// What it may do in the user's name (`scp`).
    pub scopes: Vec<String>,
    /// The user (`upn`, `preferred_username`, `unique_name`). An address. None if the application signed in itself.
    pub user: Option<String>,
    /// The tenant's id (`tid`).
    pub tenant: Option<String>,
    /// When it expires (`exp`).
    pub expires_at: Option<SystemTime>,
}

impl Claims {
    /// Reads a token's claims. `None` if it has none that can be read: the tokens of personal accounts are opaque.
    pub fn read(token: &SecretString) -> Option<Self> {
        let claims = payload(token.expose_secret())?;
        let text = |keys: &[&str]| keys.iter().find_map(|key| claims.get(*key)?.as_str().map(str::to_owned));
        let roles = claims.get("roles").and_then(Value::as_array).into_iter().flatten();
        Some(Self {
            audience: text(&["aud"]),
            application_id: text(&["appid", "azp"]),
            roles: roles.filter_map(Value::as_str).map(str::to_owned).collect(),
            scopes: text(&["scp"]).unwrap_or_default().split_ascii_whitespace().map(str::to_owned).collect(),
            user: text(&["upn", "preferred_username", "unique_name"]),
            tenant: text(&["tid"]),
            expires_at: claims
                .get("exp")
                .and_then(Value::as_u64)
                .and_then(|seconds| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))),
        })
    }
}

/// Who signed in, by an id token.
pub(super) fn username(id_token: &str) -> Option<String> {
    let claims = payload(id_token)?;
    let claim = |key: &str| claims.get(key)?.as_str();
    let username = claim("preferred_username").or_else(|| claim("email"))?;
    // Longer than an address can be (RFC 5321 §4.5.3.1), or not an address but something to upset a terminal.
    let is_plain = username.len() <= 320 && !username.contains(char::is_control);
    (is_plain && !username.is_empty()).then(|| username.to_owned())
}

/// The middle one of a JWT's three parts.
fn payload(token: &str) -> Option<Map<String, Value>> {
    let mut parts = token.split('.');
    let (_header, payload, _signature) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    match serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).ok()?).ok()? {
        Value::Object(claims) => Some(claims),
        _ => None,
    }
}

// By hand: a derived one would print the user.
impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claims")
            .field("audience", &self.audience)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

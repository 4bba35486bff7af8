//! What a token says of itself (RFC 7519), for diagnosis. Nothing is verified: that is the mail server's
//! part.

use std::fmt;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value};

/// What a work account's access token says of itself. As it stands there: for people, who have to be spared
/// control characters.
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
    /// The user (`upn`, `preferred_username`, `unique_name`). An address. None if the application signed in
    /// itself.
    pub user: Option<String>,
    /// The tenant's id (`tid`).
    pub tenant: Option<String>,
    /// When it expires (`exp`).
    pub expires_at: Option<SystemTime>,
}

impl Claims {
    /// Reads a token's claims. `None` if it has none that can be read: the tokens of personal accounts are
    /// opaque.
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn token(claims: &Value) -> SecretString {
        let encode = |text: String| BASE64_URL_SAFE_NO_PAD.encode(text);
        let header = encode(json!({ "typ": "JWT", "alg": "RS256" }).to_string());
        format!("{header}.{}.{}", encode(claims.to_string()), encode("signature".to_owned())).into()
    }

    #[test]
    fn the_token_of_a_person_is_read() {
        let claims = Claims::read(&token(&json!({
            "aud": "https://outlook.office.com",
            "iss": "https://sts.windows.net/7c9d2b54-0f8e-4b5c-9a31-2f6f0e1f7a10/",
            "exp": 1_795_000_000,
            "appid": "3f0b1c1e-6d0f-4c53-8a0f-5ad3c6b0a111",
            "scp": "IMAP.AccessAsUser.All SMTP.Send",
            "tid": "7c9d2b54-0f8e-4b5c-9a31-2f6f0e1f7a10",
            "unique_name": "other@contoso.example",
            "upn": "support@contoso.example",
            "ver": "1.0",
        })))
        .unwrap();

        assert_eq!(claims.audience.as_deref(), Some("https://outlook.office.com"));
        assert_eq!(claims.application_id.as_deref(), Some("3f0b1c1e-6d0f-4c53-8a0f-5ad3c6b0a111"));
        assert_eq!(claims.scopes, ["IMAP.AccessAsUser.All", "SMTP.Send"]);
        assert!(claims.roles.is_empty());
        assert_eq!(claims.user.as_deref(), Some("support@contoso.example"));
        assert_eq!(claims.tenant.as_deref(), Some("7c9d2b54-0f8e-4b5c-9a31-2f6f0e1f7a10"));
        assert_eq!(claims.expires_at, Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_000_000)));
        assert!(!format!("{claims:?}").contains("contoso.example"), "{claims:?}");
    }

    #[test]
    fn the_token_of_an_application_is_read() {
        let claims = Claims::read(&token(&json!({
            "aud": "00000002-0000-0ff1-ce00-000000000000",
            "azp": "3f0b1c1e-6d0f-4c53-8a0f-5ad3c6b0a111",
            "roles": ["IMAP.AccessAsApp", 7],
            "exp": u64::MAX,
        })))
        .unwrap();

        assert_eq!(claims.application_id.as_deref(), Some("3f0b1c1e-6d0f-4c53-8a0f-5ad3c6b0a111"));
        assert_eq!(claims.roles, ["IMAP.AccessAsApp"]);
        assert_eq!((claims.user, claims.scopes.len(), claims.expires_at), (None, 0, None));
    }

    #[test]
    fn the_opaque_token_of_a_personal_account_is_none() {
        for token in
            ["", "EwBwA8l6BAAUbDba3x2OMJElkF7gJ4z/VbCPEz0AAV+abc==", "a.b", "e30.W10.e30", "a.b.c.d.e"]
        {
            assert_eq!(Claims::read(&token.into()), None, "{token}");
        }
    }

    #[test]
    fn who_signed_in_stands_in_the_id_token() {
        let name = |claims: Value| username(token(&claims).expose_secret());

        assert_eq!(
            name(json!({ "preferred_username": "a@outlook.com", "email": "b@c.d" })).unwrap(),
            "a@outlook.com"
        );
        assert_eq!(name(json!({ "email": "b@c.d" })).unwrap(), "b@c.d");
        for odd in ["", "a\u{1b}[2J@outlook.com", &"a".repeat(321)] {
            assert_eq!(name(json!({ "preferred_username": odd })), None, "{odd:?}");
        }
    }

    proptest! {
        #[test]
        fn no_token_is_too_odd_to_be_read(token in "[A-Za-z0-9_.=-]{0,80}|.{0,40}") {
            let _ = Claims::read(&token.into());
        }
    }
}

//! A person who has signed in, and the tokens that come of it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::jwt;
use super::tokens::{Access, Subject};

/// The tenant of all work accounts, unless a request names another by its id.
const TENANT_ID: &str = "0b1c2d3e-4f50-4a6b-8c7d-9e8f70615243";

/// What is told of an access token besides.
const GENERIC: [&str; 4] = ["offline_access", "openid", "profile", "email"];

/// What a refresh token stands for.
#[derive(Clone)]
pub(super) struct SignIn {
    pub(super) account: String,
    pub(super) tenant: String,
    pub(super) scope: String,
    /// How often it has been refreshed.
    pub(super) generation: u32,
}

impl SignIn {
    pub(super) fn wants(&self, scope: &str) -> bool {
        self.scope.split(' ').any(|wanted| wanted == scope)
    }

    /// What its access tokens are good for.
    pub(super) fn access(&self) -> Access {
        let scopes = || self.scope.split(' ').filter(|scope| !GENERIC.contains(scope));
        let audience = scopes().next().and_then(|scope| scope.rsplit_once('/')).map(|(audience, _)| audience);
        Access {
            subject: Subject::Account(self.account.clone()),
            audience: audience.unwrap_or("https://graph.microsoft.com").to_owned(),
            permissions: scopes().map(|scope| scope.rsplit('/').next().unwrap_or(scope).to_owned()).collect(),
        }
    }

    /// An access token. Those of personal accounts are opaque: nobody but Microsoft can read them.
    pub(super) fn access_token(&self, client_id: &str, lifetime: Duration) -> Result<String> {
        if self.tenant == "consumers" {
            return opaque("EwB4A8l6BAAU");
        }
        work_token(&self.access(), client_id, &self.tenant, lifetime)
    }

    /// An id token, which says who has signed in.
    pub(super) fn id_token(&self, client_id: &str, lifetime: Duration) -> Result<String> {
        let (now, end) = span(lifetime)?;
        jwt::write(&json!({
            "ver": "2.0",
            "iss": format!("https://login.microsoftonline.com/{}/v2.0", id_of(&self.tenant)),
            "aud": client_id,
            "iat": now,
            "nbf": now,
            "exp": end,
            "tid": id_of(&self.tenant),
            "preferred_username": self.account,
        }))
    }

    pub(super) fn refresh_token(&self) -> Result<String> {
        opaque(if self.tenant == "consumers" { "M.C507_BAY.0.U.-" } else { "0.AXoA" })
    }
}

/// An access token of a work tenant, as Exchange gets it.
pub(super) fn work_token(
    access: &Access,
    client_id: &str,
    tenant: &str,
    lifetime: Duration,
) -> Result<String> {
    let (now, end) = span(lifetime)?;
    let mut payload = json!({
        "aud": access.audience,
        "iss": format!("https://sts.windows.net/{}/", id_of(tenant)),
        "iat": now,
        "nbf": now,
        "exp": end,
        "appid": client_id,
        "tid": id_of(tenant),
        "ver": "1.0",
        // No two tokens are the same, not even within a second.
        "uti": opaque("")?,
    });
    let fields = payload.as_object_mut().context("an object")?;
    match &access.subject {
        Subject::Account(account) => {
            fields.insert("idtyp".to_owned(), "user".into());
            fields.insert("upn".to_owned(), account.as_str().into());
            fields.insert("scp".to_owned(), access.permissions.join(" ").into());
        }
        Subject::Application(_) => {
            fields.insert("idtyp".to_owned(), "app".into());
            fields
                .insert("roles".to_owned(), access.permissions.iter().map(String::as_str).collect::<Value>());
        }
    }
    jwt::write(&payload)
}

/// A token that says nothing. It is about as long as Microsoft's.
fn opaque(prefix: &str) -> Result<String> {
    let mut bytes = [0; 900];
    openssl::rand::rand_bytes(&mut bytes)?;
    Ok(format!("{prefix}{}", jwt::encode(&bytes)))
}

/// Tenants are named by id, by domain, or by a word for many.
fn id_of(tenant: &str) -> &str {
    let is_id = tenant.len() == 36 && tenant.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    if is_id { tenant } else { TENANT_ID }
}

/// Now and `lifetime` from now, in seconds since 1970.
fn span(lifetime: Duration) -> Result<(u64, u64)> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    Ok((now, now + lifetime.as_secs()))
}

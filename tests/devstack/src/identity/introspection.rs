//! What a resource server asks about a token that a client has shown it (RFC 7662). Dovecot does.

use serde_json::{Value, json};

use super::form::Form;
use super::tokens::{Subject, Tokens};
use crate::http::{Answer, Request};

/// Answers whether a token is good, and for whom.
pub(super) fn respond(tokens: &Tokens, request: &Request) -> Answer {
    let form = Form::of(request);
    let active = form.field("token").and_then(|token| describe(tokens, token));
    Answer::status(200).json(active.unwrap_or_else(|| json!({ "active": false })))
}

fn describe(tokens: &Tokens, token: &str) -> Option<Value> {
    let access = tokens.access(token)?;
    let (username, client_id) = match &access.subject {
        Subject::Account(account) => (Some(account), None),
        Subject::Application(client_id) => (None, Some(client_id)),
    };
    Some(json!({
        "active": true,
        "token_type": "Bearer",
        "scope": access.permissions.join(" "),
        "aud": access.audience,
        "expires_in": tokens.remaining(token)?.as_secs(),
        "username": username,
        "client_id": client_id,
    }))
}

//! What the platform says when it refuses, in Microsoft's own words.
//!
//! The texts stand in public reports of Microsoft's answers, as of 2023 to 2026. Their numbers are explained under
//! <https://login.microsoftonline.com/error>.

use serde_json::json;

use crate::http::Answer;

const TRACE_ID: &str = "5c3bd525-61b3-44d4-a70a-fb93e9ddc500";
const CORRELATION_ID: &str = "d66bc564-8e3b-45d1-8909-988927d3ec8e";
const TIMESTAMP: &str = "2026-01-05 10:00:00Z";

/// A refusal.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    status: u16,
    error: &'static str,
    /// Of `AADSTS…`; none where Microsoft documents no number.
    number: Option<u32>,
    text: String,
    /// What MSAL goes by where `error` says too little.
    suberror: Option<&'static str>,
}

impl Refusal {
    /// As an answer (RFC 6749 §5.2, with Microsoft's fields).
    pub(super) fn answer(&self) -> Answer {
        let Self { status, error, number, text, suberror } = self;
        let code = number.map(|number| format!("AADSTS{number}: ")).unwrap_or_default();
        Answer::status(*status).json(json!({
            "error": error,
            "error_description": format!(
                "{code}{text} Trace ID: {TRACE_ID} Correlation ID: {CORRELATION_ID} Timestamp: {TIMESTAMP}"
            ),
            "error_codes": number.iter().collect::<Vec<_>>(),
            "timestamp": TIMESTAMP,
            "trace_id": TRACE_ID,
            "correlation_id": CORRELATION_ID,
            "error_uri": number.map(|number| format!("https://login.microsoftonline.com/error?code={number}")),
            "suberror": suberror,
        }))
    }

    fn new(status: u16, error: &'static str, number: u32, text: impl Into<String>) -> Self {
        Self { status, error, number: Some(number), text: text.into(), suberror: None }
    }

    fn with_suberror(self, suberror: &'static str) -> Self {
        Self { suberror: Some(suberror), ..self }
    }

    fn unnumbered(error: &'static str, text: &str) -> Self {
        Self { status: 400, error, number: None, text: text.to_owned(), suberror: None }
    }
}

// Of device codes.

pub(super) fn pending() -> Refusal {
    let text = "OAuth 2.0 device flow error. Authorization is pending. Continue polling.";
    Refusal::new(400, "authorization_pending", 70_016, text)
}

pub(super) fn slow_down() -> Refusal {
    let text = "The client polls too often and is to increase its interval by 5 seconds.";
    Refusal::unnumbered("slow_down", text)
}

pub(super) fn declined() -> Refusal {
    Refusal::unnumbered("authorization_declined", "The end user denied the authorization request.")
}

pub(super) fn code_expired() -> Refusal {
    let text = "The provided value for the input parameter 'device_code' is not valid. This device code has \
                expired.";
    Refusal::new(400, "expired_token", 70_020, text)
}

pub(super) fn unknown_code() -> Refusal {
    let text = "Invalid verification code due to User typing in wrong user code for device code flow. \
                Authorization isn't approved.";
    Refusal::new(400, "bad_verification_code", 70_018, text)
}

// Of requests.

pub(super) fn lacks(parameter: &str) -> Refusal {
    let text = format!("The request body must contain the following parameter: '{parameter}'.");
    Refusal::new(400, "invalid_request", 900_144, text)
}

pub(super) fn unknown_grant_type(grant_type: &str) -> Refusal {
    let text = format!("The app requested an unsupported grant type '{grant_type}'.");
    Refusal::new(400, "unsupported_grant_type", 70_003, text)
}

pub(super) fn scope_without_default(scope: &str) -> Refusal {
    let text = format!(
        "The provided value for scope {scope} is not valid. Client credential flows must have a scope value \
         with /.default suffixed to the resource identifier (application ID URI)."
    );
    Refusal::new(400, "invalid_scope", 1_002_012, text)
}

pub(super) fn tenant_not_found(tenant: &str) -> Refusal {
    let text = format!(
        "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing \
         into the correct cloud. Check with your subscription administrator, this may happen if there are \
         no active subscriptions for the tenant."
    );
    Refusal::new(400, "invalid_request", 90_002, text)
}

pub(super) fn application_not_found(client_id: &str, tenant: &str) -> Refusal {
    let text = format!(
        "Application with identifier '{client_id}' was not found in the directory '{tenant}'. This can \
         happen if the application has not been installed by the administrator of the tenant or consented \
         to by any user in the tenant. You may have sent your authentication request to the wrong tenant."
    );
    Refusal::new(400, "unauthorized_client", 700_016, text)
}

// Of grants.

/// A refresh token that is none of ours, or that another has replaced.
pub(super) fn unknown_grant() -> Refusal {
    Refusal::new(400, "invalid_grant", 70_000, "Provided grant is invalid or malformed.")
}

pub(super) fn consent_missing(client_id: &str) -> Refusal {
    let text = format!(
        "The user or administrator has not consented to use the application with ID '{client_id}' named \
         'Postroom'. Send an interactive authorization request for this user and resource."
    );
    Refusal::new(400, "invalid_grant", 65_001, text).with_suberror("consent_required")
}

pub(super) fn second_factor_required() -> Refusal {
    let text = "Due to a configuration change made by your administrator, or because you moved to a new \
                location, you must use multi-factor authentication to access \
                '00000002-0000-0ff1-ce00-000000000000'.";
    Refusal::new(400, "invalid_grant", 50_076, text).with_suberror("basic_action")
}

pub(super) fn password_changed() -> Refusal {
    let text = "The provided grant has expired due to it being revoked, a fresh auth token is needed. The \
                user might have changed or reset their password. The grant was issued on \
                '2025-12-01T08:38:17.6250114Z' and the TokensValidFrom date (before which tokens are not \
                valid) for this user is '2026-01-05T08:25:51.0000000Z'.";
    Refusal::new(400, "invalid_grant", 50_173, text).with_suberror("bad_token")
}

pub(super) fn refresh_token_inactive() -> Refusal {
    let text = "The refresh token has expired due to inactivity. The token was issued on \
                2025-10-05T14:30:28.0990908Z and was inactive for 90.00:00:00.";
    Refusal::new(400, "invalid_grant", 700_082, text)
}

pub(super) fn refresh_token_expired() -> Refusal {
    let text = "The provided authorization code or refresh token has expired due to inactivity. Send a new \
                interactive authorization request for this user and resource.";
    Refusal::new(400, "invalid_grant", 70_008, text)
}

// Of the application's proof.

pub(super) fn no_proof() -> Refusal {
    let text =
        "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.";
    Refusal::new(401, "invalid_client", 7_000_218, text)
}

pub(super) fn wrong_secret(client_id: &str) -> Refusal {
    let text = format!(
        "Invalid client secret provided. Ensure the secret being sent in the request is the client secret \
         value, not the client secret ID, for a secret added to app '{client_id}'."
    );
    Refusal::new(401, "invalid_client", 7_000_215, text)
}

pub(super) fn secret_expired(client_id: &str) -> Refusal {
    let text = format!(
        "The provided client secret keys for app '{client_id}' are expired. Visit the Azure portal to \
         create new keys for your app: https://aka.ms/NewClientSecret, or consider using certificate \
         credentials for added security: https://aka.ms/certCreds."
    );
    Refusal::new(401, "invalid_client", 7_000_222, text)
}

pub(super) fn malformed_assertion() -> Refusal {
    Refusal::new(401, "invalid_client", 50_027, "JWT token is invalid or malformed.")
}

pub(super) fn assertion_of_another_application() -> Refusal {
    let text = "Client assertion application identifier doesn't match 'client_id' parameter.";
    Refusal::new(401, "invalid_client", 700_021, text)
}

pub(super) fn assertion_for_another_audience() -> Refusal {
    let text = "Client assertion audience claim does not match Realm issuer.";
    Refusal::new(401, "invalid_client", 700_023, text)
}

pub(super) fn assertion_out_of_time() -> Refusal {
    let text = "Client assertion is not within its valid time range.";
    Refusal::new(401, "invalid_client", 700_024, text)
}

pub(super) fn assertion_by_another_key() -> Refusal {
    let text = "Client assertion contains an invalid signature. [Reason - The key was not found.]";
    Refusal::new(401, "invalid_client", 700_027, text)
}

// Of the platform itself.

pub(super) fn throttled() -> Refusal {
    Refusal::new(429, "temporarily_unavailable", 90_055, "There are too many incoming requests.")
}

pub(super) fn unavailable() -> Refusal {
    let text = "A transient error has occurred. Please try again.";
    Refusal::new(503, "temporarily_unavailable", 90_033, text)
}

//! What the platform does in place of its duty.

use super::refusal::{self, Refusal};
use crate::http::Answer;

/// A fault of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The tenant does not exist (AADSTS90002).
    TenantNotFound,
    /// The application is not known in the tenant (AADSTS700016).
    ApplicationNotFound,
    /// Nobody has consented to the application (AADSTS65001).
    ConsentMissing,
    /// The person must prove a second factor (AADSTS50076).
    SecondFactorRequired,
    /// The password was changed, or all sign-ins were revoked (AADSTS50173).
    PasswordChanged,
    /// The refresh token was not used for 90 days (AADSTS700082).
    RefreshTokenInactive,
    /// The refresh token has expired (AADSTS70008).
    RefreshTokenExpired,
    /// 429, with a `Retry-After` of so many seconds if there is a number.
    Throttled(Option<u32>),
    /// 503, with AADSTS90033.
    Unavailable,
    /// 500, and a page for people.
    ServerError,
    /// The connection is closed before anything is done.
    HangUpBefore,
    /// Everything is done, and the connection is closed before the answer: tokens that nobody has heard of are good.
    HangUpAfter,
    /// Everything is done, and the answer waits for [`release`](super::Identity::release).
    Held,
    /// Everything is done, and the answer comes byte by byte and takes seconds.
    Trickle,
    /// 200, and a page for people.
    NotJson,
    /// 200, and a body that never ends.
    Endless,
}

/// What becomes of a request that a fault befalls.
pub(super) enum Effect {
    /// It gets this answer and does nothing.
    Instead(Answer),
    /// It is obeyed, and this becomes of the answer.
    After(fn(Answer) -> Answer),
}

const PAGE: &str =
    "<!DOCTYPE html><html><head><title>Sign in</title></head><body>Something went wrong.</body></html>";

impl Fault {
    pub(super) fn effect(self, client_id: &str, tenant: &str) -> Effect {
        let refused = |refusal: Refusal| Effect::Instead(refusal.answer());
        match self {
            Self::TenantNotFound => refused(refusal::tenant_not_found(tenant)),
            Self::ApplicationNotFound => refused(refusal::application_not_found(client_id, tenant)),
            Self::ConsentMissing => refused(refusal::consent_missing(client_id)),
            Self::SecondFactorRequired => refused(refusal::second_factor_required()),
            Self::PasswordChanged => refused(refusal::password_changed()),
            Self::RefreshTokenInactive => refused(refusal::refresh_token_inactive()),
            Self::RefreshTokenExpired => refused(refusal::refresh_token_expired()),
            Self::Throttled(None) => refused(refusal::throttled()),
            Self::Throttled(Some(seconds)) => {
                Effect::Instead(refusal::throttled().answer().retry_after(&seconds.to_string()))
            }
            Self::Unavailable => refused(refusal::unavailable()),
            Self::ServerError => Effect::Instead(page(500)),
            Self::HangUpBefore => Effect::Instead(Answer::none()),
            Self::HangUpAfter => Effect::After(|_| Answer::none()),
            Self::Held => Effect::After(Answer::held),
            Self::Trickle => Effect::After(Answer::dripping),
            Self::NotJson => Effect::Instead(page(200)),
            Self::Endless => Effect::Instead(Answer::endless()),
        }
    }
}

fn page(status: u16) -> Answer {
    Answer::status(status).header("Content-Type", "text/html").body(PAGE)
}

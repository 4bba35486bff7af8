//! The HTTP client: one POST for one question.
//!
//! Invariant: a request goes to the configured authority, over TLS, and nowhere else. Redirects are not
//! followed (the target would get the secret), and proxies named in the environment are ignored.

use std::error::Error as _;
use std::fmt;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use openssl::error::ErrorStack;
use reqwest::header::{ACCEPT, CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Certificate, Response, redirect, tls};
use secrecy::{ExposeSecret as _, SecretString};
use url::{Url, form_urlencoded};

use crate::config::{ClientProof, Flow, OAuth2};

use super::answer::Answer;
use super::assertion;
use super::assertion::SigningKey;
use super::device::{DeviceCode, Poll};
use super::error::{Cause, Error};
use super::grant::Grant;

/// Limit of one question, from DNS to the end of the answer.
const TIMEOUT: Duration = Duration::from_secs(20);

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The most bytes of an answer that are read. Real ones have a few thousand.
const MAX_ANSWER_BYTES: usize = 64 << 10;

/// `SSL_R_CERTIFICATE_VERIFY_FAILED` of OpenSSL's sslerr.h.
const CERTIFICATE_VERIFY_FAILED: i32 = 134;

const USER_AGENT: &str =
    concat!("postroom/", env!("CARGO_PKG_VERSION_MAJOR"), ".", env!("CARGO_PKG_VERSION_MINOR"));

/// Asks one tenant's authority in the name of one application.
pub struct Client {
    http: reqwest::Client,
    authority: Url,
    application: String,
    scope: String,
    proof: Option<Proof>,
}

/// How the application proves who it is.
#[derive(Debug)]
enum Proof {
    Secret(SecretString),
    Key(SigningKey),
}

impl Client {
    /// Prepares to ask; does not connect.
    ///
    /// # Errors
    /// [`Error::Client`] and [`Error::Key`]. The configuration has been checked, so both are rare.
    pub fn new(config: &OAuth2) -> Result<Self, Error> {
        let proof = match &config.flow {
            Flow::Device => None,
            Flow::ClientCredentials(ClientProof::Secret(secret)) => Some(Proof::Secret(secret.clone())),
            Flow::ClientCredentials(ClientProof::Certificate { certificate_pem, key_pem }) => {
                Some(Proof::Key(SigningKey::new(certificate_pem, key_pem)?))
            }
        };
        Ok(Self {
            http: http(config.ca_pem.as_deref()).map_err(Error::Client)?,
            authority: config.authority.clone(),
            application: config.client_id.clone(),
            scope: config.scope.clone(),
            proof,
        })
    }

    /// Begins a sign-in by device code (RFC 8628 §3.1).
    pub async fn device_code(&self) -> Result<DeviceCode, Error> {
        let answer = self.ask("devicecode", &[("scope", &self.scope)]).await?;
        DeviceCode::read(&answer.granted()?)
    }

    /// Asks once how far the sign-in has come (RFC 8628 §3.4), `code.interval` after the last time.
    ///
    /// # Errors
    /// A [transient](Error::is_transient) one leaves the sign-in as it is; any other ends it. If the answer
    /// that grants it is lost on the way, so is the grant.
    pub async fn poll(&self, code: &DeviceCode) -> Result<Poll, Error> {
        let fields = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
            ("device_code", code.secret.expose_secret()),
        ];
        Poll::read(self.ask("token", &fields).await?)
    }

    /// Exchanges a refresh token for an access token and the refresh token that follows it (RFC 6749 §6).
    /// Store that one before anything else. If the answer is lost, or this is dropped half way, the old one
    /// still works: Microsoft lets it live on until it expires.
    pub async fn refresh(&self, refresh_token: &SecretString) -> Result<Grant, Error> {
        let fields = [
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh_token.expose_secret()),
            ("scope", &self.scope),
        ];
        Grant::read(&self.ask("token", &fields).await?.granted()?)
    }

    /// Gets an access token for the application itself (RFC 6749 §4.4).
    pub async fn client_credentials(&self) -> Result<Grant, Error> {
        let assertion = match &self.proof {
            Some(Proof::Key(key)) => {
                let audience = self.endpoint("token");
                Some(key.assertion(&self.application, audience.as_str(), SystemTime::now())?)
            }
            _ => None,
        };
        let mut fields = vec![("grant_type", "client_credentials"), ("scope", &self.scope)];
        if let Some(assertion) = &assertion {
            fields.push(("client_assertion_type", assertion::TYPE));
            fields.push(("client_assertion", assertion.expose_secret()));
        }
        // Without any proof the platform refuses: a client for signing in by device code has none.
        if let Some(Proof::Secret(secret)) = &self.proof {
            fields.push(("client_secret", secret.expose_secret()));
        }
        Grant::read(&self.ask("token", &fields).await?.granted()?)
    }

    fn endpoint(&self, name: &str) -> Url {
        let mut url = self.authority.clone();
        // Fails for URLs that can't be a base, and those of https can.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(["oauth2", "v2.0", name]);
        }
        url
    }

    /// Posts these fields, and which application asks, to an endpoint of the authority.
    async fn ask(&self, endpoint: &str, fields: &[(&str, &str)]) -> Result<Answer, Error> {
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("client_id", &self.application)
            .extend_pairs(fields)
            .finish();
        let unreachable = |error: reqwest::Error| Error::Unreachable {
            host: self.authority.host_str().unwrap_or_default().to_owned(),
            cause: cause(&error),
        };
        let answer = self
            .http
            .post(self.endpoint(endpoint))
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(ACCEPT, "application/json")
            .body(form)
            .send()
            .await
            .map_err(unreachable)?;
        let status = answer.status().as_u16();
        let retry_after =
            answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let body = body(answer).await.map_err(unreachable)?.ok_or(Error::Unreadable { status })?;
        Answer::read(status, retry_after.as_deref(), &body, SystemTime::now())
    }
}

// By hand: what proves who the application is stays out of logs.
impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("authority", &self.authority.as_str()).finish_non_exhaustive()
    }
}

/// Each client holds the system's authorities, some 30 ms of work and a megabyte, so that those of a thousand
/// mailboxes who trust nothing besides share one.
fn http(authority_pem: Option<&[u8]>) -> reqwest::Result<reqwest::Client> {
    static SHARED: OnceLock<reqwest::Client> = OnceLock::new();
    match (authority_pem, SHARED.get()) {
        (Some(pem), _) => build(Certificate::from_pem_bundle(pem)?, TIMEOUT),
        (None, Some(shared)) => Ok(shared.clone()),
        (None, None) => {
            let client = build(Vec::new(), TIMEOUT)?;
            Ok(SHARED.get_or_init(|| client).clone())
        }
    }
}

fn build(authority: Vec<Certificate>, timeout: Duration) -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .redirect(redirect::Policy::none())
        .no_proxy()
        .https_only(true)
        .tls_version_min(tls::Version::TLS_1_2)
        .tls_certs_merge(authority)
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(timeout)
        .build()
}

/// The body; `None` if it is longer than any that makes sense.
async fn body(mut answer: Response) -> reqwest::Result<Option<Vec<u8>>> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_ANSWER_BYTES {
            return Ok(None);
        }
    }
    Ok(Some(body))
}

/// What went wrong before there was an answer. The error itself names the URL and goes no further.
fn cause(error: &reqwest::Error) -> Cause {
    if error.is_dns() {
        Cause::Dns
    } else if error.is_timeout() {
        Cause::Timeout
    } else if is_untrusted(error) {
        Cause::Untrusted
    } else if causes(error).any(<dyn std::error::Error>::is::<native_tls::Error>) {
        Cause::Tls
    } else if error.is_connect() {
        Cause::Connect
    } else {
        Cause::Reset
    }
}

fn is_untrusted(error: &reqwest::Error) -> bool {
    causes(error)
        .filter_map(<dyn std::error::Error>::downcast_ref::<ErrorStack>)
        .flat_map(ErrorStack::errors)
        .any(|error| error.reason_code() == CERTIFICATE_VERIFY_FAILED)
}

fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    std::iter::successors(error.source(), |&cause| cause.source())
}

#[cfg(test)]
mod tests {
    use devstack::identity::Habits;
    use devstack::{Identity, IdentityFault};

    use super::*;

    /// Long enough for a handshake on a machine at work, and short enough to be waited for.
    const SHORT: Duration = Duration::from_millis(500);

    #[tokio::test]
    async fn a_platform_that_is_silent_or_never_ends_is_given_up() {
        let identity = Identity::start(Habits::default()).await.unwrap();
        let client = Client {
            http: build(Certificate::from_pem_bundle(identity.authority_pem()).unwrap(), SHORT).unwrap(),
            authority: Url::parse(&format!("{}/consumers", identity.url())).unwrap(),
            application: identity.client_id().to_owned(),
            scope: "offline_access".to_owned(),
            proof: None,
        };

        for fault in [IdentityFault::Held, IdentityFault::Trickle] {
            identity.fail_next(1, fault);
            let error = client.device_code().await.unwrap_err();

            assert!(
                matches!(error, Error::Unreachable { cause: Cause::Timeout, .. }),
                "{fault:?}: {error:?}"
            );
            assert!(error.is_transient());
        }
    }
}

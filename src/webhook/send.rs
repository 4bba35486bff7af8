//! The HTTP client: one POST for one attempt.
//!
//! Invariant: a request goes to the configured host and nowhere else. Redirects are not followed (the target
//! would get the signature, and a POST would arrive as a GET), and proxies named in the environment are ignored
//! (a variable meant for another program must not see support mail).

use std::error::Error as _;
use std::fmt;
use std::time::{Duration, SystemTime};

use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Certificate, Client, Response, redirect, tls};
use url::Url;

use crate::config;
use crate::webhook::answer::{Cause, Outcome};
use crate::webhook::sign;
use crate::webhook::sign::Key;

/// Enough for DNS, TCP and TLS to any helpdesk that is up.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the rest of an answer is waited for. What it came to is known by then, but not yet written down.
const REST_TIMEOUT: Duration = Duration::from_secs(1);

const USER_AGENT: &str =
    concat!("postroom/", env!("CARGO_PKG_VERSION_MAJOR"), ".", env!("CARGO_PKG_VERSION_MINOR"));

/// Sends to one webhook, over connections that it keeps open.
pub struct Sender {
    webhook: String,
    url: Url,
    keys: Vec<Key>,
    timeout: Duration,
    max_answer_bytes: usize,
    client: Client,
}

/// One attempt to tell one event.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The same in every attempt: receivers drop by it what they have seen. Visible ASCII.
    pub event_id: &'a str,
    /// The event's JSON, sent as it is.
    pub body: &'a str,
    /// When this attempt is made. Receivers refuse what is more than minutes off.
    pub now: SystemTime,
}

/// Why a webhook can't be used. The configuration has been checked, so this is rare.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A secret can't be used. Says nothing of what is wrong with it, which would give parts of it away.
    #[error("a signing secret of webhook {webhook} is not \"whsec_\" and base64")]
    Secret {
        /// The webhook's name.
        webhook: String,
    },
    /// The client can't be made: TLS does not work on this system, or not with the private authority.
    #[error("preparing HTTPS for webhook {webhook}")]
    Client {
        /// The webhook's name.
        webhook: String,
        /// Why.
        source: reqwest::Error,
    },
}

impl Sender {
    /// Prepares to send to `webhook`; does not connect. Of an answer, at most `max_answer_bytes` are read.
    pub fn new(webhook: &config::Webhook, max_answer_bytes: usize) -> Result<Self, Error> {
        let config::Preset::Standard = webhook.preset;
        Ok(Self {
            webhook: webhook.name.clone(),
            url: webhook.url.clone(),
            keys: keys(webhook)?,
            timeout: webhook.timeout,
            max_answer_bytes,
            client: client(webhook)?,
        })
    }

    /// The webhook's name.
    pub fn webhook(&self) -> &str {
        &self.webhook
    }

    /// The longest [`Sender::send`] takes.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Makes one attempt. Dropping it half way leaves unknown whether the webhook has acted on it.
    pub async fn send(&self, request: Request<'_>) -> Outcome {
        let timestamp = request.now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let answer = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", request.event_id)
            .header("webhook-timestamp", timestamp)
            .header(
                "webhook-signature",
                sign::signature(&self.keys, request.event_id, timestamp, request.body),
            )
            .header("idempotency-key", request.event_id)
            .body(request.body.to_owned())
            .send()
            .await;
        match answer {
            Ok(answer) => {
                let retry_after = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
                let outcome = Outcome::of_answer(answer.status().as_u16(), retry_after, request.now);
                // A connection with something left on it is closed, and the next request makes another.
                drop(tokio::time::timeout(REST_TIMEOUT, self.discard(answer)).await);
                outcome
            }
            Err(error) => Outcome::Retry { cause: cause(&error), retry_after: None },
        }
    }

    /// Reads the rest of a short answer, so that the connection can be used again. The status has been given:
    /// however the body ends, it changes nothing.
    async fn discard(&self, mut answer: Response) {
        let mut left = self.max_answer_bytes;
        while let Ok(Some(chunk)) = answer.chunk().await {
            match left.checked_sub(chunk.len()) {
                Some(rest) => left = rest,
                None => return,
            }
        }
    }
}

// By hand: the URL may hold a token, and the keys are secret.
impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("webhook", &self.webhook).finish_non_exhaustive()
    }
}

// By hand: a derived `Debug` would print the mail.
impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("event_id", &self.event_id)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

fn keys(webhook: &config::Webhook) -> Result<Vec<Key>, Error> {
    let keys: Option<Vec<Key>> = webhook.secrets.iter().map(Key::parse).collect();
    keys.ok_or_else(|| Error::Secret { webhook: webhook.name.clone() })
}

fn client(webhook: &config::Webhook) -> Result<Client, Error> {
    let build = || {
        let authority = webhook.ca_pem.as_deref().map_or(Ok(Vec::new()), Certificate::from_pem_bundle)?;
        Client::builder()
            .user_agent(USER_AGENT)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .https_only(webhook.url.scheme() != "http")
            .tls_version_min(tls::Version::TLS_1_2)
            .tls_certs_merge(authority)
            .connect_timeout(CONNECT_TIMEOUT.min(webhook.timeout / 2))
            .timeout(webhook.timeout)
            .build()
    };
    build().map_err(|source| Error::Client { webhook: webhook.name.clone(), source })
}

/// What went wrong before there was an answer. The error itself names the URL and goes no further.
fn cause(error: &reqwest::Error) -> Cause {
    if error.is_dns() {
        Cause::Dns
    } else if error.is_timeout() {
        if error.is_connect() { Cause::Timeout } else { Cause::TooSlow }
    } else if is_tls(error) {
        Cause::Tls
    } else if error.is_connect() {
        Cause::Connect
    } else {
        Cause::Reset
    }
}

fn is_tls(error: &reqwest::Error) -> bool {
    std::iter::successors(error.source(), |&cause| cause.source())
        .any(<dyn std::error::Error>::is::<native_tls::Error>)
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;

    fn webhook() -> config::Webhook {
        config::Webhook {
            name: "helpdesk".into(),
            preset: config::Preset::Standard,
            url: Url::parse("https://user:url-password@helpdesk.example/hooks/url-token").unwrap(),
            secrets: vec![SecretString::from("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD")],
            ca_pem: None,
            timeout: Duration::from_secs(20),
        }
    }

    #[test]
    fn a_bad_secret_is_refused_and_not_printed() {
        let mut webhook = webhook();
        webhook.secrets.push(SecretString::from("whsec_hunter2!"));

        let error = Sender::new(&webhook, 1024).unwrap_err();

        assert!(matches!(error, Error::Secret { .. }));
        assert!(!format!("{error:?} {error}").contains("hunter2"));
    }

    #[test]
    fn nothing_private_is_in_debug() {
        let request = Request { event_id: "evt_1", body: "mail-text", now: SystemTime::UNIX_EPOCH };

        let printed = format!("{:?} {request:?}", Sender::new(&webhook(), 1024).unwrap());

        for private in ["url-password", "url-token", "C2FV", "mail-text"] {
            assert!(!printed.contains(private), "{private} in {printed}");
        }
    }
}

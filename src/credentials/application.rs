//! A registered application: how its authority is reached, and the token it gets for itself.

use std::sync::Arc;
use std::time::{Duration, Instant};

use secrecy::SecretString;
use tokio::sync::Mutex;

use crate::mailbox::Credential;
use crate::microsoft;
use crate::microsoft::Client;

use super::{Error, Obtained, counted, margin, share};

/// How long a failure is the answer to everybody who asks, if the platform does not say how long.
const FAILURE_LASTS: Duration = Duration::from_secs(10);

/// A registered application, shared by all mailboxes that name it.
pub(super) struct Application {
    pub(super) client: Client,
    /// Locked while one is asked for, so that mailboxes that start together ask once. In memory only: asking again
    /// costs nothing, and revokes nothing.
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    token: Option<Token>,
    generation: i64,
    /// Why there is none, and until when that is not asked again: a thousand mailboxes of an application whose secret
    /// is wrong must not make a thousand requests.
    failed: Option<(Arc<microsoft::Error>, Instant)>,
}

struct Token {
    secret: SecretString,
    /// From then on another is asked for; sessions with this one end within a margin after it.
    stale_at: Instant,
    margin: Duration,
}

impl Application {
    pub(super) fn new(client: Client) -> Self {
        Self { client, held: Mutex::default() }
    }

    /// The application's own token, asked for by `mailbox` if there is none that lasts.
    pub(super) async fn token(&self, mailbox: &str) -> Result<Obtained, Error> {
        let mut held = self.held.lock().await;
        let now = Instant::now();
        if let Some((error, until)) = &held.failed
            && now < *until
        {
            return Err(Arc::clone(error).into());
        }
        if held.token.as_ref().is_none_or(|token| token.stale_at <= now) {
            held.ask(&self.client, mailbox).await?;
        }
        let token = held.token.as_ref().ok_or(Error::Renewal)?;
        let fresh = token.stale_at.saturating_duration_since(now);
        Ok(Obtained {
            credential: Credential::Token(token.secret.clone()),
            renew_in: Some(fresh + share(token.margin, mailbox)),
            generation: held.generation,
        })
    }

    /// Forgets the token, if it is still the one meant.
    pub(super) async fn reject(&self, generation: i64) {
        let mut held = self.held.lock().await;
        if held.generation == generation {
            held.token = None;
        }
    }
}

impl Held {
    async fn ask(&mut self, client: &Client, mailbox: &str) -> Result<(), Error> {
        self.failed = None;
        self.token = None;
        match counted(mailbox, client.client_credentials().await) {
            Ok(grant) => {
                let margin = margin(grant.expires_in);
                let stale_at = Instant::now() + grant.expires_in.saturating_sub(margin * 2);
                self.generation += 1;
                self.token = Some(Token { secret: grant.access_token, stale_at, margin });
                Ok(())
            }
            Err(error) => {
                let lasts = error.retry_after().unwrap_or(FAILURE_LASTS);
                self.failed = Some((Arc::clone(&error), Instant::now() + lasts));
                Err(error.into())
            }
        }
    }
}

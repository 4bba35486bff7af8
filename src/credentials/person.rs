//! Tokens that a person has signed in for: stored sealed, and renewed with the rotation of their refresh token.

use std::borrow::Cow;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tracing::{debug, warn};

use crate::mailbox::Credential;
use crate::microsoft::Grant;
use crate::seal;
use crate::seal::Keyring;
use crate::step;
use crate::step::Step;
use crate::store;
use crate::store::{NewToken, Store, StoredToken};
use crate::text;

use super::application::Application;
use super::{Credentials, Error, Obtained, counted, margin};

/// How long a renewal waits for its turn.
const TURN: Duration = Duration::from_mins(1);

/// How soon a renewal that failed is tried again while the token is still good.
const AGAIN: Duration = Duration::from_mins(1);

/// Both tokens.
struct Tokens {
    access: SecretString,
    refresh: SecretString,
    /// Whether the newest key had sealed them.
    is_current_key: bool,
}

/// Both tokens, as they are sealed.
#[derive(Serialize, Deserialize)]
struct Plain<'a> {
    access: Cow<'a, str>,
    refresh: Cow<'a, str>,
}

/// A renewal, on its own: whoever waits for it may give up, and what was granted must be stored all the same.
struct Renewal {
    store: Store,
    keyring: Arc<Keyring>,
    application: Arc<Application>,
    turns: Arc<Semaphore>,
    mailbox: String,
    refused: Option<i64>,
}

impl Credentials {
    /// Stores what a person has signed in for.
    pub async fn sign_in(&self, mailbox: &str, grant: &Grant) -> Result<(), Error> {
        let refresh = grant.refresh_token.as_ref().ok_or(Error::NotRenewable)?;
        let sealed = sealed(&self.keyring, mailbox, &grant.access_token, refresh)?;
        let new = NewToken { sealed, valid_for: Some(grant.expires_in) };
        Ok(store::answered(self.store.sign_in(mailbox, &new)).await?)
    }

    pub(super) async fn of_person(
        &self,
        mailbox: &str,
        application: Arc<Application>,
    ) -> Result<Obtained, Error> {
        let stored = store::answered(self.store.token(mailbox)).await?.ok_or(Error::NotSignedIn)?;
        let tokens = open(&self.keyring, mailbox, &stored)?;
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner).get(mailbox).copied();
        if tokens.is_current_key && !is_due(&stored, refused) {
            return Ok(obtained(tokens, &stored, Duration::ZERO));
        }
        let renewal = Renewal {
            store: self.store.clone(),
            keyring: Arc::clone(&self.keyring),
            application,
            turns: Arc::clone(&self.renewals),
            mailbox: mailbox.to_owned(),
            refused,
        };
        match self.tasks.spawn(renewal.run()).await.map_err(|_| Error::Renewal)? {
            Ok(renewed) => Ok(obtained(open(&self.keyring, mailbox, &renewed)?, &renewed, Duration::ZERO)),
            // It is renewed well before its end, so that there is time for more than one try.
            Err(error) if error.is_transient() && is_good(&stored, refused) => {
                warn!(
                    mailbox,
                    error = text::chain(&error),
                    "the access token could not be renewed yet; it is good for a while"
                );
                Ok(obtained(tokens, &stored, AGAIN.max(error.retry_after().unwrap_or_default())))
            }
            Err(error) => Err(error),
        }
    }
}

impl Renewal {
    async fn run(self) -> Result<StoredToken, Error> {
        let turn = timeout(TURN, self.turns.acquire()).await.map_err(|_| Error::Crowded)?;
        let renewed: Result<_, Error> =
            self.store.renew_token(&self.mailbox, |stored| self.renew(stored)).await;
        drop(turn);
        let renewed = renewed?.ok_or(Error::NotSignedIn)?;
        debug!(mailbox = self.mailbox, generation = renewed.generation, "the access token is up to date");
        Ok(renewed)
    }

    /// With the row locked: what is to be stored, or nothing if another worker was faster.
    async fn renew(&self, stored: StoredToken) -> Result<Option<NewToken>, Error> {
        let tokens = open(&self.keyring, &self.mailbox, &stored)?;
        if is_due(&stored, self.refused) {
            let grant = counted(&self.mailbox, self.application.client.refresh(&tokens.refresh).await)?;
            step::reached(Step::AfterGrant);
            // Where none came along, the one before stays good (RFC 6749 §6).
            let refresh = grant.refresh_token.as_ref().unwrap_or(&tokens.refresh);
            let sealed = sealed(&self.keyring, &self.mailbox, &grant.access_token, refresh)?;
            return Ok(Some(NewToken { sealed, valid_for: Some(grant.expires_in) }));
        }
        if tokens.is_current_key {
            return Ok(None);
        }
        // Sealed by a former key, which is to be needed no longer. Nobody need be asked for that.
        let sealed = sealed(&self.keyring, &self.mailbox, &tokens.access, &tokens.refresh)?;
        Ok(Some(NewToken { sealed, valid_for: None }))
    }
}

fn obtained(tokens: Tokens, stored: &StoredToken, at_least: Duration) -> Obtained {
    Obtained {
        credential: Credential::Token(tokens.access),
        renew_in: Some(stored.valid_for.saturating_sub(margin(stored.lifetime)).max(at_least)),
        generation: stored.generation,
    }
}

/// Whether a token is to be renewed: it ends soon, or a server did not take it.
fn is_due(stored: &StoredToken, refused: Option<i64>) -> bool {
    refused == Some(stored.generation) || stored.valid_for <= margin(stored.lifetime)
}

/// Whether a token may well be taken, be it due or not.
fn is_good(stored: &StoredToken, refused: Option<i64>) -> bool {
    refused != Some(stored.generation) && !stored.valid_for.is_zero()
}

fn sealed(
    keyring: &Keyring,
    mailbox: &str,
    access: &SecretString,
    refresh: &SecretString,
) -> Result<Vec<u8>, Error> {
    let plain = Plain { access: access.expose_secret().into(), refresh: refresh.expose_secret().into() };
    // Two strings always become JSON.
    let plain = SecretString::from(serde_json::to_string(&plain).unwrap_or_default());
    Ok(keyring.seal(&context(mailbox), plain.expose_secret().as_bytes())?)
}

fn open(keyring: &Keyring, mailbox: &str, stored: &StoredToken) -> Result<Tokens, Error> {
    let opened = keyring.open(&context(mailbox), &stored.sealed)?;
    let plain: Plain<'_> =
        serde_json::from_slice(opened.plain.expose_secret()).map_err(|_| seal::Error::Broken)?;
    Ok(Tokens {
        access: plain.access.into_owned().into(),
        refresh: plain.refresh.into_owned().into(),
        is_current_key: opened.is_current_key,
    })
}

/// What sealed bytes are for: those of one mailbox are nothing in another's row.
fn context(mailbox: &str) -> String {
    format!("postroom oauth_tokens {mailbox}")
}

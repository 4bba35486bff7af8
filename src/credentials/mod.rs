//! What mailboxes are logged in to with: passwords as they are, access tokens kept valid.
//!
//! ```text
//! PostgreSQL ─► token ─► (renew at Microsoft ─► commit) ─► credential ─► login
//! ```
//!
//! Invariant: a renewed token is committed before it is used, so that no crash leaves us with one that is used up.
//! Invariant: of all workers one asks for a mailbox's token at a time; the others use what it got.
//! Invariant: what a person signed in for is stored sealed, and only here is it open.

mod application;
mod error;
mod person;

use std::collections::HashMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use metrics::counter;
use secrecy::ExposeSecret;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::config;
use crate::config::{Auth, ClientProof, Flow, OAuth2};
use crate::mailbox;
use crate::mailbox::{Credential, Remedy, Session};
use crate::metric;
use crate::microsoft;
use crate::microsoft::{Client, Grant};
use crate::seal::Keyring;
use crate::store::Store;
use crate::token_command;

use application::Application;

pub use error::Error;

/// A token is renewed so long before it expires. One that lives for a short time, sooner by less.
const MARGIN: Duration = Duration::from_mins(5);

/// How many renewals may be under way at once. Each holds a connection to the database for as long as the identity
/// platform takes, and the others are needed elsewhere.
const RENEWALS: usize = 2;

/// The credentials of all mailboxes of a process.
pub struct Credentials {
    store: Store,
    keyring: Arc<Keyring>,
    /// By what makes them one: mailboxes of one registration share its connection and, where the application itself
    /// signs in, its token.
    applications: Mutex<HashMap<u64, Arc<Application>>>,
    /// Tokens that a server has refused although they seemed valid, by mailbox.
    refused: Mutex<HashMap<String, i64>>,
    renewals: Arc<Semaphore>,
    /// Renewals under way, whoever still waits for them.
    tasks: TaskTracker,
}

/// What to log in with.
#[derive(Debug, Clone)]
pub struct Obtained {
    /// It.
    pub credential: Credential,
    /// When it should be replaced, from now on; `None` if that is not known, or never.
    pub renew_in: Option<Duration>,
    /// Which of several that were obtained one after another.
    generation: i64,
}

/// Why a mailbox could not be logged in to.
#[derive(Debug)]
pub enum NotLoggedIn {
    /// There is nothing to log in with.
    Credential(Error),
    /// The mailbox.
    Mailbox {
        /// What was tried last.
        obtained: Box<Obtained>,
        /// What came of it.
        error: mailbox::Error,
    },
}

impl Credentials {
    /// Of any mailboxes, with tokens sealed by the keys in `secrets`.
    pub fn new(secrets: &config::Secrets, store: Store) -> Self {
        Self {
            store,
            keyring: Arc::new(Keyring::new(secrets.keys.clone())),
            applications: Mutex::default(),
            refused: Mutex::default(),
            renewals: Arc::new(Semaphore::new(RENEWALS)),
            tasks: TaskTracker::new(),
        }
    }

    /// Connects to a mailbox and logs in. A token that the server refuses is replaced by another, once.
    pub async fn log_in(&self, mailbox: &config::Mailbox) -> Result<(Session, Obtained), NotLoggedIn> {
        let obtained = self.obtain(mailbox).await?;
        match mailbox::connect(mailbox, &obtained.credential).await {
            Ok(session) => return Ok((session, obtained)),
            Err(error) if error.remedy() == Remedy::Refresh => self.reject(mailbox, &obtained).await,
            Err(error) => return Err(NotLoggedIn::Mailbox { obtained: Box::new(obtained), error }),
        }
        let obtained = self.obtain(mailbox).await?;
        match mailbox::connect(mailbox, &obtained.credential).await {
            Ok(session) => Ok((session, obtained)),
            Err(error) => Err(NotLoggedIn::Mailbox { obtained: Box::new(obtained), error }),
        }
    }

    /// Gives what to log in to a mailbox with: a token that is good for a while, renewed first if need be.
    ///
    /// Dropping this future loses nothing: a renewal that was begun goes on by itself.
    pub async fn obtain(&self, mailbox: &config::Mailbox) -> Result<Obtained, Error> {
        match &mailbox.auth {
            Auth::Password(password) => Ok(Obtained::lasting(Credential::Password(password.clone()))),
            Auth::TokenCommand(command) => {
                Ok(Obtained::lasting(Credential::Token(token_command::token(command).await?)))
            }
            Auth::OAuth2(oauth2) => {
                let application = self.application(oauth2)?;
                match oauth2.flow {
                    Flow::Device => self.of_person(&mailbox.name, application).await,
                    Flow::ClientCredentials(_) => application.token(&mailbox.name).await,
                }
            }
        }
    }

    /// Takes note that a server has refused what was obtained, or says that it has expired: next time there is another,
    /// if another can be had.
    pub async fn reject(&self, mailbox: &config::Mailbox, obtained: &Obtained) {
        let Auth::OAuth2(oauth2) = &mailbox.auth else { return };
        match oauth2.flow {
            Flow::Device => {
                let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
                refused.insert(mailbox.name.clone(), obtained.generation);
            }
            Flow::ClientCredentials(_) => {
                if let Ok(application) = self.application(oauth2) {
                    application.reject(obtained.generation).await;
                }
            }
        }
    }

    /// Waits for renewals that are under way, for a process that ends: what they are granted is to be stored.
    pub async fn finish(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn application(&self, oauth2: &OAuth2) -> Result<Arc<Application>, Error> {
        let mut applications = self.applications.lock().unwrap_or_else(PoisonError::into_inner);
        let key = identity(oauth2);
        if let Some(known) = applications.get(&key) {
            return Ok(Arc::clone(known));
        }
        let application = Arc::new(Application::new(Client::new(oauth2).map_err(Arc::new)?));
        applications.insert(key, Arc::clone(&application));
        Ok(application)
    }
}

impl Obtained {
    /// One that is used until it is refused.
    fn lasting(credential: Credential) -> Self {
        Self { credential, renew_in: None, generation: 0 }
    }
}

impl From<Error> for NotLoggedIn {
    fn from(error: Error) -> Self {
        Self::Credential(error)
    }
}

/// What tells applications apart: everything by which they are asked for.
fn identity(oauth2: &OAuth2) -> u64 {
    let mut hasher = DefaultHasher::new();
    (oauth2.authority.as_str(), &oauth2.client_id, &oauth2.scope, &oauth2.ca_pem).hash(&mut hasher);
    match &oauth2.flow {
        Flow::Device => {}
        Flow::ClientCredentials(ClientProof::Secret(secret)) => secret.expose_secret().hash(&mut hasher),
        Flow::ClientCredentials(ClientProof::Certificate { certificate_pem, .. }) => {
            certificate_pem.hash(&mut hasher);
        }
    }
    hasher.finish()
}

/// Counts a request for tokens by what came of it.
fn counted(mailbox: &str, asked: Result<Grant, microsoft::Error>) -> Result<Grant, Arc<microsoft::Error>> {
    let outcome = if asked.is_ok() { "granted" } else { "failed" };
    let mailbox = mailbox.to_owned();
    counter!(metric::TOKEN_REQUESTS, metric::MAILBOX => mailbox, metric::OUTCOME => outcome).increment(1);
    asked.map_err(Arc::new)
}

/// How long before its end a token that lives for `lifetime` is renewed.
fn margin(lifetime: Duration) -> Duration {
    MARGIN.min(lifetime / 6)
}

/// A part of `whole` that is the mailbox's own, so that those who share a token do not all connect anew at once.
fn share(whole: Duration, mailbox: &str) -> Duration {
    let mut hasher = DefaultHasher::new();
    mailbox.hash(&mut hasher);
    let thousandths = u32::try_from(hasher.finish() % 1_000).unwrap_or(0);
    whole / 1_000 * thousandths
}

// By hand: keys and tokens have nothing to show.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

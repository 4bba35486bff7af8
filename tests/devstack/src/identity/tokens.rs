//! The access tokens that are good at this moment. Servers ask here whom they let in.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// All access tokens that were given out. Clones share them.
#[derive(Clone, Default)]
pub struct Tokens(Arc<Shared>);

#[derive(Default)]
struct Shared {
    given: Mutex<HashMap<String, Given>>,
    /// Changes when tokens are taken back.
    taken_back: watch::Sender<()>,
}

struct Given {
    access: Access,
    until: Instant,
}

/// What an access token is good for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// Who may use it.
    pub subject: Subject,
    /// The service that it is for, such as `https://outlook.office.com`.
    pub audience: String,
    /// Scopes of a person's token, or roles of an application's: `IMAP.AccessAsUser.All`, `IMAP.AccessAsApp`.
    pub permissions: Vec<String>,
}

/// Who may use an access token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// The person of this address, by way of an application (delegated).
    Account(String),
    /// The application of this client id on its own account (app-only).
    Application(String),
}

impl Access {
    /// What a person's token is usually good for: IMAP, in every mailbox that the person may open.
    pub fn imap(account: &str) -> Self {
        Self {
            subject: Subject::Account(account.to_owned()),
            audience: "https://outlook.office.com".to_owned(),
            permissions: vec!["IMAP.AccessAsUser.All".to_owned()],
        }
    }

    /// The scopes, each with the service that it belongs to.
    pub(super) fn scope(&self) -> String {
        let scopes = self.permissions.iter().map(|permission| format!("{}/{permission}", self.audience));
        scopes.collect::<Vec<_>>().join(" ")
    }
}

impl Tokens {
    /// A registry of its own, for a server without an [`Identity`](crate::Identity).
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes a token good for `lifetime`. What it looks like is the caller's affair.
    pub fn add(&self, token: &str, access: Access, lifetime: Duration) {
        self.lock().insert(token.to_owned(), Given { access, until: Instant::now() + lifetime });
    }

    /// What a token is good for now, if for anything.
    pub fn access(&self, token: &str) -> Option<Access> {
        let given = self.lock();
        given.get(token).filter(|given| given.until > Instant::now()).map(|given| given.access.clone())
    }

    /// How long a token is still good for.
    pub fn remaining(&self, token: &str) -> Option<Duration> {
        let given = self.lock();
        given.get(token)?.until.checked_duration_since(Instant::now())
    }

    /// Lets every access token expire that has been given out so far. Refresh tokens stay good.
    pub fn expire_all(&self) {
        self.lock().clear();
        self.0.taken_back.send_replace(());
    }

    /// … every one of this account.
    pub fn expire(&self, account: &str) {
        self.lock().retain(|_, given| match &given.access.subject {
            Subject::Account(name) => !name.eq_ignore_ascii_case(account),
            Subject::Application(_) => true,
        });
        self.0.taken_back.send_replace(());
    }

    /// Waits until a token is good for nothing any more.
    pub(crate) async fn expiry(&self, token: &str) {
        let mut taken_back = self.0.taken_back.subscribe();
        loop {
            let Some(until) = self.lock().get(token).map(|given| given.until) else { return };
            tokio::select! {
                () = sleep_until(until) => return,
                // The sender is ours: it cannot be gone.
                _ = taken_back.changed() => {}
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Given>> {
        self.0.given.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// By hand: tokens are secrets even here, for whoever copies a habit from a test.
impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("given", &self.lock().len()).finish()
    }
}

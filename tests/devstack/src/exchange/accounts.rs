//! Everybody's mailboxes, and who may open which.

use std::collections::{BTreeMap, BTreeSet};

use tokio::sync::watch;

use super::mailbox::Mailbox;
use super::sasl::Credential;
use crate::identity::{Subject, Tokens};

/// The password of every account, on a server that takes passwords.
pub(super) const PASSWORD: &str = "correct-horse-battery";

/// The accounts of a server. Each has a mailbox from the moment that somebody asks for it.
pub(super) struct Accounts {
    /// Whose mailbox is meant where none is named.
    pub(super) user: String,
    /// By which users prove themselves; by [`PASSWORD`] if there are none.
    tokens: Option<Tokens>,
    /// Who may open a mailbox that is another's.
    permits: BTreeSet<(String, String)>,
    /// By user name in lower case.
    places: BTreeMap<String, Place>,
}

struct Place {
    mailbox: Mailbox,
    /// Changes when the mailbox may have. Whoever listens is in an IDLE.
    news: watch::Sender<()>,
}

/// What a user who asks to be let in is told.
pub(super) enum Admission {
    Refused,
    /// Exchange's half-open door: the token is good, and opens nothing.
    Unconnected,
    Connected(Option<Pass>),
}

/// The token that a user was let in by.
pub(super) struct Pass {
    tokens: Tokens,
    token: String,
}

impl Accounts {
    pub(super) fn new(user: &str, tokens: Option<Tokens>) -> Self {
        Self { user: user.to_owned(), tokens, permits: BTreeSet::new(), places: BTreeMap::new() }
    }

    /// Gives somebody full access to another's mailbox: an account by its address, an application by its client id.
    pub(super) fn permit(&mut self, who: &str, user: &str) {
        self.permits.insert((who.to_lowercase(), user.to_lowercase()));
    }

    pub(super) fn admit(&self, user: &str, credential: Credential) -> Admission {
        let (tokens, token) = match (&self.tokens, credential) {
            (None, Credential::Password(password)) if password == PASSWORD => {
                return Admission::Connected(None);
            }
            (Some(tokens), Credential::Token(token)) => (tokens, token),
            _ => return Admission::Refused,
        };
        // Neither outlook.office.com nor outlook.office365.com takes a token that is for another service.
        let access =
            tokens.access(&token).filter(|access| access.audience.starts_with("https://outlook.office"));
        let Some(access) = access else { return Admission::Refused };
        let (who, needed) = match &access.subject {
            Subject::Account(account) => (account, "IMAP.AccessAsUser.All"),
            Subject::Application(client_id) => (client_id, "IMAP.AccessAsApp"),
        };
        let (who, user) = (who.to_lowercase(), user.to_lowercase());
        let may_open = who == user || self.permits.contains(&(who, user));
        if may_open && access.permissions.iter().any(|permission| permission == needed) {
            Admission::Connected(Some(Pass { tokens: tokens.clone(), token }))
        } else {
            Admission::Unconnected
        }
    }

    /// Looks at a mailbox or changes it, and wakes everybody who idles in it.
    pub(super) fn change<T>(&mut self, user: &str, change: impl FnOnce(&mut Mailbox) -> T) -> T {
        let place = self.place(user);
        let outcome = change(&mut place.mailbox);
        place.news.send_replace(());
        outcome
    }

    pub(super) fn mailbox(&mut self, user: &str) -> &mut Mailbox {
        &mut self.place(user).mailbox
    }

    /// Tells when a mailbox may have changed.
    pub(super) fn listen(&mut self, user: &str) -> watch::Receiver<()> {
        self.place(user).news.subscribe()
    }

    /// Wakes everybody who idles in a mailbox.
    pub(super) fn announce(&mut self, user: &str) {
        self.place(user).news.send_replace(());
    }

    /// How many connections are in an IDLE.
    pub(super) fn idling(&self) -> usize {
        self.places.values().map(|place| place.news.receiver_count()).sum()
    }

    fn place(&mut self, user: &str) -> &mut Place {
        let new = || Place { mailbox: Mailbox::new(), news: watch::Sender::new(()) };
        self.places.entry(user.to_lowercase()).or_insert_with(new)
    }
}

impl Pass {
    /// Waits until the token is good for nothing any more.
    pub(super) async fn expiry(&self) {
        self.tokens.expiry(&self.token).await;
    }
}

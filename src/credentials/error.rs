//! Why there is nothing to log in with.

use std::sync::Arc;
use std::time::Duration;

use crate::microsoft;
use crate::seal;
use crate::store;
use crate::token_command;

/// Why there is nothing to log in with.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No person has signed in yet.
    #[error("nobody has signed in to this mailbox yet")]
    NotSignedIn,
    /// The tokens are stored and can't be opened.
    #[error("the stored tokens can't be opened")]
    Seal(#[from] seal::Error),
    /// Microsoft gives no token. Shared by those who share an application.
    #[error("no access token")]
    Microsoft(#[from] Arc<microsoft::Error>),
    /// What was granted can't be renewed.
    #[error("the sign-in gave no refresh token, so it would end within the hour")]
    NotRenewable,
    /// The program that prints tokens does not.
    #[error("no access token")]
    Command(#[from] token_command::Error),
    /// The store.
    #[error("store")]
    Store(#[from] store::Error),
    /// Too many renewals are under way, and take their time.
    #[error("the identity platform keeps other mailboxes waiting, and this one behind them")]
    Crowded,
    /// A renewal broke off, which is a defect of Postroom.
    #[error("renewing a token failed inside Postroom; please report this")]
    Renewal,
}

impl Error {
    /// Whether trying again soon may help. If not, a person has to act.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::NotSignedIn | Self::Seal(_) | Self::NotRenewable => false,
            Self::Microsoft(error) => error.is_transient(),
            Self::Command(error) => error.is_transient(),
            Self::Store(_) | Self::Crowded | Self::Renewal => true,
        }
    }

    /// How long whoever was asked wants to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Microsoft(error) => error.retry_after(),
            _ => None,
        }
    }

    /// What a person can do about it.
    pub fn cure(&self) -> &'static str {
        match self {
            Self::NotSignedIn => "Sign in once: `postroom login` and the mailbox's name.",
            Self::Seal(error) => error.cure(),
            Self::Microsoft(error) => error.cure(),
            Self::NotRenewable => "Add offline_access to `scope`, or leave `scope` out.",
            Self::Command(error) => error.cure(),
            Self::Store(_) => "Postroom tries again. If it stays, look after the database.",
            Self::Crowded => "Postroom tries again. If it stays, look at the way to the identity platform.",
            Self::Renewal => "Postroom tries again. The log says more.",
        }
    }
}

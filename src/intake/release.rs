//! Releases a message that is in no ticket: reads its source again and files it, as if a person had sent it.

use std::io;
use std::sync::Arc;

use chrono::Utc;

use crate::config;
use crate::config::Config;
use crate::intake::file;
use crate::intake::file::Origin;
use crate::intake::read;
use crate::intake::read::Letter;
use crate::mail;
use crate::mail::Remnant;
use crate::message::{Listed, Message, Uid};
use crate::store;
use crate::store::{Store, Unfiled, UnfiledState};
use crate::ticket::{Clues, Policy};

/// How often a message that another writer overtook is filed anew.
const MAX_CONFLICTS: u32 = 10;

/// What came of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Released {
    /// It is in this ticket now.
    Into {
        /// Its number.
        ticket: i64,
        /// Whether it was opened for it.
        is_new: bool,
    },
    /// It was in a ticket before.
    Already,
}

/// Why a message could not be released. It is where it was.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// Its source can't be read.
    #[error("its stored source is damaged")]
    Source(#[from] io::Error),
    /// The store.
    #[error("store")]
    Store(#[from] store::Error),
}

/// By what the mail of a mailbox is filed.
pub fn policy(config: &Config, mailbox: &config::Mailbox) -> Arc<Policy> {
    let own = mailbox.addresses.iter().map(String::as_str).chain([mailbox.username.as_str()]);
    Arc::new(Policy::new(&config.filing, &config.trackers, &config.rules, own))
}

/// Files a message that was suspended or archived, whatever spoke against it, and has helpdesks told as of any other.
/// Safe to repeat, and to interrupt: it is in a ticket, with its deliveries, or it is where it was.
///
/// `policy` is the mailbox's.
pub async fn release(
    store: &Store,
    mailbox: &config::Mailbox,
    policy: &Policy,
    webhooks: &[&str],
    unfiled: &Unfiled,
) -> Result<Released, ReleaseError> {
    if unfiled.state == UnfiledState::Released {
        return Ok(Released::Already);
    }
    let policy = policy.of_release();
    let letter = letter(mailbox, &policy, unfiled)?;
    let mut conflicts = 0;
    loop {
        let mut known = store.known(unfiled.mailbox_id(), &policy, &[], &[&letter.clues]).await?;
        let mut filed = file::file_one(&letter, unfiled.id, unfiled.received_at, &mut known.filing, &policy);
        let is_new = filed.opens();
        let numbers = store.take_ticket_numbers(usize::from(is_new)).await?;
        if let (Some(ticket), Some(number)) = (filed.ticket_mut(), numbers.first()) {
            ticket.number = *number;
        }
        let ticket = filed.ticket_mut().map(|ticket| ticket.number).unwrap_or_default();
        let origin = Origin {
            mailbox,
            policy: &policy,
            uidvalidity: unfiled.found.map(|(uidvalidity, _)| uidvalidity),
            has_webhooks: !webhooks.is_empty(),
            now: Utc::now(),
        };
        match store.release_message(unfiled, webhooks, &filed.message(origin), &known.filing).await {
            Ok(true) => return Ok(Released::Into { ticket, is_new }),
            Ok(false) => return Ok(Released::Already),
            Err(store::Error::Conflict) if conflicts < MAX_CONFLICTS => conflicts += 1,
            Err(error) => return Err(error.into()),
        }
    }
}

/// The message, read again.
fn letter(mailbox: &config::Mailbox, policy: &Policy, unfiled: &Unfiled) -> io::Result<Letter> {
    let uid = unfiled.found.map_or(Uid(0), |(_, uid)| uid);
    let listed =
        Listed { uid, size: unfiled.source.size(), internal_date: Some(unfiled.received_at.fixed_offset()) };
    let message = Message { listed, source: unfiled.source.unpack()?, extent: unfiled.extent };
    let mail = mail::read(&message, &read::facts(mailbox));
    // What PostgreSQL refused of the mail it would refuse of its event.
    let mail = if unfiled.is_degraded { mail.degraded(Remnant::Header) } else { mail };
    Ok(Letter {
        uid,
        extent: unfiled.extent,
        clues: Clues::of(&mail, policy),
        mail,
        source: unfiled.source.clone(),
        degraded: None,
    })
}

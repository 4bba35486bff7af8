//! Finding out which messages a folder holds.
//!
//! By `UID FETCH lo:hi` in windows, because a SEARCH over a large folder comes back as one line, which the
//! parser reads again and again as it grows, and Exchange's answers to SEARCH have gaps.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use async_imap::imap_proto::{AttributeValue, Response};
use chrono::{DateTime, Datelike, FixedOffset};

use crate::message::{Listed, Uid, UidSet};

use super::error::Error;
use super::response::fetched;
use super::select::Selected;

/// The most messages in one listing.
const MAX_LISTED: usize = 1_000;

/// How many UIDs the first window spans.
const FIRST_SPAN: u32 = 1_000;

/// How much wider the next window is while they come back sparse: a gap of a million UIDs costs six commands,
/// one over all of UID space twelve.
const GROWTH: u32 = 4;

/// A size that does not fit RFC822.SIZE: more than anybody takes.
const HUGE: u64 = u32::MAX as u64;

/// A window of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The messages in it, by ascending UID. At most 1,000.
    pub messages: Vec<Listed>,
    /// The highest UID looked at: no message at or below it, and above the UID asked for, is missing here.
    pub looked_at: Uid,
    /// Whether that was all of the folder.
    pub complete: bool,
}

impl Selected<'_> {
    /// Lists the messages with UIDs above `above`, as many as fit a listing. For the rest, ask again from
    /// `looked_at`.
    pub async fn list(&mut self, above: Uid) -> Result<Listing, Error> {
        let mut found = BTreeMap::new();
        let mut looked_at = above;
        let mut span = FIRST_SPAN;
        loop {
            // An empty folder has no highest UID, and some servers refuse `*` there.
            let Some(lo) = looked_at.0.checked_add(1).filter(|_| self.exists() > 0) else {
                return Ok(listing(found, looked_at, true));
            };
            let hi = lo.saturating_add(span - 1);
            // The last window is left open: messages that came since the folder was opened are in it, and those
            // of a server whose UIDNEXT is too low.
            let hi = self.last.filter(|last| hi < last.0).map(|_| hi);
            let before = found.len();
            let mut whole = self.look(lo, hi, &mut found).await?;
            // Of all that there is, something was left out: Exchange does that with what it cannot turn into mail.
            let is_all = whole && hi.is_none() && above.0 == 0;
            if is_all && found.len() < self.exists() as usize {
                whole = self.look_again(1..=u32::MAX, "*", &mut found).await?;
            }
            let highest = found.last_key_value().map_or(looked_at, |(&uid, _)| uid);
            match hi {
                _ if !whole => return Ok(listing(found, highest, false)),
                None => return Ok(listing(found, highest, true)),
                Some(hi) => looked_at = Uid(hi),
            }
            if found.len() >= MAX_LISTED {
                return Ok(listing(found, looked_at, false));
            }
            if found.len() - before < (span / GROWTH) as usize {
                span = span.saturating_mul(GROWTH);
            }
        }
    }

    /// Which of `uids` are in the folder now.
    pub async fn present(&mut self, uids: &UidSet) -> Result<UidSet, Error> {
        let mut present = Vec::new();
        for part in uids.split() {
            let asked = |response: &Response<'_>| {
                present.extend(fetched(response).map(|(uid, _)| uid).filter(|&uid| part.contains(uid)));
            };
            self.driver.run("UID FETCH", &format!("{part} (UID)"), asked).await?;
        }
        Ok(present.into_iter().collect())
    }

    /// Adds the messages from `lo` to `hi`, or to the end, to `found`. Keeps the lowest UIDs and answers false
    /// if they are too many.
    async fn look(
        &mut self,
        lo: u32,
        hi: Option<u32>,
        found: &mut BTreeMap<Uid, Listed>,
    ) -> Result<bool, Error> {
        let end = hi.map_or_else(|| "*".to_owned(), |hi| hi.to_string());
        self.driver.begin_listing("UID FETCH")?;
        // `lo:*` brings the last message even if its UID is below `lo` (RFC 9051 §6.4.9).
        let window = lo..=hi.unwrap_or(u32::MAX);
        let mut whole = true;
        let unreadable = self
            .driver
            .run_sifted("UID FETCH", &format!("{lo}:{end} (UID RFC822.SIZE INTERNALDATE)"), |response| {
                let Some((uid, items)) = fetched(response) else { return };
                if window.contains(&uid.0) {
                    note(found.entry(uid).or_insert(unknown(uid)), items);
                }
                whole &= keep_lowest(found);
            })
            .await?;
        if unreadable > 0 {
            let highest = found.last_key_value().filter(|_| !whole).map_or(*window.end(), |(uid, _)| uid.0);
            whole &= self.look_again(lo..=highest, &end, found).await?;
        }
        Ok(whole)
    }

    /// Adds messages of which the server tells in a way that cannot be read: without their dates, which are what is
    /// odd as a rule, and in the end without their sizes.
    async fn look_again(
        &mut self,
        window: RangeInclusive<u32>,
        end: &str,
        found: &mut BTreeMap<Uid, Listed>,
    ) -> Result<bool, Error> {
        let mut missing = Vec::new();
        self.driver
            .run("UID FETCH", &format!("{}:{end} (UID)", window.start()), |response| {
                let uid = fetched(response).map(|(uid, _)| uid);
                missing.extend(uid.filter(|uid| window.contains(&uid.0) && !found.contains_key(uid)));
            })
            .await?;
        let missing: UidSet = missing.into_iter().collect();
        tracing::debug!(messages = missing.len(), "asking again for what could not be read in a listing");
        let mut whole = true;
        for part in missing.split() {
            for uid in part.iter() {
                found.insert(uid, unknown(uid));
                whole &= keep_lowest(found);
            }
            self.driver
                .run_sifted("UID FETCH", &format!("{part} (UID RFC822.SIZE)"), |response| {
                    let Some((uid, items)) = fetched(response) else { return };
                    if let Some(listed) = found.get_mut(&uid) {
                        note(listed, items);
                    }
                })
                .await?;
        }
        Ok(whole)
    }
}

/// Drops the highest UID if there are too many, and then answers false.
fn keep_lowest(found: &mut BTreeMap<Uid, Listed>) -> bool {
    if found.len() <= MAX_LISTED {
        return true;
    }
    found.pop_last();
    false
}

fn listing(found: BTreeMap<Uid, Listed>, looked_at: Uid, complete: bool) -> Listing {
    Listing { messages: found.into_values().collect(), looked_at, complete }
}

/// A message of which nothing is known as yet. One whose size the server does not tell is fetched like a small one;
/// if it is not, the fetch ends in time.
fn unknown(uid: Uid) -> Listed {
    Listed { uid, size: 0, internal_date: None }
}

/// Takes what a response says of a message. Another response may say the rest: a change of flags, which nobody
/// asked for, comes without size and date.
fn note(listed: &mut Listed, items: &[AttributeValue<'_>]) {
    for item in items {
        match item {
            AttributeValue::Rfc822Size(size) => listed.size = u64::from(*size),
            // How the parser gives a size that it cannot hold.
            AttributeValue::Unknown if listed.size == 0 => listed.size = HUGE,
            AttributeValue::InternalDate(date) => listed.internal_date = internal_date(date),
            _ => {}
        }
    }
}

/// Reads `17-Jul-1996 02:44:25 -0700`; a day below ten is padded with a space (RFC 9051 §9, `date-day-fixed`). A year
/// that nobody lives in is none: PostgreSQL would refuse it, and with it the whole listing.
fn internal_date(date: &str) -> Option<DateTime<FixedOffset>> {
    let date = DateTime::parse_from_str(date.trim(), "%d-%b-%Y %H:%M:%S %z").ok()?;
    (1..=9_999).contains(&date.year()).then_some(date)
}

#[cfg(test)]
mod tests;

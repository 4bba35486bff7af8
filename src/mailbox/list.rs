//! Finding out which messages a folder holds.
//!
//! By `UID FETCH lo:hi` in windows, because a SEARCH over a large folder comes back as one line, which the
//! parser reads again and again as it grows, and Exchange's answers to SEARCH have gaps.

use std::collections::BTreeMap;

use async_imap::imap_proto::{AttributeValue, Response};
use chrono::{DateTime, FixedOffset};

use crate::message::{Listed, Uid, UidSet};

use super::driver::fetched;
use super::error::Error;
use super::select::Selected;

/// The most messages in one listing.
const MAX_LISTED: usize = 1_000;

/// How many UIDs the first window spans.
const FIRST_SPAN: u32 = 1_000;

/// How much wider the next window is while they come back sparse: a gap of a million UIDs costs six commands,
/// one over all of UID space twelve.
const GROWTH: u32 = 4;

/// A size that the server leaves out or that does not fit RFC822.SIZE: more than anybody takes.
const UNKNOWN_SIZE: u64 = u32::MAX as u64;

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
            let whole = self.look(lo, hi, &mut found).await?;
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
        // `lo:*` brings the last message even if its UID is below `lo` (RFC 9051 §6.4.9).
        let window = lo..=hi.unwrap_or(u32::MAX);
        let mut whole = true;
        self.driver
            .run("UID FETCH", &format!("{lo}:{end} (UID RFC822.SIZE INTERNALDATE)"), |response| {
                let Some((uid, items)) = fetched(response) else { return };
                if window.contains(&uid.0) {
                    note(found.entry(uid).or_insert(unknown(uid)), items);
                }
                if found.len() > MAX_LISTED {
                    found.pop_last();
                    whole = false;
                }
            })
            .await?;
        Ok(whole)
    }
}

fn listing(found: BTreeMap<Uid, Listed>, looked_at: Uid, complete: bool) -> Listing {
    Listing { messages: found.into_values().collect(), looked_at, complete }
}

fn unknown(uid: Uid) -> Listed {
    Listed { uid, size: UNKNOWN_SIZE, internal_date: None }
}

/// Takes what a response says of a message. Another response may say the rest: a change of flags, which nobody
/// asked for, comes without size and date.
fn note(listed: &mut Listed, items: &[AttributeValue<'_>]) {
    for item in items {
        match item {
            AttributeValue::Rfc822Size(size) => listed.size = u64::from(*size),
            AttributeValue::InternalDate(date) => listed.internal_date = internal_date(date),
            _ => {}
        }
    }
}

/// Reads `17-Jul-1996 02:44:25 -0700`; a day below ten is padded with a space (RFC 9051 §9, `date-day-fixed`).
fn internal_date(date: &str) -> Option<DateTime<FixedOffset>> {
    DateTime::parse_from_str(date.trim(), "%d-%b-%Y %H:%M:%S %z").ok()
}

#[cfg(test)]
mod tests;

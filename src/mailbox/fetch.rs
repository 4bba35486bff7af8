//! Fetching messages, always by `BODY.PEEK`, which sets no flag.

use std::collections::BTreeMap;

use async_imap::imap_proto::{AttributeValue, MessageSection, Response, SectionPath};

use crate::message::{Extent, Listed, Message, Uid, UidSet};

use super::error::Error;
use super::response::fetched;
use super::select::Selected;

/// How much more may come than RFC822.SIZE makes expect, which some servers guess and some give as 0.
const LEEWAY: u64 = 16 << 20;

/// What may come for a message that is fetched alone, whatever size it was said to have. A mailbox of Microsoft 365
/// takes 150 MB.
const LARGEST: u64 = 160 << 20;

impl Selected<'_> {
    /// Fetches messages, by ascending UID.
    ///
    /// A message that the server has not, or gives no bytes of (Exchange does that with items it cannot turn
    /// into mail), is not in the result, and that says nothing about whether it is in the folder. A message of
    /// no bytes at all is. Everything asked for is in memory at once, so the caller bounds it by the listed sizes; an
    /// answer far beyond these is [too much](Error::TooMuch).
    pub async fn fetch(&mut self, wanted: &[Listed], extent: Extent) -> Result<Vec<Message>, Error> {
        let mut open: BTreeMap<Uid, Listed> = wanted.iter().map(|listed| (listed.uid, *listed)).collect();
        let mut messages = Vec::with_capacity(open.len());
        for part in open.keys().copied().collect::<UidSet>().split() {
            let (items, expected) = match extent {
                Extent::Whole => (
                    "BODY.PEEK[]",
                    part.iter().filter_map(|uid| open.get(&uid)).map(|listed| listed.size).sum(),
                ),
                Extent::Header => ("BODY.PEEK[HEADER]", 0),
            };
            let allowed = allowed(extent, part.len(), expected);
            let sources = self
                .driver
                .download(&format!("{part} (UID {items})"), expected, allowed, |response| {
                    let (uid, bytes) = source(response, extent)?;
                    // Taken out, so that an answer given twice counts once and one not asked for not at all.
                    let listed = open.remove(&uid)?;
                    Some((listed, bytes))
                })
                .await?;
            messages.extend(sources.into_iter().map(|(listed, source)| Message { listed, source, extent }));
        }
        messages.sort_unstable_by_key(|message: &Message| message.listed.uid);
        Ok(messages)
    }
}

/// How many bytes may come for so many messages.
fn allowed(extent: Extent, messages: usize, expected: u64) -> u64 {
    let allowed = expected.saturating_mul(2).saturating_add(LEEWAY);
    if messages == 1 && extent == Extent::Whole { allowed.max(LARGEST) } else { allowed }
}

/// The UID and the bytes in a FETCH response, in whatever order its items come.
fn source<'r>(response: &'r Response<'_>, extent: Extent) -> Option<(Uid, &'r [u8])> {
    let (uid, items) = fetched(response)?;
    let bytes = items.iter().find_map(|item| match (item, extent) {
        (AttributeValue::BodySection { section: None, index: None, data }, Extent::Whole)
        | (
            AttributeValue::BodySection {
                section: Some(SectionPath::Full(MessageSection::Header)),
                index: None,
                data,
            },
            Extent::Header,
        ) => data.as_deref(),
        _ => None,
    })?;
    Some((uid, bytes))
}

#[cfg(test)]
mod tests;

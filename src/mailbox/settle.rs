//! Taking stored messages out of the folder.
//!
//! Invariant: OK alone proves nothing (it is given for UIDs that do not exist, too). What the server does not
//! name in a COPYUID code is looked up.
//! Invariant: a move that fails is never turned into a deletion.

use std::collections::BTreeMap;

use async_imap::imap_proto::rfc4315::UidSetMember;
use async_imap::imap_proto::{AttributeValue, ResponseCode};

use crate::message::{Uid, UidSet};

use super::error::Error;
use super::folder::{ensure_folder, wire_name};
use super::plan::{Plan, Removal};
use super::response::{code, fetched};
use super::select::Selected;

impl Selected<'_> {
    /// Carries out the plan for `uids`. Gives those for which the server said OK and did nothing: they are in
    /// the folder as before.
    ///
    /// Messages that have gone in the meantime count as settled. With a plan that
    /// [leaves messages flagged](Plan::leaves_flagged), those found flagged count as settled, too.
    ///
    /// May be called again with the same UIDs after an error or a crash. Only with [`Plan::Copy`] does that
    /// cost something: where the copy was made and the removal failed, it is made again. A caller that can remember
    /// takes that plan's two steps by itself: [`copy`](Self::copy), and then [`Plan::Delete`].
    pub async fn settle(&mut self, plan: &Plan, uids: &UidSet) -> Result<UidSet, Error> {
        if matches!(plan, Plan::Copy { .. } | Plan::Delete { .. }) && !self.deletable {
            // Found out only after the copy, it would leave one more copy at every try.
            return Err(Error::ReadOnly { folder: self.folder.clone() });
        }
        let mut left = Vec::new();
        for part in uids.split() {
            left.extend(match plan {
                Plan::Keep => Vec::new(),
                Plan::Move { to } => self.move_to(to, &part).await?,
                Plan::Copy { to, removal } => self.copy_to(to, *removal, &part).await?,
                Plan::Delete { removal } => self.remove(*removal, &part).await?,
            });
        }
        Ok(left.into_iter().collect())
    }

    async fn move_to(&mut self, to: &str, uids: &UidSet) -> Result<Vec<Uid>, Error> {
        let moved = self.transfer("UID MOVE", to, uids).await?.unwrap_or_default();
        self.still_there(&uids.without(&moved)).await
    }

    async fn copy_to(&mut self, to: &str, removal: Removal, uids: &UidSet) -> Result<Vec<Uid>, Error> {
        let copied = self.copy(to, uids).await?;
        let mut left = self.remove(removal, &copied).await?;
        left.extend(self.still_there(&uids.without(&copied)).await?);
        Ok(left)
    }

    /// Copies messages. Gives those that have been copied: after an error, none of them is known to be.
    pub async fn copy(&mut self, to: &str, uids: &UidSet) -> Result<UidSet, Error> {
        if !self.deletable {
            // Found out only after the copy, it would leave one that was for nothing.
            return Err(Error::ReadOnly { folder: self.folder.clone() });
        }
        let mut copied = Vec::new();
        for part in uids.split() {
            // Without a COPYUID the OK counts for all: a COPY is done wholly or not at all (RFC 9051 §6.4.7), and
            // waiting for a code that never comes would make a copy at every try.
            let named = self.transfer("UID COPY", to, &part).await?.unwrap_or(part);
            copied.extend(named.iter());
        }
        Ok(copied.into_iter().collect())
    }

    async fn remove(&mut self, removal: Removal, uids: &UidSet) -> Result<Vec<Uid>, Error> {
        if uids.is_empty() {
            return Ok(Vec::new());
        }
        self.driver.run("UID STORE", &format!("{uids} +FLAGS.SILENT (\\Deleted)"), |_| {}).await?;
        match removal {
            Removal::Expunge => {
                self.driver.run("UID EXPUNGE", &uids.to_string(), |_| {}).await?;
                self.still_there(uids).await
            }
            Removal::Flag => self.unflagged(uids).await,
        }
    }

    /// Runs a COPY or MOVE and gives those of `uids` that the server names as transferred, or nothing if it
    /// names none at all. A target folder that has been deleted is made again.
    async fn transfer(
        &mut self,
        command: &'static str,
        to: &str,
        uids: &UidSet,
    ) -> Result<Option<UidSet>, Error> {
        let transferred = self.try_transfer(command, to, uids).await;
        // OK is given for folders that do not exist, too.
        let is_doubtful = match &transferred {
            Ok(named) => named.is_none(),
            Err(error) => error.is_refusal(),
        };
        if is_doubtful && ensure_folder(self.driver, to).await? {
            return self.try_transfer(command, to, uids).await;
        }
        transferred
    }

    /// MOVE's COPYUID comes before the tagged OK (RFC 6851 §4.3) or, from some servers, in it.
    async fn try_transfer(
        &mut self,
        command: &'static str,
        to: &str,
        uids: &UidSet,
    ) -> Result<Option<UidSet>, Error> {
        let mut named: Option<Vec<Uid>> = None;
        self.driver
            .run(command, &format!("{uids} {}", wire_name(to)), |response| {
                if let Some(ResponseCode::CopyUid(_, sources, _)) = code(response) {
                    let moved = |uid: &Uid| sources.iter().any(|member| holds(member, *uid));
                    named.get_or_insert_default().extend(uids.iter().filter(moved));
                }
            })
            .await?;
        Ok(named.map(|uids| uids.into_iter().collect()))
    }

    async fn still_there(&mut self, uids: &UidSet) -> Result<Vec<Uid>, Error> {
        Ok(self.present(uids).await?.iter().collect())
    }

    async fn unflagged(&mut self, uids: &UidSet) -> Result<Vec<Uid>, Error> {
        let mut flagged = BTreeMap::new();
        self.driver
            .run("UID FETCH", &format!("{uids} (UID FLAGS)"), |response| {
                let Some((uid, items)) = fetched(response) else { return };
                if uids.contains(uid) {
                    *flagged.entry(uid).or_insert(false) |= items.iter().any(is_deleted);
                }
            })
            .await?;
        Ok(flagged.into_iter().filter(|(_, flagged)| !flagged).map(|(uid, _)| uid).collect())
    }
}

fn is_deleted(item: &AttributeValue<'_>) -> bool {
    match item {
        AttributeValue::Flags(flags) => flags.iter().any(|flag| flag.eq_ignore_ascii_case("\\Deleted")),
        _ => false,
    }
}

fn holds(member: &UidSetMember, uid: Uid) -> bool {
    match member {
        UidSetMember::Uid(one) => *one == uid.0,
        UidSetMember::UidRange(range) => range.contains(&uid.0),
    }
}

#[cfg(test)]
mod tests;

//! What the server holds: folders of messages, and what is wrong with each.
//!
//! Tests change it directly, as another client of the same mailbox would.

use std::collections::BTreeSet;

use anyhow::{Context, Result};

/// Exchange counts UIDVALIDITY in small numbers.
const FIRST_UIDVALIDITY: u32 = 14;

/// All folders of one account.
#[derive(Debug)]
pub struct Mailbox {
    /// In the order of their creation.
    pub folders: Vec<MailFolder>,
    uidvalidity: u32,
}

/// A folder.
#[derive(Debug)]
pub struct MailFolder {
    /// As on the wire: in modified UTF-7, with its prefix.
    pub name: String,
    /// What its UIDs belong to.
    pub uidvalidity: u32,
    /// The UID that the next message gets.
    pub uidnext: u32,
    /// By ascending UID.
    pub messages: Vec<Message>,
}

/// A message, and how it lets itself be fetched.
#[derive(Debug, Clone)]
pub struct Message {
    /// Its UID.
    pub uid: u32,
    /// Its bytes, sent as they are: a bare LF stays one.
    pub source: Vec<u8>,
    /// As IMAP writes them: `\\Seen`.
    pub flags: BTreeSet<String>,
    /// INTERNALDATE as it stands in an answer, quotes included.
    pub date: String,
    /// RFC822.SIZE. Exchange estimates it before it has made the mail.
    pub size: u64,
    /// Whether it is left out wherever the size is asked for.
    pub is_unlisted: bool,
    /// What comes for BODY[].
    pub body: Body,
}

/// What comes when a message is fetched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Body {
    /// Its source.
    #[default]
    Source,
    /// No FETCH response at all, and OK: Exchange cannot turn the item into mail.
    LeftOut,
    /// The same once; then the source.
    LeftOutOnce,
    /// `BODY[] NIL`.
    Nil,
    /// No bytes.
    Empty,
    /// Exchange's notice in place of the mail.
    Notice,
    /// The source, announced as this many bytes.
    Announced(u64),
}

impl Mailbox {
    /// A mailbox whose only folder is an empty INBOX.
    pub(super) fn new() -> Self {
        let mut mailbox = Self { folders: Vec::new(), uidvalidity: FIRST_UIDVALIDITY - 1 };
        mailbox.create("INBOX");
        mailbox
    }

    /// The folder of this name, in any case.
    pub fn folder(&mut self, name: &str) -> Result<&mut MailFolder> {
        let found = self.folders.iter_mut().find(|folder| folder.name.eq_ignore_ascii_case(name));
        found.with_context(|| format!("there is no folder {name:?}"))
    }

    /// Adds an empty folder.
    pub fn create(&mut self, name: &str) {
        let uidvalidity = self.next_uidvalidity();
        self.folders.push(MailFolder {
            name: name.to_owned(),
            uidvalidity,
            uidnext: 1,
            messages: Vec::new(),
        });
    }

    /// Removes a folder with all that is in it.
    pub fn delete(&mut self, name: &str) {
        self.folders.retain(|folder| !folder.name.eq_ignore_ascii_case(name));
    }

    /// Gives a folder another UIDVALIDITY, and its messages other UIDs, from 1.
    pub fn renumber(&mut self, name: &str) -> Result<()> {
        let uidvalidity = self.next_uidvalidity();
        let folder = self.folder(name)?;
        folder.uidvalidity = uidvalidity;
        folder.uidnext = 1;
        for message in &mut folder.messages {
            message.uid = folder.uidnext;
            folder.uidnext += 1;
        }
        Ok(())
    }

    /// Gives another UIDVALIDITY to every folder that has become empty, and UIDs from 1.
    pub(super) fn renumber_empty(&mut self) {
        for at in 0..self.folders.len() {
            let uidvalidity = self.uidvalidity + 1;
            if let Some(folder) = self.folders.get_mut(at).filter(|folder| folder.is_used_and_empty()) {
                (folder.uidvalidity, folder.uidnext) = (uidvalidity, 1);
                self.uidvalidity = uidvalidity;
            }
        }
    }

    /// Copies messages and gives their UIDs here and there. Those that are gone are passed over.
    pub fn copy(&mut self, uids: &[u32], from: &str, to: &str) -> Result<Vec<(u32, u32)>> {
        self.folder(to)?;
        let from = self.folder(from)?;
        let sources = from.messages.iter().filter(|message| uids.contains(&message.uid)).cloned();
        let sources: Vec<Message> = sources.collect();
        let to = self.folder(to)?;
        Ok(sources.into_iter().map(|message| (message.uid, to.add(message))).collect())
    }

    /// Moves messages; see [`copy`](Self::copy).
    pub fn relocate(&mut self, uids: &[u32], from: &str, to: &str) -> Result<Vec<(u32, u32)>> {
        let moved = self.copy(uids, from, to)?;
        self.folder(from)?.remove(uids);
        Ok(moved)
    }

    fn next_uidvalidity(&mut self) -> u32 {
        self.uidvalidity += 1;
        self.uidvalidity
    }
}

impl MailFolder {
    /// Adds a message as it comes from outside, and gives its UID.
    pub fn deliver(&mut self, source: &[u8]) -> u32 {
        let length = source.len() as u64;
        self.add(Message {
            uid: 0,
            source: source.to_vec(),
            flags: BTreeSet::new(),
            date: "\"05-Jan-2026 10:00:00 +0000\"".to_owned(),
            // Always off, and mostly too large.
            size: length + length / 4 + 300,
            is_unlisted: false,
            body: Body::Source,
        })
    }

    /// The message of this UID.
    pub fn message(&mut self, uid: u32) -> Result<&mut Message> {
        let found = self.messages.iter_mut().find(|message| message.uid == uid);
        found.with_context(|| format!("there is no message {uid}"))
    }

    /// Removes messages for good.
    pub fn remove(&mut self, uids: &[u32]) {
        self.messages.retain(|message| !uids.contains(&message.uid));
    }

    /// The UIDs that it holds.
    pub fn uids(&self) -> Vec<u32> {
        self.messages.iter().map(|message| message.uid).collect()
    }

    fn is_used_and_empty(&self) -> bool {
        self.messages.is_empty() && self.uidnext > 1
    }

    fn add(&mut self, message: Message) -> u32 {
        let uid = self.uidnext;
        self.uidnext += 1;
        self.messages.push(Message { uid, ..message });
        uid
    }
}

impl Message {
    /// Whether somebody has flagged it `\Deleted`.
    pub fn is_deleted(&self) -> bool {
        self.flags.contains("\\Deleted")
    }
}

//! What has been delivered into the mailboxes, to be held against what became of it.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::mail::Mail;

/// A mailbox, and what stands for a mail's bytes as IMAP gives them.
pub(crate) type Key = (usize, [u8; 32]);

/// Every mail that arrived, and how often.
#[derive(Debug, Default)]
pub(crate) struct Arrivals(BTreeMap<Key, Arrival>);

#[derive(Debug)]
pub(crate) struct Arrival {
    /// For the person who looks for it.
    pub(crate) name: String,
    /// 1, and one more for each exact copy.
    pub(crate) copies: usize,
    /// How many more the mail server made.
    pub(crate) half_moved: usize,
}

impl Arrivals {
    pub(crate) fn note(&mut self, mail: &Mail) {
        let name = || {
            let text = String::from_utf8_lossy(&mail.bytes);
            let id = text.lines().find(|line| line.starts_with("Message-ID")).unwrap_or("no Message-ID");
            format!("mail {} ({}, {id}, {} bytes)", self.0.len() + 1, mail.kind, mail.bytes.len())
        };
        let name = name();
        self.0
            .entry((mail.mailbox, digest(&on_the_wire(&mail.bytes))))
            .or_insert(Arrival { name, copies: 0, half_moved: 0 })
            .copies += 1;
    }

    /// Takes note of mails of which there are more than arrived.
    pub(crate) fn note_present<'a>(&mut self, mailbox: usize, sources: impl Iterator<Item = &'a Vec<u8>>) {
        let mut present: BTreeMap<Key, usize> = BTreeMap::new();
        for source in sources {
            *present.entry((mailbox, digest(&on_the_wire(source)))).or_default() += 1;
        }
        for (key, count) in present {
            if let Some(arrival) = self.0.get_mut(&key) {
                arrival.half_moved = arrival.half_moved.max(count.saturating_sub(arrival.copies));
            }
        }
    }

    /// How many mails there are, copies not counted.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Key, &Arrival)> {
        self.0.iter()
    }

    pub(crate) fn contains(&self, key: &Key) -> bool {
        self.0.contains_key(key)
    }
}

/// A mail as it comes through IMAP: lines end in CRLF, and Dovecot gives 0x80 for NUL, which a literal can't carry.
pub(crate) fn on_the_wire(stored: &[u8]) -> Vec<u8> {
    let mut wire = Vec::with_capacity(stored.len() + stored.len() / 32);
    for &byte in stored {
        match byte {
            b'\n' => wire.extend(b"\r\n"),
            0 => wire.push(0x80),
            other => wire.push(other),
        }
    }
    wire
}

pub(crate) fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

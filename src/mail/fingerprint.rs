//! Identity by content.

use chrono::{DateTime, FixedOffset};
use sha2::{Digest as _, Sha256};

use crate::mail::header::Header;
use crate::mail::{Address, Mail};

/// SHA-256 over what makes a mail that mail: Message-ID, Date, From, Subject, decoded text and attachments.
///
/// Not over the raw bytes, because Exchange rebuilds MIME on every fetch; not over the Message-ID alone,
/// because senders repeat it. Where Message-ID and Date are both missing, INTERNALDATE joins; where not all of a mail
/// is read, its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 32]);

/// Changes whenever what is hashed, or how, does: stored fingerprints then no longer match new ones.
const VERSION: &[u8] = b"postroom fingerprint 1";

impl Fingerprint {
    /// The fingerprint of a mail whose fields are read. `texts` and `attachments` stand for its content, in
    /// order, see [`text`] and [`attachment::read`](super::attachment::read).
    pub(super) fn of(mail: &Mail, texts: &[[u8; 32]], attachments: &[[u8; 32]]) -> Self {
        let mut hash = Fields::default();
        let from = mail.from.as_ref();
        hash.field(mail.message_id.as_deref().map(str::as_bytes));
        hash.field(date(mail.date).as_deref());
        hash.field(from.map(|Address { name, .. }| name.as_bytes()));
        hash.field(from.map(|Address { address, .. }| address.as_bytes()));
        hash.field(Some(mail.subject.as_bytes()));
        hash.field(Some(texts.as_flattened()));
        hash.field(Some(attachments.as_flattened()));
        if mail.message_id.is_none() && mail.date.is_none() {
            hash.field(date(mail.received).as_deref());
        }
        Self(hash.finish())
    }
}

/// What stands for an attached message: its source is rebuilt like that of the mail it is in. Nothing does for one
/// without a Message-ID, which may be any message.
pub(super) fn attached_message(header: &Header<'_>) -> Option<[u8; 32]> {
    header.first("Message-ID")?;
    let mut hash = Fields::default();
    for name in ["Message-ID", "Date", "From", "Subject"] {
        hash.field(header.first(name).map(|field| field.decoded()).as_deref().map(str::as_bytes));
    }
    Some(hash.finish())
}

/// What stands for a text: the SHA-256 of its lines without white space at their ends and the text's, for
/// that changes with line ends and transfer encodings.
pub(super) fn text(text: &str) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for line in text.trim_end().split('\n') {
        hasher.update(line.trim_end());
        hasher.update(b"\n");
    }
    hasher.finalize().into()
}

fn date(date: Option<DateTime<FixedOffset>>) -> Option<Vec<u8>> {
    date.map(|date| date.timestamp().to_be_bytes().to_vec())
}

/// A hash over fields, each with its length, so that no two lists of fields give the same bytes.
struct Fields(Sha256);

impl Default for Fields {
    fn default() -> Self {
        Self(Sha256::new_with_prefix(VERSION))
    }
}

impl Fields {
    fn field(&mut self, value: Option<&[u8]>) {
        self.0.update([u8::from(value.is_some())]);
        let value = value.unwrap_or_default();
        self.0.update((value.len() as u64).to_be_bytes());
        self.0.update(value);
    }

    fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

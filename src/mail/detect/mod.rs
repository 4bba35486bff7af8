//! What a file is by its content, for a mail's claim may be wrong or say nothing.
//!
//! Only the beginning of a file is looked at, while it is hashed, and of compound files the start of their directory.

mod claim;
mod compound;
mod signature;
mod text;
mod zip;

use crate::mail::limit;

use compound::Directory;

pub(super) use claim::contradicts;

/// A look at a file that goes by piece after piece.
#[derive(Default)]
pub(super) struct Look {
    head: Vec<u8>,
    seen: u64,
    directory: Option<Directory>,
}

impl Look {
    /// Takes the next bytes of the file.
    pub(super) fn take(&mut self, piece: &[u8]) {
        let room = limit::HEAD_BYTES - self.head.len();
        self.head.extend_from_slice(piece.get(..room).unwrap_or(piece));
        if self.directory.is_none() && self.seen < compound::HEADER_BYTES {
            self.directory = Directory::of(&self.head);
        }
        if let Some(directory) = &mut self.directory {
            directory.take(self.seen, piece);
        }
        self.seen += piece.len() as u64;
    }

    /// The beginning of the file.
    pub(super) fn head(&self) -> &[u8] {
        &self.head
    }

    /// What it is. `None` if it may be anything.
    pub(super) fn found(&self) -> Option<&'static str> {
        match signature::find(&self.head)? {
            zip::MEDIA_TYPE => Some(zip::find(&self.head)),
            compound::MEDIA_TYPE => {
                Some(self.directory.as_ref().and_then(Directory::found).unwrap_or(compound::MEDIA_TYPE))
            }
            found => Some(found),
        }
    }
}

#[cfg(test)]
mod tests;

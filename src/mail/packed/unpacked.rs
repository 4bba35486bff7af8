//! Where unpacked bytes are kept while parts borrow from them.

use std::cell::{Cell, OnceCell};

use crate::mail::limit;

/// Bytes that outlive the parts made of them. Holds [`limit::UNPACKED`] pieces.
pub(in crate::mail) struct Unpacked {
    places: Box<[OnceCell<Vec<u8>>]>,
    taken: Cell<usize>,
    /// How many more bytes of compressed text are unpacked.
    text: Cell<usize>,
}

impl Unpacked {
    pub(in crate::mail) fn new() -> Self {
        Self {
            places: (0..limit::UNPACKED).map(|_| OnceCell::new()).collect(),
            taken: Cell::new(0),
            text: Cell::new(limit::BODY_BYTES),
        }
    }

    /// Keeps bytes. `None` if there is no place left.
    pub(in crate::mail) fn keep(&self, bytes: Vec<u8>) -> Option<&[u8]> {
        let place = self.places.get(self.taken.get())?;
        self.taken.set(self.taken.get() + 1);
        Some(place.get_or_init(|| bytes))
    }

    /// How many pieces are still taken.
    pub(in crate::mail) fn room(&self) -> usize {
        self.places.len() - self.taken.get()
    }

    /// Whether something may have found no place.
    pub(in crate::mail) fn is_full(&self) -> bool {
        self.room() == 0 || self.text.get() == 0
    }

    /// Lets `unpack` make at most so many bytes of text as are left for all of the mail.
    pub(in crate::mail) fn unpack(&self, unpack: impl FnOnce(usize) -> Option<Vec<u8>>) -> Option<Vec<u8>> {
        let unpacked = unpack(self.text.get())?;
        self.text.set(self.text.get().saturating_sub(unpacked.len()));
        Some(unpacked)
    }
}

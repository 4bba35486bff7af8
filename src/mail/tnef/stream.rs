//! A TNEF stream as its attributes (MS-OXTNEF §2.1.1).

use crate::mail::tnef::cursor::Cursor;

const SIGNATURE: u32 = 0x223e_9f78;

/// One attribute: of the message, or of the attachment that was begun last.
#[derive(Clone, Copy)]
pub(super) struct Attribute<'a> {
    pub(super) is_of_attachment: bool,
    /// Its number, without its type.
    pub(super) id: u16,
    pub(super) data: &'a [u8],
}

/// The attributes of a stream, as far as it can be read. Checksums are not looked at: the mail around has its own.
pub(super) struct Stream<'a> {
    cursor: Cursor<'a>,
    /// Whether all could be read so far.
    pub(super) is_whole: bool,
}

impl<'a> Stream<'a> {
    /// `None` if this is no TNEF.
    pub(super) fn of(bytes: &'a [u8]) -> Option<Self> {
        let mut cursor = Cursor { rest: bytes };
        let is_tnef = cursor.u32()? == SIGNATURE;
        let _key = cursor.u16()?;
        is_tnef.then_some(Self { cursor, is_whole: true })
    }

    fn read(&mut self) -> Option<Attribute<'a>> {
        let is_of_attachment = match self.cursor.u8()? {
            1 => false,
            2 => true,
            _ => return None,
        };
        let id = self.cursor.u16()?;
        let _kind = self.cursor.u16()?;
        let length = self.cursor.length()?;
        let data = self.cursor.take_up_to(length);
        let has_checksum = self.cursor.u16().is_some();
        self.is_whole &= data.len() == length && has_checksum;
        Some(Attribute { is_of_attachment, id, data })
    }
}

impl<'a> Iterator for Stream<'a> {
    type Item = Attribute<'a>;

    fn next(&mut self) -> Option<Attribute<'a>> {
        // Some programs fill it up.
        if self.cursor.rest.iter().all(|byte| matches!(byte, 0 | b'\r' | b'\n')) {
            return None;
        }
        let attribute = self.read();
        if attribute.is_none() {
            self.is_whole = false;
            self.cursor.rest = &[];
        }
        attribute
    }
}

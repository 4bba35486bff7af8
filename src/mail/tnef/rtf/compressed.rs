//! Compressed RTF (MS-OXRTFCP): LZ77 over a ring that begins with what every RTF of that time began with.

use crate::mail::tnef::cursor::Cursor;

const COMPRESSED: u32 = 0x7546_5a4c;
const UNCOMPRESSED: u32 = 0x414c_454d;

/// What the ring holds at the start (MS-OXRTFCP §2.1.2.1).
const START: &[u8] =
    b"{\\rtf1\\ansi\\mac\\deff0\\deftab720{\\fonttbl;}{\\f0\\fnil \\froman \\fswiss \\fmodern \
\\fscript \\fdecor MS Sans SerifSymbolArialTimes New RomanCourier{\\colortbl\\red0\\green0\\blue0\r\n\\par \
\\pard\\plain\\f0\\fs20\\b\\i\\u\\tab\\tx";

const RING: usize = 4096;

/// Unpacks at most `most` bytes, and what there is of data that is cut short. `None` if it is no compressed RTF.
pub(in crate::mail::tnef) fn unpack(packed: &[u8], most: usize) -> Option<Vec<u8>> {
    let mut packed = Cursor { rest: packed };
    let (_size, raw_size, kind, _checksum) = (packed.u32()?, packed.length()?, packed.u32()?, packed.u32()?);
    let most = most.min(raw_size);
    match kind {
        UNCOMPRESSED => Some(packed.take_up_to(most).to_vec()),
        COMPRESSED => Some(Ring::new(most).unpack(packed)),
        _ => None,
    }
}

struct Ring {
    bytes: [u8; RING],
    at: usize,
    unpacked: Vec<u8>,
    most: usize,
}

impl Ring {
    fn new(most: usize) -> Self {
        let mut bytes = [0; RING];
        bytes.iter_mut().zip(START).for_each(|(place, byte)| *place = *byte);
        Self { bytes, at: START.len(), unpacked: Vec::new(), most }
    }

    fn unpack(mut self, mut packed: Cursor<'_>) -> Vec<u8> {
        while let Some(control) = packed.u8() {
            for bit in 0..8 {
                let is_reference = control >> bit & 1 == 1;
                let more = if is_reference { self.copy(&mut packed) } else { self.literal(&mut packed) };
                if more.is_none() || self.unpacked.len() >= self.most {
                    self.unpacked.truncate(self.most);
                    return self.unpacked;
                }
            }
        }
        self.unpacked
    }

    fn literal(&mut self, packed: &mut Cursor<'_>) -> Option<()> {
        let byte = packed.u8()?;
        self.push(byte);
        Some(())
    }

    /// Copies what a reference means; `None` if it means the end.
    fn copy(&mut self, packed: &mut Cursor<'_>) -> Option<()> {
        let reference = packed.u16()?.swap_bytes();
        let (from, length) = (usize::from(reference >> 4), usize::from(reference & 0xf) + 2);
        if from == self.at {
            return None;
        }
        for at in from..from + length {
            let byte = self.bytes.get(at % RING).copied().unwrap_or_default();
            self.push(byte);
        }
        Some(())
    }

    fn push(&mut self, byte: u8) {
        self.unpacked.push(byte);
        if let Some(place) = self.bytes.get_mut(self.at) {
            *place = byte;
        }
        self.at = (self.at + 1) % RING;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(kind: u32, raw_size: u32, data: &[u8]) -> Vec<u8> {
        let size = u32::try_from(data.len()).unwrap() + 12;
        [&size.to_le_bytes()[..], &raw_size.to_le_bytes(), &kind.to_le_bytes(), &[0; 4], data].concat()
    }

    #[test]
    fn the_examples_of_the_specification_are_unpacked() {
        // MS-OXRTFCP §3.1 and §3.2.
        let simple = b"\x03\x00\x0a\x00rcpg125\x42\x32\x0a\xf3 hel\x09\x00\x20bw\x05\xb0ld}\x0a\x80\x0f\xa0";
        assert_eq!(
            unpack(&packed(COMPRESSED, 0x2b, simple), 1_000).unwrap(),
            b"{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n"
        );
        let crossing = b"\x41\x00\x04\x20WXYZ\x0d\x6e\x7d\x01\x0e\xb0";
        assert_eq!(
            unpack(&packed(COMPRESSED, 0x1c, crossing), 1_000).unwrap(),
            b"{\\rtf1 WXYZWXYZWXYZWXYZWXYZ}"
        );
    }

    #[test]
    fn what_is_not_compressed_is_taken_as_it_is() {
        assert_eq!(unpack(&packed(UNCOMPRESSED, 8, b"{\\rtf1 }and more"), 1_000).unwrap(), b"{\\rtf1 }");
        assert_eq!(unpack(&packed(0, 3, b"abc"), 1_000), None);
        assert_eq!(unpack(b"short", 1_000), None);
    }

    #[test]
    fn no_more_is_unpacked_than_may_be() {
        // A literal, and references that repeat it.
        let mut data = vec![0xfe, b'a'];
        data.extend([0x0c, 0xff].repeat(7));
        data.extend([&[0xff][..], &[0x0c, 0xff].repeat(8)].concat().repeat(100));

        assert_eq!(unpack(&packed(COMPRESSED, u32::MAX, &data), 100).unwrap(), [b'a'; 100]);
    }
}

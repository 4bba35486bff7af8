//! What a compound file is (MS-CFB): documents of Office before 2007, messages of Outlook, installers.

use memchr::memmem;

/// A compound file of anything.
pub(super) const MEDIA_TYPE: &str = "application/x-ole-storage";

/// The header's length. Nothing else stands there.
pub(super) const HEADER_BYTES: u64 = 512;

/// How much of the directory is read: the root, and some of what is in it.
const DIRECTORY_BYTES: usize = 2048;

/// Where the class of the root stands in its entry.
const CLASS_AT: usize = 80;

/// What is in a file by the classes of its root.
const CLASSES: [([u8; 4], &str); 7] = [
    ([0x06, 0x09, 0x02, 0x00], "application/msword"),
    ([0x20, 0x08, 0x02, 0x00], "application/vnd.ms-excel"),
    ([0x10, 0x08, 0x02, 0x00], "application/vnd.ms-excel"),
    ([0x10, 0x8d, 0x81, 0x64], "application/vnd.ms-powerpoint"),
    ([0x0b, 0x0d, 0x02, 0x00], "application/vnd.ms-outlook"),
    ([0x84, 0x10, 0x0c, 0x00], "application/x-msi"),
    ([0x14, 0x1a, 0x02, 0x00], "application/vnd.visio"),
];

/// What is in a file by what its streams are called.
const STREAMS: [(&str, &str); 5] = [
    ("WordDocument", "application/msword"),
    ("Workbook", "application/vnd.ms-excel"),
    ("PowerPoint Document", "application/vnd.ms-powerpoint"),
    ("__substg1.0_", "application/vnd.ms-outlook"),
    ("VisioDocument", "application/vnd.visio"),
];

/// The start of the directory, which may stand anywhere in the file.
pub(super) struct Directory {
    at: u64,
    bytes: Vec<u8>,
}

impl Directory {
    /// Where it stands, by the header of the file.
    pub(super) fn of(head: &[u8]) -> Option<Self> {
        let shift = u16::from_le_bytes(head.get(30..32)?.try_into().ok()?);
        let sector = u32::from_le_bytes(head.get(48..52)?.try_into().ok()?);
        // Sectors are counted from behind the header, which takes the place of one.
        let is_compound = head.starts_with(b"\xd0\xcf\x11\xe0") && matches!(shift, 9 | 12);
        is_compound.then(|| Self { at: (u64::from(sector) + 1) << shift, bytes: Vec::new() })
    }

    /// Takes what is of it in a piece of the file.
    pub(super) fn take(&mut self, piece_at: u64, piece: &[u8]) {
        let next = self.at + self.bytes.len() as u64;
        let in_piece = next.checked_sub(piece_at).and_then(|at| piece.get(usize::try_from(at).ok()?..));
        let room = DIRECTORY_BYTES - self.bytes.len();
        if let Some(bytes) = in_piece {
            self.bytes.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        }
    }

    /// What the file is, if the directory says so.
    pub(super) fn found(&self) -> Option<&'static str> {
        let class = self.bytes.get(CLASS_AT..CLASS_AT + 4);
        let by_class = CLASSES.iter().find(|(known, _)| class == Some(known)).map(|&(_, found)| found);
        by_class.or_else(|| {
            let is_there = |name: &str| {
                let name: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
                memmem::find(&self.bytes, &name).is_some()
            };
            STREAMS.iter().find(|(name, _)| is_there(name)).map(|&(_, found)| found)
        })
    }
}

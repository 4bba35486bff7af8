//! What is known of an attachment without keeping it: its bytes stay in the stored source.

use std::collections::BTreeSet;
use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::mail::detect::Look;
use crate::mail::header::Header;
use crate::mail::packed::Unpacked;
use crate::mail::part::Part;
use crate::mail::reference::References;
use crate::mail::transfer::Encoding;
use crate::mail::{Defect, detect, filename, fingerprint, packed, part};

/// One part of a mail that is not its body.
#[derive(Clone, PartialEq, Eq)]
pub struct Attachment {
    /// Index of the part in the message: [`pour`] finds it again in the source. What was packed into a part by other
    /// means than MIME has its index behind all parts.
    pub part: u32,
    /// Its name, safe for any file system and unlike that of every other attachment of the mail: no path, no control
    /// characters, no device. Absent if the mail gives none and its type suggests none.
    pub filename: Option<String>,
    /// `type/subtype`, lower case, as the mail claims.
    pub content_type: String,
    /// `type/subtype` by its content, where that is another one than claimed.
    pub detected_type: Option<&'static str>,
    /// Decoded size in bytes.
    pub size: u64,
    /// SHA-256 of the decoded bytes.
    pub sha256: [u8; 32],
    /// Content-ID without angle brackets.
    pub content_id: Option<String>,
    /// Whether it is shown inside of [`Mail::html`](crate::mail::Mail::html), which refers to it. All others are files,
    /// whatever their Content-Disposition says.
    pub inline: bool,
    /// Whether the HTML as it was sent refers to it, by Content-ID or Content-Location. What is not inline for all that
    /// is shown nowhere: the sanitised HTML keeps no styles, for instance.
    pub referenced_by_html: bool,
    /// Whether it was in a `winmail.dat`.
    pub from_tnef: bool,
}

// By hand: file names and Content-IDs must not reach a log.
impl fmt::Debug for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attachment")
            .field("part", &self.part)
            .field("content_type", &self.content_type)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

/// Decodes one part of a stored source into `sink`, piece by piece: the bytes that an [`Attachment`]'s size and SHA-256
/// are of. `false`, and nothing, if there is no such part.
///
/// Beside the source, only parts that hold others are decoded in memory, if there are any.
pub fn pour(source: &[u8], part: u32, sink: impl FnMut(&[u8])) -> bool {
    let mut defects = BTreeSet::new();
    let unpacked = Unpacked::new();
    let (header, body) = Header::split(source);
    let opened = packed::open(part::parts(&header, body, &mut defects), &unpacked, &mut defects);
    let found = usize::try_from(part).ok().and_then(|part| opened.parts.get(part));
    let Some(part) = found.filter(|part| part.is_leaf()) else {
        return false;
    };
    let is_sound = !part.encoding.is_all_or_nothing() || part.encoding.decode(part.content, |_| {});
    let encoding = if is_sound { part.encoding } else { Encoding::Identity };
    encoding.decode(part.content, sink);
    true
}

/// The decoded bytes of one part of a stored source, as [`pour`] gives them. `None` if there is no such part.
pub fn attached(source: &[u8], part: u32) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    pour(source, part, |piece| bytes.extend_from_slice(piece)).then_some(bytes)
}

/// What attachments are read beside.
pub(super) struct Beside<'b> {
    /// What the HTML refers to.
    pub(super) references: &'b References,
    /// What it still refers to once it is sanitised.
    pub(super) shown: &'b References,
}

/// Reads what is known of a part, under a name that others may have too; beside it, what stands for it in the mail's fingerprint.
pub(super) fn read(
    index: usize,
    part: &Part<'_>,
    beside: &Beside<'_>,
    defects: &mut BTreeSet<Defect>,
) -> (Attachment, [u8; 32]) {
    let Seen { size, sha256, look } = see(part, defects);
    let named = part.filename.as_deref().and_then(filename::safe);
    let attachment = Attachment {
        part: u32::try_from(index).unwrap_or(u32::MAX),
        filename: named.or_else(|| filename::suggested(part, look.head())),
        content_type: part.media_type.clone(),
        detected_type: look.found().filter(|found| detect::contradicts(&part.media_type, found)),
        size,
        sha256,
        content_id: part.content_id.clone(),
        inline: beside.shown.name(part),
        referenced_by_html: beside.references.name(part),
        from_tnef: part.from_tnef,
    };
    (attachment, identity(part, sha256))
}

/// What stands for a part in the mail's fingerprint. `sha256` is that of its bytes.
fn identity(part: &Part<'_>, sha256: [u8; 32]) -> [u8; 32] {
    match part.media_type.as_str() {
        // Its MIME is rebuilt as often as that of the mail around it.
        "message/rfc822" | "message/global" if part.encoding == Encoding::Identity => {
            fingerprint::attached_message(&Header::split(part.content).0).unwrap_or(sha256)
        }
        _ => sha256,
    }
}

/// What going by a part's bytes tells.
struct Seen {
    size: u64,
    sha256: [u8; 32],
    look: Look,
}

/// Goes by a part's bytes; by its raw bytes if its encoding is broken.
fn see(part: &Part<'_>, defects: &mut BTreeSet<Defect>) -> Seen {
    let see = |encoding: Encoding| {
        let mut hasher = Sha256::new();
        let mut look = Look::default();
        let mut size = 0;
        let sound = encoding.decode(part.content, |piece| {
            size += piece.len() as u64;
            hasher.update(piece);
            look.take(piece);
        });
        (Seen { size, sha256: hasher.finalize().into(), look }, sound)
    };
    let (seen, sound) = see(part.encoding);
    if sound {
        return seen;
    }
    defects.insert(Defect::BrokenEncoding);
    if part.encoding.is_all_or_nothing() { see(Encoding::Identity).0 } else { seen }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_part_index_finds_the_bytes_again() {
        let source = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\ntext\r\n--b\r\n\
                       Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\nYWJj\r\n--b--\r\n";

        assert_eq!(attached(source, 2).unwrap(), b"abc");
        assert_eq!(attached(source, 0), None);
        assert_eq!(attached(source, 3), None);
    }

    #[test]
    fn bytes_that_cannot_be_decoded_are_given_as_they_are() {
        let source =
            b"Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\nYWJj, not base64";

        assert_eq!(attached(source, 0).unwrap(), b"YWJj, not base64");
    }

    #[test]
    fn what_is_packed_into_a_text_is_found_behind_it() {
        let source = b"Subject: x\r\n\r\nsee\r\nbegin 644 cat.txt\r\n#0V%T\r\n`\r\nend\r\nbye\r\n";

        assert_eq!(attached(source, 2).unwrap(), b"Cat");
    }
}

//! What is known of an attachment without keeping it: its bytes stay in the stored source.

use std::collections::{BTreeSet, HashSet};
use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::mail::header::Header;
use crate::mail::part::{self, Disposition, Part};
use crate::mail::transfer::Encoding;
use crate::mail::{Defect, fingerprint, limit};

/// One part of a mail that is not its body.
#[derive(Clone, PartialEq, Eq)]
pub struct Attachment {
    /// Index of the MIME part in the message: [`attached`] finds it again in the source.
    pub part: u32,
    /// Its name, safe for a file system: no path, no control characters. Absent if the mail gives none.
    pub filename: Option<String>,
    /// `type/subtype`, lower case.
    pub content_type: String,
    /// Decoded size in bytes.
    pub size: u64,
    /// SHA-256 of the decoded bytes.
    pub sha256: [u8; 32],
    /// Content-ID without angle brackets.
    pub content_id: Option<String>,
    /// Whether it is shown inside the body (Content-Disposition: inline, or referred to by Content-ID).
    pub inline: bool,
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

/// The decoded bytes of one part of a stored source: those that an [`Attachment`]'s size and SHA-256 are of.
/// `None` if there is no such part.
pub fn attached(source: &[u8], part: u32) -> Option<Vec<u8>> {
    let (header, body) = Header::split(source);
    let parts = part::parts(&header, body, &mut BTreeSet::new());
    let part = parts.get(usize::try_from(part).ok()?).filter(|part| part.children.is_empty())?;
    Some(part.encoding.bytes(part.content).0.into_owned())
}

/// Reads what is known of a part; beside it, what stands for it in the mail's fingerprint.
pub(super) fn read(
    index: usize,
    part: &Part<'_>,
    content_ids: &HashSet<String>,
    defects: &mut BTreeSet<Defect>,
) -> (Attachment, [u8; 32]) {
    let (size, sha256) = digest(part, defects);
    let is_referred_to = part.content_id.as_ref().is_some_and(|id| content_ids.contains(id));
    let attachment = Attachment {
        part: u32::try_from(index).unwrap_or(u32::MAX),
        filename: part.filename.as_deref().and_then(safe_filename),
        content_type: part.media_type.clone(),
        size,
        sha256,
        content_id: part.content_id.clone(),
        inline: part.disposition == Some(Disposition::Inline) || is_referred_to,
    };
    let identity = match part.media_type.as_str() {
        // Its MIME is rebuilt as often as that of the mail around it.
        "message/rfc822" | "message/global" if part.encoding == Encoding::Identity => {
            fingerprint::attached_message(&Header::split(part.content).0).unwrap_or(sha256)
        }
        _ => sha256,
    };
    (attachment, identity)
}

/// Size and SHA-256 of a part's bytes; of its raw bytes if its encoding is broken.
fn digest(part: &Part<'_>, defects: &mut BTreeSet<Defect>) -> (u64, [u8; 32]) {
    let hash = |encoding: Encoding| {
        let mut hasher = Sha256::new();
        let mut size = 0;
        let sound = encoding.decode(part.content, |piece| {
            size += piece.len() as u64;
            hasher.update(piece);
        });
        (sound, size, hasher.finalize().into())
    };
    let (sound, size, sha256) = hash(part.encoding);
    if sound {
        return (size, sha256);
    }
    defects.insert(Defect::BrokenEncoding);
    if part.encoding == Encoding::Base64 {
        let (_, size, sha256) = hash(Encoding::Identity);
        return (size, sha256);
    }
    (size, sha256)
}

/// Makes a name safe for any file system: the last component of a path, without characters that are
/// forbidden somewhere, unseen, or turn the reading direction (`exe.gpj` shown as `jpg.exe`).
fn safe_filename(name: &str) -> Option<String> {
    let name = name.rsplit(['/', '\\']).find(|component| !component.trim().is_empty())?;
    let name: String = name
        .chars()
        .filter(|char| !char.is_control() && !is_format(*char))
        .map(|char| if "<>:\"|?*".contains(char) { '_' } else { char })
        .collect();
    let name = name.trim_start_matches(['.', ' ']).trim_end_matches(['.', ' ']).trim();
    if name.is_empty() {
        return None;
    }
    Some(shorten(name))
}

/// Characters without a shape of their own: bidirectional controls, zero-width ones, byte order marks.
fn is_format(char: char) -> bool {
    matches!(char, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Cuts the middle, so that the extension stays.
fn shorten(name: &str) -> String {
    if name.len() <= limit::FILENAME_BYTES {
        return name.to_owned();
    }
    let (stem, extension) = match name.rsplit_once('.') {
        Some((stem, extension)) if extension.len() <= 16 => (stem, format!(".{extension}")),
        _ => (name, String::new()),
    };
    let mut stem = stem.to_owned();
    limit::cut(&mut stem, limit::FILENAME_BYTES - extension.len());
    stem + &extension
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_safe() {
        for (name, expected) in [
            ("report.pdf", Some("report.pdf")),
            ("../../etc/passwd", Some("passwd")),
            ("C:\\Users\\ada\\report.pdf", Some("report.pdf")),
            ("dir/", Some("dir")),
            (".bashrc", Some("bashrc")),
            ("..", None),
            ("", None),
            (" a\u{0}b\n.txt ", Some("ab.txt")),
            ("a:b?.txt", Some("a_b_.txt")),
            ("annexe\u{202e}gpj.exe", Some("annexegpj.exe")),
            ("Grüße €.pdf", Some("Grüße €.pdf")),
        ] {
            assert_eq!(safe_filename(name).as_deref(), expected, "{name:?}");
        }
    }

    #[test]
    fn a_long_name_keeps_its_extension() {
        let name = safe_filename(&format!("{}.pdf", "ü".repeat(500))).unwrap();

        assert!(name.len() <= limit::FILENAME_BYTES);
        assert!(name.ends_with("ü.pdf"));
    }

    #[test]
    fn the_part_index_finds_the_bytes_again() {
        let source = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\ntext\r\n--b\r\n\
                       Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\nYWJj\r\n--b--\r\n";

        assert_eq!(attached(source, 2).unwrap(), b"abc");
        assert_eq!(attached(source, 0), None);
        assert_eq!(attached(source, 3), None);
    }
}

//! What charset bytes are in, where nobody says so or it is not true.

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{
    BIG5, EUC_JP, EUC_KR, Encoding, GB18030, GBK, ISO_8859_2, ISO_8859_3, ISO_8859_4, ISO_8859_10,
    ISO_8859_13, ISO_8859_14, ISO_8859_15, ISO_8859_16, MACINTOSH, SHIFT_JIS, WINDOWS_874, WINDOWS_1250,
    WINDOWS_1252, WINDOWS_1254, WINDOWS_1257, WINDOWS_1258,
};

/// Bytes that are looked at. The detector reads some 10 MB a second; what a hundred lines do not tell it, more do not.
const SAMPLE_BYTES: usize = 8 * 1024;

/// Bytes of a sample that are taken around one that is not ASCII, if a space or line end follows.
const PIECE_BYTES: usize = 256;

/// Bytes before it: the letters of its word, which help.
const BEFORE_BYTES: usize = 16;

/// Characters of UTF-8 that there must be in bytes that are called otherwise, see [`is_utf8`].
const ENOUGH: usize = 3;

/// The likeliest charset of bytes that are neither ASCII nor UTF-8. In time that does not depend on their number, but
/// for finding the first that matter.
pub(super) fn guess(bytes: &[u8]) -> &'static Encoding {
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    let mut budget = SAMPLE_BYTES;
    let mut rest = bytes;
    loop {
        // ASCII tells nothing, and there may be megabytes of it.
        let at = Encoding::ascii_valid_up_to(rest);
        if at == rest.len() || budget == 0 {
            return detector.guess(None, Utf8Detection::Deny);
        }
        rest = rest.get(at.saturating_sub(BEFORE_BYTES)..).unwrap_or_default();
        let room = rest.get(..budget.min(rest.len())).unwrap_or(rest);
        // A piece ends between characters, whatever the charset, if it ends at white space.
        let beyond = room.get(PIECE_BYTES..).unwrap_or_default();
        let end = match beyond.iter().position(|byte| matches!(byte, b' ' | b'\n')) {
            Some(more) => PIECE_BYTES + more + 1,
            None => room.len(),
        };
        let (piece, tail) = rest.split_at(end);
        detector.feed(piece, tail.is_empty());
        budget -= end;
        if tail.is_empty() {
            return detector.guess(None, Utf8Detection::Deny);
        }
        rest = tail;
    }
}

/// Whether bytes that are called `label` are UTF-8, and not by chance: in most charsets a short text may be that.
pub(super) fn is_utf8(bytes: &[u8], label: &'static Encoding) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    if text.starts_with('\u{feff}') {
        return true;
    }
    let mut found = 0;
    for char in text.chars().filter(|char| !char.is_ascii()) {
        found += match char.len_utf8() {
            // In Thai, any three bytes may be three letters.
            _ if label == WINDOWS_874 => 1,
            // And where a character has two bytes, any two may be one, but hardly three.
            2 if is_of_two_bytes(label) => 0,
            _ if is_of_two_bytes(label) => 1,
            // `â‚¬`, `Ã¼`, `Â ` and the like: a capital letter before signs in all charsets of Europe.
            3.. => ENOUGH,
            2 if is_latin(label) && ('\u{a0}'..='\u{ff}').contains(&char) => ENOUGH,
            _ => 1,
        };
        if found >= ENOUGH {
            return true;
        }
    }
    false
}

/// Whether the charset has characters of two bytes.
fn is_of_two_bytes(encoding: &'static Encoding) -> bool {
    [BIG5, EUC_JP, EUC_KR, GBK, GB18030, SHIFT_JIS].contains(&encoding)
}

/// Whether the charset is of Latin letters.
fn is_latin(encoding: &'static Encoding) -> bool {
    [
        WINDOWS_1250,
        WINDOWS_1252,
        WINDOWS_1254,
        WINDOWS_1257,
        WINDOWS_1258,
        ISO_8859_2,
        ISO_8859_3,
        ISO_8859_4,
        ISO_8859_10,
        ISO_8859_13,
        ISO_8859_14,
        ISO_8859_15,
        ISO_8859_16,
        MACINTOSH,
    ]
    .contains(&encoding)
}

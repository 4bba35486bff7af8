//! How much of a mail is read and kept.
//!
//! Everything in a mail is the sender's choice, so everything has a limit. What lies beyond a limit stays in
//! the stored source and is named by a [`Defect`](super::Defect). The numbers are far above what mail
//! programs write: Exchange takes 256 KiB of header, 250 attachments and 30 levels.

use crate::text;

/// Bytes of one header's fields that are kept, together.
pub(super) const HEADER_BYTES: usize = 512 * 1024;

/// Fields kept of one header.
pub(super) const FIELDS: usize = 1_000;

/// Longest field value kept.
pub(super) const VALUE_BYTES: usize = 64 * 1024;

/// Longest Content-Type or Content-Disposition read. A file name of 255 characters, percent-encoded and cut
/// into continuations, takes 3 KiB.
pub(super) const PARAMETER_BYTES: usize = 8 * 1024;

/// Longest subject and display name kept, in characters: what one line of a header may hold (RFC 5322 §2.1.1).
pub(super) const NAME_CHARS: usize = 998;

/// Longest Message-ID, Content-ID and address kept, for the same reason.
pub(super) const ID_BYTES: usize = 998;

/// Ids kept of In-Reply-To and of References: the newest, because threading looks at them first.
pub(super) const IDS: usize = 100;

/// Addresses kept of one field.
pub(super) const ADDRESSES: usize = 1_000;

/// Longest file name kept: the most that common file systems take.
pub(super) const FILENAME_BYTES: usize = 255;

/// Lines beginning with two dashes that are looked at for a delimiter, on all levels together. What follows the last
/// is one part.
pub(super) const DASHED_LINES: usize = 5_000_000;

/// MIME parts read, and Content-IDs looked for in the HTML.
pub(super) const PARTS: usize = 1_000;

/// How deep multiparts are taken apart. Every level reads its bytes again.
pub(super) const DEPTH: usize = 32;

/// How deep they are if each level holds nearly all of a large mail, of more than a few megabytes.
pub(super) const LEVELS: usize = 6;

/// Bytes that all levels together may hold in any case.
pub(super) const LEVELS_BYTES: usize = 64 * 1024 * 1024;

/// Text kept. More than anybody reads, less than what hurts a dashboard.
pub(super) const TEXT_BYTES: usize = 2 * 1024 * 1024;

/// Encoded bytes of body parts that are decoded: `TEXT_BYTES` at the most wasteful encoding, `=XX`.
pub(super) const BODY_BYTES: usize = 3 * TEXT_BYTES;

/// Largest HTML body, before and after it is sanitised.
pub(super) const HTML_BYTES: usize = 1024 * 1024;

/// Bytes of HTML in which it may say its charset: twice of what browsers look at.
pub(super) const HTML_PRESCAN_BYTES: usize = 2 * 1024;

/// Largest image kept inside HTML, as it is written there: what signatures have, not photographs.
pub(super) const HTML_IMAGE_BYTES: usize = 64 * 1024;

/// How deep elements may nest. The HTML parser's work for one tag grows with the depth it stands at.
pub(super) const HTML_DEPTH: usize = 512;

/// Elements the HTML parser may make. Not bounded by the size: 50 KB of badly nested `<b>` make millions.
pub(super) const HTML_ELEMENTS: usize = 100_000;

/// Nodes the HTML parser may put elsewhere than where they stood. Each time it searches all siblings.
pub(super) const HTML_MOVES: usize = 2_000;

/// Bytes that may be searched for what to escape when HTML is written: about half a second's.
pub(super) const HTML_ESCAPING: u64 = 20_000_000_000;

/// Attributes one tag may have. The HTML parser compares each with all before it.
pub(super) const HTML_ATTRIBUTES: usize = 256;

/// Bytes read of a part that holds a report, or that returns a mail with one.
pub(super) const REPORT_BYTES: usize = 256 * 1024;

/// Bytes read of a text that may be a mail server's notice.
pub(super) const NOTICE_BYTES: usize = 64 * 1024;

/// Recipients kept of a report.
pub(super) const RECIPIENTS_REPORTED: usize = 100;

/// Ids kept of those that a returned mail refers to: the newest.
pub(super) const REFERENCES_REPORTED: usize = 20;

/// Longest diagnostic kept, in characters.
pub(super) const DIAGNOSTIC_CHARS: usize = 500;

/// Longest domain kept, in characters (RFC 1035 §3.1).
pub(super) const DOMAIN_CHARS: usize = 255;

/// Longest word kept of those that a report chooses from a list, in characters.
pub(super) const KEYWORD_CHARS: usize = 40;

/// Places in one HTML body at which a quote, a signature or the like begins or ends. With more of them nobody can say
/// what is whose.
pub(super) const MARKS: usize = 1_000;

/// Lines of a text in which the reply is looked for. What is below them is what the last of them is.
pub(super) const REPLY_LINES: usize = 20_000;

/// Levels of what is packed into what: a `winmail.dat` in a signed mail, messages attached in it.
pub(super) const PACKED_DEPTH: usize = 4;

/// Pieces of unpacked bytes that are kept while a mail is read.
pub(super) const UNPACKED: usize = 128;

/// Groups of RTF whose settings are remembered.
pub(super) const RTF_DEPTH: usize = 256;

/// Encoded bytes of a calendar that are read.
pub(super) const CALENDAR_BYTES: usize = 1024 * 1024;

/// Bytes of an attachment that are looked at for its type: up to where the volume of an ISO 9660 image says so.
pub(super) const HEAD_BYTES: usize = 33 * 1024;

/// Cuts `text` to at most `bytes` bytes, between two characters; says whether it did.
pub(super) fn cut(text: &mut String, bytes: usize) -> bool {
    let kept = text::cut(text, bytes).len();
    let too_long = kept < text.len();
    text.truncate(kept);
    too_long
}

/// Cuts `text` to at most `chars` characters; says whether it did.
pub(super) fn cut_chars(text: &mut String, chars: usize) -> bool {
    match text.char_indices().nth(chars) {
        Some((at, _)) => {
            text.truncate(at);
            true
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_never_splits_a_character() {
        let mut text = "äöü".to_owned();

        assert!(cut(&mut text, 3));

        assert_eq!(text, "ä");
    }

    #[test]
    fn what_fits_is_left_alone() {
        let mut text = "äöü".to_owned();

        assert!(!cut(&mut text, 6));
        assert!(!cut_chars(&mut text, 3));

        assert_eq!(text, "äöü");
    }

    #[test]
    fn characters_are_counted_not_bytes() {
        let mut text = "äöü".to_owned();

        assert!(cut_chars(&mut text, 2));

        assert_eq!(text, "äö");
    }
}

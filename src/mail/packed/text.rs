//! What is packed into a text: files by uuencode, and text that is signed by OpenPGP.

use std::borrow::Cow;

use memchr::{memchr, memmem};

use crate::mail::packed::clear_signed;
use crate::mail::packed::clear_signed::Signed;
use crate::mail::part::Part;
use crate::mail::transfer::Encoding;
use crate::mail::uuencode;

/// A text taken apart.
pub(super) struct Pieces<'a> {
    /// In order. Empty if there is nothing in it but text.
    pub(super) pieces: Vec<Piece<'a>>,
    /// Whether it begins with an encrypted message, which stays.
    pub(super) is_encrypted: bool,
}

/// A piece of a text.
pub(super) enum Piece<'a> {
    Text(&'a [u8]),
    File(uuencode::File<'a>),
    Signed(Signed<'a>),
}

/// A text's bytes, if something may be packed into it; most texts are not even decoded for that.
pub(super) fn candidate<'a>(part: &Part<'a>) -> Option<Cow<'a, [u8]>> {
    let may_hold = |text: &[u8]| [&b"begin "[..], b"-----BEGIN PGP "].iter().any(|mark| contains(text, mark));
    // Quoted-printable leaves these marks as they are.
    if part.encoding != Encoding::Base64 && !may_hold(part.content) {
        return None;
    }
    let (bytes, _) = part.encoding.bytes(part.content);
    may_hold(&bytes).then_some(bytes)
}

/// Takes a text apart, at most into `most` pieces that are no text.
pub(super) fn pieces(text: &[u8], most: usize) -> Pieces<'_> {
    let mut pieces = Vec::new();
    let mut is_encrypted = false;
    // Without its end behind the first there is none behind the next.
    let mut may_be_signed = true;
    let mut left = most;
    let mut is_blank = true;
    let (mut from, mut at) = (0, 0);
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty() && left > 0) {
        let found = match rest {
            [b'b', ..] => uuencode::file(rest).map(|file| (file.content.len(), Piece::File(file))),
            [b'-', ..] if may_be_signed && clear_signed::begins(rest) => {
                let signed = clear_signed::signed(rest);
                may_be_signed = signed.is_some();
                signed.map(|signed| (signed.length, Piece::Signed(signed)))
            }
            _ => None,
        };
        if let Some((length, piece)) = found {
            pieces.extend(text.get(from..at).filter(|text| !text.trim_ascii().is_empty()).map(Piece::Text));
            pieces.push(piece);
            left -= 1;
            at += length;
            from = at;
        } else {
            let length = memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
            is_encrypted |= is_blank && clear_signed::is_encrypted(rest);
            is_blank &= rest.get(..length).is_none_or(|line| line.trim_ascii().is_empty());
            at += length;
        }
    }
    if !pieces.is_empty() {
        pieces.extend(text.get(from..).filter(|text| !text.trim_ascii().is_empty()).map(Piece::Text));
    }
    Pieces { pieces, is_encrypted }
}

fn contains(text: &[u8], mark: &[u8]) -> bool {
    memmem::find(text, mark).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outline(text: &str) -> Vec<String> {
        let piece = |piece: &Piece<'_>| match piece {
            Piece::Text(text) => String::from_utf8_lossy(text).into_owned(),
            Piece::File(file) => format!("file {}", String::from_utf8_lossy(file.name)),
            Piece::Signed(signed) => format!("signed {}", String::from_utf8_lossy(&signed.text)),
        };
        pieces(text.as_bytes(), 3).pieces.iter().map(piece).collect()
    }

    const CAT: &str = "begin 644 cat\n#0V%T\n`\nend\n";
    const SIGNED: &str = "-----BEGIN PGP SIGNED MESSAGE-----\n\nHello\n-----BEGIN PGP SIGNATURE-----\n\nx\n\
                          -----END PGP SIGNATURE-----\n";

    #[test]
    fn pieces_stand_in_order() {
        assert_eq!(
            outline(&format!("one\n{CAT}{CAT}\ntwo\n{SIGNED}three\n")),
            ["one\n", "file cat", "file cat", "\ntwo\n", "signed Hello\n", "three\n"]
        );
    }

    #[test]
    fn a_text_in_which_nothing_is_packed_has_no_pieces() {
        for text in
            ["", "one\n", "begin 644 now\nand end later\n", "-----BEGIN PGP SIGNED MESSAGE-----\n\nHello\n"]
        {
            assert_eq!(outline(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn what_is_beyond_the_limit_stays_text() {
        assert_eq!(outline(&CAT.repeat(4)), ["file cat", "file cat", "file cat", CAT]);
    }

    #[test]
    fn a_text_is_encrypted_from_its_start_or_not_at_all() {
        assert!(pieces(b"\n-----BEGIN PGP MESSAGE-----\n\nhQ\n", 3).is_encrypted);
        assert!(!pieces(b"What is this?\n-----BEGIN PGP MESSAGE-----\n\nhQ\n", 3).is_encrypted);
        assert!(!pieces(b"> -----BEGIN PGP MESSAGE-----\n", 3).is_encrypted);
    }
}

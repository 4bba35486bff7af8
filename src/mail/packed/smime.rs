//! S/MIME whose content is inside of its signature or encryption: `smime.p7m` (RFC 8551 §3.3, §3.5.3), a `ContentInfo`
//! of CMS (RFC 5652 §3).
//!
//! Only as much of its BER is read as leads to the content, which nothing here verifies or decrypts.

use std::borrow::Cow;

/// What a `ContentInfo` holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Cms<'a> {
    /// Signed: its content, if that is there and not only certificates. `whole` unless the data ends too early.
    Signed { content: Option<Cow<'a, [u8]>>, whole: bool },
    /// Encrypted.
    Encrypted,
    /// Anything else: compressed, or no CMS.
    Other,
}

/// 1.2.840.113549.1.7.2
const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
/// 1.2.840.113549.1.7.3
const ENVELOPED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x03];
/// 1.2.840.113549.1.9.16.1.23
const AUTH_ENVELOPED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x01, 0x17];

const SEQUENCE: u8 = 0x30;
const OBJECT_IDENTIFIER: u8 = 0x06;
const OCTET_STRING: u8 = 0x04;
const OCTET_STRINGS: u8 = 0x24;
const CONTEXT_0: u8 = 0xa0;

/// Reads a `ContentInfo`.
pub(super) fn read(bytes: &[u8]) -> Cms<'_> {
    let Some((content_type, content)) = typed(bytes) else { return Cms::Other };
    match content_type {
        SIGNED_DATA => {
            let signed = content.and_then(signed_content);
            let whole = signed.as_ref().is_none_or(|(_, whole)| *whole);
            Cms::Signed { content: signed.map(|(content, _)| content), whole }
        }
        ENVELOPED_DATA | AUTH_ENVELOPED_DATA => Cms::Encrypted,
        _ => Cms::Other,
    }
}

/// `SEQUENCE { OBJECT IDENTIFIER, [0] EXPLICIT ANY OPTIONAL }`
fn typed(bytes: &[u8]) -> Option<(&[u8], Option<&[u8]>)> {
    let (content_type, rest) = Element::read(Element::of(bytes, SEQUENCE)?.content)?;
    let content = Element::of(rest, CONTEXT_0).map(|content| content.content);
    (content_type.tag == OBJECT_IDENTIFIER).then_some((content_type.content, content))
}

/// The content of a `SignedData`, and whether it is all there.
fn signed_content(signed_data: &[u8]) -> Option<(Cow<'_, [u8]>, bool)> {
    let version = Element::of(signed_data, SEQUENCE)?.content;
    let digest_algorithms = skip(version)?;
    let encapsulated = skip(digest_algorithms)?;
    let (_, content) = typed(encapsulated)?;
    octets(content?)
}

/// An OCTET STRING in one piece or, as it is written by who does not know its length, in many.
fn octets(bytes: &[u8]) -> Option<(Cow<'_, [u8]>, bool)> {
    let (first, _) = Element::read(bytes)?;
    match first.tag {
        OCTET_STRING => return Some((first.content.into(), first.is_whole)),
        OCTET_STRINGS => {}
        _ => return None,
    }
    let mut whole = first.is_whole;
    let mut octets = Vec::new();
    // Pieces may be in pieces again. How they are grouped means nothing, so only ends that must be found are counted.
    let mut open = usize::from(first.is_open);
    let mut rest = first.content;
    while !rest.is_empty() {
        let Some((piece, tail)) = Element::read(rest) else {
            whole = false;
            break;
        };
        rest = tail;
        match piece.tag {
            OCTET_STRING => {
                octets.extend_from_slice(piece.content);
                whole &= piece.is_whole;
            }
            OCTET_STRINGS => {
                open += usize::from(piece.is_open);
                // Into it, and behind it afterwards.
                rest = piece.from_content;
            }
            END if open > 0 => {
                open -= 1;
                if open == 0 && first.is_open {
                    return Some((octets.into(), whole));
                }
            }
            _ => return Some((octets.into(), false)),
        }
    }
    Some((octets.into(), whole && open == 0))
}

/// The tag of the two zero bytes that end what has no length.
const END: u8 = 0;

/// One element of BER (X.690 §8.1).
struct Element<'a> {
    tag: u8,
    /// Its content; all that follows, if it has no length.
    content: &'a [u8],
    /// Its content and what is behind it.
    from_content: &'a [u8],
    /// Whether it has no length and goes on to its end.
    is_open: bool,
    /// Whether all of it is there.
    is_whole: bool,
}

impl<'a> Element<'a> {
    /// The element at the start, and what is behind it; behind the start of one without a length.
    fn read(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (&tag, rest) = bytes.split_first()?;
        let (&length, rest) = rest.split_first()?;
        let (length, from_content) = match length {
            0x80 => {
                let open = Self { tag, content: rest, from_content: rest, is_open: true, is_whole: true };
                return Some((open, rest));
            }
            0..0x80 => (usize::from(length), rest),
            _ => {
                let (digits, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
                let length = digits.iter().try_fold(0_usize, |length, &digit| {
                    length.checked_mul(256).map(|length| length | usize::from(digit))
                });
                (length?, rest)
            }
        };
        let is_whole = length <= from_content.len();
        let (content, behind) = from_content.split_at(length.min(from_content.len()));
        Some((Self { tag, content, from_content, is_open: false, is_whole }, behind))
    }

    fn of(bytes: &'a [u8], tag: u8) -> Option<Self> {
        Self::read(bytes).map(|(element, _)| element).filter(|element| element.tag == tag)
    }
}

/// What is behind the element at the start.
fn skip(bytes: &[u8]) -> Option<&[u8]> {
    let mut open = 0_usize;
    let mut rest = bytes;
    loop {
        let (element, behind) = Element::read(rest)?;
        rest = behind;
        if element.is_open {
            open += 1;
        } else if element.tag == END && open > 0 {
            open -= 1;
        }
        if open == 0 {
            return Some(rest);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn element(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = u32::try_from(content.len()).unwrap().to_be_bytes();
        [&[tag, 0x84][..], &length, content].concat()
    }

    fn open(tag: u8, content: &[u8]) -> Vec<u8> {
        [&[tag, 0x80][..], content, &[0, 0]].concat()
    }

    /// A `ContentInfo` around a `SignedData` with this encapsulated content, made by `wrap`.
    fn signed(wrap: fn(u8, &[u8]) -> Vec<u8>, octets: &[u8]) -> Vec<u8> {
        let oid = |oid: &[u8]| element(OBJECT_IDENTIFIER, oid);
        let encapsulated = [oid(&[0x2a, 3]), wrap(CONTEXT_0, octets)].concat();
        let algorithms = wrap(0x31, &wrap(SEQUENCE, &oid(&[0x2a, 1])));
        let signed_data =
            [element(2, &[1]), algorithms, wrap(SEQUENCE, &encapsulated), element(0x31, b"x")].concat();
        wrap(SEQUENCE, &[oid(SIGNED_DATA), wrap(CONTEXT_0, &wrap(SEQUENCE, &signed_data))].concat())
    }

    fn content(bytes: &[u8]) -> (Option<Vec<u8>>, bool) {
        match read(bytes) {
            Cms::Signed { content, whole } => (content.map(Cow::into_owned), whole),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_was_signed_is_found_with_lengths_and_without() {
        let one = element(OCTET_STRING, b"Hello");
        let pieces = [element(OCTET_STRING, b"Hel"), element(OCTET_STRING, b"lo")].concat();
        let nested =
            [element(OCTET_STRINGS, &element(OCTET_STRING, b"Hel")), open(OCTET_STRINGS, &pieces)].concat();
        for wrap in [element, open] {
            assert_eq!(content(&signed(wrap, &one)), (Some(b"Hello".to_vec()), true));
            for group in [element, open] {
                assert_eq!(
                    content(&signed(wrap, &group(OCTET_STRINGS, &pieces))),
                    (Some(b"Hello".to_vec()), true)
                );
                let nested = group(OCTET_STRINGS, &nested);
                assert_eq!(content(&signed(wrap, &nested)), (Some(b"HelHello".to_vec()), true));
            }
        }
    }

    #[test]
    fn what_is_cut_short_gives_what_is_there() {
        let whole = signed(element, &element(OCTET_STRING, b"Hello"));
        let at = whole.windows(5).position(|five| five == b"Hello").unwrap();

        assert_eq!(content(&whole[..at + 3]), (Some(b"Hel".to_vec()), false));
    }

    #[test]
    fn certificates_alone_are_no_content() {
        assert_eq!(content(&signed(element, &[])), (None, true));
    }

    #[test]
    fn encrypted_and_other_content_is_told_apart() {
        let of = |oid: &[u8]| element(SEQUENCE, &element(OBJECT_IDENTIFIER, oid));
        assert_eq!(read(&of(ENVELOPED_DATA)), Cms::Encrypted);
        assert_eq!(read(&of(AUTH_ENVELOPED_DATA)), Cms::Encrypted);
        assert_eq!(read(&of(&[0x2a])), Cms::Other);
        assert_eq!(read(b"-----BEGIN PKCS7-----"), Cms::Other);
        assert_eq!(read(b""), Cms::Other);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(
            at in any::<prop::sample::Index>(),
            damage in prop::collection::vec(any::<u8>(), 0..8),
        ) {
            let pieces = [element(OCTET_STRING, b"Hel"), element(OCTET_STRING, b"lo")].concat();
            let mut bytes = signed(open, &open(OCTET_STRINGS, &pieces));
            let at = at.index(bytes.len());
            bytes.splice(at..(at + damage.len()).min(bytes.len()), damage);
            if let Cms::Signed { content: Some(content), .. } = read(&bytes) {
                prop_assert!(content.len() <= bytes.len());
            }
        }
    }
}

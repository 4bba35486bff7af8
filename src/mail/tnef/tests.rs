//! What is read out of streams of all kinds, damaged ones too.

use proptest::prelude::*;

use super::*;
use crate::mail::charset;

fn attribute(level: u8, id: u16, data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len()).unwrap().to_le_bytes();
    [&[level][..], &id.to_le_bytes(), &6_u16.to_le_bytes(), &length, data, &[0, 0]].concat()
}

fn stream(attributes: &[Vec<u8>]) -> Vec<u8> {
    [&b"\x78\x9f\x3e\x22\x01\x00"[..], &attributes.concat()].concat()
}

/// A property of variable length.
fn property(kind: u16, tag: u16, value: &[u8]) -> Vec<u8> {
    let length = u32::try_from(value.len()).unwrap();
    let padding = vec![0; value.len().next_multiple_of(4) - value.len()];
    let head = [kind.to_le_bytes(), tag.to_le_bytes()].concat();
    [&head[..], &1_u32.to_le_bytes(), &length.to_le_bytes(), value, &padding].concat()
}

fn properties(list: &[Vec<u8>]) -> Vec<u8> {
    [&u32::try_from(list.len()).unwrap().to_le_bytes()[..], &list.concat()].concat()
}

fn unicode(tag: u16, text: &str) -> Vec<u8> {
    let bytes: Vec<u8> = text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect();
    property(0x1f, tag, &bytes)
}

fn file(name: &str, data: &[u8], more: &[Vec<u8>]) -> Vec<u8> {
    let begin = attribute(2, ATTACHMENT_BEGINS, &[0; 14]);
    let name = attribute(2, ATTACHMENT_TITLE, name.as_bytes());
    [begin, name, attribute(2, ATTACHMENT_DATA, data), attribute(2, ATTACHMENT_PROPERTIES, &properties(more))]
        .concat()
}

/// Everything that a stream can hold.
fn full() -> Vec<u8> {
    let mut number = [3_u16.to_le_bytes(), TAG_INTERNET_CODE_PAGE.to_le_bytes()].concat();
    number.extend(1251_u32.to_le_bytes());
    let mut named = [0x1f_u16.to_le_bytes(), 0x8005_u16.to_le_bytes()].concat();
    named.extend([&[7; 16][..], &1_u32.to_le_bytes(), &6_u32.to_le_bytes(), b"a\0b\0\0\0\0\0"].concat());
    named.extend([1_u32.to_le_bytes(), 4_u32.to_le_bytes()].concat());
    named.extend(b"x\0\0\0");
    let mut many = [0x1003_u16.to_le_bytes(), 0x6001_u16.to_le_bytes()].concat();
    many.extend([2_u32, 5, 6].map(u32::to_le_bytes).concat());
    let list = [
        unicode(TAG_SUBJECT, "Grüße"),
        named,
        many,
        property(0x1e, TAG_BODY, b"text\0"),
        property(0x102, TAG_HTML, b"<p>\xcf</p>"),
        number,
    ];
    stream(&[
        attribute(1, OEM_CODE_PAGE, &[0xe4, 4, 0, 0, 0, 0, 0, 0]),
        attribute(1, SUBJECT, b"Gr?sse\0"),
        attribute(1, MESSAGE_PROPERTIES, &properties(&list)),
        file(
            "A~1.PDF",
            b"pdf",
            &[unicode(TAG_ATTACH_LONG_FILENAME, "a long name.pdf"), unicode(TAG_ATTACH_MIME_TAG, "x/y")],
        ),
        file("b.txt", b"", &[property(0xd, TAG_ATTACH_DATA, b"interface------!object")]),
    ])
}

/// What a stream says, in short.
fn outline(bytes: &[u8]) -> Option<(String, Vec<String>, Vec<String>, bool)> {
    let unpacked = Unpacked::new();
    let tnef = read(bytes, &unpacked)?;
    let text =
        |part: &Part<'_>| charset::decode(part.content.into(), part.charset.as_deref()).text.into_owned();
    let body = tnef.body.iter().map(|part| format!("{} {}", part.media_type, text(part))).collect();
    let name = |part: &Part<'_>| part.filename.clone().unwrap_or_default();
    let files =
        tnef.files.iter().map(|part| format!("{} {} {}", name(part), part.media_type, text(part))).collect();
    Some((tnef.subject, body, files, tnef.is_whole))
}

#[test]
fn everything_in_a_stream_is_read() {
    let (subject, body, files, is_whole) = outline(&full()).unwrap();

    assert!(is_whole);
    assert_eq!(subject, "Grüße");
    assert_eq!(body, ["text/plain text", "text/html <p>П</p>"]);
    assert_eq!(files, ["a long name.pdf x/y pdf", "b.txt application/octet-stream object"]);
}

#[test]
fn a_stream_that_is_cut_short_gives_what_is_there() {
    let whole = full();
    for end in 6..whole.len() {
        let (.., is_whole) = outline(&whole[..end]).unwrap();
        // Between two attributes nothing tells that there were more.
        let may_be_whole = outline(&whole[..end]).unwrap().3 && stream_ends_at(&whole, end);
        assert_eq!(is_whole, may_be_whole, "{end}");
    }
    assert_eq!(outline(&whole[..5]), None);
    assert_eq!(outline(b"not TNEF"), None);
}

fn stream_ends_at(bytes: &[u8], end: usize) -> bool {
    let mut at = 6;
    while at < end {
        let length = u32::from_le_bytes(bytes[at + 5..at + 9].try_into().unwrap());
        at += 9 + usize::try_from(length).unwrap() + 2;
    }
    at == end
}

#[test]
fn lengths_that_are_lies_end_the_reading() {
    let huge = [0xff; 4];
    let list = |count: [u8; 4], rest: &[u8]| attribute(1, MESSAGE_PROPERTIES, &[&count[..], rest].concat());
    for attributes in [
        vec![list(huge, &[])],
        vec![list([1, 0, 0, 0], &[0x1f, 0, 0, 0x10, 0xff, 0xff, 0xff, 0xff])],
        vec![list([1, 0, 0, 0], &[0x02, 0x11, 0, 0x10, 1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff])],
        vec![list([1, 0, 0, 0], &[0x99, 0x99, 0, 0x10])],
    ] {
        let (.., is_whole) = outline(&stream(&attributes)).unwrap();
        assert!(!is_whole);
    }
}

proptest! {
    #[test]
    fn a_damaged_stream_is_read(
        damages in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 1..20),
    ) {
        let mut bytes = full();
        for (at, byte, how) in damages {
            let at = at.index(bytes.len() + 1);
            match how {
                0 => bytes.insert(at, byte),
                1 => drop(bytes.drain(at..(at + usize::from(byte)).min(bytes.len()))),
                _ => bytes.iter_mut().skip(at).take(1).for_each(|old| *old = byte),
            }
        }
        if let Some((.., files, _)) = outline(&bytes) {
            prop_assert!(files.len() <= bytes.len() / 11);
        }
    }
}

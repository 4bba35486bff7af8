//! What holds for everything that is packed into something: it ends, nothing is lost, and numbers stay what they are.

use std::fmt::Write as _;

use super::*;
use crate::mail::{Facts, attached, read};
use crate::message::{Extent, Listed, Message, Uid};

fn message(source: impl Into<Vec<u8>>) -> Message {
    let source = source.into();
    let listed = Listed { uid: Uid(1), size: source.len() as u64, internal_date: None };
    Message { listed, source, extent: Extent::Whole }
}

const CAT: &str = "begin 644 cat.txt\n#0V%T\n`\nend\n";

/// A `winmail.dat` that holds what `content` gives for one attached message.
fn tnef_around(content: &[u8]) -> Vec<u8> {
    let attribute = |level: u8, id: u16, data: &[u8]| {
        let length = u32::try_from(data.len()).unwrap().to_le_bytes();
        [&[level][..], &id.to_le_bytes(), &[6, 0], &length, data, &[0, 0]].concat()
    };
    // PidTagAttachMethod: a message.
    let properties = [1, 0, 0, 0, 3, 0, 5, 0x37, 5, 0, 0, 0];
    [
        b"\x78\x9f\x3e\x22\x01\x00".to_vec(),
        attribute(1, 0x8004, b"inner\0"),
        attribute(1, 0x800c, b"text\0"),
        attribute(2, 0x9002, &[0; 14]),
        attribute(2, 0x800f, content),
        attribute(2, 0x9005, &properties),
    ]
    .concat()
}

#[test]
fn messages_in_winmail_dat_in_messages_end() {
    let deepest = (0..200).fold(b"x".to_vec(), |content, _| tnef_around(&content));
    let source = [&b"Content-Type: application/ms-tnef\n\n"[..], &deepest].concat();

    let mail = read(&message(source.clone()), &Facts::default());

    // The body of the first is the mail's. The others' are files, and what is too deep stays packed.
    assert_eq!(mail.text, "text");
    assert_eq!(mail.attachments.len(), limit::PACKED_DEPTH);
    let last = mail.attachments.last().unwrap();
    assert_eq!(
        (last.content_type.as_str(), last.filename.as_deref()),
        (tnef::MEDIA_TYPE, Some("winmail.dat"))
    );
    for attachment in &mail.attachments {
        let bytes = attached(&source, attachment.part).unwrap();
        assert_eq!(bytes.len() as u64, attachment.size);
        assert_eq!(<[u8; 32]>::from(Sha256::digest(&bytes)), attachment.sha256);
    }
}

#[test]
fn a_winmail_dat_of_which_not_all_is_unpacked_stays() {
    let rtf = [b"{\\rtf1 ".to_vec(), b"text\\par ".repeat(limit::BODY_BYTES / 9 + 1)].concat();
    // Not compressed, which is for the sender to choose.
    let packed = [&[0; 4][..], &[0xff; 4], &0x414c_454d_u32.to_le_bytes(), &[0; 4], &rtf].concat();
    let length = u32::try_from(packed.len()).unwrap().to_le_bytes();
    let property = [&[1, 0, 0, 0, 2, 1, 9, 0x10, 1, 0, 0, 0][..], &length, &packed, &[0; 4]].concat();
    let length = u32::try_from(property.len()).unwrap().to_le_bytes();
    let attribute = [&[1, 3, 0x90, 6, 0][..], &length, &property, &[0, 0]].concat();
    let start = b"Content-Type: application/ms-tnef\n\n\x78\x9f\x3e\x22\x01\x00";

    let mail = read(&message([&start[..], &attribute].concat()), &Facts::default());

    assert!(mail.text.starts_with("text\ntext\n") && mail.text.len() <= limit::TEXT_BYTES);
    assert_eq!(mail.attachments.len(), 1);
    assert!(mail.defects.contains(&Defect::TooMany));
}

#[test]
fn files_in_a_text_without_end_become_parts_up_to_the_limit() {
    let mail = read(&message(format!("Subject: x\n\n{}", CAT.repeat(50_000))), &Facts::default());

    assert!(mail.attachments.len() <= limit::PARTS && mail.attachments.len() > 100);
    // What did not become a part is still there.
    assert!(mail.text.contains("begin 644 cat.txt"));
}

#[test]
fn texts_signed_without_end_lose_nothing() {
    let signed = "-----BEGIN PGP SIGNED MESSAGE-----\n\nHello\n-----BEGIN PGP SIGNATURE-----\n\nx\n\
                  -----END PGP SIGNATURE-----\n";
    let begun = "-----BEGIN PGP SIGNED MESSAGE-----\n\nHello\n";

    let mail = read(
        &message(format!("Subject: x\n\n{}{}", signed.repeat(1_000), begun.repeat(20_000))),
        &Facts::default(),
    );

    assert_eq!(mail.text.matches("Hello").count(), 21_000);
    assert!(mail.attachments.len() <= limit::PARTS);
}

#[test]
fn a_hundred_packed_parts_are_opened_as_far_as_there_is_room() {
    let mut source = "Content-Type: multipart/mixed; boundary=b\n\n".to_owned();
    for _ in 0..500 {
        let encoded = CAT.bytes().fold(String::new(), |mut encoded, byte| {
            write!(encoded, "={byte:02X}").unwrap();
            encoded
        });
        // Marks are looked for before a text is decoded.
        write!(source, "--b\nContent-Transfer-Encoding: quoted-printable\n\nbegin \n{encoded}\n").unwrap();
    }

    let mail = read(&message(source + "--b--\n"), &Facts::default());

    assert!(mail.attachments.len() <= limit::UNPACKED);
    assert!(mail.text.contains("begin 644 cat.txt"), "what was not opened is text");
}

#[test]
fn what_is_packed_changes_no_fingerprint() {
    let source = format!("Message-ID: <a@example.com>\nSubject: x\n\nsee\n{CAT}bye\n");
    let (header, body) = Header::split(source.as_bytes());
    let text = std::str::from_utf8(body).unwrap();
    let unpacked = Unpacked::new();

    let opened = open(part::parts(&header, body, &mut BTreeSet::new()), &unpacked, &mut BTreeSet::new());

    let read = body::read(&opened.parts, &mut BTreeSet::new());
    assert_eq!(read.text, "see\nbye\n");
    assert_eq!(opened.digests(&read), [fingerprint::text(text)]);
}

#[test]
fn packed_parts_stand_behind_all_others() {
    let source = format!(
        "Content-Type: multipart/mixed; boundary=b\n\n--b\n\n{CAT}\n--b\nContent-Type: application/pdf\n\n%PDF-\n--b--\n"
    );

    let mail = read(&message(source.clone()), &Facts::default());

    let parts: Vec<_> = mail.attachments.iter().map(|attachment| attachment.part).collect();
    assert_eq!(parts, [2, 3]);
    assert_eq!(attached(source.as_bytes(), 2).unwrap(), b"%PDF-");
    assert_eq!(attached(source.as_bytes(), 3).unwrap(), b"Cat");
}

//! What files are told by, and what claims they contradict.

use super::*;

fn found(bytes: &[u8]) -> Option<&'static str> {
    let mut look = Look::default();
    // In pieces, as they come.
    for piece in bytes.chunks(1_000) {
        look.take(piece);
    }
    look.found()
}

fn padded(at: usize, bytes: &[u8]) -> Vec<u8> {
    [vec![0; at], bytes.to_vec()].concat()
}

#[test]
fn files_are_told_by_how_they_begin() {
    for (bytes, expected) in [
        (&b"%PDF-1.7\n"[..], "application/pdf"),
        (b"junk\r\n%PDF-1.4", "application/pdf"),
        (b"\x89PNG\r\n\x1a\n\0", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "image/webp"),
        (b"RIFF\x10\0\0\0WAVEfmt ", "audio/wav"),
        (b"II*\0", "image/tiff"),
        (b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0", "image/bmp"),
        (b"\0\0\0\x18ftypheic", "image/heic"),
        (b"\0\0\0\x18ftypisom", "video/mp4"),
        (b"\0\0\0\x14ftypqt  ", "video/quicktime"),
        (b"ID3\x03\0", "audio/mpeg"),
        (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
        (b"Rar!\x1a\x07\x01\0", "application/vnd.rar"),
        (b"\x1f\x8b\x08\0", "application/gzip"),
        (b"\x7fELF\x02", "application/x-executable"),
        (b"{\\rtf1\\ansi", "application/rtf"),
        (b"\x78\x9f\x3e\x22", "application/ms-tnef"),
        (b"\xef\xbb\xbf \r\n<!DOCTYPE html>", "text/html"),
        (b"<?xml version=\"1.0\"?><svg xmlns=", "image/svg+xml"),
        (b"<?xml version=\"1.0\"?><a/>", "text/xml"),
        (b"BEGIN:VCALENDAR\r\n", "text/calendar"),
        (b"Received: by x\r\nFrom: a@example.com\r\nDate: x\r\nSubject: y\r\n\r\n", "message/rfc822"),
        (b"\x1a\x45\xdf\xa3\x01\0\0\0\0\0\0\x1f\x42\x82\x84webm", "video/webm"),
    ] {
        assert_eq!(found(bytes), Some(expected), "{}", String::from_utf8_lossy(bytes));
    }
    assert_eq!(found(&padded(257, b"ustar")), Some("application/x-tar"));
    assert_eq!(found(&padded(32_769, b"CD001")), Some("application/x-iso9660-image"));
}

#[test]
fn what_only_begins_alike_is_left_open() {
    for bytes in [
        &b""[..],
        b"MZ is a mark",
        b"BMW and others",
        b"\xff\xfb\x90\x64 and no second frame",
        b"From: Ada\nto whom it may concern",
        b"It begins with %PDF-1.4",
        b"Dear all,\nplease find attached",
        b"\0\0\0\0",
    ] {
        assert_eq!(found(bytes), None, "{}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn programs_and_sound_are_told_by_more_than_two_bytes() {
    let mut program = b"MZ".to_vec();
    program.resize(60, 0);
    program.extend(128_u32.to_le_bytes());
    program.resize(128, 0);
    program.extend(b"PE\0\0");
    // 128 kbit/s at 44.1 kHz.
    let frame = [&b"\xff\xfb\x90\x64"[..], &[0; 413]].concat();

    assert_eq!(found(&program), Some("application/vnd.microsoft.portable-executable"));
    assert_eq!(found(&[frame.clone(), frame].concat()), Some("audio/mpeg"));
}

fn zip(names: &[&str]) -> Vec<u8> {
    let file = |name: &&str| [&b"PK\x03\x04"[..], &[0; 26], name.as_bytes()].concat();
    names.iter().flat_map(file).collect()
}

#[test]
fn archives_are_told_by_what_is_in_them() {
    for (names, expected) in [
        (&["[Content_Types].xml", "_rels/.rels", "word/document.xml"][..], "wordprocessingml.document"),
        (&["_rels/.rels", "xl/workbook.xml"], "spreadsheetml.sheet"),
        (&["docProps/app.xml", "ppt/presentation.xml"], "presentationml.presentation"),
        (&["mimetypeapplication/vnd.oasis.opendocument.textPK"], "opendocument.text"),
        (&["META-INF/MANIFEST.MF"], "java-archive"),
        (&["a.txt", "b/word/c"], "application/zip"),
    ] {
        assert!(found(&zip(names)).unwrap().ends_with(expected), "{names:?}");
    }
}

/// A compound file whose directory is in that sector.
fn compound(sector: u32, class: [u8; 4], stream: &str) -> Vec<u8> {
    let mut file = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".to_vec();
    file.resize(30, 0);
    file.extend(9_u16.to_le_bytes());
    file.resize(48, 0);
    file.extend(sector.to_le_bytes());
    file.resize((usize::try_from(sector).unwrap() + 1) * 512 + 80, 0);
    file.extend(class);
    file.resize((usize::try_from(sector).unwrap() + 1) * 512 + 128, 0);
    file.extend(stream.encode_utf16().flat_map(u16::to_le_bytes));
    file.resize(file.len() + 2_000, 0);
    file
}

#[test]
fn compound_files_are_told_by_their_directory_wherever_it_stands() {
    for sector in [0, 1, 500] {
        let word = compound(sector, [0; 4], "WordDocument");
        let message = compound(sector, [0x0b, 0x0d, 0x02, 0x00], "x");
        let other = compound(sector, [0; 4], "x");

        assert_eq!(found(&word), Some("application/msword"));
        assert_eq!(found(&message), Some("application/vnd.ms-outlook"));
        assert_eq!(found(&other), Some("application/x-ole-storage"));
    }
}

#[test]
fn a_claim_is_contradicted_by_what_it_can_not_be() {
    let docx = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
    for (claimed, found, expected) in [
        ("application/pdf", "application/pdf", false),
        ("application/octet-stream", "application/pdf", true),
        ("application/pdf", "application/vnd.microsoft.portable-executable", true),
        ("image/jpg", "image/jpeg", false),
        ("image/png", "image/jpeg", true),
        ("application/x-zip-compressed", "application/zip", false),
        ("application/vnd.apple.pages", "application/zip", false),
        ("application/octet-stream", "application/zip", true),
        ("application/pdf", "application/zip", true),
        ("image/png", "application/zip", true),
        ("application/msword", docx, true),
        (docx, "application/zip", false),
        ("application/vnd.ms-word.document.macroenabled.12", docx, false),
        ("application/vnd.ms-excel", "application/x-ole-storage", false),
        ("text/plain", "text/html", true),
        ("image/svg+xml", "text/xml", false),
        ("text/x-xsl", "text/xml", false),
        ("image/png", "text/xml", true),
    ] {
        assert_eq!(contradicts(claimed, found), expected, "{claimed}, {found}");
    }
}

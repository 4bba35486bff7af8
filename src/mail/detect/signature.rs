//! Files by the bytes that they begin with.

use memchr::memmem;

use crate::mail::detect::{compound, text, zip};

/// Where in a file which bytes stand, and what it is then. The first that fits counts.
const SIGNATURES: [(usize, &[u8], &str); 48] = [
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (0, b"II*\0", "image/tiff"),
    (0, b"MM\0*", "image/tiff"),
    (0, b"8BPS", "image/vnd.adobe.photoshop"),
    (0, b"AC10", "image/vnd.dwg"),
    (40, b" EMF", "image/emf"),
    (0, b"\xd7\xcd\xc6\x9a", "image/wmf"),
    (0, b"PK\x03\x04", zip::MEDIA_TYPE),
    (0, b"PK\x05\x06", zip::MEDIA_TYPE),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", compound::MEDIA_TYPE),
    (0, b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (0, b"Rar!\x1a\x07", "application/vnd.rar"),
    (0, b"\x1f\x8b\x08", "application/gzip"),
    (0, b"BZh", "application/x-bzip2"),
    (0, b"\xfd7zXZ\0", "application/x-xz"),
    (0, b"\x28\xb5\x2f\xfd", "application/zstd"),
    (0, b"MSCF\0\0\0\0", "application/vnd.ms-cab-compressed"),
    (257, b"ustar", "application/x-tar"),
    (32_769, b"CD001", "application/x-iso9660-image"),
    (0, b"\x7fELF", "application/x-executable"),
    (0, b"\xcf\xfa\xed\xfe", "application/x-mach-binary"),
    (0, b"L\0\0\0\x01\x14\x02\0\0\0\0\0\xc0\0\0\0\0\0\0F", "application/x-ms-shortcut"),
    (0, b"\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d\xae\xb1\x53\x78\xd0\x29\x96\xd3", "application/onenote"),
    (0, b"ITSF\x03\0\0\0", "application/vnd.ms-htmlhelp"),
    (0, b"\x78\x9f\x3e\x22", "application/ms-tnef"),
    (0, b"{\\rtf", "application/rtf"),
    (0, b"%!PS", "application/postscript"),
    (0, b"#!/", "text/x-shellscript"),
    (0, b"OggS", "application/ogg"),
    (0, b"fLaC", "audio/flac"),
    (0, b"MThd", "audio/midi"),
    (0, b"#!AMR", "audio/amr"),
    (0, b"ID3\x02", "audio/mpeg"),
    (0, b"ID3\x03", "audio/mpeg"),
    (0, b"ID3\x04", "audio/mpeg"),
    (4, b"ftypqt", "video/quicktime"),
    (4, b"ftypheic", "image/heic"),
    (4, b"ftypheix", "image/heic"),
    (4, b"ftypmif1", "image/heif"),
    (4, b"ftypavif", "image/avif"),
    (4, b"ftypM4A", "audio/mp4"),
    (4, b"ftyp3g", "video/3gpp"),
    (4, b"ftyp", "video/mp4"),
    (4, b"moov", "video/quicktime"),
    (0, b"\x00\x01\x00\x00Standard ", "application/x-msaccess"),
];

/// How far into a file PDF may begin: what readers allow.
const PDF_BYTES: usize = 1024;

/// What a file is that begins like this.
pub(super) fn find(head: &[u8]) -> Option<&'static str> {
    let at = |at: usize, bytes: &[u8]| head.get(at..).is_some_and(|rest| rest.starts_with(bytes));
    let by_signature = SIGNATURES.iter().find(|(place, bytes, _)| at(*place, bytes));
    by_signature
        .map(|&(_, _, found)| found)
        .or_else(|| riff(head))
        .or_else(|| matroska(head))
        .or_else(|| is_bitmap(head).then_some("image/bmp"))
        .or_else(|| is_program(head).then_some("application/vnd.microsoft.portable-executable"))
        .or_else(|| is_mpeg_audio(head).then_some("audio/mpeg"))
        .or_else(|| text::find(head))
        .or_else(|| is_pdf(head).then_some("application/pdf"))
}

fn riff(head: &[u8]) -> Option<&'static str> {
    match (head.starts_with(b"RIFF"), head.get(8..12)?) {
        (true, b"WEBP") => Some("image/webp"),
        (true, b"WAVE") => Some("audio/wav"),
        (true, b"AVI ") => Some("video/x-msvideo"),
        _ => None,
    }
}

fn matroska(head: &[u8]) -> Option<&'static str> {
    let start = head.strip_prefix(b"\x1a\x45\xdf\xa3")?;
    let is_webm = memmem::find(start.get(..64).unwrap_or(start), b"webm").is_some();
    Some(if is_webm { "video/webm" } else { "video/x-matroska" })
}

/// `BM` alone begins many a text.
fn is_bitmap(head: &[u8]) -> bool {
    let is_header_size = |size: &[u8]| matches!(size, [12 | 40 | 52 | 56 | 64 | 108 | 124, 0, 0, 0]);
    head.starts_with(b"BM")
        && head.get(6..10) == Some(&[0; 4])
        && head.get(14..18).is_some_and(is_header_size)
}

/// A program for Windows. `MZ` alone begins many a text.
fn is_program(head: &[u8]) -> bool {
    let offset = head.get(60..64).and_then(|offset| offset.try_into().ok()).map(u32::from_le_bytes);
    let header = offset.and_then(|offset| head.get(usize::try_from(offset).ok()?..));
    head.starts_with(b"MZ")
        && header
            .is_some_and(|header| [&b"PE\0\0"[..], b"NE", b"LE"].iter().any(|mark| header.starts_with(mark)))
}

/// Two frames of MPEG-1 or -2 layer III, one behind the other.
fn is_mpeg_audio(head: &[u8]) -> bool {
    frame_bytes(head).and_then(|bytes| frame_bytes(head.get(bytes..)?)).is_some()
}

/// The length of the frame at the start (ISO 11172-3 §2.4.1.3).
fn frame_bytes(head: &[u8]) -> Option<usize> {
    const KBITS_1: [usize; 16] = [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0];
    const KBITS_2: [usize; 16] = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0];
    let &[0xff, kind, rates, ..] = head else { return None };
    let (kbits, samples, rate_divisor) = match kind & 0xfe {
        0xfa => (KBITS_1, 144_000, 1),
        0xf2 => (KBITS_2, 72_000, 2),
        0xe2 => (KBITS_2, 72_000, 4),
        _ => return None,
    };
    let rate = [44_100, 48_000, 32_000].get(usize::from(rates >> 2 & 3))? / rate_divisor;
    let kbits = *kbits.get(usize::from(rates >> 4)).filter(|kbits| **kbits > 0)?;
    Some(samples * kbits / rate + usize::from(rates >> 1 & 1))
}

fn is_pdf(head: &[u8]) -> bool {
    let head = head.get(..PDF_BYTES).unwrap_or(head);
    let mut marks = memmem::find_iter(head, b"%PDF-");
    marks.any(|at| at.checked_sub(1).is_none_or(|before| matches!(head.get(before), Some(b'\r' | b'\n' | 0))))
}

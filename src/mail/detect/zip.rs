//! What a ZIP archive is by the names in it: documents of Office and OpenDocument, programs, books.

use memchr::memmem;

/// An archive of anything.
pub(super) const MEDIA_TYPE: &str = "application/zip";

const FILE: &[u8] = b"PK\x03\x04";

/// What names in an archive begin with, and what it is then.
const NAMES: [(&[u8], &str); 8] = [
    (b"word/", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    (b"xl/", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    (b"ppt/", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
    (b"visio/", "application/vnd.ms-visio.drawing"),
    (b"AndroidManifest.xml", "application/vnd.android.package-archive"),
    (b"META-INF/MANIFEST.MF", "application/java-archive"),
    (b"doc.kml", "application/vnd.google-earth.kmz"),
    (b"AppxManifest.xml", "application/appx"),
];

/// Formats that say what they are in their first file, which is not compressed (OpenDocument 1.3, part 2 §3.3).
const STORED: [&str; 6] = [
    "application/vnd.oasis.opendocument.text",
    "application/vnd.oasis.opendocument.spreadsheet",
    "application/vnd.oasis.opendocument.presentation",
    "application/vnd.oasis.opendocument.graphics",
    "application/vnd.oasis.opendocument.formula",
    "application/epub+zip",
];

/// What the archive is that begins like this.
pub(super) fn find(head: &[u8]) -> &'static str {
    // Its name is 30 bytes into a file's header.
    if let Some(stored) = head.get(30..).and_then(|name| name.strip_prefix(b"mimetype"))
        && let Some(found) = STORED.iter().find(|name| stored.starts_with(name.as_bytes()))
    {
        return found;
    }
    let mut names = memmem::find_iter(head, FILE).filter_map(|at| head.get(at + 30..));
    let known =
        |name: &[u8]| NAMES.iter().find(|(start, _)| name.starts_with(start)).map(|&(_, found)| found);
    names.find_map(known).unwrap_or(MEDIA_TYPE)
}

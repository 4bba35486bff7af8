//! One mail in a file of its own.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use chrono::{DateTime, FixedOffset};
use memchr::{memchr, memchr_iter, memmem};

use crate::archive::{Broken, Found, Place, unreadable};
use crate::message::Extent;

/// A header is looked for in so many bytes of a mail that is too large to be taken.
pub(super) const MAX_HEADER: u64 = 1024 * 1024;

/// Reads the mail in a file of `bytes` bytes; its header, if those are more than `max_bytes`.
pub(super) fn read(
    path: &Path,
    bytes: u64,
    max_bytes: u64,
    received: Option<DateTime<FixedOffset>>,
) -> Result<Found, Broken> {
    let is_whole = bytes <= max_bytes;
    let taken = if is_whole { max_bytes } else { MAX_HEADER };
    let mut source = Vec::with_capacity(usize::try_from(bytes.min(taken)).unwrap_or(0));
    File::open(path)
        .and_then(|file| file.take(taken).read_to_end(&mut source))
        .map_err(|error| unreadable(path, &error))?;
    found(Place { path: path.to_owned(), number: None }, source, is_whole, bytes, received)
}

/// A mail out of the bytes that were read: all of them, or what is sure to hold its header.
pub(super) fn found(
    place: Place,
    mut bytes: Vec<u8>,
    is_whole: bool,
    span: u64,
    received: Option<DateTime<FixedOffset>>,
) -> Result<Found, Broken> {
    if bytes.is_empty() {
        return Err(Broken { place, reason: "it is empty".to_owned() });
    }
    let extent = if is_whole { Extent::Whole } else { Extent::Header };
    if !is_whole {
        bytes.truncate(header_length(&bytes));
    }
    Ok(Found { place, source: canonical(bytes), extent, span, received })
}

/// How long the header is, the empty line after it counted.
pub(super) fn header_length(bytes: &[u8]) -> usize {
    let unix = memmem::find(bytes, b"\n\n").map(|at| at + 2);
    let canonical = memmem::find(bytes, b"\n\r\n").map(|at| at + 3);
    unix.into_iter().chain(canonical).min().unwrap_or(bytes.len())
}

/// The form of RFC 5322. Only a file in Unix form is changed: in any other, an LF that stands alone is content.
fn canonical(bytes: Vec<u8>) -> Vec<u8> {
    let is_unix = memchr(b'\n', &bytes).is_some_and(|at| bytes.get(at.wrapping_sub(1)) != Some(&b'\r'));
    if !is_unix {
        return bytes;
    }
    let mut canonical = Vec::with_capacity(bytes.len() + memchr_iter(b'\n', &bytes).count());
    for line in bytes.split_inclusive(|&byte| byte == b'\n') {
        match line.strip_suffix(b"\n") {
            Some(text) if !text.ends_with(b"\r") => {
                canonical.extend_from_slice(text);
                canonical.extend_from_slice(b"\r\n");
            }
            _ => canonical.extend_from_slice(line),
        }
    }
    canonical
}

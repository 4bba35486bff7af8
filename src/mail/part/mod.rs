//! The MIME structure of a message (RFC 2045, RFC 2046): its parts, in the order they stand.
//!
//! Parts borrow from the source and are decoded by whoever needs them. Attached messages are not taken
//! apart, so nesting them costs nothing. Ours rather than `mail-parser`'s, which searches the whole rest of
//! a message for every boundary that is missing, decodes every attachment into memory, and overflows the
//! stack on a megabyte of messages in messages.

use std::collections::BTreeSet;

use memchr::{memchr, memmem};

use crate::mail::flowed::Flow;
use crate::mail::header::Header;
use crate::mail::parameter::Parameters;
use crate::mail::transfer::Encoding;
use crate::mail::{Defect, limit, message_id};

/// What a part is by default (RFC 2045 §5.2).
const PLAIN: &str = "text/plain";

/// What it is if its type is nonsense.
const UNKNOWN: &str = "application/octet-stream";

/// One part: a leaf with content, or a multipart with parts.
#[derive(Clone, Default)]
pub(super) struct Part<'a> {
    /// `type/subtype`, lower case.
    pub(super) media_type: String,
    /// The charset parameter, as written.
    pub(super) charset: Option<String>,
    /// How its lines are to be joined, if they are.
    pub(super) flow: Option<Flow>,
    /// Its file name, decoded but as the mail gives it.
    pub(super) filename: Option<String>,
    /// What Content-Disposition says.
    pub(super) disposition: Option<Disposition>,
    /// How `content` is written.
    pub(super) encoding: Encoding,
    /// Content-ID without angle brackets.
    pub(super) content_id: Option<String>,
    /// Content-Location, as written (RFC 2557 §4).
    pub(super) location: Option<String>,
    /// Whether it was in a `winmail.dat`.
    pub(super) from_tnef: bool,
    /// What follows the part's header, still encoded.
    pub(super) content: &'a [u8],
    /// The parts of a multipart, as indices into all parts. Empty for a leaf.
    pub(super) children: Vec<usize>,
}

impl Part<'_> {
    /// Whether it has content of its own, in whatever it is packed.
    pub(super) fn is_leaf(&self) -> bool {
        self.children.is_empty() || !self.media_type.starts_with("multipart/")
    }
}

/// How a part is meant to be shown (RFC 2183).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Disposition {
    Inline,
    /// `attachment`, or anything unknown (RFC 2183 §2.8).
    Attachment,
}

/// Takes a message apart. Part 0 is the message; a multipart stands before its parts. A part's index
/// depends on the source alone, as it must: it is stored with an attachment to find it again.
pub(super) fn parts<'a>(
    header: &Header<'a>,
    body: &'a [u8],
    defects: &mut BTreeSet<Defect>,
) -> Vec<Part<'a>> {
    let mut parts = Vec::new();
    graft(&mut parts, header, body, defects);
    parts
}

/// Takes apart what was packed into one of `parts`, and puts it behind them. Where its root stands.
pub(super) fn graft<'a>(
    parts: &mut Vec<Part<'a>>,
    header: &Header<'a>,
    body: &'a [u8],
    defects: &mut BTreeSet<Defect>,
) -> usize {
    let budget = limit::LEVELS_BYTES.max(limit::LEVELS.saturating_mul(body.len()));
    Splitter { parts, budget, lines: limit::DASHED_LINES, defects }.add(header, body, PLAIN, 0)
}

/// A message's own type, and what kind of report it says to be (RFC 6522), in lower case.
pub(super) fn report_type(header: &Header<'_>) -> (String, Option<String>) {
    let content_type = header.first("Content-Type").and_then(|field| Parameters::read(&field));
    let report_type = content_type.as_ref().and_then(|content_type| content_type.attribute("report-type"));
    (media_type(content_type.as_ref()), report_type.map(|value| value.to_lowercase()))
}

struct Splitter<'a, 'd> {
    parts: &'d mut Vec<Part<'a>>,
    /// How many more bytes are searched for delimiters.
    budget: usize,
    /// How many more lines that may be delimiters are looked at.
    lines: usize,
    defects: &'d mut BTreeSet<Defect>,
}

impl<'a> Splitter<'a, '_> {
    /// Adds a part and all below it; gives its index. Recursion ends at [`limit::DEPTH`].
    fn add(&mut self, header: &Header<'a>, content: &'a [u8], default_type: &str, depth: usize) -> usize {
        let index = self.parts.len();
        let (part, boundary) = leaf(header, content, default_type);
        let is_multipart = part.media_type.starts_with("multipart/");
        let child_type = if part.media_type == "multipart/digest" { "message/rfc822" } else { PLAIN };
        self.parts.push(part);
        if !is_multipart {
            return index;
        }
        let Some(budget) = self.budget.checked_sub(content.len()).filter(|_| depth < limit::DEPTH) else {
            self.defects.insert(Defect::TooDeep);
            return index;
        };
        self.budget = budget;
        let (sections, closed) = sections(content, boundary.as_deref().unwrap_or_default(), &mut self.lines);
        if self.lines == 0 {
            self.defects.insert(Defect::TooMany);
        }
        if !closed {
            self.defects.insert(Defect::BrokenStructure);
        }
        // A multipart without a part is text that claims to be one.
        if let (true, Some(part)) = (sections.is_empty(), self.parts.get_mut(index)) {
            PLAIN.clone_into(&mut part.media_type);
        }
        let mut children = Vec::new();
        for section in sections {
            if self.parts.len() >= limit::PARTS {
                self.defects.insert(Defect::TooMany);
                break;
            }
            let (header, content) = Header::split(section);
            children.push(self.add(&header, content, child_type, depth + 1));
        }
        if let Some(part) = self.parts.get_mut(index) {
            part.children = children;
        }
        index
    }
}

/// Reads a part as a leaf; beside it, the boundary if it has one.
fn leaf<'a>(header: &Header<'a>, content: &'a [u8], default_type: &str) -> (Part<'a>, Option<String>) {
    let content_type = header.first("Content-Type").map(|field| Parameters::read(&field));
    let disposition = header.first("Content-Disposition").and_then(|field| Parameters::read(&field));
    let filename = disposition
        .as_ref()
        .and_then(|disposition| disposition.attribute("filename"))
        .or_else(|| content_type.as_ref()?.as_ref()?.attribute("name"));
    let attribute = |name: &str| content_type.as_ref()?.as_ref()?.attribute(name);
    let part = Part {
        media_type: match &content_type {
            None => default_type.to_owned(),
            Some(content_type) => media_type(content_type.as_ref()),
        },
        charset: attribute("charset"),
        flow: Flow::of(attribute("format").as_deref(), attribute("delsp").as_deref()),
        filename,
        disposition: disposition.map(|disposition| match disposition.kind() {
            "inline" => Disposition::Inline,
            _ => Disposition::Attachment,
        }),
        encoding: header
            .first("Content-Transfer-Encoding")
            .map_or(Encoding::Identity, |field| Encoding::parse(&field.text())),
        content_id: header.first("Content-ID").and_then(|field| message_id::ids(&field.text()).next()),
        location: header
            .first("Content-Location")
            .map(|field| field.text().trim().to_owned())
            .filter(|location| (1..=limit::ID_BYTES).contains(&location.len())),
        from_tnef: false,
        content,
        children: Vec::new(),
    };
    let boundary = attribute("boundary").filter(|boundary| !boundary.is_empty());
    (part, boundary)
}

fn media_type(content_type: Option<&Parameters>) -> String {
    let Some(content_type) = content_type else { return PLAIN.to_owned() };
    match (content_type.kind(), content_type.subtype()) {
        ("text" | "", None) => PLAIN.to_owned(),
        (main, Some(sub)) if is_token(main) && is_token(sub) => format!("{main}/{sub}"),
        _ => UNKNOWN.to_owned(),
    }
}

/// The type that stands somewhere else than in a header.
pub(super) fn media_type_of(text: &str) -> String {
    match text.trim().split_once('/') {
        Some((main, sub)) if is_token(main) && is_token(sub) => text.trim().to_ascii_lowercase(),
        _ => UNKNOWN.to_owned(),
    }
}

/// RFC 6838 §4.2.
fn is_token(text: &str) -> bool {
    (1..=127).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
}

/// The sections of a multipart's content between its delimiters (RFC 2046 §5.1.1), and whether there was a
/// closing one. Text before the first and behind the last belongs to nobody.
///
/// A delimiter behind the closing one opens a section again: some programs give a multipart and one of its
/// parts the same boundary.
fn sections<'a>(content: &'a [u8], boundary: &str, lines: &mut usize) -> (Vec<&'a [u8]>, bool) {
    let mut sections = Vec::new();
    let mut open: Option<usize> = None;
    let mut closed = false;
    for delimiter in delimiters(content, boundary, lines) {
        if let Some(start) = open {
            sections.push(content.get(start..delimiter.start).unwrap_or_default());
        }
        closed = delimiter.closes;
        open = (!closed).then_some(delimiter.end);
        if sections.len() > limit::PARTS {
            return (sections, true);
        }
    }
    if let Some(start) = open {
        sections.push(content.get(start..).unwrap_or_default());
    }
    (sections, closed)
}

/// A delimiter line.
struct Delimiter {
    /// Where the line break before it starts, which belongs to it.
    start: usize,
    /// Where the line after it starts.
    end: usize,
    /// Whether it is the last.
    closes: bool,
}

fn delimiters(content: &[u8], boundary: &str, lines: &mut usize) -> impl Iterator<Item = Delimiter> {
    let finder = memmem::Finder::new(b"\n--");
    let mut dashes = content.starts_with(b"--").then_some(0);
    let mut from = 0;
    std::iter::from_fn(move || {
        loop {
            if boundary.is_empty() {
                return None;
            }
            let line = match dashes.take() {
                Some(line) => line,
                None => from + finder.find(content.get(from..)?)? + 1,
            };
            from = line;
            *lines = lines.checked_sub(1)?;
            if let Some(delimiter) = delimiter(content, line, boundary) {
                // The line break behind it may be the one before the next.
                from = delimiter.end.saturating_sub(1).max(line);
                return Some(delimiter);
            }
        }
    })
}

/// The delimiter at the start of the line at `line`, if that is one: nothing but white space follows it.
fn delimiter(content: &[u8], line: usize, boundary: &str) -> Option<Delimiter> {
    let rest = content.get(line + 2..)?.strip_prefix(boundary.as_bytes())?;
    let length = memchr(b'\n', rest).map_or(rest.len(), |i| i + 1);
    let tail = rest.get(..length)?.trim_ascii_end();
    if !matches!(tail, b"" | b"--") {
        return None;
    }
    let before = content.get(..line)?;
    let break_length =
        [&b"\r\n"[..], b"\n"].iter().find(|end| before.ends_with(end)).map_or(0, |end| end.len());
    Some(Delimiter {
        start: line - break_length,
        end: content.len() - rest.len() + length,
        closes: tail == b"--",
    })
}

#[cfg(test)]
mod tests;

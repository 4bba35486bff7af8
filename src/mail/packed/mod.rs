//! What is packed into a part by other means than MIME, taken out as parts of its own.
//!
//! ```text
//! open ─► tnef                       winmail.dat
//!      ─► smime                      smime.p7m, if it is only signed
//!      ─► text ─► clear_signed       text signed by OpenPGP
//!              └► uuencode           files among the lines of a text
//! ```
//!
//! Invariant: what is taken out stands behind the message's own parts, in the order in which it was found. So the index
//! of a part depends on the source alone, and that of one by MIME not on what is packed into others.
//!
//! Invariant: a part that can't be taken apart stays what it was, an attachment or a text; one that can't be taken apart
//! as a whole stays beside what came out of it.

mod clear_signed;
mod smime;
mod text;
mod unpacked;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest as _, Sha256};

use crate::mail::body::{self, Body};
use crate::mail::charset::Decoded;
use crate::mail::header::Header;
use crate::mail::part::{Disposition, Part};
use crate::mail::transfer::Encoding;
use crate::mail::{Calendar, Defect, Protection, charset, filename, fingerprint, limit, part, tnef};

use smime::Cms;
use text::Piece;

pub(super) use unpacked::Unpacked;

/// A message's parts, with what was packed into them.
pub(super) struct Opened<'a> {
    /// All parts: the message's own, and behind them those that were packed.
    pub(super) parts: Vec<Part<'a>>,
    /// How many are the message's own.
    pub(super) own: usize,
    /// Parts that what was in them stands for: they are no attachments.
    pub(super) replaced: BTreeSet<usize>,
    /// Texts that were taken apart, and what stands for each in the fingerprint: what did while it was one text.
    pub(super) texts: BTreeMap<usize, [u8; 32]>,
    /// The body that a `winmail.dat` brings, as a multipart and its parts. Empty if there is none.
    pub(super) body: Vec<Part<'a>>,
    /// The meeting that a `winmail.dat` is about.
    pub(super) calendar: Option<Calendar>,
    /// How the mail is protected.
    pub(super) protection: Option<Protection>,
}

/// Takes out what is packed into `parts`, and into what comes out of them, as far as [`limit::PACKED_DEPTH`].
pub(super) fn open<'a>(
    parts: Vec<Part<'a>>,
    unpacked: &'a Unpacked,
    defects: &mut BTreeSet<Defect>,
) -> Opened<'a> {
    let mut opened = Opened {
        own: parts.len(),
        parts,
        replaced: BTreeSet::new(),
        texts: BTreeMap::new(),
        body: Vec::new(),
        calendar: None,
        protection: None,
    };
    let mut from = 0;
    for _ in 0..limit::PACKED_DEPTH {
        let to = opened.parts.len();
        for index in from..to {
            opened.open(index, unpacked, defects);
        }
        from = to;
    }
    opened.protection = opened.protection.max(Protection::of(&opened.parts));
    opened
}

impl<'a> Opened<'a> {
    /// Parts with content of their own: all but multiparts, and texts that were taken apart.
    pub(super) fn leaves(&self) -> impl Iterator<Item = (usize, &Part<'a>)> {
        let is_leaf = |index: usize, part: &Part<'_>| part.is_leaf() && !self.texts.contains_key(&index);
        self.parts.iter().enumerate().filter(move |(index, part)| is_leaf(*index, part))
    }

    /// Gives `body` what it lacks and a `winmail.dat` brings: the HTML, and the text if it says much more than the one
    /// beside it, which may be that of a mailing list. Mostly both say the same.
    pub(super) fn complete(&self, body: &mut Body, defects: &mut BTreeSet<Defect>) {
        if self.body.is_empty() {
            return;
        }
        let packed = body::read(&self.body, defects);
        let weight = |text: &str| text.chars().filter(|char| !char.is_whitespace()).count();
        let says_more = weight(&packed.text) > 2 * weight(&body.text);
        if says_more || body.html.is_none() {
            body.outline = packed.outline;
        }
        if says_more {
            let beside = std::mem::replace(&mut body.text, packed.text);
            body.is_from_html = packed.is_from_html;
            if !beside.trim().is_empty() {
                body.is_from_html = false;
                body.text.push('\n');
                body.text.push_str(&beside);
            }
            if limit::cut(&mut body.text, limit::TEXT_BYTES) {
                defects.insert(Defect::TooLong);
            }
        }
        if body.html.is_none() {
            body.html = packed.html;
            body.references.extend(packed.references);
        }
    }

    /// What stands for the texts of the message in its fingerprint.
    pub(super) fn digests(&self, body: &Body) -> Vec<[u8; 32]> {
        let read = body.parts.iter().copied().zip(body.digests.iter().copied());
        let mut digests = self.texts.clone();
        digests.extend(read.filter(|(index, _)| *index < self.own));
        digests.into_values().collect()
    }

    fn open(&mut self, index: usize, unpacked: &'a Unpacked, defects: &mut BTreeSet<Defect>) {
        let Some(part) = self.parts.get(index).filter(|part| part.children.is_empty()) else { return };
        if is_tnef(part) {
            self.open_tnef(index, unpacked, defects);
        } else if is_smime(part, index) {
            self.open_smime(index, unpacked, defects);
        } else if is_plain_text(part) {
            self.open_text(index, unpacked, defects);
        }
    }

    fn open_tnef(&mut self, index: usize, unpacked: &'a Unpacked, defects: &mut BTreeSet<Defect>) {
        let Some(bytes) = self.bytes(index, unpacked) else { return };
        let Some(mut tnef) = tnef::read(bytes, unpacked) else {
            defects.insert(Defect::BrokenContainer);
            return;
        };
        if !tnef.is_whole {
            defects.insert(Defect::BrokenContainer);
        }
        let is_attached = self.parts.get(index).is_some_and(|part| part.from_tnef);
        if is_attached || !self.body.is_empty() {
            // A body that is not the mail's is a file among its files.
            let body = tnef.body.pop().and_then(|body| as_file(&body, &tnef.subject, unpacked));
            tnef.files.splice(..0, body);
        } else if !tnef.body.is_empty() {
            let children = (1..=tnef.body.len()).collect();
            let media_type = "multipart/alternative".to_owned();
            self.body = vec![Part { media_type, children, ..Part::default() }];
            self.body.extend(tnef.body);
        }
        if !is_attached {
            self.calendar = self.calendar.take().or(tnef.calendar);
        }
        let room = limit::PARTS.saturating_sub(self.parts.len());
        if unpacked.is_full() || tnef.files.len() > room {
            defects.insert(Defect::TooMany);
        } else if tnef.is_whole {
            self.replaced.insert(index);
        }
        for part in tnef.files {
            self.push(part, defects);
        }
    }

    fn open_smime(&mut self, index: usize, unpacked: &'a Unpacked, defects: &mut BTreeSet<Defect>) {
        let Some(bytes) = self.bytes(index, unpacked) else { return };
        let (content, whole) = match smime::read(bytes) {
            Cms::Signed { content: Some(content), whole } => (content, whole),
            Cms::Encrypted => {
                self.protection = self.protection.max(Some(Protection::SmimeEncrypted));
                return;
            }
            Cms::Signed { content: None, .. } | Cms::Other => return,
        };
        let content = match content {
            Cow::Borrowed(content) => content,
            Cow::Owned(content) => match unpacked.keep(content) {
                Some(content) => content,
                None => return,
            },
        };
        let (header, body) = Header::split(content);
        // Anything may be signed, and a signed invoice is a file.
        if header.first("Content-Type").is_none() || self.parts.len() >= limit::PARTS {
            return;
        }
        if whole {
            self.replaced.insert(index);
        } else {
            defects.insert(Defect::BrokenContainer);
        }
        self.protection = self.protection.max(Some(Protection::SmimeSigned));
        let root = part::graft(&mut self.parts, &header, body, defects);
        self.adopt(index, vec![root]);
    }

    fn open_text(&mut self, index: usize, unpacked: &'a Unpacked, defects: &mut BTreeSet<Defect>) {
        let Some(whole) = self.parts.get(index).cloned() else { return };
        let bytes = match text::candidate(&whole) {
            None => return,
            Some(Cow::Borrowed(bytes)) => bytes,
            Some(Cow::Owned(bytes)) => match unpacked.keep(bytes) {
                Some(bytes) => bytes,
                None => return,
            },
        };
        // A signed text becomes three parts, what stood before it counted, and one is kept.
        let room = limit::PARTS.saturating_sub(self.parts.len() + 1) / 3;
        let text::Pieces { pieces, is_encrypted } = text::pieces(bytes, room.min(unpacked.room()));
        if is_encrypted {
            self.protection = self.protection.max(Some(Protection::PgpEncrypted));
        }
        if pieces.is_empty() {
            return;
        }
        self.texts.insert(index, text_identity(bytes, whole.charset.as_deref()));
        let text = |content| Part { content, encoding: Encoding::Identity, ..whole.clone() };
        let file = |media_type: &str, content| Part {
            media_type: media_type.to_owned(),
            disposition: Some(Disposition::Attachment),
            content,
            ..Part::default()
        };
        let mut children = Vec::new();
        for piece in pieces {
            match piece {
                Piece::Text(content) => children.extend(self.push(text(content), defects)),
                Piece::File(found) => {
                    let name = charset::decode(found.name.into(), whole.charset.as_deref()).text;
                    children.extend(self.push(
                        Part {
                            filename: Some(name.into_owned()),
                            encoding: Encoding::Uuencode,
                            ..file("application/octet-stream", found.content)
                        },
                        defects,
                    ));
                }
                Piece::Signed(signed) => {
                    self.protection = self.protection.max(Some(Protection::PgpSigned));
                    if let Some(content) = unpacked.keep(signed.text) {
                        children.extend(self.push(text(content), defects));
                    }
                    let signature = file("application/pgp-signature", signed.signature);
                    children.extend(self.push(signature, defects));
                }
            }
        }
        self.adopt(index, children);
    }

    /// The decoded bytes of a part. `None` if there is no place left for them.
    fn bytes(&self, index: usize, unpacked: &'a Unpacked) -> Option<&'a [u8]> {
        let part = self.parts.get(index)?;
        match part.encoding.bytes(part.content).0 {
            Cow::Borrowed(bytes) => Some(bytes),
            Cow::Owned(bytes) => unpacked.keep(bytes),
        }
    }

    /// Puts a part behind the others, if there is room for it. Where it stands.
    fn push(&mut self, part: Part<'a>, defects: &mut BTreeSet<Defect>) -> Option<usize> {
        if self.parts.len() >= limit::PARTS {
            defects.insert(Defect::TooMany);
            return None;
        }
        self.parts.push(part);
        Some(self.parts.len() - 1)
    }

    /// Makes a multipart of a part that was taken apart.
    fn adopt(&mut self, index: usize, children: Vec<usize>) {
        if let Some(part) = self.parts.get_mut(index) {
            part.children = children;
        }
    }
}

/// The body of an attached message as a file in UTF-8.
fn as_file<'a>(body: &Part<'a>, title: &str, unpacked: &'a Unpacked) -> Option<Part<'a>> {
    let extension = if body.media_type == "text/html" { "html" } else { "txt" };
    let name = filename::titled(title, extension).unwrap_or_else(|| format!("message.{extension}"));
    let text = charset::decode(body.content.into(), body.charset.as_deref()).text;
    let content = match text {
        Cow::Borrowed(text) => text.as_bytes(),
        Cow::Owned(text) => unpacked.keep(text.into_bytes())?,
    };
    let disposition = Some(Disposition::Attachment);
    Some(Part {
        charset: Some("utf-8".to_owned()),
        filename: Some(name),
        disposition,
        content,
        ..body.clone()
    })
}

fn is_tnef(part: &Part<'_>) -> bool {
    matches!(part.media_type.as_str(), tnef::MEDIA_TYPE | "application/vnd.ms-tnef")
        || part.filename.as_deref().is_some_and(|name| name.eq_ignore_ascii_case("winmail.dat"))
}

/// Whether a part is a mail in S/MIME rather than some file that was signed.
fn is_smime(part: &Part<'_>, index: usize) -> bool {
    let is_named = part.filename.as_deref().is_some_and(|name| name.eq_ignore_ascii_case("smime.p7m"));
    let is_typed = matches!(part.media_type.as_str(), "application/pkcs7-mime" | "application/x-pkcs7-mime");
    is_named || is_typed && (index == 0 || part.filename.is_none())
}

fn is_plain_text(part: &Part<'_>) -> bool {
    part.media_type == "text/plain"
        && part.disposition != Some(Disposition::Attachment)
        && part.filename.is_none()
}

fn text_identity(bytes: &[u8], charset: Option<&str>) -> [u8; 32] {
    let Decoded { text, faithful, .. } = charset::decode(bytes.into(), charset);
    if faithful { fingerprint::text(&text) } else { Sha256::digest(bytes).into() }
}

#[cfg(test)]
mod tests;

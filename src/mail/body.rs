//! The body of a mail: which parts it is, its text, and its HTML.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest as _, Sha256};

use crate::mail::charset::{Charset, Decoded};
use crate::mail::html::Outline;
use crate::mail::part::{Disposition, Part};
use crate::mail::reference::References;
use crate::mail::{Defect, charset, fingerprint, flowed, html, limit};

/// What a person reads.
#[derive(Default)]
pub(super) struct Body {
    /// The text, with LF line ends.
    pub(super) text: String,
    /// Whether the text was made from the HTML.
    pub(super) is_from_html: bool,
    /// The HTML as text, with what its elements say about it, if there is any.
    pub(super) outline: Option<Outline>,
    /// The HTML, sanitised, if there is any and it can be shown.
    pub(super) html: Option<String>,
    /// Every part that is in it, in order.
    pub(super) parts: Vec<usize>,
    /// What stands for each part in the fingerprint.
    pub(super) digests: Vec<[u8; 32]>,
    /// What its HTML refers to among the other parts.
    pub(super) references: References,
}

/// Reads the body out of a message's parts.
pub(super) fn read(parts: &[Part<'_>], defects: &mut BTreeSet<Defect>) -> Body {
    let chosen = Choice::of(parts);
    let mut body = Body::default();
    let mut budget = limit::BODY_BYTES;
    let mut texts = BTreeMap::new();
    for index in chosen.all(parts) {
        if let Some(part) = parts.get(index) {
            let (text, digest) = decode(part, &mut budget, defects);
            body.parts.push(index);
            body.digests.push(digest);
            let is_html = part.media_type == "text/html";
            let text = match part.flow {
                Some(flow) if !is_html => flowed::join(&text, flow).into(),
                _ => text,
            };
            texts.insert(index, Section { text, is_html });
        }
    }
    for section in texts.values().filter(|section| section.is_html) {
        body.references.add(&section.text, parts);
    }
    let sections =
        |indices: &[usize]| indices.iter().filter_map(|index| texts.get(index)).collect::<Vec<_>>();
    let (in_text, in_html) = (sections(&chosen.text), sections(&chosen.html));
    body.html = whole_html(in_html.iter().copied(), defects);
    body.outline = in_html.iter().any(|section| section.is_html).then(|| outline(&in_html));
    body.text = match &body.outline {
        // Taken apart once only.
        Some(outline) if chosen.text == chosen.html => {
            body.is_from_html = true;
            outline.text.clone()
        }
        _ => outline(&in_text).text,
    };
    // Some programs send an empty text beside the HTML.
    if let Some(outline) = body.outline.as_ref().filter(|_| body.text.trim().is_empty()) {
        body.is_from_html = true;
        body.text.clone_from(&outline.text);
    }
    if limit::cut(&mut body.text, limit::TEXT_BYTES) {
        defects.insert(Defect::TooLong);
    }
    body
}

/// One part of the body, decoded.
struct Section<'a> {
    text: Cow<'a, str>,
    is_html: bool,
}

/// Which parts are shown as text and which as HTML: the algorithm of JMAP (RFC 8621 §4.1.4).
#[derive(Default)]
pub(super) struct Choice {
    pub(super) text: Vec<usize>,
    pub(super) html: Vec<usize>,
}

impl Choice {
    pub(super) fn of(parts: &[Part<'_>]) -> Self {
        let mut choice = Self::default();
        choice.walk(parts, &[0], "multipart/mixed", Walk { in_alternative: false, text: true, html: true });
        choice
    }

    /// Every chosen part, in order.
    fn all(&self, parts: &[Part<'_>]) -> BTreeSet<usize> {
        let is_text = |index: &&usize| parts.get(**index).is_some_and(|part| is_text(&part.media_type));
        self.text.iter().chain(&self.html).filter(is_text).copied().collect()
    }

    /// Chooses among the parts of one multipart. Recursion ends where taking the message apart ended.
    fn walk(&mut self, parts: &[Part<'_>], children: &[usize], parent: &str, mut walk: Walk) {
        let (text_before, html_before) = (self.text.len(), self.html.len());
        let sides_differ = parent == "multipart/alternative";
        for (position, &index) in children.iter().enumerate() {
            let Some(part) = parts.get(index) else { continue };
            let media_type = part.media_type.as_str();
            if !part.children.is_empty() {
                let in_alternative = walk.in_alternative || media_type == "multipart/alternative";
                self.walk(parts, &part.children, media_type, Walk { in_alternative, ..walk });
            } else if is_shown(part, parent, position) {
                if sides_differ {
                    match media_type {
                        "text/plain" => self.text.push(index),
                        "text/html" => self.html.push(index),
                        _ => {}
                    }
                    continue;
                }
                // Beside an alternative of the other kind, this is one side of it and not both.
                if walk.in_alternative {
                    walk.html &= media_type != "text/plain";
                    walk.text &= media_type != "text/html";
                }
                if walk.text {
                    self.text.push(index);
                }
                if walk.html {
                    self.html.push(index);
                }
            }
        }
        // An alternative with one side only stands for both.
        if sides_differ && walk.text && walk.html {
            let (text_new, html_new) = (self.text.len() > text_before, self.html.len() > html_before);
            if html_new && !text_new {
                self.text.extend_from_slice(self.html.get(html_before..).unwrap_or_default());
            }
            if text_new && !html_new {
                self.html.extend_from_slice(self.text.get(text_before..).unwrap_or_default());
            }
        }
    }
}

/// Where a walk is, and which sides are still open to it.
#[derive(Clone, Copy)]
struct Walk {
    in_alternative: bool,
    text: bool,
    html: bool,
}

fn is_text(media_type: &str) -> bool {
    matches!(media_type, "text/plain" | "text/html")
}

/// Whether a part is shown in the flow of the body rather than listed below it.
fn is_shown(part: &Part<'_>, parent: &str, position: usize) -> bool {
    let is_medium = ["image/", "audio/", "video/"].iter().any(|kind| part.media_type.starts_with(kind));
    part.disposition != Some(Disposition::Attachment)
        && (is_text(&part.media_type) || is_medium)
        && (position == 0 || parent != "multipart/related" && (is_medium || part.filename.is_none()))
}

/// Decodes a part of the body, as far as the budget goes; beside its text, what stands for it in the fingerprint: its
/// bytes, where not all of them are text, for then other bytes would give the same text.
fn decode<'a>(
    part: &Part<'a>,
    budget: &mut usize,
    defects: &mut BTreeSet<Defect>,
) -> (Cow<'a, str>, [u8; 32]) {
    let content = part.content.get(..*budget).unwrap_or(part.content);
    *budget -= content.len();
    if content.len() < part.content.len() {
        defects.insert(Defect::TooLong);
    }
    let (bytes, sound) = part.encoding.bytes(content);
    if !sound {
        defects.insert(Defect::BrokenEncoding);
    }
    let named = part.charset.as_deref().and_then(Charset::of);
    let is_silent = named.is_none() && part.media_type == "text/html";
    let declared = is_silent.then(|| html::declared_charset(&bytes)).flatten();
    let charset = named.or_else(|| Charset::of(declared.as_deref()?));
    let Decoded { text, faithful, guessed } = charset::decode_as(bytes, charset);
    if guessed {
        defects.insert(Defect::CharsetGuessed);
    }
    // A text that was cut may end inside a character.
    if !faithful && content.len() == part.content.len() {
        defects.insert(Defect::BrokenCharset);
    }
    let digest = if faithful {
        fingerprint::text(&text)
    } else {
        Sha256::digest(part.encoding.bytes(content).0).into()
    };
    (text, digest)
}

/// Sections as one text.
fn outline(sections: &[&Section<'_>]) -> Outline {
    let mut whole = Outline::default();
    for section in sections {
        if !whole.text.is_empty() && !whole.text.ends_with('\n') {
            whole.text.push('\n');
        }
        if section.is_html {
            whole.append(html::outline(&section.text));
        } else {
            let mut lines = Outline::default();
            push_lines(&mut lines.text, &section.text);
            whole.append(lines);
        }
    }
    whole
}

/// Appends `text` with LF line ends and without a byte order mark.
fn push_lines(whole: &mut String, text: &str) {
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    while let Some((line, tail)) = rest.split_once('\r') {
        whole.push_str(line);
        whole.push('\n');
        rest = tail.strip_prefix('\n').unwrap_or(tail);
    }
    whole.push_str(rest);
}

fn whole_html<'s>(
    sections: impl Iterator<Item = &'s Section<'s>> + Clone,
    defects: &mut BTreeSet<Defect>,
) -> Option<String> {
    if !sections.clone().any(|section| section.is_html) {
        return None;
    }
    let size: usize = sections.clone().map(|section| section.text.len()).sum();
    let whole = (size <= limit::HTML_BYTES).then(|| {
        let mut whole = String::new();
        for section in sections {
            if section.is_html {
                whole.push_str(&html::sanitise(&section.text)?);
            } else if !section.text.trim().is_empty() {
                whole.push_str(&html::from_text(&section.text));
            }
        }
        Some(whole)
    });
    let whole = whole.flatten().filter(|whole| whole.len() <= limit::HTML_BYTES);
    if whole.is_none() {
        defects.insert(Defect::HtmlTooComplex);
    }
    whole
}

//! Which parts of a mail its HTML refers to: by Content-ID (RFC 2392) or by Content-Location (RFC 2557).

use std::collections::HashSet;

use crate::mail::part::Part;
use crate::mail::{html, limit};

/// What HTML refers to.
#[derive(Default)]
pub(super) struct References {
    ids: HashSet<String>,
    locations: HashSet<String>,
}

impl References {
    /// Adds what this HTML refers to among `parts`.
    pub(super) fn add(&mut self, html: &str, parts: &[Part<'_>]) {
        self.ids.extend(html::content_ids(html).take(limit::PARTS));
        let locations: HashSet<&str> = parts.iter().filter_map(|part| part.location.as_deref()).collect();
        if locations.is_empty() {
            return;
        }
        let is_end = |char: char| char.is_whitespace() || "\"'()<>".contains(char);
        for word in html.split(is_end).filter(|word| word.len() <= limit::PARAMETER_BYTES) {
            let word = word.replace("&amp;", "&");
            // Without quotes an attribute's name stands before it.
            let value = word.split_once('=').map_or("", |(_, value)| value);
            let named = [word.as_str(), value].into_iter().find(|word| locations.contains(word));
            self.locations.extend(named.map(str::to_owned));
        }
    }

    /// Takes over what other HTML refers to.
    pub(super) fn extend(&mut self, other: Self) {
        self.ids.extend(other.ids);
        self.locations.extend(other.locations);
    }

    /// Whether the HTML refers to this part.
    pub(super) fn name(&self, part: &Part<'_>) -> bool {
        part.content_id.as_ref().is_some_and(|id| self.ids.contains(id))
            || part.location.as_ref().is_some_and(|location| self.locations.contains(location))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(id: &str, location: &str) -> Part<'static> {
        let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        Part { content_id: some(id), location: some(location), ..Part::default() }
    }

    #[test]
    fn parts_are_referred_to_by_id_and_by_location() {
        let parts = [
            part("a@x", ""),
            part("", "b.png"),
            part("", "http://example.com/c.png?d&e"),
            part("f@x", "g.png"),
            part("", "h.png"),
        ];
        let html = "<img src=\"cid:a@x\"><img src=b.png><td background='http://example.com/c.png?d&amp;e'>\
                    <p style=\"background: url(g.png)\">not h.pngs";
        let mut references = References::default();

        references.add(html, &parts);

        assert_eq!(parts.each_ref().map(|part| references.name(part)), [true, true, true, true, false]);
    }
}

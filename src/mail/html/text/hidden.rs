//! An element whose content is not shown, followed tag by tag to its end.

use std::collections::HashMap;

use html5ever::tokenizer::Tag;
use html5ever::{LocalName, local_name};

/// Elements without content and end tag.
const VOID: [&str; 14] = [
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track",
    "wbr",
];

/// Whether an element of that name holds nothing but text that nobody sees, whatever that looks like.
pub(super) fn holds_text(name: &str) -> bool {
    matches!(name, "iframe" | "noembed" | "noframes" | "script" | "style" | "textarea" | "title" | "xmp")
}

/// Whether an element of that name holds others, and nobody sees them.
pub(super) fn holds_unseen(name: &str) -> bool {
    matches!(name, "audio" | "object" | "select" | "svg" | "template" | "video" | "xml")
}

/// A hidden element that is open.
pub(super) struct Hidden {
    name: LocalName,
    /// How many elements of that name are open in it, itself counted.
    depth: usize,
    /// The other elements that are open in it.
    open: HashMap<LocalName, usize>,
}

impl Hidden {
    /// The element of this tag, if it can have content.
    pub(super) fn element(tag: &Tag) -> Option<Self> {
        (!is_void(&tag.name)).then(|| Self { name: tag.name.clone(), depth: 1, open: HashMap::new() })
    }

    /// Whether what is hidden could be shown.
    pub(super) fn is_seeable(&self) -> bool {
        !holds_text(&self.name)
    }

    /// Follows a start tag; whether it ends the element, and is shown.
    pub(super) fn is_ended_by_start(&mut self, name: &LocalName) -> bool {
        let is_outside = |container: &LocalName| self.open.get(container).is_none_or(|&open| open == 0);
        let outside_table = is_outside(&local_name!("table"));
        // HTML §13.1.2.4: the end tags of these may be left out.
        let ends = match &*self.name {
            "p" => ends_paragraph(name),
            "li" => {
                *name == local_name!("li") && is_outside(&local_name!("ul")) && is_outside(&local_name!("ol"))
            }
            "td" | "th" => matches!(&**name, "td" | "th" | "tr" | "tbody") && outside_table,
            "tr" => matches!(&**name, "tr" | "tbody") && outside_table,
            _ => false,
        };
        if !ends && *name == self.name {
            self.depth += 1;
        } else if !ends && !is_void(name) {
            *self.open.entry(name.clone()).or_default() += 1;
        }
        ends
    }

    /// Follows an end tag; whether it ends the element, and whether it is the end of one around it.
    pub(super) fn is_ended_by_end(&mut self, name: &LocalName) -> Option<EndsAround> {
        if *name == self.name {
            self.depth -= 1;
            return (self.depth == 0).then_some(EndsAround(false));
        }
        match self.open.get_mut(name) {
            Some(open) if *open > 0 => {
                *open -= 1;
                None
            }
            // What is open around an element ends after it.
            _ => is_container(name).then_some(EndsAround(true)),
        }
    }
}

/// Whether an end tag is that of an element around the hidden one.
pub(super) struct EndsAround(pub(super) bool);

fn is_void(name: &str) -> bool {
    VOID.contains(&name)
}

/// Elements whose end tag ends all that is open in them.
fn is_container(name: &str) -> bool {
    matches!(
        name,
        "article"
            | "blockquote"
            | "body"
            | "center"
            | "div"
            | "fieldset"
            | "footer"
            | "form"
            | "header"
            | "html"
            | "li"
            | "main"
            | "ol"
            | "section"
            | "table"
            | "tbody"
            | "td"
            | "tfoot"
            | "th"
            | "thead"
            | "tr"
            | "ul"
    )
}

/// Elements before which an open paragraph ends.
fn ends_paragraph(name: &str) -> bool {
    is_container(name) && !matches!(name, "body" | "html" | "td" | "th" | "tr" | "tbody" | "tfoot" | "thead")
        || matches!(
            name,
            "p" | "pre" | "hr" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "dl" | "aside" | "address" | "nav"
        )
}

//! Whether HTML can be given to a browser's parser without harm.
//!
//! HTML's parsing rules repair broken markup, and some repairs cost the square of what is written: a tag's
//! attributes are compared with one another, open elements are searched for every tag, formatting that was
//! left open is made anew in every block (50 KB of it take gigabytes), and what does not belong into a table
//! is moved out past all that was moved before. Writing does it too: at each character that is escaped, the rest of
//! its text is searched for the next (a megabyte of `&` takes 13 s). No scan of the text can tell soundly, since what a tag is
//! depends on all before it; so where counting tags does not already settle it, the rules themselves are run
//! with nothing but counters behind them.

use std::borrow::Cow;
use std::cell::Cell;
use std::rc::Rc;

use html5ever::interface::{ElementFlags, NodeOrText, QuirksMode, TreeSink};
use html5ever::tendril::{StrTendril, TendrilSink};
use html5ever::{Attribute, ExpandedName, ParseOpts, QualName, local_name, ns, parse_fragment};
use memchr::{memchr, memchr_iter, memchr2_iter};

use crate::mail::limit;

/// Up to so many tags, depth and moves can't do harm, whatever they are.
const HARMLESS_TAGS: usize = 4_000;

/// Bytes parsed between two looks at the counters.
const STEP: usize = 4 * 1024;

/// Elements that are made anew in every block while they are open.
const FORMATTING: [&str; 14] =
    ["a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u"];

/// Whether parsing `html` takes time and memory in proportion to its size. Never wrong about that;
/// strict with HTML that has more than a hundred thousand elements, or is badly broken at length.
pub(super) fn is_tame(html: &str) -> bool {
    html.len() <= limit::HTML_BYTES && has_few_attributes(html) && (is_simple(html) || is_measured_tame(html))
}

/// Whether no tag has more than [`limit::HTML_ATTRIBUTES`]. Looks at whatever could be a tag, in whatever
/// context, as HTML reads one; gives up on markup in which that means reading the same bytes many times.
pub(super) fn has_few_attributes(html: &str) -> bool {
    let bytes = html.as_bytes();
    let mut budget = 8 * bytes.len();
    for start in memchr_iter(b'<', bytes) {
        let tag = bytes.get(start + 1..).unwrap_or_default();
        if !tag.first().is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'/') {
            continue;
        }
        let Some(read) = length_of_tag(tag) else { return false };
        match budget.checked_sub(read) {
            Some(left) => budget = left,
            None => return false,
        }
    }
    true
}

/// How many bytes there are to the end of the tag (HTML §13.2.5.32 ff.); `None` if it has too many attributes.
fn length_of_tag(tag: &[u8]) -> Option<usize> {
    let position = |from: usize, stop: &dyn Fn(u8) -> bool| {
        let rest = tag.get(from..).unwrap_or_default();
        from + rest.iter().position(|&byte| stop(byte)).unwrap_or(rest.len())
    };
    let is_space = |byte: u8| matches!(byte, b'\t' | b'\n' | b'\r' | 0x0c | b' ');
    let mut at = position(0, &|byte| is_space(byte) || matches!(byte, b'/' | b'>'));
    for _ in 0..=limit::HTML_ATTRIBUTES {
        at = position(at, &|byte| !is_space(byte) && byte != b'/');
        if matches!(tag.get(at), None | Some(b'>')) {
            return Some(at);
        }
        // An attribute's first character is part of its name even if it is `=`.
        at = position(at + 1, &|byte| is_space(byte) || matches!(byte, b'/' | b'>' | b'='));
        at = position(at, &|byte| !is_space(byte));
        if tag.get(at) == Some(&b'=') {
            at = position(at + 1, &|byte| !is_space(byte));
            at = match tag.get(at) {
                Some(&quote @ (b'"' | b'\'')) => {
                    let value = tag.get(at + 1..).unwrap_or_default();
                    at + 1 + memchr(quote, value).map_or(value.len(), |length| length + 1)
                }
                _ => position(at, &|byte| is_space(byte) || byte == b'>'),
            };
        }
    }
    None
}

/// Whether there are so few tags that the worst they can be is harmless.
fn is_simple(html: &str) -> bool {
    let bytes = html.as_bytes();
    let mut tags = 0;
    let mut formatting = 0;
    for start in memchr_iter(b'<', bytes) {
        tags += 1;
        let tag = bytes.get(start + 1..).unwrap_or_default();
        let is_formatting = |name: &&str| {
            tag.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name.as_bytes()))
                && tag.get(name.len()).is_none_or(|byte| !byte.is_ascii_alphanumeric())
        };
        formatting += usize::from(FORMATTING.iter().any(is_formatting));
    }
    tags <= HARMLESS_TAGS
        && tags * formatting <= limit::HTML_ELEMENTS
        && Text::default().with(html).cost() <= limit::HTML_ESCAPING
}

/// Runs HTML's parsing rules, the same way the sanitiser does, and counts.
fn is_measured_tame(html: &str) -> bool {
    let context = QualName::new(None, ns!(html), local_name!("div"));
    let mut parser = parse_fragment(Gauge::default(), ParseOpts::default(), context, Vec::new(), false);
    let mut rest = html;
    while !rest.is_empty() {
        let (step, tail) = rest.split_at(rest.floor_char_boundary(STEP));
        rest = tail;
        parser.process(StrTendril::from_slice(step));
        if !parser.tokenizer.sink.sink.is_within_limits() {
            return false;
        }
    }
    parser.finish()
}

/// Counts what a parser makes, and keeps nothing of it.
#[derive(Default)]
struct Gauge {
    elements: Cell<usize>,
    moves: Cell<usize>,
    depth: Cell<usize>,
    escaping: Cell<u64>,
}

/// An element: as much of it as parsing asks for.
struct Element {
    name: QualName,
    depth: Cell<usize>,
    /// The text behind its last child.
    text: Cell<Text>,
    /// The text that was moved in front of it.
    before: Cell<Text>,
}

/// A text, as far as it matters to writing it.
#[derive(Clone, Copy, Default)]
struct Text {
    bytes: u64,
    escaped: u64,
}

impl Text {
    fn with(self, more: &str) -> Self {
        // What starts a no-break space is looked at as well.
        let escaped = memchr2_iter(b'&', 0xc2, more.as_bytes()).count();
        Self { bytes: self.bytes + more.len() as u64, escaped: self.escaped + escaped as u64 }
    }

    /// How many bytes are searched for what to escape, at most.
    fn cost(self) -> u64 {
        self.bytes * self.escaped
    }
}

impl Element {
    fn new(name: QualName) -> Self {
        Self { name, depth: Cell::default(), text: Cell::default(), before: Cell::default() }
    }
}

impl Gauge {
    fn is_within_limits(&self) -> bool {
        self.elements.get() <= limit::HTML_ELEMENTS
            && self.moves.get() <= limit::HTML_MOVES
            && self.depth.get() <= limit::HTML_DEPTH
            && self.escaping.get() <= limit::HTML_ESCAPING
    }

    fn element(&self, name: QualName) -> Rc<Element> {
        self.elements.set(self.elements.get() + 1);
        Rc::new(Element::new(name))
    }

    fn place(&self, depth: usize, child: &Element) {
        child.depth.set(depth);
        self.depth.set(self.depth.get().max(depth));
    }

    fn place_before(&self, sibling: &Element, child: &NodeOrText<Rc<Element>>) {
        match child {
            NodeOrText::AppendNode(child) => self.place(sibling.depth.get(), child),
            NodeOrText::AppendText(text) => self.extend(&sibling.before, text),
        }
    }

    fn extend(&self, text: &Cell<Text>, more: &str) {
        let (shorter, longer) = (text.get(), text.get().with(more));
        text.set(longer);
        self.escaping.set(self.escaping.get() + longer.cost() - shorter.cost());
    }

    fn count_move(&self) {
        self.moves.set(self.moves.get() + 1);
    }
}

impl TreeSink for Gauge {
    type Handle = Rc<Element>;
    type Output = bool;
    type ElemName<'a> = ExpandedName<'a>;

    fn finish(self) -> bool {
        self.is_within_limits()
    }

    fn get_document(&self) -> Rc<Element> {
        Rc::new(Element::new(QualName::new(None, ns!(), local_name!(""))))
    }

    fn elem_name<'a>(&'a self, target: &'a Rc<Element>) -> ExpandedName<'a> {
        target.name.expanded()
    }

    fn create_element(&self, name: QualName, attributes: Vec<Attribute>, _: ElementFlags) -> Rc<Element> {
        for attribute in attributes {
            self.extend(&Cell::default(), &attribute.value);
        }
        self.element(name)
    }

    fn create_comment(&self, _: StrTendril) -> Rc<Element> {
        self.element(QualName::new(None, ns!(), local_name!("")))
    }

    fn create_pi(&self, _: StrTendril, _: StrTendril) -> Rc<Element> {
        self.element(QualName::new(None, ns!(), local_name!("")))
    }

    fn append(&self, parent: &Rc<Element>, child: NodeOrText<Rc<Element>>) {
        match child {
            NodeOrText::AppendNode(child) => {
                self.place(parent.depth.get() + 1, &child);
                parent.text.take();
            }
            NodeOrText::AppendText(text) => self.extend(&parent.text, &text),
        }
    }

    fn append_based_on_parent_node(
        &self,
        element: &Rc<Element>,
        _: &Rc<Element>,
        child: NodeOrText<Rc<Element>>,
    ) {
        self.count_move();
        self.place_before(element, &child);
    }

    fn append_before_sibling(&self, sibling: &Rc<Element>, new: NodeOrText<Rc<Element>>) {
        self.count_move();
        self.place_before(sibling, &new);
    }

    fn remove_from_parent(&self, _: &Rc<Element>) {
        self.count_move();
    }

    fn reparent_children(&self, _: &Rc<Element>, _: &Rc<Element>) {
        self.count_move();
    }

    fn get_template_contents(&self, target: &Rc<Element>) -> Rc<Element> {
        target.clone()
    }

    fn same_node(&self, one: &Rc<Element>, other: &Rc<Element>) -> bool {
        Rc::ptr_eq(one, other)
    }

    fn parse_error(&self, _: Cow<'static, str>) {}
    fn append_doctype_to_document(&self, _: StrTendril, _: StrTendril, _: StrTendril) {}
    fn set_quirks_mode(&self, _: QuirksMode) {}
    fn add_attrs_if_missing(&self, _: &Rc<Element>, _: Vec<Attribute>) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_html_is_tame_at_any_length() {
        let row =
            "<tr><td><p><b>Total</b></p></td><td><a href=\"https://example.com/?a=1&b=2\">1 &lt; 2</a><br>";

        let html = format!("<html><body><table>{}</table></body></html>", row.repeat(8_000));

        assert!(!is_simple(&html));
        assert!(is_tame(&html));
        assert!(is_tame(&format!("<pre>{}</pre>", "if (a && b) return \u{a0}c;\n".repeat(5_000))));
    }

    #[test]
    fn what_costs_the_square_is_refused() {
        let formatting = (0..600).map(|i| format!("<b id={i}>")).collect::<Vec<_>>().concat();
        for (name, html) in [
            ("depth", "<div>".repeat(100_000)),
            ("depth behind a quote", "<div title=\"</div>\">".repeat(40_000)),
            ("depth in svg", format!("<svg><title>{}", "<div></title>".repeat(10_000))),
            ("formatting", format!("<p>{formatting}</p>{}", "<p>x</p>".repeat(10_000))),
            ("formatting, small", format!("<p>{formatting}</p>{}", "<p>x</p>".repeat(600))),
            ("moves", format!("<table>{}", "<i></i>".repeat(100_000))),
            ("moves of text", format!("<table>{}", "x<i></i>".repeat(50_000))),
            (
                "attributes",
                format!("<p {}>", (0..20_000).map(|i| format!("a{i}")).collect::<Vec<_>>().join(" ")),
            ),
            (
                "attributes with values",
                format!("<p {}>", (0..300).map(|i| format!("a{i}='>'")).collect::<Vec<_>>().concat()),
            ),
            ("tags in tags", "<a/b=".repeat(100_000)),
            ("escaping", "&".repeat(400_000)),
            ("escaping beyond ASCII", "\u{a7}".repeat(200_000)),
            ("escaping in an attribute", format!("<p title='{}'>", "&".repeat(400_000))),
            ("escaping between tags", "&</x>".repeat(150_000)),
            ("escaping before a table", format!("<table>{}", "&".repeat(400_000))),
            ("size", "x".repeat(limit::HTML_BYTES + 1)),
        ] {
            assert!(!is_tame(&html), "{name}");
        }
    }

    #[test]
    fn attributes_are_counted_as_html_reads_them() {
        assert_eq!(length_of_tag(b"a>"), Some(1));
        assert_eq!(length_of_tag(b"a href=\"x>y\" b = 'c>' d=e/f />z"), Some(29));
        assert_eq!(length_of_tag(b"a =x\">"), Some(5));
        assert_eq!(length_of_tag(b"a b='"), Some(5));
        let data = format!("<img src=\"data:image/png;base64,{}\">", "QUFB".repeat(50_000));
        assert!(has_few_attributes(&data));
    }
}

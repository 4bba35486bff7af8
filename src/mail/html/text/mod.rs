//! HTML → text, as a person would copy it: paragraphs, lists, quotes and links stay readable.
//!
//! Works on the stream of tags, without a tree: linear in the input however it is nested, and the output is
//! bounded. (Through a tree and a page layout, as libraries do it, this takes thirty times as long.)

use std::cell::RefCell;

use html5ever::tendril::StrTendril;
use html5ever::tokenizer::states::{Rawtext, Rcdata, ScriptData};
use html5ever::tokenizer::{
    BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
};
use mail_parser::decoders::html::html_to_text;

use crate::mail::html::guard;
use crate::mail::html::mark::{Mark, Tracker};
use crate::mail::limit;

/// How many levels of quotes and lists are marked: what is deeper looks like the deepest.
const LEVELS: usize = 10;

/// The longest link written out. Longer ones are for machines.
const LINK_BYTES: usize = 500;

/// HTML as text, and what its elements said about it.
#[derive(Default)]
pub(in crate::mail) struct Outline {
    /// Up to a little more than [`limit::TEXT_BYTES`].
    pub(in crate::mail) text: String,
    /// What begins where, in order; each at the beginning of a line if the element made one. None of them
    /// rather than some, if there are more than [`limit::MARKS`].
    pub(in crate::mail) marks: Vec<(usize, Mark)>,
}

impl Outline {
    /// Appends what comes below.
    pub(in crate::mail) fn append(&mut self, below: Self) {
        let at = self.text.len();
        self.text.push_str(&below.text);
        // What was open above ends there.
        self.marks
            .extend(self.marks.last().is_some_and(|(_, mark)| *mark != Mark::Own).then_some((at, Mark::Own)));
        self.marks.extend(below.marks.into_iter().map(|(offset, mark)| (at + offset, mark)));
    }
}

/// Renders HTML as text.
pub(in crate::mail) fn outline(html: &str) -> Outline {
    if !guard::has_few_attributes(html) {
        return Outline { text: html_to_text(html), marks: Vec::new() };
    }
    let tokenizer = Tokenizer::new(Sink::default(), TokenizerOpts::default());
    let input = BufferQueue::default();
    input.push_back(StrTendril::from_slice(html));
    // No script is ever run, so the tokenizer never stops before the end.
    let _ = tokenizer.feed(&input);
    tokenizer.end();
    tokenizer.sink.0.into_inner().finish()
}

#[derive(Default)]
struct Sink(RefCell<Renderer>);

impl TokenSink for Sink {
    type Handle = ();

    fn process_token(&self, token: Token, _: u64) -> TokenSinkResult<()> {
        let mut renderer = self.0.borrow_mut();
        match token {
            Token::CharacterTokens(text) => renderer.text(&text),
            Token::TagToken(tag) if tag.kind == TagKind::EndTag => renderer.close(&tag.name),
            Token::TagToken(tag) => {
                renderer.open(&tag);
                return raw_content(&tag.name);
            }
            Token::DoctypeToken(_)
            | Token::CommentToken(_)
            | Token::NullCharacterToken
            | Token::EOFToken
            | Token::ParseError(_) => {}
        }
        TokenSinkResult::Continue
    }
}

/// What follows some tags is text up to their end tag, whatever it looks like (HTML §13.2.6.4).
fn raw_content(name: &str) -> TokenSinkResult<()> {
    match name {
        "script" => TokenSinkResult::RawData(ScriptData),
        "style" | "xmp" | "iframe" | "noembed" | "noframes" => TokenSinkResult::RawData(Rawtext),
        "title" | "textarea" => TokenSinkResult::RawData(Rcdata),
        _ => TokenSinkResult::Continue,
    }
}

/// Text being written.
#[derive(Default)]
struct Renderer {
    out: String,
    /// Line breaks wanted before the next word.
    breaks: usize,
    /// White space wanted before the next word, if no line break is.
    space: Option<char>,
    /// A list item's mark, wanted before the next word.
    mark: Option<String>,
    /// Depth of quotes, now and when the last word was written.
    quotes: usize,
    quotes_before: usize,
    /// Open lists: the number of the next item, if they are numbered.
    lists: Vec<Option<u32>>,
    preformatted: usize,
    /// The element whose content is not shown, if we are in one.
    hidden: Option<&'static str>,
    /// Where the open link goes, and where in `out` its text starts.
    link: Option<(String, usize)>,
    tracker: Tracker,
    /// What begins with the next word.
    pending: Vec<Mark>,
    marks: Vec<(usize, Mark)>,
    /// How many there were, kept or not.
    marked: usize,
}

impl Renderer {
    fn open(&mut self, tag: &Tag) {
        let name: &str = &tag.name;
        if self.hidden.is_some() {
            return;
        }
        self.tracker.open(tag, &mut self.pending);
        let attribute = |name: &str| tag.attrs.iter().find(|a| &*a.name.local == name).map(|a| &*a.value);
        match name {
            "br" => self.breaks += 1,
            "hr" => {
                self.block(2);
                self.word("----------");
                self.block(2);
            }
            "img" => {
                if let Some(alt) = attribute("alt").map(str::trim).filter(|alt| !alt.is_empty()) {
                    self.word(&format!("[{alt}]"));
                }
            }
            "a" => {
                self.end_link();
                self.link = attribute("href").and_then(shown_link).map(|url| (url, self.out.len()));
            }
            // Outlook makes every line a paragraph, and an empty line one more.
            "p" if attribute("class").is_some_and(|class| class.starts_with("Mso")) => self.block(1),
            "li" => {
                self.block(1);
                self.mark = Some(self.next_mark());
            }
            "ul" | "menu" | "dir" => self.open_list(None),
            "ol" => {
                let start = attribute("start").and_then(|start| start.parse().ok());
                self.open_list(start.or(Some(1)));
            }
            "td" | "th" => {
                if self.breaks == 0 && !self.out.is_empty() {
                    self.space = Some('\t');
                }
            }
            "blockquote" => {
                self.block(2);
                self.quotes += 1;
            }
            "pre" => {
                self.block(2);
                self.preformatted += 1;
            }
            _ => match hidden_element(name) {
                Some(hidden) => self.hidden = Some(hidden),
                None => self.block(breaks_around(name)),
            },
        }
    }

    fn close(&mut self, name: &str) {
        if let Some(hidden) = self.hidden {
            if name == hidden {
                self.hidden = None;
            }
            return;
        }
        self.tracker.close(name, &mut self.pending);
        match name {
            "a" => self.end_link(),
            // HTML §13.2.6.4.7: an end tag alone counts as the tag.
            "br" => self.breaks += 1,
            "ul" | "ol" | "menu" | "dir" => {
                self.lists.pop();
                self.mark = None;
                self.block(if self.lists.is_empty() { 2 } else { 1 });
            }
            "blockquote" => {
                self.block(2);
                self.quotes = self.quotes.saturating_sub(1);
            }
            "pre" => {
                self.block(2);
                self.preformatted = self.preformatted.saturating_sub(1);
            }
            // The line of a row ends with the next block, so that nothing follows the last cell.
            "td" | "th" => {}
            // Its paragraphs know themselves how far apart they are.
            "p" => self.block(1),
            _ => self.block(breaks_around(name)),
        }
    }

    fn text(&mut self, text: &str) {
        if self.hidden.is_some() {
            return;
        }
        if self.preformatted > 0 {
            for (i, line) in text.split('\n').enumerate() {
                self.breaks += usize::from(i > 0);
                let line = line.trim_end_matches('\r');
                if !line.is_empty() {
                    self.word(line);
                }
            }
            return;
        }
        // Only ASCII white space collapses; other spaces are there to be seen.
        let is_space = |char: char| char.is_ascii_whitespace();
        if text.starts_with(is_space) {
            self.space.get_or_insert(' ');
        }
        for (i, word) in text.split(is_space).filter(|word| !word.is_empty()).enumerate() {
            if i > 0 {
                self.space = Some(' ');
            }
            self.word(word);
        }
        if text.ends_with(is_space) {
            self.space.get_or_insert(' ');
        }
    }

    /// Writes a word, and before it the breaks, marks and spaces that were wanted.
    fn word(&mut self, word: &str) {
        if self.out.len() > limit::TEXT_BYTES {
            return;
        }
        if self.out.is_empty() {
            self.begin_marks();
            self.quote_marks(self.quotes);
        } else if self.breaks > 0 {
            self.out.truncate(self.out.trim_end_matches([' ', '\t', '\u{a0}']).len());
            if self.breaks > 1 {
                self.out.push('\n');
                self.quote_marks(self.quotes.min(self.quotes_before));
                self.out.truncate(self.out.trim_end_matches(' ').len());
            }
            self.out.push('\n');
            self.begin_marks();
            self.quote_marks(self.quotes);
        } else {
            self.begin_marks();
            self.out.extend(self.space);
        }
        if let Some(mark) = self.mark.take() {
            self.out.push_str(&mark);
        } else if self.breaks > 0 && self.preformatted == 0 {
            self.out.extend(std::iter::repeat_n("  ", self.lists.len().min(LEVELS)));
        }
        self.breaks = 0;
        self.space = None;
        self.quotes_before = self.quotes;
        for char in word.chars() {
            self.out.push(if char == '\u{a0}' { ' ' } else { char });
        }
    }

    fn begin_marks(&mut self) {
        let at = self.out.len();
        self.marked += self.pending.len();
        self.marks
            .extend(self.pending.drain(..).filter(|_| self.marked <= limit::MARKS).map(|mark| (at, mark)));
    }

    fn quote_marks(&mut self, levels: usize) {
        self.out.extend(std::iter::repeat_n("> ", levels.min(LEVELS)));
    }

    /// Asks for at least so many line breaks before the next word.
    fn block(&mut self, breaks: usize) {
        self.breaks = self.breaks.max(breaks);
    }

    fn open_list(&mut self, number: Option<u32>) {
        self.block(if self.lists.is_empty() { 2 } else { 1 });
        self.lists.push(number);
    }

    fn next_mark(&mut self) -> String {
        let indent = "  ".repeat(self.lists.len().saturating_sub(1).min(LEVELS));
        match self.lists.last_mut() {
            Some(Some(number)) => {
                let mark = format!("{indent}{number}. ");
                *number = number.saturating_add(1);
                mark
            }
            Some(None) | None => indent + "- ",
        }
    }

    /// Writes where a link goes, unless its text says so or there is no text.
    fn end_link(&mut self) {
        let Some((url, start)) = self.link.take() else { return };
        let text = self.out.get(start..).unwrap_or_default().trim();
        let bare = |url: &str| {
            let url = ["https://", "http://", "mailto:"]
                .iter()
                .find_map(|scheme| url.strip_prefix(scheme))
                .unwrap_or(url);
            url.trim_end_matches('/').to_ascii_lowercase()
        };
        if !text.is_empty() && bare(text) != bare(&url) {
            self.out.push_str(" <");
            self.out.push_str(&url);
            self.out.push('>');
        }
    }

    fn finish(mut self) -> Outline {
        self.end_link();
        if !self.out.is_empty() {
            self.out.truncate(self.out.trim_end().len());
            self.out.push('\n');
        }
        self.marks.retain(|(at, _)| *at < self.out.len() && self.marked <= limit::MARKS);
        Outline { text: self.out, marks: self.marks }
    }
}

/// The link as it is written out, if a person could use it.
fn shown_link(url: &str) -> Option<String> {
    let url = url.trim();
    let is_usable = ["https://", "http://", "mailto:"]
        .iter()
        .any(|scheme| url.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)));
    (is_usable && url.len() <= LINK_BYTES && !url.contains(char::is_whitespace)).then(|| url.to_owned())
}

/// Elements whose content nobody sees.
fn hidden_element(name: &str) -> Option<&'static str> {
    [
        "script", "style", "title", "template", "iframe", "noembed", "noframes", "select", "svg", "textarea",
        "xmp",
    ]
    .into_iter()
    .find(|hidden| *hidden == name)
}

/// The line breaks that an element stands between.
fn breaks_around(name: &str) -> usize {
    match name {
        "p" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "dl" | "fieldset" | "figure" => 2,
        "address" | "article" | "aside" | "body" | "caption" | "center" | "dd" | "details" | "dialog"
        | "div" | "dt" | "figcaption" | "footer" | "form" | "header" | "hgroup" | "legend" | "main"
        | "nav" | "section" | "summary" | "table" | "tbody" | "tfoot" | "thead" | "tr" => 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests;

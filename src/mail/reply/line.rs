//! A text as lines, each with what is known of whose it is.

use memchr::memchr;

use crate::mail::html::{Mark, Program};
use crate::mail::limit;
use crate::mail::reply::words::quote;

/// A text in which a reply is looked for.
#[derive(Clone, Copy)]
pub(super) struct Script<'a> {
    pub(super) text: &'a str,
    /// What the elements of its HTML said.
    pub(super) marks: &'a [(usize, Mark)],
    /// Whether it was HTML: then `>` before a line is a blockquote, which need not be a quote.
    pub(super) is_html: bool,
}

/// One line, or as much of one as is of one kind.
#[derive(Clone, Copy)]
pub(super) struct Line<'a> {
    /// Without its line end.
    pub(super) text: &'a str,
    pub(super) place: Place,
    /// The mails before this one begin here, as an element said.
    pub(super) history: Option<Program>,
    /// There is a border above it that often has the history below it.
    pub(super) has_border: bool,
    /// A message that is passed on begins here.
    pub(super) is_forward: bool,
}

/// Whose a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// The author's, as far as is known.
    Own,
    /// It says who wrote what is quoted below it.
    Introduction(Program),
    /// A quote, as an element or the mark before it says. `None` if it is only a mark before the line.
    Quote(Option<Program>),
    /// A block that may be a quote, or a way to indent or to draw.
    Block,
    /// The author's signature, as an element says.
    Signature,
}

impl Line<'_> {
    /// What is in it, without blanks, marks of quotes, and characters that nobody sees.
    pub(super) fn bare(&self) -> &str {
        match self.place {
            Place::Quote(_) | Place::Block => bare(self.text.trim_start_matches(['>', '|', ' ', '\t'])),
            _ => bare(self.text),
        }
    }

    pub(super) fn is_blank(&self) -> bool {
        self.bare().is_empty()
    }

    pub(super) fn is_own(&self) -> bool {
        self.place == Place::Own
    }

    pub(super) fn is_quote(&self) -> bool {
        matches!(self.place, Place::Quote(_))
    }
}

/// `text` without white space and characters that take no place, at both ends.
pub(super) fn bare(text: &str) -> &str {
    text.trim_matches(|char: char| {
        char.is_whitespace()
            || matches!(char, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    })
}

/// Takes a text apart: at its line ends, and where something begins in the middle of a line. The first
/// [`limit::REPLY_LINES`] of them.
pub(super) fn lines<'a>(script: &Script<'a>) -> Vec<Line<'a>> {
    let mut lines: Vec<Line<'a>> = Vec::new();
    let mut marks = script.marks.iter().peekable();
    let mut place = Place::Own;
    let (mut history, mut has_border, mut is_forward) = (None, false, false);
    let (mut start, mut line_end) = (0, None);
    while start < script.text.len() && lines.len() < limit::REPLY_LINES {
        while let Some((_, mark)) = marks.next_if(|(at, _)| *at <= start) {
            match *mark {
                Mark::Own => place = Place::Own,
                Mark::Introduction(program) => place = Place::Introduction(program),
                Mark::Quote(program) => place = Place::Quote(Some(program)),
                Mark::Signature => place = Place::Signature,
                Mark::History(program) => history = history.or(Some(program)),
                Mark::Border => has_border = true,
                Mark::Forward => is_forward = true,
            }
        }
        // Looked for once a line, however many pieces it has.
        let line = *line_end.get_or_insert_with(|| {
            let rest = script.text.as_bytes().get(start..).unwrap_or_default();
            memchr(b'\n', rest).map_or(script.text.len(), |length| start + length)
        });
        let end = marks.peek().map_or(line, |(at, _)| line.min(*at));
        let text = script.text.get(start..end).unwrap_or_default();
        let of_line = match place {
            Place::Own => mark_before(text, lines.last(), script.is_html),
            place => place,
        };
        lines.push(Line { text, place: of_line, history, has_border, is_forward });
        // What begins with white space begins with what follows it.
        if !bare(text).is_empty() {
            (history, has_border, is_forward) = (None, false, false);
        }
        start = end;
        if end == line {
            start += 1;
            line_end = None;
        }
    }
    lines
}

/// What the mark before a line says.
fn mark_before(text: &str, above: Option<&Line<'_>>, is_html: bool) -> Place {
    let text = text.trim_start_matches([' ', '\t', '\u{a0}']);
    // Also how tables are drawn.
    if text.starts_with("| ") || text == "|" {
        return Place::Block;
    }
    let Some(behind) = text.strip_prefix('>') else { return Place::Own };
    let is_below_quote = above.is_some_and(Line::is_quote);
    // How mailboxes of old write a line that begins with `From`, and the end of an attribution that was broken before
    // the bracket of an address.
    let is_no_mark =
        text.starts_with(">From ") || bare(behind).ends_with([':', '：']) && ends_attribution(behind);
    match is_no_mark && !is_below_quote {
        true => Place::Own,
        false if is_html => Place::Block,
        false => Place::Quote(None),
    }
}

/// Whether a line says nothing, or only that somebody wrote something.
fn ends_attribution(text: &str) -> bool {
    let text = bare(text).trim_end_matches([':', '：']).to_lowercase();
    text.is_empty() || text.split_whitespace().count() <= 3 && text.split_whitespace().any(quote::is_wrote)
}

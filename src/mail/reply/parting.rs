//! Where a reply is parted from what it answers.

use crate::mail::html::Program;
use crate::mail::reply::Method;
use crate::mail::reply::attribution;
use crate::mail::reply::attribution::Strength;
use crate::mail::reply::facts::Facts;
use crate::mail::reply::header_block;
use crate::mail::reply::line::{Line, Place};
use crate::mail::reply::separator;
use crate::mail::reply::separator::Separator;
use crate::mail::reply::signature;

/// How many blank lines may stand between an attribution and its quote.
const BLANK_LINES: usize = 3;

/// A quote that nobody introduces has so many lines, or it may be the author's way to show something.
const UNINTRODUCED_LINES: usize = 3;

/// A line of a quote that was broken is about as long as programs make them, in characters, and what was broken off
/// is shorter.
const BROKEN_CHARS: usize = 60;
const REMAINDER_CHARS: usize = 60;

/// The first parting in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parting {
    /// Its first line.
    pub(super) at: usize,
    /// The first line behind what introduces the quote.
    pub(super) end: usize,
    /// What is quoted.
    pub(super) quote: Quote,
    /// How it was found.
    pub(super) method: Method,
    /// How sure it is, in hundredths.
    pub(super) confidence: u8,
}

/// What is quoted below a parting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quote {
    /// Everything to the end.
    Rest,
    /// What is marked as a quote.
    Marked,
    /// The same, and indented blocks count.
    Blocks,
    /// What is marked, with nothing to say whose words those are.
    Unintroduced,
}

/// What a search came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    Parting(Parting),
    /// A message that is passed on comes first.
    Forward,
    Nothing,
}

/// Finds the first parting.
pub(super) fn find(lines: &[Line<'_>], facts: Facts) -> Found {
    let mut unintroduced = None;
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        match at_line(lines, at, facts) {
            Found::Nothing => {}
            found => return found,
        }
        let begin = at;
        at = match line.place {
            Place::Quote(_) | Place::Introduction(_) => run_end(lines, at),
            _ => at + 1,
        };
        if line.is_quote() && unintroduced.is_none() && is_worth_a_parting(lines, begin, at) {
            unintroduced = Some(begin);
        }
    }
    let parting =
        |at| Parting { at, end: at, quote: Quote::Unintroduced, method: Method::TextQuote, confidence: 75 };
    unintroduced.map_or(Found::Nothing, |at| Found::Parting(parting(at)))
}

/// The parting that begins at a line, or before it where an attribution ends at it.
pub(super) fn at_line(lines: &[Line<'_>], at: usize, facts: Facts) -> Found {
    let Some(line) = lines.get(at) else { return Found::Nothing };
    if line.is_forward {
        return Found::Forward;
    }
    if let Some(program) = line.history {
        return rest(at, at, of(program), 97);
    }
    match line.place {
        Place::Introduction(program) => introduction(lines, at, program),
        Place::Quote(Some(program)) => {
            if is_forward_quoted(lines, at) {
                return Found::Forward;
            }
            Found::Parting(Parting { at, end: at, quote: Quote::Marked, method: of(program), confidence: 95 })
        }
        Place::Quote(None) => quote_with_attribution(lines, at),
        Place::Own => own(lines, at, facts),
        Place::Block | Place::Signature => Found::Nothing,
    }
}

/// What a line of the author's, or what looks like one, begins.
fn own(lines: &[Line<'_>], at: usize, facts: Facts) -> Found {
    let Some(line) = lines.get(at).filter(|line| !line.is_blank()) else { return Found::Nothing };
    match separator::read(line.text) {
        Some(Separator::Forward) => return Found::Forward,
        Some(Separator::ReplyAbove) => return rest(at, at + 1, Method::TextSeparator, 90),
        Some(Separator::Original) => return headed(lines, at, at + 1, Method::TextSeparator, 93),
        Some(Separator::Rule) => {
            let below = next_written(lines, at + 1);
            if header_block::at(lines, below).is_some() {
                return headed(lines, at, below, Method::TextHeader, 93);
            }
        }
        None => {}
    }
    if let Some(block) = header_block::at(lines, at) {
        if block.is_danish && facts.is_forward_in_danish {
            return Found::Forward;
        }
        if line.has_border {
            return headed(lines, at, at, Method::HtmlOutlook, 97);
        }
        if block.is_sure {
            return headed(lines, at, at, Method::TextHeader, 90);
        }
    }
    attribution(lines, at)
}

/// A parting with the header of the quoted mail, which may be marked as a quote below it.
fn headed(lines: &[Line<'_>], at: usize, header: usize, method: Method, confidence: u8) -> Found {
    let header = next_written(lines, header);
    let block = header_block::at(lines, header);
    let end = header + block.map_or_else(|| header_block::labelled(lines, header), |block| block.lines);
    let quote = if lines.get(next_written(lines, end)).is_some_and(Line::is_quote) {
        Quote::Marked
    } else {
        Quote::Rest
    };
    Found::Parting(Parting { at, end, quote, method, confidence })
}

/// The attribution that ends at a line.
fn attribution(lines: &[Line<'_>], at: usize) -> Found {
    let window = lines.get((at + 1).saturating_sub(attribution::LINES)..=at).unwrap_or_default();
    let Some((taken, strength)) = attribution::ending_with(window) else { return Found::Nothing };
    let (first, end) = (at + 1 - taken, at + 1);
    let below = next_written(lines, end);
    let method = Method::TextAttribution;
    let found = |quote, confidence| Found::Parting(Parting { at: first, end, quote, method, confidence });
    match lines.get(below).filter(|_| below - end <= BLANK_LINES).map(|line| line.place) {
        Some(Place::Quote(Some(program))) => Found::Parting(Parting {
            at: first,
            end,
            quote: Quote::Marked,
            method: of(program),
            confidence: 97,
        }),
        Some(Place::Quote(None)) => found(Quote::Marked, 95),
        Some(Place::Block) => found(Quote::Blocks, 90),
        _ if strength == Strength::Sure => found(Quote::Rest, 80),
        // What a telephone adds is the end of what was written on it.
        _ if signature::ends_with_advertisement(lines.get(..first).unwrap_or_default()) => {
            found(Quote::Rest, 75)
        }
        _ => Found::Nothing,
    }
}

/// What an element says is an introduction, if a quote follows or it says so itself.
fn introduction(lines: &[Line<'_>], at: usize, program: Program) -> Found {
    let is_inside = |line: &&Line<'_>| matches!(line.place, Place::Introduction(_));
    let end = at + lines.get(at..).unwrap_or_default().iter().take_while(is_inside).count();
    let inside = lines.get(at..end).unwrap_or_default();
    let says = |separator| {
        inside.iter().take(attribution::LINES).any(|line| separator::read(line.bare()) == Some(separator))
    };
    if says(Separator::Forward) {
        return Found::Forward;
    }
    let is_introduced =
        lines.get(next_written(lines, end)).is_some_and(|line| line.is_quote() || line.place == Place::Block);
    let is_attribution = || {
        let first = inside.get(..attribution::LINES.min(inside.len())).unwrap_or_default();
        (1..=first.len())
            .any(|lines| attribution::ending_with(first.get(..lines).unwrap_or_default()).is_some())
    };
    if is_introduced || is_attribution() || says(Separator::Original) {
        Found::Parting(Parting { at, end, quote: Quote::Blocks, method: of(program), confidence: 98 })
    } else {
        Found::Nothing
    }
}

/// Marked lines that begin with who wrote them: as Apple Mail writes it, or with the header of the mail.
fn quote_with_attribution(lines: &[Line<'_>], at: usize) -> Found {
    if is_forward_quoted(lines, at) {
        return Found::Forward;
    }
    let first = next_written(lines, at);
    let end = run_end(lines, at).min(at + 2 * attribution::LINES);
    let inside = lines.get(at..end).unwrap_or_default();
    let is_attributed = (1..=inside.len())
        .any(|lines| attribution::ending_with(inside.get(..lines).unwrap_or_default()).is_some())
        || inside.iter().any(|line| separator::read(line.bare()) == Some(Separator::Original))
        || header_block::at(lines, first).is_some();
    if is_attributed {
        let (quote, method) = (Quote::Marked, Method::TextAttribution);
        return Found::Parting(Parting { at, end: at, quote, method, confidence: 92 });
    }
    Found::Nothing
}

/// Whether a quote begins with the words for a message that is passed on.
fn is_forward_quoted(lines: &[Line<'_>], at: usize) -> bool {
    let run = lines.get(at..).unwrap_or_default().iter().take_while(|line| !line.is_own());
    let first = run.map(Line::bare).find(|text| !text.is_empty());
    first.is_some_and(|text| separator::read(text) == Some(Separator::Forward))
}

/// Whether a quote without introduction is one: not a line or two, and not what was announced.
fn is_worth_a_parting(lines: &[Line<'_>], at: usize, end: usize) -> bool {
    let quoted = lines.get(at..end).unwrap_or_default().iter().filter(|line| !line.is_blank()).count();
    let above = lines.get(..at).unwrap_or_default().iter().rev().find(|line| !line.is_blank());
    quoted >= UNINTRODUCED_LINES && !above.is_some_and(|line| line.bare().ends_with([':', '：']))
}

fn rest(at: usize, end: usize, method: Method, confidence: u8) -> Found {
    Found::Parting(Parting { at, end, quote: Quote::Rest, method, confidence })
}

/// The end of the lines of one place.
fn run_end(lines: &[Line<'_>], at: usize) -> usize {
    let place = lines.get(at).map(|line| line.place);
    let is_other = |end: &usize| {
        lines.get(*end).is_some_and(|line| Some(line.place) != place) && !is_broken_off(lines, *end)
    };
    (at + 1..lines.len()).find(is_other).unwrap_or(lines.len())
}

/// Whether a line is the end of one of the quote, which a program broke without marking it.
pub(super) fn is_broken_off(lines: &[Line<'_>], at: usize) -> bool {
    let Some(above) = at.checked_sub(1).and_then(|above| lines.get(above)) else { return false };
    let Some(line) = lines.get(at).filter(|line| line.is_own()) else { return false };
    above.place == Place::Quote(None)
        && above.text.chars().count() >= BROKEN_CHARS
        && !above.bare().ends_with(['.', '!', '?', ':', '…', '。', '？', '！'])
        && line.text.chars().count() <= REMAINDER_CHARS
        && lines.get(at + 1).is_none_or(Line::is_quote)
}

/// The next line that is not blank.
pub(super) fn next_written(lines: &[Line<'_>], at: usize) -> usize {
    let blank = lines.get(at..).unwrap_or_default().iter().take_while(|line| line.is_blank()).count();
    at + blank
}

fn of(program: Program) -> Method {
    match program {
        Program::Outlook => Method::HtmlOutlook,
        Program::Gmail => Method::HtmlGmail,
        Program::Mozilla => Method::HtmlMozilla,
        Program::Yahoo => Method::HtmlYahoo,
        Program::Proton => Method::HtmlProton,
        Program::Zimbra => Method::HtmlZimbra,
        Program::Cite => Method::HtmlCite,
        Program::Other => Method::HtmlOther,
    }
}

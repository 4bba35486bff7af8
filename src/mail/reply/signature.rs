//! The signature below what somebody wrote, and what programs, servers and companies add around it.
//!
//! Only what is marked, is known word for word, or is nothing but a name and how to reach it: a name below a greeting
//! is part of a letter.

use crate::mail::reply::line::{Line, Place, bare};
use crate::mail::reply::separator;
use crate::mail::reply::words::around;

/// The most lines of a signature below its delimiter, and of one whose delimiter has lost its space.
const LINES: usize = 30;
const BARE_LINES: usize = 12;

/// The most lines of a name and how to reach it, and the longest, in characters.
const CONTACT_LINES: usize = 14;
const CONTACT_CHARS: usize = 90;

/// The longest line that a telephone or a mail program adds, in bytes.
const ADVERTISEMENT_BYTES: usize = 160;

/// The most lines and bytes of what is added below a quote.
const FOOTER_LINES: usize = 40;
const FOOTER_BYTES: usize = 6_000;

/// The longest banner, in bytes.
const BANNER_BYTES: usize = 600;

/// The lines that somebody wrote. There may be quotes in them, if those belong to the text.
pub(super) fn without<'l, 'a>(lines: &'l [Line<'a>]) -> &'l [Line<'a>] {
    let mut kept = trimmed(without_banner(lines));
    if let Some(at) = delimiter(kept) {
        kept = trimmed(kept.get(..at).unwrap_or(kept));
    }
    kept = without_advertisement(kept);
    match contact(kept).or_else(|| list_footer(kept)) {
        Some(at) => without_advertisement(trimmed(kept.get(..at).unwrap_or(kept))),
        None => kept,
    }
}

/// Without blank lines and rules at the end.
fn trimmed<'l, 'a>(lines: &'l [Line<'a>]) -> &'l [Line<'a>] {
    let is_nothing = |line: &Line<'_>| line.is_blank() || line.is_own() && separator::is_rule(line.text);
    let end = lines.iter().rposition(|line| !is_nothing(line)).map_or(0, |last| last + 1);
    lines.get(..end).unwrap_or(lines)
}

/// Without the paragraph that a server puts above mail from outside.
fn without_banner<'l, 'a>(lines: &'l [Line<'a>]) -> &'l [Line<'a>] {
    let start = lines.iter().take_while(|line| line.is_blank()).count();
    let written = lines.get(start..).unwrap_or_default();
    let length =
        written.iter().take_while(|line| !line.is_blank() && line.is_own()).take(CONTACT_LINES).count();
    let banner = written.get(..length).unwrap_or_default();
    let bytes: usize = banner.iter().map(|line| line.text.len()).sum();
    let paragraph = || banner.iter().map(|line| line.bare().to_lowercase()).collect::<Vec<_>>().join(" ");
    if (1..=BANNER_BYTES).contains(&bytes) && around::is_banner(&paragraph()) {
        written.get(length..).unwrap_or_default()
    } else {
        lines
    }
}

/// Where the delimiter of the signature stands (RFC 3676 §4.3): two dashes and a space, of which many programs lose the
/// space, and many people use dashes for something else.
fn delimiter(lines: &[Line<'_>]) -> Option<usize> {
    let is = |line: &Line<'_>, delimiter: &str| line.is_own() && line.text == delimiter;
    let exact = lines.iter().rposition(|line| is(line, "-- ")).filter(|at| lines.len() - at <= LINES);
    exact.or_else(|| {
        let mut dashes = lines.iter().enumerate().filter(|(_, line)| is(line, "--") || is(line, "--\u{a0}"));
        let (at, _) = dashes.next()?;
        (dashes.next().is_none() && lines.len() - at <= BARE_LINES).then_some(at)
    })
}

/// Without the lines at the end that a telephone or a mail program adds, and their links.
fn without_advertisement<'l, 'a>(mut lines: &'l [Line<'a>]) -> &'l [Line<'a>] {
    while let Some((last, above)) = lines.split_last() {
        let is_one = |line: &Line<'_>| line.is_own() && is_advertisement(line.bare());
        lines = match above.split_last() {
            _ if is_one(last) => trimmed(above),
            Some((line, above)) if is_link(last.bare()) && is_one(line) => trimmed(above),
            _ => break,
        };
    }
    lines
}

/// Whether the last thing in `lines` is what a telephone or a mail program adds.
pub(super) fn ends_with_advertisement(lines: &[Line<'_>]) -> bool {
    let last = lines.iter().rev().take(4).find(|line| !line.is_blank());
    last.is_some_and(|line| line.is_own() && is_advertisement(line.bare()))
}

fn is_advertisement(line: &str) -> bool {
    !line.is_empty() && line.len() <= ADVERTISEMENT_BYTES && around::is_advertisement(&line.to_lowercase())
}

fn is_link(line: &str) -> bool {
    let line = line.trim_start_matches(['<', '[', '(']);
    (line.starts_with("https://") || line.starts_with("http://")) && !line.contains(' ')
}

/// Where a name and how to reach it begins: below a rule, or below the words that end a letter and the name that
/// belongs to them.
fn contact(lines: &[Line<'_>]) -> Option<usize> {
    let last = lines.len().saturating_sub(CONTACT_LINES + 4);
    let at = (last..lines.len()).find(|at| {
        lines.get(*at).is_some_and(|line| {
            line.is_own()
                && (separator::is_rule(line.text) || around::is_closing(&line.bare().to_lowercase()))
        })
    })?;
    let is_rule = lines.get(at).is_some_and(|line| separator::is_rule(line.text));
    let mut written = (at + 1..lines.len()).filter(|at| lines.get(*at).is_some_and(|line| !line.is_blank()));
    let name = if is_rule { at } else { written.next()? };
    let below = lines.get(name + 1..)?;
    let texts = || below.iter().map(Line::bare).filter(|text| !text.is_empty());
    let is_contact = texts().count() <= CONTACT_LINES
        && texts().any(|text| around::is_contact(&text.to_lowercase()))
        && !texts().any(|text| around::is_reference(&text.to_lowercase()))
        && texts().all(|text| text.chars().count() <= CONTACT_CHARS && !is_sentence(text))
        && below.iter().all(Line::is_own);
    is_contact.then_some(name + usize::from(!is_rule))
}

/// Whether a line is one of a text, and not of an address.
fn is_sentence(line: &str) -> bool {
    let lower = line.to_lowercase();
    line.ends_with(['?', '!', '？', '！', '。'])
        || line.ends_with(['.', ',', ':']) && line.split_whitespace().count() >= 4
        || ["ps", "p.s", "p. s", "nb:"].iter().any(|start| lower.starts_with(start))
}

/// Where the footer of a mailing list begins: a rule, and the list's name and address below it, or one of them alone.
fn list_footer(lines: &[Line<'_>]) -> Option<usize> {
    let is_lists = |line: &Line<'_>| line.is_own() && around::is_lists(&line.bare().to_lowercase());
    let first = lines.len().saturating_sub(CONTACT_LINES);
    let rule = (first..lines.len())
        .rev()
        .find(|at| lines.get(*at).is_some_and(|line| line.is_own() && bare(line.text).starts_with("__")));
    let below_rule = rule.filter(|at| lines.get(at + 1..).is_some_and(|below| below.iter().any(is_lists)));
    let last = lines.len().checked_sub(1)?;
    below_rule
        .or_else(|| lines.last().is_some_and(|line| is_lists(line) && is_link(line.bare())).then_some(last))
}

/// Whether all of `lines`, which stand below a quote, was put there by a program: the signature, what a virus scanner
/// or a company adds, the footer of a mailing list.
pub(super) fn is_footer(lines: &[Line<'_>]) -> bool {
    let own = || lines.iter().filter(|line| line.place != Place::Signature && !line.is_blank());
    let Some(first) = own().next() else { return true };
    let bytes: usize = own().map(|line| line.text.len()).sum();
    if own().count() > FOOTER_LINES || bytes > FOOTER_BYTES || own().any(|line| !line.is_own()) {
        return false;
    }
    let begins_signature =
        bare(first.text) == "--" || separator::is_rule(first.text) || first.text.starts_with("__");
    begins_signature || lines.split(Line::is_blank).all(is_added_below)
}

/// Whether a paragraph was added by a program. An empty one is nobody's.
fn is_added_below(paragraph: &[Line<'_>]) -> bool {
    let lines: Vec<String> = paragraph.iter().map(|line| line.bare().to_lowercase()).collect();
    let Some(first) = lines.first() else { return true };
    let text = lines.join(" ");
    around::is_lists(first) || is_advertisement(&text) || around::is_added_below(&text)
}

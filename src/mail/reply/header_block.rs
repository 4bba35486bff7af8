//! The header of a quoted mail, written out as Outlook does it: `From:`, `Sent:`, `To:`, `Subject:`, a line each.

use crate::mail::reply::line::{Line, bare};
use crate::mail::reply::separator;
use crate::mail::reply::words::header;
use crate::mail::reply::words::header::Label;

/// The most lines that one takes, with recipients wrapped and blank lines between.
const LINES: usize = 24;

/// How many lines above a block may say that it is part of a header that somebody shows.
const RAW_LINES: usize = 8;

/// The longest name of a field, in bytes.
const LABEL_BYTES: usize = 60;

/// How many lines a field's value may go on for, and how many blank lines may follow each other.
const VALUE_LINES: usize = 4;

/// A block that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HeaderBlock {
    /// Lines to its end.
    pub(super) lines: usize,
    /// Whether it is the header of a mail and nothing else, whatever stands above it.
    pub(super) is_sure: bool,
    /// Whether it is in Danish or Norwegian.
    pub(super) is_danish: bool,
}

/// The block that begins at a line.
pub(super) fn at(lines: &[Line<'_>], at: usize) -> Option<HeaderBlock> {
    let (above, lines) = lines.split_at_checked(at)?;
    let (label, ..) = field(lines.first()?)?;
    let is_beside_raw = || above.iter().rev().take(RAW_LINES).take_while(|line| !line.is_blank()).any(is_raw);
    if label == Label::Other || is_beside_raw() {
        return None;
    }
    let mut found = Found::default();
    let mut end = 0;
    let (mut current, mut gap) = (label, 0);
    for (index, line) in lines.iter().take(LINES).enumerate() {
        if let Some((label, name, value)) = field(line) {
            // A second sender is that of the next block.
            if label == Label::From && found.has(Label::From) {
                break;
            }
            found.take(label, value);
            found.is_danish |= name == "fra";
            (current, gap, end) = (label, 0, index + 1);
        } else if is_raw(line) {
            return None;
        } else {
            gap += 1;
            // What follows a blank line is another field, or the text.
            let is_text = !line.is_blank() && lines.get(index - 1).is_some_and(Line::is_blank);
            if gap > VALUE_LINES || is_text || separator::read(line.text).is_some() {
                break;
            }
            // Where the value stands on a line of its own.
            if !line.is_blank() && end == index {
                found.take(current, line.bare());
            }
        }
    }
    let count = found.labels.len();
    let is_sure = count >= 3 && found.has(Label::Date) && (found.has_address || found.has_time);
    let block = HeaderBlock { lines: end, is_sure, is_danish: found.is_danish };
    Some(block).filter(|_| count >= 2 && found.has(Label::From))
}

/// How many lines there are from a line on that have a label, whether they make a header or not.
pub(super) fn labelled(lines: &[Line<'_>], at: usize) -> usize {
    let lines = lines.get(at..).unwrap_or_default().iter().take(LINES);
    lines.take_while(|line| field(line).is_some()).count()
}

/// What is known of a block.
#[derive(Default)]
struct Found {
    /// Each once, other than [`Label::Other`].
    labels: Vec<Label>,
    has_address: bool,
    has_time: bool,
    is_danish: bool,
}

impl Found {
    fn take(&mut self, label: Label, value: &str) {
        self.has_address |= matches!(label, Label::From | Label::To) && value.contains('@');
        self.has_time |= label == Label::Date && has_time(value);
        if label != Label::Other && !self.has(label) {
            self.labels.push(label);
        }
    }

    fn has(&self, label: Label) -> bool {
        self.labels.contains(&label)
    }
}

/// Whether a line is a field that no program writes out for people to read: then somebody shows the header of a mail.
fn is_raw(line: &Line<'_>) -> bool {
    let Some((name, _)) = line.text.split_once(':') else { return false };
    let is_name = name.starts_with(|char: char| char.is_ascii_uppercase())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    is_name
        && (["Received", "Sender", "Status", "Precedence"].contains(&name)
            || name.contains('-') && header::label(&name.to_lowercase()).is_none())
}

/// A line's label, its name in lower case, and what follows it. Stars are how bold is written in plain text.
fn field<'a>(line: &'a Line<'_>) -> Option<(Label, String, &'a str)> {
    let text = line.bare().trim_start_matches(['*', ' ']);
    let colon = text
        .char_indices()
        .take_while(|(at, _)| *at <= LABEL_BYTES)
        .find(|(_, char)| matches!(char, ':' | '：'))?
        .0;
    let name = bare(text.get(..colon)?.trim_matches(['*', ' ', '"'])).to_lowercase();
    let value = text.get(colon..)?.trim_start_matches([':', '：', '*']);
    Some((header::label(&name)?, name, bare(value)))
}

/// A time of day: two numbers with a colon or a dot, or with the signs of East Asia.
fn has_time(value: &str) -> bool {
    value.contains(['時', '时', '点', '點', '시'])
        || value.split_whitespace().any(|word| {
            let word = word.trim_end_matches([',', ';', ')']);
            let mut parts = word.split([':', '.']);
            let is = |part: Option<&str>, digits: std::ops::RangeInclusive<usize>| {
                part.is_some_and(|part| {
                    digits.contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
                })
            };
            let (hour, minute, second) = (parts.next(), parts.next(), parts.next());
            // Three numbers with dots are a date.
            is(hour, 1..=2) && is(minute, 2..=2) && (second.is_none() || word.contains(':'))
        })
}

//! What of a text is the author's, once it is known where it parts.

use crate::mail::reply::Method;
use crate::mail::reply::facts::Facts;
use crate::mail::reply::line;
use crate::mail::reply::line::{Line, Place, Script, bare};
use crate::mail::reply::parting;
use crate::mail::reply::parting::{Found, Parting, Quote};
use crate::mail::reply::signature;
use crate::mail::reply::words::around;

/// How long a line above a quote may be, in characters, to be a greeting that the text below the quote belongs to.
const GREETING_CHARS: usize = 50;

/// How long a text may be, in bytes, to be one that refers to answers below it and says little else.
const REFERENCE_BYTES: usize = 600;

/// Where less than this part of a text is left, the rest may have been more than history.
const MOST_OF: usize = 20;

/// What is kept.
pub(super) enum Kept {
    /// All: nothing was found.
    All,
    /// All: a message is passed on.
    AllForwarded,
    /// All: answers stand between the lines of a quote. How sure that is, in hundredths.
    AllAround(u8),
    /// Nothing would be.
    Nothing,
    /// This.
    Text { text: String, method: Method, confidence: u8 },
}

/// Decides what is kept of a text.
pub(super) fn of(script: &Script<'_>, facts: Facts) -> Kept {
    let lines = line::lines(script);
    let found = if facts.is_reply { parting::find(&lines, facts) } else { Found::Nothing };
    let parting = match found {
        Found::Forward => return Kept::AllForwarded,
        Found::Nothing => return without_signature(&lines),
        Found::Parting(parting) => parting,
    };
    let above = lines.get(..parting.at).unwrap_or_default();
    match below(&lines, parting, facts) {
        Below::History => match written(&[above]) {
            None => Kept::Nothing,
            Some(text) if parting.quote == Quote::Rest && refers_below(&text) => Kept::AllAround(60),
            Some(text) => kept(script, text, parting),
        },
        Below::Answers => Kept::AllAround(90),
        Below::Text(_) if parting.quote == Quote::Unintroduced || !is_greeting(above) => Kept::AllAround(80),
        Below::Text(at) => match written(&[above, lines.get(at..).unwrap_or_default()]) {
            None => Kept::Nothing,
            Some(text) => kept(script, text, Parting { confidence: parting.confidence.min(85), ..parting }),
        },
    }
}

fn kept(script: &Script<'_>, text: String, parting: Parting) -> Kept {
    let is_little = text.len().saturating_mul(MOST_OF) < script.text.len();
    let confidence = if is_little { parting.confidence.min(50) } else { parting.confidence };
    Kept::Text { text, method: parting.method, confidence }
}

fn without_signature(lines: &[Line<'_>]) -> Kept {
    let whole = joined(lines);
    match written(&[lines]) {
        Some(text) if bare(&text) != bare(&whole) => {
            Kept::Text { text, method: Method::Signature, confidence: 90 }
        }
        _ => Kept::All,
    }
}

/// What stands below a parting.
enum Below {
    /// Only what is quoted, and what programs add below it.
    History,
    /// Text of the author's, from this line to the end.
    Text(usize),
    /// The same, and more quotes between.
    Answers,
}

fn below(lines: &[Line<'_>], parting: Parting, facts: Facts) -> Below {
    if parting.quote == Quote::Rest {
        return Below::History;
    }
    let is_quoted = |line: &Line<'_>| match line.place {
        Place::Quote(_) | Place::Introduction(_) | Place::Signature => true,
        Place::Block => parting.quote == Quote::Blocks,
        Place::Own => false,
    };
    let mut at = parting.end;
    while let Some(line) = lines.get(at) {
        if is_quoted(line) || line.is_blank() || parting::is_broken_off(lines, at) {
            at += 1;
            continue;
        }
        match parting::at_line(lines, at, facts) {
            Found::Parting(next) if next.quote == Quote::Rest => return Below::History,
            // Another quote, introduced.
            Found::Parting(next) if next.at >= at && next.end > at => at = next.end,
            _ if introduces_another(lines, at, facts) => at += 1,
            _ => break,
        }
    }
    let rest = lines.get(at..).unwrap_or_default();
    if rest.iter().all(Line::is_blank) || signature::is_footer(rest) {
        Below::History
    } else if rest.iter().any(|line| is_quoted(line) && line.place != Place::Signature) {
        Below::Answers
    } else {
        Below::Text(at)
    }
}

/// Whether a line is the first of an attribution that is wrapped.
fn introduces_another(lines: &[Line<'_>], at: usize, facts: Facts) -> bool {
    (at + 1..at + crate::mail::reply::attribution::LINES).any(|end| {
        matches!(parting::at_line(lines, end, facts), Found::Parting(next) if next.at <= at && next.end > at)
    })
}

/// Whether nothing stands above a quote but a greeting, or not even that.
fn is_greeting(above: &[Line<'_>]) -> bool {
    let mut written = above.iter().map(Line::bare).filter(|text| !text.is_empty());
    match (written.next(), written.next()) {
        (None, _) => true,
        (Some(greeting), None) => {
            greeting.chars().count() <= GREETING_CHARS
                && greeting.ends_with([',', '!', ':', '，', '！', '：', '、'])
        }
        (Some(_), Some(_)) => false,
    }
}

/// Whether a short text says that the answers stand in the mail below it.
fn refers_below(text: &str) -> bool {
    text.len() <= REFERENCE_BYTES
        && text.to_lowercase().split(['.', '!', '?', '\n', '。']).any(around::answers_below)
}

/// The author's words in parts of a text, without signatures; `None` if nothing is left of them.
fn written(parts: &[&[Line<'_>]]) -> Option<String> {
    let text = |keeps_signature: bool| {
        let parts = parts.iter().map(|part| {
            let own: Vec<Line<'_>> = part
                .iter()
                .filter(|line| keeps_signature || line.place != Place::Signature)
                .copied()
                .collect();
            joined(signature::without(&own))
        });
        parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n\n")
    };
    // Some people write into what their program takes for the signature.
    [false, true].into_iter().map(text).find(|text| !text.is_empty())
}

/// Lines as text, without blanks at the ends.
fn joined(lines: &[Line<'_>]) -> String {
    let text = lines.iter().map(|line| line.text.trim_end()).collect::<Vec<_>>().join("\n");
    let end = text.trim_end().len();
    let start = text.find(|char: char| char != '\n' && char != '\r').unwrap_or(0);
    text.get(start..end).unwrap_or_default().to_owned()
}

//! Lines that part a reply from what is below it, by what they say: `-----Original Message-----`.

use crate::mail::reply::line::bare;
use crate::mail::reply::words::quote;

/// How much of a line is looked at, in bytes.
const BYTES: usize = 200;

/// What a line of that kind says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Separator {
    /// The mail that is answered follows.
    Original,
    /// A message that is passed on follows.
    Forward,
    /// The answer belongs above it.
    ReplyAbove,
    /// Nothing; it is drawn.
    Rule,
}

/// Reads a line.
pub(super) fn read(line: &str) -> Option<Separator> {
    let line = bare(line);
    if is_rule(line) {
        return Some(Separator::Rule);
    }
    let line = line.get(..line.floor_char_boundary(BYTES)).unwrap_or(line);
    let (words, drawn) = between_rules(line);
    let words = words.to_lowercase();
    if drawn && quote::is_original_message(&words) {
        return Some(Separator::Original);
    }
    // Without any frame it is a sentence like any other.
    let is_framed = drawn || line.starts_with(is_drawn) || line.ends_with(is_drawn);
    // Apple Mail draws nothing, and writes a colon.
    let begins_forward = (is_framed || line.ends_with([':', '：'])) && quote::begins_forward(&words);
    if drawn && quote::is_forwarded(&words) || begins_forward {
        return Some(Separator::Forward);
    }
    (is_framed && quote::is_reply_above(&words)).then_some(Separator::ReplyAbove)
}

/// Whether a line is drawn from one side to the other: at least five dashes or the like.
pub(super) fn is_rule(line: &str) -> bool {
    let line = bare(line);
    line.chars().count() >= 5 && line.chars().all(is_drawn)
}

fn is_drawn(char: char) -> bool {
    matches!(char, '-' | '_' | '=' | '*' | '~' | '#' | '–' | '—' | '―' | '─' | '━' | '·')
}

/// What stands between the rule that a line begins with and the next one, and whether there are two.
fn between_rules(line: &str) -> (&str, bool) {
    let inner = line.trim_start_matches(is_drawn);
    if inner.len() + 2 > line.len() {
        return (line, false);
    }
    // Some programs write the quoted header on the same line.
    match ["--", "__", "==", "**", "––", "——", "##"].iter().filter_map(|rule| inner.find(rule)).min()
    {
        Some(end) => (bare(inner.get(..end).unwrap_or(inner)), true),
        None => (bare(inner), false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_are_told_by_what_stands_between_dashes() {
        for (line, separator) in [
            ("-----Original Message-----", Some(Separator::Original)),
            ("------------------ 原始邮件 ------------------", Some(Separator::Original)),
            ("-------- Исходное сообщение --------", Some(Separator::Original)),
            ("---------- Forwarded message ---------", Some(Separator::Forward)),
            ("Début du message transféré :", Some(Separator::Forward)),
            ("İleti başlangıcı:", Some(Separator::Forward)),
            ("--- begin forwarded text", Some(Separator::Forward)),
            ("##- Please type your reply above this line -##", Some(Separator::ReplyAbove)),
            ("________________________________", Some(Separator::Rule)),
            (
                "-------- Ursprüngliche Nachricht --------Von: Support Datum: 3.3.26",
                Some(Separator::Original),
            ),
            ("Please reply above this line if you can.", None),
            ("Every page starts with -----Original Message----- now.", None),
            ("original message", None),
            ("-- ", None),
            ("", None),
        ] {
            assert_eq!(read(line), separator, "{line}");
        }
    }
}

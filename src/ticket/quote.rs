//! Whether a mail quotes what it answers.

use crate::mail::Mail;

/// Lines of a text that are looked at. What is quoted stands below what is new, but seldom so far below.
const MAX_LINES: usize = 2_000;

/// Whether a mail's text holds lines of another mail: marked by `>`, or below a line or block that introduces them.
/// Tells nothing of whose lines they are.
pub(super) fn is_in(mail: &Mail) -> bool {
    let mut fields = 0;
    for line in mail.text.lines().take(MAX_LINES).map(str::trim) {
        if line.starts_with('>') || introduces(line) {
            return true;
        }
        fields = match line.is_empty() {
            // Outlook for the web puts empty lines between.
            true => fields,
            false if is_field(line) => fields + 1,
            false => 0,
        };
        // From, Sent, To, in whatever language.
        if fields >= 3 {
            return true;
        }
    }
    false
}

/// `On Monday Ann wrote:`, `Am 5. Mai schrieb Ann <ann@example.com>:`, `-----Original Message-----`.
fn introduces(line: &str) -> bool {
    let is_rule = line.len() >= 10 && (line.starts_with("-----") || line.starts_with("_____"));
    let ends_as_one =
        line.ends_with([':', '：']) && (line.contains('@') || line.bytes().any(|b| b.is_ascii_digit()));
    is_rule || (ends_as_one && line.split_whitespace().count() >= 3)
}

/// `From: Ann`, `Envoyé : lundi`.
fn is_field(line: &str) -> bool {
    let name = line.trim_start_matches('*').split([':', '：']).next().unwrap_or_default();
    let is_name = !name.is_empty() && name.chars().count() <= 20 && name.split_whitespace().count() <= 2;
    name.len() < line.len()
        && is_name
        && name.chars().all(|char| char.is_alphabetic() || char == ' ' || char == '\u{a0}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail;
    use crate::mail::Facts;
    use crate::message::{Extent, Listed, Message, Uid};

    fn quotes(text: &str) -> bool {
        let listed = Listed { uid: Uid(1), size: 0, internal_date: None };
        let source = format!("Content-Type: text/plain; charset=utf-8\r\n\r\n{text}").into_bytes();
        is_in(&mail::read(&Message { listed, source, extent: Extent::Whole }, &Facts::default()))
    }

    #[test]
    fn quotes_are_told_by_their_marks_and_by_what_introduces_them() {
        for text in [
            "Yes.\n> Is it?",
            "Yes.\n\nOn Mon, 5 Jan 2026 Ann <ann@a.example> wrote:\nIs it?",
            "Ja.\n\nAm 5. Januar 2026 schrieb Ann:\nIst es so?",
            "Yes.\n-----Original Message-----\nIs it?",
            "Oui.\n\nDe : Ann\nEnvoyé : lundi\nÀ : Bob\nObjet : x\n\nEst-ce ?",
            "Yes.\n\nFrom: Ann\n\nSent: Monday\n\nTo: Bob\n\nIs it?",
        ] {
            assert!(quotes(text), "{text}");
        }
    }

    #[test]
    fn what_people_write_is_no_quote() {
        for text in [
            "",
            "Hello,\nwhere is my invoice?\n\nAnn",
            "Please note:\nit is broken.\nThanks:\nAnn",
            "Name: Ann\nI need two things: this and that.\nPhone: 5",
        ] {
            assert!(!quotes(text), "{text}");
        }
    }
}

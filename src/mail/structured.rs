//! Structured field values (RFC 5322 §3.2): words and marks, with comments taken out and quotes resolved.
//!
//! Linear in the length of the value, whatever it holds. What is never closed ends with the value.

use std::iter::Peekable;
use std::str::Chars;

/// A piece of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// What stands between white space and marks, quotes and escapes resolved.
    Word(String),
    /// One of `;`, `,` and `=`.
    Mark(char),
}

/// The pieces of a value on one line, in order.
pub(super) fn pieces(value: &str) -> impl Iterator<Item = Piece> {
    let mut chars = value.chars().peekable();
    std::iter::from_fn(move || {
        skip_space(&mut chars);
        let &first = chars.peek()?;
        if is_mark(first) {
            chars.next();
            return Some(Piece::Mark(first));
        }
        Some(Piece::Word(word(&mut chars)))
    })
}

/// The first word of a value in lower case: its keyword, without parameters and comments. Empty if there is none.
pub(super) fn keyword(value: &str) -> String {
    words(value).next().unwrap_or_default()
}

/// The words of a value in lower case.
pub(super) fn words(value: &str) -> impl Iterator<Item = String> {
    pieces(value).filter_map(|piece| match piece {
        Piece::Word(word) => Some(word.to_lowercase()),
        Piece::Mark(_) => None,
    })
}

fn is_mark(char: char) -> bool {
    matches!(char, ';' | ',' | '=')
}

/// Skips white space and comments.
fn skip_space(chars: &mut Peekable<Chars<'_>>) {
    while let Some(&char) = chars.peek() {
        if char == '(' {
            skip_comment(chars);
        } else if char.is_whitespace() || char.is_control() {
            chars.next();
        } else {
            return;
        }
    }
}

/// Skips a comment, which may hold comments.
fn skip_comment(chars: &mut Peekable<Chars<'_>>) {
    let mut depth = 0_usize;
    while let Some(char) = chars.next() {
        match char {
            '\\' => drop(chars.next()),
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return;
        }
    }
}

/// Reads a word: atoms and quoted strings that touch one another.
fn word(chars: &mut Peekable<Chars<'_>>) -> String {
    let mut word = String::new();
    while let Some(char) = chars.next_if(|&char| !ends_word(char)) {
        if char != '"' {
            word.push(char);
            continue;
        }
        while let Some(char) = chars.next().filter(|&char| char != '"') {
            let char = if char == '\\' { chars.next() } else { Some(char) };
            word.extend(char.filter(|char| !char.is_control()));
        }
    }
    word
}

fn ends_word(char: char) -> bool {
    is_mark(char) || char == '(' || char.is_whitespace() || char.is_control()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(value: &str) -> Vec<String> {
        let text = |piece| match piece {
            Piece::Word(word) => word,
            Piece::Mark(mark) => format!("[{mark}]"),
        };
        pieces(value).map(text).collect()
    }

    #[test]
    fn comments_go_and_quotes_are_resolved() {
        assert_eq!(
            written(r#"mx.example.com (a (b) \) c) 1; spf = pass smtp.mailfrom="a \"b\""@example.com"#),
            [
                "mx.example.com",
                "1",
                "[;]",
                "spf",
                "[=]",
                "pass",
                "smtp.mailfrom",
                "[=]",
                "a \"b\"@example.com"
            ]
        );
        assert_eq!(written("auto-replied(vacation)"), ["auto-replied"]);
        assert_eq!(written(r#"a="x; y (no comment)";b"#), ["a", "[=]", "x; y (no comment)", "[;]", "b"]);
    }

    #[test]
    fn what_is_never_closed_ends_with_the_value() {
        assert_eq!(written("a (b ; c"), ["a"]);
        assert_eq!(written("a \"b ; c"), ["a", "b ; c"]);
        assert_eq!(written("a \"b\\"), ["a", "b"]);
        assert_eq!(written(" \t"), [""; 0]);
    }

    #[test]
    fn a_keyword_is_the_first_word_in_lower_case() {
        assert_eq!(keyword(" (c) Auto-Replied (vacation); owner=\"a\""), "auto-replied");
        assert_eq!(keyword("no;x"), "no");
        assert_eq!(keyword(";"), "");
    }

    proptest! {
        #[test]
        fn any_value_gives_no_more_than_it_holds(value in "(\\PC|[;=,()\"\\\\ \t\\x00]){0,200}") {
            let length: usize = written(&value).iter().map(|piece| piece.trim_matches(['[', ']']).len()).sum();
            prop_assert!(length <= value.len());
        }
    }
}

//! A date's text in pieces.

/// The longest text that is looked at: ten times what a date has.
const MAX_BYTES: usize = 400;

/// A piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// Digits.
    Number(&'a str),
    /// Letters.
    Word(&'a str),
    /// Anything else but white space.
    Mark(char),
}

impl Token<'_> {
    /// The number, if it has so many digits at most.
    pub(super) fn number(&self, digits: usize) -> Option<u32> {
        match self {
            Self::Number(number) if number.len() <= digits => number.parse().ok(),
            _ => None,
        }
    }

    pub(super) fn word(&self) -> Option<&str> {
        match self {
            Self::Word(word) => Some(word),
            _ => None,
        }
    }
}

/// The tokens of a date without its comments and commas, and the last comment.
pub(super) fn tokens(value: &str) -> (Vec<Token<'_>>, &str) {
    let mut rest = value.get(..value.floor_char_boundary(MAX_BYTES)).unwrap_or_default();
    let mut tokens = Vec::new();
    let mut comment = "";
    while let Some(char) = rest.chars().next() {
        if char == '(' {
            let end = rest.find(')').unwrap_or(rest.len());
            comment = rest.get(1..end).unwrap_or_default().trim();
            rest = rest.get(end + 1..).unwrap_or_default();
            continue;
        }
        let is_same: fn(char) -> bool = if char.is_ascii_digit() {
            |char| char.is_ascii_digit()
        } else if is_letter(char) {
            is_letter
        } else {
            |_| false
        };
        let end = rest
            .find(|char| !is_same(char))
            .filter(|&end| end > 0)
            .unwrap_or_else(|| if is_same(char) { rest.len() } else { char.len_utf8() });
        let (piece, tail) = rest.split_at_checked(end).unwrap_or((rest, ""));
        rest = tail;
        match char {
            '0'..='9' => tokens.push(Token::Number(piece)),
            _ if is_letter(char) => tokens.push(Token::Word(piece)),
            _ if char.is_whitespace() || matches!(char, ',' | ')' | '"' | '\'') => {}
            _ => tokens.push(Token::Mark(char)),
        }
    }
    (tokens, comment)
}

/// Whether a character belongs to a name. The signs that stand behind numbers in Chinese and Japanese do not.
fn is_letter(char: char) -> bool {
    char.is_alphabetic() && !matches!(char, '年' | '月' | '日' | '時' | '时' | '分' | '秒')
}

#[cfg(test)]
mod tests {
    use super::Token::{Mark, Number, Word};
    use super::*;

    #[test]
    fn a_date_is_taken_apart() {
        assert_eq!(
            tokens("Tue, 03-Mär-2026 9:05 +0100 (CET (x"),
            (
                vec![
                    Word("Tue"),
                    Number("03"),
                    Mark('-'),
                    Word("Mär"),
                    Mark('-'),
                    Number("2026"),
                    Number("9"),
                    Mark(':'),
                    Number("05"),
                    Mark('+'),
                    Number("0100")
                ],
                "CET (x"
            )
        );
        assert_eq!(tokens("2026年3月").0, [Number("2026"), Mark('年'), Number("3"), Mark('月')]);
        assert_eq!(tokens(""), (vec![], ""));
    }
}

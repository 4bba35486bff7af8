//! RTF, word by word (RTF 1.9.1).

use crate::mail::transfer;

/// A piece of RTF.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// `{`
    Open,
    /// `}`
    Close,
    /// `\word`, with its number if it has one.
    Word(&'a [u8], Option<i32>),
    /// `\` and a character that is no letter, such as `\~`.
    Symbol(u8),
    /// `\'c3`: a byte of text.
    Byte(u8),
    /// Text, without line ends, which mean nothing.
    Text(&'a [u8]),
}

/// The tokens of an RTF document. Binary data is left out.
pub(super) struct Tokens<'a> {
    pub(super) rest: &'a [u8],
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        loop {
            let (&first, rest) = self.rest.split_first()?;
            match first {
                b'\r' | b'\n' | 0 => self.rest = rest,
                b'{' => return Some(self.give(rest, Token::Open)),
                b'}' => return Some(self.give(rest, Token::Close)),
                b'\\' => {
                    self.rest = rest;
                    match self.control() {
                        Some(Token::Word(b"bin", length)) => {
                            let length = length.and_then(|length| usize::try_from(length).ok());
                            self.rest = self.rest.get(length.unwrap_or_default()..).unwrap_or_default();
                        }
                        token => return token,
                    }
                }
                _ => {
                    let is_end = |byte: &u8| matches!(byte, b'{' | b'}' | b'\\' | b'\r' | b'\n' | 0);
                    let end = self.rest.iter().position(is_end).unwrap_or(self.rest.len());
                    let (text, rest) = self.rest.split_at(end);
                    return Some(self.give(rest, Token::Text(text)));
                }
            }
        }
    }
}

impl<'a> Tokens<'a> {
    fn give(&mut self, rest: &'a [u8], token: Token<'a>) -> Token<'a> {
        self.rest = rest;
        token
    }

    /// What follows a backslash.
    fn control(&mut self) -> Option<Token<'a>> {
        let letters = self.rest.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
        let (word, rest) = self.rest.split_at(letters);
        if word.is_empty() {
            let (&symbol, rest) = rest.split_first()?;
            return Some(match (symbol, transfer::hex_pair(rest)) {
                (b'\'', Some(byte)) => self.give(rest.get(2..)?, Token::Byte(byte)),
                // A line end behind a backslash is a paragraph's.
                (b'\r' | b'\n', _) => self.give(rest, Token::Word(b"par", None)),
                _ => self.give(rest, Token::Symbol(symbol)),
            });
        }
        let minus = usize::from(rest.first() == Some(&b'-'));
        let digits = rest.iter().skip(minus).take_while(|byte| byte.is_ascii_digit()).count();
        let (number, rest) = if digits == 0 { (&[][..], rest) } else { rest.split_at(minus + digits) };
        let number = std::str::from_utf8(number).ok().and_then(|number| number.parse().ok());
        // One space ends a word and is no text.
        Some(self.give(rest.strip_prefix(b" ").unwrap_or(rest), Token::Word(word, number)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_numbers_and_text_are_told_apart() {
        let rtf = b"{\\rtf1\\b0 a\r\nb\\u-3913?\\'c3\\~\\\\\\*\\bin3 {}}c\\ }";

        let tokens: Vec<_> = Tokens { rest: rtf }.collect();

        assert_eq!(
            tokens,
            [
                Token::Open,
                Token::Word(b"rtf", Some(1)),
                Token::Word(b"b", Some(0)),
                Token::Text(b"a"),
                Token::Text(b"b"),
                Token::Word(b"u", Some(-3913)),
                Token::Text(b"?"),
                Token::Byte(0xc3),
                Token::Symbol(b'~'),
                Token::Symbol(b'\\'),
                Token::Symbol(b'*'),
                Token::Text(b"c"),
                Token::Symbol(b' '),
                Token::Close,
            ]
        );
    }

    #[test]
    fn an_end_in_the_middle_is_an_end() {
        for rtf in [&b"\\"[..], b"\\'", b"\\'c", b"\\bin9 x", b"\\u", b"{"] {
            assert!(Tokens { rest: rtf }.count() <= 2, "{rtf:?}");
        }
    }
}

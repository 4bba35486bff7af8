//! RTF made readable (RTF 1.9.1), and HTML that was wrapped into RTF taken out again (MS-OXRTFEX).

mod compressed;
mod token;

use std::collections::HashMap;

use crate::mail::tnef::code_page;
use crate::mail::{charset, limit};

use token::{Token, Tokens};

pub(super) use compressed::unpack;

/// What an RTF document says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// It was made from HTML, and this is it.
    Html(String),
    Text(String),
}

/// Reads a document, as far as it goes.
pub(super) fn read(rtf: &[u8]) -> Content {
    let mut reader = Reader::default();
    for token in (Tokens { rest: rtf }) {
        reader.take(&token);
    }
    reader.flush();
    if reader.is_html { Content::Html(reader.said) } else { Content::Text(reader.said) }
}

#[derive(Default)]
struct Reader {
    said: String,
    is_html: bool,
    group: Group,
    /// The groups around this one, outermost first.
    around: Vec<Group>,
    /// How many groups are open beyond those that are remembered.
    deeper: usize,
    /// Bytes of text in the code page of the group.
    pending: Vec<u8>,
    /// The first half of a character that takes two.
    high: Option<u16>,
    /// How many characters are still to be left out, which stand in for the one before.
    stand_ins: usize,
    /// The document's code page.
    code_page: Option<u32>,
    /// Code pages by font.
    fonts: HashMap<i32, u32>,
    default_font: i32,
    /// The font that the table is speaking of.
    font: i32,
}

/// What holds until a group ends.
#[derive(Clone, Copy, Default)]
struct Group {
    destination: Destination,
    /// Whether the next word says what the group is for, and it may be left out by who does not know that.
    is_optional: bool,
    /// Whether this is for readers of RTF and was not in the HTML.
    is_rtf_only: bool,
    code_page: Option<u32>,
    /// How many characters stand in for one of Unicode, if that is not one.
    stand_ins: Option<usize>,
}

/// What a group's text is.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Destination {
    #[default]
    Shown,
    Fonts,
    Hidden,
}

impl Reader {
    fn take(&mut self, token: &Token<'_>) {
        match *token {
            Token::Open => self.open(),
            Token::Close => self.close(),
            Token::Word(word, number) => {
                // A word is one character where characters are left out, but an end is not.
                if self.stand_ins > 0 && word != b"u" {
                    self.stand_ins -= 1;
                } else {
                    self.word(word, number);
                }
            }
            Token::Symbol(b'*') => self.group.is_optional = true,
            Token::Symbol(symbol @ (b'{' | b'}' | b'\\')) => self.text(&[symbol]),
            Token::Symbol(b'~') => self.char('\u{a0}'),
            Token::Symbol(b'_') => self.char('\u{2011}'),
            Token::Symbol(_) => {}
            Token::Byte(byte) => self.text(&[byte]),
            Token::Text(text) => self.text(text),
        }
    }

    fn open(&mut self) {
        self.flush();
        self.stand_ins = 0;
        if self.around.len() < limit::RTF_DEPTH {
            self.around.push(self.group);
        } else {
            self.deeper += 1;
        }
    }

    fn close(&mut self) {
        self.flush();
        self.stand_ins = 0;
        match self.deeper.checked_sub(1) {
            Some(deeper) => self.deeper = deeper,
            None => self.group = self.around.pop().unwrap_or_default(),
        }
    }

    fn word(&mut self, word: &[u8], number: Option<i32>) {
        if std::mem::take(&mut self.group.is_optional) && word != b"htmltag" {
            self.group.destination = Destination::Hidden;
        }
        match word {
            b"fonttbl" => self.become_hidden(Destination::Fonts),
            b"colortbl" | b"stylesheet" | b"info" | b"pict" | b"object" | b"header" | b"headerl"
            | b"headerr" | b"headerf" | b"footer" | b"footerl" | b"footerr" | b"footerf" => {
                self.become_hidden(Destination::Hidden);
            }
            b"fromhtml" => self.is_html = number != Some(0),
            b"htmlrtf" => {
                self.flush();
                self.group.is_rtf_only = number != Some(0);
            }
            b"ansicpg" => {
                self.code_page = number.and_then(|number| u32::try_from(number).ok());
                self.group.code_page = self.code_page;
            }
            b"deff" => self.default_font = number.unwrap_or_default(),
            b"f" if self.group.destination == Destination::Fonts => self.font = number.unwrap_or_default(),
            b"f" => self.use_font(number.unwrap_or_default()),
            b"plain" => self.use_font(self.default_font),
            b"fcharset" if self.group.destination == Destination::Fonts => {
                let code_page = number.and_then(code_page::of_font);
                self.fonts.extend(code_page.map(|code_page| (self.font, code_page)));
            }
            b"uc" => self.group.stand_ins = number.and_then(|number| usize::try_from(number).ok()),
            b"u" => self.unicode(number.unwrap_or_default()),
            b"par" | b"line" | b"sect" => self.char('\n'),
            b"row" | b"page" if !self.is_html => self.char('\n'),
            b"tab" => self.char('\t'),
            b"cell" if !self.is_html => self.char('\t'),
            b"emdash" => self.char('\u{2014}'),
            b"endash" => self.char('\u{2013}'),
            b"lquote" => self.char('\u{2018}'),
            b"rquote" => self.char('\u{2019}'),
            b"ldblquote" => self.char('\u{201c}'),
            b"rdblquote" => self.char('\u{201d}'),
            b"bullet" => self.char('\u{2022}'),
            _ => {}
        }
    }

    fn become_hidden(&mut self, destination: Destination) {
        if self.group.destination == Destination::Shown {
            self.group.destination = destination;
        }
    }

    fn use_font(&mut self, font: i32) {
        self.flush();
        self.group.code_page = self.fonts.get(&font).copied().or(self.code_page);
    }

    fn is_shown(&self) -> bool {
        self.group.destination == Destination::Shown && !(self.is_html && self.group.is_rtf_only)
    }

    fn text(&mut self, text: &[u8]) {
        let left_out = self.stand_ins.min(text.len());
        self.stand_ins -= left_out;
        let text = text.get(left_out..).unwrap_or_default();
        if !text.is_empty() {
            self.high = None;
        }
        if self.is_shown() {
            self.pending.extend_from_slice(text);
        }
    }

    fn char(&mut self, char: char) {
        self.flush();
        if self.is_shown() {
            self.said.push(char);
        }
    }

    /// A unit of UTF-16, which RTF writes as a signed number.
    fn unicode(&mut self, number: i32) {
        let unit = u16::try_from(number.rem_euclid(0x1_0000)).unwrap_or_default();
        match (self.high.take(), unit) {
            (_, 0xd800..0xdc00) => self.high = Some(unit),
            (Some(high), _) => char::decode_utf16([high, unit]).flatten().for_each(|char| self.char(char)),
            (None, _) => char::decode_utf16([unit]).flatten().for_each(|char| self.char(char)),
        }
        self.stand_ins = self.group.stand_ins.unwrap_or(1);
    }

    /// Decodes what has come in the group's code page.
    fn flush(&mut self) {
        if !self.pending.is_empty() {
            let charset = self.group.code_page.and_then(code_page::charset);
            let pending = std::mem::take(&mut self.pending);
            self.said.push_str(&charset::decode(pending.into(), charset).text);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(rtf: &str) -> String {
        match read(rtf.as_bytes()) {
            Content::Text(text) => text,
            Content::Html(html) => panic!("{html}"),
        }
    }

    #[test]
    fn text_is_what_a_reader_shows() {
        let rtf = "{\\rtf1\\ansi\\ansicpg1252\\deff0{\\fonttbl{\\f0\\fswiss\\fcharset0 Arial;}}\r\n\
                   {\\colortbl;\\red0\\green0\\blue255;}{\\*\\generator Riched20;}{\\info{\\title Secret}}\r\n\
                   \\pard\\f0\\fs20 Dear \\b support\\b0,\\par\r\n\\par it costs 5\\~\\'80 \\endash  or 5\\u8364?.\\line\r\n\
                   {\\field{\\*\\fldinst{HYPERLINK \"https://example.com\"}}{\\fldrslt{here}}}\\tab\\{x\\}}";

        assert_eq!(text(rtf), "Dear support,\n\nit costs 5\u{a0}€ – or 5€.\nhere\t{x}");
    }

    #[test]
    fn a_font_brings_its_code_page() {
        let rtf = "{\\rtf1\\ansicpg1252{\\fonttbl{\\f0\\fcharset0 A;}{\\f1\\fcharset204 B;}{\\f2\\fcharset128 C;}}\
                   {\\f1 \\'cf\\'f0\\'e8}\\f0\\'fc \\f2\\'82\\'a0\\'83A\\plain\\'fc}";

        assert_eq!(text(rtf), "Приü あアü");
    }

    #[test]
    fn characters_of_two_units_and_their_stand_ins_are_read() {
        assert_eq!(text("{\\rtf1 a\\u-10179?\\u-8704?b\\uc2\\u8364\\'80?c\\uc0\\u8364 d}"), "a😀b€c€d");
        assert_eq!(text("{\\rtf1 \\u-10179?x}"), "x");
    }

    #[test]
    fn html_is_taken_out_of_its_wrapping() {
        let rtf = "{\\rtf1\\ansi\\ansicpg1251\\fromhtml1 \\deff0{\\fonttbl{\\f0\\fcharset0 Arial;}}\r\n\
                   {\\*\\htmltag19 <html>}{\\*\\htmltag2 \\par }{\\*\\mhtmltag84 <img src=\"x\">}\
                   {\\*\\htmltag84 <img src=\"cid:a@b\">}{\\*\\htmltag64 <p>}\\htmlrtf {\\f0\\htmlrtf0 1 {\\*\\htmltag84 &lt;}\
                   \\htmlrtf <\\htmlrtf0  2\\htmlrtf\\par}\\htmlrtf0 {\\*\\htmltag72 </p>}\\'cf\\line {\\*\\htmltag27 </html>}}";

        assert_eq!(
            read(rtf.as_bytes()),
            Content::Html("<html>\n<img src=\"cid:a@b\"><p>1 &lt; 2</p>П\n</html>".to_owned())
        );
    }

    #[test]
    fn deep_groups_end_where_they_should() {
        let rtf = format!("{{\\rtf1 a{}{{\\b b}}{}c}}", "{".repeat(50_000), "}".repeat(50_000));

        assert_eq!(text(&rtf), "abc");
    }

    proptest! {
        #[test]
        fn anything_that_looks_like_rtf_is_read(
            pieces in prop::collection::vec(prop::sample::select(&[
                "{", "}", "\\", "\\*", "\\rtf1", "\\fromhtml1", "\\htmlrtf", "\\htmlrtf0", "{\\*\\htmltag1 ", "\\u", "-10179",
                "8364", "?", "\\'", "c3", "\\bin", "9", " ", "\\fonttbl", "\\f1", "\\fcharset128", "\\uc9", "\\par", "\r\n", "é",
            ][..]), 0..60),
        ) {
            let rtf = pieces.concat();
            let (Content::Html(said) | Content::Text(said)) = read(rtf.as_bytes());
            prop_assert!(said.len() <= 3 * rtf.len());
        }
    }
}

//! The line above a quote that says who wrote it and when: `On Tuesday, Support wrote:`.
//!
//! Told by what is in it (a word for writing, an address, a date, a time) and not by patterns, since there is one for
//! each language, each program, and each version of it. It may be wrapped over several lines.

use crate::mail::reply::line::{Line, bare};
use crate::mail::reply::words::quote;

/// The most lines that one is wrapped over.
pub(super) const LINES: usize = 4;

/// The longest, in bytes.
const BYTES: usize = 800;

/// How sure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Strength {
    /// Only if what follows is marked as a quote.
    AboveQuote,
    /// Whatever follows.
    Sure,
}

/// What is in a line, a bit for each.
#[derive(Clone, Copy, Default)]
struct Signs(u8);

const WROTE: u8 = 1;
const ADDRESS: u8 = 2;
const DATE: u8 = 4;
const TIME: u8 = 8;

/// The attribution that ends with the last of `lines`: how many of them it takes, and how sure it is.
pub(super) fn ending_with(lines: &[Line<'_>]) -> Option<(usize, Strength)> {
    let (last, above) = lines.split_last()?;
    let place = last.place;
    let last = last.bare();
    if !may_end_with(last) {
        return None;
    }
    let mut signs = Signs::of(last);
    let mut first = last;
    let mut bytes = last.len();
    let mut taken = 1;
    for line in above.iter().rev().take_while(|line| line.place == place).take(LINES - 1) {
        let line = line.bare();
        if signs.are_complete() && !goes_on_above(first, line) {
            break;
        }
        if line.is_empty() || is_end_of_sentence(line) {
            break;
        }
        bytes += line.len();
        if bytes > BYTES {
            break;
        }
        signs = signs.and(Signs::of(line));
        first = line;
        taken += 1;
    }
    if bytes > BYTES {
        return None;
    }
    // Lines that have added nothing are the author's.
    if !signs.are_complete() {
        (signs, taken) = (Signs::of(last), 1);
    }
    Some((taken, signs.strength(last)?))
}

/// Whether a line can be the last of an attribution.
fn may_end_with(line: &str) -> bool {
    let starts_with_date = || line.split(' ').next().is_some_and(is_date);
    line.len() <= BYTES
        && (line.ends_with([':', '：', '-'])
            || line.ends_with('>') && starts_with_date()
            || line.rsplit(' ').next().is_some_and(quote::is_wrote))
}

/// Whether a line ends a sentence, and not with a number or an abbreviation.
fn is_end_of_sentence(line: &str) -> bool {
    let last = || line.rsplit(' ').next().unwrap_or_default();
    match line.chars().last() {
        Some('.') => last().chars().count() > 5,
        Some(char) => matches!(char, '!' | '?' | ':' | '：' | '。' | '！' | '？'),
        None => true,
    }
}

/// Whether the line above one that begins like this belongs to it.
fn goes_on_above(first: &str, above: &str) -> bool {
    let opens = first.find('<').unwrap_or(first.len());
    let is_cut_address = first.starts_with('<') || first.find('>').is_some_and(|closes| closes < opens);
    let begins = |line: &str| {
        line.split(' ').next().is_some_and(|first| quote::begins_attribution(word(&first.to_lowercase())))
    };
    is_cut_address || begins(above) && !begins(first)
}

impl Signs {
    fn of(line: &str) -> Self {
        let mut signs = Self::default();
        if line.len() > BYTES {
            return signs;
        }
        let lower: String =
            line.to_lowercase().chars().filter(|char| !is_direction(*char)).map(ascii_digit).collect();
        signs.add(WROTE, quote::says_wrote(&lower));
        signs.add(DATE, lower.contains(['年', '년']));
        signs.add(TIME, lower.contains(['時', '시']));
        let mut follows_clock = false;
        for token in lower.split(char::is_whitespace) {
            let word = word(token);
            let is_number = word.starts_with(|char: char| char.is_ascii_digit());
            signs.add(WROTE, quote::is_wrote(word));
            signs.add(ADDRESS, is_address(word));
            signs.add(DATE, is_date(word));
            signs.add(TIME, is_time(word) || follows_clock && is_number);
            follows_clock = quote::is_clock(word);
        }
        signs
    }

    fn add(&mut self, sign: u8, is_there: bool) {
        if is_there {
            self.0 |= sign;
        }
    }

    fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of these are there.
    fn have(self, signs: u8) -> bool {
        self.0 & signs == signs
    }

    fn are_complete(self) -> bool {
        self.have(DATE | TIME | WROTE) || self.have(DATE | TIME | ADDRESS)
    }

    fn strength(self, last: &str) -> Option<Strength> {
        if self.are_complete() || self.have(WROTE | ADDRESS) && is_author_and_verb(last) {
            Some(Strength::Sure)
        } else if self.have(WROTE) || self.have(ADDRESS) || self.have(DATE | TIME) {
            Some(Strength::AboveQuote)
        } else {
            None
        }
    }
}

/// Whether a line is an address, with or without a name before it, and a word for writing.
fn is_author_and_verb(line: &str) -> bool {
    let mut words = line.split_whitespace();
    let first_is_address = words.next().map(word).is_some_and(is_address);
    (first_is_address || line.contains('<') && line.contains('>')) && words.count() < 8
}

/// Characters that turn the direction of writing. Programs put them around what they insert.
fn is_direction(char: char) -> bool {
    matches!(char, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The digits of Arabic and Persian, and those as wide as a Chinese character, as ASCII writes them.
fn ascii_digit(char: char) -> char {
    [0x660, 0x6f0, 0xff10]
        .into_iter()
        .find_map(|zero| char::from_digit(u32::from(char).checked_sub(zero).filter(|digit| *digit < 10)?, 10))
        .unwrap_or(char)
}

/// A word without what stands around it.
fn word(token: &str) -> &str {
    bare(token).trim_matches([
        ':', '：', ',', '，', '、', '.', '"', '\'', '„', '“', '”', '«', '»', '<', '>', '(', ')', '[', ']',
        '-', '–', '*',
    ])
}

fn is_address(word: &str) -> bool {
    word.split_once('@').is_some_and(|(local, domain)| {
        !local.is_empty() && domain.contains('.') && domain.starts_with(|char: char| char.is_alphanumeric())
    })
}

/// A year, or three numbers in a row.
fn is_date(word: &str) -> bool {
    let mut numbers = word.split(['.', '/', '-', '年']).filter(|part| !part.is_empty());
    let is_number = |part: &str| part.len() <= 4 && part.bytes().all(|byte| byte.is_ascii_digit());
    let year = word
        .split(|char: char| !char.is_ascii_digit())
        .any(|part| part.len() == 4 && (part.starts_with("19") || part.starts_with("20")));
    year || numbers.clone().count() == 3 && numbers.all(is_number)
}

/// `9:05`, `09:05:07`, `9h05`, `9.05`.
fn is_time(word: &str) -> bool {
    let is_dotted = word.split_once('.').is_some_and(|(hour, minute)| {
        (1..=2).contains(&hour.len())
            && minute.len() == 2
            && hour.parse::<u8>().is_ok_and(|hour| hour < 24)
            && minute.parse::<u8>().is_ok_and(|minute| minute < 60)
    });
    let bytes = word.as_bytes();
    is_dotted
        || bytes.windows(4).any(|four| {
            matches!(four, [hour, b':' | b'h', ten, one]
            if hour.is_ascii_digit() && ten.is_ascii_digit() && one.is_ascii_digit())
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::reply::line::{Script, lines};

    fn of(text: &str) -> Option<(usize, Strength)> {
        ending_with(&lines(&Script { text, marks: &[], is_html: false }))
    }

    #[test]
    fn attributions_are_told_in_any_language() {
        for (text, taken) in [
            ("On Tue, 3 Mar 2026 at 09:05, Support <s@example.com> wrote:", 1),
            ("2026年3月3日(火) 9:05 サポート <s@example.com>:", 1),
            ("вт, 3 мар. 2026 г. в 09:05, Поддержка <s@example.com>:", 1),
            ("3. 3. 2026 v 9:05, Podpora <s@example.com>:", 1),
            ("Den 03.03.2026 kl. 09.05 skrev Support:", 1),
            ("Podpora <\ns@example.com>, 3 Mar 2026 Sal, 09:05\ntarihinde şunu yazdı:", 3),
            ("Yes.\nOn Tue, 3 Mar\n2026 at 09:05, Support <s@example.com> wrote:", 2),
            ("no full stop\nAm 03.03.26 um 09:05 schrieb Support:", 1),
            ("Thank you\n\nOn 3/3/26 9:05, Support\nwrote:", 2),
        ] {
            assert_eq!(of(text), Some((taken, Strength::Sure)), "{text}");
        }
    }

    #[test]
    fn what_might_be_the_authors_own_words_needs_a_quote_below_it() {
        for text in [
            "On Monday your colleague wrote:",
            "am 27. Februar schrieb Frau Schäfer:",
            "support@example.com:",
        ] {
            assert_eq!(of(text), Some((1, Strength::AboveQuote)), "{text}");
        }
        for text in ["I have two questions:", "Yes.", "It was at 9:05:", "", "as I wrote, nothing happened."]
        {
            assert_eq!(of(text), None, "{text}");
        }
    }
}

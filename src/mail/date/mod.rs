//! The Date header (RFC 5322 §3.3), and what stands there instead.

mod lexer;
mod name;

use chrono::{DateTime, Datelike, Days, FixedOffset, NaiveDate, NaiveTime};

use crate::mail::date::lexer::{Token, tokens};

/// The years that a mail can claim. What is outside is a slip of the pen.
const YEARS: std::ops::RangeInclusive<i32> = 1900..=9999;

/// Reads a date as mail writes it, which is in every way: with two-digit years and those that programs miscounted,
/// without zone or seconds, with names of zones and months in many languages, as `asctime` does it, by ISO 8601, or in
/// numbers alone. Where the zone is missing or unknown it is taken as UTC (RFC 5322 §4.3). `None` if it is no date.
///
/// Of more than one date in a value the first counts. Numbers alone are year, month, day if they start with a year; with
/// strokes between them month, day, year as in the United States if they can be; and else day, month, year.
pub(super) fn read(value: &str) -> Option<DateTime<FixedOffset>> {
    let (tokens, comment) = tokens(value);
    if let [Token::Number(digits)] = tokens.as_slice() {
        return in_one_number(digits);
    }
    let clock = Clock::find(&tokens);
    let (before, after) = match &clock {
        Some(clock) => (tokens.get(..clock.start)?, tokens.get(clock.end..)?),
        None => (tokens.as_slice(), &[][..]),
    };
    // `asctime` and its like have the year between time and zone, or behind both.
    let year = usize::from(matches!(after.first(), Some(Token::Number(_))));
    let (year, behind) = after.split_at_checked(year)?;
    let zone = zone(behind).or_else(|| name::zone(comment)).unwrap_or(Zone { seconds: 0, length: 0 });
    let rest = if year.is_empty() { after.get(zone.length..).unwrap_or_default() } else { after };
    let day = day(before, rest).or_else(|| day(rest, &[]))?;
    let (time, is_next_day) = match clock {
        Some(clock) => clock.time()?,
        None => (NaiveTime::MIN, false),
    };
    let day = day.checked_add_days(Days::new(is_next_day.into()))?;
    day.and_time(time).and_local_timezone(FixedOffset::east_opt(zone.seconds)?).single()
}

/// Whether a date can't be true: it is later than a day after the mail came, or before there was mail (RFC 822 is of
/// 13 August 1982).
pub(super) fn is_doubtful(date: DateTime<FixedOffset>, received: Option<DateTime<FixedOffset>>) -> bool {
    let is_too_late = match received {
        Some(received) => date.signed_duration_since(received).num_days() >= 1,
        None => date.year() >= 2100,
    };
    is_too_late || date.year() < 1982
}

/// The time of day in a list of tokens.
struct Clock {
    hour: u32,
    minute: u32,
    second: u32,
    is_afternoon: Option<bool>,
    /// The tokens that it is.
    start: usize,
    end: usize,
}

impl Clock {
    /// The first with colons, or else the last with full stops, which dates may have as well.
    fn find(tokens: &[Token<'_>]) -> Option<Self> {
        let with = |mark: char, start: usize| Self::at(tokens, start, mark);
        (0..tokens.len()).find_map(|start| with(':', start)).or_else(|| {
            (0..tokens.len()).rev().filter_map(|start| with('.', start)).find(|clock| clock.is_all(tokens))
        })
    }

    /// Whether numbers with full stops between them are this and no date.
    fn is_all(&self, tokens: &[Token<'_>]) -> bool {
        let is_stop =
            |index: Option<usize>| index.and_then(|index| tokens.get(index)) == Some(&Token::Mark('.'));
        self.end - self.start >= 5
            && self.start > 1
            && !is_stop(self.start.checked_sub(1))
            && !is_stop(Some(self.end))
    }

    fn at(tokens: &[Token<'_>], start: usize, mark: char) -> Option<Self> {
        let number = |index: usize| tokens.get(index)?.number(2);
        let follows = |index: usize, mark: char| tokens.get(index) == Some(&Token::Mark(mark));
        let hour = number(start)?;
        let minute = number(start + 2).filter(|_| follows(start + 1, mark))?;
        let second = number(start + 4).filter(|_| follows(start + 3, mark));
        let mut end = start + if second.is_some() { 5 } else { 3 };
        // Fractions of a second.
        if (follows(end, '.') || follows(end, ',')) && matches!(tokens.get(end + 1), Some(Token::Number(_))) {
            end += 2;
        }
        let word = tokens.get(end).and_then(Token::word);
        let is_afternoon = word.and_then(name::is_afternoon);
        end += usize::from(is_afternoon.is_some());
        Some(Self { hour, minute, second: second.unwrap_or(0), is_afternoon, start, end })
    }

    /// The time, and whether it is one of the next day: midnight may be 24:00.
    fn time(&self) -> Option<(NaiveTime, bool)> {
        let hour = match self.is_afternoon {
            Some(is_afternoon) if self.hour <= 12 => self.hour % 12 + if is_afternoon { 12 } else { 0 },
            _ => self.hour,
        };
        if (hour, self.minute, self.second) == (24, 0, 0) {
            return Some((NaiveTime::MIN, true));
        }
        // A leap second is legal, and nobody else has it.
        let second = if self.second == 60 { 59 } else { self.second };
        Some((NaiveTime::from_hms_opt(hour, self.minute, second)?, false))
    }
}

/// A zone, and how many tokens it is.
#[derive(Clone, Copy)]
struct Zone {
    seconds: i32,
    length: usize,
}

/// The zone at the start of what follows a time: an offset, a name, or a name with an offset (`GMT+0200`).
fn zone(tokens: &[Token<'_>]) -> Option<Zone> {
    if let Some(zone) = offset(tokens) {
        return Some(zone);
    }
    let word = tokens.first()?.word()?;
    let after = offset(tokens.get(1..)?).filter(|_| name::is_universal(word));
    after.map(|zone| Zone { length: zone.length + 1, ..zone }).or_else(|| name::zone(word))
}

/// `+0100`, `-3:30`, `+1`.
fn offset(tokens: &[Token<'_>]) -> Option<Zone> {
    let sign = match tokens.first()? {
        Token::Mark('+') => 1,
        Token::Mark('-' | '\u{2212}' | '\u{2013}') => -1,
        _ => return None,
    };
    let token = tokens.get(1)?;
    let digits = token.number(4)?;
    let minutes =
        tokens.get(3).and_then(|token| token.number(2)).filter(|_| tokens.get(2) == Some(&Token::Mark(':')));
    let (hours, minutes, length) = match minutes {
        Some(minutes) => (digits, minutes, 4),
        None if token.number(2).is_some() => (digits, 0, 2),
        None => (digits / 100, digits % 100, 2),
    };
    // No zone is further from Greenwich; what claims to be is a mistake.
    let is_zone = hours <= 14 && minutes < 60;
    let seconds = if is_zone { sign * i32::try_from((hours * 60 + minutes) * 60).ok()? } else { 0 };
    Some(Zone { seconds, length })
}

/// The day that these tokens name, with a year that may stand further behind (as `asctime` has it, behind the time).
fn day(tokens: &[Token<'_>], after: &[Token<'_>]) -> Option<NaiveDate> {
    // `mar., 3 mars`: names of days may be those of months.
    let is_beside_number = |index: usize| {
        let beside = |token: Option<&Token<'_>>| matches!(token, Some(Token::Number(_)));
        let is_word = |token: &&Token<'_>| !matches!(token, Token::Mark(_));
        let before = tokens.get(..index).unwrap_or_default().iter().rev().find(is_word);
        let behind = tokens.get(index + 1..).unwrap_or_default().iter().find(is_word);
        beside(before) || beside(behind)
    };
    let month = tokens
        .iter()
        .enumerate()
        .rev()
        .find_map(|(index, token)| name::month(token.word()?).filter(|_| is_beside_number(index)));
    let mut numbers = tokens.iter().chain(after).filter_map(|token| match token {
        Token::Number(digits) => Some(*digits),
        _ => None,
    });
    let (first, second) = (numbers.next()?, numbers.next());
    let Some(month) = month else {
        return second.and_then(|second| in_numbers(tokens, first, second, numbers.next()));
    };
    let second = second?;
    let (year, day) = if is_year(first) { (first, second) } else { (second, first) };
    date(year, month, day.parse().ok()?)
}

fn is_year(digits: &str) -> bool {
    digits.len() > 3 || digits.parse::<u32>().is_ok_and(|number| number > 31)
}

/// A date without the name of a month.
fn in_numbers(tokens: &[Token<'_>], first: &str, second: &str, third: Option<&str>) -> Option<NaiveDate> {
    let third = third?;
    let number = |digits: &str| digits.parse::<u32>().ok();
    if is_year(first) {
        return date(first, number(second)?, number(third)?);
    }
    let (first, second) = (number(first)?, number(second)?);
    let is_american = second > 12 || (first <= 12 && tokens.contains(&Token::Mark('/')));
    let (month, day) = if is_american { (first, second) } else { (second, first) };
    date(third, month, day)
}

fn date(year: &str, month: u32, day: u32) -> Option<NaiveDate> {
    let number: i32 = year.parse().ok()?;
    let year = match (year.len(), number) {
        // RFC 5322 §4.3.
        (..=4, 0..50) => number + 2000,
        (..=4, 50..1000) => number + 1900,
        // A century that was put before the years since 1900.
        (5, 19_000..20_000) => number - 19_000 + 1900,
        _ => number,
    };
    NaiveDate::from_ymd_opt(year, month, day).filter(|date| YEARS.contains(&date.year()))
}

/// `20260303090507`, `20260303`, or the seconds since 1970.
fn in_one_number(digits: &str) -> Option<DateTime<FixedOffset>> {
    let part = |from: usize, to: usize| digits.get(from..to)?.parse::<u32>().ok();
    let seconds = match digits.len() {
        8 | 14 => {
            let day = date(digits.get(..4)?, part(4, 6)?, part(6, 8)?)?;
            let (hour, minute, second) = (part(8, 10), part(10, 12), part(12, 14));
            let time = day.and_hms_opt(hour.unwrap_or(0), minute.unwrap_or(0), second.unwrap_or(0))?;
            time.and_utc().timestamp()
        }
        10 => digits.parse().ok()?,
        _ => return None,
    };
    DateTime::from_timestamp(seconds, 0).map(|date| date.fixed_offset())
}

#[cfg(test)]
mod tests;

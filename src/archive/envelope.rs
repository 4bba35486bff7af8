//! The line before each mail of an mbox: `From ann@example.com Mon Jan  5 10:00:00 2026` (RFC 4155, appendix A).

use chrono::{DateTime, FixedOffset, NaiveDate};

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// Whether a line parts two mails. It has to have a time and a year: writers that quote no `From ` in texts have been
/// many, and a text hardly has both.
pub(super) fn is_envelope(line: &[u8]) -> bool {
    let Some(rest) = line.strip_prefix(b"From ") else { return false };
    let words = || rest.split(u8::is_ascii_whitespace);
    words().any(is_time) && words().any(is_year)
}

/// When the mail reached its mailbox. In UTC: few writers name a zone, and not in one way.
pub(super) fn date(line: &[u8]) -> Option<DateTime<FixedOffset>> {
    let text = String::from_utf8_lossy(line);
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let at = words.iter().rposition(|word| is_time(word.as_bytes()))?;
    let year = words.iter().skip(at).find(|word| is_year(word.as_bytes()))?.parse().ok()?;
    let month = words.get(at.checked_sub(2)?)?.to_ascii_lowercase();
    let month = MONTHS.iter().zip(1..).find(|(name, _)| **name == month)?.1;
    let day = words.get(at.checked_sub(1)?)?.parse().ok()?;
    let mut time = words.get(at)?.split(':').map(|part| part.parse().ok());
    let (hour, minute, second) = (time.next()??, time.next()??, time.next().flatten().unwrap_or(0));
    let date = NaiveDate::from_ymd_opt(year, month, day)?.and_hms_opt(hour, minute, second)?;
    Some(date.and_utc().fixed_offset())
}

fn is_time(word: &[u8]) -> bool {
    word.contains(&b':')
        && word.split(|&byte| byte == b':').all(|part| matches!(part.len(), 1 | 2) && is_digits(part))
}

fn is_year(word: &[u8]) -> bool {
    word.len() == 4 && is_digits(word)
}

fn is_digits(word: &[u8]) -> bool {
    word.iter().all(u8::is_ascii_digit)
}

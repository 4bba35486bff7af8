//! Sizes and durations as people write them, and back.

use std::time::Duration;

/// The longest duration taken, so that a deadline computed from one can't overflow.
pub(super) const MAX_DURATION: Duration = Duration::from_hours(30 * 24);

/// Decimal and binary units by name; which case they are written in does not matter.
const UNITS: [(&str, u64); 8] = [
    ("", 1),
    ("B", 1),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];

/// Reads `150 MiB`, `1GB` or a plain number of bytes. `K`, `M` and `G` alone are refused: nobody agrees whether
/// they are decimal.
pub(super) fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits)?;
    let (_, factor) = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit.trim()))?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

/// Writes a size exactly, in the largest binary unit that divides it.
pub(super) fn format_size(bytes: u64) -> String {
    match UNITS.iter().rev().find(|(name, factor)| name.ends_with("iB") && bytes.is_multiple_of(*factor)) {
        Some((name, factor)) if bytes > 0 => format!("{} {name}", bytes / factor),
        _ => format!("{bytes} B"),
    }
}

/// Reads `0.7`: from 0 to 1 with at most two decimals, as hundredths.
pub(super) fn parse_fraction(text: &str) -> Option<u8> {
    let (whole, decimals) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
    if decimals.len() > 2 || !decimals.bytes().chain(whole.bytes()).all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let hundredths =
        whole.parse::<u8>().ok()?.checked_mul(100)?.checked_add(format!("{decimals:0<2}").parse().ok()?)?;
    (hundredths <= 100).then_some(hundredths)
}

/// Writes a fraction so that [`parse_fraction`] reads it.
pub(super) fn format_fraction(hundredths: u8) -> String {
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

/// Reads `30s`, `5m`, `1h 30m`: longer than nothing and at most 30 days.
pub(super) fn parse_duration(text: &str) -> Option<Duration> {
    humantime::parse_duration(text).ok().filter(|duration| !duration.is_zero() && *duration <= MAX_DURATION)
}

/// Writes a duration so that [`parse_duration`] reads it.
pub(super) fn format_duration(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, bytes) in [
            ("0", 0),
            ("65536", 65_536),
            ("64 KiB", 65_536),
            ("150MiB", 150 << 20),
            (" 150 mib ", 150 << 20),
            ("1 GB", 1_000_000_000),
            ("2 kb", 2_000),
            ("7 B", 7),
        ] {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in ["", "MiB", "1.5 MiB", "-1", "1 M", "1 MiB 2", "1 µB", "99999999999 GiB", "1e6", "١ KB"]
        {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }

    #[test]
    fn durations_are_longer_than_nothing_and_at_most_a_month() {
        assert_eq!(parse_duration("1m 30s"), Some(Duration::from_secs(90)));
        assert_eq!(parse_duration("30days"), Some(MAX_DURATION));
        for text in ["0s", "31 days", "5", "", "soon", "-1s", "10000000000000000000 years"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn fractions_have_two_decimals_at_most() {
        for (text, hundredths) in
            [("0.7", 70), ("0", 0), ("1", 100), ("1.0", 100), ("0.05", 5), (" 0.70 ", 70)]
        {
            assert_eq!(parse_fraction(text), Some(hundredths), "{text}");
        }
        for text in ["1.01", "2", "-0.5", "0.125", ".5", "", "0,7", "+1", "1e0", "300", "NaN"] {
            assert_eq!(parse_fraction(text), None, "{text}");
        }
        for hundredths in 0..=100 {
            assert_eq!(parse_fraction(&format_fraction(hundredths)), Some(hundredths));
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(bytes: u64, millis in 1..MAX_DURATION.as_millis()) {
            prop_assert_eq!(parse_size(&format_size(bytes)), Some(bytes));
            let duration = Duration::from_millis(u64::try_from(millis).unwrap());
            prop_assert_eq!(parse_duration(&format_duration(duration)), Some(duration));
        }

        #[test]
        fn no_text_is_too_odd_to_be_read(text: String) {
            let _ = parse_size(&text);
            let _ = parse_duration(&text);
        }
    }
}

//! The Date header (RFC 5322 §3.3).

use chrono::{DateTime, Datelike, FixedOffset, NaiveDate};

/// Reads a date as mail writes it: also with obsolete zone names, two-digit years and comments. Where the
/// zone is missing it is taken as UTC (RFC 5322 §4.3). `None` if it is no date, or none that mail can have.
pub(super) fn read(value: &str) -> Option<DateTime<FixedOffset>> {
    let date = mail_parser::DateTime::parse_rfc822(value)
        .or_else(|| mail_parser::DateTime::parse_rfc822(&format!("{value} +0000")))?;
    let offset = (i32::from(date.tz_hour) * 60 + i32::from(date.tz_minute)) * 60;
    let zone = FixedOffset::east_opt(if date.tz_before_gmt { -offset } else { offset })?;
    // A leap second (60) is legal, and nobody else has it.
    let time = NaiveDate::from_ymd_opt(date.year.into(), date.month.into(), date.day.into())?.and_hms_opt(
        date.hour.into(),
        date.minute.into(),
        u32::from(date.second).min(59),
    )?;
    time.and_local_timezone(zone).single().filter(|date| (1970..=9999).contains(&date.year()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn iso(value: &str) -> Option<String> {
        read(value).map(|date| date.to_rfc3339())
    }

    #[test]
    fn dates_are_read_as_programs_write_them() {
        for (value, expected) in [
            ("Tue, 3 Mar 2026 09:05:07 +0100", "2026-03-03T09:05:07+01:00"),
            ("3 Mar 2026 09:05 -0330", "2026-03-03T09:05:00-03:30"),
            ("Tue, 03 Mar 26 09:05:07 GMT (whatever)", "2026-03-03T09:05:07+00:00"),
            ("Tue, 3 Mar 2026 09:05:07 EST", "2026-03-03T09:05:07-05:00"),
            ("Tue, 3 Mar 2026 09:05:07", "2026-03-03T09:05:07+00:00"),
            ("Sat, 31 Dec 2016 23:59:60 +0000", "2016-12-31T23:59:59+00:00"),
        ] {
            assert_eq!(iso(value).as_deref(), Some(expected), "{value}");
        }
    }

    #[test]
    fn what_is_no_date_is_none() {
        for value in [
            "",
            "yesterday",
            "Tue, 30 Feb 2026 09:05:07 +0000",
            "Tue, 3 Mar 2026 25:00:00 +0000",
            "3 Mar 1001 10:00:00 +0000",
            "99",
        ] {
            assert_eq!(iso(value), None, "{value}");
        }
    }
}

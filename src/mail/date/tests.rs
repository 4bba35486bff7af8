//! What dates are read as.

use mail_parser::DateTime as Theirs;
use proptest::prelude::*;

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
        ("(a) Tue (b), 3 (c) Mar (d) 2026 09:05:07 +0100 (e (f))", "2026-03-03T09:05:07+01:00"),
    ] {
        assert_eq!(iso(value).as_deref(), Some(expected), "{value}");
    }
}

#[test]
fn the_order_is_told_by_names_and_numbers() {
    for value in [
        "Tue Mar  3 09:05:07 2026",
        "Tue Mar  3 09:05:07 UTC 2026",
        "Tue Mar 3 09:05:07 2026 +0000",
        "Mar 3, 2026 9:05:07 AM",
        "Tuesday, March 3rd, 2026 09:05:07",
        "Tue,3 Mar 2026 09:05:07+0000",
        "Tue, 03-Mar-2026 09:05:07 GMT",
        "03/Mar/2026 09:05:07 +0000",
        "Tue, 003 Mar 2026 09:05:07 +0000",
        "2026 Mar 3 09:05:07",
        "2026-03-03 09:05:07",
        "2026-03-03T09:05:07Z",
        "2026-03-03T09:05:07.123456+00:00",
        "2026/03/03 09:05:07",
        "3.3.2026 09:05:07",
        "03-03-2026 09:05:07",
        "03/03/2026 09:05:07",
        "2026年3月3日 09:05:07",
        "Tue, 03 Mar 2026 09.05.07 +0000",
        "09:05:07 3 Mar 2026",
        "20260303090507",
        "1772528707",
    ] {
        assert_eq!(iso(value).as_deref(), Some("2026-03-03T09:05:07+00:00"), "{value}");
    }
    assert_eq!(iso("3/25/2026 09:05").as_deref(), Some("2026-03-25T09:05:00+00:00"));
    assert_eq!(iso("25/3/2026 09:05").as_deref(), Some("2026-03-25T09:05:00+00:00"));
    assert_eq!(iso("4/3/2026 09:05").as_deref(), Some("2026-04-03T09:05:00+00:00"));
    assert_eq!(iso("3 Mar 2026").as_deref(), Some("2026-03-03T00:00:00+00:00"));
}

#[test]
fn zones_are_read_however_they_are_written() {
    for (zone, expected) in [
        ("+0100 (CET)", "+01:00"),
        ("+01:00", "+01:00"),
        ("+1", "+01:00"),
        ("GMT+0100", "+01:00"),
        ("GMT+01:00 (Central European Standard Time)", "+01:00"),
        ("UTC -5", "-05:00"),
        ("-0030", "-00:30"),
        ("+0015", "+00:15"),
        ("(CET)", "+01:00"),
        ("MEZ", "+01:00"),
        ("CEST", "+02:00"),
        ("PDT", "-07:00"),
        ("Z", "+00:00"),
        ("-0000", "+00:00"),
        ("A", "+00:00"),
        ("Nowhere", "+00:00"),
        ("+9999", "+00:00"),
        ("\u{2212}0500", "-05:00"),
    ] {
        let value = format!("Tue, 3 Mar 2026 09:05:07 {zone}");
        assert_eq!(iso(&value), Some(format!("2026-03-03T09:05:07{expected}")), "{value}");
    }
}

#[test]
fn years_are_mended() {
    for (year, expected) in [
        ("26", 2026),
        ("49", 2049),
        ("50", 1950),
        ("99", 1999),
        ("100", 2000),
        ("126", 2026),
        ("0102", 2002),
        ("0026", 2026),
        ("19126", 2026),
        ("19100", 2000),
    ] {
        let value = format!("Tue, 3 Mar {year} 09:05:07 +0000");
        assert_eq!(read(&value).map(|date| date.year()), Some(expected), "{value}");
    }
}

#[test]
fn months_are_known_in_many_languages() {
    for (value, month) in [
        ("Di, 3 Mrz 2026", 3),
        ("Di, 3. M\u{e4}rz 2026", 3),
        ("mar., 3 mars 2026", 3),
        ("mar, 3 mar 2026", 3),
        ("lun. 1 d\u{e9}c. 2026", 12),
        ("lun. 1 f\u{e9}vr. 2026", 2),
        ("1 juin 2026", 6),
        ("1 juil. 2026", 7),
        ("1 ao\u{fb}t 2026", 8),
        ("lun, 1 ene 2026", 1),
        ("seg, 1 out 2026", 10),
        ("lun, 1 mag 2026", 5),
        ("ma 1 mei 2026", 5),
        ("m\u{e5}n 1 okt 2026", 10),
        ("pon., 1 pa\u{17a} 2026", 10),
        ("po, 1 \u{159}\u{ed}jna 2026", 10),
        ("Sal, 1 \u{15e}ub 2026", 2),
        ("\u{412}\u{442}, 1 \u{430}\u{432}\u{433} 2026", 8),
    ] {
        let date = read(value).unwrap_or_else(|| panic!("{value}"));
        assert_eq!((date.year(), date.month()), (2026, month), "{value}");
    }
}

#[test]
fn times_are_mended() {
    for (time, expected) in [
        ("9:05", "09:05:00"),
        ("9:05:07 PM", "21:05:07"),
        ("12:05:07 AM", "00:05:07"),
        ("12:05 pm", "12:05:00"),
        ("09:05:07.999", "09:05:07"),
    ] {
        let value = format!("Tue, 3 Mar 2026 {time} +0000");
        assert_eq!(iso(&value), Some(format!("2026-03-03T{expected}+00:00")), "{value}");
    }
    assert_eq!(iso("Mon, 2 Mar 2026 24:00:00 +0000").as_deref(), Some("2026-03-03T00:00:00+00:00"));
}

#[test]
fn of_two_dates_the_first_counts() {
    assert_eq!(
        iso("Tue, 3 Mar 2026 09:05:07 +0100 (CET) Wed, 8 Apr 2027 10:00:00 +0000").as_deref(),
        Some("2026-03-03T09:05:07+01:00")
    );
}

#[test]
fn what_is_no_date_is_none() {
    for value in [
        "",
        "yesterday",
        "Tue, 30 Feb 2026 09:05:07 +0000",
        "Tue, 3 Mar 2026 25:00:00 +0000",
        "Tue, 3 Mar 2026 09:61:00 +0000",
        "3 Mar 1001 10:00:00 +0000",
        "3 Mar 09:05:07",
        "99",
        "1 2",
        "0 0 0",
        "09:05:07",
        "Mar",
    ] {
        assert_eq!(iso(value), None, "{value}");
    }
}

#[test]
fn what_cannot_be_true_is_doubtful() {
    let at = |value: &str| read(value).unwrap();
    let received = at("Tue, 3 Mar 2026 09:05:07 +0100");

    assert!(!is_doubtful(received, Some(received)));
    assert!(!is_doubtful(at("Wed, 4 Mar 2026 08:00:00 +0100"), Some(received)));
    assert!(is_doubtful(at("Wed, 4 Mar 2026 10:00:00 +0100"), Some(received)));
    assert!(is_doubtful(at("Fri, 3 Mar 2139 09:05:07 +0100"), None));
    assert!(!is_doubtful(at("1 Jan 1999 00:00:00 +0000"), Some(received)));
    assert!(is_doubtful(at("Thu, 1 Jan 1970 00:00:00 +0000"), Some(received)));
}

proptest! {
    #[test]
    fn well_formed_dates_are_read_as_mail_parser_reads_them(
        (year, day_of_year) in (1983..2100_i32, 1..=365_u32),
        (hour, minute, second) in (0..24_u32, 0..60_u32, 0..60_u32),
        zone in prop::sample::select(&["+0000", "-0000", "+0530", "-0800", "GMT", "EST", "PDT"][..]),
        format in prop::sample::select(&["%a, %d %b %Y %H:%M:%S", "%-d %b %Y %H:%M:%S", "%a, %-d %b %y %H:%M:%S"][..]),
    ) {
        let date = NaiveDate::from_yo_opt(year, day_of_year).unwrap().and_hms_opt(hour, minute, second).unwrap();
        let value = format!("{} {zone}", date.format(format));

        let theirs = Theirs::parse_rfc822(&(value.clone() + "\n")).unwrap();

        prop_assert_eq!(read(&value).unwrap().timestamp(), theirs.to_timestamp(), "{}", value);
    }

    #[test]
    fn any_text_is_a_date_that_mail_can_have_or_none(
        pieces in prop::collection::vec(prop::sample::select(&[
            "Tue", ",", " ", "3", "03", "2026", "26", "126", "19126", "Mar", "mars", "09:05:07", ":", ".", "-", "/", "+0100", "+", "(", ")",
            "GMT", "PM", "T", "Z", "99999999999", "\u{5e74}", "\u{e9}",
        ][..]), 0..12),
    ) {
        if let Some(date) = read(&pieces.concat()) {
            prop_assert!((1899..=10_000).contains(&date.to_utc().year()));
        }
    }
}

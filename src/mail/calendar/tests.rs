//! What calendars say.

use proptest::prelude::*;

use super::*;

/// A calendar with one entry that has these lines.
fn entry(lines: &str) -> Calendar {
    read(
        format!("BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\n{lines}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n").as_bytes(),
        None,
    )
    .unwrap_or_default()
}

#[test]
fn times_are_kept_as_claimed_and_in_utc_only_where_they_are() {
    for (line, local, zone, utc) in [
        ("DTSTART:20260310T090000Z", "2026-03-10T09:00:00", None, true),
        ("DTSTART:20260310T090000", "2026-03-10T09:00:00", None, false),
        (
            "dtstart;value=date-time;tzid=\"Europe/Berlin\":20260310T090000",
            "2026-03-10T09:00:00",
            Some("Europe/Berlin"),
            false,
        ),
        ("DTSTART;VALUE=DATE:20260310", "2026-03-10", None, false),
    ] {
        let start = entry(line).start.unwrap();
        assert_eq!(
            (start.local.as_str(), start.zone.as_deref(), start.utc.is_some()),
            (local, zone, utc),
            "{line}"
        );
    }
    assert_eq!(entry("SUMMARY:x\r\nDTSTART:tomorrow").start, None);
    assert_eq!(entry("SUMMARY:x\r\nDTSTART:20261310T090000Z").start, None);
}

#[test]
fn an_end_is_given_or_follows_from_a_duration() {
    for (lines, end) in [
        ("DTSTART:20260310T090000Z\r\nDURATION:PT1H30M", Some("2026-03-10T10:30:00")),
        ("DURATION:P1DT1S\r\nDTSTART:20260310T090000", Some("2026-03-11T09:00:01")),
        ("DTSTART;VALUE=DATE:20260310\r\nDURATION:P1W", Some("2026-03-17")),
        ("DTSTART:20260310T090000Z\r\nDTEND:20260310T100000Z\r\nDURATION:PT9H", Some("2026-03-10T10:00:00")),
        ("DTSTART:20260310T090000Z\r\nDURATION:P99999999999999999999D", None),
        ("DTSTART:20260310T090000Z\r\nDURATION:P9999999999999W", None),
        ("DTSTART:20260310T090000Z", None),
    ] {
        assert_eq!(entry(lines).end.map(|end| end.local).as_deref(), end, "{lines}");
    }
}

#[test]
fn texts_are_unfolded_unescaped_and_on_one_line() {
    let calendar =
        entry("SUMMARY;LANGUAGE=en:Printers\\, \\nand \r\n  more\\\\\r\nLOCATION: \u{7} \r\nUID:a\0b");

    assert_eq!(calendar.summary.as_deref(), Some("Printers,  and  more\\"));
    assert_eq!(calendar.location, None);
    assert_eq!(calendar.uid.as_deref(), Some("a b"));
}

#[test]
fn people_are_found_in_their_parameters() {
    for (line, name, address) in [
        ("ORGANIZER;CN=Ada:mailto:ada@example.com", "Ada", "ada@example.com"),
        (
            "ORGANIZER;CN=\"Example; Ada: \";SENT-BY=\"mailto:b@x\":MAILTO:ada@example.com",
            "Example; Ada:",
            "ada@example.com",
        ),
        ("ORGANIZER;CN=^'Ada^' ^^:ada@example.com", "\"Ada\" ^", "ada@example.com"),
        ("ORGANIZER:mailto:a%2Bb@example.com", "", "a+b@example.com"),
        ("ORGANIZER;CN=Ada:invalid:nomail", "Ada", ""),
    ] {
        let organizer = entry(line).organizer.unwrap();
        assert_eq!((organizer.name.as_str(), organizer.address.as_str()), (name, address), "{line}");
    }
}

#[test]
fn only_an_answer_says_who_answers() {
    let answer = |method: &str| {
        let text = format!(
            "BEGIN:VCALENDAR\nMETHOD:{method}\nBEGIN:VEVENT\nUID:x\nATTENDEE;PARTSTAT=declined:mailto:a@b\n"
        );
        read(text.as_bytes(), None).unwrap()
    };

    assert_eq!(answer("reply").reply.unwrap().status.as_deref(), Some("DECLINED"));
    assert_eq!(answer("REQUEST").reply, None);
    assert_eq!(answer("not a word").method, None);
}

#[test]
fn what_is_inside_of_an_entry_or_behind_the_first_is_not_its() {
    let calendar = read(
        b"BEGIN:VCALENDAR\nBEGIN:VTIMEZONE\nTZID:x\nBEGIN:STANDARD\nDTSTART:16010101T000000\nRRULE:x\nEND:STANDARD\n\
          END:VTIMEZONE\nBEGIN:VEVENT\nBEGIN:VALARM\nSUMMARY:alarm\nEND:VALARM\nSUMMARY:first\nEND:VEVENT\n\
          BEGIN:VEVENT\nSUMMARY:second\nLOCATION:there\nEND:VEVENT\nEND:VCALENDAR\n",
        None,
    )
    .unwrap();

    assert_eq!(calendar.summary.as_deref(), Some("first"));
    assert_eq!((calendar.location, calendar.start, calendar.recurring), (None, None, false));
}

#[test]
fn what_is_no_calendar_is_none() {
    for text in ["", "Dear all,\n", "BEGIN:VCARD\nFN:Ada\nEND:VCARD\n", "BEGIN:VCALENDAR\nEND:VCALENDAR\n"] {
        assert_eq!(read(text.as_bytes(), None), None, "{text}");
    }
}

proptest! {
    #[test]
    fn anything_that_looks_like_a_calendar_is_read_within_limits(
        pieces in prop::collection::vec(prop::sample::select(&[
            "BEGIN:VCALENDAR\n", "BEGIN:VEVENT\n", "END:VEVENT\n", "END:VCALENDAR\n", "METHOD:REPLY\n", "DTSTART", "DTEND",
            ";TZID=", "\"", ":", "20260310T090000", "Z", "99991231T235959Z", "\nDURATION:P", "99999", "W", "T", "-", "\n ",
            "\nSUMMARY:", "\\n", "\\", "é", "\0", "\nATTENDEE;PARTSTAT=", "ACCEPTED", "\nORGANIZER;CN=", "mailto:%C3", "\n",
        ][..]), 0..60),
    ) {
        if let Some(calendar) = read(pieces.concat().as_bytes(), None) {
            let json = serde_json::to_string(&calendar).unwrap();
            prop_assert!(json.len() <= 40_000 && !json.contains("\\u0000"), "{}", json);
        }
    }
}

//! Any bytes are read as a calendar: into texts on one line, within limits.

#![no_main]

use libfuzzer_sys::fuzz_target;
use postroom::mail::{self, Defect, Facts};
use postroom::message::{Extent, Listed, Message, Uid};

/// A calendar in JSON takes less, whatever is in it.
const CALENDAR_BYTES: usize = 40_000;

fuzz_target!(|entry: &[u8]| {
    let source = [&b"Content-Type: text/calendar\r\n\r\nBEGIN:VCALENDAR\r\n"[..], entry].concat();
    let listed = Listed { uid: Uid(1), size: source.len() as u64, internal_date: None };

    let mail = mail::read(&Message { listed, source, extent: Extent::Whole }, &Facts::default());

    assert!(!mail.defects.contains(&Defect::ParserFailed), "a panic was caught");
    if let Some(calendar) = mail.calendar {
        let json = serde_json::to_string(&calendar).expect("a calendar is JSON");
        assert!(json.len() <= CALENDAR_BYTES, "{} bytes", json.len());
        assert!(!json.contains("\\u00"), "a control character is left");
    }
});

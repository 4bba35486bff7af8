//! What a calendar object is about (RFC 5545, RFC 5546): enough to tell a person, not to keep a calendar.

use std::borrow::Cow;
use std::fmt;

use chrono::{DateTime, Duration, NaiveDate, NaiveDateTime, Utc};
use mail_parser::decoders::hex::decode_hex;
use memchr::memchr;
use serde::Serialize;

use crate::mail::part::Part;
use crate::mail::{charset, limit};

/// A calendar object's first event, task or entry. Its texts are on one line and free of control characters. Stored and
/// sent in the form that `Serialize` gives it.
#[derive(Clone, PartialEq, Eq, Default, Serialize)]
pub struct Calendar {
    /// What is wanted, in upper case: `REQUEST`, `REPLY`, `CANCEL`, …; absent if it is only told.
    pub method: Option<String>,
    /// Its identifier, the same in every message about it.
    pub uid: Option<String>,
    /// Its title.
    pub summary: Option<String>,
    /// Where it takes place.
    pub location: Option<String>,
    /// `TENTATIVE`, `CONFIRMED`, `CANCELLED`, …, in upper case.
    pub status: Option<String>,
    /// When it begins; the first of many, if it recurs.
    pub start: Option<Time>,
    /// When it ends. Exclusive, also where that is a day.
    pub end: Option<Time>,
    /// Whether there are more of it.
    pub recurring: bool,
    /// Who invites.
    pub organizer: Option<Participant>,
    /// Who answers, and how. Only in answers.
    pub reply: Option<Reply>,
}

/// A time as the calendar claims it.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Time {
    /// `2026-03-03T10:00:00` by the clock of its zone, or `2026-03-03` for a whole day.
    pub local: String,
    /// The zone's name (TZID) as written. Absent for UTC, and for a time that is the same by every clock.
    pub zone: Option<String>,
    /// The instant, where it was given in UTC.
    pub utc: Option<DateTime<Utc>>,
}

/// Somebody in a calendar.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Participant {
    /// Display name. May be empty.
    pub name: String,
    /// Address. May be empty.
    pub address: String,
}

/// An answer to an invitation.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Reply {
    /// Who answers.
    #[serde(flatten)]
    pub participant: Participant,
    /// `ACCEPTED`, `DECLINED`, `TENTATIVE`, …, in upper case.
    pub status: Option<String>,
}

// By hand, here and below: all of it is private.
impl fmt::Debug for Calendar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Calendar(…)")
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Time(…)")
    }
}

impl fmt::Debug for Participant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Participant(…)")
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reply(…)")
    }
}

/// The calendar object of a mail: the first of its parts that is one.
pub(super) fn find<'p>(parts: impl Iterator<Item = &'p Part<'p>>) -> Option<Calendar> {
    parts.filter(|part| is_calendar(part)).find_map(|part| {
        let content = part.content.get(..limit::CALENDAR_BYTES).unwrap_or(part.content);
        let (bytes, _) = part.encoding.bytes(content);
        read(&bytes, part.charset.as_deref())
    })
}

fn is_calendar(part: &Part<'_>) -> bool {
    let is_named = |name: &str| {
        name.get(name.len().wrapping_sub(4)..).is_some_and(|end| end.eq_ignore_ascii_case(".ics"))
    };
    matches!(part.media_type.as_str(), "text/calendar" | "application/ics" | "text/x-vcalendar")
        || part.filename.as_deref().is_some_and(is_named)
}

/// Reads iCalendar, as far as it goes. `None` if it is none, or there is nothing in it.
fn read(bytes: &[u8], charset: Option<&str>) -> Option<Calendar> {
    let mut calendar = Calendar::default();
    let mut duration = None;
    let (mut level, mut entries, mut is_in_entry) = (0_usize, 0, false);
    let mut lines =
        Lines { rest: bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes), line: Vec::new() };
    while let Some(line) = lines.next() {
        let line = charset::decode(line.into(), charset.or(Some("utf-8"))).text;
        let Some(line) = Line::parse(&line) else { continue };
        match line.name.as_str() {
            "BEGIN" => {
                level += 1;
                // The first counts: what recurs otherwise stands behind it.
                if level == 2 && is_entry(line.value) {
                    entries += 1;
                    is_in_entry = entries == 1;
                }
            }
            "END" => {
                level = level.saturating_sub(1);
                is_in_entry &= level >= 2;
            }
            "METHOD" if level == 1 => calendar.method = line.keyword(),
            "DURATION" if level == 2 && is_in_entry => duration = seconds(line.value),
            name if level == 2 && is_in_entry => calendar.property(name, &line),
            _ => {}
        }
    }
    if calendar.end.is_none() {
        let start = calendar.start.as_ref();
        calendar.end = start.zip(duration).and_then(|(start, duration)| start.after(duration));
    }
    if calendar.method.as_deref().is_none_or(|method| !ANSWERS.contains(&method)) {
        calendar.reply = None;
    }
    (calendar != Calendar::default()).then_some(calendar)
}

/// Methods by which somebody who is invited answers (RFC 5546 §1.4).
const ANSWERS: [&str; 2] = ["REPLY", "COUNTER"];

/// Whether a component is an event, a task or the like, and not the time zone of one.
fn is_entry(component: &str) -> bool {
    let component = component.trim().to_ascii_uppercase();
    component.starts_with('V') && component != "VTIMEZONE"
}

impl Calendar {
    /// Takes what a property of the entry says. The first of a name counts.
    fn property(&mut self, name: &str, line: &Line<'_>) {
        match name {
            "UID" => fill(&mut self.uid, || line.text()),
            "SUMMARY" => fill(&mut self.summary, || line.text()),
            "LOCATION" => fill(&mut self.location, || line.text()),
            "STATUS" => fill(&mut self.status, || line.keyword()),
            "DTSTART" => fill(&mut self.start, || line.time()),
            "DTEND" | "DUE" => fill(&mut self.end, || line.time()),
            "RRULE" | "RDATE" => self.recurring = true,
            "ORGANIZER" => fill(&mut self.organizer, || Some(line.participant())),
            "ATTENDEE" => fill(&mut self.reply, || {
                let status = line.parameter("PARTSTAT").and_then(keyword);
                Some(Reply { participant: line.participant(), status })
            }),
            _ => {}
        }
    }
}

fn fill<T>(place: &mut Option<T>, value: impl FnOnce() -> Option<T>) {
    if place.is_none() {
        *place = value();
    }
}

impl Time {
    /// A time in UTC.
    pub(super) fn at(utc: DateTime<Utc>) -> Self {
        Self { local: local(utc.naive_utc()), zone: None, utc: Some(utc) }
    }

    /// This time and so many seconds. By the clock: where it changes in between, that is not the instant.
    fn after(&self, seconds: i64) -> Option<Self> {
        let duration = Duration::try_seconds(seconds)?;
        let local = if let Ok(date) = NaiveDate::parse_from_str(&self.local, DATE) {
            date.checked_add_signed(duration)?.format(DATE).to_string()
        } else {
            let time = NaiveDateTime::parse_from_str(&self.local, DATE_TIME).ok()?;
            local(time.checked_add_signed(duration)?)
        };
        let utc = self.utc.and_then(|utc| utc.checked_add_signed(duration));
        Some(Self { local, zone: self.zone.clone(), utc })
    }
}

const DATE: &str = "%Y-%m-%d";
const DATE_TIME: &str = "%Y-%m-%dT%H:%M:%S";

fn local(time: NaiveDateTime) -> String {
    time.format(DATE_TIME).to_string()
}

/// A duration in seconds (RFC 5545 §3.3.6).
fn seconds(value: &str) -> Option<i64> {
    let value = value.trim();
    let is_negative = value.starts_with('-');
    let rest = value.trim_start_matches(['+', '-']).strip_prefix(['P', 'p'])?;
    let (mut total, mut number) = (0_i64, 0_i64);
    for char in rest.chars() {
        let unit = match char {
            '0'..='9' => {
                number = number.checked_mul(10)?.checked_add(char.to_digit(10)?.into())?;
                continue;
            }
            'W' | 'w' => 604_800,
            'D' | 'd' => 86_400,
            'H' | 'h' => 3_600,
            'M' | 'm' => 60,
            'S' | 's' => 1,
            'T' | 't' => 0,
            _ => return None,
        };
        total = total.checked_add(number.checked_mul(unit)?)?;
        number = 0;
    }
    Some(if is_negative { -total } else { total })
}

/// Content lines, unfolded (RFC 5545 §3.1): before they are decoded, for a fold may cut a character.
struct Lines<'a> {
    rest: &'a [u8],
    line: Vec<u8>,
}

impl Lines<'_> {
    fn next(&mut self) -> Option<&[u8]> {
        if self.rest.is_empty() {
            return None;
        }
        self.line.clear();
        loop {
            let end = memchr(b'\n', self.rest).map_or(self.rest.len(), |at| at + 1);
            let (line, rest) = self.rest.split_at(end);
            let line = line.strip_suffix(b"\n").unwrap_or(line);
            self.line.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
            self.rest = rest;
            match rest.split_first() {
                Some((b' ' | b'\t', rest)) => self.rest = rest,
                _ => return Some(&self.line),
            }
        }
    }
}

/// A content line: a name, parameters, a value.
struct Line<'a> {
    /// In upper case, without the group that vCard puts before it.
    name: String,
    parameters: &'a str,
    value: &'a str,
}

impl<'a> Line<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mut is_quoted = false;
        let colon = line.find(|char| {
            is_quoted ^= char == '"';
            char == ':' && !is_quoted
        })?;
        let (head, value) = line.split_at_checked(colon)?;
        let (name, parameters) = head.split_once(';').unwrap_or((head, ""));
        Some(Self { name: name.trim().to_ascii_uppercase(), parameters, value: value.strip_prefix(':')? })
    }

    /// The value of a parameter, without its quotes.
    fn parameter(&self, name: &str) -> Option<&'a str> {
        let mut is_quoted = false;
        let parameters = self.parameters.split(move |char| {
            is_quoted ^= char == '"';
            char == ';' && !is_quoted
        });
        let mut named = parameters.filter_map(|parameter| parameter.split_once('='));
        let (_, value) = named.find(|(key, _)| key.trim().eq_ignore_ascii_case(name))?;
        Some(value.trim().trim_matches('"'))
    }

    /// The value as text (RFC 5545 §3.3.11).
    fn text(&self) -> Option<String> {
        let mut text = String::new();
        let mut chars = self.value.chars();
        while let Some(char) = chars.next() {
            text.push(match char {
                '\\' => match chars.next() {
                    Some('n' | 'N') => ' ',
                    Some(escaped) => escaped,
                    None => '\\',
                },
                char => char,
            });
        }
        one_line(&text)
    }

    fn keyword(&self) -> Option<String> {
        keyword(self.value)
    }

    fn time(&self) -> Option<Time> {
        let value = self.value.trim();
        if let Ok(date) = NaiveDate::parse_from_str(value, "%Y%m%d") {
            return Some(Time { local: date.format(DATE).to_string(), zone: None, utc: None });
        }
        let in_utc = value.strip_suffix(['Z', 'z']);
        let time = NaiveDateTime::parse_from_str(in_utc.unwrap_or(value), "%Y%m%dT%H%M%S").ok()?;
        if in_utc.is_some() {
            return Some(Time::at(time.and_utc()));
        }
        let zone = self.parameter("TZID").and_then(one_line);
        Some(Time { local: local(time), zone, utc: None })
    }

    fn participant(&self) -> Participant {
        let name =
            self.parameter("CN").map(|name| name.replace("^'", "\"").replace("^^", "^").replace("^n", " "));
        let value = self.value.trim();
        let address = match value.get(..7) {
            Some(scheme) if scheme.eq_ignore_ascii_case("mailto:") => value.get(7..).unwrap_or_default(),
            _ if value.contains('@') => value,
            _ => "",
        };
        let address = match decode_hex(address.as_bytes()) {
            (true, decoded) => String::from_utf8(decoded).map_or(Cow::Borrowed(address), Cow::Owned),
            (false, _) => Cow::Borrowed(address),
        };
        Participant {
            name: name.as_deref().and_then(one_line).unwrap_or_default(),
            address: one_line(&address)
                .filter(|address| address.len() <= limit::ID_BYTES)
                .unwrap_or_default(),
        }
    }
}

/// A word such as `REQUEST`, in upper case; `None` if it is none.
fn keyword(value: &str) -> Option<String> {
    let value = value.trim();
    let is_word = value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    (is_word && (1..=32).contains(&value.len())).then(|| value.to_ascii_uppercase())
}

/// Text without control characters and within limits; `None` if nothing is left.
pub(super) fn one_line(text: &str) -> Option<String> {
    let tame: String = text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect();
    let mut tame = tame.trim().to_owned();
    limit::cut_chars(&mut tame, limit::NAME_CHARS);
    (!tame.is_empty()).then_some(tame)
}

#[cfg(test)]
mod tests;

//! Meetings as Outlook tells of them (MS-OXOCAL), in the terms of a calendar.

use chrono::{DateTime, Utc};

use crate::mail::calendar::{Participant, Reply, Time, one_line};
use crate::mail::tnef::property::{Id, Property, Text};
use crate::mail::{Calendar, limit};
use crate::text;

// Sets of named properties, by the start of their GUIDs.
const APPOINTMENT: u32 = 0x0006_2002;
const MEETING: u32 = 0x6ed8_da90;

const START: Id = Id::Named(APPOINTMENT, 0x820d);
const END: Id = Id::Named(APPOINTMENT, 0x820e);
const LOCATION: Id = Id::Named(APPOINTMENT, 0x8208);
const RECURRING: Id = Id::Named(APPOINTMENT, 0x8223);
const GLOBAL_ID: Id = Id::Named(MEETING, 0x0003);

/// What comes before the identifier that the inviting program chose (MS-OXCICAL §2.1.3.1.1.20.26).
const FOREIGN_ID: &[u8] = b"vCal-Uid\x01\0\0\0";

/// Message classes by their ends, in lower case, with the method and the answer that they stand for.
const CLASSES: [(&str, &str, Option<&str>); 10] = [
    ("ipm.schedule.meeting.request", "REQUEST", None),
    ("ipm.schedule.meeting.canceled", "CANCEL", None),
    ("ipm.schedule.meeting.resp.pos", "REPLY", Some("ACCEPTED")),
    ("ipm.schedule.meeting.resp.neg", "REPLY", Some("DECLINED")),
    ("ipm.schedule.meeting.resp.tent", "REPLY", Some("TENTATIVE")),
    ("ipm.microsoft schedule.mtgreq", "REQUEST", None),
    ("ipm.microsoft schedule.mtgcncl", "CANCEL", None),
    ("ipm.microsoft schedule.mtgrespp", "REPLY", Some("ACCEPTED")),
    ("ipm.microsoft schedule.mtgrespn", "REPLY", Some("DECLINED")),
    ("ipm.microsoft schedule.mtgrespa", "REPLY", Some("TENTATIVE")),
];

/// What a message says of a meeting.
#[derive(Default)]
pub(super) struct Meeting {
    method: Option<(&'static str, Option<&'static str>)>,
    start: Option<DateTime<Utc>>,
    end: Option<DateTime<Utc>>,
    location: Option<String>,
    recurring: bool,
    uid: Option<String>,
}

impl Meeting {
    /// Takes a message class. The attribute has an old name for it, the property a new one.
    pub(super) fn class(&mut self, class: &str) {
        let known = CLASSES.iter().find(|(name, ..)| name.eq_ignore_ascii_case(class.trim()));
        self.method = known.map(|&(_, method, answer)| (method, answer)).or(self.method);
    }

    pub(super) fn property(&mut self, property: &Property<'_>, text: Option<&Text<'_>>) {
        match property.id {
            START => self.start = property.time(),
            END => self.end = property.time(),
            LOCATION => self.location = text.and_then(|text| one_line(&text.decoded())),
            RECURRING => self.recurring = property.number().is_some_and(|is| is != 0),
            GLOBAL_ID => self.uid = uid(property.bytes()),
            _ => {}
        }
    }

    /// The meeting under this subject, if the message is about one.
    pub(super) fn calendar(&self, subject: Option<&Text<'_>>) -> Option<Calendar> {
        let (method, answer) = self.method?;
        let nobody = Participant { name: String::new(), address: String::new() };
        Some(Calendar {
            method: Some(method.to_owned()),
            uid: self.uid.clone(),
            summary: subject.and_then(|subject| one_line(&subject.decoded())),
            location: self.location.clone(),
            start: self.start.map(Time::at),
            end: self.end.map(Time::at),
            recurring: self.recurring,
            reply: answer.map(|answer| Reply { participant: nobody, status: Some(answer.to_owned()) }),
            ..Calendar::default()
        })
    }
}

/// The identifier by which other calendars know a meeting.
fn uid(global_id: &[u8]) -> Option<String> {
    // A class, a date, a time, what is reserved, and the length of what follows.
    let foreign = global_id.get(40..).and_then(|data| data.strip_prefix(FOREIGN_ID));
    let uid = match foreign {
        Some(uid) => String::from_utf8_lossy(uid).trim_end_matches('\0').to_owned(),
        None => text::hex(global_id).to_ascii_uppercase(),
    };
    one_line(&uid).filter(|uid| uid.len() <= limit::ID_BYTES)
}

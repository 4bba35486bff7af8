//! MAPI properties as TNEF lists them (MS-OXTNEF §2.1.3.4).

use std::borrow::Cow;

use chrono::{DateTime, Utc};

use crate::mail::charset;
use crate::mail::tnef::code_page;
use crate::mail::tnef::cursor::Cursor;

/// Properties have ids of their own below this, and above it are known by name.
const FIRST_NAMED: u16 = 0x8000;

/// Many values in place of one.
const MULTIPLE: u16 = 0x1000;

const SHORT: u16 = 0x0002;
const LONG: u16 = 0x0003;
const FLOAT: u16 = 0x0004;
const DOUBLE: u16 = 0x0005;
const CURRENCY: u16 = 0x0006;
const APPTIME: u16 = 0x0007;
const ERROR: u16 = 0x000a;
const BOOLEAN: u16 = 0x000b;
const OBJECT: u16 = 0x000d;
const INT64: u16 = 0x0014;
const STRING8: u16 = 0x001e;
const UNICODE: u16 = 0x001f;
const SYSTIME: u16 = 0x0040;
const GUID: u16 = 0x0048;
const BINARY: u16 = 0x0102;

/// Seconds from 1601, where Windows counts from, to 1970.
const EPOCH: i64 = 11_644_473_600;

/// One property: the first of its values, if it has many.
#[derive(Clone, Copy)]
pub(super) struct Property<'a> {
    pub(super) id: Id,
    kind: u16,
    /// Its value, with what ends or fills it.
    value: &'a [u8],
}

/// What a property is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Id {
    /// A number that means the same everywhere.
    Tag(u16),
    /// A number within a set, which is told by the first four bytes of its GUID.
    Named(u32, u32),
    /// A name.
    Other,
}

/// The properties of a list, as far as it can be read.
pub(super) struct Properties<'a> {
    cursor: Cursor<'a>,
    left: u32,
    /// Whether all could be read so far.
    pub(super) is_whole: bool,
}

impl<'a> Properties<'a> {
    pub(super) fn of(list: &'a [u8]) -> Self {
        let mut cursor = Cursor { rest: list };
        let count = cursor.u32();
        Self { cursor, left: count.unwrap_or_default(), is_whole: count.is_some() }
    }

    fn read(&mut self) -> Option<Property<'a>> {
        let cursor = &mut self.cursor;
        let kind = cursor.u16()?;
        let tag = cursor.u16()?;
        let id = if tag < FIRST_NAMED { Id::Tag(tag) } else { named(cursor)? };
        let base = kind & !MULTIPLE;
        let width = match base {
            SHORT | LONG | FLOAT | ERROR | BOOLEAN => Some(4),
            DOUBLE | CURRENCY | APPTIME | INT64 | SYSTIME => Some(8),
            GUID => Some(16),
            OBJECT | STRING8 | UNICODE | BINARY => None,
            // How long its value is cannot be known.
            _ => return None,
        };
        // What has no fixed length is counted even if it is one.
        let count = if width.is_none() || base != kind { cursor.u32()? } else { 1 };
        let mut first: Option<&[u8]> = None;
        for _ in 0..count {
            let length = match width {
                Some(width) => width,
                None => cursor.length()?,
            };
            let value = cursor.take_up_to(length);
            cursor.take_up_to(padding(length));
            first.get_or_insert(value);
            if value.len() < length {
                self.is_whole = false;
                self.left = 0;
                break;
            }
        }
        Some(Property { id, kind: base, value: first.unwrap_or_default() })
    }
}

impl<'a> Iterator for Properties<'a> {
    type Item = Property<'a>;

    fn next(&mut self) -> Option<Property<'a>> {
        self.left = self.left.checked_sub(1)?;
        let property = self.read();
        // Where the next begins is not known.
        if property.is_none() {
            self.is_whole = false;
            self.left = 0;
        }
        property
    }
}

/// The name of a property that has one: a set, and a number or a text in it.
fn named(cursor: &mut Cursor<'_>) -> Option<Id> {
    let set = Cursor { rest: cursor.take(16)? }.u32()?;
    if cursor.u32()? == 0 {
        return Some(Id::Named(set, cursor.u32()?));
    }
    let length = cursor.length()?;
    cursor.take(length)?;
    cursor.take_up_to(padding(length));
    Some(Id::Other)
}

impl<'a> Property<'a> {
    /// Its bytes. Those of an object come behind the interface that they are for.
    pub(super) fn bytes(&self) -> &'a [u8] {
        match self.kind {
            OBJECT => self.value.get(16..).unwrap_or_default(),
            _ => self.value,
        }
    }

    pub(super) fn number(&self) -> Option<u32> {
        let mut value = Cursor { rest: self.value };
        match self.kind {
            // What fills these up may be anything.
            SHORT | BOOLEAN => value.u16().map(u32::from),
            LONG => value.u32(),
            _ => None,
        }
    }

    pub(super) fn time(&self) -> Option<DateTime<Utc>> {
        let ticks = i64::from_le_bytes(self.value.try_into().ok()?);
        let seconds = (ticks / 10_000_000).checked_sub(EPOCH)?;
        (self.kind == SYSTIME).then(|| DateTime::from_timestamp(seconds, 0))?
    }

    /// Its text as it stands, without what ends it, and its charset; `None` if it is no text.
    pub(super) fn text(&self, code_page: Option<u32>) -> Option<Text<'a>> {
        match self.kind {
            UNICODE => Some(Text { bytes: until_nul_16(self.value), charset: Some("utf-16le") }),
            STRING8 => Some(Text::of(self.value, code_page)),
            _ => None,
        }
    }
}

/// A text in some charset.
#[derive(Clone, Copy)]
pub(super) struct Text<'a> {
    pub(super) bytes: &'a [u8],
    /// What mail calls it. `None` if that is not known.
    pub(super) charset: Option<&'static str>,
}

impl<'a> Text<'a> {
    /// A text in a code page, which ends at the first NUL.
    pub(super) fn of(bytes: &'a [u8], code_page: Option<u32>) -> Self {
        let end = memchr::memchr(0, bytes).unwrap_or(bytes.len());
        Self { bytes: bytes.get(..end).unwrap_or_default(), charset: code_page.and_then(code_page::charset) }
    }

    pub(super) fn decoded(&self) -> Cow<'a, str> {
        charset::decode(self.bytes.into(), self.charset).text
    }
}

/// How many bytes fill a value up to a multiple of four.
fn padding(length: usize) -> usize {
    (4 - length % 4) % 4
}

fn until_nul_16(bytes: &[u8]) -> &[u8] {
    let units = bytes.as_chunks::<2>().0;
    let end = units.iter().position(|unit| *unit == [0, 0]).unwrap_or(units.len());
    bytes.get(..2 * end).unwrap_or_default()
}

//! Reads single values out of a section, by type. A file gives them typed, the environment as strings; both are
//! taken.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use config::{Value, ValueKind};

use super::section::{Section, closest, name_of};
use super::units;

impl Section<'_> {
    /// A string that may be private and is therefore never shown: not empty, no control characters.
    pub(super) fn text(&mut self, key: &'static str, allowed: &str) -> Option<String> {
        let flaw = match self.take(key)?.kind {
            ValueKind::String(text) if text.trim().is_empty() => "an empty string",
            ValueKind::String(text) if text.contains(char::is_control) => "a string with a control character",
            ValueKind::String(text) => return Some(text),
            other => describe_kind(&other),
        };
        self.refuse(key, flaw, allowed);
        None
    }

    /// A list of strings that may be private and are therefore never shown, each as [`Section::text`] has it and as
    /// `is_sound` wants it. From the environment, with commas between them.
    pub(super) fn texts(
        &mut self,
        key: &'static str,
        allowed: &str,
        is_sound: fn(&str) -> bool,
    ) -> Option<Vec<String>> {
        let texts: Result<Vec<String>, _> = match self.take(key)?.kind {
            ValueKind::Array(values) => values
                .into_iter()
                .map(|value| match value.kind {
                    ValueKind::String(text) => Ok(text),
                    other => Err(describe_kind(&other)),
                })
                .collect(),
            ValueKind::String(text) => Ok(text
                .split(',')
                .map(|text| text.trim().to_owned())
                .filter(|text| !text.is_empty())
                .collect()),
            other => Err(describe_kind(&other)),
        };
        let is_flawed = |text: &String| text.is_empty() || text.contains(char::is_control) || !is_sound(text);
        let flaw = match texts {
            Ok(texts) if texts.iter().any(is_flawed) => "a list with something else in it",
            Ok(texts) => return Some(texts),
            Err(kind) => kind,
        };
        self.refuse(key, flaw, allowed);
        None
    }

    /// A string, or a list of strings, that may be private and are therefore never shown: each as [`Section::text`] has
    /// it and as `is_sound` wants it.
    pub(super) fn text_or_texts(
        &mut self,
        key: &'static str,
        allowed: &str,
        is_sound: fn(&str) -> bool,
    ) -> Option<Vec<String>> {
        let (values, flaw) = match self.take(key)?.kind {
            ValueKind::Array(values) => (values, "a list with something else in it"),
            text @ ValueKind::String(_) => (vec![text.into()], "a string that is none"),
            other => {
                self.refuse(key, describe_kind(&other), allowed);
                return None;
            }
        };
        let is_text = |text: &String| !text.trim().is_empty() && !text.contains(char::is_control);
        let texts: Option<Vec<String>> = values
            .into_iter()
            .map(|value| match value.kind {
                ValueKind::String(text) => Some(text).filter(|text| is_text(text) && is_sound(text)),
                _ => None,
            })
            .collect();
        if texts.is_none() {
            self.refuse(key, flaw, allowed);
        }
        texts
    }

    /// As [`Section::text`], but noted when missing.
    pub(super) fn required_text(&mut self, key: &'static str, allowed: &str) -> Option<String> {
        if self.has(key) { self.text(key, allowed) } else { self.missing(key, allowed) }
    }

    /// The path of a file.
    pub(super) fn path(&mut self, key: &'static str) -> Option<PathBuf> {
        self.text(key, "the path of a file").map(|path| self.resolve(&path))
    }

    /// The name of one of a list.
    pub(super) fn name(&mut self) -> Option<String> {
        let allowed = "a name of 1 to 40 of the characters a-z, 0-9 and -";
        if !self.has("name") {
            return self.missing("name", allowed);
        }
        self.parsed("name", allowed, |value| name_of(value).map(str::to_owned))
    }

    /// A string that is not private and has a form.
    pub(super) fn word(
        &mut self,
        key: &'static str,
        allowed: &str,
        is_word: fn(&str) -> bool,
    ) -> Option<String> {
        self.parsed(key, allowed, |value| match &value.kind {
            ValueKind::String(text) if !text.is_empty() && is_word(text) => Some(text.clone()),
            _ => None,
        })
    }

    /// A whole number within `range`.
    pub(super) fn number<T>(&mut self, key: &'static str, range: RangeInclusive<T>) -> Option<T>
    where
        T: TryFrom<u64> + PartialOrd + Display,
    {
        let allowed = format!("a whole number from {} to {}", range.start(), range.end());
        self.parsed(key, &allowed, |value| {
            let number = match &value.kind {
                ValueKind::I64(number) => u64::try_from(*number).ok()?,
                ValueKind::String(text) => text.trim().parse().ok()?,
                _ => return None,
            };
            T::try_from(number).ok().filter(|number| range.contains(number))
        })
    }

    /// `true` or `false`.
    pub(super) fn boolean(&mut self, key: &'static str) -> Option<bool> {
        self.parsed(key, "true or false", |value| match &value.kind {
            ValueKind::Boolean(boolean) => Some(*boolean),
            ValueKind::String(text) => text.trim().parse().ok(),
            _ => None,
        })
    }

    /// A number from 0 to 1 with at most two decimals, in hundredths.
    pub(super) fn fraction(&mut self, key: &'static str) -> Option<u8> {
        let allowed = "a number from 0 to 1 with at most two decimals, such as 0.7";
        self.parsed(key, allowed, |value| match &value.kind {
            ValueKind::Float(number) => units::parse_fraction(&number.to_string()),
            ValueKind::I64(number) => units::parse_fraction(&number.to_string()),
            ValueKind::String(text) => units::parse_fraction(text),
            _ => None,
        })
    }

    /// A duration.
    pub(super) fn duration(&mut self, key: &'static str) -> Option<Duration> {
        let allowed = r#"a duration such as "30s", "5m" or "1h 30m", above zero and at most 30 days"#;
        self.parsed(key, allowed, |value| match &value.kind {
            ValueKind::String(text) => units::parse_duration(text),
            _ => None,
        })
    }

    /// As [`Section::duration`], `longest` at most.
    pub(super) fn duration_up_to(&mut self, key: &'static str, longest: Duration) -> Option<Duration> {
        let duration = self.duration(key)?;
        if duration > longest {
            let allowed = format!("at most {}", units::format_duration(longest));
            self.refuse(key, units::format_duration(duration), &allowed);
            return None;
        }
        Some(duration)
    }

    /// A size in bytes, at least 1.
    pub(super) fn size(&mut self, key: &'static str, max: u64) -> Option<u64> {
        let allowed = format!(r#"bytes, or a size such as "64 KiB"; 1 to {}"#, units::format_size(max));
        self.parsed(key, &allowed, |value| {
            let size = match &value.kind {
                ValueKind::I64(bytes) => u64::try_from(*bytes).ok()?,
                ValueKind::String(text) => units::parse_size(text)?,
                _ => return None,
            };
            (1..=max).contains(&size).then_some(size)
        })
    }

    /// One of the named values.
    pub(super) fn choice<T: Copy>(&mut self, key: &'static str, choices: &[(&'static str, T)]) -> Option<T> {
        let value = self.take(key)?;
        let written = match &value.kind {
            ValueKind::String(text) => text.as_str(),
            _ => "",
        };
        if let Some((_, chosen)) = choices.iter().find(|(name, _)| *name == written) {
            return Some(*chosen);
        }
        let names = || choices.iter().map(|(name, _)| *name);
        let allowed = names().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(" or ");
        let remedy = closest(written, names()).map(|name| format!("did you mean {name:?}?"));
        self.note(key, show(&value), &allowed, remedy);
        None
    }

    /// A value that is not private: what can't be parsed is shown.
    fn parsed<T>(
        &mut self,
        key: &'static str,
        allowed: &str,
        parse: impl FnOnce(&Value) -> Option<T>,
    ) -> Option<T> {
        let value = self.take(key)?;
        let parsed = parse(&value);
        if parsed.is_none() {
            self.refuse(key, show(&value), allowed);
        }
        parsed
    }
}

/// What was written. Not for anything that may be private.
fn show(value: &Value) -> String {
    match &value.kind {
        ValueKind::String(text) if text.chars().count() <= 60 => format!("{text:?}"),
        ValueKind::String(_) => "a long string".to_owned(),
        ValueKind::I64(number) => number.to_string(),
        ValueKind::Boolean(value) => value.to_string(),
        other => describe_kind(other).to_owned(),
    }
}

/// What was written, without its value.
pub(super) fn describe_kind(kind: &ValueKind) -> &'static str {
    match kind {
        ValueKind::Nil => "nothing",
        ValueKind::Boolean(_) => "a boolean",
        ValueKind::I64(_) | ValueKind::I128(_) | ValueKind::U64(_) | ValueKind::U128(_) => "a number",
        ValueKind::Float(_) => "a decimal number",
        ValueKind::String(_) => "a string",
        ValueKind::Table(_) => "a table",
        ValueKind::Array(_) => "a list",
    }
}

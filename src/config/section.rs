//! Reads one table of the configuration key by key, noting everything that is wrong with it.
//!
//! A key is known because somebody asks for it: there is no second list of keys to keep in step. A reading
//! method that returns `None` has noted why, or the key is simply not there and need not be; reading goes on
//! either way, so that one mistake never hides another. `value` has the methods for single values.

use std::collections::BTreeMap;
use std::path::PathBuf;

use config::{Map, Value, ValueKind};

use super::problem::{Problem, Problems};
use super::value::describe_kind;

/// How alike an unknown key must be to a known one to be taken for a slip of the pen.
const LOOKS_LIKE: f64 = 0.8;

/// What one load works with, and what it finds wrong.
pub(super) struct Reading {
    /// Found so far.
    pub(super) problems: Problems,
    /// The configuration file, or that there is none: where a missing key would go.
    pub(super) origin: String,
    /// Where relative paths start.
    pub(super) folder: PathBuf,
}

/// A table being read.
#[must_use = "`end` notes the keys that nobody knows"]
pub(super) struct Section<'a> {
    /// What a key of it is written after: `database.`, `mailbox "support": `.
    prefix: String,
    /// Written, and not asked for yet.
    left: Map<String, Value>,
    /// Asked for, and where it stands if it stands anywhere.
    known: BTreeMap<&'static str, Option<String>>,
    reading: &'a mut Reading,
}

impl<'a> Section<'a> {
    pub(super) fn new(prefix: String, table: Map<String, Value>, reading: &'a mut Reading) -> Self {
        Self { prefix, left: table, known: BTreeMap::new(), reading }
    }

    /// Puts `defaults`, a TOML text, where nothing is written.
    pub(super) fn fill(&mut self, defaults: &Map<String, Value>) {
        for (key, value) in defaults {
            self.left.entry(key.clone()).or_insert_with(|| value.clone());
        }
    }

    /// Whether anything but an empty list is written for `key`.
    pub(super) fn has(&mut self, key: &'static str) -> bool {
        self.known.entry(key).or_default();
        self.left
            .get(key)
            .is_some_and(|value| !matches!(&value.kind, ValueKind::Array(list) if list.is_empty()))
    }

    /// A table in this one. Noted when missing.
    pub(super) fn table(&mut self, key: &'static str, allowed: &str) -> Option<Section<'_>> {
        if !self.has(key) {
            return self.missing(key, allowed);
        }
        match self.take(key)?.kind {
            ValueKind::Table(table) => {
                Some(Section::new(format!("{}{key}.", self.prefix), table, &mut *self.reading))
            }
            other => {
                self.refuse(key, describe_kind(&other), allowed);
                None
            }
        }
    }

    /// Reads each table of a list, `[[key]]`, whose names differ. Those with a mistake are left out.
    pub(super) fn each<T>(&mut self, key: &'static str, read: fn(Section<'_>) -> Option<T>) -> Vec<T> {
        let allowed = format!("a list of tables, each headed [[{key}]]");
        let tables = match self.take(key).map(|value| value.kind) {
            None => return Vec::new(),
            Some(ValueKind::Array(tables)) => tables,
            Some(other) => {
                self.refuse(key, describe_kind(&other), &allowed);
                return Vec::new();
            }
        };
        let mut names = Vec::new();
        let mut values = Vec::new();
        for (index, value) in tables.into_iter().enumerate() {
            let ValueKind::Table(table) = value.kind else {
                self.refuse(key, describe_kind(&value.kind), &allowed);
                continue;
            };
            let name = name_in(&table).map(str::to_owned);
            let is_repeated = name.is_some() && names.contains(&name);
            let prefix = match &name {
                Some(name) if !is_repeated => format!("{key} {name:?}: "),
                _ => format!("{key}[{index}]."),
            };
            let mut section = Section::new(prefix, table, &mut *self.reading);
            if is_repeated {
                section.refuse("name", "the name of another one", "a name of its own");
            }
            names.push(name);
            values.extend(read(section));
        }
        values
    }

    /// Notes that a value which could be read is not allowed.
    pub(super) fn refuse(&mut self, key: &'static str, found: impl Into<String>, allowed: &str) {
        self.note(key, found, allowed, None);
    }

    /// Notes a value that has no place here, if there is one: elsewhere it has, so it is no slip of the pen.
    pub(super) fn misplaced(&mut self, key: &'static str, found: &str, remedy: &str) {
        if self.has(key) {
            self.take(key);
            self.note(key, found, "nothing", Some(remedy.to_owned()));
        }
        self.known.remove(key);
    }

    /// Notes that nothing is written for `key`.
    pub(super) fn missing<T>(&mut self, key: &'static str, allowed: &str) -> Option<T> {
        self.refuse(key, "nothing", allowed);
        None
    }

    /// A relative path starts at the configuration file's folder.
    pub(super) fn resolve(&self, path: &str) -> PathBuf {
        self.reading.folder.join(path)
    }

    /// Takes the value out, so that [`Section::end`] sees what nobody asked for.
    pub(super) fn take(&mut self, key: &'static str) -> Option<Value> {
        let value = self.left.remove(key);
        self.known.insert(key, value.as_ref().and_then(origin_of));
        value
    }

    /// Notes the keys that nobody asked for.
    pub(super) fn end(mut self) {
        let allowed = format!("one of {}", self.known.keys().copied().collect::<Vec<_>>().join(", "));
        for (key, value) in std::mem::take(&mut self.left) {
            let remedy = match closest(&key, self.known.keys().copied()) {
                Some(known) => format!("did you mean {known}?"),
                None => "take it out".to_owned(),
            };
            self.reading.problems.add(Problem {
                origin: origin_of(&value).unwrap_or_else(|| self.reading.origin.clone()),
                key: format!("{}{}", self.prefix, key.escape_debug()),
                found: "an unknown key".to_owned(),
                allowed: allowed.clone(),
                remedy: Some(remedy),
            });
        }
    }

    pub(super) fn note(
        &mut self,
        key: &'static str,
        found: impl Into<String>,
        allowed: &str,
        remedy: Option<String>,
    ) {
        let unread = self.left.get(key).and_then(origin_of);
        let origin = unread.or_else(|| self.known.get(key).cloned().flatten());
        self.reading.problems.add(Problem {
            origin: origin.unwrap_or_else(|| self.reading.origin.clone()),
            key: format!("{}{key}", self.prefix),
            found: found.into(),
            allowed: allowed.to_owned(),
            remedy,
        });
    }
}

/// The name of a table in a list.
pub(super) fn name_in(table: &Map<String, Value>) -> Option<&str> {
    table.get("name").and_then(name_of)
}

/// A name: it becomes a metric label and a part of environment variables.
pub(super) fn name_of(value: &Value) -> Option<&str> {
    match &value.kind {
        ValueKind::String(name) => Some(name.as_str()).filter(|name| {
            (1..=40).contains(&name.len())
                && name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        }),
        _ => None,
    }
}

/// Where a value stands. Tables are merged and have no place of their own: what is in them has.
fn origin_of(value: &Value) -> Option<String> {
    match &value.kind {
        ValueKind::Table(table) => table.values().find_map(origin_of),
        _ => value.origin().map(str::to_owned),
    }
}

/// The known one that was probably meant.
pub(super) fn closest<'k>(written: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let (likeness, key) = known
        .map(|key| (strsim::jaro_winkler(written, key), key))
        .max_by(|(one, _), (other, _)| one.total_cmp(other))?;
    (likeness >= LOOKS_LIKE).then_some(key)
}

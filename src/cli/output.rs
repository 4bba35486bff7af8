//! How results are shown: a table to a person, JSON to a program.

use std::io;
use std::io::Write;

use chrono::{DateTime, Local, Utc};
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{ContentArrangement, Table};
use serde::Serialize;

/// A table with these column titles, as wide as the terminal.
pub(super) fn table(titles: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(titles);
    table
}

/// Standard output can't be written to. A type of its own: the database's connection breaks by the same errors.
#[derive(Debug, thiserror::Error)]
#[error("writing to standard output")]
pub(super) struct Error(#[from] io::Error);

impl Error {
    /// Whether whoever read our output has seen enough: `postroom tickets list | head`.
    pub(super) fn is_end(&self) -> bool {
        self.0.kind() == io::ErrorKind::BrokenPipe
    }
}

/// Prints a line.
pub(super) fn line(text: impl std::fmt::Display) -> Result<(), Error> {
    Ok(writeln!(io::stdout(), "{text}")?)
}

/// Writes bytes as they are.
pub(super) fn raw(bytes: &[u8]) -> Result<(), Error> {
    Ok(io::stdout().write_all(bytes)?)
}

/// Prints a value as indented JSON.
pub(super) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    Ok(line(serde_json::to_string_pretty(value)?)?)
}

/// A time as a person here reads it.
pub(super) fn time(time: DateTime<Utc>) -> String {
    time.with_timezone(&Local).format("%Y-%m-%d %H:%M:%S").to_string()
}

/// Text from outside on one line, without control characters: a subject must not steer the terminal.
pub(super) fn tame(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Longer text from outside: line ends stay, other control characters go.
pub(super) fn tame_lines(text: &str) -> String {
    text.chars().filter(|&c| c == '\n' || c == '\t' || !c.is_control()).collect()
}

/// A number of bytes as people say it.
pub(super) fn bytes(count: i64) -> String {
    indicatif::HumanBytes(u64::try_from(count).unwrap_or(0)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_cannot_steer_the_terminal() {
        assert_eq!(tame("\u{1b}[2Jred\r\nalert\u{9b}31m"), " [2Jred  alert 31m");
        assert_eq!(tame_lines("one\r\n\u{1b}[1mtwo\n"), "one\n[1mtwo\n");
    }
}

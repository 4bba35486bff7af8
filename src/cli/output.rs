//! How results are shown: a table to a person, JSON to a program.

use std::fs;
use std::fs::File;
use std::io;
use std::io::{IsTerminal, Write};
use std::path::Path;

use anyhow::Context;
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

/// Writes the bytes that `pour` hands on, of `what`: to standard output unless it is a terminal, or to a new file, which
/// is gone again if that fails half way.
pub(super) fn raw(
    what: &str,
    path: Option<&Path>,
    pour: impl FnOnce(&mut dyn FnMut(&[u8])),
) -> anyhow::Result<()> {
    let Some(path) = path else {
        anyhow::ensure!(
            !io::stdout().is_terminal(),
            "{what} may hold anything, which is nothing for a terminal: use `--output FILE` or a pipe"
        );
        return Ok(write_all(io::stdout(), pour).map(drop).map_err(Error)?);
    };
    let file = File::create_new(path).with_context(|| format!("creating {}", path.display()))?;
    let bytes = write_all(file, pour).with_context(|| {
        // The reason is what matters, and it is said.
        drop(fs::remove_file(path));
        format!("writing {}", path.display())
    })?;
    Ok(line(format!("{bytes} bytes written to {}.", path.display()))?)
}

/// How many bytes were written; nothing more once one piece could not be.
fn write_all(mut to: impl Write, pour: impl FnOnce(&mut dyn FnMut(&[u8]))) -> io::Result<u64> {
    let mut written = Ok(0);
    pour(&mut |piece| {
        if let Ok(bytes) = written {
            written = to.write_all(piece).map(|()| bytes + piece.len() as u64);
        }
    });
    written
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

//! Log files of child processes.

use std::fmt::Write;
use std::fs::{self, File, OpenOptions};
use std::path::Path;

use anyhow::{Context, Error, Result, anyhow};

use crate::owner::Owner;

/// How many lines of a log an error message shows.
const TAIL: usize = 20;

/// Opens a log to be appended to, by us or by `owner`.
pub(crate) fn open(path: &Path, owner: &Owner) -> Result<File> {
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .with_context(|| format!("opening {}", path.display()))?;
    owner.take(path)?;
    Ok(file)
}

/// What a log holds so far.
pub(crate) fn read(path: &Path) -> Result<String> {
    let log = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    Ok(String::from_utf8_lossy(&log).into_owned())
}

/// An error with the end of the log that may explain it.
pub(crate) fn explain(error: &Error, tail: &str) -> Error {
    anyhow!("{error:#}\n{tail}")
}

/// The last lines of a log, to stand in an error message.
pub(crate) fn tail(path: &Path) -> String {
    let log = read(path).unwrap_or_default();
    let lines: Vec<&str> = log.lines().collect();
    if lines.is_empty() {
        return format!("{} is empty", path.display());
    }
    let mut message = format!("{} ends with:", path.display());
    for line in lines.iter().skip(lines.len().saturating_sub(TAIL)) {
        let _ = write!(message, "\n  {line}");
    }
    message
}

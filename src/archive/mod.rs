//! Mail in files: .eml, mbox and Maildir, one mail at a time.
//!
//! A file in Unix form, whose lines end in LF, is given in the form of RFC 5322, with CRLF: as an IMAP server would
//! give it, so that the same mail out of a file and out of a mailbox is one.
//!
//! Invariant: no more than one mail, one piece of a line and the names of the folders on the way down are in memory,
//! however large a file or a folder is. What can't be read is named and passed by, and stops nothing.

mod envelope;
mod file;
mod mbox;
mod walk;

use std::fmt;
use std::fs::File;
use std::io;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use chrono::{DateTime, FixedOffset};

use crate::message::Extent;

use mbox::Mbox;
use walk::{Form, Step, Walk};

/// A mail out of a file.
#[derive(Clone, PartialEq, Eq)]
pub struct Found {
    /// Where it was.
    pub place: Place,
    /// Its RFC 5322 bytes.
    pub source: Vec<u8>,
    /// Whether `source` is all of it, or its header because the rest is larger than is taken.
    pub extent: Extent,
    /// Bytes of the file that it takes.
    pub span: u64,
    /// When it reached its mailbox, if its file or the mbox says so.
    pub received: Option<DateTime<FixedOffset>>,
}

// By hand: a derived `Debug` would print the mail.
impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Found")
            .field("bytes", &self.source.len())
            .field("extent", &self.extent)
            .finish_non_exhaustive()
    }
}

/// Something that is no mail, or can't be read.
#[derive(Debug)]
pub struct Broken {
    /// Where.
    pub place: Place,
    /// Why.
    pub reason: String,
}

/// Where a mail was: a file, and in an mbox its number from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    path: PathBuf,
    number: Option<u64>,
}

/// For whoever gave the path: it is theirs to see.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.display().fmt(f)?;
        match self.number {
            Some(number) => write!(f, ", mail {number}"),
            None => Ok(()),
        }
    }
}

/// What there is, as far as the names and sizes of files tell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Survey {
    /// Bytes of the files in which there is mail.
    pub bytes: u64,
    /// Files in folders that are neither .eml, mbox nor in a Maildir.
    pub passed_over: u64,
}

/// Looks through `paths` without reading mail.
pub fn survey(paths: &[PathBuf]) -> Survey {
    let mut survey = Survey::default();
    for step in Walk::new(paths) {
        match step {
            Step::File { bytes, .. } => survey.bytes += bytes,
            Step::Other => survey.passed_over += 1,
            Step::Broken(_) => {}
        }
    }
    survey
}

/// The mails in `paths`: a file is an mbox if it begins like one, else a mail; of a folder everything in it is taken
/// that is an .eml file, an mbox or a Maildir, at any depth, in the order of its names. Of a mail larger than
/// `max_bytes` only the header.
pub fn mails(paths: &[PathBuf], max_bytes: u64) -> impl Iterator<Item = Result<Found, Broken>> {
    Walk::new(paths).flat_map(move |step| -> Box<dyn Iterator<Item = Result<Found, Broken>>> {
        match step {
            Step::File { path, form: Form::Mbox, .. } => match open(&path) {
                Ok(mbox) => Box::new(mails_of_mbox(path, mbox, max_bytes)),
                Err(broken) => Box::new(std::iter::once(Err(broken))),
            },
            Step::File { path, form: Form::Mail { received }, bytes } => {
                Box::new(std::iter::once(file::read(&path, bytes, max_bytes, received)))
            }
            Step::Broken(broken) => Box::new(std::iter::once(Err(broken))),
            Step::Other => Box::new(std::iter::empty()),
        }
    })
}

fn open(path: &Path) -> Result<Mbox<BufReader<File>>, Broken> {
    Ok(Mbox::new(BufReader::new(File::open(path).map_err(|error| unreadable(path, &error))?)))
}

fn mails_of_mbox(
    path: PathBuf,
    mut mbox: Mbox<BufReader<File>>,
    max_bytes: u64,
) -> impl Iterator<Item = Result<Found, Broken>> {
    let mut number = 0;
    let mut is_over = false;
    std::iter::from_fn(move || {
        if is_over {
            return None;
        }
        let mail = mbox.next_mail(max_bytes).transpose()?;
        number += 1;
        let place = Place { path: path.clone(), number: Some(number) };
        // What comes after a place that can't be read is anybody's guess.
        is_over = mail.is_err();
        Some(match mail {
            Ok(mail) => file::found(place, mail.bytes, mail.is_whole, mail.span, mail.received),
            Err(error) => Err(Broken { place, reason: error.to_string() }),
        })
    })
}

fn unreadable(path: &Path, error: &io::Error) -> Broken {
    Broken { place: Place { path: path.to_owned(), number: None }, reason: error.to_string() }
}

#[cfg(test)]
mod tests;

//! Where there is mail among files and folders.

use std::ffi::OsString;
use std::fs;
use std::fs::File;
use std::io;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, FixedOffset};

use crate::archive::{Broken, unreadable};

/// What comes next on the way.
pub(super) enum Step {
    /// A file in which there is mail.
    File { path: PathBuf, form: Form, bytes: u64 },
    /// A file in a folder that is none of ours.
    Other,
    /// Something that can't be read.
    Broken(Broken),
}

/// What a file is.
pub(super) enum Form {
    /// One mail, and when it was delivered, if its name says so.
    Mail { received: Option<DateTime<FixedOffset>> },
    /// Many.
    Mbox,
}

/// The way through files and folders: by name, depth first.
pub(super) struct Walk {
    /// The next last.
    ahead: Vec<Ahead>,
}

struct Ahead {
    /// Shared by all names in it, for a Maildir may have a million.
    folder: Arc<Path>,
    name: OsString,
    role: Role,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Named by whoever asked.
    Given,
    /// In a folder.
    Within,
    /// In `cur` or `new` of a Maildir.
    Delivered,
}

impl Walk {
    pub(super) fn new(paths: &[PathBuf]) -> Self {
        let given = |path: &PathBuf| Ahead {
            folder: Arc::from(Path::new("")),
            name: path.clone().into_os_string(),
            role: Role::Given,
        };
        Self { ahead: paths.iter().rev().map(given).collect() }
    }

    /// Puts what is in a folder ahead.
    fn enter(&mut self, folder: &Path, role: Role) -> io::Result<()> {
        let mut names = fs::read_dir(folder)?
            .map(|entry| Ok(entry?.file_name()))
            .collect::<io::Result<Vec<OsString>>>()?;
        let folder: Arc<Path> = Arc::from(folder);
        let is_maildir = is_maildir(&folder);
        // `tmp` is what was never delivered.
        names.retain(|name| !(is_maildir && name == "tmp"));
        names.sort_unstable();
        let ahead = |name: OsString| {
            let is_delivered = is_maildir && (name == "cur" || name == "new");
            let role = if is_delivered { Role::Delivered } else { role };
            Ahead { folder: Arc::clone(&folder), name, role }
        };
        self.ahead.extend(names.into_iter().rev().map(ahead));
        Ok(())
    }

    /// What to make of one entry; `None` if it was a folder.
    fn look(&mut self, path: &Path, role: Role) -> io::Result<Option<Step>> {
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        let metadata = fs::metadata(path)?;
        if metadata.is_dir() {
            // By links into folders one could go round for ever.
            let is_link = role != Role::Given && fs::symlink_metadata(path)?.is_symlink();
            // The subfolders of a Maildir (Maildir++) are hidden.
            let is_passed_by = is_link || (role != Role::Given && hidden && !is_maildir(path));
            if !is_passed_by {
                self.enter(path, if role == Role::Delivered { role } else { Role::Within })?;
            }
            return Ok(None);
        }
        if !metadata.is_file() {
            let no_file = || io::Error::other("it is neither a file nor a folder");
            return if role == Role::Given { Err(no_file()) } else { Ok(Some(Step::Other)) };
        }
        let form = match role {
            _ if hidden && role != Role::Given => return Ok(Some(Step::Other)),
            Role::Delivered => Form::Mail { received: delivered_at(path) },
            Role::Within if is_eml(path) => Form::Mail { received: None },
            _ if begins_like_mbox(path)? => Form::Mbox,
            Role::Given => Form::Mail { received: None },
            Role::Within => return Ok(Some(Step::Other)),
        };
        Ok(Some(Step::File { path: path.to_owned(), form, bytes: metadata.len() }))
    }
}

impl Iterator for Walk {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        loop {
            let Ahead { folder, name, role } = self.ahead.pop()?;
            let path = folder.join(name);
            match self.look(&path, role) {
                Ok(Some(step)) => return Some(step),
                Ok(None) => {}
                Err(error) => return Some(Step::Broken(unreadable(&path, &error))),
            }
        }
    }
}

fn is_maildir(folder: &Path) -> bool {
    folder.join("cur").is_dir() && folder.join("new").is_dir()
}

fn is_eml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("eml"))
}

fn begins_like_mbox(path: &Path) -> io::Result<bool> {
    let mut beginning = Vec::new();
    File::open(path)?.take(5).read_to_end(&mut beginning)?;
    Ok(beginning == b"From ")
}

/// A Maildir's file names begin with the time of delivery, in seconds since 1970.
fn delivered_at(path: &Path) -> Option<DateTime<FixedOffset>> {
    let name = path.file_name()?.to_str()?;
    let seconds: i64 = name.split('.').next()?.parse().ok()?;
    Some(DateTime::from_timestamp(seconds, 0).filter(|_| seconds > 0)?.fixed_offset())
}

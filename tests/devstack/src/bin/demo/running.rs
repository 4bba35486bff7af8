//! Which demos run: `.demo/PID` in the current folder names the Maildir of each.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use devstack::Account;

const FOLDER: &str = ".demo";

/// An entry for a running demo, taken back when dropped.
pub(crate) struct Running(PathBuf);

/// Lets `demo send` find this demo.
pub(crate) fn announce(maildir: &Path) -> Result<Running> {
    let entry = Path::new(FOLDER).join(std::process::id().to_string());
    fs::create_dir_all(FOLDER)
        .and_then(|()| fs::write(&entry, maildir.as_os_str().as_encoded_bytes()))
        .with_context(|| format!("writing {}", entry.display()))?;
    Ok(Running(entry))
}

/// The mailbox of the demo that was started last.
pub(crate) fn find() -> Result<Account> {
    let mut entries: Vec<_> = fs::read_dir(FOLDER)
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            Some((entry.metadata().ok()?.modified().ok()?, entry.path()))
        })
        .collect();
    entries.sort();
    for (_, entry) in entries.iter().rev() {
        let maildir = fs::read_to_string(entry).unwrap_or_default();
        match Account::at(Path::new(&maildir)) {
            Ok(account) => return Ok(account),
            // A demo that was killed left its entry behind, but not its Maildir.
            Err(_) => remove(entry),
        }
    }
    bail!("no demo runs here: start one by `make demo` in another terminal")
}

fn remove(entry: &Path) {
    let _ = fs::remove_file(entry);
    // Goes with the last entry.
    let _ = fs::remove_dir(FOLDER);
}

impl Drop for Running {
    fn drop(&mut self) {
        remove(&self.0);
    }
}

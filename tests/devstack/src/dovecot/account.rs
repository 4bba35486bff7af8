//! A mail account, seen from behind: as the Maildir that Dovecot serves.
//!
//! Maildir (<https://cr.yp.to/proto/maildir.html>) needs no lock: a message is written elsewhere on the same file
//! system and renamed into `new/`. Whatever a client sees of it is therefore whole.

use std::borrow::Cow;
use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};

use crate::owner::Owner;
use crate::poll;

/// An account of a [`Dovecot`](crate::Dovecot).
///
/// Folders are named as on disk: `INBOX`, `Processed`, `Processed.2026`; others than ASCII in modified UTF-7.
#[derive(Debug, Clone)]
pub struct Account {
    user: String,
    password: String,
    maildir: PathBuf,
}

/// A message as it lies in a Maildir.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMail {
    /// Its bytes, with the LF line ends of a Maildir; IMAP shows CRLF.
    pub source: Vec<u8>,
    /// Maildir's letters for its flags: `S` seen, `T` deleted, `R` answered, `F` flagged, `D` draft.
    pub flags: String,
}

impl Account {
    pub(super) fn create(owner: &Owner, homes: &Path, user: &str, password: &str) -> Result<Self> {
        let maildir = homes.join(user).join("Maildir");
        for part in ["cur", "new", "tmp"] {
            let part = maildir.join(part);
            DirBuilder::new().recursive(true).mode(0o700).create(&part)?;
            part.ancestors()
                .take_while(|path| path.starts_with(homes))
                .try_for_each(|path| owner.take(path))?;
        }
        Ok(Self { user: user.to_owned(), password: password.to_owned(), maildir })
    }

    /// The Maildir at `path`, of a server that another process runs; there is nothing to log in with.
    pub fn at(path: &Path) -> Result<Self> {
        ensure!(path.join("new").is_dir(), "{} is not a Maildir", path.display());
        Ok(Self { user: String::new(), password: String::new(), maildir: path.to_owned() })
    }

    /// The name to log in with.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The password to log in with.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// Where its mail lies.
    pub fn maildir(&self) -> &Path {
        &self.maildir
    }

    /// Puts a message into the inbox, as new mail. CRLF becomes LF, which is how Maildir keeps lines.
    pub fn deliver(&self, source: &[u8]) -> Result<()> {
        let name = unique_name()?;
        let (draft, place) = (self.maildir.join("tmp").join(&name), self.maildir.join("new").join(&name));
        self.write(source, &draft, &place)
            .with_context(|| format!("delivering into {}", self.maildir.display()))
    }

    /// Delivers many messages, in this order.
    pub fn deliver_many<S: AsRef<[u8]>>(&self, sources: impl IntoIterator<Item = S>) -> Result<()> {
        sources.into_iter().try_for_each(|source| self.deliver(source.as_ref()))
    }

    /// How many messages a folder holds; 0 if it does not exist.
    pub fn count(&self, folder: &str) -> Result<usize> {
        Ok(self.files(folder)?.len())
    }

    /// The messages of a folder, in no particular order; none if it does not exist.
    pub fn messages(&self, folder: &str) -> Result<Vec<StoredMail>> {
        loop {
            match self.files(folder)?.iter().map(|path| read(path)).collect() {
                // Dovecot renamed one since it was listed: list again.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                outcome => {
                    return outcome
                        .with_context(|| format!("reading {folder} of {}", self.maildir.display()));
                }
            }
        }
    }

    /// The bytes of a folder's messages; see [`messages`](Self::messages).
    pub fn sources(&self, folder: &str) -> Result<Vec<Vec<u8>>> {
        Ok(self.messages(folder)?.into_iter().map(|mail| mail.source).collect())
    }

    /// Waits until a folder holds exactly `count` messages.
    pub async fn wait_for_count(&self, folder: &str, count: usize, limit: Duration) -> Result<()> {
        poll::until(&format!("{folder} to hold {count} messages"), limit, async || {
            let found = self.count(folder)?;
            ensure!(found == count, "it holds {found}");
            Ok(())
        })
        .await
    }

    fn write(&self, source: &[u8], draft: &Path, place: &Path) -> Result<()> {
        fs::write(draft, with_lf(source))?;
        fs::set_permissions(draft, Permissions::from_mode(0o600))?;
        let owner = fs::metadata(&self.maildir)?;
        chown(draft, Some(owner.uid()), Some(owner.gid()))?;
        fs::rename(draft, place)?;
        Ok(())
    }

    /// The message files of a folder. One may be gone or renamed by the time it is opened.
    fn files(&self, folder: &str) -> Result<Vec<PathBuf>> {
        let folder = match folder {
            "INBOX" => self.maildir.clone(),
            other => self.maildir.join(format!(".{other}")),
        };
        let mut files = Vec::new();
        // In this order a message that moves from new/ to cur/ meanwhile is seen.
        for part in ["new", "cur"] {
            match fs::read_dir(folder.join(part)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                entries => {
                    for entry in entries.with_context(|| format!("listing {}", folder.display()))? {
                        files.push(entry?.path());
                    }
                }
            }
        }
        // … and one that was seen twice counts once: the unique name is what precedes the flags.
        files.sort_by_cached_key(|path| unique_part(path));
        files.dedup_by(|a, b| unique_part(a) == unique_part(b));
        Ok(files)
    }
}

fn read(path: &Path) -> io::Result<StoredMail> {
    let name = path.to_string_lossy();
    let flags = name.rsplit_once(":2,").map_or("", |(_, flags)| flags);
    Ok(StoredMail { source: fs::read(path)?, flags: flags.to_owned() })
}

fn unique_part(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_string_lossy();
    Some(name.split(':').next()?.to_owned())
}

/// A file name that no other delivery has. Names sort in the order of delivery.
fn unique_name() -> Result<String> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    Ok(format!("{}.M{:06}P{}Q{number}.devstack", now.as_secs(), now.subsec_micros(), std::process::id()))
}

fn with_lf(source: &[u8]) -> Cow<'_, [u8]> {
    if !source.windows(2).any(|pair| pair == b"\r\n") {
        return Cow::Borrowed(source);
    }
    let mut lines = Vec::with_capacity(source.len());
    let mut bytes = source.iter().peekable();
    while let Some(&byte) = bytes.next() {
        if byte != b'\r' || bytes.peek() != Some(&&b'\n') {
            lines.push(byte);
        }
    }
    Cow::Owned(lines)
}

//! A folder of our own under the system's temporary one, which goes away with its owner or, at the latest, with this
//! process.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::guard;
use crate::owner::Owner;

/// A path longer than this leaves too little of the 107 bytes that a Unix socket's path may have.
const LONGEST_PARENT: usize = 60;

/// A private folder. Dropped, it is removed with all that is in it.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    owner: Owner,
}

impl Folder {
    /// Makes a folder for this process's own files.
    ///
    /// `name` becomes part of its path, for the person who looks at `/tmp`.
    pub fn new(name: &str) -> Result<Self> {
        Self::owned_by(Owner::me()?, name)
    }

    /// Makes a folder that belongs to `owner` and that nobody else but root can enter.
    pub(crate) fn owned_by(owner: Owner, name: &str) -> Result<Self> {
        let parent = parent();
        let path = tempfile::Builder::new()
            .prefix(&format!("postroom-{name}-"))
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(&parent)
            .with_context(|| format!("making a folder in {}", parent.display()))?;
        // Guarded first: until then `tempfile` removes it unless we are killed within these two lines.
        guard::watch(path.path().display())?;
        let folder = Self { path: path.keep(), owner };
        folder.owner.take(&folder.path)?;
        Ok(folder)
    }

    /// Where it is. Plain characters only, so it can stand in a shell command, a configuration file or a URL.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whom it belongs to.
    pub(crate) fn owner(&self) -> &Owner {
        &self.owner
    }

    /// Writes a file that only the folder's owner and root can read.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> Result<PathBuf> {
        let path = self.path.join(name);
        fs::write(&path, content).with_context(|| format!("writing {}", path.display()))?;
        fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        self.owner.take(&path)?;
        Ok(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // If the last child of a killed server still writes here, the guard removes the folder in the end.
        if fs::remove_dir_all(&self.path).is_ok() {
            guard::forget(self.path.display());
        }
    }
}

/// The system's temporary folder, or `/tmp` where that one's path is too long or needs quoting.
///
/// For root always `/tmp`: its own temporary folder may be closed to the user that the servers run as.
fn parent() -> PathBuf {
    let usual = std::env::temp_dir();
    let plain = usual.to_str().is_some_and(|path| {
        path.len() <= LONGEST_PARENT
            && path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte))
    });
    if plain && !rustix::process::geteuid().is_root() { usual } else { PathBuf::from("/tmp") }
}

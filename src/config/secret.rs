//! Secrets, written in place or in a file of their own, and the certificates of a private authority.
//!
//! A secret's value is never shown. Files are read once, at start, and need not be regular ones: a pipe of a
//! password manager is fine. Their permissions are not judged: Kubernetes mounts secrets readable by all.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use config::ValueKind;
use secrecy::SecretString;

use super::section::Section;

/// No secret, and no sensible bundle of private authorities, is larger.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// A secret's two keys and its rule.
pub(super) struct SecretKey {
    /// Holds the secret itself.
    pub(super) key: &'static str,
    /// Holds the path of its file.
    pub(super) file_key: &'static str,
    /// What it must look like.
    pub(super) allowed: &'static str,
    /// Names the flaw of a text that does not look like it, without showing it.
    pub(super) check: fn(&str) -> Result<(), &'static str>,
}

impl Section<'_> {
    /// A secret that must be there.
    pub(super) fn secret(&mut self, secret: &SecretKey) -> Option<SecretString> {
        if self.has(secret.key) || self.has(secret.file_key) {
            return self.optional_secret(secret);
        }
        let remedy = format!("write it, or better, name its file by {}", secret.file_key);
        self.note(secret.key, "nothing", secret.allowed, Some(remedy));
        None
    }

    /// A secret that need not be there.
    pub(super) fn optional_secret(&mut self, secret: &SecretKey) -> Option<SecretString> {
        match (self.has(secret.key), self.has(secret.file_key)) {
            (true, true) => {
                self.refuse(secret.key, format!("{} as well", secret.file_key), "one of the two");
                self.take(secret.key);
                self.take(secret.file_key);
                None
            }
            (true, false) => self.written_secret(secret),
            (false, true) => self.secret_file(secret),
            (false, false) => None,
        }
    }

    fn written_secret(&mut self, secret: &SecretKey) -> Option<SecretString> {
        let flaw = match self.take(secret.key)?.kind {
            ValueKind::String(text) => match check(&text, secret) {
                Ok(()) => return Some(text.into()),
                Err(flaw) => flaw,
            },
            _ => "a value that is not a string: put it in quotes",
        };
        self.refuse(secret.key, flaw, secret.allowed);
        None
    }

    fn secret_file(&mut self, secret: &SecretKey) -> Option<SecretString> {
        let path = self.path(secret.file_key)?;
        let allowed = format!("a readable file with {}", secret.allowed);
        let flaw = match read(&path) {
            Ok(bytes) => match std::str::from_utf8(&bytes).map(without_line_break) {
                Ok(text) => match check(text, secret) {
                    Ok(()) => return Some(text.into()),
                    Err(flaw) => format!("{}, which holds {flaw}", path.display()),
                },
                Err(_) => format!("{}, which is not UTF-8", path.display()),
            },
            Err(flaw) => flaw,
        };
        self.refuse(secret.file_key, flaw, &allowed);
        None
    }

    /// The PEM certificates in the file that `key` names, if it does.
    pub(super) fn certificates(&mut self, key: &'static str) -> Option<Vec<u8>> {
        if !self.has(key) {
            return None;
        }
        // TLS only logs an extra certificate that it can't read, so it is tried here.
        self.file(key, "a readable file with one or more PEM certificates", |pem| {
            match native_tls::Certificate::stack_from_pem(pem) {
                Ok(certificates) if !certificates.is_empty() => Ok(pem.to_vec()),
                Ok(_) => Err("which holds no certificate"),
                Err(_) => Err("which holds a broken certificate"),
            }
        })
    }

    /// What is in the file that `key` must name, or else its flaw as `parse` tells it.
    pub(super) fn file<T>(
        &mut self,
        key: &'static str,
        allowed: &str,
        parse: impl FnOnce(&[u8]) -> Result<T, &'static str>,
    ) -> Option<T> {
        if !self.has(key) {
            return self.missing(key, allowed);
        }
        let path = self.path(key)?;
        let parsed =
            read(&path).and_then(|bytes| parse(&bytes).map_err(|flaw| format!("{}, {flaw}", path.display())));
        parsed.map_err(|flaw| self.refuse(key, flaw, allowed)).ok()
    }
}

fn check(text: &str, secret: &SecretKey) -> Result<(), &'static str> {
    if text.is_empty() {
        return Err("nothing");
    }
    if text.contains('\0') {
        return Err("a NUL character");
    }
    (secret.check)(text)
}

/// Editors and `echo` end a file with a line break that nobody means.
fn without_line_break(text: &str) -> &str {
    text.strip_suffix("\r\n").or_else(|| text.strip_suffix('\n')).unwrap_or(text)
}

/// A small file, or why there is none.
fn read(path: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|cause| format!("{}, which can't be read: {cause}", path.display()))?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(format!("{}, which is larger than 1 MiB", path.display()));
    }
    Ok(bytes)
}

//! What a server says it can do (RFC 9051 §6.1.1).

use std::collections::BTreeSet;
use std::fmt;

use async_imap::imap_proto::{self, Response, ResponseCode};

use super::driver::Driver;
use super::error::Error;
use super::response::code;

/// The capabilities of a server, as announced last. Exchange announces MOVE only after the login, so those from
/// before it say little.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// In upper case, `AUTH=…` included.
    names: BTreeSet<String>,
}

impl Capabilities {
    /// Whether `name`, written in upper case, is announced.
    pub fn has(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// Asks the server.
    pub(super) async fn ask(driver: &mut Driver) -> Result<Self, Error> {
        let mut announced = None;
        driver
            .run("CAPABILITY", "", |response| announced = Self::read(response).or(announced.take()))
            .await?;
        announced.ok_or(Error::Unreadable { during: "CAPABILITY" })
    }

    /// Those that a response announces, be it the answer to CAPABILITY or a code in a greeting or a tagged OK.
    pub(super) fn read(response: &Response<'_>) -> Option<Self> {
        if let Response::Capabilities(announced) = response {
            return Some(Self::of(announced));
        }
        match code(response)? {
            ResponseCode::Capabilities(announced) => Some(Self::of(announced)),
            _ => None,
        }
    }

    fn of(announced: &[imap_proto::Capability<'_>]) -> Self {
        announced
            .iter()
            .map(|capability| match capability {
                imap_proto::Capability::Imap4rev1 => "IMAP4REV1".to_owned(),
                imap_proto::Capability::Auth(mechanism) => format!("AUTH={mechanism}"),
                imap_proto::Capability::Atom(name) => name.to_string(),
            })
            .collect()
    }
}

impl<S: AsRef<str>> FromIterator<S> for Capabilities {
    fn from_iter<I: IntoIterator<Item = S>>(names: I) -> Self {
        Self { names: names.into_iter().map(|name| name.as_ref().to_ascii_uppercase()).collect() }
    }
}

/// The names, sorted, with a space between them.
impl fmt::Display for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, name) in self.names.iter().enumerate() {
            if i > 0 {
                f.write_str(" ")?;
            }
            f.write_str(name)?;
        }
        Ok(())
    }
}

//! An open folder.

use std::fmt;

use async_imap::imap_proto::ResponseCode;

use crate::message::{Uid, UidValidity};

use super::driver::Driver;
use super::error::Error;
use super::folder::{has_folder, wire_name};
use super::response::code;
use super::session::Session;

/// A folder that is open in a session. The UIDs in its answers and arguments belong to its
/// [`uidvalidity`](Self::uidvalidity).
pub struct Selected<'a> {
    pub(super) driver: &'a mut Driver,
    pub(super) folder: String,
    uidvalidity: UidValidity,
    /// The highest UID that a message can have had when the folder was opened, if the server says so.
    pub(super) last: Option<Uid>,
    /// Whether `\Deleted` can be set.
    pub(super) deletable: bool,
}

impl Session {
    /// Opens a folder, named in UTF-8. The one that was open before is closed, without expunging anything.
    pub async fn select(&mut self, folder: &str) -> Result<Selected<'_>, Error> {
        // What is still to be read is about the folder that was open.
        self.driver.catch_up("SELECT")?;
        self.driver.forget_folder();
        let mut facts = Facts::default();
        let opened =
            self.driver.run("SELECT", &wire_name(folder), |response| facts.note(code(response))).await;
        match opened {
            Ok(()) => {}
            Err(refusal @ Error::Refused { .. }) => {
                let missing = !has_folder(&mut self.driver, folder).await?;
                return Err(if missing { Error::NoFolder { folder: folder.to_owned() } } else { refusal });
            }
            Err(error) => return Err(error),
        }
        let incomplete = |missing| Error::Incomplete { folder: folder.to_owned(), missing };
        let uidvalidity = facts.uidvalidity.ok_or_else(|| incomplete("UIDVALIDITY"))?;
        self.driver.exists().ok_or_else(|| incomplete("number of messages (EXISTS)"))?;
        let uidvalidity = UidValidity(uidvalidity);
        self.driver.opened(uidvalidity);
        Ok(Selected {
            folder: folder.to_owned(),
            uidvalidity,
            last: facts.uidnext.map(|next| Uid(next.saturating_sub(1))),
            deletable: !facts.read_only && !facts.keeps_deleted_off,
            driver: &mut self.driver,
        })
    }
}

impl Selected<'_> {
    /// What the UIDs belong to.
    pub fn uidvalidity(&self) -> UidValidity {
        self.uidvalidity
    }

    /// The highest UID that a message can have had when the folder was opened, if the server says so.
    pub fn last(&self) -> Option<Uid> {
        self.last
    }

    /// How many messages the folder holds, as far as the server has told: up to date after every command.
    pub fn exists(&self) -> u32 {
        self.driver.exists().unwrap_or(0)
    }
}

impl fmt::Debug for Selected<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Selected").field("uidvalidity", &self.uidvalidity).finish_non_exhaustive()
    }
}

/// What a server says while it opens a folder.
#[derive(Default)]
struct Facts {
    uidvalidity: Option<u32>,
    uidnext: Option<u32>,
    read_only: bool,
    keeps_deleted_off: bool,
}

impl Facts {
    fn note(&mut self, code: Option<&ResponseCode<'_>>) {
        match code {
            Some(ResponseCode::UidValidity(uidvalidity @ 1..)) => self.uidvalidity = Some(*uidvalidity),
            Some(ResponseCode::UidNext(uidnext @ 1..)) => self.uidnext = Some(*uidnext),
            Some(ResponseCode::ReadOnly) => self.read_only = true,
            Some(ResponseCode::PermanentFlags(flags)) => {
                self.keeps_deleted_off = !flags.iter().any(|flag| flag.eq_ignore_ascii_case("\\Deleted"));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::mailbox::script;

    use super::*;

    async fn select(folder: &str, transcript: &str) -> Result<(UidValidity, u32), Error> {
        let (mut session, server) = script::session(transcript).await;
        let opened = session.select(folder).await.map(|open| (open.uidvalidity(), open.exists()));
        server.finished().await;
        opened
    }

    #[tokio::test]
    async fn opening_needs_uidvalidity_and_exists_but_no_uidnext() {
        let opened = select(
            "Kundenpost (für alle)",
            r#"
            C: P2 SELECT "Kundenpost (f&APw-r alle)"
            S: * 17 EXISTS
            S: * OK [UIDVALIDITY 3857529045] UIDs valid
            S: P2 OK [READ-WRITE] done
            "#,
        )
        .await;
        assert_eq!(opened.unwrap(), (UidValidity(3_857_529_045), 17));

        for (fact, missing) in [
            ("S: * 17 EXISTS", "UIDVALIDITY"),
            ("S: * 17 EXISTS\nS: * OK [UIDVALIDITY 0] never", "UIDVALIDITY"),
            ("S: * OK [UIDVALIDITY 14] valid", "number of messages (EXISTS)"),
        ] {
            let error = select(
                "INBOX",
                &format!(
                    r#"
                    C: P2 SELECT "INBOX"
                    {fact}
                    S: P2 OK done
                    "#
                ),
            )
            .await
            .unwrap_err();
            assert_eq!(error.to_string(), format!("the server gives no {missing} for folder \"INBOX\""));
            assert!(!error.is_transient());
        }
    }

    #[tokio::test]
    async fn a_refusal_is_told_from_a_folder_that_is_missing() {
        let refused = r#"
            C: P2 SELECT "Support"
            S: P2 NO Server Unavailable. 15
            C: P3 LIST "" "Support"
        "#;

        let missing = select("Support", &format!("{refused}\nS: P3 OK done")).await.unwrap_err();
        assert!(matches!(missing, Error::NoFolder { .. }), "{missing}");

        let there = format!("{refused}\nS: * LIST () \"/\" Support\nS: P3 OK done");
        let unavailable = select("Support", &there).await.unwrap_err();
        assert_eq!(unavailable.to_string(), "SELECT was answered NO: Server Unavailable. 15");
    }

    #[tokio::test]
    async fn what_one_folder_holds_is_not_taken_for_the_next() {
        let (mut session, _server) = script::inbox(
            3,
            r#"
            C: P3 SELECT "Other"
            S: * OK [UIDVALIDITY 15] valid
            S: P3 OK done
            "#,
        )
        .await;
        session.select("INBOX").await.unwrap();

        let error = session.select("Other").await.unwrap_err();

        assert!(matches!(error, Error::Incomplete { .. }), "{error}");
    }
}

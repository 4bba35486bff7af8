//! Folders: their names on the wire, finding and creating them.

use async_imap::imap_proto::{MailboxDatum, NameAttribute, Response};

use super::driver::Driver;
use super::error::Error;
use super::session::Session;
use super::string::{quoted, unescaped};
use super::utf7;

impl Session {
    /// Creates the folder unless it exists. A folder that is already there, or that another worker creates at
    /// this moment, is a success.
    pub async fn ensure_folder(&mut self, folder: &str) -> Result<(), Error> {
        ensure_folder(&mut self.driver, folder).await.map(drop)
    }

    /// The folders that can be opened, in UTF-8, as the server orders them.
    pub async fn folders(&mut self) -> Result<Vec<String>, Error> {
        let mut folders = Vec::new();
        self.driver.run("LIST", r#""" "*""#, |response| folders.extend(listed(response))).await?;
        Ok(folders)
    }
}

/// Creates the folder unless it exists, and tells whether it was missing; see [`Session::ensure_folder`].
pub(super) async fn ensure_folder(driver: &mut Driver, folder: &str) -> Result<bool, Error> {
    // Asked for first, because creating a folder that exists ends the connection on some servers.
    if has_folder(driver, folder).await? {
        return Ok(false);
    }
    match driver.run("CREATE", &wire_name(folder), |_| {}).await {
        Err(refusal @ Error::Refused { .. }) => {
            if has_folder(driver, folder).await? {
                Ok(true)
            } else {
                Err(refusal)
            }
        }
        created => created.map(|()| true),
    }
}

/// Whether the folder exists and can be opened.
pub(super) async fn has_folder(driver: &mut Driver, folder: &str) -> Result<bool, Error> {
    // In a pattern, these two stand for any text. Without them the server's own idea of "the same name"
    // counts: Exchange ignores case.
    let is_pattern = folder.contains(['*', '%']);
    let mut found = false;
    driver
        .run("LIST", &format!(r#""" {}"#, wire_name(folder)), |response| {
            found |= listed(response).is_some_and(|name| !is_pattern || name == folder);
        })
        .await?;
    Ok(found)
}

/// A folder's name as it stands in a command.
pub(super) fn wire_name(folder: &str) -> String {
    quoted(&utf7::encode(folder))
}

/// The folder that a LIST response names, if it can be opened.
fn listed(response: &Response<'_>) -> Option<String> {
    let Response::MailboxData(MailboxDatum::List(entry)) = response else { return None };
    let closed = |attribute: &NameAttribute<'_>| match attribute {
        NameAttribute::NoSelect => true,
        NameAttribute::Extension(name) => name.eq_ignore_ascii_case("\\NonExistent"),
        _ => false,
    };
    if entry.name_attributes.iter().any(closed) {
        return None;
    }
    Some(utf7::decode(&unescaped(&entry.name)))
}

#[cfg(test)]
mod tests {
    use crate::mailbox::error::Answer;
    use crate::mailbox::script;

    use super::*;

    #[tokio::test]
    async fn a_missing_folder_is_created() {
        let (mut session, server) = script::session(
            r#"
            C: P2 LIST "" "Erledigt/&ANw-bersetzt"
            S: P2 OK done
            C: P3 CREATE "Erledigt/&ANw-bersetzt"
            S: P3 OK done
            "#,
        )
        .await;

        session.ensure_folder("Erledigt/Übersetzt").await.unwrap();

        server.finished().await;
    }

    #[tokio::test]
    async fn a_folder_that_is_there_is_not_created() {
        for (name, answer) in [
            ("Done", r#"S: * LIST (\HasNoChildren) "/" Done"#),
            // Exchange ignores case.
            ("done", r#"S: * LIST (\HasNoChildren) "/" "Done""#),
        ] {
            let (mut session, server) = script::session(&format!(
                r#"
                C: P2 LIST "" "{name}"
                {answer}
                S: P2 OK done
                "#
            ))
            .await;

            session.ensure_folder(name).await.unwrap();

            server.finished().await;
        }
    }

    #[tokio::test]
    async fn a_name_that_cannot_be_opened_or_only_matches_the_pattern_is_created() {
        for (name, answer) in [
            ("Done", r#"S: * LIST (\Noselect) "/" Done"#),
            ("Done", r#"S: * LIST (\NonExistent \Subscribed) "/" Done"#),
            ("100%", r#"S: * LIST () "/" "100 percent""#),
        ] {
            let (mut session, server) = script::session(&format!(
                r#"
                C: P2 LIST "" "{name}"
                {answer}
                S: P2 OK done
                C: P3 CREATE "{name}"
                S: P3 OK done
                "#
            ))
            .await;

            session.ensure_folder(name).await.unwrap();

            server.finished().await;
        }
    }

    #[tokio::test]
    async fn a_folder_that_somebody_else_creates_at_this_moment_is_a_success() {
        let (mut session, server) = script::session(
            r#"
            C: P2 LIST "" "Done"
            S: P2 OK done
            C: P3 CREATE "Done"
            S: P3 NO [ALREADYEXISTS] Mailbox already exists
            C: P4 LIST "" "Done"
            S: * LIST () "/" Done
            S: P4 OK done
            "#,
        )
        .await;

        session.ensure_folder("Done").await.unwrap();

        server.finished().await;
    }

    #[tokio::test]
    async fn a_folder_that_may_not_be_created_is_an_error() {
        let (mut session, server) = script::session(
            r#"
            C: P2 LIST "" "Files"
            S: P2 OK done
            C: P3 CREATE "Files"
            S: P3 NO reserved
            C: P4 LIST "" "Files"
            S: P4 OK done
            "#,
        )
        .await;

        let error = session.ensure_folder("Files").await.unwrap_err();

        assert!(matches!(error, Error::Refused { during: "CREATE", answer: Answer::No, .. }), "{error}");
        server.finished().await;
    }

    #[tokio::test]
    async fn folders_are_listed_by_their_real_names() {
        let (mut session, server) = script::session(
            r#"
            C: P2 LIST "" "*"
            S: * LIST (\HasChildren) "/" inbox
            S: * LIST (\HasNoChildren \Trash) "/" "Gel&APY-schte Elemente"
            S: * LIST () NIL "a \"b\" \\ c"
            S: * LIST () "/" {8}
            S: d "e" \f
            S: * LIST () "/" Q&-A
            S: * LIST (\Noselect) "/" Shared
            S: P2 OK done
            "#,
        )
        .await;

        let folders = session.folders().await.unwrap();

        assert_eq!(folders, ["INBOX", "Gelöschte Elemente", r#"a "b" \ c"#, r#"d "e" \f"#, "Q&A"]);
        server.finished().await;
    }
}

//! Every command that there is, by way of the call that makes it.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::mailbox::error::Error;
use crate::mailbox::plan::{Plan, Removal};
use crate::mailbox::script;
use crate::mailbox::session::Session;
use crate::message::{Extent, Listed, Uid, UidSet};

/// A call and the transcript of its commands (tags from `P2`) up to the answer of the last.
pub(super) struct Call {
    pub(super) transcript: &'static str,
    pub(super) tag: &'static str,
    /// What is said after a refusal.
    pub(super) refused: &'static str,
    run: for<'a> fn(&'a mut Session) -> BoxFuture<'a, Result<(), Error>>,
}

const SELECT: &str = r#"
    C: P2 SELECT "INBOX"
    S: * 3 EXISTS
    S: * OK [UIDVALIDITY 14] UIDs valid
    S: P2 OK done
"#;

/// Asked when a MOVE or COPY is refused: the target may have been deleted.
const TARGET_IS_THERE: &str = r#"
    C: P4 LIST "" "Done"
    S: * LIST () "/" Done
    S: P4 OK done
"#;

pub(super) const CALLS: &[Call] = &[
    Call {
        transcript: r#"C: P2 SELECT "INBOX""#,
        tag: "P2",
        refused: r#"
            C: P3 LIST "" "INBOX"
            S: * LIST () "/" INBOX
            S: P3 OK done
        "#,
        run: |session| select(session).boxed(),
    },
    Call {
        transcript: r#"C: P2 LIST "" "*""#,
        tag: "P2",
        refused: "",
        run: |session| folders(session).boxed(),
    },
    Call {
        transcript: r#"C: P2 LIST "" "Done""#,
        tag: "P2",
        refused: "",
        run: |session| session.ensure_folder("Done").boxed(),
    },
    Call {
        transcript: r#"C: P2 LIST "" "Done"
                       S: P2 OK done
                       C: P3 CREATE "Done""#,
        tag: "P3",
        refused: r#"
            C: P4 LIST "" "Done"
            S: P4 OK done
        "#,
        run: |session| session.ensure_folder("Done").boxed(),
    },
    Call {
        transcript: "C: P3 UID FETCH 1:* (UID RFC822.SIZE INTERNALDATE)
                     S: * 1 FETCH (UID 5 RFC822.SIZE 100)",
        tag: "P3",
        refused: "",
        run: |session| list(session).boxed(),
    },
    Call {
        transcript: "C: P3 UID FETCH 5 (UID)
                     S: * 1 FETCH (UID 5)",
        tag: "P3",
        refused: "",
        run: |session| present(session).boxed(),
    },
    Call {
        transcript: "C: P3 UID FETCH 5 (UID BODY.PEEK[])
                     S: * 1 FETCH (UID 5 BODY[] {2}
                     S: hi)",
        tag: "P3",
        refused: "",
        run: |session| fetch(session).boxed(),
    },
    Call {
        transcript: r#"C: P3 UID MOVE 5 "Done"
                       S: * OK [COPYUID 20 5 1] moved"#,
        tag: "P3",
        refused: TARGET_IS_THERE,
        run: |session| settle(session, Plan::Move { to: "Done".to_owned() }).boxed(),
    },
    Call {
        transcript: r#"C: P3 UID MOVE 5 "Done"
                       S: P3 OK done
                       C: P4 LIST "" "Done"
                       S: * LIST () "/" Done
                       S: P4 OK done
                       C: P5 UID FETCH 5 (UID)"#,
        tag: "P5",
        refused: "",
        run: |session| settle(session, Plan::Move { to: "Done".to_owned() }).boxed(),
    },
    Call {
        transcript: r#"C: P3 UID COPY 5 "Done""#,
        tag: "P3",
        refused: TARGET_IS_THERE,
        run: |session| settle(session, copy()).boxed(),
    },
    Call {
        transcript: r#"C: P3 UID COPY 5 "Done"
                       S: P3 OK [COPYUID 20 5 1] done
                       C: P4 UID STORE 5 +FLAGS.SILENT (\Deleted)"#,
        tag: "P4",
        refused: "",
        run: |session| settle(session, copy()).boxed(),
    },
    Call {
        transcript: r#"C: P3 UID COPY 5 "Done"
                       S: P3 OK [COPYUID 20 5 1] done
                       C: P4 UID STORE 5 +FLAGS.SILENT (\Deleted)
                       S: P4 OK done
                       C: P5 UID EXPUNGE 5"#,
        tag: "P5",
        refused: "",
        run: |session| settle(session, copy()).boxed(),
    },
    Call {
        transcript: r"C: P3 UID STORE 5 +FLAGS.SILENT (\Deleted)
                      S: P3 OK done
                      C: P4 UID FETCH 5 (UID FLAGS)",
        tag: "P4",
        refused: "",
        run: |session| settle(session, Plan::Delete { removal: Removal::Flag }).boxed(),
    },
];

async fn folders(session: &mut Session) -> Result<(), Error> {
    session.folders().await.map(drop)
}

async fn select(session: &mut Session) -> Result<(), Error> {
    session.select("INBOX").await.map(drop)
}

async fn list(session: &mut Session) -> Result<(), Error> {
    session.select("INBOX").await?.list(Uid(0)).await.map(drop)
}

async fn present(session: &mut Session) -> Result<(), Error> {
    session.select("INBOX").await?.present(&five()).await.map(drop)
}

async fn fetch(session: &mut Session) -> Result<(), Error> {
    session.select("INBOX").await?.fetch(&[listed(5)], Extent::Whole).await.map(drop)
}

async fn settle(session: &mut Session, plan: Plan) -> Result<(), Error> {
    session.select("INBOX").await?.settle(&plan, &five()).await.map(drop)
}

fn copy() -> Plan {
    Plan::Copy { to: "Done".to_owned(), removal: Removal::Expunge }
}

pub(super) fn five() -> UidSet {
    [Uid(5)].into_iter().collect()
}

pub(super) fn listed(uid: u32) -> Listed {
    Listed { uid: Uid(uid), size: 2, internal_date: None }
}

impl Call {
    /// Runs the call against a server that ends with `ending`, in which `TAG` stands for the awaited tag.
    pub(super) async fn fails_with(&self, ending: &str) -> Error {
        let select = if self.transcript.starts_with("C: P2") { "" } else { SELECT };
        let ending = ending.replace("TAG", self.tag);
        let (mut session, _server) = script::session(&format!("{select}{}\n{ending}", self.transcript)).await;

        (self.run)(&mut session).await.expect_err(&format!("{} then {ending:?}", self.transcript))
    }
}

//! By which way messages come in, and by what right they are stored.

use sqlx::PgConnection;

use crate::message::UidValidity;
use crate::store::{Error, Folder, Store};

/// A way for messages to come in.
#[derive(Debug, Clone, Copy)]
pub enum Inlet<'a> {
    /// Out of a folder, under the lease of its mailbox. The ledger hears of each.
    Folder(&'a Folder),
    /// Out of files, as mail of the mailbox with this id. There is no ledger row, so nothing is ever settled for it in
    /// a mailbox. Needs no lease: between it and a worker unique keys decide, as between two workers.
    Files(i32),
}

impl<'a> From<&'a Folder> for Inlet<'a> {
    fn from(folder: &'a Folder) -> Self {
        Self::Folder(folder)
    }
}

impl Inlet<'_> {
    /// The mailbox, as tables know it.
    pub fn mailbox_id(self) -> i32 {
        match self {
            Self::Folder(folder) => folder.lease.mailbox_id,
            Self::Files(mailbox_id) => mailbox_id,
        }
    }

    /// UIDVALIDITY of the folder, if it is one.
    pub fn uidvalidity(self) -> Option<UidValidity> {
        match self {
            Self::Folder(folder) => Some(folder.uidvalidity),
            Self::Files(_) => None,
        }
    }

    /// Makes sure within the caller's transaction that its messages may be stored, and that the commit waits for the
    /// disk: originals are removed after that, by us or by whoever had them imported.
    pub(super) async fn fence(self, connection: &mut PgConnection) -> Result<(), Error> {
        match self {
            Self::Folder(folder) => folder.lease.fence(connection).await,
            Self::Files(_) => {
                sqlx::query(
                    "SELECT set_config('synchronous_commit', 'on', true)
                     WHERE current_setting('synchronous_commit') = 'off'",
                )
                .execute(connection)
                .await?;
                Ok(())
            }
        }
    }
}

impl Store {
    /// The way for files into a mailbox; `None` if it has never been registered.
    pub async fn files_of(&self, mailbox: &str) -> Result<Option<Inlet<'static>>, Error> {
        let id: Option<i32> = sqlx::query_scalar("SELECT id FROM mailboxes WHERE name = $1")
            .bind(mailbox)
            .fetch_optional(&self.pool)
            .await?;
        Ok(id.map(Inlet::Files))
    }
}

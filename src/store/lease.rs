//! Who empties a mailbox: one worker at a time, named by a lease with an epoch.
//!
//! The epoch grows with each change of holder, and every write of intake names it, so a worker that was
//! paused for longer than its lease finds its writes refused, not mixed with its successor's.

use std::sync::Arc;
use std::time::Duration;

use sqlx::PgConnection;
use tokio::time::Instant;
use tracing::warn;

use crate::config;
use crate::store::in_hand;
use crate::store::in_hand::Dead;
use crate::store::{Error, Store};

/// How long a lease lives unless [renewed](crate::store::Keeper).
pub const LEASE: Duration = Duration::from_mins(1);

/// The right to empty a mailbox, until another worker takes it over.
#[derive(Debug, Clone)]
pub struct Lease {
    pub(super) mailbox_id: i32,
    pub(super) epoch: i64,
    /// The worker.
    pub(super) holder: Arc<str>,
    /// When it was asked for: it lasts from then on at least.
    pub(super) taken_at: Instant,
}

impl Store {
    /// Makes sure that every configured mailbox has its row. Rows of mailboxes no longer configured stay. What a person
    /// had to act on is tried again at once: whoever starts a worker may have acted.
    ///
    /// # Errors
    /// [`Error::OtherMailbox`] if a name stands for another server, account or folder than before: UIDs in the
    /// ledger would be taken for those of other messages, and those moved or expunged unread.
    pub async fn register_mailboxes(&self, mailboxes: &[config::Mailbox]) -> Result<(), Error> {
        for mailbox in mailboxes {
            sqlx::query(
                "INSERT INTO mailboxes (name, host, account, folder) VALUES ($1, $2, $3, $4)
                 ON CONFLICT (name) DO UPDATE SET paused_until = NULL WHERE mailboxes.paused_until IS NOT NULL",
            )
            .bind(&mailbox.name)
            .bind(&mailbox.host)
            .bind(&mailbox.username)
            .bind(&mailbox.folder)
            .execute(&self.pool)
            .await?;
            let (host, account, folder): (String, String, String) =
                sqlx::query_as("SELECT host, account, folder FROM mailboxes WHERE name = $1")
                    .bind(&mailbox.name)
                    .fetch_one(&self.pool)
                    .await?;
            if (&host, &account, &folder) != (&mailbox.host, &mailbox.username, &mailbox.folder) {
                // The account stays unsaid: errors end up in logs.
                let other = if account == mailbox.username { "" } else { " of another account" };
                return Err(Error::OtherMailbox {
                    name: mailbox.name.clone(),
                    known: format!("{folder:?} at {host}"),
                    configured: format!("{:?} at {}{other}", mailbox.folder, mailbox.host),
                });
            }
        }
        Ok(())
    }

    /// Takes the lease of a mailbox for `holder`, or takes it again. `None` while another worker holds it, and while the
    /// mailbox is to be [left alone](Self::pause_left).
    ///
    /// What the holder before had in hand when it died is then due in smaller batches.
    pub async fn acquire_lease(&self, mailbox: &str, holder: &Arc<str>) -> Result<Option<Lease>, Error> {
        let taken_at = Instant::now();
        let mut transaction = self.pool.begin().await?;
        // FOR UPDATE, which waits for the fences of the holder before; an UPDATE alone does not.
        let taken: Option<(i32, i64)> = sqlx::query_as(
            "UPDATE mailboxes
             SET lease_epoch = lease_epoch + 1, lease_holder = $2, lease_until = now() + make_interval(secs => $3)
             WHERE id = (SELECT id FROM mailboxes
                         WHERE name = $1 AND (lease_until IS NULL OR lease_until < now() OR lease_holder = $2)
                           AND coalesce(greatest(backoff_until, paused_until), now()) <= now()
                         FOR UPDATE)
             RETURNING id, lease_epoch",
        )
        .bind(mailbox)
        .bind(&**holder)
        .bind(LEASE.as_secs_f64())
        .fetch_optional(&mut *transaction)
        .await?;
        let Some((mailbox_id, epoch)) = taken else { return Ok(None) };
        let lease = Lease { mailbox_id, epoch, holder: Arc::clone(holder), taken_at };
        let messages = in_hand::inherit(&mut transaction, &lease, Dead::Others).await?;
        transaction.commit().await?;
        if messages > 0 {
            warn!(
                mailbox,
                messages, "a worker died with messages in hand; they are taken in smaller batches"
            );
        }
        Ok(Some(lease))
    }

    /// Gives a lease back, and what was in hand under it, so that another worker need not wait for its end. No error
    /// if it is lost already.
    pub async fn release_lease(&self, lease: &Lease) -> Result<(), Error> {
        let mut transaction = self.pool.begin().await?;
        lease.end(&mut transaction).await?;
        sqlx::query("DELETE FROM in_hand WHERE mailbox_id = $1 AND holder = $2")
            .bind(lease.mailbox_id)
            .bind(&*lease.holder)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Gives a lease back where what was in hand under it has died, though not the process: to whoever takes it next
    /// it is as if the process had.
    pub async fn release_dead(&self, lease: &Lease) -> Result<(), Error> {
        let mut transaction = self.pool.begin().await?;
        lease.end(&mut transaction).await?;
        in_hand::inherit(&mut transaction, lease, Dead::All).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Gives back all that `holder` has, for a process that ends in the middle of its work and knows it: nobody is
    /// to think that it died over a message.
    pub async fn release_all(&self, holder: &str) -> Result<(), Error> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query(
            "UPDATE mailboxes SET lease_until = NULL, lease_holder = NULL, lease_epoch = lease_epoch + 1
             WHERE id IN (SELECT id FROM mailboxes WHERE lease_holder = $1 FOR UPDATE)",
        )
        .bind(holder)
        .execute(&mut *transaction)
        .await?;
        sqlx::query("DELETE FROM in_hand WHERE holder = $1").bind(holder).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Makes sure that the lease still holds, before something is done in the mailbox.
    ///
    /// # Errors
    /// [`Error::LeaseLost`] if another worker has taken over.
    pub async fn confirm_lease(&self, lease: &Lease) -> Result<(), Error> {
        let ours: Option<i32> =
            sqlx::query_scalar("SELECT 1 FROM mailboxes WHERE id = $1 AND lease_epoch = $2")
                .bind(lease.mailbox_id)
                .bind(lease.epoch)
                .fetch_optional(&self.pool)
                .await?;
        ours.map(|_| ()).ok_or(Error::LeaseLost)
    }
}

impl Lease {
    /// The mailbox, as tables know it.
    pub fn mailbox_id(&self) -> i32 {
        self.mailbox_id
    }

    /// How long ago it was taken.
    pub fn age(&self) -> Duration {
        self.taken_at.elapsed()
    }

    /// Fences the caller's transaction: until it ends, nobody can take the lease over. Several transactions of the
    /// holder may run side by side, and renewals with them: a key share lock keeps off nobody who leaves the key alone.
    ///
    /// It also makes sure that a commit waits for the disk, which a database may have been told not to do: what
    /// has been committed is removed from the mailbox.
    pub(super) async fn fence(&self, connection: &mut PgConnection) -> Result<(), Error> {
        let ours = sqlx::query(
            "SELECT CASE current_setting('synchronous_commit')
                    WHEN 'off' THEN set_config('synchronous_commit', 'on', true) END
             FROM mailboxes WHERE id = $1 AND lease_epoch = $2 FOR KEY SHARE",
        )
        .bind(self.mailbox_id)
        .bind(self.epoch)
        .fetch_optional(connection)
        .await?;
        ours.map(|_| ()).ok_or(Error::LeaseLost)
    }

    /// Ends it in the caller's transaction, after every write under it. With a new epoch, so that none comes later.
    async fn end(&self, connection: &mut PgConnection) -> Result<(), Error> {
        sqlx::query(
            "UPDATE mailboxes SET lease_until = NULL, lease_holder = NULL, lease_epoch = lease_epoch + 1
             WHERE id = (SELECT id FROM mailboxes WHERE id = $1 AND lease_epoch = $2 FOR UPDATE)",
        )
        .bind(self.mailbox_id)
        .bind(self.epoch)
        .execute(connection)
        .await?;
        Ok(())
    }
}

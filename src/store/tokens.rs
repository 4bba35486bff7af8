//! Tokens of mailboxes that a person has signed in to, sealed by the caller: the store never sees them open.
//!
//! Invariant: a token is replaced in the transaction that has its row locked, so of several workers that want to renew
//! one, one asks for it and the others find it renewed.

use std::time::Duration;

use sqlx::{PgConnection, Row};

use crate::store::{Error, Store};

/// How long a renewal by another worker is waited for. Longer than a request may take.
const LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout = '40s'";

/// SQL: the tokens `t` of mailbox `m`.
macro_rules! token {
    () => {
        "SELECT t.sealed, t.generation,
                greatest(extract(epoch FROM t.expires_at - clock_timestamp()), 0)::float8 AS valid_for,
                greatest(extract(epoch FROM t.expires_at - t.renewed_at), 0)::float8 AS lifetime
         FROM oauth_tokens t JOIN mailboxes m ON m.id = t.mailbox_id "
    };
}

/// Tokens as they are stored.
#[derive(Debug, Clone)]
pub struct StoredToken {
    /// Both tokens, sealed.
    pub sealed: Vec<u8>,
    /// Grows with each renewal: tells whether tokens are still those that somebody saw.
    pub generation: i64,
    /// How long the access token is still good for, by PostgreSQL's clock; zero if it has expired.
    pub valid_for: Duration,
    /// How long it was good for when it was new.
    pub lifetime: Duration,
}

/// Tokens to be stored.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// Both tokens, sealed.
    pub sealed: Vec<u8>,
    /// How long the access token is good for from now on; `None` if the tokens are the same as before, sealed anew.
    pub valid_for: Option<Duration>,
}

impl Store {
    /// The tokens of a mailbox; `None` if nobody has signed in to it.
    pub async fn token(&self, mailbox: &str) -> Result<Option<StoredToken>, Error> {
        let row = sqlx::query(concat!(token!(), "WHERE m.name = $1"))
            .bind(mailbox)
            .fetch_optional(&self.pool)
            .await?;
        row.map(|row| read(&row)).transpose()
    }

    /// Stores the tokens of a mailbox that a person has just signed in to, in place of any others.
    ///
    /// The mailbox must be [registered](Self::register_mailboxes).
    pub async fn sign_in(&self, mailbox: &str, token: &NewToken) -> Result<(), Error> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query(LOCK_TIMEOUT).execute(&mut *transaction).await?;
        sqlx::query(
            "INSERT INTO oauth_tokens (mailbox_id, sealed, generation, signed_in_at, renewed_at, expires_at)
             SELECT id, $2, 1, now(), now(), now() + make_interval(secs => $3) FROM mailboxes WHERE name = $1
             ON CONFLICT (mailbox_id) DO UPDATE
             SET sealed = excluded.sealed, generation = oauth_tokens.generation + 1, signed_in_at = now(),
                 renewed_at = now(), expires_at = excluded.expires_at",
        )
        .bind(mailbox)
        .bind(&token.sealed)
        .bind(token.valid_for.unwrap_or_default().as_secs_f64())
        .execute(&mut *transaction)
        .await?;
        // Whoever waited for it need not wait any longer.
        sqlx::query("UPDATE mailboxes SET paused_until = NULL WHERE name = $1")
            .bind(mailbox)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Locks the tokens of a mailbox, hands them to `renew`, and stores what comes of it, if anything does. `None` if
    /// nobody has signed in. Gives what `renew` made, together with the tokens as they are stored now.
    ///
    /// Here a transaction is open while another system is asked: the lock has to end with the worker, at once,
    /// however that dies. `renew` must have a deadline, well below a minute.
    ///
    /// What `renew` obtained may be used only after this has returned: it is committed then. After an error the tokens
    /// from before are stored, or those obtained (if the commit's answer got lost).
    pub async fn renew_token<E, R>(
        &self,
        mailbox: &str,
        renew: impl FnOnce(StoredToken) -> R,
    ) -> Result<Option<StoredToken>, E>
    where
        E: From<Error>,
        R: Future<Output = Result<Option<NewToken>, E>>,
    {
        let mut transaction = self.pool.begin().await.map_err(Error::from)?;
        sqlx::query(LOCK_TIMEOUT).execute(&mut *transaction).await.map_err(Error::from)?;
        let Some(stored) = lock(&mut transaction, mailbox).await? else { return Ok(None) };
        let Some(new) = renew(stored.clone()).await? else { return Ok(Some(stored)) };
        let stored = replace(&mut transaction, mailbox, &new).await?;
        transaction.commit().await.map_err(Error::from)?;
        Ok(Some(stored))
    }
}

async fn lock(connection: &mut PgConnection, mailbox: &str) -> Result<Option<StoredToken>, Error> {
    let row = sqlx::query(concat!(token!(), "WHERE m.name = $1 FOR UPDATE OF t"))
        .bind(mailbox)
        .fetch_optional(connection)
        .await?;
    row.map(|row| read(&row)).transpose()
}

async fn replace(
    connection: &mut PgConnection,
    mailbox: &str,
    token: &NewToken,
) -> Result<StoredToken, Error> {
    // Of record is the moment of the answer, not the beginning of the transaction.
    sqlx::query(
        "UPDATE oauth_tokens
         SET sealed = $2, generation = generation + ($3 IS NOT NULL)::integer,
             renewed_at = CASE WHEN $3 IS NULL THEN renewed_at ELSE clock_timestamp() END,
             expires_at = coalesce(clock_timestamp() + make_interval(secs => $3), expires_at)
         WHERE mailbox_id = (SELECT id FROM mailboxes WHERE name = $1)",
    )
    .bind(mailbox)
    .bind(&token.sealed)
    .bind(token.valid_for.map(|valid_for| valid_for.as_secs_f64()))
    .execute(&mut *connection)
    .await?;
    lock(connection, mailbox).await?.ok_or(Error::Conflict)
}

fn read(row: &sqlx::postgres::PgRow) -> Result<StoredToken, Error> {
    let seconds = |column: &str| -> Result<Duration, Error> {
        Ok(Duration::try_from_secs_f64(row.try_get(column)?).unwrap_or_default())
    };
    Ok(StoredToken {
        sealed: row.try_get("sealed")?,
        generation: row.try_get("generation")?,
        valid_for: seconds("valid_for")?,
        lifetime: seconds("lifetime")?,
    })
}

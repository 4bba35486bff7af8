//! PostgreSQL: the store, and the only coordinator between workers. The only SQL of the program.
//!
//! One public function is one business fact and at most one transaction; none of them leaves a transaction
//! open, and dropping one half way rolls it back. Time of record is PostgreSQL's `now()`.

mod attachments;
mod column;
mod deliveries;
mod explain;
mod gauges;
mod health;
mod held;
mod in_hand;
mod inlet;
mod keeper;
mod known;
mod lease;
mod ledger;
mod listener;
mod merge;
mod outbox;
mod rates;
mod record;
mod reparse;
mod source;
mod thread;
mod tickets;
mod tokens;
mod unfiled;

use std::time::Duration;

use secrecy::ExposeSecret;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Connection};
use tokio::time::{Instant, timeout};
use tracing::warn;

use crate::config;
use crate::retry::{Policy, Retry};

pub use attachments::{AttachmentLine, Holder, Of};
pub use deliveries::{BREAKS_AT, Claim, Fate, Finish, Finished, Health};
pub use explain::{Explained, Wanted};
pub use gauges::{Gauges, MailboxGauges, WebhookGauges};
pub use health::Failure;
pub use held::{HeldLine, Which};
pub use in_hand::Hand;
pub use inlet::Inlet;
pub use keeper::Keeper;
pub use known::Known;
pub use lease::{LEASE, Lease};
pub use ledger::{Due, Folder, Standing, Unsettled};
pub use listener::Listener;
pub use merge::{Chosen, Divide, Merge};
pub use outbox::{DeliveryLine, DeliveryStatus, NotRetried, Retried};
pub use record::{Entry, NewMessage};
pub use reparse::{Changed, Reread, Stored};
pub use source::Source;
pub use tickets::{MessageLine, Switched, TicketLine};
pub use tokens::{NewToken, StoredToken};
pub use unfiled::{Unfiled, UnfiledLine, UnfiledState};

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!();

/// PostgreSQL 14 is the first that compresses with lz4.
const OLDEST_SERVER: i32 = 140_000;

/// Pauses between the looks for a database that is still starting.
const START_UP: Policy = Policy { initial: Duration::from_millis(200), max: Duration::from_secs(5) };

/// How long a free connection, or a new one, is waited for.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

/// No statement of ours takes a fraction of this; one that does hangs.
const STATEMENT_TIMEOUT: &str = "60s";

/// A database that is there says so within this. One that a firewall has cut off without a word says nothing, and
/// TCP would wait for it for a quarter of an hour.
const SIGN_OF_LIFE: Duration = Duration::from_secs(3);

/// Past this no answer comes any more: PostgreSQL gives up a statement before, and a worker its lease.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(90);

/// A pool of connections to the store. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    pool: PgPool,
}

/// Why the store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The URL can't be read.
    #[error("the database URL can't be read")]
    Url(#[source] sqlx::Error),
    /// The server is too old.
    #[error("PostgreSQL {found} is too old: 14 or newer is needed")]
    ServerTooOld {
        /// Its version.
        found: String,
    },
    /// The database's encoding can't hold what mail holds.
    #[error("the database has encoding {found}: make one with encoding UTF8")]
    WrongEncoding {
        /// Its encoding.
        found: String,
    },
    /// The mailbox of this name is another one than before.
    #[error(
        "mailbox {name:?} was {known} so far and is {configured} now. If it is another mailbox, give it another \
         name. If it is the same under a new address, say so: UPDATE mailboxes SET host = …, account = …, \
         folder = … WHERE name = '{name}'"
    )]
    OtherMailbox {
        /// The name.
        name: String,
        /// Host and folder so far.
        known: String,
        /// Host and folder now.
        configured: String,
    },
    /// Migrations could not be applied.
    #[error("applying migrations")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// Another worker has taken over the mailbox: stop working on it.
    #[error("another worker has taken over this mailbox")]
    LeaseLost,
    /// Another writer stored one of these first: look again what is known and file anew.
    #[error("another writer was faster")]
    Conflict,
    /// PostgreSQL refused the data itself: less may do, the same will not.
    #[error("PostgreSQL refused the data (SQLSTATE {code})")]
    Refused {
        /// Why, in PostgreSQL's terms.
        code: String,
        /// Why, in words. They may quote the data: nothing for a log, and so no source of this error.
        words: String,
    },
    /// A statement was cancelled, by its time limit or by an administrator. Less data may do if there was much; if
    /// there was little, the database is in trouble and the data is not.
    #[error("PostgreSQL took too long")]
    TooSlow(#[source] sqlx::Error),
    /// A stored source can't be unpacked.
    #[error("a stored source is damaged: restore table sources from a backup")]
    Source(#[source] std::io::Error),
    /// Anything else: the connection, a limit, a server shutting down. Worth trying again.
    #[error("talking to PostgreSQL")]
    Database(#[source] sqlx::Error),
}

// By hand, to tell apart what callers act on.
impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        // SQLSTATE (PostgreSQL's appendix A): 23505 unique violation, 40P01 deadlock, 22 data exception, 23 other
        // constraints, 54 program limit, 57014 query cancelled.
        match sqlstate(&error).as_deref() {
            // Two writers that store the same mails in another order wait for each other; one of them was faster.
            Some("23505" | "40P01") => Self::Conflict,
            Some("57014") => Self::TooSlow(error),
            Some(code) if ["22", "23", "54"].iter().any(|class| code.starts_with(class)) => {
                Self::Refused { code: code.to_owned(), words: error.to_string() }
            }
            _ => Self::Database(error),
        }
    }
}

impl Store {
    /// Connects, and waits up to the configured time for a database that is still starting.
    ///
    /// # Errors
    /// When that time is over: the last reason. At once if the URL can't be read or the server is too old.
    pub async fn connect(database: &config::Database) -> Result<Self, Error> {
        let options: PgConnectOptions = database.url.expose_secret().parse().map_err(Error::Url)?;
        let options = options
            .application_name("postroom")
            .options([
                ("statement_timeout", STATEMENT_TIMEOUT),
                ("lock_timeout", "10s"),
                // A batch is a few megabytes, and unnesting it should not take a temporary file.
                ("work_mem", "32MB"),
                ("idle_in_transaction_session_timeout", "60s"),
            ])
            // Statements hold no values, but a line for each would drown the log.
            .log_statements(tracing::log::LevelFilter::Off)
            .log_slow_statements(tracing::log::LevelFilter::Warn, Duration::from_secs(5));
        let pool = PgPoolOptions::new()
            // One is the listener's own.
            .max_connections(database.max_connections.saturating_sub(1).max(1))
            .acquire_timeout(ACQUIRE_TIMEOUT)
            // In place of sqlx's own look, which has no deadline: a connection that is dead uses up the time for
            // finding one, or, given back in the middle of a statement, its place in the pool for good.
            .test_before_acquire(false)
            .before_acquire(|connection, _| Box::pin(sign_of_life(connection)))
            .after_release(|connection, _| Box::pin(sign_of_life(connection)))
            .connect_lazy_with(options);
        let deadline = Instant::now() + database.connect_timeout;
        let mut retry = Retry::new(START_UP);
        let (version, encoding): (i32, String) = loop {
            let asked = sqlx::query_as(
                "SELECT current_setting('server_version_num')::integer, current_setting('server_encoding')",
            );
            match asked.fetch_one(&pool).await {
                Ok(facts) => break facts,
                Err(error) => {
                    let pause = retry.next_pause();
                    if is_final(&error) || Instant::now() + pause >= deadline {
                        return Err(error.into());
                    }
                    warn!(%error, "the database is not there yet");
                    tokio::time::sleep(pause).await;
                }
            }
        };
        if version < OLDEST_SERVER {
            return Err(Error::ServerTooOld { found: (version / 10_000).to_string() });
        }
        if encoding != "UTF8" {
            return Err(Error::WrongEncoding { found: encoding });
        }
        Ok(Self { pool })
    }

    /// Applies the migrations that are missing. Safe with several workers at once: they take turns.
    pub async fn migrate(&self) -> Result<(), Error> {
        let mut connection = self.pool.acquire().await?.detach();
        // Building an index takes its time, and so does the worker whose turn it is.
        sqlx::query("SET statement_timeout = 0").execute(&mut connection).await?;
        sqlx::query("SET lock_timeout = 0").execute(&mut connection).await?;
        MIGRATIONS.run(&mut connection).await?;
        connection.close().await?;
        Ok(())
    }

    /// How many migrations are missing.
    pub async fn pending_migrations(&self) -> Result<usize, Error> {
        let applied: Vec<i64> = match sqlx::query_scalar("SELECT version FROM _sqlx_migrations WHERE success")
            .fetch_all(&self.pool)
            .await
        {
            Ok(applied) => applied,
            // 42P01 undefined_table: none has ever been applied.
            Err(error) if sqlstate(&error).as_deref() == Some("42P01") => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        Ok(MIGRATIONS.iter().filter(|migration| !applied.contains(&migration.version)).count())
    }

    /// Closes all connections, after what they are doing.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// Waits for what is still to come over a connection, and for a sign that it lives.
async fn sign_of_life(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    timeout(SIGN_OF_LIFE, connection.ping()).await.unwrap_or_else(|_| Err(silent()))?;
    Ok(true)
}

/// Waits for what the store is asked outside of a lease, whose end would be a deadline: a connection that dies without
/// a word in the middle of a statement gives no answer and no error.
///
/// # Errors
/// [`Error::Database`] when no answer has come within 90 seconds. The outcome is then unknown.
pub async fn answered<T>(asked: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    within(ANSWER_TIMEOUT, asked).await
}

async fn within<T>(limit: Duration, asked: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    // Boxed: what waits for it would carry a statement for each place where it may wait.
    timeout(limit, Box::pin(asked)).await.unwrap_or_else(|_| Err(silent().into()))
}

/// What the end of a deadline of ours is.
fn silent() -> sqlx::Error {
    sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())
}

/// Whether connecting again is useless: the server is there and says no.
fn is_final(error: &sqlx::Error) -> bool {
    // SQLSTATE class 28 invalid authorization, 3D invalid catalog name.
    sqlstate(error).is_some_and(|code| code.starts_with("28") || code.starts_with("3D"))
}

fn sqlstate(error: &sqlx::Error) -> Option<String> {
    Some(error.as_database_error()?.code()?.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_database_that_never_answers_is_given_up() {
        let given_up = within(Duration::from_millis(1), std::future::pending::<Result<(), Error>>()).await;

        assert!(matches!(given_up, Err(Error::Database(_))), "{given_up:?}");
        assert!(within(Duration::from_secs(60), async { Ok(()) }).await.is_ok());
    }
}

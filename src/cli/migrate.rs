//! `postroom migrate`

use anyhow::Context;

use crate::cli::Ending;
use crate::cli::output;
use crate::config::Config;
use crate::store::Store;

pub(super) async fn run(config: &Config) -> anyhow::Result<Ending> {
    let store = Store::connect(&config.database).await.context("opening the database")?;
    let pending = store.pending_migrations().await.context("looking for migrations")?;
    store.migrate().await.context("migrating the database")?;
    match pending {
        0 => output::line("The database is up to date.")?,
        1 => output::line("1 migration applied.")?,
        count => output::line(format!("{count} migrations applied."))?,
    }
    Ok(Ending::Done)
}

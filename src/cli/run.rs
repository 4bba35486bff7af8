//! `postroom run`

use crate::app;
use crate::app::Shutdown;
use crate::cli::Ending;
use crate::config::Config;

pub(super) async fn run(config: Config) -> anyhow::Result<Ending> {
    app::run(config, Shutdown::on_signals()?).await?;
    Ok(Ending::Done)
}

//! `postroom config`

use crate::cli::Ending;
use crate::cli::output;
use crate::config::Config;

pub(super) fn run(config: &Config) -> anyhow::Result<Ending> {
    output::line(config.redacted().trim_end())?;
    Ok(Ending::Done)
}

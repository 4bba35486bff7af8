//! Logging: one line an event on standard error, text for people or JSON for a collector.
//!
//! Invariant: nothing private is logged. Our own code leaves it out; other crates are held to what they are known
//! to be silent about, whatever filter the administrator writes, because some print far too much below that:
//! async-imap 0.12 passwords and mail, html5ever 0.40 the text of mail (at DEBUG), h2 0.4 and reqwest 0.13 the
//! headers and bodies of requests.

use std::io::{self, IsTerminal as _};

use tracing::{Subscriber, error};
use tracing_subscriber::filter::{LevelFilter, ParseError, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};
use tracing_subscriber::{EnvFilter, Registry};

use crate::config::{Log, LogFormat};

/// Why logging could not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The filter can't be parsed.
    #[error("log.filter {filter:?} is not a filter such as \"info\" or \"postroom::mailbox=debug,info\"")]
    Filter {
        /// What was written.
        filter: String,
        /// Where it fails.
        source: ParseError,
    },
    /// Logging has been started before.
    #[error("starting to log")]
    Started(#[from] TryInitError),
}

/// Starts logging for the whole process, records of the `log` crate included, and panics by their place alone:
/// what a panic says may quote the mail that caused it. Once only.
pub fn init(log: &Log) -> Result<(), Error> {
    let wants_colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let ansi = wants_colour && io::stderr().is_terminal();
    subscriber(log, ansi, io::stderr)?.try_init()?;
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        error!(place, "panicked; please report the place");
    }));
    Ok(())
}

fn subscriber<W>(log: &Log, ansi: bool, writer: W) -> Result<impl Subscriber + Send + Sync, Error>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = EnvFilter::builder()
        .parse(&log.filter)
        .map_err(|source| Error::Filter { filter: log.filter.clone(), source })?;
    let lines = tracing_subscriber::fmt::layer().with_ansi(ansi).with_writer(writer);
    let lines = match log.format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    // Filters of the whole, not of the layer: one of a layer's own remembers, on each thread, what it was asked last.
    // Where a library asks whether an event would be logged and then sends none, it drops the next one of ours.
    Ok(Registry::default().with(filter).with(ceiling()).with(lines))
}

/// The most that is logged, by crate.
fn ceiling() -> Targets {
    Targets::new()
        .with_default(LevelFilter::INFO)
        .with_target("postroom", LevelFilter::TRACE)
        // Statements with placeholders, their times and row counts; never a value.
        .with_target("sqlx::query", LevelFilter::DEBUG)
        // At every start: that the table of migrations is there already.
        .with_target("sqlx::postgres::notice", LevelFilter::WARN)
        .with_target("async_imap", LevelFilter::WARN)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use tracing::{Level, event};

    use super::*;

    /// Keeps what is logged.
    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is logged while `act` runs.
    fn logged(format: LogFormat, filter: &str, act: impl FnOnce()) -> String {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let log = Log { format, filter: filter.to_owned() };
        let guard = subscriber(&log, false, move || writer.clone()).unwrap().set_default();
        act();
        drop(guard);
        let bytes = buffer.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    fn speak() {
        event!(target: "postroom::intake", Level::TRACE, "ours at trace");
        event!(target: "sqlx::query", Level::DEBUG, "statement");
        event!(target: "sqlx::query", Level::TRACE, "canary");
        event!(target: "sqlx_postgres::connection", Level::DEBUG, "canary");
        event!(target: "h2::codec::framed_write", Level::DEBUG, "canary");
        event!(target: "html5ever::tree_builder", Level::DEBUG, "canary");
        event!(target: "async_imap::imap_stream", Level::INFO, "canary");
        event!(target: "async_imap::imap_stream", Level::WARN, "warning");
        event!(target: "hyper", Level::INFO, "information");
        // As async-imap, html5ever and reqwest speak.
        log::trace!(target: "async_imap::imap_stream", "canary");
        log::debug!(target: "html5ever::tree_builder", "canary");
        log::info!(target: "reqwest::connect", "old information");
    }

    #[test]
    fn no_filter_makes_a_library_talk_out_of_turn() {
        for filter in [
            "trace",
            "async_imap=trace,async_imap::imap_stream=trace,html5ever=trace,h2=trace,sqlx=trace,postroom=trace,info",
        ] {
            let text = logged(LogFormat::Text, filter, speak);

            assert!(!text.contains("canary"), "{text}");
            for said in ["ours at trace", "statement", "warning", ": information", "old information"] {
                assert!(text.contains(said), "{said:?} is not in:\n{text}");
            }
        }
    }

    #[test]
    fn a_library_that_asks_and_says_nothing_silences_nobody() {
        let text = logged(LogFormat::Text, "info", || {
            // As sqlx does when PostgreSQL has a notice.
            let _ = log::log_enabled!(target: "sqlx::postgres::notice", log::Level::Info);
            event!(target: "postroom::app", Level::INFO, "ours");
        });

        assert!(text.contains("ours"), "{text}");
    }

    #[test]
    fn the_filter_is_obeyed_below_that() {
        let text = logged(LogFormat::Text, "warn", speak);

        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.contains("warning"), "{text}");
    }

    #[test]
    fn json_lines_hold_message_and_fields_side_by_side() {
        let text = logged(LogFormat::Json, "info", || tracing::info!(mailbox = "support", "cycle done"));

        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["message"], "cycle done");
        assert_eq!(line["mailbox"], "support");
        assert_eq!(line["level"], "INFO");
    }

    #[test]
    fn a_filter_that_cannot_be_parsed_is_named() {
        let log = Log { format: LogFormat::Text, filter: "postroom=loud".to_owned() };

        let error = subscriber(&log, false, io::sink).err().unwrap();

        assert!(error.to_string().contains("postroom=loud"), "{error}");
    }
}

//! `[log]`

use tracing_subscriber::EnvFilter;

use super::redacted::Toml;
use super::section::Section;

/// Logging.
#[derive(Debug, Clone)]
pub struct Log {
    /// `text` or `json`.
    pub format: LogFormat,
    /// A `tracing` filter, such as `info` or `postroom=debug,info`.
    pub filter: String,
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For a person.
    Text,
    /// One JSON object a line.
    Json,
}

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

impl Log {
    pub(super) fn read(mut section: Section<'_>) -> Option<Self> {
        let format = section.choice("format", &[("text", LogFormat::Text), ("json", LogFormat::Json)]);
        let filter = read_filter(&mut section);
        section.end();
        Some(Self { format: format?, filter: filter? })
    }

    pub(super) fn write(&self, toml: &mut Toml) {
        toml.header("[log]");
        toml.text(
            "format",
            match self.format {
                LogFormat::Text => "text",
                LogFormat::Json => "json",
            },
        );
        toml.text("filter", &self.filter);
    }
}

fn read_filter(section: &mut Section<'_>) -> Option<String> {
    let allowed = r#"levels, for all or by module, such as "info" or "postroom::mailbox=debug,info""#;
    let filter = section.text("filter", allowed)?;
    if is_filter(&filter) {
        return Some(filter);
    }
    section.refuse("filter", format!("{filter:?}"), allowed);
    None
}

/// Stricter than [`EnvFilter`], to which `inof` is a module to be logged in full, and every other is silent.
fn is_filter(filter: &str) -> bool {
    let is_bare_module = |directive: &str| {
        directive.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | ':'))
            && !LEVELS.iter().any(|level| level.eq_ignore_ascii_case(directive))
    };
    EnvFilter::builder().parse(filter).is_ok() && !filter.split(',').map(str::trim).any(is_bare_module)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_levels_by_module() {
        for filter in
            ["info", "WARN", "off", "postroom::mailbox=debug, info", "postroom[cycle{mailbox=a}]=trace"]
        {
            assert!(is_filter(filter), "{filter}");
        }
        for filter in ["inof", "postroom", "postroom=inof", "info,,warn", "a=b=c", ""] {
            assert!(!is_filter(filter), "{filter}");
        }
    }
}

//! Writes the effective configuration as TOML. Each section writes its own keys, beside where it reads them.

use std::fmt::Display;
use std::time::Duration;

use super::units;

/// A TOML text in the making.
#[derive(Default)]
pub(super) struct Toml(String);

impl Toml {
    pub(super) fn into_text(self) -> String {
        self.0
    }

    /// `[table]` or `[[list]]`.
    pub(super) fn header(&mut self, header: &str) {
        if !self.0.is_empty() {
            self.0.push('\n');
        }
        self.line(header);
    }

    pub(super) fn plain(&mut self, key: &str, value: impl Display) {
        self.line(&format!("{key} = {value}"));
    }

    pub(super) fn text(&mut self, key: &str, value: &str) {
        self.plain(key, quote(value));
    }

    pub(super) fn list<'t>(&mut self, key: &str, values: impl Iterator<Item = &'t str>) {
        self.plain(key, format!("[{}]", values.map(quote).collect::<Vec<_>>().join(", ")));
    }

    pub(super) fn duration(&mut self, key: &str, value: Duration) {
        self.text(key, &units::format_duration(value));
    }

    pub(super) fn size(&mut self, key: &str, bytes: u64) {
        self.text(key, &units::format_size(bytes));
    }

    pub(super) fn fraction(&mut self, key: &str, hundredths: u8) {
        self.plain(key, units::format_fraction(hundredths));
    }

    pub(super) fn inline(&mut self, key: &str, pairs: &[(&str, &str)]) {
        let pairs: Vec<_> = pairs.iter().map(|(key, value)| format!("{key} = {}", quote(value))).collect();
        self.plain(key, format!("{{ {} }}", pairs.join(", ")));
    }

    /// A comment: what is in effect is the certificates, not the path that they were read from.
    pub(super) fn certificates(&mut self, key: &str, pem: Option<&[u8]>) {
        if let Some(pem) = pem {
            let count =
                native_tls::Certificate::stack_from_pem(pem).map_or(0, |certificates| certificates.len());
            self.line(&format!("# {key}: certificates read: {count}"));
        }
    }

    fn line(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
    }
}

/// A TOML basic string: a JSON string is one, but for DEL, which like other control characters no text here holds.
fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

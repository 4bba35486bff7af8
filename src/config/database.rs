//! `[database]`

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::redacted::Toml;
use super::secret::SecretKey;
use super::section::Section;

/// Where tickets are stored.
#[derive(Debug, Clone)]
pub struct Database {
    /// `postgres://user:password@host:port/database?…`, as libpq and sqlx read it.
    pub url: SecretString,
    /// The most connections one worker opens.
    pub max_connections: u32,
    /// How long a start waits for the database before it gives up.
    pub connect_timeout: Duration,
}

const URL: SecretKey = SecretKey {
    key: "url",
    file_key: "url_file",
    allowed: "a URL such as postgres://user:password@host:5432/database?sslmode=verify-full",
    check: check_url,
};

/// What may stand after the `?`. sqlx takes these, and logs any other with its value.
const PARAMETERS: [&str; 17] = [
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "ssl-ca",
    "ssl-cert",
    "ssl-key",
    "ssl-mode",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "ssl-root-cert",
    "user",
];

impl Database {
    pub(super) fn read(mut section: Section<'_>) -> Option<Self> {
        let url = section.secret(&URL);
        // One connection listens for notifications all the time.
        let max_connections = section.number("max_connections", 2..=1000);
        let connect_timeout = section.duration("connect_timeout");
        section.end();
        Some(Self { url: url?, max_connections: max_connections?, connect_timeout: connect_timeout? })
    }

    pub(super) fn write(&self, toml: &mut Toml) {
        toml.header("[database]");
        toml.text("url", &redact(self.url.expose_secret()));
        toml.plain("max_connections", self.max_connections);
        toml.duration("connect_timeout", self.connect_timeout);
    }
}

fn check_url(url: &str) -> Result<(), &'static str> {
    let url = Url::parse(url).map_err(|_| "a string that is not a URL")?;
    if !matches!(url.scheme(), "postgres" | "postgresql") {
        return Err("a URL that does not begin with postgres://");
    }
    if url.cannot_be_a_base() {
        return Err("a URL without // after postgres:");
    }
    if url.query_pairs().any(|(key, _)| !PARAMETERS.contains(&&*key) && !key.starts_with("options[")) {
        return Err("a URL with a parameter that is not known");
    }
    Ok(())
}

/// The URL without its password, which may stand in either of two places.
fn redact(url: &str) -> String {
    let Ok(mut url) = Url::parse(url) else { return "***".to_owned() };
    if url.password().is_some() && url.set_password(Some("***")).is_err() {
        return "***".to_owned();
    }
    if url.query_pairs().any(|(key, _)| key == "password") {
        let pairs: Vec<_> = url.query_pairs().into_owned().collect();
        let redacted = pairs.iter().map(|(key, value)| (key, if key == "password" { "***" } else { value }));
        url.query_pairs_mut().clear().extend_pairs(redacted);
    }
    url.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_that_sqlx_reads_are_taken() {
        for url in [
            "postgres://postroom@localhost/postroom",
            "postgresql://u:p@[::1]:5433/db?sslmode=verify-full&sslrootcert=/etc/ssl/db.pem",
            "postgres:///postroom?host=/var/run/postgresql&user=postroom",
            "postgres://%2Fvar%2Frun%2Fpostgresql/postroom?options[lock_timeout]=5s",
        ] {
            assert_eq!(check_url(url), Ok(()), "{url}");
        }
    }

    #[test]
    fn other_urls_are_refused() {
        for url in [
            "",
            "localhost",
            "mysql://localhost/db",
            "postgres:db",
            "postgres://h:99999/",
            "postgres://h/?sslmod=x",
        ] {
            assert!(check_url(url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_password_is_redacted_wherever_it_stands() {
        assert_eq!(
            redact("postgres://u:canary@h:5/db?sslmode=require"),
            "postgres://u:***@h:5/db?sslmode=require"
        );
        assert_eq!(redact("postgres:///db?user=u&password=canary"), "postgres:///db?user=u&password=***");
        assert_eq!(redact("postgres://u@h/db"), "postgres://u@h/db");
        assert_eq!(redact("canary"), "***");
    }
}

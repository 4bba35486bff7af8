//! `[[webhook]]`

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use secrecy::SecretString;
use url::{Host, Url};

use super::layer;
use super::redacted::Toml;
use super::secret::SecretKey;
use super::section::Section;

/// One helpdesk to deliver to.
#[derive(Clone)]
pub struct Webhook {
    /// What it is called in the tables, logs and metrics. Not private.
    pub name: String,
    /// What is sent to it.
    pub preset: Preset,
    /// Where to POST. https; http for loopback addresses, elsewhere only with `insecure_http`.
    pub url: Url,
    /// Signing secrets, newest first; each signs, so that a receiver can change over. At least one. As written:
    /// `whsec_` and the base64 of 24 to 64 bytes (Standard Webhooks 1.0).
    pub secrets: Vec<SecretString>,
    /// PEM certificates of a private authority, trusted besides the system's.
    pub ca_pem: Option<Vec<u8>>,
    /// Limit of one attempt, from connecting to the end of the answer.
    pub timeout: Duration,
}

/// The form in which a helpdesk takes events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// The event JSON, signed by Standard Webhooks 1.0.
    Standard,
}

/// What a webhook need not say, as TOML. postroom.toml shows the same values.
pub(super) const DEFAULTS: &str = r#"
preset = "standard"
insecure_http = false
timeout = "20s"
"#;

const SECRET_ALLOWED: &str =
    "whsec_ and the base64 of 24 to 64 random bytes; make one by: printf whsec_; openssl rand -base64 32";

const SECRET: SecretKey =
    SecretKey { key: "secret", file_key: "secret_file", allowed: SECRET_ALLOWED, check: check_secret };

const PREVIOUS_SECRET: SecretKey = SecretKey {
    key: "previous_secret",
    file_key: "previous_secret_file",
    allowed: SECRET_ALLOWED,
    check: check_secret,
};

impl Webhook {
    pub(super) fn read(mut section: Section<'_>) -> Option<Self> {
        section.fill(&layer::parse(DEFAULTS));
        let name = section.name();
        let preset = section.choice("preset", &[("standard", Preset::Standard)]);
        let insecure_http = section.boolean("insecure_http");
        let url = read_url(&mut section, insecure_http == Some(true));
        let secret = section.secret(&SECRET);
        let previous_secret = section.optional_secret(&PREVIOUS_SECRET);
        let ca_pem = section.certificates("ca_file");
        let timeout = section.duration("timeout");
        section.end();
        Some(Self {
            name: name?,
            preset: preset?,
            url: url?,
            secrets: [Some(secret?), previous_secret].into_iter().flatten().collect(),
            ca_pem,
            timeout: timeout?,
        })
    }

    pub(super) fn write(&self, toml: &mut Toml) {
        toml.header("[[webhook]]");
        toml.text("name", &self.name);
        toml.text(
            "preset",
            match self.preset {
                Preset::Standard => "standard",
            },
        );
        toml.text("url", &redact(&self.url));
        toml.text("secret", "***");
        if self.secrets.len() > 1 {
            toml.text("previous_secret", "***");
        }
        toml.certificates("ca_file", self.ca_pem.as_deref());
        toml.plain("insecure_http", self.url.scheme() == "http" && !is_loopback(&self.url));
        toml.duration("timeout", self.timeout);
    }
}

// By hand: a derived `Debug` would print the path and query of the URL, where helpdesks like to put tokens.
impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook")
            .field("name", &self.name)
            .field("preset", &self.preset)
            .field("host", &self.url.host_str())
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

fn read_url(section: &mut Section<'_>, insecure_http: bool) -> Option<Url> {
    let allowed = "a URL such as https://helpdesk.example.com/hooks/mail";
    let url = section.required_text("url", allowed)?;
    let Ok(url) = Url::parse(&url) else {
        section.refuse("url", "a string that is not a URL", allowed);
        return None;
    };
    let flaw = match url.scheme() {
        "http" if !insecure_http && !is_loopback(&url) => {
            let remedy = "use https, or allow this with insecure_http = true".to_owned();
            section.note("url", "an http URL to a host that is not loopback", allowed, Some(remedy));
            return None;
        }
        "http" | "https" if !url.username().is_empty() || url.password().is_some() => {
            "a URL with a user name or password in it"
        }
        "http" | "https" => return Some(url),
        _ => "a URL that does not begin with https://",
    };
    section.refuse("url", flaw, allowed);
    None
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(domain)) => domain == "localhost",
        None => false,
    }
}

fn check_secret(secret: &str) -> Result<(), &'static str> {
    let key = secret.strip_prefix("whsec_").ok_or("a string that does not begin with whsec_")?;
    let key = BASE64_STANDARD.decode(key).map_err(|_| "a string whose part after whsec_ is not base64")?;
    if (24..=64).contains(&key.len()) { Ok(()) } else { Err("a key of fewer than 24 or more than 64 bytes") }
}

/// Values after the `?` are often tokens.
fn redact(url: &Url) -> String {
    let mut redacted = url.clone();
    if url.query().is_some() {
        redacted.query_pairs_mut().clear().extend_pairs(url.query_pairs().map(|(key, _)| (key, "***")));
    }
    redacted.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_those_of_standard_webhooks() {
        let of_bytes = |n: usize| format!("whsec_{}", BASE64_STANDARD.encode(vec![7; n]));

        assert_eq!(check_secret(&of_bytes(24)), Ok(()));
        assert_eq!(check_secret(&of_bytes(64)), Ok(()));
        for secret in [of_bytes(23), of_bytes(65), "whsec_".to_owned(), "whsec_*".to_owned(), "x".repeat(40)]
        {
            assert!(check_secret(&secret).is_err(), "{secret}");
        }
    }

    #[test]
    fn only_this_machine_is_loopback() {
        for url in ["http://localhost:80/", "http://127.9.9.9/", "http://[::1]/"] {
            assert!(is_loopback(&Url::parse(url).unwrap()), "{url}");
        }
        for url in ["http://localhost.example.com/", "http://10.0.0.1/", "http://[::2]/", "http://128.0.0.1/"]
        {
            assert!(!is_loopback(&Url::parse(url).unwrap()), "{url}");
        }
    }
}

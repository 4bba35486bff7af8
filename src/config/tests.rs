//! Whole configurations, from files and environments as an administrator would write them.

mod client_proof;
mod documented;
mod mistakes;
mod privacy;
mod sign_in;

use std::fs;
use std::net::SocketAddr;

use secrecy::ExposeSecret;
use tempfile::TempDir;

use super::*;

/// The least that can be written.
const LEAST: &str = r#"
[database]
url = "postgres://postroom@localhost/postroom"

[[mailbox]]
name = "support"
host = "imap.example.com"
username = "support@example.com"
auth = { kind = "password", password = "00123" }
"#;

/// A webhook to append to [`LEAST`].
const WEBHOOK: &str = r#"
[[webhook]]
name = "helpdesk"
url = "https://helpdesk.example.com/hooks/mail"
secret = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
"#;

/// Keys and lists of filing, to append to [`LEAST`].
const FILING: &str = r#"
[filing]
token_key = "0123456789abcdefghijklmn"
previous_token_key = "nmlkjihgfedcba9876543210"
shared_domains = ["isp.example"]
unlimited_senders = ["scanner@example.com"]
"#;

/// A tracker to append to [`LEAST`].
const TRACKER: &str = r#"
[[tracker]]
name = "servicenow"
pattern = '\b(INC\d{7})\b'
domains = ["Service-Now.example.com"]
"#;

/// A self-signed certificate.
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----
MIIBdjCCARugAwIBAgIUOz5XprT24baebWAFaVaGc3HKvMAwCgYIKoZIzj0EAwIw
DzENMAsGA1UEAwwEdGVzdDAgFw0yNjExMjMxODI1MTFaGA8yMTI2MTAzMDE4MjUx
MVowDzENMAsGA1UEAwwEdGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABLFi
GgvxpJe2C+BRMhwG5U0djN2D7bVmFbHlBNkCYgvXMJdDMVsEKYg4xuTxp9AZ/LDx
Vg1A1nQ8ysm63sUp1UOjUzBRMB0GA1UdDgQWBBTz/p0ViJdA48hQNczsAbUt2ZTk
QDAfBgNVHSMEGDAWgBTz/p0ViJdA48hQNczsAbUt2ZTkQDAPBgNVHRMBAf8EBTAD
AQH/MAoGCCqGSM49BAMCA0kAMEYCIQD7xcXT0Gm1xHf146AJ3q361eq1qiFzkcug
hZj4r6vKjwIhANrBtd57l1bQMcR2dm+f3dcSZVvscWDnE9lc0LIHTOiu
-----END CERTIFICATE-----
";

/// A folder with a configuration file in it.
struct Setup(TempDir);

impl Setup {
    fn new(toml: &str) -> Self {
        let setup = Self(TempDir::new().unwrap());
        setup.with("postroom.toml", toml)
    }

    /// Puts another file beside it.
    fn with(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        fs::write(self.0.path().join(name), content).unwrap();
        self
    }

    fn load(&self) -> Result<Config, Problems> {
        self.load_under(&[])
    }

    fn load_under(&self, environment: &[(&str, &str)]) -> Result<Config, Problems> {
        let environment = environment.iter().map(|(name, value)| (name.into(), value.into()));
        Config::load(Some(&self.0.path().join("postroom.toml")), environment)
    }

    /// What is reported, with the folder's path cut out.
    fn report(&self) -> String {
        self.report_under(&[])
    }

    fn report_under(&self, environment: &[(&str, &str)]) -> String {
        let problems = self.load_under(environment).expect_err("nothing was reported");
        problems.to_string().replace(&format!("{}/", self.0.path().display()), "")
    }
}

fn load(toml: &str) -> Result<Config, Problems> {
    Setup::new(toml).load()
}

/// The password of a mailbox that has one.
fn password(config: &Config, index: usize) -> &str {
    match &config.mailboxes[index].auth {
        Auth::Password(password) => password.expose_secret(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_least_configuration_gets_the_documented_defaults() {
    let config = load(LEAST).unwrap();

    assert_eq!(config.database.url.expose_secret(), "postgres://postroom@localhost/postroom");
    assert_eq!(config.database.max_connections, 8);
    assert_eq!(config.database.connect_timeout.as_secs(), 60);
    assert_eq!(config.intake.batch_messages, 400);
    assert_eq!(config.intake.batch_bytes, 3 << 20);
    assert_eq!(config.intake.max_message_bytes, 150 << 20);
    assert_eq!(config.intake.settle_messages, 1000);
    assert_eq!(config.filing.token_keys.len(), 0);
    assert_eq!(config.filing.threshold_percent, 70);
    assert_eq!(config.filing.reopen_window.as_secs(), 14 * 86_400);
    assert_eq!(config.filing.new_topic, NewTopic::Closed);
    assert_eq!(config.filing.subject_prefix, "pr");
    assert_eq!((config.filing.sender_per_hour, config.filing.sender_pause.as_secs()), (20, 3_600));
    assert_eq!(config.filing.ticket_per_day, 50);
    assert_eq!((config.filing.same_mail, config.filing.same_mail_window.as_secs()), (3, 600));
    let actions = Actions {
        auto_reply: Action::AppendOnly,
        bounce_failed: Action::AppendOnly,
        bounce_delayed: Action::AppendOnly,
        receipt: Action::AppendOnly,
        complaint: Action::Suspend,
        own_loop: Action::Archive,
        ..Actions::all(Action::Ticket)
    };
    assert_eq!(config.filing.actions, actions);
    assert_eq!(config.delivery.poll_interval.as_secs(), 15);
    assert_eq!(config.delivery.concurrency, 8);
    assert_eq!(config.delivery.max_answer_bytes, 64 << 10);
    assert_eq!(config.ops.listen, Some(SocketAddr::from(([127, 0, 0, 1], 8025))));
    assert_eq!(config.ops.max_poll_age.as_secs(), 600);
    assert_eq!(config.ops.shutdown_grace.as_secs(), 25);
    assert_eq!(config.log.format, LogFormat::Text);
    assert_eq!(config.log.filter, "info");
    assert!(config.secrets.keys.is_empty());
    assert!(config.webhooks.is_empty());
    let mailbox = &config.mailboxes[0];
    assert_eq!((mailbox.host.as_str(), mailbox.port), ("imap.example.com", 993));
    assert_eq!(mailbox.provider, None);
    assert_eq!(mailbox.folder, "INBOX");
    assert_eq!(mailbox.settle, Settle::Move { to: "Processed".to_owned() });
    assert_eq!(mailbox.poll_interval.as_secs(), 60);
    assert_eq!(mailbox.connect_timeout.as_secs(), 30);
    assert_eq!(mailbox.command_timeout.as_secs(), 300);
    assert_eq!(mailbox.stall_timeout.as_secs(), 60);
}

#[test]
fn the_file_overrides_the_defaults_and_the_environment_the_file() {
    let setup = Setup::new(&format!("{LEAST}\n[intake]\nbatch_messages = 7\nsettle_messages = 8\n"));

    let config = setup
        .load_under(&[
            ("POSTROOM__INTAKE__BATCH_MESSAGES", "9"),
            ("POSTROOM__DELIVERY__MAX_ANSWER_BYTES", "1 KiB"),
            ("POSTROOM__OPS__LISTEN", "off"),
            ("POSTROOM_PORT", "tcp://10.0.0.1:80"),
            ("PATH", "/bin"),
        ])
        .unwrap();

    assert_eq!(config.intake.batch_messages, 9);
    assert_eq!(config.intake.settle_messages, 8);
    assert_eq!(config.delivery.max_answer_bytes, 1024);
    assert_eq!(config.ops.listen, None);
}

#[test]
fn the_environment_reaches_mailboxes_and_webhooks_by_name() {
    let second = r#"
        [[mailbox]]
        name = "returns-de"
        host = "IMAP.Bücher.example"
        port = 1993
        username = "returns"
        auth = { kind = "password" }
        settle = { kind = "expunge" }
    "#;
    let setup = Setup::new(&format!("{LEAST}{second}{WEBHOOK}"));

    let config = setup
        .load_under(&[
            ("POSTROOM__MAILBOX__RETURNS_DE__AUTH__PASSWORD", "1e5"),
            ("POSTROOM__MAILBOX__RETURNS_DE__SETTLE__KIND", "keep"),
            ("POSTROOM__WEBHOOK__HELPDESK__TIMEOUT", "3s"),
        ])
        .unwrap();

    assert_eq!([0, 1].map(|index| password(&config, index)), ["00123", "1e5"]);
    assert_eq!(config.mailboxes[1].settle, Settle::Keep);
    assert_eq!(
        (config.mailboxes[1].host.as_str(), config.mailboxes[1].port),
        ("imap.xn--bcher-kva.example", 1993)
    );
    assert_eq!(config.webhooks[0].timeout.as_secs(), 3);
}

#[test]
fn lists_come_from_the_file_and_from_the_environment_with_commas() {
    let setup = Setup::new(&format!(
        "{LEAST}addresses = [\"help@example.com\", \"Hilfe+x@bücher.example\"]\ntrusted_authserv = \"mx.example.com\""
    ));
    let variable = ("POSTROOM__MAILBOX__SUPPORT__TRUSTED_AUTHSERV", "a.example.com, b.example.com,");

    let (from_file, from_both) = (setup.load().unwrap(), setup.load_under(&[variable]).unwrap());

    assert_eq!(from_file.mailboxes[0].addresses, ["help@example.com", "Hilfe+x@bücher.example"]);
    assert_eq!(from_file.mailboxes[0].trusted_authserv, ["mx.example.com"]);
    assert_eq!(from_both.mailboxes[0].trusted_authserv, ["a.example.com", "b.example.com"]);
    assert!(load(LEAST).unwrap().mailboxes[0].addresses.is_empty());
}

#[test]
fn a_mailbox_of_exchange_online_is_known_by_its_provider_and_by_its_host() {
    let at = |place: &str| {
        let auth = r#"auth = { kind = "token_command", command = "token" }"#;
        let password = r#"auth = { kind = "password", password = "00123" }"#;
        let toml = LEAST.replace(r#"host = "imap.example.com""#, place).replace(password, auth);
        let config = load(&toml).unwrap();
        config.mailboxes[0].is_exchange_online()
    };

    assert!(at("provider = \"outlook.com\"") && at("provider = \"microsoft365\""));
    assert!(at("host = \"Outlook.Office365.com\""));
    assert!(!at("host = \"imap.example.com\""));
}

#[test]
fn the_order_of_variables_does_not_matter() {
    let (table, key) = (("POSTROOM__LOG", "text"), ("POSTROOM__LOG__FORMAT", "json"));
    let setup = Setup::new(LEAST);

    assert_eq!(setup.report_under(&[table, key]), setup.report_under(&[key, table]));
}

#[test]
fn secrets_and_certificates_are_read_from_files_beside_the_configuration() {
    let toml = r#"
        [database]
        url_file = "database-url"

        [[mailbox]]
        name = "support"
        host = "127.0.0.1"
        username = "support"
        auth = { kind = "password", password_file = "password" }
        ca_file = "ca.pem"

        [[webhook]]
        name = "helpdesk"
        url = "http://localhost:8080/hook"
        secret_file = "secret"
        previous_secret = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
        ca_file = "ca.pem"
    "#;
    let setup = Setup::new(toml)
        .with("database-url", "postgres:///postroom?host=/run/postgresql\r\n")
        .with("password", " two words\n\n")
        .with("ca.pem", CERTIFICATE.repeat(2))
        .with("secret", "whsec_BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB\n");

    let config = setup.load().unwrap();

    assert_eq!(config.database.url.expose_secret(), "postgres:///postroom?host=/run/postgresql");
    assert_eq!(password(&config, 0), " two words\n", "one line break is trimmed, and nothing else");
    assert_eq!(config.mailboxes[0].ca_pem.as_deref(), Some(CERTIFICATE.repeat(2).as_bytes()));
    let secrets: Vec<_> = config.webhooks[0].secrets.iter().map(ExposeSecret::expose_secret).collect();
    assert_eq!(secrets, ["whsec_BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB", "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"]);
    assert_eq!(config.webhooks[0].ca_pem.as_deref(), Some(CERTIFICATE.repeat(2).as_bytes()));
}

#[test]
fn filing_takes_keys_lists_and_trackers() {
    let config = load(&format!("{LEAST}{FILING}{TRACKER}")).unwrap();

    let keys: Vec<_> = config.filing.token_keys.iter().map(ExposeSecret::expose_secret).collect();
    assert_eq!(keys, ["0123456789abcdefghijklmn", "nmlkjihgfedcba9876543210"], "newest first");
    assert_eq!(config.filing.shared_domains, ["isp.example"]);
    assert_eq!(config.filing.unlimited_senders, ["scanner@example.com"]);
    let tracker = &config.trackers[0];
    assert_eq!(
        (tracker.name.as_str(), &tracker.domains[..]),
        ("servicenow", &["service-now.example.com".to_owned()][..])
    );
    assert_eq!(&tracker.pattern.captures("About INC0012345").unwrap()[1], "INC0012345");
}

#[test]
fn actions_can_be_set_from_the_environment() {
    let setup = Setup::new(LEAST);

    let config = setup
        .load_under(&[
            ("POSTROOM__FILING__ACTIONS__BULK_LIST", "archive"),
            ("POSTROOM__FILING__THRESHOLD", "0.85"),
            ("POSTROOM__FILING__SHARED_DOMAINS", "a.example, b.example"),
        ])
        .unwrap();

    assert_eq!(config.filing.actions.bulk_list, Action::Archive);
    assert_eq!(config.filing.threshold_percent, 85);
    assert_eq!(config.filing.shared_domains, ["a.example", "b.example"]);
}

#[test]
fn http_needs_a_loopback_host_or_consent() {
    let webhook = |url: &str, more: &str| {
        let url = WEBHOOK.replace("https://helpdesk.example.com/hooks/mail", url);
        load(&format!("{LEAST}{url}{more}"))
    };

    assert!(webhook("http://127.0.0.1:3000/hook", "").is_ok());
    assert!(webhook("http://helpdesk.internal/hook", "insecure_http = true").is_ok());
    for url in [
        "http://helpdesk.internal/hook",
        "https://user:pass@helpdesk.example.com/",
        "ftp://localhost/",
        "/hook",
    ] {
        let problems = webhook(url, "").expect_err(url);
        assert_eq!(
            problems.iter().map(|problem| problem.key.as_str()).collect::<Vec<_>>(),
            ["webhook \"helpdesk\": url"]
        );
    }
}

#[test]
fn a_file_may_begin_with_a_byte_order_mark() {
    assert!(load(&format!("\u{feff}{LEAST}")).is_ok());
}

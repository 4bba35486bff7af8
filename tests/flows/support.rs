//! What flow and process tests have in common: a mailbox on a real Dovecot, a database, a helpdesk.

use std::path::PathBuf;
use std::time::Duration;

use devstack::{Account, Database, Dovecot, Helpdesk, Options, Postgres};
use postroom::config::Config;

/// No step of a test takes this long, not even on a busy machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// A signing secret.
pub(crate) const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oDqZTSDtKRmbM=";

/// A mailbox, a database and a helpdesk that belong to one test.
pub(crate) struct Site {
    pub(crate) dovecot: Dovecot,
    pub(crate) account: Account,
    pub(crate) database: Database,
    pub(crate) helpdesk: Helpdesk,
    folder: tempfile::TempDir,
}

impl Site {
    pub(crate) async fn new() -> Self {
        Self::with(Options::default()).await
    }

    pub(crate) async fn with(options: Options<'_>) -> Self {
        let database = Postgres::shared().await.unwrap().database().await.unwrap();
        Self::on(options, database).await
    }

    pub(crate) async fn on(options: Options<'_>, database: Database) -> Self {
        let dovecot = Dovecot::start(options).await.unwrap();
        let account = dovecot.account("support").unwrap();
        let helpdesk = Helpdesk::start().await.unwrap();
        Self { dovecot, account, database, helpdesk, folder: tempfile::tempdir().unwrap() }
    }

    /// Writes a configuration file: the site, with `sections` put in place of defaults.
    pub(crate) fn config_file(&self, settle: &str, sections: &str) -> PathBuf {
        let text = format!(
            r#"
            [database]
            url = "{database}"
            [ops]
            listen = "off"
            {sections}
            [[mailbox]]
            name = "support"
            host = "{host}"
            port = {port}
            ca_file = "{ca}"
            username = "{user}"
            auth = {{ kind = "password", password = "{password}" }}
            settle = {settle}
            poll_interval = "1s"
            [[webhook]]
            name = "helpdesk"
            url = "{url}"
            secret = "{SECRET}"
            timeout = "5s"
            "#,
            database = self.database.url(),
            host = self.dovecot.host(),
            port = self.dovecot.port(),
            ca = self.dovecot.ca_pem_path().display(),
            user = self.account.user(),
            password = self.account.password(),
            url = self.helpdesk.url(),
        );
        let path = self.folder.path().join("postroom.toml");
        std::fs::write(&path, text).unwrap();
        path
    }

    pub(crate) fn config(&self, settle: &str, sections: &str) -> Config {
        Config::load(Some(&self.config_file(settle, sections)), []).unwrap()
    }

    /// One number out of the database.
    pub(crate) async fn number(&self, sql: &str) -> i64 {
        self.database.value(sql).await.unwrap().parse().unwrap()
    }
}

/// The usual policy.
pub(crate) const MOVE: &str = r#"{ kind = "move", to = "Processed" }"#;

/// A mail with this Message-ID.
pub(crate) fn mail(id: &str, more: &str) -> Vec<u8> {
    format!(
        "Message-ID: <{id}@example.com>\nDate: Mon, 5 Jan 2026 10:00:00 +0000\nFrom: Ann <ann@example.com>\n\
         To: support@example.com\nSubject: About {id}\n{more}\nHello, this is {id}.\n"
    )
    .into_bytes()
}

/// Mails `m0`, `m1`, …; every fourth answers the one before it.
pub(crate) fn mails(count: usize) -> Vec<Vec<u8>> {
    (0..count)
        .map(|i| {
            let reply =
                if i % 4 == 3 { format!("In-Reply-To: <m{}@example.com>\n", i - 1) } else { String::new() };
            mail(&format!("m{i}"), &reply)
        })
        .collect()
}

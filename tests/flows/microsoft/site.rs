//! A mailbox at Exchange, the platform where its tokens come from, a database and a helpdesk.

use std::path::{Path, PathBuf};

use anyhow::ensure;
use devstack::exchange::{self, Exchange};
use devstack::identity::{self, Identity};
use devstack::{Database, Helpdesk, Postgres, Worker, poll};
use serde_json::Value;

use crate::support::{LIMIT, SECRET, postroom, run};

/// Seals the tokens of these tests.
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// Whose mailbox it is.
pub(crate) const USER: &str = "support@example.com";

/// Everything around one worker, for one test.
pub(crate) struct Site {
    pub(crate) identity: Identity,
    pub(crate) exchange: Exchange,
    pub(crate) database: Database,
    pub(crate) helpdesk: Helpdesk,
    folder: tempfile::TempDir,
}

impl Site {
    pub(crate) async fn new() -> Self {
        Self::with(identity::Habits::default(), exchange::Habits::default()).await
    }

    pub(crate) async fn with(identity: identity::Habits, exchange: exchange::Habits) -> Self {
        let identity = Identity::start(identity).await.unwrap();
        Self {
            exchange: Exchange::with_tokens(exchange, identity.tokens(), USER).await.unwrap(),
            identity,
            database: Postgres::shared().await.unwrap().database().await.unwrap(),
            helpdesk: Helpdesk::start().await.unwrap(),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// A configuration that a person signs in to.
    pub(crate) fn device(&self) -> PathBuf {
        self.config("flow = \"device\"\ntenant = \"organizations\"", "", "")
    }

    /// The same, with these keys in `[[mailbox]]` and these sections besides.
    pub(crate) fn device_with(&self, mailbox: &str, sections: &str) -> PathBuf {
        self.config("flow = \"device\"\ntenant = \"organizations\"", mailbox, sections)
    }

    /// A configuration by which the application itself signs in.
    pub(crate) fn application(&self) -> PathBuf {
        let secret = self.identity.client_secret();
        let auth = format!(
            "flow = \"client_credentials\"\ntenant = \"contoso.example\"\nclient_secret = \"{secret}\""
        );
        self.config(&auth, "", "")
    }

    pub(crate) fn config(&self, auth: &str, mailbox: &str, sections: &str) -> PathBuf {
        let text = format!(
            r#"
            [database]
            url = "{database}"
            [ops]
            listen = "off"
            {sections}
            [secrets]
            key = "{KEY}"
            [[webhook]]
            name = "helpdesk"
            url = "{helpdesk}"
            secret = "{SECRET}"
            [[mailbox]]
            name = "support"
            host = "{host}"
            port = {port}
            ca_file = "{exchange_ca}"
            username = "{USER}"
            {mailbox}
            [mailbox.auth]
            kind = "oauth2"
            client_id = "{client_id}"
            authority = "{authority}"
            ca_file = "{identity_ca}"
            {auth}
            "#,
            database = self.database.url(),
            helpdesk = self.helpdesk.url(),
            host = self.exchange.host(),
            port = self.exchange.port(),
            exchange_ca = self.exchange.ca_pem_path().display(),
            client_id = self.identity.client_id(),
            authority = self.identity.url(),
            identity_ca = self.identity.ca_pem_path().display(),
        );
        let path = self.folder.path().join("postroom.toml");
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Starts a sign-in, and gives it when it waits for a person.
    pub(crate) async fn begin_sign_in(&self, config: &Path) -> Worker {
        let mut login = Worker::start(&postroom(config, &["login", "support"])).unwrap();
        let code = self.identity.wait_for_code(LIMIT).await.unwrap();
        login.wait_for_line(&code, LIMIT).await.unwrap();
        login
    }

    /// Signs in, as the mailbox's own user.
    pub(crate) async fn sign_in(&self, config: &Path) {
        let mut login = self.begin_sign_in(config).await;
        self.identity.approve(USER).unwrap();
        let status = login.wait(LIMIT).await.unwrap();
        assert!(status.success(), "{}", login.log_tail());
    }

    /// The same, whatever is then found wrong with the mailbox.
    pub(crate) async fn sign_in_only(&self, config: &Path) {
        let mut login = self.begin_sign_in(config).await;
        self.identity.approve(USER).unwrap();
        login.wait_for_line("Signed in", LIMIT).await.unwrap();
        login.wait(LIMIT).await.unwrap();
    }

    /// Empties the mailbox once, which must work.
    pub(crate) async fn drain(&self, config: &Path) {
        let (code, out, log) = run(config, &["drain"]).await;
        assert_eq!(code, Some(0), "{out}\n{log}");
    }

    /// The types of the events that the helpdesk has been told, in order.
    pub(crate) fn told(&self) -> Vec<String> {
        self.events().iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
    }

    pub(crate) fn events(&self) -> Vec<Value> {
        let requests = self.helpdesk.requests();
        requests.iter().map(|request| serde_json::from_slice(&request.body).unwrap()).collect()
    }

    /// Waits until the helpdesk has been told these, and nothing else.
    pub(crate) async fn wait_until_told(&self, events: &[&str]) {
        poll::until("the helpdesk to be told", LIMIT, async || {
            let told = self.told();
            ensure!(told == events, "it was told {told:?}");
            Ok(())
        })
        .await
        .unwrap();
    }

    pub(crate) async fn number(&self, sql: &str) -> i64 {
        self.database.value(sql).await.unwrap().parse().unwrap()
    }

    /// Waits until a number out of the database has reached this.
    pub(crate) async fn wait_for_number(&self, sql: &str, least: i64) {
        poll::until(sql, LIMIT, async || {
            let number: i64 = self.database.value(sql).await?.parse()?;
            ensure!(number >= least, "{number}");
            Ok(())
        })
        .await
        .unwrap();
    }
}

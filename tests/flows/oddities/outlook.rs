//! A mailbox on a server that behaves like Exchange, a database, and what must hold whatever the server does.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::support::{Intake, MOVE, mail};
use devstack::exchange::{Habits, Message};
use devstack::{Database, Exchange, Postgres};
use postroom::config::Config;
use postroom::intake;
use postroom::mailbox;

/// All that a client of ours ever says. No number of a message, no EXPUNGE and no CLOSE is among it.
const SAID: [&str; 13] = [
    "IDLE",
    "CAPABILITY",
    "LOGIN",
    "LOGOUT",
    "LIST",
    "CREATE",
    "SELECT",
    "UID FETCH",
    "UID MOVE",
    "UID COPY",
    "UID STORE",
    "UID EXPUNGE",
    "NOOP",
];

/// Those of them that change a message.
const CHANGES: [&str; 4] = ["UID MOVE", "UID COPY", "UID STORE", "UID EXPUNGE"];

const CONFIG: &str = "postroom.toml";

/// How often a server may break off before something must have come of it.
const MAX_FAILURES: usize = 12;

/// A mailbox, a database, and a worker's intake.
pub(super) struct Outlook {
    pub(super) exchange: Exchange,
    pub(super) database: Database,
    pub(super) intake: Intake,
    /// Every mail that came to the inbox.
    seeds: Vec<Vec<u8>>,
    folder: tempfile::TempDir,
}

impl Outlook {
    pub(super) async fn new() -> Self {
        Self::with(Habits::default(), MOVE, "").await
    }

    /// A server with these habits, a policy, and `sections` of the configuration in place of defaults.
    pub(super) async fn with(habits: Habits, settle: &str, sections: &str) -> Self {
        Self::start(habits, settle, sections, "60s").await
    }

    /// A worker that waits half a second for an answer. On a busy machine it may give up one that comes.
    pub(super) async fn impatient() -> Self {
        Self::start(Habits::default(), MOVE, "", "500ms").await
    }

    async fn start(habits: Habits, settle: &str, sections: &str, timeout: &str) -> Self {
        let exchange = Exchange::start(habits).await.unwrap();
        let database = Postgres::shared().await.unwrap().database().await.unwrap();
        let folder = tempfile::tempdir().unwrap();
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
            connect_timeout = "{timeout}"
            command_timeout = "{timeout}"
            stall_timeout = "{timeout}"
            "#,
            database = database.url(),
            host = exchange.host(),
            port = exchange.port(),
            ca = exchange.ca_pem_path().display(),
            user = exchange.user(),
            password = exchange.password(),
        );
        let path = folder.path().join(CONFIG);
        std::fs::write(&path, text).unwrap();
        let intake = Intake::new(Config::load(Some(&path), []).unwrap()).await;
        Self { exchange, database, intake, seeds: Vec::new(), folder }
    }

    /// The configuration file, for a worker of its own.
    pub(super) fn config_file(&self) -> PathBuf {
        self.folder.path().join(CONFIG)
    }

    /// Delivers mails that differ from all others.
    pub(super) fn deliver(&mut self, count: usize) -> Vec<u32> {
        (0..count).map(|_| self.deliver_one(&mail(&format!("m{}", self.seeds.len()), ""))).collect()
    }

    /// Delivers a mail, its line ends made CRLF.
    pub(super) fn deliver_one(&mut self, source: &[u8]) -> u32 {
        let text = String::from_utf8(source.to_vec()).unwrap();
        self.deliver_as_it_is(text.replace('\n', "\r\n").into_bytes())
    }

    pub(super) fn deliver_as_it_is(&mut self, source: Vec<u8>) -> u32 {
        let uid = self.exchange.deliver(&source).unwrap();
        self.seeds.push(source);
        uid
    }

    /// Takes it for granted that this mail came to the inbox.
    pub(super) fn expect(&mut self, source: Vec<u8>) {
        self.seeds.push(source);
    }

    /// Changes a message of the inbox.
    pub(super) fn change(&self, uid: u32, change: impl FnOnce(&mut Message)) {
        self.exchange.change(|mailbox| change(mailbox.folder("INBOX").unwrap().message(uid).unwrap()));
    }

    /// One cycle after the other, each in a new session, until one ends well. Gives why the others did not.
    pub(super) async fn empty(&self) -> Vec<intake::Error> {
        let mut failures = Vec::new();
        while let Err(failure) = self.intake.cycle().await {
            failures.push(failure);
            assert!(failures.len() < MAX_FAILURES, "it never ends: {failures:?}");
        }
        failures
    }

    /// Why the next cycle fails, which must be the mailbox's fault.
    pub(super) async fn mailbox_error(&self) -> mailbox::Error {
        let error = self.intake.cycle().await.unwrap_err();
        let intake::Error::Mailbox(error) = error else { unreachable!("{error:?}") };
        error
    }

    /// As [`empty`](Self::empty), once all pauses are over.
    pub(super) async fn empty_later(&self) -> Vec<intake::Error> {
        let time_passes = "UPDATE ledger SET retry_at = now() WHERE retry_at IS NOT NULL;
                           UPDATE mailboxes SET swept_at = NULL";
        self.database.rows(time_passes).await.unwrap();
        self.empty().await
    }

    /// Why messages are held, by UID.
    pub(super) async fn held(&self) -> BTreeMap<u32, String> {
        let rows = self
            .database
            .rows(
                "SELECT l.uid::text, l.reason FROM ledger l
                 JOIN mailboxes m ON m.id = l.mailbox_id AND m.uidvalidity = l.uidvalidity
                 WHERE l.state = 'held' AND l.reason IS NOT NULL",
            )
            .await
            .unwrap();
        rows.into_iter().map(|row| (row[0].parse().unwrap(), row[1].clone())).collect()
    }

    /// These many messages are in the inbox, and nothing is held against any.
    pub(super) async fn assert_only_waits(&self, count: usize) {
        assert_eq!(self.exchange.count("INBOX"), count);
        let blamed = "SELECT uid::text, state, attempts::text, coalesce(reason, '') FROM ledger
                      WHERE attempts > 0 OR state = 'held' OR reason IS NOT NULL";
        let blamed = self.database.rows(blamed).await.unwrap();
        assert!(blamed.is_empty(), "{blamed:?}");
    }

    /// What must hold in the end, and that nothing is left to do: every mail is one message with its exact source, and
    /// is in the target folder, or it is held and still in the inbox.
    pub(super) async fn assert_emptied(&self) {
        self.assert_promise().await;
        let held = self.held().await;
        for message in self.exchange.messages("INBOX") {
            assert!(held.contains_key(&message.uid), "{} is in the inbox for no reason", message.uid);
        }
        assert_eq!(self.exchange.count("Processed"), self.seeds.len() - held.len(), "each was moved, once");
    }

    /// What must hold at any time.
    pub(super) async fn assert_promise(&self) {
        let stored = self.stored().await;
        let inbox = self.exchange.messages("INBOX");
        let held = self.held().await;
        for (seed, number) in self.seeds.iter().zip(0..) {
            let place = inbox.iter().find(|message| message.source == *seed);
            let is_held = place.is_some_and(|message| held.contains_key(&message.uid));
            let times = stored.get(seed).copied().unwrap_or(0);
            assert!(
                times == 1 || (times == 0 && is_held),
                "mail {number}: stored {times} times, held: {is_held}"
            );
        }
        let strange = stored.keys().filter(|source| !self.seeds.contains(source)).count();
        assert_eq!(strange, 0, "what is stored came as mail");
        self.assert_only_ours().await;
    }

    /// No command but ours was sent, and none changed a message that is not stored.
    async fn assert_only_ours(&self) {
        let rows = "SELECT uidvalidity::text, uid::text FROM ledger WHERE message_id IS NOT NULL";
        let rows = self.database.rows(rows).await.unwrap();
        let stored: BTreeSet<(u32, u32)> =
            rows.iter().map(|row| (row[0].parse().unwrap(), row[1].parse().unwrap())).collect();
        for command in self.exchange.commands() {
            assert!(SAID.contains(&command.name.as_str()), "{}", command.line());
            if CHANGES.contains(&command.name.as_str()) {
                assert!(!command.arguments.contains('*'), "{}", command.line());
                let uidvalidity = command.uidvalidity.unwrap();
                for uid in command.uids_among(&(1..10_000).collect::<Vec<_>>()) {
                    assert!(stored.contains(&(uidvalidity, uid)), "not in the ledger: {}", command.line());
                }
            }
        }
    }

    /// The stored sources, and how often each is.
    async fn stored(&self) -> BTreeMap<Vec<u8>, usize> {
        let rows = "SELECT s.size::text, encode(s.bytes, 'hex')
                    FROM messages m JOIN sources s ON s.message_id = m.id WHERE s.extent = 'whole'";
        let mut stored = BTreeMap::new();
        for row in self.database.rows(rows).await.unwrap() {
            let source = zstd::bulk::decompress(&unhex(&row[1]), row[0].parse().unwrap()).unwrap();
            *stored.entry(source).or_insert(0) += 1;
        }
        stored
    }
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

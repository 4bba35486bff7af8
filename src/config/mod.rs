//! What an administrator decides. Two stages: what was written, and what the program may rely on.
//!
//! What was written is a tree of values, put together from three layers (`layer`): the embedded
//! `config/postroom.toml`, the file, the environment. Each section reads its own part of it (`section`) into
//! the types below, and notes what is wrong instead of stopping (`problem`).
//!
//! Invariant: a [`Config`] is complete and consistent; nobody checks it again. Invariant: nothing private is
//! in its `Debug`, in [`Config::redacted`] or in a [`Problem`].

mod auth;
mod client_proof;
mod database;
mod delivery;
mod filing;
mod intake;
mod layer;
mod log;
mod mailbox;
mod oauth2;
mod ops;
mod problem;
mod provider;
mod redacted;
mod rule;
mod secret;
mod secrets;
mod section;
mod token_command;
mod tracker;
mod units;
mod value;
mod webhook;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

pub use auth::Auth;
pub use client_proof::ClientProof;
pub use database::Database;
pub use delivery::Delivery;
pub use filing::{Action, Actions, Filing, NewTopic};
pub use intake::Intake;
pub use layer::PREFIX as ENVIRONMENT_PREFIX;
pub use log::{Log, LogFormat};
pub use mailbox::{IpFamily, Mailbox, Settle};
pub use oauth2::{Flow, OAuth2};
pub use ops::Ops;
pub use problem::{Problem, Problems};
pub use provider::Provider;
pub use secrets::Secrets;
pub use token_command::TokenCommand;
pub use tracker::Tracker;
pub use webhook::{Preset, Webhook};

use crate::rule::Rule;

use section::{Reading, Section};

/// The effective configuration: complete and checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where tickets are stored.
    pub database: Database,
    /// How mail is taken in.
    pub intake: Intake,
    /// How mail finds its ticket.
    pub filing: Filing,
    /// How deliveries are made.
    pub delivery: Delivery,
    /// The ops endpoint.
    pub ops: Ops,
    /// Logging.
    pub log: Log,
    /// What refresh tokens are encrypted with.
    pub secrets: Secrets,
    /// The mailboxes to empty. At least one; names are unique.
    pub mailboxes: Vec<Mailbox>,
    /// The webhooks to deliver to. May be empty; names are unique.
    pub webhooks: Vec<Webhook>,
    /// Other systems with ticket numbers of their own. May be empty; names are unique.
    pub trackers: Vec<Tracker>,
    /// What is done with mail of certain kinds, in order. May be empty; names are unique.
    pub rules: Vec<Rule>,
}

impl Config {
    /// Reads the embedded defaults, over them `file`, over both the `POSTROOM__…` variables of `environment`
    /// (which is `std::env::vars_os()` outside tests), and the files of secrets and certificates that they
    /// name.
    ///
    /// # Errors
    /// Every problem there is, except where the file can't be read or is no TOML: then nothing else can be
    /// judged, and that is the one reported.
    pub fn load(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, Problems> {
        let mut reading = Reading {
            problems: Problems::default(),
            origin: file
                .map_or_else(|| "no configuration file".to_owned(), |file| file.display().to_string()),
            folder: file.and_then(Path::parent).map_or_else(PathBuf::new, Path::to_path_buf),
        };
        let config = layer::merge(file, environment, &mut reading.problems)
            .and_then(|tree| Self::read(Section::new(String::new(), tree, &mut reading)));
        reading.problems.unless(config)
    }

    /// The effective configuration as TOML, with `***` for each secret. For people: it can't be loaded again.
    pub fn redacted(&self) -> String {
        let mut toml = redacted::Toml::default();
        self.database.write(&mut toml);
        self.intake.write(&mut toml);
        self.filing.write(&mut toml);
        self.delivery.write(&mut toml);
        self.ops.write(&mut toml);
        self.log.write(&mut toml);
        self.secrets.write(&mut toml);
        self.mailboxes.iter().for_each(|mailbox| mailbox.write(&mut toml));
        self.webhooks.iter().for_each(|webhook| webhook.write(&mut toml));
        self.trackers.iter().for_each(|tracker| tracker.write(&mut toml));
        self.rules.iter().for_each(|each| rule::write(each, &mut toml));
        toml.into_text()
    }

    /// The names of the webhooks, in their order.
    pub fn webhook_names(&self) -> Vec<&str> {
        self.webhooks.iter().map(|webhook| webhook.name.as_str()).collect()
    }

    fn read(mut root: Section<'_>) -> Option<Self> {
        let database = root.table("database", "a table headed [database]").and_then(Database::read);
        let intake = root.table("intake", "a table headed [intake]").and_then(Intake::read);
        let filing = root.table("filing", "a table headed [filing]").and_then(Filing::read);
        let delivery = root.table("delivery", "a table headed [delivery]").and_then(Delivery::read);
        let ops = root.table("ops", "a table headed [ops]").and_then(Ops::read);
        let log = root.table("log", "a table headed [log]").and_then(Log::read);
        let secrets = root.table("secrets", "a table headed [secrets]").and_then(Secrets::read);
        let mailboxes = read_mailboxes(&mut root);
        let webhooks = root.each("webhook", Webhook::read);
        let rules = root.each("rule", rule::read);
        let names: Vec<&str> = webhooks.iter().map(|webhook| webhook.name.as_str()).collect();
        rule::check(&rules, &names, &mut root);
        if secrets.as_ref().is_some_and(|secrets| secrets.keys.is_empty())
            && mailboxes.iter().any(signs_in_by_device)
        {
            let remedy = "a mailbox signs in by device code, and its refresh token is kept encrypted: name \
                          the key's file by key_file";
            root.note("secrets.key", "nothing", secrets::KEY_ALLOWED, Some(remedy.to_owned()));
        }
        let trackers = root.each("tracker", Tracker::read);
        root.end();
        Some(Self {
            database: database?,
            intake: intake?,
            filing: filing?,
            delivery: delivery?,
            ops: ops?,
            log: log?,
            secrets: secrets?,
            mailboxes,
            webhooks,
            trackers,
            rules,
        })
    }
}

fn signs_in_by_device(mailbox: &Mailbox) -> bool {
    matches!(&mailbox.auth, Auth::OAuth2(oauth2) if matches!(oauth2.flow, Flow::Device))
}

/// Mailboxes that would take mail from one another make tickets of tickets, so none may.
fn read_mailboxes(root: &mut Section<'_>) -> Vec<Mailbox> {
    if !root.has("mailbox") {
        let remedy = "name a file by --config FILE or POSTROOM_CONFIG, with a [[mailbox]] in it".to_owned();
        root.note("mailbox", "nothing", "at least one table headed [[mailbox]]", Some(remedy));
    }
    let mailboxes = root.each("mailbox", Mailbox::read);
    for (index, one) in mailboxes.iter().enumerate() {
        for other in mailboxes.iter().skip(index + 1).filter(|other| one.shares_account_with(other)) {
            let names = format!("{:?} and {:?}", one.name, other.name);
            if one.empties(&other.folder) {
                root.refuse("mailbox", format!("{names} emptying one folder"), "one mailbox for a folder");
            } else if one.moves_into(other) || other.moves_into(one) {
                let found = format!("{names}, of which one moves mail to the folder that the other empties");
                root.refuse("mailbox", found, "folders to move to that no mailbox empties");
            }
        }
    }
    mailboxes
}

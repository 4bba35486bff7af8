//! postroom.toml says what the program does, no more and no less.

use std::collections::{BTreeMap, BTreeSet};

use ::config::{Map, Value, ValueKind};

use super::*;
use crate::config::layer::{EMBEDDED, parse};

/// Sections, each with the dotted keys in it and the first value that is written for each.
type Keys = BTreeMap<String, BTreeMap<String, String>>;

/// The keys of a document, those in example lines (`#key = …`) too.
fn keys_of(document: &str) -> Keys {
    let mut keys = Keys::new();
    let mut section = String::new();
    for line in document.lines() {
        let line = if line.starts_with("# ") { "" } else { line.trim_start_matches('#') };
        if line.starts_with('[') {
            section = line.trim_matches(['[', ']']).to_owned();
        } else if !line.is_empty() {
            let table = parse(line);
            assert!(!table.is_empty(), "not TOML: {line}");
            flatten("", &table, keys.entry(section.clone()).or_default());
        }
    }
    keys
}

fn flatten(prefix: &str, table: &Map<String, Value>, keys: &mut BTreeMap<String, String>) {
    for (key, value) in table {
        match &value.kind {
            ValueKind::Table(table) => flatten(&format!("{prefix}{key}."), table, keys),
            kind => {
                keys.entry(format!("{prefix}{key}")).or_insert_with(|| kind.to_string());
            }
        }
    }
}

fn names(keys: &Keys) -> BTreeSet<String> {
    keys.iter().flat_map(|(section, keys)| keys.keys().map(move |key| format!("{section}.{key}"))).collect()
}

/// The keys that the program knows: it names them when it meets one that it does not know.
fn known() -> BTreeSet<String> {
    let odd = r#"
        [database]
        zzz = 1
        [intake]
        zzz = 1
        [filing]
        zzz = 1
        [filing.actions]
        zzz = 1
        [delivery]
        zzz = 1
        [ops]
        zzz = 1
        [log]
        zzz = 1
        [secrets]
        zzz = 1
        [[mailbox]]
        zzz = 1
        auth = { kind = "password", zzz = 1 }
        settle = { kind = "move", zzz = 1 }
        [[mailbox]]
        auth = { kind = "oauth2", flow = "device", zzz = 1 }
        [[mailbox]]
        auth = { kind = "oauth2", flow = "client_credentials", zzz = 1 }
        [[mailbox]]
        auth = { kind = "token_command", zzz = 1 }
        [[webhook]]
        zzz = 1
        [[tracker]]
        zzz = 1
        [[rule]]
        zzz = 1
    "#;
    let mut known = BTreeSet::new();
    for problem in load(odd).unwrap_err().iter() {
        if let Some(section) = problem.key.strip_suffix("zzz") {
            let keys = problem.allowed.strip_prefix("one of ").unwrap().split(", ");
            let (list, table) = section
                .split_once('[')
                .map_or((section, ""), |(list, rest)| (list, rest.split_once(']').unwrap().1));
            known.extend(keys.map(|key| format!("{list}{table}{key}")));
        }
    }
    // Tables, whose keys stand for them.
    assert!(known.remove("mailbox.auth") && known.remove("mailbox.settle") && known.remove("filing.actions"));
    known
}

#[test]
fn every_documented_key_is_known_and_every_known_key_documented() {
    assert_eq!(names(&keys_of(EMBEDDED)), known());
}

#[test]
fn the_documented_defaults_of_mailboxes_and_webhooks_are_those_in_force() {
    let documented = keys_of(EMBEDDED);

    for (section, defaults) in [
        ("mailbox", mailbox::DEFAULTS),
        ("mailbox.auth", oauth2::DEFAULTS),
        ("mailbox.auth", token_command::DEFAULTS),
        ("webhook", webhook::DEFAULTS),
    ] {
        let mut keys = BTreeMap::new();
        flatten("", &parse(defaults), &mut keys);
        assert!(!keys.is_empty());
        for (key, value) in keys {
            assert_eq!(documented[section].get(&key), Some(&value), "{section}.{key}");
        }
    }
}

#[test]
fn the_documented_defaults_need_nothing_but_a_database_and_a_mailbox() {
    let problems = Config::load(None, []).unwrap_err();

    let keys: Vec<_> = problems.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(keys, ["database.url", "mailbox"]);
}

#[test]
fn the_redacted_form_is_toml_with_every_key() {
    let redacted = sign_in::of_every_kind().load().unwrap().redacted();

    // What is in effect, and not the other ways to write it. Of certificates there is a comment, and of their key
    // nothing.
    let other_ways = [
        "database.url_file",
        "mailbox.provider",
        "mailbox.ca_file",
        "mailbox.auth.ca_file",
        "mailbox.auth.certificate_file",
        "mailbox.auth.client_secret_file",
        "mailbox.auth.password_file",
        "mailbox.auth.private_key_file",
        "secrets.key_file",
        "secrets.previous_key_file",
        "filing.token_key_file",
        "filing.previous_token_key_file",
        "webhook.secret_file",
        "webhook.previous_secret_file",
        "webhook.ca_file",
    ];
    let expected: BTreeSet<_> =
        known().into_iter().filter(|key| !other_ways.contains(&key.as_str())).collect();
    assert!(!parse(&redacted).is_empty(), "{redacted}");
    assert_eq!(names(&keys_of(&redacted)), expected);
    assert_eq!(redacted.matches("\n# ca_file: certificates read: 1\n").count(), 3, "{redacted}");
    assert_eq!(redacted.matches("\n# certificate_file: certificates read: 1\n").count(), 1, "{redacted}");
}

#[test]
fn odd_characters_survive_the_redacted_form() {
    let odd = r#"a "quoted" \ folder: üñ …"#;

    let redacted = load(&format!("{LEAST}folder = '{odd}'")).unwrap().redacted();

    assert_eq!(keys_of(&redacted)["mailbox"]["folder"], odd);
}

//! The rules that no compiler checks.

#![expect(clippy::unwrap_used, reason = "a file that can't be read is a failed test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The layers of `src/lib.rs`, top down. A module uses its own layer's vocabulary and the layers above it.
const VOCABULARY: &[&str] =
    &["config", "event", "mail", "message", "metric", "retry", "rule", "seal", "step", "text", "ticket"];
const PORTS: &[&str] = &["archive", "mailbox", "microsoft", "store", "token_command", "webhook"];
const FLOWS: &[&str] = &["credentials", "delivery", "intake"];
const PROCESS: &[&str] = &["app", "cli", "ops", "telemetry"];

/// Which client crate belongs to which modules alone. `telemetry` may name all, for it holds down their logging.
const OWNED: &[(&str, &[&str])] = &[
    ("async_imap", &["mailbox"]),
    ("tokio_native_tls", &["mailbox"]),
    ("openssl", &["config", "microsoft", "seal"]),
    ("sqlx", &["store"]),
    ("reqwest", &["microsoft", "webhook"]),
    ("mail_parser", &["mail"]),
    ("ammonia", &["mail"]),
    ("chardetng", &["mail"]),
    ("encoding_rs", &["mail"]),
    ("html5ever", &["mail"]),
    ("backoff", &["retry"]),
    ("rustix", &["token_command"]),
    ("axum", &["ops"]),
    ("clap", &["cli"]),
];

#[test]
fn dependencies_point_down() {
    for (path, text) in sources("src") {
        let module = module_of(&path);
        if module == "lib" || module == "main" {
            continue;
        }
        for line in text.lines().map(str::trim).filter(|line| !line.starts_with("//")) {
            assert!(
                !line.contains("use crate::{") && !line.contains("super::super"),
                "{}: write one `use crate::module::…` a line, so that edges can be seen: {line}",
                path.display()
            );
            for used in line.split("crate::").skip(1).map(word) {
                assert!(may_use(&module, used), "{}: {module} must not use {used}: {line}", path.display());
            }
        }
    }
}

#[test]
fn every_module_has_its_layer() {
    let lib = fs::read_to_string("src/lib.rs").unwrap();
    let declared: BTreeSet<&str> =
        lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    let layered: BTreeSet<&str> = [VOCABULARY, PORTS, FLOWS, PROCESS].concat().into_iter().collect();
    assert_eq!(declared, layered);
}

#[test]
fn client_crates_stay_in_their_port() {
    for (path, text) in sources("src") {
        let module = module_of(&path);
        for (name, owners) in OWNED {
            let used = text.lines().any(|line| {
                let line = line.trim();
                !line.starts_with("//")
                    && (line.contains(&format!("{name}::")) || line.contains(&format!("use {name};")))
            });
            let allowed = owners.contains(&module.as_str())
                || module == "telemetry"
                || (*name == "clap" && module == "main");
            assert!(!used || allowed, "{}: only {owners:?} may name {name}", path.display());
        }
    }
}

#[test]
fn every_file_says_what_it_is_for() {
    for root in ["src", "tests", "benches", "fuzz/src", "fuzz/fuzz_targets"] {
        for (path, text) in sources(root) {
            assert!(text.starts_with("//!"), "{}: begin with `//!`", path.display());
        }
    }
}

#[test]
fn files_stay_readable() {
    for (path, text) in sources("src") {
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().lines().count();
        assert!(code <= 450, "{}: {code} lines; split it", path.display());
    }
}

#[test]
fn tests_wait_for_conditions_and_not_for_time() {
    for (path, text) in sources("tests") {
        let name = path.to_string_lossy().replace('\\', "/");
        if name.contains("devstack/src") || name.ends_with("tests/tidy.rs") {
            continue;
        }
        assert!(!text.contains("sleep("), "{name}: poll for a condition with a limit");
        assert!(!text.contains("#[ignore"), "{name}: a test runs or goes");
    }
}

#[test]
fn nothing_is_left_to_do() {
    for root in ["src", "tests", "benches", "fuzz/src", "fuzz/fuzz_targets"] {
        for (path, text) in sources(root) {
            if path.ends_with("tidy.rs") {
                continue;
            }
            for word in ["TODO", "FIXME", "XXX:", "HACK"] {
                assert!(!text.contains(word), "{}: {word}", path.display());
            }
        }
    }
}

#[test]
fn dependencies_are_lean_and_explained() {
    for manifest in ["Cargo.toml", "tests/devstack/Cargo.toml", "fuzz/Cargo.toml"] {
        let text = fs::read_to_string(manifest).unwrap();
        let mut explained = false;
        let mut section = "";
        for line in text.lines() {
            if line.starts_with('[') {
                section = line;
            } else if line.starts_with('#') {
                explained = true;
            } else if line.is_empty() {
                explained = false;
            } else if section.ends_with("dependencies]") && !line.starts_with("devstack") {
                assert!(explained, "{manifest}: say what it is for: {line}");
                assert!(line.contains("default-features = false"), "{manifest}: name the features: {line}");
            }
        }
    }
}

#[test]
fn every_invariant_names_a_test_that_exists() {
    let architecture = fs::read_to_string("ARCHITECTURE.md").unwrap();
    let tests: String =
        ["src", "tests"].iter().flat_map(|root| sources(root)).map(|(_, text)| text).collect();
    let invariants = architecture.split("## Invariants").nth(1).unwrap().split("\n## ").next().unwrap();
    let mut numbered = 0;
    for line in invariants.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_digit())) {
        numbered += 1;
        let named: Vec<&str> = line.split('`').skip(1).step_by(2).filter(|name| name.contains('_')).collect();
        assert!(!named.is_empty(), "no test named: {line}");
        for name in named {
            assert!(tests.contains(&format!("fn {name}(")), "no such test: {name}");
        }
    }
    assert_eq!(numbered, 10, "the promise has ten invariants, one a line");
}

/// Every Rust file below `root`, but none of the devstack's build output.
fn sources(root: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from(root)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    assert!(!found.is_empty());
    found
}

fn module_of(path: &Path) -> String {
    let first = path.strip_prefix("src").unwrap().components().next().unwrap().as_os_str().to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

fn may_use(module: &str, used: &str) -> bool {
    let layers = [VOCABULARY, PORTS, FLOWS, PROCESS];
    let layer = |name: &str| layers.iter().position(|layer| layer.contains(&name));
    let (Some(mine), Some(theirs)) = (layer(module), layer(used)) else { return false };
    // Ports do not see each other, nor do flows. Vocabulary and process modules may.
    module == used || theirs < mine || (mine == theirs && (mine == 0 || mine == 3))
}

fn word(rest: &str) -> &str {
    rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default()
}

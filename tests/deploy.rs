//! What is in `deploy/` fits the program, as far as that can be told without running it.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a failed setup step is a failed test")]

use std::fs;
use std::time::Duration;

use postroom::config::Config;

const SECRETS: [(&str, &str); 3] = [
    ("database-url", "postgres://postroom:hidden@database/postroom"),
    ("postroom-key", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="),
    ("webhook-helpdesk", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oDqZTSDtKRmbM="),
];

const CONFIGURATIONS: [(&str, &str); 2] = [
    ("deploy/postroom.toml", "/run/secrets"),
    ("deploy/kubernetes/base/postroom.toml", "/run/secrets/postroom"),
];

#[test]
fn the_configurations_are_valid() {
    for (path, secrets) in CONFIGURATIONS {
        load(path, secrets);
    }
}

#[test]
fn every_secret_is_handed_over() {
    for (path, secrets) in CONFIGURATIONS {
        for (secret, _) in SECRETS {
            assert!(read(path).contains(&format!("_file = \"{secrets}/{secret}\"")), "{path}: {secret}");
        }
    }
    for (secret, _) in SECRETS {
        assert!(read("deploy/compose.yaml").contains(&format!("file: ./secrets/{secret}\n")), "{secret}");
        assert!(
            read("deploy/kubernetes/base/secret.example.yaml").contains(&format!("\n  {secret}: ")),
            "{secret}"
        );
        assert!(
            read("deploy/systemd/postroom.service").contains(&format!("\nLoadCredential={secret}:")),
            "{secret}"
        );
    }
}

#[test]
fn a_stop_is_given_more_time_than_the_worker_takes() {
    let (configuration, secrets) = CONFIGURATIONS[0];
    let grace = load(configuration, secrets).ops.shutdown_grace;

    for (path, key) in [
        ("deploy/compose.yaml", "stop_grace_period: "),
        ("deploy/systemd/postroom.service", "TimeoutStopSec="),
        ("deploy/kubernetes/base/deployment.yaml", "terminationGracePeriodSeconds: "),
    ] {
        let text = read(path);
        let value = text.split(key).nth(1).unwrap().lines().next().unwrap();
        let given = Duration::from_secs(value.trim_end_matches('s').parse().unwrap());

        // Beyond the grace period, the last answers of the ops endpoint and of the database.
        assert!(
            given >= grace + Duration::from_secs(10),
            "{path}: {given:?} for a grace period of {grace:?}"
        );
    }
}

#[test]
fn the_image_is_built_with_the_compiler_of_this_repository() {
    let pinned = read("rust-toolchain.toml");
    let channel = pinned.split('"').nth(1).unwrap();
    let (series, _patch) = channel.rsplit_once('.').unwrap();

    let dockerfile = read("deploy/Dockerfile");

    assert!(dockerfile.contains(&format!("\nFROM rust:{series}-")), "{channel}");
    assert!(dockerfile.contains(&format!("\nENV RUSTUP_TOOLCHAIN={channel}\n")), "{channel}");
}

#[test]
fn the_builder_is_sent_what_the_image_copies() {
    let sent = read("deploy/Dockerfile.dockerignore");
    let dockerfile = read("deploy/Dockerfile");
    let copied = dockerfile
        .lines()
        .filter_map(|line| line.strip_prefix("COPY "))
        .filter(|line| !line.starts_with("--"));

    for line in copied {
        let (sources, _target) = line.rsplit_once(' ').unwrap();
        for source in sources.split(' ') {
            assert!(sent.lines().any(|line| line == format!("!{source}")), "{source}");
            assert!(fs::exists(source).unwrap(), "{source}");
        }
    }
}

/// Loads a configuration with its secrets in a folder of the test's own.
fn load(path: &str, secrets: &str) -> Config {
    let folder = tempfile::tempdir().unwrap();
    for (name, value) in SECRETS {
        fs::write(folder.path().join(name), value).unwrap();
    }
    let file = folder.path().join("postroom.toml");
    let here = format!("\"{}/", folder.path().display());
    fs::write(&file, read(path).replace(&format!("\"{secrets}/"), &here)).unwrap();
    Config::load(Some(&file), []).unwrap_or_else(|problems| panic!("{path}: {problems}"))
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

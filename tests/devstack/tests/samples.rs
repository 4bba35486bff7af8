//! The samples are what they say they are.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use devstack::{Sample, samples};

/// The first line of a header, without its name.
fn header(sample: &Sample, name: &str) -> Option<String> {
    let text = String::from_utf8_lossy(sample.bytes);
    let head = text.split("\n\n").next()?;
    let line =
        head.lines().find(|line| line.to_lowercase().starts_with(&format!("{}:", name.to_lowercase())))?;
    Some(line.split_once(": ")?.1.to_owned())
}

#[test]
fn every_file_is_a_sample() -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples");
    let mut files: Vec<String> = Vec::new();
    for entry in fs::read_dir(folder)? {
        files.push(entry?.file_name().to_string_lossy().into_owned());
    }
    files.sort();

    let names: Vec<String> = samples().iter().map(|sample| format!("{}.eml", sample.name)).collect();

    assert_eq!(names, files);
    assert!(names.len() >= 40);
    Ok(())
}

#[test]
fn samples_have_the_line_ends_of_a_maildir() {
    for sample in samples() {
        assert!(!sample.bytes.contains(&b'\r'), "{}", sample.name);
    }
}

#[test]
fn nobody_real_is_in_them() {
    for sample in samples() {
        let text = String::from_utf8_lossy(sample.bytes);
        let is_of_a_host = |c: char| c.is_ascii_alphanumeric() || ".-".contains(c);
        for rest in text.split('@').skip(1).chain(text.split("://").skip(1)) {
            let host = rest.split(|c| !is_of_a_host(c)).next().unwrap_or_default().trim_end_matches('.');
            // Japanese in ISO-2022-JP is written in ASCII, the @ included.
            if !host.contains('.') {
                continue;
            }
            let reserved = ["example.com", "example.org", "example.net"].iter().any(|domain| {
                host == *domain || host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
            });
            assert!(reserved, "{}: {host:?}", sample.name);
        }
    }
}

#[test]
fn replies_come_after_what_they_reply_to() {
    let mut seen = HashSet::new();
    let mut found = 0;
    for sample in samples() {
        let replied = ["In-Reply-To", "References"].iter().find_map(|name| header(sample, name));
        // Those named `unknown` or `ours` are not among the samples, on purpose.
        if let Some(id) = replied.as_deref().and_then(|ids| ids.split(' ').next_back())
            && !id.contains("<unknown-")
            && !id.contains("<ours-")
        {
            assert!(seen.contains(id), "{} replies to {id}", sample.name);
            found += 1;
        }
        seen.extend(header(sample, "Message-ID"));
    }
    assert!(found >= 4, "{found} replies");
}

#[test]
fn what_is_hard_to_keep_in_a_repository_is_still_there() -> Result<()> {
    let sample = |part: &str| {
        samples().iter().find(|sample| sample.name.contains(part)).with_context(|| part.to_owned())
    };

    assert!(sample("nul-byte")?.bytes.contains(&0));
    assert!(std::str::from_utf8(sample("unlabelled-8-bit")?.bytes).is_err());
    assert!(sample("windows-1252")?.bytes.contains(&0x93));
    assert!(sample("iso-2022-jp")?.bytes.windows(3).any(|bytes| bytes == b"\x1b$B"));
    assert!(!sample("truncated")?.bytes.ends_with(b"\n"));
    assert_eq!(header(sample("no-message-id")?, "Message-ID"), None);
    assert_eq!(header(sample("no-date")?, "Date"), None);
    Ok(())
}

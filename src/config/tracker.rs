//! `[[tracker]]`

use std::fmt;

use regex::Regex;

use super::redacted::Toml;
use super::section::Section;

/// Another system that writes to the mailbox and gives each matter a number of its own.
#[derive(Clone)]
pub struct Tracker {
    /// What it is called here.
    pub name: String,
    /// Finds its number in a subject: what the first group matches, or all of it.
    pub pattern: Regex,
    /// The domains that it writes from, in lower case. Private.
    pub domains: Vec<String>,
}

impl Tracker {
    pub(super) fn read(mut section: Section<'_>) -> Option<Self> {
        let name = section.name();
        let pattern = read_pattern(&mut section);
        let domains = read_domains(&mut section);
        section.end();
        Some(Self { name: name?, pattern: pattern?, domains: domains? })
    }

    pub(super) fn write(&self, toml: &mut Toml) {
        toml.header("[[tracker]]");
        toml.text("name", &self.name);
        toml.text("pattern", self.pattern.as_str());
        toml.list("domains", self.domains.iter().map(String::as_str));
    }
}

// By hand: domains are private.
impl fmt::Debug for Tracker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracker").field("name", &self.name).finish_non_exhaustive()
    }
}

fn read_domains(section: &mut Section<'_>) -> Option<Vec<String>> {
    let allowed = r#"a list such as ["service-now.example.com"]"#;
    if !section.has("domains") {
        return section.missing("domains", allowed);
    }
    let domains = section.texts("domains", allowed, |domain| !domain.contains(['@', ' ', ',']))?;
    Some(domains.iter().map(|domain| domain.to_ascii_lowercase()).collect())
}

fn read_pattern(section: &mut Section<'_>) -> Option<Regex> {
    let allowed = r"a regular expression such as '\b(INC\d{7})\b', in single quotes";
    let pattern = section.required_text("pattern", allowed)?;
    match Regex::new(&pattern) {
        Ok(pattern) if !pattern.is_match("") => return Some(pattern),
        Ok(_) => section.refuse("pattern", "one that matches nothing at all", allowed),
        Err(_) => section.refuse("pattern", "one that can't be read", allowed),
    }
    None
}

//! `[[rule]]`

use crate::mail::Verdict;
use crate::rule::{Conditions, Effects, Pattern, Priority, Rule, Status};

use super::redacted::Toml;
use super::section::Section;

const CONDITIONS: [&str; 8] =
    ["from", "to", "subject", "header", "verdict", "larger", "smaller", "has_attachment"];

const EFFECTS: [&str; 6] = ["tag", "priority", "status", "webhook", "suspend", "stop"];

/// As large as a size may be written.
const MAX_SIZE: u64 = 500 << 20;

const PATTERN: &str = "a pattern such as \"*@example.com\", or a regular expression between slashes such as \
                       '/order \\d+/', or a list of these";

const HEADER: &str = "a header field and a pattern such as \"X-Spam-Flag: YES\", or a list of these";

pub(super) fn read(mut section: Section<'_>) -> Option<Rule> {
    let name = section.name();
    if !CONDITIONS.into_iter().any(|key| section.has(key)) {
        let allowed = format!("at least one of {}", CONDITIONS.join(", "));
        let remedy = r#"for all mail, from = "*""#.to_owned();
        section.note("from", "a rule without a condition", &allowed, Some(remedy));
    }
    if !EFFECTS.into_iter().any(|key| section.has(key)) {
        let allowed = format!("at least one of {}", EFFECTS.join(", "));
        section.refuse("tag", "a rule from which nothing follows", &allowed);
    }
    let conditions = read_conditions(&mut section);
    let effects = read_effects(&mut section);
    let stop = section.boolean("stop").unwrap_or(false);
    section.end();
    Some(Rule { name: name?, conditions: conditions?, effects: effects?, stop })
}

pub(super) fn write(rule: &Rule, toml: &mut Toml) {
    toml.header("[[rule]]");
    toml.text("name", &rule.name);
    let Conditions { from, to, subject, header, verdict, larger, smaller, has_attachment } = &rule.conditions;
    // Patterns are mostly of addresses.
    for (key, patterns) in [("from", from), ("to", to), ("subject", subject)] {
        if !patterns.is_empty() {
            toml.list(key, patterns.iter().map(|_| "***"));
        }
    }
    if !header.is_empty() {
        toml.list("header", header.iter().map(|_| "***"));
    }
    if !verdict.is_empty() {
        toml.list("verdict", verdict.iter().map(|verdict| verdict.as_str()));
    }
    for (key, size) in [("larger", larger), ("smaller", smaller)] {
        if let Some(size) = size {
            toml.size(key, *size);
        }
    }
    if let Some(has_attachment) = has_attachment {
        toml.plain("has_attachment", has_attachment);
    }
    let Effects { tags, priority, status, webhooks, suspend } = &rule.effects;
    if !tags.is_empty() {
        toml.list("tag", tags.iter().map(String::as_str));
    }
    if let Some(priority) = priority {
        toml.text("priority", priority.as_str());
    }
    if let Some(status) = status {
        toml.text("status", status.as_str());
    }
    if !webhooks.is_empty() {
        toml.list("webhook", webhooks.iter().map(String::as_str));
    }
    toml.plain("suspend", suspend);
    toml.plain("stop", rule.stop);
}

/// Notes rules that name webhooks which there are not.
pub(super) fn check(rules: &[Rule], webhooks: &[&str], root: &mut Section<'_>) {
    for rule in rules {
        for name in rule.effects.webhooks.iter().filter(|name| !webhooks.contains(&name.as_str())) {
            let known = webhooks.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
            let allowed = if known.is_empty() {
                "none: there is no [[webhook]]".to_owned()
            } else {
                format!("one of {known}")
            };
            root.refuse("rule", format!("rule {:?} naming a webhook {name:?}", rule.name), &allowed);
        }
    }
}

fn read_conditions(section: &mut Section<'_>) -> Option<Conditions> {
    let from = patterns(section, "from");
    let to = patterns(section, "to");
    let subject = patterns(section, "subject");
    let header = headers(section);
    let verdict = verdicts(section);
    let larger = section.size("larger", MAX_SIZE);
    let smaller = section.size("smaller", MAX_SIZE);
    if let (Some(larger), Some(smaller)) = (larger, smaller)
        && smaller <= larger.saturating_add(1)
    {
        section.refuse(
            "smaller",
            "a size that nothing has which is larger than `larger`",
            "more than `larger`",
        );
    }
    let has_attachment = section.boolean("has_attachment");
    Some(Conditions {
        from: from?,
        to: to?,
        subject: subject?,
        header: header?,
        verdict: verdict?,
        larger,
        smaller,
        has_attachment,
    })
}

fn read_effects(section: &mut Section<'_>) -> Option<Effects> {
    let tags = list(section, "tag", "1 to 40 of the characters a-z, 0-9 and -, or a list of these", is_name);
    let priority = section.choice("priority", &Priority::NAMES);
    let status = section.choice("status", &Status::NAMES);
    let webhooks = list(section, "webhook", "the name of a [[webhook]], or a list of these", is_name);
    let suspend = section.boolean("suspend").unwrap_or(false);
    Some(Effects { tags: tags?, priority, status, webhooks: webhooks?, suspend })
}

/// Reads what may be missing. Of single values no flaw is passed on: it is noted, and then there is no configuration.
fn list(
    section: &mut Section<'_>,
    key: &'static str,
    allowed: &str,
    is_sound: fn(&str) -> bool,
) -> Option<Vec<String>> {
    if section.has(key) { section.text_or_texts(key, allowed, is_sound) } else { Some(Vec::new()) }
}

fn patterns(section: &mut Section<'_>, key: &'static str) -> Option<Vec<Pattern>> {
    let written = list(section, key, PATTERN, |text| Pattern::read(text).is_some())?;
    Some(written.iter().filter_map(|text| Pattern::read(text)).collect())
}

fn verdicts(section: &mut Section<'_>) -> Option<Vec<Verdict>> {
    let allowed = format!("one of {}, or a list of these", Verdict::ALL.map(Verdict::as_str).join(", "));
    let written = list(section, "verdict", &allowed, |name| verdict(name).is_some())?;
    Some(written.iter().filter_map(|name| verdict(name)).collect())
}

fn verdict(name: &str) -> Option<Verdict> {
    Verdict::ALL.into_iter().find(|verdict| verdict.as_str() == name)
}

fn headers(section: &mut Section<'_>) -> Option<Vec<(String, Pattern)>> {
    let written = list(section, "header", HEADER, |text| read_header(text).is_some())?;
    Some(written.iter().filter_map(|text| read_header(text)).collect())
}

fn read_header(text: &str) -> Option<(String, Pattern)> {
    let (name, pattern) = text.split_once(':')?;
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
    let pattern = Pattern::read(pattern.trim())?;
    is_name.then(|| (name.to_ascii_lowercase(), pattern))
}

fn is_name(text: &str) -> bool {
    (1..=40).contains(&text.len())
        && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

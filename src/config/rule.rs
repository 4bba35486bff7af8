//! `[[rule]]`

use crate::rule::{Conditions, Effects, Pattern, Priority, Rule, Status, VERDICTS};

use super::redacted::Toml;
use super::section::Section;

/// As large as a size may be written.
const MAX_SIZE: u64 = 500 << 20;

const PATTERN: &str = "a pattern such as \"*@example.com\", or a regular expression between slashes such as \
                       '/order \\d+/', or a list of these";

const HEADER: &str = "a header field and a pattern such as \"X-Spam-Flag: YES\", or a list of these";

pub(super) fn read(mut section: Section<'_>) -> Option<Rule> {
    let name = section.name();
    let conditions = read_conditions(&mut section);
    let effects = read_effects(&mut section);
    let stop = if section.has("stop") { section.boolean("stop") } else { Some(false) };
    if conditions.as_ref().is_some_and(Conditions::is_empty) {
        let allowed = "at least one of from, to, subject, header, verdict, larger, smaller, has_attachment";
        section.note(
            "from",
            "a rule without a condition",
            allowed,
            Some(r#"for all mail, from = "*""#.to_owned()),
        );
    }
    if stop == Some(false) && effects.as_ref() == Some(&Effects::default()) {
        section.refuse(
            "tag",
            "a rule from which nothing follows",
            "at least one of tag, priority, status, webhook, suspend, stop",
        );
    }
    section.end();
    Some(Rule { name: name?, conditions: conditions?, effects: effects?, stop: stop? })
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
        toml.list("verdict", verdict.iter().map(String::as_str));
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
    let allowed = format!("one of {}, or a list of these", VERDICTS.join(", "));
    let verdict = list(section, "verdict", &allowed, |verdict| VERDICTS.contains(&verdict));
    let larger = size(section, "larger");
    let smaller = size(section, "smaller");
    if let (Some(Some(larger)), Some(Some(smaller))) = (larger, smaller)
        && smaller <= larger.saturating_add(1)
    {
        section.refuse(
            "smaller",
            "a size that nothing has which is larger than `larger`",
            "more than `larger`",
        );
    }
    let has_attachment =
        if section.has("has_attachment") { section.boolean("has_attachment").map(Some) } else { Some(None) };
    Some(Conditions {
        from: from?,
        to: to?,
        subject: subject?,
        header: header?,
        verdict: verdict?,
        larger: larger?,
        smaller: smaller?,
        has_attachment: has_attachment?,
    })
}

fn read_effects(section: &mut Section<'_>) -> Option<Effects> {
    let tags = list(section, "tag", "1 to 40 of the characters a-z, 0-9 and -, or a list of these", is_name);
    let priority = choice(section, "priority", &Priority::NAMES);
    let status = choice(section, "status", &Status::NAMES);
    let webhooks = list(section, "webhook", "the name of a [[webhook]], or a list of these", is_name);
    let suspend = if section.has("suspend") { section.boolean("suspend") } else { Some(false) };
    Some(Effects {
        tags: tags?,
        priority: priority?,
        status: status?,
        webhooks: webhooks?,
        suspend: suspend?,
    })
}

/// Nothing written is no flaw here and below.
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

fn size(section: &mut Section<'_>, key: &'static str) -> Option<Option<u64>> {
    if section.has(key) { section.size(key, MAX_SIZE).map(Some) } else { Some(None) }
}

fn choice<T: Copy>(
    section: &mut Section<'_>,
    key: &'static str,
    choices: &[(&'static str, T)],
) -> Option<Option<T>> {
    if section.has(key) { section.choice(key, choices).map(Some) } else { Some(None) }
}

fn is_name(text: &str) -> bool {
    (1..=40).contains(&text.len())
        && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

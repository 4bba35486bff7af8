//! Puts the layers together: the embedded defaults, the file, the environment. The upper one wins, key by key;
//! a list is taken whole from the uppermost layer that has it.
//!
//! Environment variables are always taken as texts, and parsed where their key is read: guessing a type from the
//! look of a value would turn the password `00123` into a number.

use std::ffi::OsString;
use std::path::Path;

use config::{Config, ConfigError, FileFormat, Format as _, Map, Source, Value, ValueKind};

use super::problem::{Problem, Problems};
use super::section::name_in;

/// The documented defaults.
pub(super) const EMBEDDED: &str = include_str!("../../config/postroom.toml");

/// What environment variables that are settings begin with. Kubernetes puts `POSTROOM_PORT` and the like beside a
/// service called postroom; two underscores keep those apart.
pub const PREFIX: &str = "POSTROOM__";

/// A layer's values, as the `config` crate takes them.
#[derive(Debug, Clone)]
struct Layer(Map<String, Value>);

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        Ok(self.0.clone())
    }
}

/// All layers as one table. `None` if the file can't be read at all, so that nothing else can be judged.
pub(super) fn merge(
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    problems: &mut Problems,
) -> Option<Map<String, Value>> {
    let written = match file.map(read_file).transpose() {
        Ok(written) => written.unwrap_or_default(),
        Err(problem) => {
            problems.add(problem);
            return None;
        }
    };
    let mut variables = settings(environment, problems);
    // `MAILBOX__A__AUTH` before `MAILBOX__A__AUTH__PASSWORD`, whatever order the process got them in.
    variables.sort();

    let mut layers = Config::builder().add_source(Layer(parse(EMBEDDED))).add_source(Layer(written.clone()));
    for (variable, value) in variables {
        match key_of(&variable, &written) {
            Ok(key) => {
                let value = Value::new(Some(&origin(&variable)), ValueKind::String(value));
                layers = layers.add_source(Layer(Map::from([(key, value)])));
            }
            Err(problem) => problems.add(problem),
        }
    }
    match layers.build().ok()?.cache.kind {
        ValueKind::Table(table) => Some(table),
        _ => None,
    }
}

/// Reads one of our own TOML texts; the tests hold that each is well-formed.
pub(super) fn parse(toml: &str) -> Map<String, Value> {
    FileFormat::Toml.parse(None, toml).unwrap_or_default()
}

fn read_file(path: &Path) -> Result<Map<String, Value>, Problem> {
    let origin = path.display().to_string();
    let problem = |key: &str, found: String, allowed: &str| Problem {
        origin: origin.clone(),
        key: key.to_owned(),
        found,
        allowed: allowed.to_owned(),
        remedy: None,
    };
    let text = std::fs::read_to_string(path).map_err(|cause| {
        problem("the file itself", format!("no way to read it: {cause}"), "a readable TOML file in UTF-8")
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    FileFormat::Toml.parse(Some(&origin), text).map_err(|cause| {
        let cause = cause.to_string();
        problem("its syntax", describe_syntax_error(&cause), "TOML, see https://toml.io")
    })
}

/// The first line of the parser's message is the position and the last one the rule that was broken. Between them
/// it quotes the line, which may hold a secret.
fn describe_syntax_error(message: &str) -> String {
    let mut lines = message.lines();
    let position = lines.next().unwrap_or_default();
    match lines.next_back() {
        Some(rule) => format!("{position}: {rule}"),
        None => position.to_owned(),
    }
}

/// The variables that are ours, without their prefix.
fn settings(
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    problems: &mut Problems,
) -> Vec<(String, String)> {
    let mut settings = Vec::new();
    for (name, value) in environment {
        let Some(variable) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)) else { continue };
        match value.into_string() {
            Ok(value) => settings.push((variable.to_owned(), value)),
            Err(_) => problems.add(refuse(variable, "a value that is not UTF-8".to_owned(), "UTF-8")),
        }
    }
    settings
}

/// Where a variable goes: `DATABASE__URL` to `database.url`, `MAILBOX__SUPPORT__USERNAME` to `mailbox[2].username`,
/// if the third mailbox of the file is called support.
fn key_of(variable: &str, written: &Map<String, Value>) -> Result<String, Problem> {
    let path = variable.to_lowercase();
    let mut segments = path.split("__");
    let section = segments.next().unwrap_or_default();
    let Some(Value { kind: ValueKind::Array(tables), .. }) = written.get(section) else {
        return Ok(path.replace("__", "."));
    };
    let names = tables.iter().map(|table| match &table.kind {
        ValueKind::Table(table) => name_in(table),
        _ => None,
    });
    let wanted = segments.next().unwrap_or_default();
    let Some(index) =
        names.clone().position(|name| name.is_some_and(|name| name.replace('-', "_") == wanted))
    else {
        let names = names.flatten().map(|name| name.replace('-', "_").to_uppercase()).collect::<Vec<_>>();
        let allowed = format!(
            "{PREFIX}{}__NAME__KEY, where NAME is one of {}",
            section.to_uppercase(),
            names.join(", ")
        );
        return Err(refuse(variable, format!("no {section} of that name in the file"), &allowed));
    };
    let keys = segments.collect::<Vec<_>>().join(".");
    Ok(format!("{section}[{index}].{keys}"))
}

fn refuse(variable: &str, found: String, allowed: &str) -> Problem {
    Problem {
        origin: origin(variable),
        key: variable.to_lowercase().replace("__", "."),
        found,
        allowed: allowed.to_owned(),
        remedy: None,
    }
}

fn origin(variable: &str) -> String {
    format!("environment {PREFIX}{variable}")
}

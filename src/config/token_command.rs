//! `auth = { kind = "token_command", … }`: a program that prints access tokens, for providers that are not
//! built in.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use config::{Value, ValueKind};

use super::layer;
use super::redacted::Toml;
use super::section::Section;
use super::value::describe_kind;

/// A program that prints an access token to its standard output.
#[derive(Clone)]
pub struct TokenCommand {
    /// The program: a path, or a name that is looked up in PATH.
    pub program: PathBuf,
    /// Its arguments. May be private.
    pub arguments: Vec<String>,
    /// How long it may take. At most 5 minutes.
    pub timeout: Duration,
}

/// What need not be said, as TOML. postroom.toml shows the same values.
pub(super) const DEFAULTS: &str = r#"timeout = "30s""#;

const LONGEST_TIMEOUT: Duration = Duration::from_mins(5);

const COMMAND_ALLOWED: &str = r#"a program and its arguments, such as ["/usr/local/bin/token", "support"]"#;

impl TokenCommand {
    pub(super) fn read(mut section: Section<'_>) -> Option<Self> {
        section.fill(&layer::parse(DEFAULTS));
        let command = read_command(&mut section);
        let timeout = section.duration_up_to("timeout", LONGEST_TIMEOUT);
        let command = command.map(|(program, arguments)| (place(&section, &program), arguments));
        section.end();
        let (program, arguments) = command?;
        Some(Self { program, arguments, timeout: timeout? })
    }

    pub(super) fn write(&self, toml: &mut Toml) {
        let arguments = self.arguments.iter().map(|_| "***");
        toml.list("command", [&*self.program.to_string_lossy()].into_iter().chain(arguments));
        toml.duration("timeout", self.timeout);
    }
}

// By hand: people pass secrets as arguments.
impl fmt::Debug for TokenCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCommand").field("program", &self.program).finish_non_exhaustive()
    }
}

/// A list, or the program alone, which is all that a variable of the environment can name.
fn read_command(section: &mut Section<'_>) -> Option<(String, Vec<String>)> {
    let Some(value) = section.take("command") else {
        return section.missing("command", COMMAND_ALLOWED);
    };
    let words = match value.kind {
        ValueKind::String(program) => Ok(vec![program]),
        ValueKind::Array(words) => words.into_iter().map(word).collect(),
        other => Err(describe_kind(&other)),
    };
    let flaw = match words {
        Ok(words) if words.iter().any(|word| word.contains(char::is_control)) => "a control character",
        Ok(words) => {
            let mut words = words.into_iter();
            match words.next() {
                Some(program) if !program.trim().is_empty() => return Some((program, words.collect())),
                _ => "no program",
            }
        }
        Err(flaw) => flaw,
    };
    section.refuse("command", flaw, COMMAND_ALLOWED);
    None
}

/// As a shell has it: with a slash it is a path, without one a name.
fn place(section: &Section<'_>, program: &str) -> PathBuf {
    if program.contains('/') { section.resolve(program) } else { PathBuf::from(program) }
}

fn word(value: Value) -> Result<String, &'static str> {
    match value.kind {
        ValueKind::String(word) => Ok(word),
        _ => Err("a list with something that is not a string in it"),
    }
}

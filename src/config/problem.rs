//! What is wrong with a configuration, told so that it can be mended in one go.
//!
//! Invariant: no problem holds a secret, an address or the text around a syntax error. What was found is
//! shown only where it can't be private; elsewhere its flaw is named instead.

use std::fmt;

/// One thing to mend.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where it stands: a file, `environment POSTROOM__…`, or that there is no configuration file.
    pub origin: String,
    /// Which setting: `database.url`, `mailbox "support": auth.password_file`.
    pub key: String,
    /// What stands there.
    pub found: String,
    /// What may stand there.
    pub allowed: String,
    /// What to do, where `allowed` does not already say it.
    pub remedy: Option<String>,
}

/// Everything that is wrong with one configuration, sorted by place and key.
#[derive(Debug, Clone, Default)]
pub struct Problems(Vec<Problem>);

impl Problems {
    pub(super) fn add(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    /// Every problem, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }

    /// `value` if nothing is wrong, else all that is.
    pub(super) fn unless<T>(mut self, value: Option<T>) -> Result<T, Self> {
        self.0.sort();
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ => Err(self),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}\n  found:   {}\n  allowed: {}", self.origin, self.key, self.found, self.allowed)?;
        match &self.remedy {
            Some(remedy) => write!(f, "\n  do:      {remedy}"),
            None => Ok(()),
        }
    }
}

/// A headline, then the problems with an empty line before each.
impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => f.write_str("there is 1 problem in the configuration")?,
            n => write!(f, "there are {n} problems in the configuration")?,
        }
        self.0.iter().try_for_each(|problem| write!(f, "\n\n{problem}"))
    }
}

impl std::error::Error for Problems {}

//! A text that others are like.

use std::fmt;

use regex::{Regex, RegexBuilder};

/// A pattern without regard to case: the whole of a text, in which `*` stands for anything and `?` for one character;
/// or, between slashes, a regular expression for a part of it. Matching takes time linear in the text.
#[derive(Clone)]
pub struct Pattern {
    written: String,
    regex: Regex,
}

/// A compiled pattern takes no more memory than this.
const MAX_BYTES: usize = 1024 * 1024;

impl Pattern {
    /// Reads a pattern; `None` if it is a regular expression that can't be read or is too large, or an empty one.
    pub fn read(written: &str) -> Option<Self> {
        let inner = written.strip_prefix('/').and_then(|rest| rest.strip_suffix('/'));
        let regex = match inner {
            Some("") => return None,
            Some(regex) => regex.to_owned(),
            None => whole(written),
        };
        let regex = RegexBuilder::new(&regex)
            .case_insensitive(true)
            .dot_matches_new_line(inner.is_none())
            .size_limit(MAX_BYTES)
            .build()
            .ok()?;
        Some(Self { written: written.to_owned(), regex })
    }

    /// Whether a text is like it.
    pub fn matches(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    /// It as it was written.
    pub fn as_written(&self) -> &str {
        &self.written
    }
}

// By hand: it may be somebody's address.
impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pattern")
    }
}

/// A regular expression for the whole of a text.
fn whole(glob: &str) -> String {
    let mut regex = String::from(r"\A");
    for char in glob.chars() {
        match char {
            '*' => regex.push_str(".*"),
            '?' => regex.push('.'),
            other => regex.push_str(&regex::escape(other.encode_utf8(&mut [0; 4]))),
        }
    }
    regex.push_str(r"\z");
    regex
}

//! What a server said, fit for a log.

use std::fmt;

/// The most characters kept. Exchange's longest known answers have about 80.
const MAX_CHARS: usize = 200;

/// Shorter parts of a user name are ordinary words too often.
const MIN_NAME_CHARS: usize = 3;

/// A server's explanation of a refusal, without anything private: one line of at most 200 characters in which
/// every word that holds an `@` or a part of the user name is replaced by `[…]`.
///
/// It is for people to read. No decision hangs on it but those that a server leaves no other way to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerText(String);

impl ServerText {
    /// Cleans `text`, said to the user called `username`.
    pub(super) fn new(text: &str, username: &str) -> Self {
        let username = username.to_lowercase();
        let names: Vec<&str> = username
            .split(|c: char| c.is_whitespace() || matches!(c, '@' | '\\' | '/'))
            .filter(|name| name.chars().count() >= MIN_NAME_CHARS)
            .collect();
        let private = |word: &str| {
            let word = word.to_lowercase();
            word.contains('@') || word == username || names.iter().any(|name| word.contains(name))
        };
        let words: Vec<&str> = text
            .split(|c: char| c.is_whitespace() || c.is_control())
            .filter(|word| !word.is_empty())
            .map(|word| if private(word) { "[…]" } else { word })
            .collect();
        Self(words.join(" ").chars().take(MAX_CHARS).collect())
    }

    /// Whether it starts with one of these response codes (RFC 5530), brackets included.
    pub(super) fn has_code(&self, codes: &[&str]) -> bool {
        let text = self.0.to_ascii_uppercase();
        codes.iter().any(|code| text.starts_with(code))
    }
}

impl fmt::Display for ServerText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn clean(text: &str) -> String {
        ServerText::new(text, "Support@example.com").to_string()
    }

    #[test]
    fn an_ordinary_refusal_stays_as_it_is() {
        assert_eq!(
            clean("Request is throttled. Suggested Backoff Time: 299961 milliseconds"),
            "Request is throttled. Suggested Backoff Time: 299961 milliseconds"
        );
    }

    #[test]
    fn addresses_and_the_user_name_are_replaced() {
        assert_eq!(clean("user=<support@EXAMPLE.com>, mail of anna@corp.example"), "[…] mail of […]");
        assert_eq!(clean("User SUPPORT unknown"), "User […] unknown");
        assert_eq!(ServerText::new("no mailbox for ab", "ab").to_string(), "no mailbox for […]");
    }

    #[test]
    fn control_characters_and_line_ends_go() {
        assert_eq!(clean("a\r\n* OK\tb\u{1b}[31mred\0"), "a * OK b [31mred");
    }

    proptest! {
        #[test]
        fn whatever_comes_is_one_short_line_without_an_address(text in any::<String>()) {
            let text = clean(&text);
            prop_assert!(text.chars().count() <= MAX_CHARS);
            prop_assert!(!text.contains('@'));
            prop_assert!(!text.chars().any(char::is_control));
        }
    }
}

//! What a server said, fit for a log.

use std::fmt;

use super::remedy::Meaning;

/// The most characters kept. Exchange's longest known answers have about 80.
const MAX_CHARS: usize = 200;

/// Response codes that refusals begin with (RFC 5530). No user name is meant by them.
const CODES: [&str; 17] = [
    "[UNAVAILABLE]",
    "[AUTHENTICATIONFAILED]",
    "[AUTHORIZATIONFAILED]",
    "[EXPIRED]",
    "[PRIVACYREQUIRED]",
    "[CONTACTADMIN]",
    "[NOPERM]",
    "[INUSE]",
    "[EXPUNGEISSUED]",
    "[CORRUPTION]",
    "[SERVERBUG]",
    "[CLIENTBUG]",
    "[CANNOT]",
    "[LIMIT]",
    "[OVERQUOTA]",
    "[ALREADYEXISTS]",
    "[NONEXISTENT]",
];

/// What Exchange says, with `#` for its numbers. Somebody called `user` or `server` needs it whole, too.
const KNOWN: [&str; 10] = [
    "AUTHENTICATE failed.",
    "LOGIN failed.",
    "User is authenticated but not connected.",
    "Session invalidated - AccessTokenExpired",
    "Request is throttled. Suggested Backoff Time: # milliseconds",
    "Server Unavailable. #",
    "Connection is closed. #",
    "Connection closed. #",
    "Microsoft Exchange Server IMAP4 server signing off.",
    "Command Argument Error. #",
];

/// Shorter parts of a user name are ordinary words too often.
const MIN_NAME_CHARS: usize = 3;

/// A server's explanation of a refusal, without anything private: one line of at most 200 characters in which
/// every word that holds an `@` or a part of the user name is replaced by `[…]`. Response codes, and what Exchange is
/// known to say, stay as they are.
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
        let is_private = |word: &str| {
            let word = word.to_lowercase();
            word.contains('@') || word == username || names.iter().any(|name| word.contains(name))
        };
        let mut words: Vec<&str> = text
            .split(|c: char| c.is_whitespace() || c.is_control())
            .filter(|word| !word.is_empty())
            .collect();
        if !is_known(&words) {
            let text = words.iter_mut().enumerate().filter(|(at, word)| *at > 0 || !is_code(word));
            text.filter(|(_, word)| is_private(word)).for_each(|(_, word)| *word = "[…]");
        }
        Self(words.join(" ").chars().take(MAX_CHARS).collect())
    }

    /// What the server means by it.
    pub(super) fn meaning(&self) -> Meaning {
        Meaning::of(&self.0)
    }
}

fn is_code(word: &str) -> bool {
    CODES.iter().any(|code| code.eq_ignore_ascii_case(word))
}

fn is_known(words: &[&str]) -> bool {
    let is_number = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit());
    let words: Vec<&str> = words.iter().map(|word| if is_number(word) { "#" } else { word }).collect();
    let text = words.join(" ");
    KNOWN.iter().any(|known| known.eq_ignore_ascii_case(&text))
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
    fn codes_and_what_exchange_says_stay_whatever_the_user_is_called() {
        for text in KNOWN {
            for name in text.split(' ').chain(["ate", "connect"]) {
                let text = text.replace('#', "14");
                assert_eq!(ServerText::new(&text, &format!("{name}@example.com")).to_string(), text);
            }
        }
        let said = ServerText::new("[UNAVAILABLE] ask ava about [UNAVAILABLE]", "ava@example.com");
        assert_eq!(said.to_string(), "[UNAVAILABLE] ask […] about […]");
        assert_eq!(said.meaning(), Meaning::NotNow);
        assert_eq!(ServerText::new("LOGIN failed. Ask user", "user").to_string(), "LOGIN failed. Ask […]");
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

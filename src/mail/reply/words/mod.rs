//! What mail programs write around a reply, in the languages that they write it in.
//!
//! Facts, gathered from the mails of Outlook, Gmail, Apple Mail, Thunderbird, Yahoo, Proton, Zimbra, Roundcube and
//! others, and from what they are translated with. In lower case throughout, as they are compared, and with a bar
//! between them.

pub(super) mod around;
pub(super) mod header;
pub(super) mod quote;

use std::collections::HashSet;

/// Words or phrases, one of which is all of something.
fn set(words: &'static str) -> HashSet<&'static str> {
    words.split('|').collect()
}

/// Whether one of the phrases stands somewhere in a text.
fn any_in(phrases: &str, text: &str) -> bool {
    phrases.split('|').any(|phrase| text.contains(phrase))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_as_they_are_compared() {
        for words in around::ALL.iter().chain(header::ALL).chain(quote::ALL) {
            for word in words.split('|') {
                assert!(
                    !word.trim().is_empty() && word.to_lowercase() == word && !word.contains('\n'),
                    "{word:?}"
                );
            }
            assert_eq!(set(words).len(), words.split('|').count(), "one of them twice: {words}");
        }
    }
}

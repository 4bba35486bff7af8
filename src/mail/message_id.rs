//! Message identifiers (RFC 5322 §3.6.4), as threading compares them.

use crate::mail::limit;

/// The ids in the value of Message-ID, In-Reply-To, References or Content-ID, in order, without angle
/// brackets, white space and control characters. Empty ones, and ones too long to be real, are left out.
///
/// If nothing stands in brackets, words with an `@` are taken, or the value if it is a single word.
pub(super) fn ids(value: &str) -> impl DoubleEndedIterator<Item = String> {
    let bracketed: Vec<&str> =
        value.split('<').skip(1).map(|rest| rest.split_once('>').map_or(rest, |(id, _)| id)).collect();
    let ids = if bracketed.iter().any(|id| !id.trim().is_empty()) {
        bracketed
    } else {
        let words: Vec<&str> =
            value.split([' ', '\t', ',', ';', '<', '>']).filter(|word| !word.is_empty()).collect();
        match words.as_slice() {
            [word] => vec![*word],
            _ => words.into_iter().filter(|word| word.contains('@')).collect(),
        }
    };
    ids.into_iter()
        // An id of NUL alone would be an empty one by the time it is stored.
        .map(|id| id.chars().filter(|char| !char.is_whitespace() && !char.is_control()).collect::<String>())
        .filter(|id| !id.is_empty() && id.len() <= limit::ID_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> Vec<String> {
        ids(value).collect()
    }

    #[test]
    fn brackets_and_white_space_go() {
        assert_eq!(read("<a@b>"), ["a@b"]);
        assert_eq!(read(" <a@b>\t<c@ d> <> < > ,<e@f>"), ["a@b", "c@d", "e@f"]);
        assert_eq!(read("Message of Tue <a@b> from x@y"), ["a@b"]);
        assert_eq!(read("<<a@b>>"), ["a@b"]);
        assert_eq!(read("<a@b"), ["a@b"]);
        assert_eq!(read("<\0> <\0a\u{1b}@b>"), ["a@b"]);
    }

    #[test]
    fn without_brackets_ids_are_told_by_their_sign() {
        assert_eq!(read("a@b c@d"), ["a@b", "c@d"]);
        assert_eq!(read("4711"), ["4711"]);
        assert_eq!(read("your message of Tuesday"), [""; 0]);
        assert_eq!(read(""), [""; 0]);
    }

    #[test]
    fn an_id_too_long_to_be_real_is_left_out() {
        assert_eq!(read(&format!("<{}> <a@b>", "x".repeat(limit::ID_BYTES + 1))), ["a@b"]);
    }
}

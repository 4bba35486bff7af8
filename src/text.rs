//! Texts: what those from outside go through before they leave us, and how errors and bytes are put into words.

use std::borrow::Cow;
use std::fmt::Write;

/// `text` without U+0000, which is legal in mail but in neither PostgreSQL's `text` nor its `jsonb`.
pub fn clean(text: &str) -> Cow<'_, str> {
    match memchr::memchr(0, text.as_bytes()) {
        Some(_) => Cow::Owned(text.replace('\0', "")),
        None => Cow::Borrowed(text),
    }
}

/// An error and its causes on one line.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// The longest beginning of `text` that has at most `max` bytes and ends between characters.
pub fn cut(text: &str, max: usize) -> &str {
    text.get(..text.floor_char_boundary(max)).unwrap_or(text)
}

/// Bytes in hexadecimal, lower case.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut hex, byte| {
        // Writing into a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nul_goes_and_nothing_else() {
        assert_eq!(clean("a\0b\u{1}\0"), "ab\u{1}");
        assert!(matches!(clean("as it was"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_cut_never_splits_a_character() {
        assert_eq!(cut("aé", 2), "a");
        assert_eq!(cut("aé", 3), "aé");
        assert_eq!(cut("", 0), "");
    }

    proptest! {
        #[test]
        fn clean_text_is_the_text_without_nul(text in "(\\PC|\\x00|\\n|\\x01){0,200}") {
            let clean_text = clean(&text);
            prop_assert!(!clean_text.contains('\0'));
            prop_assert!(text.chars().filter(|&char| char != '\0').eq(clean_text.chars()));
            prop_assert_eq!(&clean(&clean_text), &clean_text);
        }

        #[test]
        fn a_cut_is_the_longest_that_fits(text in any::<String>(), max in 0..200_usize) {
            let kept = cut(&text, max);
            prop_assert!(text.starts_with(kept) && kept.len() <= max);
            let next = text.strip_prefix(kept).unwrap().chars().next();
            prop_assert!(next.is_none_or(|next| kept.len() + next.len_utf8() > max));
        }
    }
}

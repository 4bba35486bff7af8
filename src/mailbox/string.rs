//! IMAP's quoted strings (RFC 9051 §4.3).

use std::borrow::Cow;

/// Writes a quoted string. The text must have no CR, LF or NUL.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('"');
    quoted
}

/// Undoes the escapes of a quoted string whose quotes are off.
///
/// imap-proto 0.17 takes off the quotes but leaves the escapes, and does not tell a quoted string from an atom
/// or a literal. So a text that no quoted string could hold (a lone `\` or `"`) is taken as it is.
pub(super) fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains(['"', '\\']) {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(escaped @ ('"' | '\\')) => plain.push(escaped),
                _ => return Cow::Borrowed(text),
            },
            '"' => return Cow::Borrowed(text),
            _ => plain.push(c),
        }
    }
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn quotes_and_backslashes_are_escaped() {
        assert_eq!(quoted(r#"a"b\c"#), r#""a\"b\\c""#);
        assert_eq!(quoted(""), r#""""#);
    }

    #[test]
    fn a_name_sent_as_a_literal_is_taken_as_it_is() {
        assert_eq!(unescaped(r#"the "old" ones"#), r#"the "old" ones"#);
        assert_eq!(unescaped(r"CORP\anna"), r"CORP\anna");
    }

    proptest! {
        #[test]
        fn unescaping_undoes_quoting(text in "[ -~]*") {
            let quoted = quoted(&text);
            let inner = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap();
            prop_assert_eq!(unescaped(inner), text);
        }
    }
}

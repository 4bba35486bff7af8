//! Text whose paragraphs were broken into lines for the way (`format=flowed`, RFC 3676), put together again.

/// How lines are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Flow {
    /// Whether the space at which a line was broken was put there for that: in scripts without spaces.
    delete_space: bool,
}

impl Flow {
    /// Reads the parameters `format` and `delsp` of a text.
    pub(super) fn of(format: Option<&str>, delsp: Option<&str>) -> Option<Self> {
        format?
            .eq_ignore_ascii_case("flowed")
            .then(|| Self { delete_space: delsp.is_some_and(|delsp| delsp.eq_ignore_ascii_case("yes")) })
    }
}

/// Joins lines that end in a space with those that follow, takes out the spaces that protect the beginnings of lines,
/// and writes marks of quotes in one way. Line ends become LF.
pub(super) fn join(text: &str, flow: Flow) -> String {
    let mut joined = String::with_capacity(text.len());
    // The depth of quotes of the paragraph that goes on, if one does.
    let mut open: Option<usize> = None;
    for line in text.split_inclusive('\n') {
        let end = line.trim_end_matches('\n').trim_end_matches('\r');
        let is_ended = end.len() < line.len();
        let (depth, content) = quoted(end);
        let is_signature = content == "-- ";
        if open.is_some_and(|open| open != depth || is_signature) {
            end_line(&mut joined);
            open = None;
        }
        if open.is_none() && depth > 0 {
            joined.extend(std::iter::repeat_n('>', depth));
            if !content.is_empty() {
                joined.push(' ');
            }
        }
        if !is_signature && content.ends_with(' ') && is_ended {
            let content = if flow.delete_space { content.get(..content.len() - 1) } else { Some(content) };
            joined.push_str(content.unwrap_or_default());
            open = Some(depth);
        } else {
            joined.push_str(content);
            if is_ended {
                joined.push('\n');
            }
            open = None;
        }
    }
    if open.is_some() {
        end_line(&mut joined);
    }
    joined
}

/// How deep a line is quoted, and what is quoted. Marks with spaces between them are not in the RFC, and in mail.
fn quoted(line: &str) -> (usize, &str) {
    let mut depth = 0;
    let mut rest = line;
    while let Some(next) = rest.strip_prefix('>').or_else(|| rest.strip_prefix(" >").filter(|_| depth > 0)) {
        depth += 1;
        rest = next;
    }
    (depth, rest.strip_prefix(' ').unwrap_or(rest))
}

/// Ends a paragraph whose last line was to go on.
fn end_line(joined: &mut String) {
    joined.truncate(joined.trim_end_matches(' ').len());
    joined.push('\n');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FLOW: Flow = Flow { delete_space: false };

    #[test]
    fn lines_that_end_in_a_space_go_on_in_the_next() {
        assert_eq!(join("one \r\ntwo \r\nthree\r\nfour\r\n\r\nfive", FLOW), "one two three\nfour\n\nfive");
        assert_eq!(join("one \n \ntwo\n", FLOW), "one \ntwo\n");
        assert_eq!(join("日本 \n語\n", Flow { delete_space: true }), "日本語\n");
    }

    #[test]
    fn quotes_flow_by_their_depth() {
        assert_eq!(join("> a \n> b\n> > c \n>> d\n>>\ne\n", FLOW), "> a b\n>> c d\n>>\ne\n");
        assert_eq!(join("> a \nb\n", FLOW), "> a\nb\n");
    }

    #[test]
    fn spaces_that_protect_a_line_go() {
        assert_eq!(join(" From here\n > no quote\n  two\n", FLOW), "From here\n> no quote\n two\n");
    }

    #[test]
    fn the_line_before_a_signature_never_flows() {
        assert_eq!(join("bye \n-- \nAda\n", FLOW), "bye\n-- \nAda\n");
        assert_eq!(join("> -- \n> Ada\n", FLOW), "> -- \n> Ada\n");
    }

    #[test]
    fn what_ends_in_a_flowing_line_ends() {
        assert_eq!(join("a \n", FLOW), "a\n");
        assert_eq!(join("a ", FLOW), "a ");
        assert_eq!(join("", FLOW), "");
    }

    #[test]
    fn only_a_text_that_says_so_flows() {
        assert_eq!(Flow::of(Some("Flowed"), Some("YES")), Some(Flow { delete_space: true }));
        assert_eq!(Flow::of(Some("flowed"), None), Some(FLOW));
        assert_eq!(Flow::of(Some("fixed"), None), None);
        assert_eq!(Flow::of(None, Some("yes")), None);
    }

    proptest! {
        #[test]
        fn no_word_is_lost(text in "([a-z>]{0,5}[ \n]{0,2}){0,20}") {
            let letters = |text: &str| text.chars().filter(char::is_ascii_lowercase).collect::<String>();
            let joined = join(&text, FLOW);
            prop_assert_eq!(letters(&joined), letters(&text));
            prop_assert!(joined.len() <= 2 * text.len() + 1);
        }
    }
}

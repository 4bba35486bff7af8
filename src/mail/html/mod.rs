//! HTML bodies: made safe to show, and made readable as text.

mod guard;
mod text;

use std::borrow::Cow;
use std::sync::LazyLock;

use ammonia::{Builder, UrlRelative};
use mail_parser::decoders::hex::decode_hex;
use memchr::{memchr, memmem};

use crate::mail::limit;

pub(super) use text::to_text;

/// Elements that go with everything in them: programs, styles, other documents, and text that is not shown.
const DROPPED: [&str; 18] = [
    "applet",
    "embed",
    "frameset",
    "iframe",
    "math",
    "noembed",
    "noframes",
    "object",
    "plaintext",
    "script",
    "select",
    "style",
    "svg",
    "template",
    "textarea",
    "title",
    "video",
    "xmp",
];

/// Schemes a link may have. `cid` is a part of the mail itself (RFC 2392).
const SCHEMES: [&str; 5] = ["http", "https", "mailto", "tel", "cid"];

/// Built once: it is on the way of every mail with HTML.
static CLEANER: LazyLock<Builder<'static>> = LazyLock::new(|| {
    let mut cleaner = Builder::default();
    cleaner
        .add_clean_content_tags(DROPPED)
        .url_schemes(SCHEMES.into())
        // A mail has no address that a relative link could start from.
        .url_relative(UrlRelative::Deny)
        .link_rel(Some("noopener noreferrer"))
        .attribute_filter(|element, attribute, value| match (element, attribute) {
            // An image from elsewhere tells the sender who reads the mail, and when.
            ("img", "src") => starts_with_cid(value).then_some(Cow::Borrowed(value)),
            _ => Some(Cow::Borrowed(value)),
        });
    cleaner
});

/// Makes HTML safe to show inside another page: no program, no style, no form, nothing that is loaded from
/// elsewhere. `None` if it is too complex for the parser behind this.
pub(super) fn sanitise(html: &str) -> Option<String> {
    guard::is_tame(html).then(|| CLEANER.clean(html).to_string())
}

/// The charset that HTML says itself, in a `meta` element near its beginning as HTML §13.2.3.2 has it.
pub(super) fn declared_charset(html: &[u8]) -> Option<String> {
    let head = html.get(..html.len().min(limit::HTML_PRESCAN_BYTES))?.to_ascii_lowercase();
    memmem::find_iter(&head, b"<meta").find_map(|at| {
        let tag = head.get(at..)?;
        let tag = tag.get(..memchr(b'>', tag)?)?;
        let value = tag.get(memmem::find(tag, b"charset")? + b"charset".len()..)?.trim_ascii_start();
        let value = value.strip_prefix(b"=")?.trim_ascii_start();
        let value = value.strip_prefix(b"\"").or_else(|| value.strip_prefix(b"'")).unwrap_or(value);
        let end = value.iter().position(|byte| b"\"'; \t\r\n/".contains(byte)).unwrap_or(value.len());
        String::from_utf8(value.get(..end)?.to_vec()).ok().filter(|label| !label.is_empty())
    })
}

/// Plain text as HTML.
pub(super) fn from_text(text: &str) -> String {
    let mut html = String::with_capacity(text.len() + text.len() / 8 + 7);
    html.push_str("<p>");
    for char in text.chars() {
        match char {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '\n' => html.push_str("<br>\n"),
            '\r' => {}
            _ => html.push(char),
        }
    }
    html.push_str("</p>");
    html
}

/// The Content-IDs that HTML refers to, wherever in a tag. No byte is part of two.
pub(super) fn content_ids(html: &str) -> impl Iterator<Item = String> {
    let mut rest = html;
    let references = std::iter::from_fn(move || {
        let at = memmem::find(rest.as_bytes(), b"cid:")?;
        let after = rest.get(at + 4..)?;
        let near = after.get(..after.floor_char_boundary(limit::ID_BYTES))?;
        let end = near.find(|char: char| char.is_whitespace() || "\"'<>()".contains(char));
        let (id, tail) = after.split_at_checked(end.unwrap_or(near.len()))?;
        rest = tail;
        Some(id)
    });
    references.filter(|id| !id.is_empty()).filter_map(|id| {
        let id = id.replace("&amp;", "&");
        match decode_hex(id.as_bytes()) {
            (true, decoded) => String::from_utf8(decoded).ok(),
            (false, _) => Some(id),
        }
    })
}

fn starts_with_cid(url: &str) -> bool {
    url.trim_start().get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case("cid:"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_styles_and_hidden_text_go_with_their_content() {
        let html = "<html><head><title>leak</title><style>leak{}</style></head><body onload=leak()>\
                    <p style='leak' class=leak>Hi<script>leak()</script><!-- leak --></p>\
                    <svg><a xlink:href='javascript:leak()'>leak</a></svg><iframe src=leak>leak</iframe></body></html>";

        let clean = sanitise(html).unwrap();

        assert_eq!(clean, "<p>Hi</p>");
    }

    #[test]
    fn nothing_is_loaded_from_elsewhere() {
        let html = "<img src=\"https://t.example.com/p.gif\" alt=\"a\"><img src=\"//t.example.com/p\"><img src=p.gif>\
                    <img srcset=\"https://t.example.com/p 2x\"><table background=\"https://t.example.com/\"></table>\
                    <img src=\"cid:logo@x\"><img src=\" CID:logo@x\">";

        let clean = sanitise(html).unwrap();

        assert!(!clean.contains("t.example.com") && !clean.contains("p.gif"), "{clean}");
        assert_eq!(clean.matches("logo@x").count(), 2, "{clean}");
    }

    #[test]
    fn links_stay_and_tell_nobody_where_they_come_from() {
        let html = "<a href=\"https://example.com/a\" target=\"_blank\" rel=\"opener\">a</a>\
                    <a href=\"javascript:alert(1)\">b</a><a href=\"/relative\">c</a><a href=\"mailto:a@example.com\">d</a>";

        let clean = sanitise(html).unwrap();

        assert_eq!(
            clean,
            "<a href=\"https://example.com/a\" rel=\"noopener noreferrer\">a</a>\
             <a rel=\"noopener noreferrer\">b</a><a rel=\"noopener noreferrer\">c</a>\
             <a href=\"mailto:a@example.com\" rel=\"noopener noreferrer\">d</a>"
        );
    }

    #[test]
    fn what_hides_from_one_parser_does_not_show_in_another() {
        for html in [
            "<noscript><p title=\"</noscript><img src=x onerror=leak()>\">",
            "<math><mtext><table><mglyph><style><!--</style><img title=\"--&gt;&lt;img src=1 onerror=leak()&gt;\">",
            "<svg></p><style><a id=\"</style><img src=1 onerror=leak()>\">",
            "<form><math><mtext></form><form><mglyph><style></math><img src onerror=leak()>",
        ] {
            let clean = sanitise(html).unwrap();
            let again = sanitise(&clean).unwrap();
            assert!(!clean.contains("onerror=leak") || clean.contains("title=\""), "{clean}");
            assert_eq!(clean, again);
        }
    }

    #[test]
    fn a_charset_is_found_where_html_says_it() {
        for html in [
            "<meta charset=koi8-r>",
            "<!doctype html><html><head><META http-equiv=\"Content-Type\" content=\"text/html; charset=KOI8-R\">",
            "<meta name=x content=y><meta charset = 'koi8-r' />",
        ] {
            assert_eq!(declared_charset(html.as_bytes()).as_deref(), Some("koi8-r"), "{html}");
        }
        for html in
            ["", "charset=koi8-r", "<meta charset=>", "<meta charset", "<p>&lt;meta charset=koi8-r&gt;"]
        {
            assert_eq!(declared_charset(html.as_bytes()), None, "{html}");
        }
    }

    #[test]
    fn text_becomes_html_that_reads_the_same() {
        assert_eq!(from_text("a < b\r\n& c"), "<p>a &lt; b<br>\n&amp; c</p>");
    }

    #[test]
    fn references_to_parts_are_found() {
        let html = "<img src=\"cid:a%2bb@x\"><img src=cid:c@x><td style='background:url(cid:d&amp;e@x)'> cid: <i src='cid:%zz'>";

        assert_eq!(content_ids(html).collect::<Vec<_>>(), ["a+b@x", "c@x", "d&e@x", "%zz"]);
    }
}

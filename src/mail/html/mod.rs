//! HTML bodies: made safe to show, and made readable as text.

mod guard;
mod mark;
mod style;
mod text;

use std::borrow::Cow;
use std::sync::LazyLock;

use ammonia::{Builder, UrlRelative};
use mail_parser::decoders::hex::decode_hex;
use memchr::{memchr, memchr_iter, memmem};

use crate::mail::limit;

pub(super) use mark::{Mark, Program};
pub(super) use text::{Outline, outline};

/// Elements that go with everything in them: programs, styles, other documents, and text that is not shown.
const DROPPED: [&str; 20] = [
    "applet",
    "audio",
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
    "xml",
    "xmp",
];

/// Schemes a link may have. `cid` is a part of the mail itself (RFC 2392).
const LINKS: [&str; 5] = ["http", "https", "mailto", "tel", "cid"];

/// Images that a mail may hold in its HTML. SVG is none, for it may hold programs.
const IMAGES: [&str; 4] = ["data:image/gif;", "data:image/jpeg;", "data:image/png;", "data:image/webp;"];

/// Built once: it is on the way of every mail with HTML.
static CLEANER: LazyLock<Builder<'static>> = LazyLock::new(|| {
    let mut cleaner = Builder::default();
    cleaner
        .add_clean_content_tags(DROPPED)
        .add_generic_attributes(["dir", "hidden", "style"])
        .url_schemes(LINKS.into_iter().chain(["data"]).collect())
        // A mail has no address that a relative link could start from.
        .url_relative(UrlRelative::Deny)
        .link_rel(Some("noopener noreferrer nofollow"))
        .attribute_filter(|element, attribute, value| match (element, attribute) {
            // An image from elsewhere tells the sender who reads the mail, and when.
            ("img", "src") => is_own_image(value).then_some(Cow::Borrowed(value)),
            // Nothing that is loaded, or covers what is around it; only what was hidden stays so.
            (_, "style") => style::hides(value).then_some(Cow::Borrowed("display:none")),
            (_, "hidden") => Some(Cow::Borrowed("")),
            (_, "href") => is_link(value).then_some(Cow::Borrowed(value)),
            (_, "src" | "cite") => None,
            _ => Some(Cow::Borrowed(value)),
        });
    cleaner
});

/// Makes HTML safe to show inside another page: no program, no style, no form, nothing that is loaded from
/// elsewhere. `None` if it is too complex for the parser behind this.
pub(super) fn sanitise(html: &str) -> Option<String> {
    if !has_tags(html) {
        // Text that only says it is HTML has lines.
        let lines = html.lines().collect::<Vec<_>>().join("<br>\n");
        return guard::is_tame(&lines).then(|| CLEANER.clean(&lines).to_string());
    }
    guard::is_tame(html).then(|| CLEANER.clean(html).to_string())
}

/// Whether there is anything in it that HTML takes for a tag.
fn has_tags(html: &str) -> bool {
    memchr_iter(b'<', html.as_bytes()).any(|at| {
        let next = html.as_bytes().get(at + 1);
        next.is_some_and(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'/' | b'!' | b'?'))
    })
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

/// Whether an image comes with the mail, and is not too large to be kept in its HTML.
fn is_own_image(url: &str) -> bool {
    let url = as_parsed(url);
    let is = |start: &&str| url.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start));
    is(&"cid:") || IMAGES.iter().any(is) && url.len() <= limit::HTML_IMAGE_BYTES
}

fn is_link(url: &str) -> bool {
    let url = as_parsed(url);
    let scheme = url.split_once(':').map_or("", |(scheme, _)| scheme);
    LINKS.iter().any(|link| link.eq_ignore_ascii_case(scheme))
}

/// A URL as browsers read it: what can't be in one is taken out before they look at its scheme (URL §4.4).
fn as_parsed(url: &str) -> Cow<'_, str> {
    let url = url.trim_matches(|char: char| char <= ' ');
    if url.contains(['\t', '\n', '\r']) { url.replace(['\t', '\n', '\r'], "").into() } else { url.into() }
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
    fn images_that_come_with_the_mail_stay() {
        let large = format!("<img src=\"data:image/png;base64,{}\">", "A".repeat(limit::HTML_IMAGE_BYTES));
        for image in ["cid:logo@x", "data:image/png;base64,iVBORw0KGgo=", " Data:image/GIF;base64,R0lG"] {
            assert!(sanitise(&format!("<img src=\"{image}\">")).unwrap().contains("src="), "{image}");
        }
        for image in [
            "data:image/svg+xml,<svg onload=x()>",
            "data:text/html,x",
            "https://example.com/a.png",
            "//example.com/a",
            "a.png",
        ] {
            assert_eq!(sanitise(&format!("<img src=\"{image}\">")).unwrap(), "<img>", "{image}");
        }
        assert_eq!(sanitise(&large).unwrap(), "<img>");
    }

    #[test]
    fn schemes_that_hide_are_found() {
        for link in [
            "data:text/html,x",
            "da\tta:text/html,x",
            "java&#10;script:x()",
            "\u{1}javascript:x()",
            "vbscript:x",
            "file:///etc",
        ] {
            let clean = sanitise(&format!("<a href=\"{link}\">a</a>")).unwrap();
            assert_eq!(clean, "<a rel=\"noopener noreferrer nofollow\">a</a>", "{link}");
        }
        assert!(sanitise("<a href=\" https://example.com\">a</a>").unwrap().contains("href"));
    }

    #[test]
    fn what_was_hidden_stays_hidden_and_no_other_style_stays() {
        assert_eq!(
            sanitise(
                "<div style='Display:none;color:red'>a</div><p style='position:fixed'>b</p><p hidden>c</p>"
            )
            .unwrap(),
            "<div style=\"display:none\">a</div><p>b</p><p hidden=\"\">c</p>"
        );
    }

    #[test]
    fn text_in_the_name_of_html_keeps_its_lines() {
        assert_eq!(sanitise("a < b\r\n\r\nc &amp; d\r\n").unwrap(), "a &lt; b<br>\n<br>\nc &amp; d");
    }

    #[test]
    fn links_stay_and_tell_nobody_where_they_come_from() {
        let html = "<a href=\"https://example.com/a\" target=\"_blank\" rel=\"opener\">a</a>\
                    <a href=\"javascript:alert(1)\">b</a><a href=\"/relative\">c</a><a href=\"mailto:a@example.com\">d</a>";

        let clean = sanitise(html).unwrap();

        assert_eq!(
            clean,
            "<a href=\"https://example.com/a\" rel=\"noopener noreferrer nofollow\">a</a>\
             <a rel=\"noopener noreferrer nofollow\">b</a><a rel=\"noopener noreferrer nofollow\">c</a>\
             <a href=\"mailto:a@example.com\" rel=\"noopener noreferrer nofollow\">d</a>"
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

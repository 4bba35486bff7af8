//! What HTML looks like as text.

use std::time::{Duration, Instant};

use super::*;

fn to_text(html: &str) -> String {
    outline(html).text
}

#[test]
fn paragraphs_lines_and_white_space_are_as_in_a_browser() {
    assert_eq!(
        to_text("<p>one\n  two</p><p>three<br>four</p>five <b>six</b>, seven"),
        "one two\n\nthree\nfour\nfive six, seven\n"
    );
    assert_eq!(to_text("<div>a</div><div><br></div><div>b</div>"), "a\n\nb\n");
    assert_eq!(to_text("<h1>a</h1>b<hr>c"), "a\n\nb\n\n----------\n\nc\n");
    assert_eq!(to_text("a&nbsp;&nbsp;b &lt;c&gt; &euro;"), "a  b <c> €\n");
    assert_eq!(to_text("<pre>a\n   b\n\nc</pre>d"), "a\n   b\n\nc\n\nd\n");
    assert_eq!(to_text(" \n "), "");
}

#[test]
fn outlooks_paragraphs_are_lines() {
    assert_eq!(
        to_text(
            "<p class=MsoNormal>Dear all,<o:p></o:p></p><p class=MsoNormal><o:p>&nbsp;</o:p></p><p class=MsoNormal>thanks</p>"
        ),
        "Dear all,\n\nthanks\n"
    );
}

#[test]
fn lists_are_marked_and_indented() {
    assert_eq!(
        to_text("x<ul><li>a<li>b<ul><li>c</ul></li></ul><ol start=3><li><p>d</p><p>e</p></li><li>f</ol>y"),
        "x\n\n- a\n- b\n  - c\n\n3. d\n\n  e\n4. f\n\ny\n"
    );
    assert_eq!(to_text("<ul><li><p>a</p></li><li><p>b</p></li></ul>"), "- a\n- b\n");
    assert_eq!(to_text("<ol><li>a<li value=9>b<li>c</ol>"), "1. a\n9. b\n10. c\n");
}

#[test]
fn quotes_are_marked() {
    assert_eq!(
        to_text("a<blockquote>b<br>c<blockquote><p>d</p></blockquote></blockquote>e"),
        "a\n\n> b\n> c\n>\n> > d\n\ne\n"
    );
}

#[test]
fn tables_are_rows_of_cells() {
    assert_eq!(
        to_text("<table><tr><th>Item</th><th>Price</th></tr><tr><td>Lamp</td> <td>10 €</td></tr></table>x"),
        "Item\tPrice\nLamp\t10 €\nx\n"
    );
    assert_eq!(to_text("<table><tr><td><p>a</p></td><td><p>b</p></td></tr></table>"), "a\tb\n");
    assert_eq!(to_text("<table><tr><td>a<br>b</td><td>c</td><td>d</td></tr></table>"), "a\nb\nc\nd\n");
    assert_eq!(to_text("<table><tr><td>a</td><td>b<br>c</td><td>d</td></tr></table>"), "a\tb\nc\nd\n");
    assert_eq!(to_text("<tr><td></td><td>a</td><td></td><td><div>b</div></td></tr>c"), "a\tb\nc\n");
    assert_eq!(
        to_text("<table><tr><td>a</td><td><table><tr><td>b<td>c</table></td><td>d</td></tr></table>"),
        "a\nb\tc\nd\n"
    );
}

#[test]
fn links_are_written_out_where_their_text_hides_them() {
    assert_eq!(to_text("<a href=\"https://example.com/x\">here</a>."), "here <https://example.com/x>.\n");
    assert_eq!(to_text("<a href=\"https://example.com/\">example.com</a>"), "example.com\n");
    assert_eq!(to_text("<a href=\"mailto:a@example.com\">a@example.com</a>"), "a@example.com\n");
    assert_eq!(to_text("<a href=\"https://example.com/\"><img src=x></a>a"), "a\n");
    assert_eq!(
        to_text("<a href=\"https://example.com/\"><img alt=Logo></a>"),
        "[Logo] <https://example.com/>\n"
    );
    assert_eq!(to_text("<a href=\"javascript:x()\">a</a> <a href=#x>b</a>"), "a b\n");
    assert_eq!(to_text("<a href=\"mailto:a@example.com?subject=x\">a@example.com</a>"), "a@example.com\n");
    assert_eq!(
        to_text("<a href=\"tel:+49123\">call</a> <a href=\"tel:+49123\">+49 123</a>"),
        "call <tel:+49123> +49 123\n"
    );
    assert_eq!(
        to_text("<a href=\"https://e.com/1\">a<a href=\"https://e.com/2\">b"),
        "a <https://e.com/1>b <https://e.com/2>\n"
    );
}

#[test]
fn what_nobody_sees_is_left_out() {
    assert_eq!(
        to_text(
            "<html><head><title>t</title><style>s</style></head><body><!-- c -->a<script>'</p>'</script>b<select><option>o</select></body>"
        ),
        "ab\n"
    );
    assert_eq!(to_text("a<style>never closed"), "a\n");
    assert_eq!(to_text("<table><td>a<select><option>b</td></table>c"), "a\nc\n");
    assert_eq!(to_text("a<svg><svg></svg>b</svg>c"), "ac\n");
}

#[test]
fn what_a_style_hides_is_left_out() {
    for hidden in [
        "<div style='display:none'>x <div>y</div><br></div>",
        "<div hidden>x</div>",
        "<span style='visibility:hidden'><b>x</span>",
        "<div style='max-height:0;overflow:hidden'><table><tr><td>x</td></tr></table></div>",
        "<img alt=x style='display:none'>",
        "<img alt=x width=1 height=1px>",
        "<ul><li style='display:none'>x<ul><li>y</ul></ul>",
    ] {
        assert_eq!(to_text(&format!("<p>a</p>{hidden}<p>b</p>")), "a\n\nb\n", "{hidden}");
    }
    assert_eq!(to_text("<p style='display:none'>x<p>a"), "a\n");
    assert_eq!(to_text("<table><tr><td><div style='display:none'>x</td><td>a</td></tr></table>"), "a\n");
    assert_eq!(to_text("<ul><li style='display:none'>x<li>a</ul>"), "- a\n");
    assert_eq!(to_text("<tr style='display:none'><td>x<tr><td>a"), "a\n");
}

#[test]
fn what_would_hide_all_hides_nothing() {
    assert_eq!(to_text("<div style='display:none'><p>a</p>b"), "a\nb\n");
    assert_eq!(to_text("<p style='display:none'>a</p>"), "a\n");
    assert_eq!(to_text("a<svg><path>b"), "ab\n");
    assert_eq!(to_text("a<object><p>b"), "a\n\nb\n");
}

#[test]
fn layouts_without_sizes_are_seen() {
    assert_eq!(to_text("<td style='font-size:0px'><div style='font-size:16px'>a</div></td>"), "a\n");
    assert_eq!(to_text("<div style='mso-hide:all'>a</div>"), "a\n");
}

#[test]
fn text_in_the_name_of_html_keeps_its_lines() {
    assert_eq!(to_text("Hello,\r\n\r\n  3 < 4 &amp; 5\r\nAda\r\n"), "Hello,\n\n  3 < 4 & 5\nAda\n");
}

#[test]
fn styles_that_keep_space_keep_it() {
    assert_eq!(
        to_text("<div style='white-space: pre-wrap'>a\n  b<div>c</div>\nd</div>e\n f"),
        "a\n  b\nc\n\nd\ne f\n"
    );
}

#[test]
fn characters_that_only_take_up_room_go() {
    let html = "<p>Hello&#847;&zwnj;&nbsp;&#847; &zwnj; &#8203;</p><p>next e&shy;mail</p>";
    let persian = "\u{645}\u{6cc}\u{200c}\u{62e}\u{648}\u{627}\u{647}\u{645}";

    assert_eq!(to_text(html), "Hello\n\nnext email\n");
    assert_eq!(to_text("<p>a &#847; b"), "a b\n");
    assert_eq!(to_text(persian), format!("{persian}\n"));
}

#[test]
fn pictographs_stand_for_themselves() {
    assert_eq!(to_text("a <img alt=\"\u{1f60a}\"> <img alt=Logo>"), "a \u{1f60a} [Logo]\n");
}

#[test]
fn nesting_costs_nothing() {
    for open in [
        "<div><blockquote><ul>",
        "<div style='display:none'>",
        "<div style='white-space:pre'>",
        "<table><tr><td>",
        "<p hidden><div>",
        "<a href=\"https://example.com/\">",
    ] {
        let html = format!("{}x{}", open.repeat(30_000), "y<br>".repeat(30_000));
        let started = Instant::now();

        let text = to_text(&html);

        assert!(text.len() < 60_000 * (4 * LEVELS + 2), "{open}: {}", text.len());
        assert!(text.contains('x'), "{open}");
        // Far more than it takes, even unoptimised on a busy machine; far less than its square.
        assert!(started.elapsed() < Duration::from_secs(20), "{open}: {:?}", started.elapsed());
    }
}

#[test]
fn the_output_is_bounded() {
    assert!(to_text(&"x <br>".repeat(1_000_000)).len() <= limit::TEXT_BYTES + 100);
}

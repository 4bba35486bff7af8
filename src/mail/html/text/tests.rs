//! What HTML looks like as text.

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
    assert_eq!(to_text("<table><tr><td><p>a</p></td><td><p>b</p></td></tr></table>"), "a\n\nb\n");
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
}

#[test]
fn nesting_costs_nothing() {
    let html = format!("{}x{}", "<div><blockquote><ul>".repeat(30_000), "y<br>".repeat(30_000));

    let text = to_text(&html);

    assert!(text.len() < 60_000 * (4 * LEVELS + 2), "{}", text.len());
}

#[test]
fn the_output_is_bounded() {
    assert!(to_text(&"x <br>".repeat(1_000_000)).len() <= limit::TEXT_BYTES + 100);
}

//! What messages are taken apart into.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mail_parser::{MessageParser, MimeHeaders as _};
use proptest::prelude::*;

use super::*;
use crate::mail::body::Choice;

fn read(source: &str) -> (Vec<Part<'_>>, BTreeSet<Defect>) {
    let mut defects = BTreeSet::new();
    let (header, body) = Header::split(source.as_bytes());
    (parts(&header, body, &mut defects), defects)
}

fn outline<'a>(parts: &'a [Part<'_>]) -> Vec<(&'a str, &'a str)> {
    parts
        .iter()
        .map(|part| {
            let content = if part.children.is_empty() { part.content } else { &[] };
            (part.media_type.as_str(), std::str::from_utf8(content).unwrap())
        })
        .collect()
}

#[test]
fn a_message_without_mime_is_one_text() {
    let (parts, defects) = read("Subject: x\r\n\r\nHello\r\n");

    assert_eq!(outline(&parts), [("text/plain", "Hello\r\n")]);
    assert!(defects.is_empty());
}

#[test]
fn parts_stand_in_order_and_line_breaks_before_delimiters_belong_to_them() {
    let (parts, defects) = read(
        "Content-Type: multipart/mixed; boundary=\"b 1\"\r\n\r\npreamble\r\n\
         --b 1\r\nContent-Type: multipart/alternative; boundary=b2\r\n\r\n\
         --b2\r\n\r\nplain\r\n\r\n--b2\r\nContent-Type: text/html\r\n\r\n<p>\r\n--b2--\r\n\r\n\
         --b 1  \r\nContent-Type: Image/PNG\r\n\r\ndata\r\n--b 1--\r\nepilogue\r\n",
    );

    assert_eq!(
        outline(&parts),
        [
            ("multipart/mixed", ""),
            ("multipart/alternative", ""),
            ("text/plain", "plain\r\n"),
            ("text/html", "<p>"),
            ("image/png", "data")
        ]
    );
    assert_eq!(parts[0].children, [1, 4]);
    assert_eq!(parts[1].children, [2, 3]);
    assert!(defects.is_empty());
}

#[test]
fn a_boundary_that_starts_another_is_not_taken_for_it() {
    let (parts, _) = read(
        "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/mixed; boundary=bb\n\n\
         --bb\n\none\n--bb--\n--b\n\ntwo\n--b--\n",
    );

    assert_eq!(
        outline(&parts),
        [("multipart/mixed", ""), ("multipart/mixed", ""), ("text/plain", "one"), ("text/plain", "two")]
    );
}

#[test]
fn a_multipart_that_ends_early_gives_what_is_there() {
    let (parts, defects) = read("Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b\n\ntw");

    assert_eq!(outline(&parts)[1..], [("text/plain", "one"), ("text/plain", "tw")]);
    assert_eq!(defects, [Defect::BrokenStructure].into());
}

#[test]
fn a_multipart_without_parts_is_text() {
    for source in [
        "Content-Type: multipart/mixed\n\ntext",
        "Content-Type: multipart/mixed; boundary=b\n\ntext",
        "Content-Type: multipart/mixed; boundary=\"\"\n\ntext",
    ] {
        let (parts, defects) = read(source);
        assert_eq!(outline(&parts), [("text/plain", "text")], "{source}");
        assert_eq!(defects, [Defect::BrokenStructure].into(), "{source}");
    }
}

#[test]
fn one_boundary_used_twice_loses_nothing() {
    let (parts, _) = read(
        "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/alternative; boundary=b\n\n\
         --b\n\none\n--b--\n\n--b\n\ntwo\n--b--\n",
    );

    let texts: Vec<&str> =
        outline(&parts).into_iter().map(|(_, text)| text).filter(|t| !t.is_empty()).collect();
    assert_eq!(texts, ["one", "two"]);
}

#[test]
fn parts_without_header_or_content_are_parts() {
    let (parts, _) =
        read("Content-Type: multipart/mixed; boundary=b\n\n--b\n--b\nno header\n--b\nA: b\n--b--\n");

    assert_eq!(outline(&parts)[1..], [("text/plain", ""), ("text/plain", "no header"), ("text/plain", "")]);
}

#[test]
fn a_digest_holds_messages_and_they_are_not_taken_apart() {
    let (parts, _) = read(
        "Content-Type: multipart/digest; boundary=b\n\n--b\n\nContent-Type: multipart/mixed; boundary=c\n\n--c\n--b--\n",
    );

    assert_eq!(parts[1].media_type, "message/rfc822");
    assert_eq!(parts[1].content, b"Content-Type: multipart/mixed; boundary=c\n\n--c");
}

#[test]
fn names_are_found_however_they_are_written() {
    for (header, expected) in [
        ("Content-Disposition: attachment; filename=\"a b.pdf\"", "a b.pdf"),
        ("Content-Type: application/pdf; name=a.pdf", "a.pdf"),
        ("Content-Disposition: attachment; filename*=UTF-8''%E2%82%AC%20rates.pdf", "€ rates.pdf"),
        (
            "Content-Disposition: attachment;\r\n filename*0*=iso-8859-1''Gr%FC;\r\n filename*1=\"sse.pdf\"",
            "Grüsse.pdf",
        ),
        ("Content-Type: application/pdf; name=\"=?utf-8?q?Gr=C3=BC=C3=9Fe.pdf?=\"", "Grüße.pdf"),
        (
            "Content-Type: application/pdf;\r\n name=\"=?utf-8?b?R3LD?=\r\n =?utf-8?b?vMOfZS5wZGY=?=\"",
            "Grüße.pdf",
        ),
        ("Content-Type: application/pdf; name==?utf-8?q?Gr=C3=BC=C3=9Fe.pdf?=", "Grüße.pdf"),
        ("Content-Disposition: attachment; filename=\"Grüße.pdf\"", "Grüße.pdf"),
    ] {
        let source = format!("{header}\r\n\r\n");
        let (parts, _) = read(&source);
        assert_eq!(parts[0].filename.as_deref(), Some(expected), "{header}");
    }
}

#[test]
fn types_that_are_none_fall_back() {
    for (value, expected) in [
        ("text", "text/plain"),
        ("", "text/plain"),
        ("TEXT/Html; charset=x", "text/html"),
        ("pdf", "application/octet-stream"),
        ("application/<script>", "application/octet-stream"),
    ] {
        let source = format!("Content-Type: {value}\r\n\r\n");
        let (parts, _) = read(&source);
        assert_eq!(parts[0].media_type, expected, "{value}");
    }
}

#[test]
fn multiparts_nested_too_deep_are_left_whole() {
    let mut source = String::new();
    for level in 0..20_000 {
        write!(source, "Content-Type: multipart/mixed; boundary=b{level}\n\n--b{level}\n").unwrap();
    }

    let (parts, defects) = read(&source);

    assert_eq!(parts.len(), limit::DEPTH + 1);
    assert!(defects.contains(&Defect::TooDeep));
}

#[test]
fn a_large_message_is_read_a_few_times_at_most() {
    let mut source = "A: b\n".to_owned();
    for level in 0..limit::DEPTH {
        write!(source, "Content-Type: multipart/mixed; boundary=b{level}\n\n--b{level}\n").unwrap();
    }
    source += &"x".repeat(limit::LEVELS_BYTES / limit::LEVELS + 10_000);

    let (parts, defects) = read(&source);

    assert_eq!(parts.len(), limit::LEVELS + 1);
    assert!(defects.contains(&Defect::TooDeep));
}

#[test]
fn lines_that_almost_are_delimiters_are_not_looked_at_for_ever() {
    let line = "--bb\n";
    let lines = line.repeat(limit::DASHED_LINES);
    let source = format!("Content-Type: multipart/mixed; boundary=b\n\n--b\n\n{lines}--b\n\nx\n--b--\n");

    let (parts, defects) = read(&source);

    assert_eq!(parts.len(), 2);
    assert!(parts[1].content.ends_with(b"--b--\n"), "nothing is lost");
    assert_eq!(defects, [Defect::BrokenStructure, Defect::TooMany].into());
}

#[test]
fn parts_beyond_the_limit_are_left_out() {
    let source =
        format!("Content-Type: multipart/mixed; boundary=b\n\n{}--b--\n", "--b\n\nx\n".repeat(100_000));

    let (parts, defects) = read(&source);

    assert_eq!(parts.len(), limit::PARTS);
    assert_eq!(defects, [Defect::TooMany].into());
}

#[test]
fn boundaries_that_never_come_are_searched_for_once() {
    let part = |i: usize| format!("--b\nContent-Type: multipart/mixed; boundary=missing{i}\n\nx\n");
    let source: String = std::iter::once("Content-Type: multipart/mixed; boundary=b\n\n".to_owned())
        .chain((0..20_000).map(part))
        .collect();

    assert_eq!(read(&source).0.len(), limit::PARTS);
}

/// A well-formed message to be.
#[derive(Debug, Clone)]
enum Tree {
    Leaf { media_type: &'static str, base64: bool, content: String },
    Multipart { media_type: &'static str, parts: Vec<Tree> },
}

impl Tree {
    fn write(&self, source: &mut String, boundaries: &mut usize) {
        match self {
            Self::Leaf { media_type, base64, content } => {
                let (encoding, content) =
                    if *base64 { ("base64", STANDARD.encode(content)) } else { ("8bit", content.clone()) };
                write!(
                    source,
                    "Content-Type: {media_type}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n{content}"
                )
                .unwrap();
            }
            Self::Multipart { media_type, parts } => {
                *boundaries += 1;
                let boundary = format!("=_{boundaries}");
                write!(source, "Content-Type: {media_type};\r\n boundary=\"{boundary}\"\r\n\r\npreamble")
                    .unwrap();
                for part in parts {
                    write!(source, "\r\n--{boundary}\r\n").unwrap();
                    part.write(source, boundaries);
                }
                write!(source, "\r\n--{boundary}--\r\n").unwrap();
            }
        }
    }
}

fn tree() -> impl Strategy<Value = Tree> {
    let media_type =
        prop::sample::select(vec!["text/plain", "text/html", "text/csv", "image/png", "application/pdf"]);
    let leaf = (media_type, any::<bool>(), "([a-zé<> -]{0,20}\r\n){0,3}[a-z]{0,9}")
        .prop_map(|(media_type, base64, content)| Tree::Leaf { media_type, base64, content });
    leaf.prop_recursive(4, 24, 5, |inner| {
        let media_type =
            prop::sample::select(vec!["multipart/mixed", "multipart/alternative", "multipart/related"]);
        (media_type, prop::collection::vec(inner, 1..5))
            .prop_map(|(media_type, parts)| Tree::Multipart { media_type, parts })
    })
}

fn indices(ids: &[u32]) -> Vec<usize> {
    ids.iter().map(|&id| usize::try_from(id).unwrap()).collect()
}

proptest! {
    #[test]
    fn well_formed_messages_are_read_as_mail_parser_reads_them(tree in tree()) {
        let mut source = "Subject: x\r\n".to_owned();
        tree.write(&mut source, &mut 0);

        let (ours, defects) = read(&source);

        let theirs = MessageParser::default().parse(&source).unwrap();
        prop_assert!(defects.is_empty());
        prop_assert_eq!(ours.len(), theirs.parts.len());
        let choice = Choice::of(&ours);
        prop_assert_eq!(choice.text, indices(&theirs.text_body));
        prop_assert_eq!(choice.html, indices(&theirs.html_body));
        for (ours, theirs) in ours.iter().zip(&theirs.parts) {
            let content_type = theirs.content_type().unwrap();
            let media_type = format!("{}/{}", content_type.ctype(), content_type.subtype().unwrap());
            prop_assert_eq!(&ours.media_type, &media_type);
            if ours.children.is_empty() {
                prop_assert_eq!(&*ours.encoding.bytes(ours.content).0, theirs.contents());
            } else {
                prop_assert_eq!(&ours.children, &indices(theirs.sub_parts().unwrap()));
            }
        }
    }
}

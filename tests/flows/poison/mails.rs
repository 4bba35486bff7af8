//! Mails made to break whoever reads, files or stores them.

use std::fmt::Write as _;

/// A mail with a name for its failures.
pub(super) struct Poison {
    pub(super) name: &'static str,
    pub(super) source: Vec<u8>,
}

/// Mails in which every text is odd: what decodes to NUL, is no text, or means something to a database, to JSON or to
/// a terminal.
pub(super) fn odd() -> Vec<Poison> {
    let decoded = |name, nul: &str| Poison { name, source: everywhere(nul.as_bytes()) };
    let mut odd = vec![
        decoded("encoded words that are NUL", "=?utf-8?q?=00?= =?utf-8?b?AAAA?="),
        decoded("encoded words around NUL", "=?utf-8?q?a=00b?= =?iso-8859-1?q?=00c?= =?utf-7?q?+AAA-?="),
        decoded("encoded words in UTF-16", "=?utf-16?b?AAAAAAAA?= =?utf-16le?b?ANgAAA==?="),
        decoded("parameters that are NUL", "a%00b%00"),
        decoded("NUL in HTML and JSON", "&#0;&#x0;\\u0000\\x00\\0%00\u{2400}"),
        decoded("lone surrogates in JSON", "\\ud800\\udc00 \\ud83d &#xD800; =?utf-8?q?=ED=A0=80?="),
        decoded("lone surrogates in UTF-7", "=?utf-7?q?+2AA-?= =?utf-7?q?+3AA-?= &2AA-"),
        decoded("SQL", "'; DROP TABLE messages; -- $1 $$ E'\\\\' \" %s"),
        decoded("JSON", "\"}]}, \\\" {\"a\": [null"),
        decoded("ends of a COPY", "\\.\r\n\\.\r\n \\N \\x00 \t\\t"),
        decoded("separators of arrays", "{a,b} {\"a\",NULL} \\n <a\r\n b> <a\t\u{b}\u{c}\u{1f}\u{1e}b@c>"),
        decoded("directions and joiners", "\u{202e}gpj.exe\u{202c}\u{200d}\u{200b}\u{feff}\u{2066}\u{61c}"),
        decoded("noncharacters", "\u{ffff}\u{fffe}\u{fdd0}\u{1ffff}\u{10ffff}\u{e000}\u{fffd}"),
        decoded("control characters", "\u{1}\u{7}\u{8}\u{1b}[31m\u{7f}\u{85}\u{9b}"),
        Poison { name: "no UTF-8", source: everywhere(b"\xff\xfe\x80\xc0\x80\xed\xa0\x80\xf5\xf0\x9f") },
        Poison { name: "every byte", source: everywhere(&(1..=255).collect::<Vec<u8>>()) },
        Poison { name: "only CRLF", source: b"\r\n".to_vec() },
        Poison { name: "only a header", source: b"Subject: only a header\r\n".to_vec() },
        Poison { name: "a header without an end", source: b"Subject: no end".to_vec() },
        Poison { name: "a line without a colon", source: b"Subject: x\nno colon\nFrom: a@b\n\nx".to_vec() },
        Poison { name: "no colon at all", source: b"Hello there\r\nno header\r\n".to_vec() },
        Poison { name: "only a dot", source: b".\r\n".to_vec() },
        Poison { name: "only a colon", source: b":".to_vec() },
        Poison {
            name: "names without values",
            source: b"From:\nTo:\nSubject:\nDate:\nMessage-ID:\n\nx".to_vec(),
        },
    ];
    // NUL in place of each character of a character set's own: what is text in one is NUL in another.
    for (name, charset, base64) in [
        ("a text of NULs", "utf-8", "AAAAAAAAAAAAAAAA"),
        ("a text of NULs in UTF-16", "utf-16", "AABhAAAAYgAAAA=="),
        ("a text of lone surrogates", "utf-16le", "ANgA3ADYYQA="),
        ("a text in a charset that is NUL", "=?utf-8?q?=00?=", "YWJj"),
        ("a text in no charset", "\u{1}'\\\"", "YWJj"),
    ] {
        for media_type in ["text/plain", "text/html", "application/octet-stream"] {
            let source = format!(
                "Subject: {name}, {media_type}\nContent-Type: {media_type}; charset=\"{charset}\"\n\
                 Content-Transfer-Encoding: base64\n\n{base64}\n"
            );
            odd.push(Poison { name, source: source.into_bytes() });
        }
    }
    for date in [
        "1 Jan 0000 00:00:00 +0000",
        "1 Jan 0001 00:00:00 +0000",
        "31 Dec 9999 23:59:59 -1200",
        "31 Dec 9999 23:59:59 +1400",
        "1 Jan 1970 00:00:00 +2359",
        "1 Jan 99999 00:00:00 +0000",
        "1 Jan -1 00:00:00 -0000",
        "1 Jan 2026 00:00:00 -9999",
        "1 Jan 2026 00:00:00 +99999999999999999999",
        "99 Jan 2026 99:99:99 +0000",
        "29 Feb 2100 00:00:00 +0000",
        "31 Dec 1969 23:59:60 -2359",
        "\u{661} Jan \u{662}\u{660}\u{662}\u{666} 00:00:00",
    ] {
        let source = format!("From: a@example.com\nDate: {date}\nSubject: {date}\n\nx\n");
        odd.push(Poison { name: "a date", source: source.into_bytes() });
    }
    odd
}

/// Mails in which something is large, long, deep or many.
pub(super) fn enormous() -> Vec<Poison> {
    let field = |name, field: &str, value: String| Poison {
        name,
        source: [&b"Message-ID: <large@"[..], name.replace(' ', ".").as_bytes(), b">\nFrom: a@example.com\n"]
            .concat()
            .into_iter()
            .chain(format!("{field}: {value}\nSubject: {name}\n\nthe text\n").into_bytes())
            .collect(),
    };
    let part = "--b\nContent-Type: a/b; name=x\nContent-Disposition: attachment\n\nx\n";
    let body = |name, header: &str, body: String| Poison {
        name,
        source: format!("From: a@example.com\nSubject: {name}\n{header}\n\n{body}\n").into_bytes(),
    };
    let multipart = "Content-Type: multipart/mixed; boundary=b";
    let html = "Content-Type: text/html; charset=utf-8";
    vec![
        field("a subject of 1 MB", "Subject", "x".repeat(1_000_000)),
        field("an encoded subject of 500 KB", "Subject", "=?utf-8?q?=C3=BC?= ".repeat(25_000)),
        field("an unfinished subject of 500 KB", "Subject", "=?ab?q?x".repeat(60_000)),
        field("a display name of 1 MB", "Reply-To", format!("\"{}\" <a@example.com>", "x".repeat(1_000_000))),
        field("a display name of 500 KB", "Sender", format!("{} <a@example.com>", "x ".repeat(250_000))),
        field("names made of equal signs", "Cc", "=".repeat(500_000)),
        field("names made of openings", "Cc", "=?".repeat(250_000)),
        field("nested comments", "Cc", "(".repeat(500_000)),
        field("a Message-ID of 1 MB", "Message-ID", format!("<{}@example.com>", "x".repeat(1_000_000))),
        field("many references", "References", numbered(20_000, |i| format!("<{i}@example.com>\n "))),
        field("many brackets", "References", "<".repeat(500_000)),
        field("many recipients", "To", numbered(10_000, |i| format!("r{i} <r{i}@example.com>,\n "))),
        field("many headers", "X-A", "b\nX-A: ".repeat(100_000)),
        field("one header line of 5 MB", "X-A", "b ".repeat(2_500_000)),
        field("folds", "X-A", "\n x".repeat(160_000)),
        field("a date of 500 KB", "Date", "1".repeat(500_000)),
        field("a type of 500 KB", "Content-Type", "; a*1*=''%41 =?ab?q?x".repeat(25_000)),
        body("many parts", multipart, part.repeat(10_000)),
        body(
            "many parts of many parameters",
            multipart,
            format!("--b\nContent-Type: a/b{}\n\nx\n", "; a*1*=''%41".repeat(650)).repeat(1_000),
        ),
        body("deep parts", multipart, {
            let inner = |i: usize| format!("Content-Type: multipart/mixed; boundary=b{i}\n\n--b{i}\n");
            "--b\n".to_owned() + &numbered(20_000, inner)
        }),
        body("deep parts of many lines", multipart, {
            let inner = |i: usize| format!("Content-Type: multipart/mixed; boundary=b{i}\n\n--b{i}\n");
            "--b\n".to_owned() + &numbered(40, inner) + &"\n--x".repeat(500_000)
        }),
        body(
            "messages in messages",
            "Content-Type: message/rfc822",
            "Content-Type: message/rfc822\n\n".repeat(50_000),
        ),
        body("HTML of 50 MB on one line", html, format!("<p>{}</p>", "word ".repeat(40)).repeat(250_000)),
        body("HTML of many tags", html, "<p>x</p>".repeat(200_000)),
        body("HTML of many images", html, "cid:%ff".repeat(850_000)),
        body("deep HTML", html, "<div>".repeat(100_000)),
        body("HTML of tags in tags", html, "<a/b=".repeat(200_000)),
        body("HTML of references", html, "&".repeat(400_000)),
        body("HTML of comments", html, "<!--".repeat(200_000)),
        body("HTML of links", html, "<a href='http://x'>y".repeat(20_000)),
        body("empty lines", "", "\n".repeat(1_000_000)),
        body("a line of 8 MB", "", "x".repeat(8_000_000)),
        body("quoted-printable", "Content-Transfer-Encoding: quoted-printable", "=\n".repeat(2_000_000)),
        body("broken quoted-printable", "Content-Transfer-Encoding: quoted-printable", "=".repeat(4_000_000)),
        body(
            "garbage that packs well",
            "Content-Type: application/zip; name=a.zip\nContent-Transfer-Encoding: base64",
            format!("{}\n", "UEsDBBQA".repeat(9)).repeat(70_000) + "!",
        ),
        body("a text in UTF-7", "Content-Type: text/plain; charset=utf-7", "+AAA".repeat(1_000_000)),
        body("a text in GB 18030", "Content-Type: text/plain; charset=gb18030", "\u{81}0".repeat(1_000_000)),
        body("a text of control characters", "", "\u{1}".repeat(1_000_000)),
        body("HTML of control characters", html, "\u{1}".repeat(90_000)),
    ]
}

/// A mail with raw NULs in every place. No server gives it as it is: NUL can't be in a literal (RFC 9051 §4.3).
pub(super) fn full_of_nul(number: u32) -> Vec<u8> {
    everywhere(format!("\0a{number}\0").as_bytes())
}

/// A mail that has `text` wherever a mail can have one.
fn everywhere(text: &[u8]) -> Vec<u8> {
    let template = "Message-ID: <TEXT>\nIn-Reply-To: <TEXT@example.com> <TEXT>\nReferences: <a@TEXT>\n <TEXT> <b>\n\
         Date: Mon, 5 Jan 2026 10:00:00 +0000 (TEXT)\nFrom: \"TEXT\" <TEXT@example.com>\nSender: TEXT <s@example.com>\n\
         Reply-To: <TEXT>, TEXT\nTo: TEXT <a@example.com>, =?utf-8?q?TEXT?= <b@TEXT>\nCc: (TEXT) <c@example.com>\n\
         Subject: TEXT\nX-TEXT: TEXT\nX-Priority: TEXT\nList-Id: =?utf-8?q?TEXT?=\nReturn-Path: <TEXT>\n\
         Content-Type: multipart/mixed; boundary=\"TEXT\"\n\nTEXT\n\n--TEXT\n\nfor one TEXT\n--TEXT--\n\
         Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain; charset=\"TEXT\"\n\nTEXT\n\
         --b\nContent-Type: text/html\n\n<p title=\"TEXT\">TEXT<img src=\"cid:TEXT\" alt=\"TEXT\"></p><!-- TEXT -->\n\
         --b\nContent-Type: application/TEXT; name=\"TEXT\"\nContent-ID: <TEXT>\n\
         Content-Disposition: attachment; filename*=utf-8''TEXT%00; filename=\"TEXT\"\n\nTEXT\n\
         --b\nContent-Type: image/png; name*0*=TEXT''%00; name*1*=TEXT\nContent-Transfer-Encoding: TEXT\n\nTEXT\n--b--\n";
    let mut mail = Vec::new();
    for (i, piece) in template.split("TEXT").enumerate() {
        if i > 0 {
            mail.extend_from_slice(text);
        }
        mail.extend_from_slice(piece.as_bytes());
    }
    mail
}

fn numbered(count: usize, item: impl Fn(usize) -> String) -> String {
    (0..count).fold(String::new(), |mut all, i| {
        write!(all, "{}", item(i)).unwrap();
        all
    })
}

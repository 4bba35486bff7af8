//! Files and folders as people have them.

use std::fs;

use proptest::prelude::*;

use super::*;

fn mails_of(paths: &[PathBuf], max_bytes: u64) -> Vec<Result<String, String>> {
    let text = |found: Found| String::from_utf8_lossy(&found.source).into_owned();
    mails(paths, max_bytes).map(|mail| mail.map(text).map_err(|broken| broken.reason)).collect()
}

fn of_mbox(text: &[u8], max_bytes: u64) -> Vec<(String, bool)> {
    let mut mbox = Mbox::new(text);
    std::iter::from_fn(|| mbox.next_mail(max_bytes).unwrap())
        .map(|mail| (String::from_utf8(mail.bytes).unwrap(), mail.is_whole))
        .collect()
}

const ENVELOPE: &str = "From ann@example.com Mon Jan  5 10:00:00 2026\n";

#[test]
fn an_mbox_is_taken_apart_at_its_envelopes() {
    let text = format!(
        "{ENVELOPE}Subject: 1\n\nFrom here on it is text.\n\nFrom then on too, at 10:00.\n>From x\n>>From y\n> From z\n\n\
         From - Tue Jan 06 11:30:05 2026\r\nSubject: 2\r\n\r\nHi\r\n"
    );

    let first =
        "Subject: 1\n\nFrom here on it is text.\n\nFrom then on too, at 10:00.\nFrom x\n>From y\n> From z\n";
    assert_eq!(
        of_mbox(text.as_bytes(), 10_000),
        [(first.to_owned(), true), ("Subject: 2\r\n\r\nHi\r\n".to_owned(), true)]
    );
}

#[test]
fn an_envelope_says_when_a_mail_came() {
    let date = |line: &str| envelope::date(line.as_bytes()).map(|date| date.to_rfc3339());

    assert_eq!(date(ENVELOPE).as_deref(), Some("2026-01-05T10:00:00+00:00"));
    assert_eq!(date("From a b@c Thu Feb 29 1:02 CET 2024").as_deref(), Some("2024-02-29T01:02:00+00:00"));
    for odd in [
        "",
        "From ",
        "From x 10:00 2026",
        "From x Jan 10:00:00",
        "From x Feb 31 10:00:00 2026",
        "From : 2026",
    ] {
        assert_eq!(date(odd), None, "{odd}");
    }
}

#[test]
fn of_a_mail_that_is_too_large_the_header_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let mail = format!("Subject: large\n\n{}\n", "x".repeat(500_000));
    fs::write(folder.path().join("a.eml"), &mail).unwrap();
    fs::write(folder.path().join("b"), format!("{ENVELOPE}{mail}\n{ENVELOPE}Subject: small\n\n")).unwrap();

    let found: Vec<Found> = mails(&[folder.path().to_owned()], 100_000).map(Result::unwrap).collect();

    let read: Vec<(&[u8], Extent)> = found.iter().map(|mail| (mail.source.as_slice(), mail.extent)).collect();
    let header = b"Subject: large\r\n\r\n".as_slice();
    let small = b"Subject: small\r\n".as_slice();
    assert_eq!(read, [(header, Extent::Header), (header, Extent::Header), (small, Extent::Whole)]);
    let spans: u64 = found.iter().map(|mail| mail.span).sum();
    assert_eq!(spans, survey(&[folder.path().to_owned()]).bytes);
}

#[test]
fn a_folder_is_searched_for_mail_of_every_form() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("a/1.EML", "Subject: 1\r\n\r\n");
    write("a/2.eml", "");
    write("a/notes.txt", "no mail");
    write("a/.index.eml", "hidden");
    write("b.mbox", &format!("{ENVELOPE}Subject: 3\n\n"));
    write("m/cur/1767607200.M1P2.host:2,S", "Subject: 4\n");
    write("m/new/17x.host", "Subject: 5\n");
    write("m/tmp/1767607200.host", "Subject: never delivered\n");
    write("m/.Sent/cur/1.host", "Subject: 6\n");
    write("m/.Sent/new/.keep", "");
    write("m/dovecot-uidlist", "3 V1");
    write("m/.git/x.eml", "Subject: hidden\n");

    let paths = [folder.path().to_owned()];
    assert_eq!(
        mails_of(&paths, 1_000),
        [
            Ok("Subject: 1\r\n\r\n".to_owned()),
            Err("it is empty".to_owned()),
            Ok("Subject: 3\r\n".to_owned()),
            Ok("Subject: 6\r\n".to_owned()),
            Ok("Subject: 4\r\n".to_owned()),
            Ok("Subject: 5\r\n".to_owned()),
        ]
    );
    assert_eq!(survey(&paths).passed_over, 4);
    let dated = mails(&paths, 1_000).flatten().find(|mail| mail.source.starts_with(b"Subject: 4")).unwrap();
    assert_eq!(dated.received.unwrap().to_rfc3339(), "2026-01-05T10:00:00+00:00");
}

#[test]
fn what_is_named_and_not_there_is_told() {
    let paths = ["/nowhere/at/all".into()];
    let mut broken = mails(&paths, 1_000);

    assert!(broken.next().unwrap().unwrap_err().place.to_string().contains("/nowhere/at/all"));
    assert!(broken.next().is_none());
}

#[test]
fn a_file_with_crlf_keeps_its_lone_line_feeds() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.eml");
    fs::write(&path, "Subject: 1\r\n\r\nbinary\nas it is\r\n").unwrap();

    assert_eq!(mails_of(&[path], 1_000), [Ok("Subject: 1\r\n\r\nbinary\nas it is\r\n".to_owned())]);
}

proptest! {
    #[test]
    fn what_is_written_to_an_mbox_comes_out_of_it(
        mails in prop::collection::vec("(Subject: [a-z]{1,9}\n\n)((>{0,2}From [a-z 0-9:]{0,30}|[a-z>]{0,5})\n){0,6}x\n", 0..6),
    ) {
        let quoted = |mail: &String| -> String {
            mail.lines()
                .map(|line| {
                    let is_from = line.trim_start_matches('>').starts_with("From ");
                    if is_from { format!(">{line}\n") } else { format!("{line}\n") }
                })
                .collect()
        };
        let mbox: String = mails.iter().flat_map(|mail| [ENVELOPE.to_owned(), quoted(mail), "\n".to_owned()]).collect();

        let read: Vec<String> = of_mbox(mbox.as_bytes(), 10_000).into_iter().map(|(mail, _)| mail).collect();
        prop_assert!(mails.is_empty() || read == mails);
    }

    #[test]
    fn any_bytes_are_read_to_their_end(bytes in prop::collection::vec(any::<u8>(), 0..400), max in 0..200_u64) {
        let mut mbox = Mbox::new(bytes.as_slice());
        let mut spans = 0;
        while let Some(mail) = mbox.next_mail(max).unwrap() {
            prop_assert!(!mail.is_whole || mail.bytes.len() as u64 <= max);
            spans += mail.span;
        }
        prop_assert_eq!(spans, bytes.len() as u64);
    }
}

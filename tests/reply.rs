//! Replies: each `tests/mail/reply/LANGUAGE-PROGRAM-what-it-shows.eml` is read, and the author's new words in it are
//! compared with the text beside it, which a person wrote before there were rules.
//!
//! Line by line, without blanks at the ends and lines without a word: how far apart paragraphs stand is another matter.

#![expect(clippy::unwrap_used, reason = "a failed setup step is a failed test")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use postroom::mail;
use postroom::mail::Facts;
use postroom::message::{Extent, Listed, Message, Uid};

/// Mails whose reply is known to be read wrongly. None may be added without a reason beside it.
const WRONG: [&str; 0] = [];

#[test]
fn the_new_words_of_every_reply_are_found() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mail/reply");
    let mut names: Vec<String> = fs::read_dir(&folder)
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.strip_suffix(".eml").map(str::to_owned))
        .collect();
    names.sort();
    let mut table = Table::default();
    let mut report = String::new();
    for name in &names {
        let source = fs::read(folder.join(name).with_extension("eml")).unwrap();
        let wanted = fs::read_to_string(folder.join(name).with_extension("txt")).unwrap();
        let listed = Listed { uid: Uid(1), size: source.len() as u64, internal_date: None };
        let mail = mail::read(&Message { listed, source, extent: Extent::Whole }, &Facts::default());
        let is_right = lines(&wanted) == lines(mail.reply_text());
        table.count(name, is_right);
        if is_right == WRONG.contains(&name.as_str()) {
            let found = mail.reply.as_ref().unwrap();
            let verdict = if is_right { "is right, and listed as wrong" } else { "is wrong" };
            writeln!(
                report,
                "{name} {verdict}: {} {}\n--- wanted\n{wanted}--- found\n{}\n",
                found.method.as_str(),
                found.confidence,
                mail.reply_text()
            )
            .unwrap();
        }
    }

    assert!(names.len() > 300, "{} replies", names.len());
    assert!(report.is_empty(), "{report}\n{}", table.shown());
}

fn lines(text: &str) -> Vec<&str> {
    text.lines().map(str::trim).filter(|line| !line.trim_matches(['>', ' ']).is_empty()).collect()
}

/// Right and wrong, for each language and program.
#[derive(Default)]
struct Table(BTreeMap<String, BTreeMap<String, (u32, u32)>>);

impl Table {
    fn count(&mut self, name: &str, is_right: bool) {
        let mut parts = name.splitn(3, '-');
        let (language, program) = (parts.next().unwrap(), parts.next().unwrap());
        let cell = self.0.entry(language.to_owned()).or_default().entry(program.to_owned()).or_default();
        if is_right {
            cell.0 += 1;
        } else {
            cell.1 += 1;
        }
    }

    fn shown(&self) -> String {
        let mut shown = String::new();
        let (mut right, mut wrong) = (0, 0);
        for (language, programs) in &self.0 {
            let cells = programs.iter().map(|(program, (right, wrong))| format!("{program} {right}/{wrong}"));
            writeln!(shown, "{language}: {}", cells.collect::<Vec<_>>().join(", ")).unwrap();
            right += programs.values().map(|cell| cell.0).sum::<u32>();
            wrong += programs.values().map(|cell| cell.1).sum::<u32>();
        }
        writeln!(shown, "right {right}, wrong {wrong}").unwrap();
        shown
    }
}

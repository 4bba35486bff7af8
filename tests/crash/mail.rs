//! The mail that arrives: of every kind there is, each one different from all others, and copies.

use std::fmt::Write;

use devstack::{Chance, Sample, samples};
use memchr::memmem;

/// A mail to one of the mailboxes.
#[derive(Debug, Clone)]
pub(crate) struct Mail {
    /// Index of the mailbox.
    pub(crate) mailbox: usize,
    /// For the person who looks for it.
    pub(crate) kind: &'static str,
    /// As it lies in a Maildir, with LF line ends.
    pub(crate) bytes: Vec<u8>,
}

/// Who has written how much so far.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    written: usize,
    /// By mailbox.
    ids: [Vec<String>; 2],
    sent: [Vec<Mail>; 2],
}

impl Writer {
    /// The next mails that arrive together: one, or the same twice.
    pub(crate) fn write(&mut self, chance: &mut Chance) -> Vec<Mail> {
        let mailbox = chance.index(2);
        if chance.one_in(8) && !self.sent[mailbox].is_empty() {
            let known = chance.index(self.sent[mailbox].len());
            return vec![Mail { kind: "a copy", ..self.sent[mailbox][known].clone() }];
        }
        self.written += 1;
        let number = self.written;
        let (kind, bytes) = match chance.below(16) {
            0..7 => ("plain", self.plain(mailbox, "", &format!("Hello, this is {number}.\n"))),
            7..10 => self.reply(mailbox, chance),
            10 => self.reused_id(mailbox, chance),
            11 => ("with an empty body", self.plain(mailbox, "", "")),
            12 if chance.one_in(2) => ("big", self.big(mailbox)),
            _ => {
                let sample = &samples()[chance.index(samples().len())];
                (sample.name, made_new(sample, number))
            }
        };
        let mail = Mail { mailbox, kind, bytes };
        self.sent[mailbox].push(mail.clone());
        if chance.one_in(12) { vec![mail.clone(), mail] } else { vec![mail] }
    }

    fn plain(&mut self, mailbox: usize, header: &str, body: &str) -> Vec<u8> {
        let id = format!("m{}@example.com", self.written);
        self.ids[mailbox].push(id.clone());
        with_id(&id, header, body)
    }

    fn reply(&mut self, mailbox: usize, chance: &mut Chance) -> (&'static str, Vec<u8>) {
        let number = self.written;
        let known = self.ids[mailbox].len();
        if known == 0 {
            return ("plain", self.plain(mailbox, "", &format!("The first words are {number}.\n")));
        }
        // To one of the latest: those whose fate is open.
        let id = &self.ids[mailbox][known - 1 - chance.index(known.min(6))];
        let header = format!("In-Reply-To: <{id}>\n");
        ("a reply", self.plain(mailbox, &header, &format!("My answer is {number}.\n")))
    }

    fn reused_id(&mut self, mailbox: usize, chance: &mut Chance) -> (&'static str, Vec<u8>) {
        let ids = &self.ids[mailbox];
        let id = if ids.is_empty() { "once@example.com" } else { &ids[chance.index(ids.len())] };
        ("with an id used before", with_id(id, "", &format!("Another matter, {}.\n", self.written)))
    }

    /// About 300 KB that do not compress well.
    fn big(&mut self, mailbox: usize) -> Vec<u8> {
        let mut lines = Chance::of(self.written as u64);
        let mut body = String::new();
        for _ in 0..6_000 {
            let _ = writeln!(body, "{:016x}{:016x}{:016x}", lines.draw(), lines.draw(), lines.draw());
        }
        self.plain(mailbox, "", &body)
    }
}

fn with_id(id: &str, header: &str, body: &str) -> Vec<u8> {
    format!(
        "Message-ID: <{id}>\nDate: Mon, 5 Jan 2026 10:00:00 +0000\nFrom: Ann <ann@example.com>\n\
         To: support@example.com\nSubject: About {id}\n{header}\n{body}"
    )
    .into_bytes()
}

/// A sample that is not the one that arrived before.
fn made_new(sample: &Sample, number: usize) -> Vec<u8> {
    let bytes = sample.bytes;
    for field in ["Message-ID: <", "Subject: "] {
        if let Some(at) = memmem::find(bytes, field.as_bytes()) {
            let (before, after) = bytes.split_at(at + field.len());
            return [before, format!("n{number}.").as_bytes(), after].concat();
        }
    }
    panic!("{} has neither Message-ID nor Subject", sample.name);
}

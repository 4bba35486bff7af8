//! Subjects of notices and automatic replies, as mail systems begin them, in their many languages (`subjects/`).
//!
//! Weak signals: anybody can write such a subject, and somebody who answers or forwards a notice nearly does.

use std::sync::LazyLock;

use crate::mail::automation::Signal;

/// More than any of these beginnings, tags before them included.
const CHARS: usize = 300;

/// Tags that are taken away.
const MAX_TAGS: usize = 4;

/// Beginnings of one kind, sorted.
type Beginnings = LazyLock<Vec<&'static str>>;

static AUTO_REPLIES: Beginnings = LazyLock::new(|| beginnings(include_str!("subjects/auto_reply.txt")));
static BOUNCES: Beginnings = LazyLock::new(|| beginnings(include_str!("subjects/bounce.txt")));
static DELAYS: Beginnings = LazyLock::new(|| beginnings(include_str!("subjects/delay.txt")));
static RECEIPTS: Beginnings = LazyLock::new(|| beginnings(include_str!("subjects/receipt.txt")));
static FORWARDS: Beginnings = LazyLock::new(|| beginnings(include_str!("subjects/forward.txt")));

/// Reads a list: a language, and the beginnings in it, on each line.
fn beginnings(list: &'static str) -> Vec<&'static str> {
    let lines = list.lines().filter(|line| !line.starts_with('#'));
    let mut all: Vec<&str> = lines.flat_map(|line| line.split('|').skip(1)).map(str::trim).collect();
    all.sort_unstable();
    all
}

/// A subject, prepared for comparison.
pub(super) struct Subject(String);

impl Subject {
    /// In lower case, its white space and apostrophes as in the lists, without tags such as `[EXTERNAL]` or
    /// `***SPAM***` that gateways put before it.
    pub(super) fn of(subject: &str) -> Self {
        let start: String = subject.chars().take(CHARS).collect();
        let start = start.to_lowercase().replace(['’', '`'], "'").replace('：', ":");
        let words = start.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut rest = words.as_str();
        for _ in 0..MAX_TAGS {
            let behind = match rest.chars().next() {
                Some('[') => rest.split_once(']').map(|(_, rest)| rest),
                Some('(') => rest.split_once(')').map(|(_, rest)| rest),
                Some('*') => {
                    let tag = rest.trim_start_matches('*').split_once('*');
                    tag.map(|(_, rest)| rest.trim_start_matches('*'))
                }
                _ => None,
            };
            match behind {
                Some(behind) => rest = behind.trim_start(),
                None => break,
            }
        }
        Self(rest.to_owned())
    }

    /// What it says, if it begins as one of those.
    pub(super) fn signal(&self) -> Option<Signal> {
        // Delays first: some begin like bounces.
        if self.begins(&DELAYS) {
            Some(Signal::DelaySubject)
        } else if self.is_headed(&AUTO_REPLIES) {
            Some(Signal::AutoReplySubject)
        } else if self.is_headed(&RECEIPTS) {
            Some(Signal::ReceiptSubject)
        } else if self.begins(&BOUNCES) {
            Some(Signal::BounceSubject)
        } else {
            None
        }
    }

    /// Whether it says that somebody hands the mail on.
    pub(super) fn is_forward(&self) -> bool {
        self.0.contains(':') && self.is_headed(&FORWARDS)
    }

    /// Whether it begins with one of `heads`, and no letter follows.
    fn begins(&self, heads: &[&str]) -> bool {
        let is_whole = |rest: &str| !rest.chars().next().is_some_and(continues_word);
        heads.iter().any(|head| self.0.strip_prefix(head).is_some_and(is_whole))
    }

    /// Whether it is one of `heads`, alone or with a colon behind it.
    fn is_headed(&self, heads: &[&str]) -> bool {
        let head = self.0.split_once(':').map_or(self.0.as_str(), |(head, _)| head);
        // What stands at its end where it stands alone.
        heads.binary_search(&head.trim_end_matches(['!', '.', ' '])).is_ok()
    }
}

/// Whether a letter makes a longer word of what stands before it. Chinese and Japanese put no space between words.
fn continues_word(char: char) -> bool {
    char.is_alphanumeric() && !('\u{2e80}'..='\u{ffef}').contains(&char)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notices_are_known_in_their_languages() {
        for (subject, expected) in [
            ("Automatic reply: Printer", Signal::AutoReplySubject),
            ("Automatische Antwort: Drucker", Signal::AutoReplySubject),
            ("Réponse automatique\u{a0}: Imprimante", Signal::AutoReplySubject),
            ("Message d’absence : Imprimante", Signal::AutoReplySubject),
            ("[EXTERNAL] Out of Office: x", Signal::AutoReplySubject),
            ("***SPAM*** (ext) Out of Office: x", Signal::AutoReplySubject),
            ("自動応答: プリンター", Signal::AutoReplySubject),
            ("自动答复：打印机", Signal::AutoReplySubject),
            ("ABWESENHEITSNOTIZ!", Signal::AutoReplySubject),
            ("Undeliverable: Printer", Signal::BounceSubject),
            ("Unzustellbar: Drucker", Signal::BounceSubject),
            ("Undelivered Mail Returned to Sender", Signal::BounceSubject),
            ("Delivery Status Notification (Failure)", Signal::BounceSubject),
            ("配信不能: プリンター", Signal::BounceSubject),
            ("Delivery Status Notification (Delay)", Signal::DelaySubject),
            ("Warning: message 1a2b delayed 24 hours", Signal::DelaySubject),
            ("Zustellung verzögert: Drucker", Signal::DelaySubject),
            ("Read: Printer", Signal::ReceiptSubject),
            ("Gelesen: Drucker", Signal::ReceiptSubject),
        ] {
            assert_eq!(Subject::of(subject).signal(), Some(expected), "{subject}");
        }
    }

    #[test]
    fn what_people_write_about_them_is_not_taken_for_them() {
        for subject in [
            "Re: Automatic reply: Printer",
            "AW: Unzustellbar: Drucker",
            "Fwd: Undelivered Mail Returned to Sender",
            "Automatic reply does not work",
            "Out of office phone is broken",
            "Away with old printers",
            "Read this please",
            "Undeliverables in our queue",
            "Printer",
            "",
        ] {
            assert_eq!(Subject::of(subject).signal(), None, "{subject}");
        }
    }

    #[test]
    fn a_forward_is_told_by_its_beginning() {
        for subject in [
            "FW: Printer",
            "Fwd: Printer",
            "WG: Drucker",
            "TR : Imprimante",
            "[EXT] WG: Drucker",
            "转发：打印机",
        ] {
            assert!(Subject::of(subject).is_forward(), "{subject}");
        }
        for subject in ["Re: Printer", "Forward: march", "Fwdx: a", "fwd", ""] {
            assert!(!Subject::of(subject).is_forward(), "{subject}");
        }
    }

    #[test]
    fn the_lists_hold_beginnings_as_subjects_are_compared_each_once() {
        for list in [&AUTO_REPLIES, &BOUNCES, &DELAYS, &RECEIPTS, &FORWARDS] {
            assert!(list.len() > 20);
            assert!(list.is_sorted_by(|one, next| one < next), "one twice: {list:?}");
            for beginning in list.iter() {
                assert_eq!(Subject::of(beginning).0, *beginning);
            }
        }
    }
}

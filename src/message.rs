//! What a mailbox holds: messages, where they are, and sets of their UIDs.
//!
//! A message is addressed by UIDVALIDITY and UID (RFC 9051 §2.3.1.1), never by a sequence number, which
//! changes under our feet whenever anyone expunges.

use std::fmt;

use chrono::{DateTime, FixedOffset};
use memchr::memmem;

/// The longest UID set put into one command. Exchange refuses commands over 10,240 bytes; others are
/// stricter, so we stay far below.
const MAX_SET_CHARS: usize = 1_000;

/// A folder's UIDVALIDITY: UIDs mean something only together with it. Never 0 (RFC 9051 §2.3.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UidValidity(pub u32);

/// A message's unique identifier within one folder and UIDVALIDITY. Never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uid(pub u32);

impl fmt::Display for UidValidity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A message as listed: known to exist, not yet fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed {
    /// Where it is.
    pub uid: Uid,
    /// RFC822.SIZE in bytes. An estimate on Exchange (up to three times too large); good for planning only.
    pub size: u64,
    /// INTERNALDATE: when the server received it.
    pub internal_date: Option<DateTime<FixedOffset>>,
}

/// How much of a message a [`Message`] holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// The whole message.
    Whole,
    /// Its header only, because the rest is larger than we take.
    Header,
}

/// A message as fetched.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// What the listing said of it.
    pub listed: Listed,
    /// Its RFC 5322 bytes, exactly as the server sent them.
    pub source: Vec<u8>,
    /// Whether `source` is all of it.
    pub extent: Extent,
}

impl Message {
    /// Whether there is a mail in it. There is none if it is empty, or if it is what Exchange gives in place of a
    /// mail that it cannot convert: a notice by "Microsoft Exchange Server" that retrieval by IMAP4 failed
    /// (seen with Exchange 2010 to Online; the original is still in the mailbox, and often comes right later).
    pub fn has_content(&self) -> bool {
        const NOTICE: &[u8] = b"Subject: Retrieval using the IMAP4 protocol failed for the following message";
        const SENDER: &[u8] = b"Microsoft Exchange Server";
        let header = self.source.get(..2_048).unwrap_or(&self.source);
        let has = |words: &[u8]| memmem::find(header, words).is_some();
        let is_notice = has(NOTICE) && has(SENDER);
        !(self.source.is_empty() || is_notice)
    }
}

// By hand: a derived `Debug` would print the mail.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("uid", &self.listed.uid.0)
            .field("bytes", &self.source.len())
            .field("extent", &self.extent)
            .finish_non_exhaustive()
    }
}

/// A set of UIDs, kept sorted and in ranges, as a command wants it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UidSet {
    /// Inclusive, ascending, never touching one another.
    ranges: Vec<(u32, u32)>,
}

impl UidSet {
    /// Whether no UID is in it.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// How many UIDs are in it.
    pub fn len(&self) -> usize {
        self.ranges.iter().map(|&(lo, hi)| (hi - lo) as usize + 1).sum()
    }

    /// Whether `uid` is in it.
    pub fn contains(&self, uid: Uid) -> bool {
        let after = self.ranges.partition_point(|&(lo, _)| lo <= uid.0);
        after.checked_sub(1).and_then(|i| self.ranges.get(i)).is_some_and(|&(_, hi)| uid.0 <= hi)
    }

    /// Every UID, ascending.
    pub fn iter(&self) -> impl Iterator<Item = Uid> + '_ {
        self.ranges.iter().flat_map(|&(lo, hi)| (lo..=hi).map(Uid))
    }

    /// Those that are not in `others`.
    #[must_use]
    pub fn without(&self, others: &Self) -> Self {
        self.iter().filter(|&uid| !others.contains(uid)).collect()
    }

    /// Its lower and its upper half; `None` if it has fewer than two UIDs.
    pub fn halves(&self) -> Option<(Self, Self)> {
        let middle = self.len() / 2;
        (middle > 0).then(|| (self.iter().take(middle).collect(), self.iter().skip(middle).collect()))
    }

    /// Cuts the set into sets whose text form is at most 1,000 characters each.
    pub fn split(&self) -> Vec<Self> {
        let mut sets = Vec::new();
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        let mut chars = 0;
        for &range in &self.ranges {
            let width = range_text(range).len() + 1;
            if chars + width > MAX_SET_CHARS && !ranges.is_empty() {
                sets.push(Self { ranges: std::mem::take(&mut ranges) });
                chars = 0;
            }
            ranges.push(range);
            chars += width;
        }
        if !ranges.is_empty() {
            sets.push(Self { ranges });
        }
        sets
    }
}

impl FromIterator<Uid> for UidSet {
    /// Takes UIDs in any order, repeated or not.
    fn from_iter<I: IntoIterator<Item = Uid>>(uids: I) -> Self {
        let mut uids: Vec<u32> = uids.into_iter().map(|uid| uid.0).collect();
        uids.sort_unstable();
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        for uid in uids {
            match ranges.last_mut() {
                Some((_, hi)) if uid <= hi.saturating_add(1) => *hi = uid,
                _ => ranges.push((uid, uid)),
            }
        }
        Self { ranges }
    }
}

/// The wire form of RFC 9051's `sequence-set`: `1:3,7,9:12`. Empty for an empty set, which no command takes.
impl fmt::Display for UidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, &range) in self.ranges.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            f.write_str(&range_text(range))?;
        }
        Ok(())
    }
}

fn range_text((lo, hi): (u32, u32)) -> String {
    if lo == hi { lo.to_string() } else { format!("{lo}:{hi}") }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn set(uids: &[u32]) -> UidSet {
        uids.iter().copied().map(Uid).collect()
    }

    #[test]
    fn runs_become_ranges() {
        assert_eq!(set(&[9, 1, 2, 3, 7, 2, 10]).to_string(), "1:3,7,9:10");
        assert_eq!(set(&[]).to_string(), "");
        assert_eq!(set(&[u32::MAX, u32::MAX - 1]).to_string(), "4294967294:4294967295");
    }

    #[test]
    fn a_split_set_fits_a_command_and_loses_nothing() {
        let scattered: UidSet = (0..5_000).map(|i| Uid(i * 2 + 1_000_000)).collect();

        let parts = scattered.split();

        assert!(parts.iter().all(|part| part.to_string().len() <= MAX_SET_CHARS));
        assert_eq!(parts.iter().map(UidSet::len).sum::<usize>(), 5_000);
    }

    #[test]
    fn a_notice_in_place_of_a_mail_is_no_content() {
        let has_content = |source: &str| {
            let listed = Listed { uid: Uid(1), size: 1, internal_date: None };
            Message { listed, source: source.as_bytes().to_vec(), extent: Extent::Whole }.has_content()
        };
        let notice = "Subject: Retrieval using the IMAP4 protocol failed for the following message: 7\r\n";

        assert!(!has_content(""));
        assert!(!has_content(&format!("From: Microsoft Exchange Server 2010\r\n{notice}\r\nThe server...")));
        assert!(has_content(&format!("From: Ann <ann@example.com>\r\n{notice}\r\nWhat does that mean?")));
        assert!(has_content("From: Microsoft Exchange Server\r\nSubject: Quota\r\n\r\nFull."));
    }

    proptest! {
        #[test]
        fn a_set_holds_exactly_what_went_in(mut uids in prop::collection::vec(1..2_000_u32, 0..400)) {
            let set = set(&uids);
            uids.sort_unstable();
            uids.dedup();
            prop_assert_eq!(set.iter().map(|uid| uid.0).collect::<Vec<_>>(), uids.clone());
            prop_assert_eq!(set.len(), uids.len());
            for uid in 1..2_000 {
                prop_assert_eq!(set.contains(Uid(uid)), uids.binary_search(&uid).is_ok());
            }
            let parts = set.split().iter().flat_map(|part| part.iter().collect::<Vec<_>>()).collect::<Vec<_>>();
            prop_assert_eq!(parts, set.iter().collect::<Vec<_>>());
        }

        #[test]
        fn a_set_is_written_so_that_it_reads_the_same_and_halved_without_loss(
            starts in prop::collection::vec((any::<u32>(), 0..40_u32), 0..120),
        ) {
            let set: UidSet =
                starts.iter().flat_map(|&(start, more)| start..=start.saturating_add(more)).map(Uid).collect();
            let read: UidSet = set
                .to_string()
                .split(',')
                .filter(|range| !range.is_empty())
                .flat_map(|range| {
                    let (lo, hi) = range.split_once(':').unwrap_or((range, range));
                    lo.parse::<u32>().unwrap()..=hi.parse().unwrap()
                })
                .map(Uid)
                .collect();
            prop_assert_eq!(&read, &set);
            for part in set.split() {
                prop_assert!(part.to_string().len() <= MAX_SET_CHARS);
            }
            let halves = set.halves().into_iter().flat_map(|(lower, upper)| {
                lower.iter().chain(upper.iter()).collect::<Vec<_>>()
            });
            prop_assert!(set.len() < 2 || halves.eq(set.iter()));
        }
    }
}

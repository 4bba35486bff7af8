//! How much mail is too much: backstops against loops and floods that no header gives away.
//!
//! Rates go by the time at which mail reached the mailbox, so that a backlog of a year, taken in within a minute, is no
//! flood. What they remember of a sender and of a content stands in the store: whoever empties the mailbox next
//! goes on from there.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use chrono::{DateTime, TimeDelta, Utc};

/// What stands for a sender or a content: the first 8 bytes of a SHA-256.
pub type RateKey = i64;

/// How much is too much. A count of 0 is no limit.
#[derive(Debug, Clone)]
pub(super) struct Limits {
    /// Mails of one sender in an hour: the size of the bucket, which fills within an hour.
    pub(super) sender_per_hour: u32,
    /// How long a sender who has emptied it is shut out.
    pub(super) sender_pause: TimeDelta,
    /// Mails into one ticket in 24 hours.
    pub(super) ticket_per_day: u32,
    /// The so-manieth mail with one content is too much.
    pub(super) same_mail: u32,
    /// Within this time.
    pub(super) same_mail_window: TimeDelta,
}

/// One sender's bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    /// When it is full again, if no more is taken.
    pub full_at: DateTime<Utc>,
    /// When the newest mail came that it has judged.
    pub newest_at: DateTime<Utc>,
    /// Until when the sender is shut out.
    pub shut_until: Option<DateTime<Utc>>,
}

/// When mails with one content came, the newest ones.
pub type Repeats = VecDeque<DateTime<Utc>>;

/// What is remembered of senders and contents.
#[derive(Debug, Clone, Default)]
pub struct Rates {
    /// By sender.
    pub senders: HashMap<RateKey, Bucket>,
    /// By content.
    pub repeats: HashMap<RateKey, Repeats>,
    /// What has changed since it was read, and is to be stored with the batch.
    changed: BTreeSet<(RateKind, RateKey)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum RateKind {
    Sender,
    Repeats,
}

const HOUR: TimeDelta = TimeDelta::hours(1);
pub(super) const DAY: TimeDelta = TimeDelta::hours(24);

impl Bucket {
    /// Takes a token for a mail that came at `at`: what remains, and whether there was one.
    ///
    /// A mail that came more than an hour before the newest tells nothing of the present, and passes.
    fn take(before: Option<Self>, at: DateTime<Utc>, limits: &Limits) -> (Self, bool) {
        let Self { full_at, newest_at, shut_until } =
            before.unwrap_or(Self { full_at: at, newest_at: at, shut_until: None });
        let this = Self { full_at, newest_at, shut_until };
        if at < newest_at - HOUR {
            return (this, true);
        }
        let at = at.max(newest_at);
        if shut_until.is_some_and(|until| at < until) {
            return (Self { newest_at: at, ..this }, false);
        }
        let per_token = HOUR / i32::try_from(limits.sender_per_hour).unwrap_or(i32::MAX);
        let full_at = full_at.max(at) + per_token;
        // Rounded down above, so the last token is whole.
        if full_at - at > HOUR {
            return (Self { newest_at: at, shut_until: Some(at + limits.sender_pause), ..this }, false);
        }
        (Self { full_at, newest_at: at, shut_until: None }, true)
    }
}

impl Rates {
    /// Whether the sender of a mail that came at `at` has sent too much.
    pub(super) fn is_sender_over(&self, sender: Option<RateKey>, at: DateTime<Utc>, limits: &Limits) -> bool {
        let Some(sender) = sender.filter(|_| limits.sender_per_hour > 0) else { return false };
        !Bucket::take(self.senders.get(&sender).copied(), at, limits).1
    }

    /// Whether a mail that came at `at` has come too often.
    pub(super) fn is_repeated(&self, content: Option<RateKey>, at: DateTime<Utc>, limits: &Limits) -> bool {
        let Some(content) = content.filter(|_| limits.same_mail > 0) else { return false };
        let near = |time: &&DateTime<Utc>| (at - **time).abs() < limits.same_mail_window;
        let before = self.repeats.get(&content).map_or(0, |times| times.iter().filter(near).count());
        before + 1 >= usize::try_from(limits.same_mail).unwrap_or(usize::MAX)
    }

    /// Counts a mail that came at `at`.
    pub(super) fn count(
        &mut self,
        sender: Option<RateKey>,
        content: Option<RateKey>,
        at: DateTime<Utc>,
        limits: &Limits,
    ) {
        if let Some(sender) = sender.filter(|_| limits.sender_per_hour > 0) {
            let (bucket, _) = Bucket::take(self.senders.get(&sender).copied(), at, limits);
            self.senders.insert(sender, bucket);
            self.changed.insert((RateKind::Sender, sender));
        }
        if let Some(content) = content.filter(|_| limits.same_mail > 0) {
            let times = self.repeats.entry(content).or_default();
            times.push_back(at);
            while times.len() >= usize::try_from(limits.same_mail).unwrap_or(usize::MAX).max(2) {
                times.pop_front();
            }
            self.changed.insert((RateKind::Repeats, content));
        }
    }

    /// The senders whose buckets have changed.
    pub fn changed_senders(&self) -> BTreeMap<RateKey, Bucket> {
        self.changed(RateKind::Sender, &self.senders)
    }

    /// The contents that have come again.
    pub fn changed_repeats(&self) -> BTreeMap<RateKey, Repeats> {
        self.changed(RateKind::Repeats, &self.repeats)
    }

    /// In the order of their keys: so two writers never wait for each other's rows in turn.
    fn changed<T: Clone>(&self, kind: RateKind, of: &HashMap<RateKey, T>) -> BTreeMap<RateKey, T> {
        let keys = self.changed.iter().filter(|(of, _)| *of == kind).map(|(_, key)| *key);
        keys.filter_map(|key| Some((key, of.get(&key)?.clone()))).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SENDER: Option<RateKey> = Some(1);
    const CONTENT: Option<RateKey> = Some(2);

    fn limits() -> Limits {
        Limits {
            sender_per_hour: 20,
            sender_pause: TimeDelta::hours(1),
            ticket_per_day: 50,
            same_mail: 3,
            same_mail_window: TimeDelta::minutes(10),
        }
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::seconds(seconds)
    }

    /// Which of mails of one sender, at these seconds, pass.
    fn sent(seconds: impl IntoIterator<Item = i64>) -> Vec<bool> {
        let (limits, mut rates) = (limits(), Rates::default());
        seconds
            .into_iter()
            .map(|second| {
                let is_over = rates.is_sender_over(SENDER, at(second), &limits);
                rates.count(SENDER, None, at(second), &limits);
                !is_over
            })
            .collect()
    }

    #[test]
    fn a_sender_has_so_many_in_an_hour_and_is_then_shut_out_for_an_hour() {
        let passed = sent((0..40).chain([3_000, 3_619, 3_620, 3_621]));

        assert_eq!(passed.iter().filter(|passed| **passed).count(), 22);
        assert!(passed[..20].iter().all(|passed| *passed));
        assert_eq!(passed[40..], [false, false, true, true], "an hour after the first that was too much");
    }

    #[test]
    fn who_sends_slowly_is_never_shut_out() {
        assert!(sent((0..500).map(|i| i * 180)).iter().all(|passed| *passed));
    }

    #[test]
    fn a_backlog_is_no_flood_in_whatever_order_it_comes() {
        let month = |i: i64| i * 86_400;
        assert!(sent((0..300).map(month)).iter().all(|passed| *passed));
        assert!(sent((0..300).rev().map(month)).iter().all(|passed| *passed));
        assert!(sent((0..300).map(|i| month(i * 7 % 300))).iter().all(|passed| *passed));
    }

    #[test]
    fn the_third_of_the_same_within_ten_minutes_is_too_much() {
        let came = |seconds: &[i64]| -> Vec<bool> {
            let (limits, mut rates) = (limits(), Rates::default());
            let mut judge = |second: &i64| {
                let is_repeated = rates.is_repeated(CONTENT, at(*second), &limits);
                rates.count(None, CONTENT, at(*second), &limits);
                is_repeated
            };
            seconds.iter().map(&mut judge).collect()
        };

        assert_eq!(came(&[0, 1, 2, 3]), [false, false, true, true]);
        assert_eq!(came(&[0, 300, 599]), [false, false, true]);
        assert_eq!(came(&[0, 300, 600, 899]), [false, false, false, true]);
        assert_eq!(came(&[0, 599, 1_200, 1_799]), [false, false, false, false]);
    }

    #[test]
    fn no_limit_is_none() {
        let none = Limits { sender_per_hour: 0, same_mail: 0, ..limits() };
        let mut rates = Rates::default();
        for second in 0..100 {
            assert!(!rates.is_sender_over(SENDER, at(second), &none));
            assert!(!rates.is_repeated(CONTENT, at(second), &none));
            rates.count(SENDER, CONTENT, at(second), &none);
        }
        assert!(rates.changed_senders().is_empty() && rates.changed_repeats().is_empty());
    }

    #[test]
    fn only_what_changed_is_stored() {
        let (limits, mut rates) = (limits(), Rates::default());
        let bucket = Bucket { full_at: at(0), newest_at: at(0), shut_until: None };
        rates.senders.insert(7, bucket);
        rates.count(SENDER, CONTENT, at(0), &limits);

        assert_eq!(rates.changed_senders().keys().collect::<Vec<_>>(), [&1]);
        assert_eq!(rates.changed_repeats()[&2], [at(0)]);
    }

    proptest! {
        #[test]
        fn in_no_hour_more_than_twice_the_limit_pass(steps in prop::collection::vec(0_i64..400, 1..200)) {
            let mut seconds = Vec::new();
            for step in steps {
                seconds.push(seconds.last().copied().unwrap_or(0) + step);
            }
            let passed: Vec<i64> =
                sent(seconds.clone()).into_iter().zip(seconds).filter_map(|(passed, second)| passed.then_some(second)).collect();
            for start in &passed {
                let in_hour = passed.iter().filter(|second| (*start..start + 3_600).contains(second)).count();
                prop_assert!(in_hour <= 40, "{in_hour} in an hour");
            }
        }
    }
}

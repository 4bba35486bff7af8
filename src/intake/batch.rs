//! How messages are put together for one FETCH and one commit.

use std::collections::VecDeque;

use crate::config;
use crate::message::{Extent, Listed, UidSet};
use crate::store::Due;

/// Messages that are fetched, read and recorded together.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) wanted: Vec<Listed>,
    pub(super) extent: Extent,
    /// How often taking these in has failed.
    pub(super) attempts: u32,
    /// How often a worker died over these.
    pub(super) crashes: u32,
    /// How often a worker died over this one alone.
    pub(super) crashes_alone: u32,
}

impl Batch {
    /// Whether a worker may have died over one of these. Such a batch is worked on by itself, so that, if the worker
    /// dies again, it is known over which.
    pub(super) fn is_suspect(&self) -> bool {
        self.crashes > 0
    }

    /// Its UIDs.
    pub(super) fn uids(&self) -> UidSet {
        self.wanted.iter().map(|listed| listed.uid).collect()
    }

    /// Its two halves; `None` if it cannot be halved.
    pub(super) fn halves(&self) -> Option<(Self, Self)> {
        let (first, second) = self.wanted.split_at(self.wanted.len() / 2);
        let half = |part: &[Listed]| Self { wanted: part.to_vec(), ..*self };
        (!first.is_empty()).then(|| (half(first), half(second)))
    }
}

/// Takes the next batch off the front of `queue`: as many messages as the limits allow, one larger than a
/// batch alone, and one larger than we take alone with its header only. Messages that could not be taken in before
/// go in batches an eighth as large each time, so that the one at fault is soon alone. `None` if the queue is
/// empty.
pub(super) fn next(queue: &mut VecDeque<Due>, limits: &config::Intake) -> Option<Batch> {
    let Due { listed: first, attempts, crashes, crashes_alone } = queue.pop_front()?;
    if first.size > limits.max_message_bytes {
        return Some(Batch { wanted: vec![first], extent: Extent::Header, attempts, crashes, crashes_alone });
    }
    let most =
        limits.batch_messages.checked_shr(attempts.saturating_add(crashes).saturating_mul(3)).unwrap_or(0);
    let mut bytes = first.size;
    let mut wanted = vec![first];
    let alike = |due: &&Due| (due.attempts, due.crashes, due.crashes_alone) == (attempts, crashes, 0);
    while let Some(message) = queue.front().filter(alike).filter(|_| crashes_alone == 0) {
        bytes = bytes.saturating_add(message.listed.size);
        if wanted.len() >= most || bytes > limits.batch_bytes {
            break;
        }
        wanted.extend(queue.pop_front().map(|due| due.listed));
    }
    Some(Batch { wanted, extent: Extent::Whole, attempts, crashes, crashes_alone })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::message::Uid;

    const LIMITS: config::Intake = config::Intake {
        batch_messages: 3,
        batch_bytes: 100,
        max_message_bytes: 1_000,
        settle_messages: 500,
    };

    fn due(uid: u32, size: u64, attempts: u32) -> Due {
        Due {
            listed: Listed { uid: Uid(uid), size, internal_date: None },
            attempts,
            crashes: 0,
            crashes_alone: 0,
        }
    }

    fn queue(sizes: &[u64]) -> VecDeque<Due> {
        (1..).zip(sizes).map(|(uid, &size)| due(uid, size, 0)).collect()
    }

    fn batches(sizes: &[u64]) -> Vec<(Vec<u32>, Extent)> {
        let mut queue = queue(sizes);
        std::iter::from_fn(|| next(&mut queue, &LIMITS))
            .map(|batch| (batch.wanted.iter().map(|listed| listed.uid.0).collect(), batch.extent))
            .collect()
    }

    #[test]
    fn a_batch_is_bounded_in_count_and_bytes() {
        let whole = Extent::Whole;
        assert_eq!(batches(&[1, 1, 1, 1]), [(vec![1, 2, 3], whole), (vec![4], whole)]);
        assert_eq!(batches(&[60, 40, 1]), [(vec![1, 2], whole), (vec![3], whole)]);
        assert_eq!(batches(&[]), []);
    }

    #[test]
    fn a_large_message_goes_alone_and_an_oversized_one_without_its_body() {
        assert_eq!(
            batches(&[1, 500, 1, 1_001, 1]),
            [
                (vec![1], Extent::Whole),
                (vec![2], Extent::Whole),
                (vec![3], Extent::Whole),
                (vec![4], Extent::Header),
                (vec![5], Extent::Whole)
            ]
        );
    }

    #[test]
    fn what_failed_before_goes_in_smaller_batches_until_each_is_alone() {
        let limits = config::Intake { batch_messages: 400, ..LIMITS };
        let sizes = |attempts: [u32; 60]| {
            let mut queue: VecDeque<Due> = (1..).zip(attempts).map(|(uid, n)| due(uid, 1, n)).collect();
            std::iter::from_fn(|| next(&mut queue, &limits))
                .map(|batch| batch.wanted.len())
                .collect::<Vec<_>>()
        };

        assert_eq!(sizes([0; 60]), [60]);
        assert_eq!(sizes([1; 60]), [50, 10]);
        assert_eq!(sizes([2; 60]), [6; 10]);
        assert_eq!(sizes([3; 60]), [1; 60]);
        assert_eq!(sizes([40; 60]), [1; 60]);
        let mut mixed = [0; 60];
        mixed[30] = 1;
        assert_eq!(sizes(mixed), [30, 1, 29]);
    }

    #[test]
    fn what_a_worker_died_over_goes_by_itself() {
        let mut queue = queue(&[1; 4]);
        queue[1].crashes = 1;

        let sizes: Vec<(usize, bool)> = std::iter::from_fn(|| next(&mut queue, &LIMITS))
            .map(|batch| (batch.wanted.len(), batch.is_suspect()))
            .collect();

        assert_eq!(sizes, [(1, false), (1, true), (2, false)]);
    }

    proptest! {
        #[test]
        fn every_message_is_in_exactly_one_batch(sizes in prop::collection::vec(0..2_000_u64, 0..60)) {
            let uids: Vec<u32> = batches(&sizes).into_iter().flat_map(|(uids, _)| uids).collect();
            prop_assert_eq!(uids, (1..).take(sizes.len()).collect::<Vec<u32>>());
        }
    }
}

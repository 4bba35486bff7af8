//! In which order the mails of a batch are filed: parents before their replies, and the older before the newer.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use crate::ticket::ThreadKey;
use crate::ticket::clues::Clues;

/// The places of the mails of a batch, each with when it came, in the order in which they are to be filed.
///
/// It depends on the mails alone; how they stand in the batch counts only among mails that came at the same time and
/// do not refer to each other. Mails that do so in a circle go by age.
pub fn in_order(batch: &[(&Clues, DateTime<Utc>)]) -> Vec<usize> {
    let mut by_age: Vec<usize> = (0..batch.len()).collect();
    by_age.sort_by_key(|&place| batch.get(place).map(|(_, at)| *at));
    let mut bearers: HashMap<ThreadKey, usize> = HashMap::new();
    for &place in &by_age {
        if let Some((Clues { own: Some(id), .. }, _)) = batch.get(place) {
            bearers.entry(id.key).or_insert(place);
        }
    }

    let mut order = Vec::with_capacity(batch.len());
    let mut visited = vec![false; batch.len()];
    for &start in &by_age {
        // Not by recursion: a thread may be as long as a batch.
        let mut open = vec![(start, false)];
        while let Some((place, are_parents_done)) = open.pop() {
            if are_parents_done {
                order.push(place);
                continue;
            }
            let Some(visited) = visited.get_mut(place).filter(|visited| !**visited) else { continue };
            *visited = true;
            open.push((place, true));
            let named = batch.get(place).map_or(&[][..], |(clues, _)| clues.named.as_slice());
            // The last is taken first, and the oldest stands last here.
            open.extend(named.iter().filter_map(|(_, id)| Some((*bearers.get(&id.key)?, false))));
        }
    }
    order
}

//! Chance out of a seed, so that what was drawn once can be drawn again.

use std::hash::{BuildHasher, RandomState};

/// A sequence of numbers that its seed decides: `SplitMix64` (Steele, Lea and Flood, 2014).
#[derive(Debug)]
pub struct Chance(u64);

impl Chance {
    /// The sequence of a seed.
    pub fn of(seed: u64) -> Self {
        Self(seed)
    }

    /// A seed that nobody has had.
    pub fn fresh_seed() -> u64 {
        RandomState::new().hash_one("chance")
    }

    /// The next number, of all there are.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.draw() % end
    }

    /// Whether one of so many times.
    pub fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// An index into something of this length.
    pub fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap_or(0)
    }

    /// One of these. Panics if there are none.
    pub fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        let index = self.index(choices.len());
        *choices.get(index).unwrap_or_else(|| unreachable!("the index is below the length"))
    }
}

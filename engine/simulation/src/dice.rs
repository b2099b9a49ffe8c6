//! Chance: the numbers a roll is made from are the whole story.

/// A linear congruential generator (Knuth's MMIX constants).
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// The same numbers roll the same.
    pub fn new(numbers: [u64; 3]) -> Self {
        // Each number is spread over all bits before the next joins it (the finalizer of SplitMix64): neighbours part.
        let spread = numbers.into_iter().fold(0x9e37_79b9_7f4a_7c15, |mixed: u64, number| {
            let z = mixed.wrapping_add(number).wrapping_add(0x9e37_79b9_7f4a_7c15);
            let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        });
        Self(spread)
    }

    /// From 0 to `sides` less 1.
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides.max(1)
    }

    /// True once in so many times.
    pub fn one_in(&mut self, times: u64) -> bool {
        self.roll(times) == 0
    }

    /// One of a list, if it has any.
    pub fn pick<'a, T>(&mut self, list: &'a [T]) -> Option<&'a T> {
        let count = u64::try_from(list.len()).unwrap_or(u64::MAX);
        list.get(usize::try_from(self.roll(count)).unwrap_or(0))
    }
}

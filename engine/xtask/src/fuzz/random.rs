//! Repeatable randomness: the same seed and index give the same input on every machine.

/// SplitMix64 (Steele, Lea, Flood 2014): small, and good enough to choose mutations with.
pub struct Random(u64);

impl Random {
    /// A stream of its own for each input of a seed.
    pub const fn new(seed: u64, index: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ index.wrapping_mul(0xD1B5_4A32_D192_ED03))
    }

    /// The next number.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound`; 0 if `bound` is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        let bound = bound as u64;
        usize::try_from(self.next().checked_rem(bound).unwrap_or(0)).unwrap_or(0)
    }

    /// One of a list.
    pub fn one<'a, T>(&mut self, list: &'a [T]) -> Option<&'a T> {
        let index = self.below(list.len());
        list.get(index)
    }

    /// True once in `n`.
    pub fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// A size from 1 to `max`, small ones as often as large ones.
    pub fn size(&mut self, max: usize) -> usize {
        let bits = max.max(1).ilog2() as usize + 1;
        let top = 1_usize << self.below(bits);
        (top + self.below(top)).min(max)
    }
}

//! When the next run starts.

use std::time::Duration;

use jiff::SignedDuration;

/// A run that fails again and again is repeated after at most so many intervals: a source that is gone for a night is
/// not asked every minute, and its return is noticed within the hour at usual intervals.
const BACKOFF_MAX: u32 = 8;

/// Share of the interval by which a start is moved at most, each way: enough to spread runners that were started
/// together, too little to matter to anything that is due.
const JITTER: f64 = 0.1;

/// How long to wait after run `number`, when the last `failures` runs failed: one interval after a success or a first
/// failure, then doubled each time; moved by a jitter that `seed` and `number` fix.
#[must_use]
pub fn wait(interval: SignedDuration, failures: u32, seed: u64, number: u64) -> Duration {
    let doublings = failures.saturating_sub(1).min(BACKOFF_MAX.ilog2());
    let factor = f64::from(1_u32 << doublings);
    let jitter = JITTER.mul_add(2.0 * fraction(seed, number), 1.0 - JITTER);
    Duration::try_from_secs_f64(interval.as_secs_f64() * factor * jitter).unwrap_or(Duration::MAX)
}

/// A number from 0 up to 1 that looks random: the finisher of SplitMix64 (Steele, Lea, Flood 2014).
fn fraction(seed: u64, number: u64) -> f64 {
    let mut z = seed.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    // The upper 32 bits have an exact value as f64.
    f64::from(u32::try_from(z >> 32).unwrap_or(u32::MAX)) / 4_294_967_296.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_is_the_interval_give_or_take_a_tenth_and_doubles_after_failures() {
        let interval = SignedDuration::from_mins(10);
        for (failures, factor) in [(0, 1), (1, 1), (2, 2), (3, 4), (4, 8), (5, 8), (u32::MAX, 8)] {
            for number in 0..200 {
                let waited = wait(interval, failures, 7, number).as_secs_f64() / 600.0 / f64::from(factor);
                assert!((0.9..=1.1).contains(&waited), "{failures} {number} {waited}");
            }
        }
    }

    #[test]
    fn the_seed_fixes_the_jitter_and_other_seeds_differ() {
        let interval = SignedDuration::from_mins(10);
        let waits = |seed| (0..20).map(|n| wait(interval, 0, seed, n)).collect::<Vec<_>>();
        assert_eq!(waits(1), waits(1));
        assert_ne!(waits(1), waits(2));
        let all = waits(1);
        assert!(all.iter().any(|w| w.as_secs() < 590) && all.iter().any(|w| w.as_secs() > 610));
    }
}

//! When the next run starts.

use std::time::Duration;

use jiff::SignedDuration;

/// Until a failed run is repeated the first time; doubled each time after, up to the interval. Most failures are a source
/// or a forge that is away for a moment, and half a minute later it is back; one that is gone for a night is asked once an
/// interval, as always.
const RETRY_FIRST: SignedDuration = SignedDuration::from_secs(30);

/// Until a runner that stands by tries again, if the interval is not shorter. Trying reads the resources and one file, and
/// a minute without anybody who acts is short beside the windows of a maintenance.
const STANDBY: SignedDuration = SignedDuration::from_secs(60);

/// Share of the wait by which a start is moved at most, each way: enough to spread runners that were started together, too
/// little to matter to anything that is due.
const JITTER: f64 = 0.1;

/// What a wait follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// A good run.
    Good,
    /// So many failed runs, one after another.
    Failures(u32),
    /// A try to take the lease that another runner holds.
    Standby,
}

/// How long to wait after run `number`: the interval, or less if something is to be tried again; moved by a jitter that
/// `seed` and `number` fix.
#[must_use]
pub fn wait(interval: SignedDuration, after: After, seed: u64, number: u64) -> Duration {
    let wanted = match after {
        After::Good => interval,
        After::Standby => STANDBY.min(interval),
        After::Failures(failures) => {
            let doublings = failures.saturating_sub(1).min(i32::BITS - 2);
            RETRY_FIRST.saturating_mul(1_i32 << doublings).min(interval)
        }
    };
    let jitter = JITTER.mul_add(2.0 * fraction(seed, number), 1.0 - JITTER);
    Duration::try_from_secs_f64(wanted.as_secs_f64() * jitter).unwrap_or(Duration::MAX)
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
    fn the_wait_is_give_or_take_a_tenth_and_never_longer_than_the_interval() {
        let interval = SignedDuration::from_mins(10);
        for (after, seconds) in [
            (After::Good, 600.0),
            (After::Standby, 60.0),
            (After::Failures(1), 30.0),
            (After::Failures(2), 60.0),
            (After::Failures(5), 480.0),
            (After::Failures(6), 600.0),
            (After::Failures(u32::MAX), 600.0),
        ] {
            for number in 0..200 {
                let share = wait(interval, after, 7, number).as_secs_f64() / seconds;
                assert!((0.9..=1.1).contains(&share), "{after:?} {number} {share}");
            }
        }
        let short = SignedDuration::from_secs(5);
        for after in [After::Good, After::Standby, After::Failures(1), After::Failures(9)] {
            assert!(wait(short, after, 7, 1).as_secs_f64() <= 5.5, "{after:?}");
        }
    }

    #[test]
    fn the_seed_fixes_the_jitter_and_other_seeds_differ() {
        let interval = SignedDuration::from_mins(10);
        let waits = |seed| {
            (0..20)
                .map(|n| wait(interval, After::Good, seed, n))
                .collect::<Vec<_>>()
        };
        assert_eq!(waits(1), waits(1));
        assert_ne!(waits(1), waits(2));
        let all = waits(1);
        assert!(all.iter().any(|w| w.as_secs() < 590) && all.iter().any(|w| w.as_secs() > 610));
    }
}

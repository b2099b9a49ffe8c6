//! How long and how often is waited.

use std::sync::Arc;
use std::time::Duration;

/// How long and how often a forge that does not answer, or asks to wait, is waited for.
#[derive(Clone)]
pub struct Patience {
    /// Waits. A test gives one that only notes how long.
    pub sleep: Arc<dyn Fn(Duration) + Send + Sync>,
    /// Seed of the jitter, so that several runners that fail together do not come back together, and a test is repeatable.
    pub seed: u64,
    /// So many times a request is sent at most.
    pub tries: u32,
    /// Longest single wait. What asks for more is an error that says when to come back.
    pub wait_max: Duration,
    /// Longest time for one exchange; none = a minute.
    pub timeout: Option<Duration>,
}

impl Default for Patience {
    /// Four tries and two minutes: what outlasts that (a used-up hourly limit, an outage) is for the next scheduled run.
    fn default() -> Self {
        Self {
            sleep: Arc::new(std::thread::sleep),
            seed: u64::from(std::process::id()),
            tries: 4,
            wait_max: Duration::from_secs(120),
            timeout: None,
        }
    }
}

/// Times to wait before something is tried once more.
pub(super) struct Backoff {
    random: u64,
}

impl Backoff {
    pub(super) const fn new(seed: u64) -> Self {
        Self { random: seed }
    }

    /// 1 s, 2 s, 4 s, … and up to as much again.
    pub(super) fn after(&mut self, tried: u32) -> Duration {
        let base = Duration::from_secs(1 << tried.saturating_sub(1).min(6));
        base + self.jitter(base)
    }

    /// A pseudo-random time below `below`: a step of SplitMix64 from the seed.
    pub(super) fn jitter(&mut self, below: Duration) -> Duration {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let millis = u64::try_from(below.as_millis()).unwrap_or(u64::MAX).max(1);
        Duration::from_millis(mixed % millis)
    }
}

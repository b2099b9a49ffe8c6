//! One wave: what its batches' verdicts mean together.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::judge::{AssetVerdict, BatchVerdict, failure_limit};
use crate::history::{FrozenWave, WaveProgress};
use crate::load::wire::PromoteOf;
use crate::name::Rounding;

/// What the batches of a wave show together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaveVerdict {
    /// Assets that show their targets.
    pub passed: usize,
    /// Assets that must: share of the reachable (or of all), at least `min`.
    pub needed: usize,
    /// Assets the share is of.
    pub counted: usize,
    /// Failures that are too many, if they are.
    pub too_many_failures: bool,
    /// Enough passed, and no batch is still to be released.
    pub verified: bool,
    /// The newest observation the pass rests on: the soak starts there.
    pub since: Option<Timestamp>,
    /// Assets that do not pass, with the reason: who keeps the wave back.
    pub behind: BTreeMap<Arc<str>, String>,
}

/// Judges a wave by the verdicts of its batches, aligned with `wave.batches`.
pub fn judge_wave(
    wave: &FrozenWave,
    progress: &WaveProgress,
    verdicts: &[BatchVerdict],
    now: Timestamp,
) -> WaveVerdict {
    let (mut passed, mut failed, mut away, mut total) = (0, 0, 0, 0);
    let mut since = None;
    let mut behind = BTreeMap::new();
    for (batch, verdict) in progress.batches.iter().zip(verdicts) {
        for (asset, asset_verdict) in verdict {
            total += 1;
            let waived = batch.waived.get(asset).is_some_and(|until| *until > now);
            match asset_verdict {
                AssetVerdict::Passed { seen, .. } | AssetVerdict::OutOfBand { seen } => {
                    passed += 1;
                    since = since.max(Some(*seen));
                }
                _ if waived => away += 1,
                AssetVerdict::NotAttempted(reason) => {
                    away += 1;
                    behind.insert(Arc::clone(asset), format!("not attempted: {reason}"));
                }
                AssetVerdict::Failed(reason) => {
                    failed += 1;
                    behind.insert(Arc::clone(asset), format!("failed: {reason}"));
                }
                AssetVerdict::Waiting(reason) => {
                    behind.insert(Arc::clone(asset), reason.clone());
                }
            }
        }
    }
    let counted = match wave.promote_at.of {
        PromoteOf::Reachable => total - away,
        PromoteOf::All => total,
    };
    let needed = wave
        .promote_at
        .patched
        .of(counted, Rounding::Up)
        .max(wave.promote_at.min as usize);
    let unreleased = progress.batches.iter().zip(verdicts).any(|(batch, verdict)| {
        batch.released_at.is_none() && !verdict.values().all(|v| matches!(v, AssetVerdict::OutOfBand { .. }))
    });
    // A batch whose opening lasts may still be at work on the assets that show nothing new: it is not over before they
    // do, or before their time is up.
    let at_work = progress.batches.iter().zip(verdicts).any(|(batch, verdict)| {
        let open = batch
            .released_at
            .is_some_and(|released| now < failure_limit(released, batch.opening_end));
        open && verdict.iter().any(|(asset, v)| {
            matches!(v, AssetVerdict::Waiting(_)) && batch.waived.get(asset).is_none_or(|until| *until <= now)
        })
    });
    WaveVerdict {
        passed,
        needed,
        counted,
        too_many_failures: failed > wave.max_failures.of(total, Rounding::Down),
        verified: passed >= needed && !unreleased && !at_work,
        since,
        behind,
    }
}

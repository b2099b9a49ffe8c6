//! What happens to a plan: it is proposed, approved, released, and it works.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use patchwave_core::history::{BatchProgress, History, OpenRollout, WaveProgress, WaveState};
use patchwave_core::plan::{Plan, Rollout, Wave};

use patchwave_core::version::compare;

use super::Machine;

/// The rollouts of a plan as history keeps them once their waves in `states` order are there; waves without a state given
/// are pending and keep no batches.
pub fn opened(plan: &Plan, states: &[WaveState]) -> History {
    let open: Vec<OpenRollout> = plan.rollouts.iter().map(|r| open(r, states)).collect();
    let names: BTreeSet<Arc<str>> = open.iter().map(|o| Arc::clone(&o.name)).collect();
    History {
        open,
        names,
        ..History::default()
    }
}

fn open(rollout: &Rollout, states: &[WaveState]) -> OpenRollout {
    let states = states.iter().copied().chain(std::iter::repeat(WaveState::Pending));
    OpenRollout {
        name: Arc::clone(&rollout.name),
        policy: Arc::clone(&rollout.policy),
        strategy: Arc::clone(&rollout.strategy),
        lane: rollout.lane,
        revision: rollout.revision,
        cut: rollout.cut,
        expedited: rollout.expedited,
        targets: rollout.targets.clone(),
        frozen: states
            .clone()
            .next()
            .is_some_and(|s| !matches!(s, WaveState::Pending | WaveState::Proposed)),
        restarts: rollout.restarts,
        waves: rollout.waves.iter().zip(states).map(|(w, s)| progress(w, s)).collect(),
        halted: None,
    }
}

/// What has run has run in the past.
fn before(at: jiff::Timestamp) -> jiff::Timestamp {
    at - jiff::SignedDuration::from_hours(24 * 30)
}

fn progress(wave: &Wave, state: WaveState) -> WaveProgress {
    let ran = matches!(state, WaveState::Released | WaveState::Soaking | WaveState::Promoted);
    let passed = matches!(state, WaveState::Soaking | WaveState::Promoted);
    let batches = wave.batches.iter().map(|b| BatchProgress {
        id: Arc::clone(&b.id),
        assets: b
            .assets
            .iter()
            .map(|a| (Arc::clone(&a.name), a.targets.to_vec()))
            .collect(),
        released_at: b.start.filter(|_| ran).map(before),
        opening_start: b.window.start,
        opening_end: b.window.end,
        passed: b
            .assets
            .iter()
            .filter(|_| passed)
            .map(|a| Arc::clone(&a.name))
            .collect(),
        ..BatchProgress::default()
    });
    let finish = wave.batches.iter().filter_map(|b| b.finish).max();
    WaveProgress {
        name: Arc::clone(&wave.name),
        state,
        digest: None,
        openings: None,
        batches: if state == WaveState::Pending {
            Vec::new()
        } else {
            batches.collect()
        },
        soaking_since: finish.filter(|_| state == WaveState::Soaking).map(before),
        not_before: None,
        gates: BTreeMap::new(),
        promoted_at: finish.filter(|_| state == WaveState::Promoted).map(before),
        failed_at: None,
        reason: None,
    }
}

/// The machines after every batch of the plan did its work.
pub fn patched(machines: &[Machine], plan: &Plan) -> Vec<Machine> {
    let mut versions: BTreeMap<(String, String), String> = BTreeMap::new();
    for rollout in &plan.rollouts {
        for asset in rollout.waves.iter().flat_map(|w| &w.batches).flat_map(|b| &b.assets) {
            for target in asset.targets.iter().filter_map(|t| rollout.targets.get(*t)) {
                // Two rollouts may take one package different distances; nothing ever goes back.
                let reached = versions
                    .entry((asset.name.to_string(), target.name.to_string()))
                    .or_default();
                if compare(target.scheme, reached, &target.version).is_lt() {
                    *reached = target.version.to_string();
                }
            }
        }
    }
    let mut machines = machines.to_vec();
    for machine in &mut machines {
        for (name, version, _) in &mut machine.packages {
            if let Some(new) = versions.get(&(machine.name.clone(), name.clone())) {
                version.clone_from(new);
            }
        }
    }
    machines
}

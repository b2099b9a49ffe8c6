//! What of a run is counted. No names of assets: whoever may scrape metrics need not see findings.

use std::collections::BTreeMap;

use patchwave_core::assess::Status;
use patchwave_core::history::{OpenRollout, WaveState};

use crate::reconcile::Run;
use crate::sources::Observed;

/// The counts of one run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Things done.
    pub done: usize,
    /// Reference updates on the forge.
    pub writes: u64,
    /// Open rollouts by the state of the wave they are at, or `halted`.
    pub rollouts: BTreeMap<String, i64>,
    /// Findings by status.
    pub findings: BTreeMap<String, i64>,
    /// Entries of the plan's refusals.
    pub refusals: i64,
    /// Waves that will miss, or have missed, their deadline.
    pub missed_deadlines: i64,
}

impl Tally {
    /// Counts what a run found and did.
    #[must_use]
    pub fn of(run: &Run, observed: &Observed) -> Self {
        let mut tally = Self {
            done: run.done.len(),
            writes: run.writes,
            refusals: count(run.survey.plan.refusals.len()),
            ..Self::default()
        };
        for rollout in &run.survey.history.open {
            *tally.rollouts.entry(state(rollout)).or_insert(0) += 1;
        }
        let mut findings: BTreeMap<Status, i64> = BTreeMap::new();
        for finding in run.survey.assessment.findings(&observed.observation) {
            *findings.entry(finding.judgement.status).or_insert(0) += 1;
        }
        tally.findings = findings
            .into_iter()
            .map(|(status, n)| (status.to_string(), n))
            .collect();
        let waves = run.survey.plan.rollouts.iter().flat_map(|rollout| &rollout.waves);
        tally.missed_deadlines = count(waves.filter(|wave| wave.slack_seconds.is_some_and(|s| s < 0)).count());
        tally
    }
}

fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// The state of a rollout: halted, or that of its first wave that is not through.
fn state(rollout: &OpenRollout) -> String {
    if rollout.halted.is_some() {
        return WaveState::Halted.to_string();
    }
    let open = rollout.waves.iter().find(|wave| wave.state != WaveState::Promoted);
    open.map_or(WaveState::Promoted, |wave| wave.state).to_string()
}

//! Asking for the way back, and what the merge of the request allows.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::Scene;
use crate::decide::approve::{approvals_of, approvals_text, needed};
use crate::decide::{Action, Decision, World};
use crate::history::wire::{FORMAT_VERSION, RollbackAsset, RollbackFile, RollbackVersion, read_rollback_yaml};
use crate::history::{
    BatchProgress, Event, FrozenAsset, FrozenBatch, OpenRollout, WaveState, last_stop_of, ledger_file,
};
use crate::load::wire::Reversibility;
use crate::propose::{
    ForgeOp, PullRequest, PullRequestState, ask_to_roll_back, newest, rollback_branch, rollback_branches, rollback_path,
};
use crate::verify::{failure_limit, shows_newer};

/// The assets that go back, by batch.
type GoingBack = BTreeMap<Arc<str>, Vec<Arc<str>>>;

/// The merged request to roll a wave of this rollout back that answers the stop it stands at, if it holds.
pub(in crate::decide) fn rollback_merged<'a>(
    world: &'a World<'a>,
    rollout: &'a OpenRollout,
    now: Timestamp,
) -> Option<&'a PullRequest> {
    let frozen = world.history.frozen.get(&rollout.name)?;
    let waves = rollout.waves.iter().zip(&frozen.waves);
    let halted = waves.filter(|(wave, _)| wave.state == WaveState::Halted);
    let mut asked = halted.filter_map(|(wave, frozen_wave)| {
        let scene = Scene {
            world,
            rollout,
            frozen,
            wave,
            frozen_wave,
            now,
        };
        let stop = scene.stop()?;
        let asked = newest(world.view, &rollback_branch(&rollout.name, &wave.name, &stop))?;
        let holds = asked.state == PullRequestState::Merged && scene.startable(asked, &stop).is_ok();
        holds.then_some(asked)
    });
    asked.next()
}

impl<'a> Scene<'a> {
    /// Requests that answer another stop than the one the wave stands at are nobody's work any more.
    pub(super) fn close_answered(&self, decision: &mut Decision) {
        let standing = self
            .stop()
            .filter(|_| self.wave.state == WaveState::Halted && self.wave.failed_at.is_some());
        let standing = standing.map(|stop| rollback_branch(&self.rollout.name, &self.wave.name, &stop));
        let prefix = rollback_branches(&self.rollout.name, &self.wave.name);
        let open = self
            .world
            .view
            .pull_requests
            .iter()
            .filter(|p| p.state == PullRequestState::Open);
        let old = open.filter(|p| p.branch.starts_with(&prefix) && Some(&p.branch) != standing.as_ref());
        decision.actions.extend(old.map(|p| {
            Action::Forge(ForgeOp::ClosePullRequest {
                number: p.number,
                reason: format!(
                    "wave {} does not stand at the stop that this answers any more",
                    self.wave.name
                ),
            })
        }));
    }

    /// The batches that failed: what passed in others stays. Where none has a failed asset (a gate stopped the wave), what all
    /// of them brought is in doubt.
    fn in_doubt(&self) -> impl Iterator<Item = (&'a BatchProgress, &'a FrozenBatch)> {
        let any = self.wave.batches.iter().any(|b| !b.failed.is_empty());
        self.batches()
            .filter(move |(progress, _)| !any || !progress.failed.is_empty())
    }

    /// What the pull request is to ask for: every asset of a batch in doubt that was touched, unless it has no way back, still
    /// shows what it had, or shows something newer by now.
    fn wanted(&self, stop: &str) -> RollbackFile {
        let mut batches = BTreeMap::new();
        for (progress, frozen) in self.in_doubt() {
            // While its opening lasts an executor may still be at work on what shows nothing new.
            let over = progress
                .released_at
                .map(|released| failure_limit(released, progress.opening_end));
            let touched = frozen.assets.iter().filter(|asset| {
                let unchanged = over.filter(|over| *over <= self.now).is_some_and(|over| {
                    let seen = self.asset(&asset.name);
                    seen.is_some_and(|seen| {
                        seen.observed_at.is_some_and(|at| at > over) && self.shows_before(asset, seen).is_ok()
                    })
                });
                let newer = self
                    .asset(&asset.name)
                    .is_some_and(|seen| shows_newer(self.frozen, asset, seen, self.world.observation).is_some());
                asset.rollback != Reversibility::None && was_touched(progress, &asset.name) && !unchanged && !newer
            });
            let assets: Vec<RollbackAsset> = touched.map(|asset| self.way_of(asset)).collect();
            if !assets.is_empty() {
                batches.insert(frozen.id.clone(), assets);
            }
        }
        RollbackFile {
            format_version: FORMAT_VERSION.into(),
            rollout: self.rollout.name.to_string(),
            wave: self.wave.name.to_string(),
            answers: stop.to_owned(),
            batches,
        }
    }

    fn way_of(&self, asset: &FrozenAsset) -> RollbackAsset {
        let targets = asset.targets.iter().zip(&asset.before);
        let versions = targets.filter_map(|(index, before)| {
            let target = self.frozen.patchset.targets.get(*index)?;
            Some(RollbackVersion {
                name: target.name.to_string(),
                from: target.version.to_string(),
                to: before.clone(),
            })
        });
        RollbackAsset {
            name: asset.name.clone(),
            rollback: asset.rollback,
            versions: versions.collect(),
        }
    }

    /// The ledger line that halted the wave: what a request to roll it back answers.
    fn stop(&self) -> Option<String> {
        let ledger = self.world.view.ledger.get(&ledger_file(&self.rollout.name))?;
        last_stop_of(ledger, &self.wave.name)
    }

    pub(super) fn ask(&self, decision: &mut Decision) {
        let Some(stop) = self.stop() else { return };
        let branch = rollback_branch(&self.rollout.name, &self.wave.name, &stop);
        let file = self.wanted(&stop);
        if let Some(asked) = newest(self.world.view, &branch) {
            match asked.state {
                PullRequestState::Open => {
                    let said = format!("pull request {} asks to roll it back", asked.number);
                    self.say(&said, decision);
                    // More may have run since it was asked; what a person changed in it is left alone.
                    let path = rollback_path(&self.world.catalog.project.paths.rollouts, &self.rollout.name, &stop);
                    let asks = asked.files.get(&path).and_then(|bytes| read_rollback_yaml(bytes).ok());
                    if asked.engine_only() && !file.batches.is_empty() && asks.is_some_and(|asks| asks != file) {
                        self.put(&file, decision);
                    }
                }
                PullRequestState::Merged => self.start(asked, &stop, decision),
                PullRequestState::Closed => {
                    let by = asked.ended_by.as_deref().unwrap_or("somebody");
                    let said = format!(
                        "pull request {} to roll it back was closed by {by}; `patchwave resume {}` asks to try what failed again",
                        asked.number, self.rollout.name
                    );
                    self.say(&said, decision);
                }
            }
            return;
        }
        if file.batches.is_empty() {
            self.say(
                "nothing of it can be rolled back: what it touched has no way back, or is as it was",
                decision,
            );
            return;
        }
        self.put(&file, decision);
    }

    fn put(&self, file: &RollbackFile, decision: &mut Decision) {
        let policy = self.world.catalog.policies.get(&self.rollout.policy);
        let reviewers = policy.map(|p| p.spec.roles.approvers.clone()).unwrap_or_default();
        let why = self.wave.reason.as_deref().unwrap_or("too many failures");
        let folder = &self.world.catalog.project.paths.rollouts;
        match ask_to_roll_back(file, why, self.approvals_needed(), reviewers, folder) {
            Ok(operations) => decision.actions.extend(operations.into_iter().map(Action::Forge)),
            Err(fault) => self.say(&format!("its way back cannot be written: {fault}"), decision),
        }
    }

    /// Going back needs the approvals that going forward needed, and never none: it is a change like any other.
    fn approvals_needed(&self) -> usize {
        needed(
            self.world.catalog,
            &self.rollout.policy,
            &self.rollout.strategy,
            self.frozen_wave,
        )
        .max(1)
    }

    fn start(&self, asked: &PullRequest, stop: &str, decision: &mut Decision) {
        match self.startable(asked, stop) {
            Ok((approvals, batches)) => self.record(
                Event::RollbackStarted {
                    wave: Arc::clone(&self.wave.name),
                    pull_request: asked.number,
                    approvals,
                    batches,
                },
                decision,
            ),
            Err(fault) => self.say(&fault, decision),
        }
    }

    /// Who approved a merged request, and what it takes back; or why it takes nothing back.
    fn startable(&self, asked: &PullRequest, stop: &str) -> Result<(Vec<String>, GoingBack), String> {
        let policy = self.world.catalog.policies.get(&self.rollout.policy).map(|p| &p.spec);
        let given = policy
            .map(|policy| approvals_of(asked, policy, self.world.view))
            .unwrap_or_default();
        let needed = self.approvals_needed();
        if given.len() < needed {
            let text = approvals_text(asked, &given, needed, policy, self.world.view);
            return Err(format!("rolling back is merged with {text}"));
        }
        Ok((given, self.merged(stop)?))
    }

    /// What the merged request names, as far as it is of this wave.
    fn merged(&self, stop: &str) -> Result<GoingBack, String> {
        let folder = &self.world.catalog.project.paths.rollouts;
        let path = rollback_path(folder, &self.rollout.name, stop);
        let wrong = |what: &str| {
            Err(format!(
                "{path} {what}: nothing is rolled back; mend the file in the base branch"
            ))
        };
        let Some(bytes) = self.world.view.merged_files.get(&path) else {
            return wrong("is not in the base branch");
        };
        let file = match read_rollback_yaml(bytes) {
            Ok(file) => file,
            Err(fault) => return wrong(&format!("cannot be read ({fault})")),
        };
        let own = (self.rollout.name.as_ref(), self.wave.name.as_ref(), stop);
        if (file.rollout.as_str(), file.wave.as_str(), file.answers.as_str()) != own {
            return wrong("is of another rollout, wave or stop");
        }
        let mut batches = BTreeMap::new();
        for (id, assets) in file.batches {
            let own = self.in_doubt().filter(|(_, frozen)| frozen.id == id);
            let known: Vec<RollbackAsset> = own
                .flat_map(|(progress, frozen)| frozen.assets.iter().filter(|a| was_touched(progress, &a.name)))
                .filter(|asset| asset.rollback != Reversibility::None)
                .map(|asset| self.way_of(asset))
                .collect();
            if let Some(strange) = assets.iter().find(|a| !known.contains(a)) {
                let what = format!(
                    "names {} in batch {id}, which this wave cannot roll back like that",
                    strange.name
                );
                return wrong(&what);
            }
            if !assets.is_empty() {
                batches.insert(id.into(), assets.into_iter().map(|a| a.name.into()).collect());
            }
        }
        if batches.is_empty() {
            return wrong("names no asset");
        }
        Ok(batches)
    }
}

/// Whether an earlier or this release of a batch let an executor touch an asset, as far as is known.
fn was_touched(progress: &BatchProgress, name: &str) -> bool {
    match progress.released_at {
        Some(_) if !progress.not_attempted.contains_key(name) => true,
        // A resume took an earlier release back, not what had run by then.
        _ => progress.touched.contains(name) || progress.passed.contains(name),
    }
}

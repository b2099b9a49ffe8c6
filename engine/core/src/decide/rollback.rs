//! The way back: a wave that failed under `onFailure: rollback` is halted, and a pull request asks to roll it back.
//!
//! Its merge, with the approvals of the wave, authorises. The assets then go back batch by batch: each batch is let go when
//! nothing holds it (pause, freeze, halt, edits) and the services have room for what goes down, and the next when fresh
//! observations show the earlier versions. No opening is waited for: who merges has read that it runs at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::approve::{approvals_of, approvals_text, needed};
use super::proposals::all_is_read;
use super::release::held;
use super::{Action, Decision, Permit, PermitRefusal, World};
use crate::history::wire::{FORMAT_VERSION, RollbackAsset, RollbackFile, RollbackVersion, read_rollback_yaml};
use crate::history::{
    BatchProgress, Event, FrozenAsset, FrozenBatch, FrozenRollout, FrozenWave, OpenRollout, WaveEvent, WaveProgress,
    WaveState, WayBack, last_stop_of, ledger_file,
};
use crate::load::wire::{Lifecycle, OnFailure, RebootPolicy, Reversibility};
use crate::observe::Asset;
use crate::plan::{closed_by, no_room};
use crate::propose::{
    ForgeOp, PullRequest, PullRequestState, ask_to_roll_back, newest, rollback_branch, rollback_branches, rollback_path,
};
use crate::verify::{failure_limit, shows_before, shows_newer};

/// The assets that go back, by batch.
type GoingBack = BTreeMap<Arc<str>, Vec<Arc<str>>>;

/// The merged request to roll a wave of this rollout back that answers the stop it stands at, if it holds.
pub(super) fn rollback_merged<'a>(
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

/// One wave with what was frozen of it.
#[derive(Clone, Copy)]
struct Scene<'a> {
    world: &'a World<'a>,
    rollout: &'a OpenRollout,
    frozen: &'a FrozenRollout,
    wave: &'a WaveProgress,
    frozen_wave: &'a FrozenWave,
    now: Timestamp,
}

/// Asks for the way back of waves that failed, and takes back those it was allowed for.
pub fn roll_back(world: &World<'_>, now: Timestamp, decision: &mut Decision) {
    for rollout in &world.history.open {
        let Some(frozen) = world.history.frozen.get(&rollout.name) else {
            continue;
        };
        for (wave, frozen_wave) in rollout.waves.iter().zip(&frozen.waves) {
            let scene = Scene {
                world,
                rollout,
                frozen,
                wave,
                frozen_wave,
                now,
            };
            scene.close_answered(decision);
            match wave.state {
                WaveState::Halted if wave.failed_at.is_some() && frozen_wave.on_failure == OnFailure::Rollback => {
                    scene.ask(decision);
                }
                WaveState::RollingBack => scene.go(decision),
                WaveState::RolledBack => scene.say_what_is_left(decision),
                _ => {}
            }
        }
    }
}

impl<'a> Scene<'a> {
    /// Requests that answer another stop than the one the wave stands at are nobody's work any more.
    fn close_answered(&self, decision: &mut Decision) {
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

    fn shows_before(&self, frozen: &FrozenAsset, asset: &Asset) -> Result<(), String> {
        let class = self.world.catalog.classes.get(frozen.class.as_str());
        let reboot = class.map_or(RebootPolicy::IfNeeded, |c| c.spec.disruption.reboot);
        shows_before(self.frozen, frozen, asset, self.world.observation, reboot)
    }

    fn asset(&self, name: &str) -> Option<&'a Asset> {
        let assets = &self.world.observation.assets;
        let index = assets.binary_search_by(|a| a.name.as_ref().cmp(name)).ok()?;
        assets.get(index)
    }

    fn batches(&self) -> impl Iterator<Item = (&'a BatchProgress, &'a FrozenBatch)> {
        self.wave.batches.iter().zip(&self.frozen_wave.batches)
    }

    fn record(&self, event: Event, decision: &mut Decision) {
        decision.record(ledger_file(&self.rollout.name), event);
    }

    fn say(&self, message: &str, decision: &mut Decision) {
        decision.say(&self.rollout.name, format!("wave {}: {message}", self.wave.name));
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

    fn ask(&self, decision: &mut Decision) {
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

    /// Takes the first batch on its way that is not back yet one step further.
    fn go(&self, decision: &mut Decision) {
        for (progress, frozen) in self.batches() {
            let Some(back) = progress.way_back.as_ref().filter(|b| !b.done) else {
                continue;
            };
            let batch = &progress.id;
            if let Some(released) = back.released_at {
                match self.seen_back(back, frozen, released) {
                    Ok(seen) => self.record(
                        Event::WentBack {
                            wave: Arc::clone(&self.wave.name),
                            batch: Arc::clone(batch),
                            seen,
                        },
                        decision,
                    ),
                    Err(left) => self.say(&format!("batch {batch} goes back: {left}"), decision),
                }
            } else if decision.actions.iter().any(is_going_back) {
                // What goes down in this step is not booked yet: the next step sees it.
                self.say(
                    &format!("batch {batch} waits to go back: another one is let go first"),
                    decision,
                );
            } else if let Some(why) = self.held().or_else(|| self.crowded(back)) {
                self.say(&format!("batch {batch} waits to go back: {why}"), decision);
            } else {
                self.record(
                    Event::RollbackReleased {
                        wave: Arc::clone(&self.wave.name),
                        batch: Arc::clone(batch),
                    },
                    decision,
                );
            }
            return;
        }
        self.record(
            Event::Wave {
                wave: Arc::clone(&self.wave.name),
                moved: WaveEvent::RolledBack,
                digest: None,
                pull_request: None,
                approvals: vec![],
                since: None,
                openings: None,
                reason: self.wave.reason.clone(),
            },
            decision,
        );
    }

    /// The observation that shows each asset as it was; or who is not, and why.
    fn seen_back(
        &self,
        back: &WayBack,
        frozen: &FrozenBatch,
        released: Timestamp,
    ) -> Result<BTreeMap<Arc<str>, Timestamp>, String> {
        let (mut seen, mut left) = (BTreeMap::new(), Vec::new());
        let going = frozen.assets.iter().filter(|a| back.assets.contains(a.name.as_str()));
        for asset in going.filter(|a| !self.is_let_go(&a.name)) {
            match self.is_back(asset, released) {
                Ok(at) => drop(seen.insert(Arc::from(asset.name.as_str()), at)),
                Err(why) => left.push(format!("{}: {why}", asset.name)),
            }
        }
        if left.is_empty() {
            Ok(seen)
        } else {
            Err(left.join("; "))
        }
    }

    /// Nobody waits for it any more: a person waived it, or it is gone.
    fn is_let_go(&self, name: &str) -> bool {
        let mut waived = self.wave.batches.iter().filter_map(|b| b.waived.get(name));
        waived.any(|until| *until > self.now) || self.is_gone(name)
    }

    /// It is retired, or no fleet lists it as far as everything could be read.
    fn is_gone(&self, name: &str) -> bool {
        self.asset(name).map_or_else(
            || all_is_read(self.world),
            |asset| asset.lifecycle == Lifecycle::Retired,
        )
    }

    fn is_back(&self, frozen: &FrozenAsset, released: Timestamp) -> Result<Timestamp, String> {
        let Some(asset) = self.asset(&frozen.name) else {
            return Err("no fleet lists or reports it any more".into());
        };
        let seen = asset.observed_at.filter(|at| *at > released && !asset.stale);
        let Some(seen) = seen else {
            return Err(format!("not observed since it was let go back at {released}"));
        };
        self.shows_before(frozen, asset).map(|()| seen)
    }

    /// What holds every way back of the rollout, if anything does.
    fn held(&self) -> Option<String> {
        held(self.world, self.rollout, self.wave, self.now)
    }

    /// Why the assets of a batch cannot be touched now: a freeze, or no room for them.
    fn crowded(&self, back: &WayBack) -> Option<String> {
        let World {
            catalog,
            observation,
            assessment,
            history,
            ..
        } = *self.world;
        let going: BTreeSet<Arc<str>> = back.assets.iter().filter(|a| !self.is_let_go(a)).cloned().collect();
        let mut held = going.iter().filter_map(|name| {
            let why = self
                .not_now(name)
                .or_else(|| closed_by(catalog, observation, assessment, name, self.now))?;
            Some(format!("asset {name}: {why}"))
        });
        held.next()
            .or_else(|| no_room(catalog, observation, assessment, history, &going, self.now))
    }

    /// Why an asset must be left alone, whatever room there is: somebody else is at work on it, or was since.
    fn not_now(&self, name: &str) -> Option<String> {
        let Some(asset) = self.asset(name) else {
            return Some("it was not reported, so nobody knows what it shows".into());
        };
        if asset.lifecycle == Lifecycle::Maintenance {
            return Some("it is in maintenance: somebody is at work on it".into());
        }
        let mut others = self.world.history.open.iter().filter(|r| r.name != self.rollout.name);
        if let Some(other) = others.find(|r| is_down_for(r, name)) {
            return Some(format!("rollout {} is at work on it", other.name));
        }
        let frozen = self
            .batches()
            .flat_map(|(_, batch)| &batch.assets)
            .find(|a| a.name == name)?;
        let newer = shows_newer(self.frozen, frozen, asset, self.world.observation)?;
        Some(format!("{newer}; waive it to leave it as it is"))
    }

    fn say_what_is_left(&self, decision: &mut Decision) {
        let name = &self.rollout.name;
        let folder = &self.world.catalog.project.paths.rollouts;
        let said = format!(
            "is rolled back, and what it fixed is open again: hold it back with an Exception or wait for a better version; \
             removing {folder}/{name} from the base branch gives the rollout up"
        );
        self.say(&said, decision);
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

/// Whether an asset is down for a rollout, on whichever way.
fn is_down_for(rollout: &OpenRollout, name: &str) -> bool {
    let mut batches = rollout.waves.iter().flat_map(|w| &w.batches);
    batches.any(|batch| {
        let goes_back = |b: &WayBack| b.released_at.is_some() && !b.done && b.assets.contains(name);
        batch.disrupted().any(|a| a.as_ref() == name) || batch.way_back.as_ref().is_some_and(goes_back)
    })
}

fn is_going_back(action: &Action) -> bool {
    let Action::Record(events) = action else { return false };
    events
        .iter()
        .any(|(_, event)| matches!(event, Event::RollbackReleased { .. }))
}

/// May this batch (or this asset of it) go back now? Everything is looked at again.
///
/// # Errors
/// The first reason against it, as a sentence for a person.
pub fn may_go_back(
    world: &World<'_>,
    (rollout, wave, batch): (&str, &str, &str),
    asset: Option<&str>,
    now: Timestamp,
) -> Result<Permit, PermitRefusal> {
    let refuse = |why: String| Err(PermitRefusal(why));
    let found = world.history.open.iter().find(|r| r.name.as_ref() == rollout);
    let found = found.zip(world.history.frozen.get(rollout)).and_then(|(open, frozen)| {
        let at = open.waves.iter().position(|w| w.name.as_ref() == wave)?;
        Some((open, frozen, open.waves.get(at)?, frozen.waves.get(at)?))
    });
    let Some((rollout, frozen, wave, frozen_wave)) = found else {
        return refuse(format!("there is no open rollout `{rollout}` with a wave `{wave}`"));
    };
    let scene = Scene {
        world,
        rollout,
        frozen,
        wave,
        frozen_wave,
        now,
    };
    let found = scene.batches().find(|(progress, _)| progress.id.as_ref() == batch);
    let back = found.and_then(|(progress, frozen)| Some((progress, frozen, progress.way_back.as_ref()?)));
    let (Some((progress, frozen_batch, back)), WaveState::RollingBack) = (back, wave.state) else {
        return refuse(format!(
            "wave {} is {}: nobody approved that batch {batch} goes back",
            wave.name, wave.state
        ));
    };
    let (Some(released_at), Some(digest)) = (back.released_at, wave.digest.clone()) else {
        return refuse(format!("batch {batch} waits to go back"));
    };
    if back.done {
        return refuse(format!("batch {batch} is back already: nothing runs twice"));
    }
    if let Some(why) = scene.held() {
        return refuse(why);
    }
    if now < released_at {
        return refuse(format!(
            "batch {batch} was let go back at {released_at}, which is after now"
        ));
    }
    let open = |name: &str| {
        let frozen = frozen_batch.assets.iter().find(|a| a.name == name);
        !scene.is_let_go(name) && frozen.is_none_or(|a| scene.is_back(a, released_at).is_err())
    };
    if let Some(asset) = asset {
        if !back.assets.contains(asset) {
            return refuse(format!("asset {asset} does not go back: nobody approved that"));
        }
        if !open(asset) {
            return refuse(format!(
                "asset {asset} is back already, or was let go: nothing runs twice"
            ));
        }
    }
    let assets: Vec<Arc<str>> = back.assets.iter().filter(|name| open(name)).cloned().collect();
    let touched = assets.iter().filter(|name| asset.is_none_or(|a| a == name.as_ref()));
    for name in touched {
        let closed = || closed_by(world.catalog, world.observation, world.assessment, name, now);
        if let Some(why) = scene.not_now(name).or_else(closed) {
            return refuse(format!("asset {name}: {why}"));
        }
    }
    Ok(Permit {
        rollout: Arc::clone(&rollout.name),
        wave: Arc::clone(&wave.name),
        batch: Arc::clone(&progress.id),
        digest,
        released_at,
        opening_start: None,
        opening_end: None,
        assets,
    })
}

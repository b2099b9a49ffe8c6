//! Going back, batch by batch.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::Scene;
use crate::decide::proposals::all_is_read;
use crate::decide::release::held;
use crate::decide::{Action, Decision, Permit, PermitRefusal, World};
use crate::history::{Event, FrozenAsset, FrozenBatch, OpenRollout, WaveEvent, WaveState, WayBack};
use crate::load::wire::Lifecycle;
use crate::plan::{closed_by, no_room};
use crate::verify::shows_newer;

impl Scene<'_> {
    /// Takes the first batch on its way that is not back yet one step further.
    pub(super) fn go(&self, decision: &mut Decision) {
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

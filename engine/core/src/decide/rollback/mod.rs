//! The way back: a wave that failed under `onFailure: rollback` is halted, and a pull request asks to roll it back.
//!
//! Its merge, with the approvals of the wave, authorises. The assets then go back batch by batch: each batch is let go when
//! nothing holds it (pause, freeze, halt, edits) and the services have room for what goes down, and the next when fresh
//! observations show the earlier versions. No opening is waited for: who merges has read that it runs at once.

mod ask;
mod go;

use jiff::Timestamp;

pub(super) use ask::rollback_merged;
pub use go::may_go_back;

use super::{Decision, World};
use crate::history::{
    BatchProgress, Event, FrozenAsset, FrozenBatch, FrozenRollout, FrozenWave, OpenRollout, WaveProgress, WaveState,
    ledger_file,
};
use crate::load::wire::{OnFailure, RebootPolicy};
use crate::observe::Asset;
use crate::verify::shows_before;

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

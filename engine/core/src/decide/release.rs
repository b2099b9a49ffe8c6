//! Releasing: the moment a batch may run. A merge authorises; it does not start.

use std::sync::Arc;

use jiff::Timestamp;

use super::gates::change_allows;
use super::moves::edited_since;
use super::{Decision, World};
use crate::history::{BatchProgress, Event, OpenRollout, WaveProgress, WaveState, ledger_file};
use crate::plan::Batch;
use crate::propose::{HALT_LABEL, labelled_to_halt};
use crate::time::Boundary;

/// Gives the next batch of every approved wave its permit when everything still holds.
pub fn release(world: &World<'_>, now: Timestamp, decision: &mut Decision) {
    for rollout in &world.history.open {
        if let Some(halted) = &rollout.halted {
            decision.say(
                &rollout.name,
                format!("halted by {} at {}: {}", halted.by, halted.at, halted.reason),
            );
            continue;
        }
        if let Some(paused) = paused(world, rollout, now) {
            decision.say(&rollout.name, paused);
            continue;
        }
        if let Some(stopped) = stopped(rollout) {
            let how = stopped.reason.clone().unwrap_or_else(|| stopped.state.to_string());
            let said = format!("wave {} is {how}; no wave of the rollout starts anything", stopped.name);
            decision.say(&rollout.name, said);
            continue;
        }
        let unlisted = unlisted(world, &rollout.name);
        for wave in &rollout.waves {
            if let Some(why) = unlisted.as_ref().filter(|_| next_batch(wave).is_some()) {
                decision.say(&rollout.name, format!("wave {}: {why}", wave.name));
                continue;
            }
            release_wave(world, rollout, wave, now, decision);
        }
    }
}

/// A wave that failed, or goes back: what it carried is in doubt for every other wave of its rollout.
fn stopped(rollout: &OpenRollout) -> Option<&WaveProgress> {
    use WaveState as S;
    let mut waves = rollout.waves.iter();
    waves.find(|w| matches!(w.state, S::Failed | S::Halted | S::RollingBack | S::RolledBack))
}

/// What holds everything of a rollout's wave that is allowed already, whichever way it goes: a stop by a person, a pause, or
/// files that are not those that were approved.
pub(super) fn held(world: &World<'_>, rollout: &OpenRollout, wave: &WaveProgress, now: Timestamp) -> Option<String> {
    if let Some(halted) = &rollout.halted {
        return Some(format!("halted by {} at {}: {}", halted.by, halted.at, halted.reason));
    }
    if let Some(labelled) = labelled_to_halt(world.view, &rollout.name) {
        return Some(format!("pull request {} has the label `{HALT_LABEL}`", labelled.number));
    }
    if edited_since(world, &rollout.name, wave) {
        let name = &wave.name;
        return Some(format!(
            "wave {name} was edited: the merged files are not those that were approved"
        ));
    }
    paused(world, rollout, now).or_else(|| unlisted(world, &rollout.name))
}

/// Why the merged files of a rollout cannot be obeyed, if they cannot.
pub(super) fn unlisted(world: &World<'_>, rollout: &str) -> Option<String> {
    let folder = &world.catalog.project.paths.rollouts;
    crate::history::unlisted(&world.view.merged_files, folder, rollout)
}

/// Why the policy of a rollout is paused, if it is.
pub(super) fn paused(world: &World<'_>, rollout: &OpenRollout, now: Timestamp) -> Option<String> {
    let Some(policy) = world.catalog.policies.get(&rollout.policy) else {
        // Nobody can say whether it is paused: unknown is not permission.
        return Some(format!(
            "policy {} is gone, so nobody can say what holds for this rollout: bring it back, or close the rollout",
            rollout.policy
        ));
    };
    let pause = policy.spec.pause.as_ref()?;
    let until = pause.until.resolve(Boundary::End, &world.catalog.zone.0);
    let why = pause.reason.as_deref().unwrap_or("no reason given");
    (now < until).then(|| {
        format!(
            "policy {} is paused until {until} ({why}, {})",
            rollout.policy,
            world.catalog.at(policy.doc, "/spec/pause")
        )
    })
}

fn release_wave(
    world: &World<'_>,
    rollout: &OpenRollout,
    wave: &WaveProgress,
    now: Timestamp,
    decision: &mut Decision,
) {
    let Some(next) = next_batch(wave) else {
        return;
    };
    let Some(planned) = planned_batch(world, rollout, wave, next) else {
        decision.say(
            &rollout.name,
            format!("wave {} batch {}: not in the plan any more", wave.name, next.id),
        );
        return;
    };
    match planned.start {
        Some(start) if start <= now => {
            let Some(digest) = wave.digest.clone() else { return };
            if !change_allows(world, rollout, wave, planned, now, decision) {
                return;
            }
            decision.record(
                ledger_file(&rollout.name),
                Event::Released {
                    wave: Arc::clone(&wave.name),
                    batch: Arc::clone(&next.id),
                    digest,
                    opening_start: planned.window.start,
                    opening_end: planned.window.end,
                },
            );
        }
        Some(start) => {
            let window = &planned.window.name;
            decision.say(
                &rollout.name,
                format!("wave {} batch {} waits for {window} at {start}", wave.name, next.id),
            );
        }
        None => {
            decision.say(
                &rollout.name,
                format!("wave {} batch {}: no opening fits", wave.name, next.id),
            );
        }
    }
}

/// The batch of an approved wave that is to be released next; none while one is under way. Batches go one after the
/// other: the first one that is not settled is the one to look at.
fn next_batch(wave: &WaveProgress) -> Option<&BatchProgress> {
    let open = matches!(
        wave.state,
        WaveState::Approved | WaveState::Released | WaveState::Running
    );
    let next = wave.batches.iter().find(|b| !settled(b)).filter(|_| open)?;
    next.released_at.is_none().then_some(next)
}

/// The batch of a wave that would be released now, if nothing else holds it back.
pub(super) fn due_batch<'a>(
    world: &World<'a>,
    rollout: &OpenRollout,
    wave: &WaveProgress,
    now: Timestamp,
) -> Option<&'a Batch> {
    let held = rollout.halted.is_some() || stopped(rollout).is_some() || paused(world, rollout, now).is_some();
    let next = next_batch(wave).filter(|_| !held)?;
    let planned = planned_batch(world, rollout, wave, next)?;
    planned.start.is_some_and(|start| start <= now).then_some(planned)
}

/// Every asset of the batch is accounted for: passed, failed, never touched, or let go.
fn settled(batch: &BatchProgress) -> bool {
    batch.assets.keys().all(|asset| {
        batch.passed.contains(asset)
            || batch.failed.contains_key(asset)
            || batch.not_attempted.contains_key(asset)
            || batch.waived.contains_key(asset)
    })
}

fn planned_batch<'a>(
    world: &World<'a>,
    rollout: &OpenRollout,
    wave: &WaveProgress,
    batch: &BatchProgress,
) -> Option<&'a Batch> {
    let rollout = world.plan.rollouts.iter().find(|r| r.name == rollout.name)?;
    let wave = rollout.waves.iter().find(|w| w.name == wave.name)?;
    wave.batches.iter().find(|b| b.id == batch.id)
}

/// Why something may not run now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PermitRefusal(pub String);

/// A permit: this batch of this digest may run now.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Permit {
    /// The rollout.
    pub rollout: Arc<str>,
    /// The wave.
    pub wave: Arc<str>,
    /// The batch.
    pub batch: Arc<str>,
    /// The wave digest the permit is bound to.
    pub digest: Arc<str>,
    /// When the batch was released.
    pub released_at: Timestamp,
    /// Start of the opening; none = open for more than 400 days (the permit is then bound to `releasedAt`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opening_start: Option<Timestamp>,
    /// End of the opening: not valid after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opening_end: Option<Timestamp>,
    /// The assets that may be touched now: those of the batch that have not passed.
    pub assets: Vec<Arc<str>>,
}

/// May this batch (or this asset of it) run now? Everything is looked at again: nothing is taken from the release but
/// the release itself.
///
/// # Errors
/// The first reason against it, as a sentence for a person.
pub fn may_run(
    world: &World<'_>,
    (rollout, wave, batch): (&str, &str, &str),
    asset: Option<&str>,
    now: Timestamp,
) -> Result<Permit, PermitRefusal> {
    let refuse = |why: String| Err(PermitRefusal(why));
    let Some(open) = world.history.open.iter().find(|r| r.name.as_ref() == rollout) else {
        let open: Vec<&str> = world.history.open.iter().map(|r| r.name.as_ref()).collect();
        let open = if open.is_empty() {
            "none is".to_owned()
        } else {
            open.join(", ")
        };
        return refuse(format!("there is no open rollout `{rollout}`; open: {open}"));
    };
    let Some(progress) = open.waves.iter().find(|w| w.name.as_ref() == wave) else {
        let waves: Vec<&str> = open.waves.iter().map(|w| w.name.as_ref()).collect();
        return refuse(format!(
            "rollout {rollout} has no wave `{wave}`; it has {}",
            waves.join(", ")
        ));
    };
    let Some(batch_progress) = progress.batches.iter().find(|b| b.id.as_ref() == batch) else {
        return refuse(format!(
            "wave {wave} of {rollout} has no batch `{batch}`, or is not proposed yet"
        ));
    };
    // Before the merge there is nothing that could be held.
    if progress.state > WaveState::Proposed
        && let Some(why) = held(world, open, progress, now)
    {
        return refuse(why);
    }
    if let Some(other) = stopped(open).filter(|other| other.name != progress.name) {
        return refuse(format!(
            "wave {} is {}: what it carried is in doubt for every other wave",
            other.name, other.state
        ));
    }
    if !matches!(
        progress.state,
        WaveState::Released | WaveState::Running | WaveState::Verifying
    ) {
        return refuse(format!(
            "wave {wave} is {}: its batches are not released",
            progress.state
        ));
    }
    let (Some(released_at), Some(digest)) = (batch_progress.released_at, progress.digest.clone()) else {
        return refuse(format!("batch {batch} is not released"));
    };
    if now < released_at {
        return refuse(format!(
            "batch {batch} was released at {released_at}, which is after now"
        ));
    }
    if let Some(end) = batch_progress.opening_end.filter(|end| now >= *end) {
        return refuse(format!(
            "the opening of batch {batch} ended at {end}: a missed window is missed"
        ));
    }
    if let Some(asset) = asset {
        if !batch_progress.assets.contains_key(asset) {
            return refuse(format!("asset {asset} is not in batch {batch}"));
        }
        if batch_progress.passed.contains(asset) {
            return refuse(format!("asset {asset} has passed already: nothing runs twice"));
        }
    }
    let frozen = batch_progress
        .assets
        .keys()
        .filter(|a| asset.is_none_or(|x| x == a.as_ref()));
    for name in frozen {
        if let Some(why) = crate::plan::closed_by(world.catalog, world.observation, world.assessment, name, now) {
            return refuse(format!("asset {name}: {why}"));
        }
    }
    let assets = batch_progress
        .assets
        .keys()
        .filter(|a| !batch_progress.passed.contains(*a))
        .cloned()
        .collect();
    Ok(Permit {
        rollout: Arc::clone(&open.name),
        wave: Arc::clone(&progress.name),
        batch: Arc::clone(&batch_progress.id),
        digest,
        released_at,
        opening_start: batch_progress.opening_start,
        opening_end: batch_progress.opening_end,
        assets,
    })
}

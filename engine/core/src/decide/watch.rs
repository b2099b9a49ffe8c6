//! Watching: what fresh observations and evidence show becomes recorded checks, and checks move waves.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::gates::{self, GateLook};
use super::{Decision, World};
use crate::history::{Event, FrozenRollout, FrozenWave, OpenRollout, WaveEvent, WaveProgress, WaveState, ledger_file};
use crate::load::wire::OnFailure;
use crate::propose::labelled_to_halt;
use crate::time::DurationSeconds;
use crate::verify::{AssetVerdict, BatchVerdict, WaveVerdict, judge_batch, judge_wave};

/// Looks at every wave under way.
pub fn watch(world: &World<'_>, now: Timestamp, decision: &mut Decision) {
    for rollout in &world.history.open {
        let Some(frozen) = world.history.frozen.get(&rollout.name) else {
            continue;
        };
        for (wave, frozen_wave) in rollout.waves.iter().zip(&frozen.waves) {
            if under_way(wave.state) {
                watch_wave(world, rollout, frozen, wave, frozen_wave, now, decision);
            } else if wave.state == WaveState::Failed {
                stop_failed(rollout, wave, frozen_wave, decision);
            }
        }
    }
}

const fn under_way(state: WaveState) -> bool {
    use WaveState as S;
    matches!(
        state,
        S::Approved | S::Released | S::Running | S::Verifying | S::Soaking
    )
}

/// The verdicts of a wave's batches, in order.
pub fn verdicts(
    world: &World<'_>,
    frozen: &FrozenRollout,
    wave: &WaveProgress,
    frozen_wave: &FrozenWave,
) -> Vec<BatchVerdict> {
    let class = |name: &str| world.catalog.classes.get(name).map(|c| &c.spec);
    let now = world.plan.now;
    let batches = frozen_wave.batches.iter().zip(&wave.batches);
    batches
        .map(|(batch, progress)| judge_batch(frozen, batch, progress, world.observation, &class, now))
        .collect()
}

fn watch_wave(
    world: &World<'_>,
    rollout: &OpenRollout,
    frozen: &FrozenRollout,
    wave: &WaveProgress,
    frozen_wave: &FrozenWave,
    now: Timestamp,
    decision: &mut Decision,
) {
    let verdicts = verdicts(world, frozen, wave, frozen_wave);
    let before = decision.actions.len();
    for (progress, verdict) in wave.batches.iter().zip(&verdicts) {
        if let Some(event) = news(&wave.name, progress, verdict) {
            decision.record(ledger_file(&rollout.name), event);
        }
    }
    if decision.actions.len() > before {
        return;
    }
    let verdict = judge_wave(frozen_wave, wave, &verdicts, now);
    let gates = gates::look(world, rollout, wave, frozen_wave, now);
    // What a person stopped goes nowhere, and is looked at all the same: a failure is a failure.
    let held = rollout.halted.is_some() || labelled_to_halt(world.view, &rollout.name).is_some();
    let event = next_move(wave, frozen_wave, &verdict, &gates, now)
        .filter(|(moved, ..)| !(held && *moved == WaveEvent::Promoted));
    gates.record(rollout, wave, event.is_some(), decision);
    if event.is_none() {
        say(rollout, wave, frozen_wave, &verdict, gates.red_until, decision);
        gates.say(rollout, wave, frozen_wave, decision);
    }
    if let Some((moved, since, reason)) = event {
        let event = Event::Wave {
            wave: Arc::clone(&wave.name),
            moved,
            digest: None,
            pull_request: None,
            approvals: vec![],
            since,
            openings: None,
            reason,
        };
        decision.record(ledger_file(&rollout.name), event);
    }
}

/// What a batch's verdicts say that is not recorded yet. Assets of a batch without release count only when all of them
/// are done by somebody else: otherwise the batch simply is still to come.
fn news(wave: &Arc<str>, progress: &crate::history::BatchProgress, verdict: &BatchVerdict) -> Option<Event> {
    let (mut passed, mut failed, mut not_attempted, mut out_of_band) =
        (BTreeMap::new(), BTreeMap::new(), BTreeMap::new(), Vec::new());
    let all_done = verdict.values().all(|v| matches!(v, AssetVerdict::OutOfBand { .. }));
    for (asset, asset_verdict) in verdict {
        match asset_verdict {
            AssetVerdict::Passed { seen, .. } if !progress.passed.contains(asset) => {
                passed.insert(Arc::clone(asset), *seen);
            }
            AssetVerdict::OutOfBand { seen }
                if !progress.passed.contains(asset) && (all_done || progress.released_at.is_some()) =>
            {
                passed.insert(Arc::clone(asset), *seen);
                out_of_band.push(Arc::clone(asset));
            }
            AssetVerdict::Failed(reason)
                if progress.failed.get(asset) != Some(reason) && !progress.passed.contains(asset) =>
            {
                failed.insert(Arc::clone(asset), reason.clone());
            }
            AssetVerdict::NotAttempted(reason) if progress.not_attempted.get(asset) != Some(reason) => {
                not_attempted.insert(Arc::clone(asset), reason.clone());
            }
            _ => {}
        }
    }
    let nothing = passed.is_empty() && failed.is_empty() && not_attempted.is_empty();
    let batch = Arc::clone(&progress.id);
    (!nothing).then(|| Event::Checked {
        wave: Arc::clone(wave),
        batch,
        passed,
        failed,
        not_attempted,
        out_of_band,
    })
}

type Move = (WaveEvent, Option<Timestamp>, Option<String>);

fn next_move(
    wave: &WaveProgress,
    frozen: &FrozenWave,
    verdict: &WaveVerdict,
    gates: &GateLook,
    now: Timestamp,
) -> Option<Move> {
    let fell_back = verdict.behind.values().any(|r| r.starts_with("failed: "));
    match wave.state {
        // A failure that the wave tolerates does not break its soak: it was there when the wave was verified, or is one more
        // within `maxFailures`. Broken, it would be verified at once and broken again, for ever.
        WaveState::Soaking if fell_back && !verdict.verified => {
            Some((WaveEvent::SoakBroken, None, Some(behind_text(verdict))))
        }
        _ if verdict.too_many_failures && wave.state != WaveState::Approved => {
            Some((WaveEvent::Failed, None, Some(behind_text(verdict))))
        }
        WaveState::Soaking if gates.turned.is_some() => Some((WaveEvent::SoakBroken, None, gates.turned.clone())),
        WaveState::Soaking | WaveState::Verifying if gates.overdue.is_some() => {
            Some((WaveEvent::Failed, None, gates.overdue.clone()))
        }
        WaveState::Soaking => {
            let since = wave.soaking_since.max(gates.red_until)?;
            let held = since
                .checked_add(DurationSeconds(frozen.soak_seconds).signed())
                .is_ok_and(|end| end <= now);
            (held && verdict.verified && gates.all_passed).then_some((WaveEvent::Promoted, None, None))
        }
        // Nothing holds still while a gate is red.
        WaveState::Verifying if gates.red => None,
        _ if verdict.verified => {
            let again = gates.was_red.then_some(now);
            let since = verdict.since.max(wave.not_before).max(again);
            Some((WaveEvent::Verified, since, None))
        }
        WaveState::Released if wave.batches.iter().any(|b| !b.evidence.is_empty()) => {
            Some((WaveEvent::Started, None, None))
        }
        WaveState::Released | WaveState::Running if all_over(wave, now) => Some((WaveEvent::Ran, None, None)),
        _ => None,
    }
}

/// Every batch was released, and its opening (or 24 h) is over.
fn all_over(wave: &WaveProgress, now: Timestamp) -> bool {
    wave.batches.iter().all(|b| {
        let day = b
            .released_at
            .and_then(|r| r.checked_add(DurationSeconds::hours(24).signed()).ok());
        day.is_some_and(|day| b.opening_end.map_or(day, |end| end.min(day)) <= now)
    })
}

/// So many assets are named where a wave is held back; the rest is counted.
const NAMES_SHOWN_MAX: usize = 10;

fn behind_text(verdict: &WaveVerdict) -> String {
    let named: Vec<String> = verdict
        .behind
        .iter()
        .take(NAMES_SHOWN_MAX)
        .map(|(asset, why)| format!("{asset}: {why}"))
        .collect();
    let more = verdict.behind.len().saturating_sub(named.len());
    let more = if more > 0 {
        format!("; and {more} more")
    } else {
        String::new()
    };
    format!("{}{more}", named.join("; "))
}

fn say(
    rollout: &OpenRollout,
    wave: &WaveProgress,
    frozen: &FrozenWave,
    verdict: &WaveVerdict,
    red_until: Option<Timestamp>,
    decision: &mut Decision,
) {
    let name = &wave.name;
    if wave.state == WaveState::Soaking {
        let until = wave
            .soaking_since
            .max(red_until)
            .and_then(|s| s.checked_add(DurationSeconds(frozen.soak_seconds).signed()).ok())
            .map_or_else(String::new, |end| format!(" until {end}"));
        decision.say(&rollout.name, format!("wave {name} soaks{until}"));
    }
    if !verdict.behind.is_empty() && wave.state != WaveState::Approved {
        let (passed, needed) = (verdict.passed, verdict.needed);
        let held = if passed >= needed { "stragglers" } else { "is held back" };
        decision.say(
            &rollout.name,
            format!(
                "wave {name} {held}: {passed} of {needed} needed assets pass; {}",
                behind_text(verdict)
            ),
        );
    }
}

fn stop_failed(rollout: &OpenRollout, wave: &WaveProgress, frozen: &FrozenWave, decision: &mut Decision) {
    let why = wave.reason.clone().unwrap_or_else(|| "too many failures".into());
    let next = match frozen.on_failure {
        OnFailure::Halt => "halted",
        OnFailure::Rollback => "halted, and a pull request asks to roll it back",
    };
    let event = Event::Wave {
        wave: Arc::clone(&wave.name),
        moved: WaveEvent::Halted,
        digest: None,
        pull_request: None,
        approvals: vec![],
        since: None,
        openings: None,
        reason: Some(format!("{next}: {why}")),
    };
    decision.record(ledger_file(&rollout.name), event);
}

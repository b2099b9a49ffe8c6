//! Folding the forge and the ledger into a [`History`]. The ledger's order is the order of things; the forge says which
//! files are merged and which pull requests are open.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::anchors;
use super::events::{Event, MEMORY_FILE, ledger_file};
use super::forge::ForgeView;
use super::frozen::{branch_rollout, branch_wave, frozen_rollouts};
use super::gates::GateProgress;
use super::ledger::LedgerLine;
use super::ledger_chain::parse_chain;
use super::rollout::{BatchProgress, OpenRollout, WaveProgress, WayBack};
use super::state::{WaveEvent, WaveState};
use super::wire::FrozenRollout;
use super::{Halted, History, Memory};

/// Something in the forge or the ledger that cannot be believed. A run that meets one decides nothing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HistoryFault {
    /// The file, on the base branch, a pull request's branch, or the ledger branch.
    pub file: String,
    /// What is wrong, why it matters, what to do.
    pub message: String,
}

/// Reads everything that has happened.
///
/// # Errors
/// Every broken chain and unreadable rollout at once.
pub fn fold(view: &ForgeView, rollouts_folder: &str) -> Result<History, Vec<HistoryFault>> {
    let mut faults = Vec::new();
    let mut chains = BTreeMap::new();
    for (file, bytes) in &view.ledger {
        match parse_chain(bytes) {
            Ok(lines) => {
                chains.insert(file.as_str(), lines);
            }
            Err(fault) => faults.push(HistoryFault {
                file: format!("ledger {file}"),
                message: format!("line {}: {}; {}", fault.line, fault.what, fault.help),
            }),
        }
    }
    let empty = Vec::new();
    let memory = fold_memory(chains.get(MEMORY_FILE).unwrap_or(&empty));
    // Whether the ledger knows of an approval of a rollout's wave, or of any of its waves.
    let approved = |rollout: &str, wave: Option<&str>| {
        let lines = chains.get(ledger_file(rollout).as_str());
        lines.into_iter().flatten().any(|line| {
            let event = Event::from_parts(&line.event, &line.data);
            matches!(event, Some(Event::Wave { wave: of, moved: WaveEvent::Approved | WaveEvent::Edited, .. }) if wave.is_none_or(|w| w == of.as_ref()))
        })
    };
    let frozen = frozen_rollouts(view, rollouts_folder, &approved, &mut faults);
    let mut history = History {
        memory,
        ..History::default()
    };
    for file in chains
        .keys()
        .filter_map(|f| f.strip_suffix(".ndjson"))
        .filter(|f| *f != "memory")
    {
        history.names.insert(file.into());
    }
    faults.extend(anchors::lost(view, rollouts_folder, &|pull_request| {
        let rollout = branch_rollout(&pull_request.branch).unwrap_or_default();
        approved(rollout, branch_wave(&pull_request.branch))
    }));
    for (name, frozen) in frozen {
        history.names.insert(Arc::clone(&name));
        let lines = chains.get(ledger_file(&name).as_str()).unwrap_or(&empty);
        let rollout = fold_rollout(&frozen, lines);
        // One that was rolled back is not over: what it carried is open again, and would only be asked for again.
        let back = rollout.waves.iter().any(|w| w.state == WaveState::RolledBack);
        if !back && rollout.waves.iter().all(|w| w.state.is_final()) {
            history.ended.insert(Arc::clone(&name), frozen);
        } else {
            history.open.push(rollout);
            history.frozen.insert(name, frozen);
        }
    }
    if faults.is_empty() { Ok(history) } else { Err(faults) }
}

/// SHA-256 of the last ledger line that stopped the rollout: a person's halt, or a wave that failed or was halted. A pull
/// request that asks to resume names it, so one that was merged for an earlier stop resumes nothing new: not even in the
/// moment in which a wave has failed and is not halted yet.
pub fn last_stop(ledger: &[u8]) -> Option<String> {
    last_line(ledger, |event| {
        matches!(
            event,
            Event::Halt { .. }
                | Event::Wave {
                    moved: WaveEvent::Halted | WaveEvent::Failed,
                    ..
                }
        )
    })
}

/// SHA-256 of the last ledger line that halted a wave. A pull request that asks to take it back names it.
pub fn last_stop_of(ledger: &[u8], name: &str) -> Option<String> {
    last_line(
        ledger,
        |event| matches!(event, Event::Wave { wave, moved: WaveEvent::Halted, .. } if wave.as_ref() == name),
    )
}

fn last_line(ledger: &[u8], wanted: impl Fn(&Event) -> bool) -> Option<String> {
    let lines = ledger.split(|b| *b == b'\n').filter(|l| !l.is_empty());
    let mut stops = lines.filter(|line| {
        let event = serde_json::from_slice::<LedgerLine>(line).ok();
        event
            .and_then(|l| Event::from_parts(&l.event, &l.data))
            .is_some_and(|event| wanted(&event))
    });
    stops.next_back().map(crate::canonical::sha256_hex)
}

fn fold_memory(lines: &[LedgerLine]) -> Memory {
    let mut memory = Memory::default();
    for line in lines {
        if let Some(event) = Event::from_parts(&line.event, &line.data) {
            memory.take_in(event, line.time);
        }
    }
    memory
}

impl Memory {
    /// Takes in an event of the estate that was recorded at `at`; one of a rollout changes nothing.
    pub fn take_in(&mut self, event: Event, at: Timestamp) {
        match event {
            Event::FirstRun {} => self.first_run = self.first_run.or(Some(at)),
            Event::Seen {
                advisories,
                assets,
                exploited,
            } => {
                remember(&mut self.advisories, advisories, at);
                remember(&mut self.assets, assets, at);
                remember(&mut self.exploited, exploited, at);
            }
            Event::Changed(changed) => self.changes.take_in(changed, at),
            Event::Cut { policy, instant } => {
                let newest = self.cuts.entry(policy).or_insert(instant);
                *newest = instant.max(*newest);
            }
            _ => {}
        }
    }
}

fn remember(seen: &mut BTreeMap<Arc<str>, Timestamp>, names: Vec<Arc<str>>, at: Timestamp) {
    for name in names {
        seen.entry(name).or_insert(at);
    }
}

fn fold_rollout(frozen: &FrozenRollout, lines: &[LedgerLine]) -> OpenRollout {
    let waves = frozen.waves.iter().map(|wave| WaveProgress {
        name: wave.name.as_str().into(),
        state: WaveState::Pending,
        digest: None,
        openings: None,
        batches: wave
            .batches
            .iter()
            .map(|batch| BatchProgress {
                id: batch.id.as_str().into(),
                assets: batch
                    .assets
                    .iter()
                    .map(|a| (a.name.as_str().into(), a.targets.clone()))
                    .collect(),
                ..BatchProgress::default()
            })
            .collect(),
        soaking_since: None,
        not_before: None,
        gates: BTreeMap::new(),
        promoted_at: None,
        failed_at: None,
        reason: None,
    });
    let head = &frozen.rollout;
    let mut rollout = OpenRollout {
        name: head.name.as_str().into(),
        policy: head.policy.as_str().into(),
        strategy: head.strategy.as_str().into(),
        lane: head.lane,
        revision: head.revision,
        cut: head.cut,
        expedited: head.expedited,
        targets: frozen.patchset.targets.clone(),
        frozen: false,
        restarts: head.restarts,
        waves: waves.collect(),
        halted: None,
    };
    for line in lines {
        if let Some(event) = Event::from_parts(&line.event, &line.data) {
            apply(&mut rollout, line, event);
        }
    }
    rollout.frozen = rollout.waves.iter().any(|w| {
        !matches!(
            w.state,
            WaveState::Pending | WaveState::Proposed | WaveState::Superseded
        )
    });
    for wave in &mut rollout.waves {
        if wave.state == WaveState::Pending {
            wave.batches.clear();
        }
    }
    rollout
}

fn apply(rollout: &mut OpenRollout, line: &LedgerLine, event: Event) {
    match event {
        Event::Wave {
            wave,
            moved,
            digest,
            since,
            openings,
            reason,
            ..
        } => {
            if let Some(wave) = rollout.waves.iter_mut().find(|w| w.name == wave) {
                if moved == WaveEvent::Approved {
                    wave.openings = openings;
                }
                move_wave(wave, moved, digest, since.unwrap_or(line.time), reason);
            }
        }
        Event::Released {
            wave,
            batch,
            opening_end,
            opening_start,
            ..
        } => {
            if let Some(batch) = batch_mut(rollout, &wave, &batch) {
                batch.released_at = Some(line.time);
                batch.opening_start = opening_start;
                batch.opening_end = opening_end;
                // A new opening is a new try for what was never touched.
                batch.not_attempted.clear();
            }
            if let Some(wave) = rollout.waves.iter_mut().find(|w| w.name == wave) {
                move_wave(wave, WaveEvent::Released, None, line.time, None);
            }
        }
        Event::RollbackStarted { wave, batches, .. } => start_back(rollout, &wave, batches, line.time),
        Event::RollbackReleased { wave, batch } => {
            if let Some(batch) = batch_mut(rollout, &wave, &batch) {
                let back = batch.way_back.get_or_insert_default();
                back.released_at = Some(line.time);
                // They are down again: what they had passed they do not show any more.
                batch.passed.retain(|asset| !back.assets.contains(asset));
                batch.touched.extend(back.assets.iter().cloned());
            }
        }
        Event::WentBack { wave, batch, seen } => {
            if let Some(batch) = batch_mut(rollout, &wave, &batch) {
                batch.way_back.get_or_insert_default().done = true;
                // Up is what was seen: one that was let go is not waited for, and may be down for ever.
                take_back_release(batch);
                batch.touched.retain(|asset| !seen.contains_key(asset));
            }
        }
        Event::Checked {
            wave,
            batch,
            passed,
            failed,
            not_attempted,
            out_of_band: _,
        } => {
            if let Some(batch) = batch_mut(rollout, &wave, &batch) {
                for asset in passed.keys() {
                    batch.failed.remove(asset);
                    batch.not_attempted.remove(asset);
                    batch.touched.remove(asset);
                }
                batch.passed.extend(passed.keys().cloned());
                for (asset, seen) in passed {
                    batch.passed_at.entry(asset).or_insert(seen);
                }
                batch.failed.extend(failed);
                batch.not_attempted.extend(not_attempted);
            }
        }
        Event::Evidence {
            wave,
            batch,
            asset,
            outcome,
            at,
            reason,
            digest: _,
            facts,
            rollback: back,
            preflight,
        } => {
            if let Some(batch) = batch_mut(rollout, &wave, &batch) {
                let said = super::rollout::Said {
                    outcome,
                    at,
                    reason,
                    facts,
                };
                let evidence = match (preflight, back) {
                    (true, _) => &mut batch.readiness,
                    (false, true) => &mut batch.way_back.get_or_insert_default().evidence,
                    (false, false) => &mut batch.evidence,
                };
                evidence.insert(asset, said);
            }
        }
        Event::Gates { wave, batch, gates } => {
            if let Some(wave) = rollout.waves.iter_mut().find(|w| w.name == wave) {
                for result in gates {
                    let before = wave.gates.get(&result.gate);
                    let progress = GateProgress::after(before, &result, batch.is_some());
                    wave.gates.insert(result.gate, progress);
                }
            }
        }
        Event::Waived { wave, asset, until, .. } => {
            let batches = rollout
                .waves
                .iter_mut()
                .filter(|w| w.name == wave)
                .flat_map(|w| &mut w.batches);
            for batch in batches.filter(|b| b.assets.contains_key(&asset)) {
                batch.waived.insert(Arc::clone(&asset), until);
            }
        }
        Event::Halt { reason } => {
            rollout.halted = Some(Halted {
                at: line.time,
                by: line.actor.clone(),
                reason,
            });
        }
        Event::Resume { .. } => resume(rollout, line.time),
        Event::FirstRun {} | Event::Changed(_) | Event::Seen { .. } | Event::Cut { .. } => {}
    }
}

/// After a resume what failed is tried again at its next opening; what passed stays passed.
fn resume(rollout: &mut OpenRollout, at: Timestamp) {
    rollout.halted = None;
    for wave in &mut rollout.waves {
        if matches!(wave.state, WaveState::Halted | WaveState::Failed) {
            if wave.state == WaveState::Failed {
                move_wave(wave, WaveEvent::Halted, None, at, None);
            }
            move_wave(wave, WaveEvent::Resumed, None, at, None);
            for batch in &mut wave.batches {
                batch.failed.clear();
                if batch.passed.len() < batch.assets.len() {
                    take_back_release(batch);
                    // What it could not reach is tried again as well.
                    batch.not_attempted.clear();
                }
            }
        }
    }
}

/// Takes the release of a batch back; what is down by it stays down until it is seen up.
fn take_back_release(batch: &mut BatchProgress) {
    let down: Vec<Arc<str>> = batch.disrupted().cloned().collect();
    batch.touched.extend(down);
    batch.released_at = None;
}

fn start_back(rollout: &mut OpenRollout, wave: &str, batches: BTreeMap<Arc<str>, Vec<Arc<str>>>, at: Timestamp) {
    let Some(wave) = rollout.waves.iter_mut().find(|w| w.name.as_ref() == wave) else {
        return;
    };
    move_wave(wave, WaveEvent::RollbackStarted, None, at, None);
    for (id, assets) in batches {
        if let Some(batch) = wave.batches.iter_mut().find(|b| b.id == id) {
            batch.way_back = Some(WayBack {
                assets: assets.into_iter().collect(),
                ..WayBack::default()
            });
        }
    }
}

fn batch_mut<'a>(rollout: &'a mut OpenRollout, wave: &str, batch: &str) -> Option<&'a mut BatchProgress> {
    let wave = rollout.waves.iter_mut().find(|w| w.name.as_ref() == wave)?;
    wave.batches.iter_mut().find(|b| b.id.as_ref() == batch)
}

/// Moves by the table; a recorded move that does not apply is ignored here and found by `audit verify`.
fn move_wave(
    wave: &mut WaveProgress,
    moved: WaveEvent,
    digest: Option<Arc<str>>,
    since: Timestamp,
    reason: Option<String>,
) {
    let Some(next) = wave.state.after(moved) else { return };
    wave.state = next;
    if digest.is_some() {
        wave.digest = digest;
    }
    wave.reason = reason;
    match moved {
        // A new soak asks anew; what allowed the batches to run stays on record.
        WaveEvent::Verified => {
            wave.soaking_since = Some(since);
            wave.gates.retain(|_, gate| gate.of_release);
        }
        WaveEvent::Resumed => {
            wave.not_before = Some(since);
            wave.failed_at = None;
            wave.gates.retain(|_, gate| gate.of_release);
        }
        WaveEvent::SoakBroken => {
            wave.soaking_since = None;
            wave.not_before = Some(since);
        }
        WaveEvent::Failed => wave.failed_at = Some(since),
        WaveEvent::Promoted => wave.promoted_at = Some(since),
        _ => {}
    }
}

#[cfg(test)]
#[path = "fold_tests.rs"]
mod tests;

//! Gates in the course of a wave: which must be asked now, what their answers mean for it, and what is recorded of them.
//!
//! While a wave soaks, its gates are asked at every run, because a gate that turns breaks the soak:
//!
//! - all passed, and the soak is over: the wave is promoted, with what the gates showed as evidence. A soak in which a gate was
//!   red from the start counts from when it no longer was: one green look at its end proves nothing of the time before;
//! - red after it was green: the soak is broken. The wave is verified again, and soaks anew, once no gate is red;
//! - red when the soak is over, or after a break, and red for [`RED_PATIENCE`] more: the wave fails, and halts;
//! - unmet or unreadable: it waits and says so, for as long as that lasts. An answer that nobody has is no failure.
//!
//! `change` gates are asked before each release instead (`verify::judge_change`).

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::release::due_batch;
use super::{Decision, World};
use crate::history::{
    Event, FrozenWave, GateProgress, GateResult, GateState, OpenRollout, WaveProgress, WaveState, ledger_file,
};
use crate::load::wire::{Gate, GateScope, Lifecycle};
use crate::plan::Batch;
use crate::time::DurationSeconds;
use crate::verify::{
    Ask, ChangeScene, GateAsset, GateKey, GateQuestion, GateScene, change_subject, gate_text, judge_change, judge_gate,
};

/// So long a gate may be red once its soak is over (or broken) before its wave fails. Services that were just patched come
/// back, alerts flap, and people look at what turned red: an hour is time for that, and short beside any window.
pub const RED_PATIENCE: SignedDuration = SignedDuration::from_hours(1);

/// What must be asked of monitors before this world can be decided upon; nothing where no open wave needs it.
pub fn gates_wanted(world: &World<'_>, now: Timestamp) -> BTreeMap<GateKey, GateQuestion> {
    let mut wanted = BTreeMap::new();
    for rollout in &world.history.open {
        let Some(frozen) = world.history.frozen.get(&rollout.name) else {
            continue;
        };
        for (wave, frozen_wave) in rollout.waves.iter().zip(&frozen.waves) {
            let due = due_batch(world, rollout, wave, now).is_some();
            for (number, gate) in numbered(frozen_wave) {
                let asked = if gate.change.is_some() { due } else { is_asked(wave) };
                let question = asked.then(|| question(gate, rollout, wave, now)).flatten();
                if let Some(question) = question {
                    wanted.insert(key(rollout, wave, number), question);
                }
            }
        }
    }
    wanted
}

/// Whether the gates of a wave (but for `change`) matter now: it soaks, or its soak was broken.
fn is_asked(wave: &WaveProgress) -> bool {
    match wave.state {
        WaveState::Soaking => true,
        WaveState::Verifying => wave.gates.values().any(|gate| !gate.of_release),
        _ => false,
    }
}

fn numbered(wave: &FrozenWave) -> impl Iterator<Item = (u32, &Gate)> {
    (1..).zip(&wave.gates)
}

fn key(rollout: &OpenRollout, wave: &WaveProgress, gate: u32) -> GateKey {
    GateKey {
        rollout: Arc::clone(&rollout.name),
        wave: Arc::clone(&wave.name),
        gate,
    }
}

/// What a gate asks of its source; none for one that asks nobody (`result`).
fn question(gate: &Gate, rollout: &OpenRollout, wave: &WaveProgress, now: Timestamp) -> Option<GateQuestion> {
    let source = gate.source.as_deref().map(Arc::from);
    let ask = if let Some(query) = &gate.promql {
        let assets: usize = wave.batches.iter().map(|b| b.assets.len()).sum();
        Ask::Promql {
            query: query.clone(),
            back: gate.hold.filter(|hold| hold.seconds() > 0),
            assets: if gate.scope == GateScope::Global { 1 } else { assets },
            at: now,
        }
    } else if gate.status.is_some() {
        Ask::Status
    } else if let Some(address) = &gate.http {
        Ask::Page {
            address: address.clone(),
            at: now,
        }
    } else if gate.change.is_some() {
        Ask::Change {
            subject: change_subject(&rollout.name, &wave.name),
        }
    } else {
        return None;
    };
    Some(GateQuestion { source, ask })
}

/// What the gates of a wave show at this look.
#[derive(Clone, Debug, Default)]
pub(super) struct GateLook {
    /// Every gate that was asked.
    results: Vec<GateResult>,
    /// Every gate lets the wave through.
    pub(super) all_passed: bool,
    /// At least one is red.
    pub(super) red: bool,
    /// One that was green is red now: what, and why.
    pub(super) turned: Option<String>,
    /// One is red after its chance: what, and why.
    pub(super) overdue: Option<String>,
    /// One was red by the ledger: a soak that begins now begins now.
    pub(super) was_red: bool,
    /// When the last of them that was red ceased to be: the soak counts from it.
    pub(super) red_until: Option<Timestamp>,
}

/// Looks at the gates of a wave that soaks, or whose soak was broken.
pub(super) fn look(
    world: &World<'_>,
    rollout: &OpenRollout,
    wave: &WaveProgress,
    frozen: &FrozenWave,
    now: Timestamp,
) -> GateLook {
    if !is_asked(wave) {
        return GateLook::default();
    }
    let assets = healthy(world, wave, now);
    let mut look = GateLook {
        all_passed: true,
        ..GateLook::default()
    };
    for (number, gate) in numbered(frozen) {
        if gate.change.is_some() {
            look.all_passed &= change_passed(wave, number);
            continue;
        }
        let recorded = wave.gates.get(&number).filter(|g| !g.of_release);
        look.was_red |= recorded.is_some_and(|g| g.state == GateState::Red);
        let source = gate.source.as_deref().and_then(|name| world.catalog.sources.get(name));
        let scene = GateScene {
            assets: &assets,
            soaking_since: wave.soaking_since,
            stale_after: source.map(|s| s.spec.stale_after),
            recorded,
            now,
        };
        let reading = world.readings.get(&key(rollout, wave, number));
        let Some(result) = judge_gate(gate, number, reading, &scene) else {
            look.all_passed = false;
            continue;
        };
        look.all_passed &= result.state == GateState::Passed;
        // What nobody can read after it was red is red still.
        look.red |= result.state == GateState::Red || (GateProgress::after(recorded, &result, false).saw_red);
        if result.state == GateState::Red {
            if wave.state == WaveState::Soaking && recorded.is_some_and(|g| g.was_green) {
                look.turned.get_or_insert_with(|| line(&result));
            }
            if chance_end(wave, frozen, result.since).is_some_and(|end| end <= now) {
                look.overdue.get_or_insert_with(|| line(&result));
            }
        }
        look.red_until = look
            .red_until
            .max(GateProgress::after(recorded, &result, false).red_until);
        look.results.push(result);
    }
    look
}

/// When a gate that is red since `since` fails its wave.
fn chance_end(wave: &WaveProgress, frozen: &FrozenWave, since: Timestamp) -> Option<Timestamp> {
    let soak = DurationSeconds(frozen.soak_seconds).signed();
    let soaked = wave.soaking_since.and_then(|began| began.checked_add(soak).ok());
    let from = soaked.map_or(since, |end| end.max(since));
    from.checked_add(RED_PATIENCE).ok()
}

/// A change gate lets a wave through when it passed before the last release, or when nothing was released at all.
fn change_passed(wave: &WaveProgress, number: u32) -> bool {
    let released = wave.batches.iter().any(|b| b.released_at.is_some());
    let passed = wave.gates.get(&number).is_some_and(|g| g.state == GateState::Passed);
    passed || !released
}

/// The assets of a wave that passed and are still there: neither retired nor let go.
fn healthy<'a>(world: &World<'a>, wave: &'a WaveProgress, now: Timestamp) -> Vec<GateAsset<'a>> {
    let mut assets = Vec::new();
    for batch in &wave.batches {
        for name in &batch.passed {
            let found = world.observation.assets.binary_search_by(|a| a.name.cmp(name));
            let asset = found.ok().and_then(|i| world.observation.assets.get(i));
            let gone = asset.is_some_and(|a| a.lifecycle == Lifecycle::Retired);
            if gone || batch.waived.get(name).is_some_and(|until| *until > now) {
                continue;
            }
            let said = batch
                .evidence
                .get(name)
                .filter(|s| batch.released_at.is_some_and(|r| s.at >= r));
            assets.push(GateAsset {
                name,
                asset,
                patched_at: batch.passed_at.get(name).copied().unwrap_or(Timestamp::MIN),
                result: said.map(|s| (s.at, &s.facts)),
            });
        }
    }
    assets.sort_by_key(|a| a.name);
    assets
}

impl GateLook {
    /// Records what is news of the gates; everything they showed where they decide a move.
    pub(super) fn record(&self, rollout: &OpenRollout, wave: &WaveProgress, decides: bool, decision: &mut Decision) {
        let news = |result: &&GateResult| {
            let known = wave.gates.get(&result.gate).filter(|g| !g.of_release);
            decides || known.is_none_or(|g| g.state != result.state)
        };
        let gates: Vec<GateResult> = self.results.iter().filter(news).cloned().collect();
        if !gates.is_empty() {
            let event = Event::Gates {
                wave: Arc::clone(&wave.name),
                batch: None,
                gates,
            };
            decision.record(ledger_file(&rollout.name), event);
        }
    }

    /// Says how each gate that has not passed stands.
    pub(super) fn say(&self, rollout: &OpenRollout, wave: &WaveProgress, frozen: &FrozenWave, decision: &mut Decision) {
        if !is_asked(wave) {
            return;
        }
        for (number, gate) in numbered(frozen).filter(|(_, gate)| gate.change.is_none()) {
            let said = match self.results.iter().find(|r| r.gate == number) {
                Some(result) if result.state == GateState::Passed => continue,
                Some(result) => line(result),
                None => last_line(gate, wave.gates.get(&number)),
            };
            decision.say(&rollout.name, format!("wave {}: {said}", wave.name));
        }
    }
}

/// How a gate stands, as a sentence.
fn line(result: &GateResult) -> String {
    let why = result
        .reason
        .as_deref()
        .map_or_else(String::new, |why| format!(": {why}"));
    format!("gate `{}` is {} since {}{why}", result.asks, result.state, result.since)
}

fn last_line(gate: &Gate, recorded: Option<&GateProgress>) -> String {
    let asks = gate_text(gate);
    recorded.map_or_else(
        || format!("gate `{asks}` was not asked yet"),
        |g| {
            let why = g.reason.as_deref().map_or_else(String::new, |why| format!(": {why}"));
            format!(
                "gate `{asks}` was {} since {} when it was last asked{why}",
                g.state, g.since
            )
        },
    )
}

/// Judges the change gates of a batch that is about to be released. True = it may be; what is news is recorded, and what
/// holds it back is said.
pub(super) fn change_allows(
    world: &World<'_>,
    rollout: &OpenRollout,
    wave: &WaveProgress,
    planned: &Batch,
    now: Timestamp,
    decision: &mut Decision,
) -> bool {
    let Some(frozen) = world.history.frozen.get(&rollout.name) else {
        return false;
    };
    let Some(frozen_wave) = frozen.waves.iter().find(|w| *w.name == *wave.name) else {
        return false;
    };
    let subject = change_subject(&rollout.name, &wave.name);
    let start = planned.start.unwrap_or(now);
    let span = (start, planned.finish.unwrap_or(start));
    let (mut results, mut allowed) = (Vec::new(), true);
    for (number, gate) in numbered(frozen_wave).filter(|(_, gate)| gate.change.is_some()) {
        let recorded = wave.gates.get(&number);
        let scene = ChangeScene {
            subject: &subject,
            span,
            recorded,
            now,
        };
        let reading = world.readings.get(&key(rollout, wave, number));
        let said = match judge_change(gate, number, reading, &scene) {
            Some(result) => {
                let said = (result.state != GateState::Passed).then(|| line(&result));
                results.push(result);
                said
            }
            None => Some(last_line(gate, recorded)),
        };
        if let Some(said) = said {
            allowed = false;
            let batch = &planned.id;
            decision.say(&rollout.name, format!("wave {} batch {batch} waits: {said}", wave.name));
        }
    }
    let news = |result: &GateResult| wave.gates.get(&result.gate).is_none_or(|g| g.state != result.state);
    if !results.is_empty() && (allowed || results.iter().any(news)) {
        let event = Event::Gates {
            wave: Arc::clone(&wave.name),
            batch: Some(Arc::clone(&planned.id)),
            gates: results,
        };
        decision.record(ledger_file(&rollout.name), event);
    }
    allowed
}

//! From a rollout of the plan to its frozen projection.

use std::collections::BTreeMap;

use super::RenderInput;
use super::faults::Faults;
use super::grammar::Grammar;
use super::wire::{FORMAT_VERSION, FrozenAsset, FrozenBatch, FrozenRollout, FrozenWave, Patchset, RolloutHead};
use crate::history::{FrozenImage, WaveState};
use crate::load::wire::{ComponentKind, WaveSpec};
use crate::plan::{Batch, BatchAsset, Wave};

/// The frozen projection of the rollout, every name in it checked.
pub(super) fn freeze(input: &RenderInput<'_>, faults: &mut Faults) -> FrozenRollout {
    let rollout = input.rollout;
    let subject = format!("rollout {}", rollout.name);
    let mut name = |field: &str, value: &str| faults.value(Grammar::Name, field, value, &subject, None);
    let head = RolloutHead {
        name: name("name", &rollout.name),
        policy: name("policy", &rollout.policy),
        strategy: name("strategy", &rollout.strategy),
        lane: rollout.lane,
        revision: rollout.revision,
        cut: rollout.cut,
        expedited: rollout.expedited,
        restarts: rollout.restarts,
        reproducible: rollout.reproducible,
        installability_unknown: rollout.installability_unknown,
        advisories: rollout.advisories.iter().map(ToString::to_string).collect(),
        forensics: forensics(input),
    };
    check_targets(input, faults);
    let windows = windows(input);
    let waves = rollout
        .waves
        .iter()
        .filter_map(|wave| freeze_wave(input, wave, &windows, faults))
        .collect();
    FrozenRollout {
        format_version: FORMAT_VERSION.into(),
        rollout: head,
        patchset: Patchset {
            digest: super::patchset_digest(&rollout.targets).to_string(),
            targets: rollout.targets.clone(),
        },
        windows,
        waves,
    }
}

/// Those of the plan and those that were frozen: a patched asset has no finding any more, but its triage was asked for.
fn forensics(input: &RenderInput<'_>) -> Vec<String> {
    let earlier = input.frozen.iter().flat_map(|f| f.rollout.forensics.iter().cloned());
    let now = input.rollout.forensics.iter().map(ToString::to_string);
    let names: std::collections::BTreeSet<String> = earlier.chain(now).collect();
    names.into_iter().collect()
}

/// The specification of every window a batch runs in. `outside` and windows no longer written have none.
fn windows(input: &RenderInput<'_>) -> BTreeMap<String, serde_json::Value> {
    let batches = input.rollout.waves.iter().flat_map(|w| &w.batches);
    let names = batches.flat_map(|b| b.window.name.split('+'));
    names
        .filter_map(|name| {
            let written = input
                .catalog
                .windows
                .get(name)
                .and_then(|w| serde_json::to_value(&w.spec).ok());
            let frozen = || input.frozen.and_then(|f| f.windows.get(name)).cloned();
            Some((name.to_owned(), written.or_else(frozen)?))
        })
        .collect()
}

fn check_targets(input: &RenderInput<'_>, faults: &mut Faults) {
    for target in &input.rollout.targets {
        let subject = format!("target {}", target.name);
        let grammar = match target.kind() {
            Some(ComponentKind::Image) => Grammar::Repository,
            _ => Grammar::Package(target.scheme),
        };
        faults.value(grammar, "package", &target.name, &subject, None);
        faults.value(
            Grammar::Version(target.scheme),
            "version",
            &target.version,
            &subject,
            None,
        );
        faults.value(Grammar::Os, "osId", &target.os_id, &subject, None);
        faults.value(Grammar::Os, "osMajor", &target.os_major, &subject, None);
        if !target.arch.is_empty() {
            faults.value(Grammar::Arch, "arch", &target.arch, &subject, None);
        }
        if let Some(module) = &target.module {
            faults.value(Grammar::Module, "module", module, &subject, None);
        }
    }
}

fn freeze_wave(
    input: &RenderInput<'_>,
    wave: &Wave,
    windows: &BTreeMap<String, serde_json::Value>,
    faults: &mut Faults,
) -> Option<FrozenWave> {
    let subject = format!("wave {}", wave.name);
    let name = faults.value(Grammar::Name, "name", &wave.name, &subject, None);
    let earlier = input.frozen.and_then(|f| f.waves.iter().find(|w| w.name == *wave.name));
    if let Some(merged) = earlier.filter(|_| !matches!(wave.state, WaveState::Pending | WaveState::Proposed)) {
        return Some(as_merged(input, merged, windows));
    }
    let strategy = input.catalog.strategies.get(&input.rollout.strategy);
    let spec = strategy.and_then(|s| s.spec.waves.iter().find(|w| w.name == *wave.name));
    let Some(rules) = spec.map(Rules::of).or_else(|| earlier.map(Rules::frozen)) else {
        let message = format!(
            "strategy `{}` has no such wave any more, so its approvals and limits are unknown; restore it or close the rollout",
            input.rollout.strategy
        );
        faults.push(subject, message, None);
        return None;
    };
    Some(FrozenWave {
        name,
        number: wave.number,
        needs: wave.needs.iter().map(ToString::to_string).collect(),
        soak_seconds: wave.soak_seconds,
        approval: rules.approval,
        promote_at: rules.promote_at,
        max_failures: rules.max_failures,
        on_failure: rules.on_failure,
        gates: rules.gates,
        // What held at the cut: a deadline that moved since then moves neither openings nor this file.
        deadline: earlier.map_or(wave.deadline, |w| w.deadline),
        windows: BTreeMap::new(),
        batches: wave.batches.iter().map(|batch| freeze_batch(batch, faults)).collect(),
    })
}

/// A wave that was merged stays word for word what was approved, whatever the strategy and its windows say since.
fn as_merged(
    input: &RenderInput<'_>,
    merged: &FrozenWave,
    windows: &BTreeMap<String, serde_json::Value>,
) -> FrozenWave {
    let names = merged.batches.iter().flat_map(|batch| batch.window.split('+'));
    let had = |name: &str| input.frozen.and_then(|rollout| rollout.window(merged, name));
    let others = names
        .filter_map(|name| Some((name, had(name)?)))
        .filter(|(name, had)| windows.get(*name) != Some(had));
    FrozenWave {
        windows: others.map(|(name, had)| (name.to_owned(), had.clone())).collect(),
        ..merged.clone()
    }
}

/// What the strategy says of a wave and `plan.json` keeps.
struct Rules {
    approval: crate::load::wire::Approval,
    promote_at: crate::load::wire::PromoteAt,
    max_failures: crate::name::Amount,
    on_failure: crate::load::wire::OnFailure,
    gates: Vec<crate::load::wire::Gate>,
}

impl Rules {
    fn of(spec: &WaveSpec) -> Self {
        let WaveSpec {
            approval,
            promote_at,
            max_failures,
            on_failure,
            gates,
            ..
        } = spec.clone();
        Self {
            approval,
            promote_at,
            max_failures,
            on_failure,
            gates,
        }
    }

    fn frozen(wave: &FrozenWave) -> Self {
        let FrozenWave {
            approval,
            promote_at,
            max_failures,
            on_failure,
            gates,
            ..
        } = wave.clone();
        Self {
            approval,
            promote_at,
            max_failures,
            on_failure,
            gates,
        }
    }
}

fn freeze_batch(batch: &Batch, faults: &mut Faults) -> FrozenBatch {
    let subject = format!("batch {}", batch.id);
    for window in batch.window.name.split('+') {
        faults.value(Grammar::Name, "window", window, &subject, None);
    }
    FrozenBatch {
        id: faults.value(Grammar::Batch, "id", &batch.id, &subject, None),
        window: batch.window.name.to_string(),
        assets: batch.assets.iter().map(freeze_asset).collect(),
    }
}

fn freeze_asset(asset: &BatchAsset) -> FrozenAsset {
    FrozenAsset {
        name: asset.name.to_string(),
        class: asset.class.to_string(),
        target: asset.target.to_string(),
        tools: asset.tools.iter().map(ToString::to_string).collect(),
        image: asset.image.as_ref().map(|image| FrozenImage {
            name: image.name.to_string(),
            from: image.from.to_string(),
            id: image.id.to_string(),
        }),
        targets: asset.targets.to_vec(),
        before: asset.before.iter().map(ToString::to_string).collect(),
        rollback: asset.rollback,
    }
}

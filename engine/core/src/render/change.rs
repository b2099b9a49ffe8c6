//! The change record of a wave, as text fields: what, why, who, risk, test evidence, the way back.
//!
//! No instant is in it: when batches start stands in `openings.json`, which moves while the wave waits for its approval.

use serde_json::{Value, json};

use super::WaveView;
use super::wire::{FrozenRollout, FrozenWave};
use crate::load::wire::{Lane, OnFailure};

/// The fields of a record, named as ServiceNow's table `change_request` names them (Table API, `POST
/// /api/now/table/change_request`); `correlation_id` is how a `change` gate finds it again.
pub(super) fn record(frozen: &FrozenRollout, wave: &FrozenWave, view: &WaveView) -> Value {
    let rollout = &frozen.rollout;
    let assets: Vec<&str> = wave
        .batches
        .iter()
        .flat_map(|batch| &batch.assets)
        .map(|asset| asset.name.as_str())
        .collect();
    let kind = match rollout.lane {
        Lane::Emergency => "emergency",
        Lane::Routine => "normal",
    };
    json!({
        "correlation_id": format!("{}/{}", rollout.name, wave.name),
        "correlation_display": "patchwave",
        "type": kind,
        "category": "Software",
        "short_description": format!("{}: wave {} ({} assets)", rollout.name, wave.name, assets.len()),
        "description": format!(
            "Policy {}, patch set {}, revision {}. Assets: {}.",
            rollout.policy, frozen.patchset.digest, rollout.revision, assets.join(", ")
        ),
        "justification": format!("Fixes {}.", or(&rollout.advisories, "what the policy asks for")),
        "implementation_plan": implementation(wave, view),
        "risk_impact_analysis": format!(
            "More than {} failures stop the wave ({}). Batches keep the budgets of their classes and services.",
            wave.max_failures,
            match wave.on_failure {
                OnFailure::Halt => "it halts",
                OnFailure::Rollback => "it asks to be taken back",
            }
        ),
        "backout_plan": backout(wave),
        "test_plan": match wave.needs.as_slice() {
            [] => "This is the first wave; nothing has been tested before it.".to_owned(),
            needs => format!("The same versions have passed wave {} before this one starts.", needs.join(", ")),
        },
    })
}

fn or(words: &[String], none: &str) -> String {
    if words.is_empty() {
        none.to_owned()
    } else {
        words.join(", ")
    }
}

fn implementation(wave: &FrozenWave, view: &WaveView) -> String {
    let tools: std::collections::BTreeSet<&str> = view
        .batches
        .iter()
        .flat_map(|batch| batch.assets.keys())
        .map(String::as_str)
        .collect();
    let batches = wave.batches.iter().map(|batch| {
        let assets: Vec<&str> = batch.assets.iter().map(|asset| asset.name.as_str()).collect();
        format!("Batch {} in window {}: {}.", batch.id, batch.window, assets.join(", "))
    });
    format!(
        "Executed by {} from the merged files of the wave, each batch with a permit inside an opening of openings.json. {}",
        tools.into_iter().collect::<Vec<_>>().join(", "),
        batches.collect::<Vec<_>>().join(" ")
    )
}

/// What the way back of each asset is worth.
fn backout(wave: &FrozenWave) -> String {
    let assets = || wave.batches.iter().flat_map(|batch| &batch.assets);
    let kinds = [
        ("exact", "to the earlier versions"),
        ("snapshot", "to the snapshot, data written since is lost"),
        ("none", "no way back, repair forward"),
    ];
    let told = kinds.iter().filter_map(|(kind, says)| {
        let names: Vec<&str> = assets()
            .filter(|a| a.rollback.as_str() == *kind)
            .map(|a| a.name.as_str())
            .collect();
        (!names.is_empty()).then(|| format!("{says}: {}", names.join(", ")))
    });
    format!(
        "Below rollback/, only for the batch that failed. {}.",
        told.collect::<Vec<_>>().join("; ")
    )
}

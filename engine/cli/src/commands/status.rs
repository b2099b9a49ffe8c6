//! `status`, `halt`, `resume`: running, half done, next, how to stop, whom to call — on one screen.

use std::collections::BTreeMap;

use jiff::Timestamp;
use patchwave_core::decide::decide;
use patchwave_core::history::{BatchProgress, GateProgress, Said, WaveState, WayBack};
use patchwave_runner::forge::ProjectForge;
use patchwave_runner::people;
use serde_json::{Value, json};

use super::{Context, Look, said};
use crate::args::TextJson;
use crate::exit::{Exit, Failure};

/// Shows where every open rollout is.
pub fn run(context: &Context, format: TextJson) -> Result<Exit, Failure> {
    let look = context.look()?;
    let decision = look
        .survey
        .decide(&look.repository, &look.observed, context.now, decide)
        .map_err(said)?;
    match format {
        TextJson::Json => context.output.json(&document(&look, &decision.remarks))?,
        TextJson::Text => context.output.text(&text(&look, &decision.remarks))?,
    }
    Ok(context.exit(&look.observed, &look.survey.assessment))
}

fn document(look: &Look, remarks: &[patchwave_core::decide::Remark]) -> Value {
    let rollouts = look.survey.history.open.iter().map(|rollout| {
        let policy = look.repository.catalog.policies.get(&rollout.policy);
        let waves = rollout.waves.iter().map(|wave| {
            let batches = wave.batches.iter().map(|batch| {
                json!({
                    "id": batch.id,
                    "assets": batch.assets.keys().collect::<Vec<_>>(),
                    "releasedAt": batch.released_at.map(|t| t.to_string()),
                    "openingEnd": batch.opening_end.map(|t| t.to_string()),
                    "passed": batch.passed,
                    "failed": batch.failed,
                    "notAttempted": batch.not_attempted,
                    "waived": batch.waived.keys().collect::<Vec<_>>(),
                    "readiness": readiness(batch),
                    "reported": reported(batch),
                    "wayBack": batch.way_back.as_ref().map(way_back),
                })
            });
            json!({
                "name": wave.name,
                "state": wave.state,
                "digest": wave.digest,
                "soakingSince": wave.soaking_since.map(|t| t.to_string()),
                "reason": wave.reason,
                "gates": wave.gates.iter().map(gate_document).collect::<Vec<_>>(),
                "batches": batches.collect::<Vec<_>>(),
            })
        });
        json!({
            "name": rollout.name,
            "policy": rollout.policy,
            "lane": rollout.lane,
            "revision": rollout.revision,
            "halted": rollout.halted.as_ref().map(|h| json!({"by": h.by, "at": h.at.to_string(), "reason": h.reason})),
            "waves": waves.collect::<Vec<_>>(),
            "stop": format!("patchwave halt {} --reason …", rollout.name),
            "call": policy.map(|p| &p.spec.roles.responsible),
        })
    });
    json!({
        "fromClone": look.from_clone,
        "rollouts": rollouts.collect::<Vec<_>>(),
        "next": remarks.iter().map(|r| json!({"subject": r.subject, "message": r.message})).collect::<Vec<_>>(),
    })
}

/// How far a batch that goes back has come.
fn way_back(back: &WayBack) -> Value {
    let since = |at: Timestamp| back.released_at.is_some_and(|released| at >= released);
    let reported = back.evidence.iter().filter(|(_, said)| since(said.at));
    json!({
        "assets": back.assets,
        "releasedAt": back.released_at.map(|t| t.to_string()),
        "done": back.done,
        "reported": reported.map(|(asset, said)| (asset.as_ref(), said.outcome.as_ref())).collect::<BTreeMap<_, _>>(),
    })
}

/// How a gate stands by the ledger: `status` asks no monitor.
fn gate_document((number, gate): (&u32, &GateProgress)) -> Value {
    json!({
        "gate": number,
        "asks": gate.asks,
        "state": gate.state,
        "since": gate.since.to_string(),
        "reason": gate.reason,
    })
}

/// What the last check ahead of time said of each asset: no attempt, and it decides nothing.
fn readiness(batch: &BatchProgress) -> BTreeMap<&str, Value> {
    let document = |said: &Said| json!({"outcome": said.outcome, "at": said.at.to_string(), "reason": said.reason});
    batch
        .readiness
        .iter()
        .map(|(asset, said)| (asset.as_ref(), document(said)))
        .collect()
}

/// What executors said of the assets since the release: asset → `done`, `failed` or `not-attempted`. No verdict, but what
/// was tried is not tried again before it was looked at.
fn reported(batch: &BatchProgress) -> BTreeMap<&str, &str> {
    let since = batch
        .evidence
        .iter()
        .filter(|(_, said)| batch.released_at.is_some_and(|released| said.at >= released));
    since
        .map(|(asset, said)| (asset.as_ref(), said.outcome.as_ref()))
        .collect()
}

fn text(look: &Look, remarks: &[patchwave_core::decide::Remark]) -> String {
    let mut out = String::new();
    for rollout in &look.survey.history.open {
        let halted = rollout
            .halted
            .as_ref()
            .map(|h| format!("  HALTED by {}: {}", h.by, h.reason))
            .unwrap_or_default();
        out.push_str(&format!(
            "{} ({}, revision {}){halted}\n",
            rollout.name,
            rollout.lane.as_str(),
            rollout.revision
        ));
        for wave in &rollout.waves {
            let total: usize = wave.batches.iter().map(|b| b.assets.len()).sum();
            let passed: usize = wave.batches.iter().map(|b| b.passed.len()).sum();
            let failed: usize = wave.batches.iter().map(|b| b.failed.len()).sum();
            let progress = match wave.state {
                WaveState::Pending => String::new(),
                _ => format!(", {passed} of {total} passed, {failed} failed"),
            };
            out.push_str(&format!("  {:<12} {}{progress}\n", wave.name, wave.state));
            for gate in wave.gates.values() {
                let why = gate
                    .reason
                    .as_deref()
                    .map_or_else(String::new, |why| format!(": {why}"));
                out.push_str(&format!(
                    "    gate `{}` {} since {}{why}\n",
                    gate.asks, gate.state, gate.since
                ));
            }
            for batch in wave
                .batches
                .iter()
                .filter(|b| b.released_at.is_some() && b.passed.len() < b.assets.len())
            {
                let names: Vec<&str> = batch.disrupted().map(|a| a.as_ref()).take(8).collect();
                let until = batch.opening_end.map(|e| format!(" until {e}")).unwrap_or_default();
                out.push_str(&format!(
                    "    batch {} released{until}: not done: {}\n",
                    batch.id,
                    names.join(", ")
                ));
            }
        }
        let call = look
            .repository
            .catalog
            .policies
            .get(&rollout.policy)
            .map(|p| p.spec.roles.responsible.join(", "))
            .filter(|c| !c.is_empty())
            .unwrap_or_else(|| "roles.responsible of the policy is empty".into());
        out.push_str(&format!(
            "  stop it: patchwave halt {} --reason …   call: {call}\n",
            rollout.name
        ));
    }
    if out.is_empty() {
        out.push_str("no rollout is open\n");
    }
    for remark in remarks {
        out.push_str(&format!("next: {}: {}\n", remark.subject, remark.message));
    }
    out
}

/// Stops a rollout before its next asset. Of the estate it needs the Project only, which says where the forge is.
pub fn halt(context: &Context, rollout: &str, reason: &str, by: &str) -> Result<Exit, Failure> {
    let repository = context.load_project()?;
    let forge = match context.forge_if_any(&repository)? {
        // What a clone knows is for reading; asking for the forge says why it cannot be asked.
        Some(ProjectForge::Cloned(_)) => context.forge(&repository)?,
        Some(forge) => forge,
        None => {
            return Err(Failure::with_help(
                format!("there is no open rollout `{rollout}`"),
                "there is no local forge yet, so nothing was ever proposed",
            ));
        }
    };
    let folder = &repository.catalog.project.paths.rollouts;
    people::halt(&forge, folder, rollout, reason, by, context.now).map_err(said)?;
    context.output.text(&format!(
        "halted {rollout}: nothing of it starts any more; `patchwave resume {rollout}` asks to go on"
    ))?;
    Ok(Exit::Done)
}

/// Asks to go on.
pub fn resume(context: &Context, rollout: &str) -> Result<Exit, Failure> {
    let look = context.look()?;
    let forge = context.forge(&look.repository)?;
    let folder = &look.repository.catalog.project.paths.rollouts;
    let number = people::resume(&look.survey, &forge, folder, rollout, context.now).map_err(said)?;
    let which = number.map_or_else(|| "the open pull request".to_owned(), |n| format!("pull request #{n}"));
    context.output.text(&format!(
        "{which} asks to resume {rollout}; it goes on after its merge with the normal approval"
    ))?;
    Ok(Exit::Done)
}

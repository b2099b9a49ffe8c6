//! Which rollouts there are, as merged or proposed: what of them can be believed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::fold::HistoryFault;
use super::forge::{ForgeView, PullRequestState};
use super::wire::{FrozenRollout, RolloutHead, read_plan_json};
use crate::load::wire::Lane;

/// Every rollout: as its `plan.json` is merged or, before any merge, as it was proposed last. One that a person closed counts
/// as well: 'not now' must be remembered, or the same content would be asked for again under another name. What the ledger
/// has ended is ended all the same.
///
/// Of a rollout that is merged, an open pull request says only what it proposes: the wave its branch is named after, while
/// `approved` knows of no approval of that wave. Requests to resume or to roll back say nothing of the plan.
pub(super) fn frozen_rollouts(
    view: &ForgeView,
    folder: &str,
    approved: &dyn Fn(&str, Option<&str>) -> bool,
    faults: &mut Vec<HistoryFault>,
) -> BTreeMap<Arc<str>, FrozenRollout> {
    let mut found = BTreeMap::new();
    for (path, bytes) in &view.merged_files {
        if let Some(name) = rollout_of(path, folder) {
            match believed(name, bytes, path) {
                Ok(frozen) => drop(found.insert(Arc::from(name), frozen)),
                Err(fault) => faults.push(fault),
            }
        }
    }
    let is_merged: BTreeSet<Arc<str>> = found.keys().cloned().collect();
    let with = |state| view.pull_requests.iter().filter(move |p| p.state == state);
    for pull_request in with(PullRequestState::Closed).chain(with(PullRequestState::Open)) {
        let Some((name, wave)) = proposed_wave(&pull_request.branch) else {
            continue;
        };
        let path = format!("{folder}/{name}/plan.json");
        let Some(bytes) = pull_request.files.get(&path) else {
            continue;
        };
        let place = format!("{path} (pull request {})", pull_request.number);
        // What was approved once and is merged no more was given up: people took its folder away.
        if !is_merged.contains(name) && approved(name, None) {
            continue;
        }
        match (believed(name, bytes, &place), is_merged.contains(name)) {
            (Ok(proposed), false) => drop(found.insert(Arc::from(name), proposed)),
            (Err(fault), false) => faults.push(fault),
            (Ok(proposed), true) if pull_request.state == PullRequestState::Open && !approved(name, Some(wave)) => {
                found
                    .entry(Arc::from(name))
                    .and_modify(|merged| overlay(merged, wave, proposed));
            }
            // Nothing of a merged rollout hangs on what stands in a branch that people broke: it cannot be merged like that.
            (_, true) => {}
        }
    }
    found
}

/// The wave that is proposed, in the plan that is merged. Another patch set is none of this rollout's.
fn overlay(merged: &mut FrozenRollout, wave: &str, proposed: FrozenRollout) {
    let Some(found) = proposed.waves.iter().find(|w| w.name == wave) else {
        return;
    };
    if proposed.patchset != merged.patchset {
        return;
    }
    let mut wave = found.clone();
    let names = found.batches.iter().flat_map(|b| b.window.split('+'));
    for name in names {
        if let Some(specified) = proposed
            .window(found, name)
            .filter(|s| merged.windows.get(name) != Some(s))
        {
            wave.windows.insert(name.to_owned(), specified.clone());
        }
    }
    match merged.waves.iter_mut().find(|w| w.name == wave.name) {
        Some(earlier) => *earlier = wave,
        None => {
            let at = merged.waves.partition_point(|w| w.number < wave.number);
            merged.waves.insert(at, wave);
        }
    }
}

fn believed(name: &str, bytes: &[u8], place: &str) -> Result<FrozenRollout, HistoryFault> {
    let fault = |message| HistoryFault {
        file: place.to_owned(),
        message,
    };
    let frozen = read_plan_json(bytes).map_err(|error| fault(error.to_string()))?;
    match misnamed(name, &frozen.rollout) {
        Some(message) => Err(fault(message)),
        None => Ok(frozen),
    }
}

/// Why a rollout cannot be what its `plan.json` says: its folder is called `<policy>-<date of the cut>[-emergency][-2]`, and
/// policy and lane decide what approves, pauses and schedules it.
fn misnamed(folder: &str, head: &RolloutHead) -> Option<String> {
    let told = folder
        .strip_prefix(&head.policy)
        .and_then(|rest| rest.strip_prefix('-'));
    let emergency = told.and_then(emergency_told);
    let fits = head.name == folder && emergency == Some(head.lane == Lane::Emergency);
    (!fits).then(|| {
        format!(
            "says that it is rollout `{}` of policy `{}` in the {} lane, but its folder is `{folder}`: whose rules hold cannot be told; revert the edit",
            head.name,
            head.policy,
            head.lane.as_str()
        )
    })
}

/// Whether what follows the policy in a folder's name, `<date>[-emergency][-n]`, says that it is of the emergency lane; none
/// where it is no such thing, but the rest of a longer policy's name.
fn emergency_told(rest: &str) -> Option<bool> {
    let (date, rest) = rest.split_at_checked("2026-11-20".len())?;
    date.parse::<jiff::civil::Date>().ok()?;
    let (emergency, rest) = rest
        .strip_prefix("-emergency")
        .map_or((false, rest), |rest| (true, rest));
    let number = rest.strip_prefix('-').map(str::parse::<u32>);
    let fits = rest.is_empty() || number.is_some_and(|n| n.is_ok_and(|n| n > 1));
    fits.then_some(emergency)
}

fn rollout_of<'a>(path: &'a str, folder: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(folder)?.strip_prefix('/')?;
    let (name, file) = rest.split_once('/')?;
    (file == "plan.json").then_some(name)
}

/// The branch suffix of a pull request that asks to resume a halted rollout.
pub const RESUME: &str = "resume";

/// The rollout of an engine branch `patchwave/<rollout>/<wave>`.
pub fn branch_rollout(branch: &str) -> Option<&str> {
    branch
        .strip_prefix("patchwave/")?
        .split_once('/')
        .map(|(rollout, _)| rollout)
}

/// The wave of an engine branch `patchwave/<rollout>/<wave>`.
pub fn branch_wave(branch: &str) -> Option<&str> {
    branch.strip_prefix("patchwave/")?.split_once('/').map(|(_, wave)| wave)
}

/// Rollout and wave of a branch that proposes a wave, and asks neither to resume nor to roll back.
pub fn proposed_wave(branch: &str) -> Option<(&str, &str)> {
    let named = branch_rollout(branch).zip(branch_wave(branch));
    // No wave has a dot or is called as a request to resume is.
    named.filter(|(_, wave)| *wave != RESUME && !wave.contains('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_tells_its_policy_its_date_and_its_lane() {
        for (rest, told) in [
            ("2026-11-20", Some(false)),
            ("2026-11-20-2", Some(false)),
            ("2026-11-20-emergency", Some(true)),
            ("2026-11-20-emergency-3", Some(true)),
            // Of policy `linux` in the folder of policy `linux-security`.
            ("security-2026-11-20", None),
            ("2026-13-20", None),
            ("2026-11-20-1", None),
            ("2026-11-20-emergency-x", None),
            ("2026-11-20emergency", None),
            ("", None),
        ] {
            assert_eq!(emergency_told(rest), told, "{rest}");
        }
    }
}

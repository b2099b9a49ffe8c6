//! Following the forge: opened, merged, edited and closed pull requests become recorded moves of their waves.

use std::sync::Arc;

use jiff::Timestamp;

use super::approve::{approvals_of, approvals_text, needed};
use super::rollback::rollback_merged;
use super::{Decision, World};
use crate::history::{
    Event, FrozenRollout, FrozenWave, OpenRollout, WaveEvent, WaveProgress, WaveState, last_stop, ledger_file,
    openings_digest,
};
use crate::propose::{
    HALT_LABEL, PullRequest, PullRequestState, branch_of, labelled_to_halt, marked_digest, newest, resume_branch,
    resume_branches,
};

/// Records what the forge shows of every open rollout, and merges what is to be merged automatically.
pub fn follow_forge(world: &World<'_>, now: Timestamp, decision: &mut Decision) {
    for rollout in &world.history.open {
        let Some(frozen) = world.history.frozen.get(&rollout.name) else {
            continue;
        };
        if rollout.halted.is_none()
            && let Some(pull_request) = labelled_to_halt(world.view, &rollout.name)
        {
            let number = pull_request.number;
            let reason =
                format!("pull request {number} has the label `{HALT_LABEL}`; take it off before you ask to resume");
            decision.record(ledger_file(&rollout.name), Event::Halt { reason });
            continue;
        }
        if let Some(halted) = &rollout.halted
            && let Some(reason) = edited_behind(world, rollout, frozen)
        {
            if halted.reason != reason {
                decision.say(&rollout.name, reason);
            }
            continue;
        }
        follow_resume(world, rollout, now, decision);
        for (wave, frozen_wave) in rollout.waves.iter().zip(&frozen.waves) {
            let branch = branch_of(&rollout.name, &wave.name);
            if let Some(pull_request) = newest(world.view, &branch) {
                follow(world, rollout, frozen, wave, frozen_wave, pull_request, decision);
            }
        }
    }
    // After what merges did to waves: one that is edited itself says so in its own words.
    if decision.actions.is_empty() {
        for rollout in world.history.open.iter().filter(|r| r.halted.is_none()) {
            let frozen = world.history.frozen.get(&rollout.name);
            if let Some(reason) = frozen.and_then(|frozen| edited_behind(world, rollout, frozen)) {
                decision.record(ledger_file(&rollout.name), Event::Halt { reason });
            }
        }
    }
}

fn follow(
    world: &World<'_>,
    rollout: &OpenRollout,
    frozen: &FrozenRollout,
    wave: &WaveProgress,
    frozen_wave: &FrozenWave,
    pull_request: &PullRequest,
    decision: &mut Decision,
) {
    let file = ledger_file(&rollout.name);
    let marked = marked_digest(&pull_request.body).map(Arc::<str>::from);
    let moved = |moved, digest, approvals, reason| Event::Wave {
        wave: Arc::clone(&wave.name),
        moved,
        digest,
        pull_request: Some(pull_request.number),
        approvals,
        since: None,
        openings: (moved == WaveEvent::Approved)
            .then(|| merged_openings(world, &rollout.name, frozen_wave))
            .flatten(),
        reason,
    };
    match (wave.state, pull_request.state) {
        (WaveState::Pending | WaveState::Proposed, PullRequestState::Open)
            if marked.is_some() && wave.digest != marked =>
        {
            decision.record(file, moved(WaveEvent::Proposed, marked, vec![], None));
        }
        (WaveState::Pending, PullRequestState::Merged) => {
            decision.record(file, moved(WaveEvent::Proposed, marked, vec![], None));
        }
        (WaveState::Proposed, PullRequestState::Merged) => {
            let merged = (world.digest_of_files)(&world.view.merged_files, &rollout.name, &wave.name);
            // An edit of `needs` makes no wave the first: nothing of the rollout was approved before the first one.
            let first = frozen_wave.needs.is_empty() && !rollout.frozen;
            let edited = merged.as_deref() != wave.digest.as_deref();
            if merged.is_none() {
                let why = format!(
                    "wave {}: its merged plan.json does not hold it: nothing runs",
                    wave.name
                );
                decision.say(&rollout.name, why);
                return;
            }
            if edited && pull_request.committers.is_empty() {
                let why = format!(
                    "wave {}: the merged files are not those of pull request {}: somebody edited them on the base branch, \
                     which nobody approved; revert the edit",
                    wave.name, pull_request.number
                );
                decision.say(&rollout.name, why);
                return;
            }
            if edited && !first {
                let reason = "the merged files are not what was proposed: a person edited them, and an earlier wave has \
                              proved something else; nothing of it runs, and a new rollout carries what is left";
                decision.record(
                    file,
                    moved(WaveEvent::Edited, merged.map(Into::into), vec![], Some(reason.into())),
                );
                return;
            }
            let policy = world
                .catalog
                .policies
                .get(frozen.rollout.policy.as_str())
                .map(|p| &p.spec);
            let given = policy
                .map(|policy| approvals_of(pull_request, policy, world.view))
                .unwrap_or_default();
            // What a person wrote is approved by another one, also where the engine's own needs nobody.
            let needed =
                needed(world.catalog, &rollout.policy, &rollout.strategy, frozen_wave).max(usize::from(edited));
            if given.len() < needed {
                let by = pull_request.ended_by.as_deref().unwrap_or("somebody");
                decision.say(
                    &rollout.name,
                    format!(
                        "wave {}: pull request {} was merged by {by} with {}; nothing runs before the rest is there",
                        wave.name,
                        pull_request.number,
                        approvals_text(pull_request, &given, needed, policy, world.view),
                    ),
                );
                return;
            }
            let reason = edited.then(|| "edited by a person before the merge: the edited set is the frozen one".into());
            decision.record(file, moved(WaveEvent::Approved, merged.map(Into::into), given, reason));
        }
        (
            WaveState::Approved | WaveState::Released | WaveState::Running | WaveState::Verifying | WaveState::Soaking,
            PullRequestState::Merged,
        ) if edited_since(world, &rollout.name, wave) => {
            let reason =
                "edited: the merged files are not those that were approved; revert the edit, then ask to resume";
            decision.record(file, moved(WaveEvent::Halted, None, vec![], Some(reason.into())));
        }
        _ => {}
    }
}

/// Whether the merged files of a wave are others than those that were approved.
pub(super) fn edited_since(world: &World<'_>, rollout: &str, wave: &WaveProgress) -> bool {
    let merged = (world.digest_of_files)(&world.view.merged_files, rollout, &wave.name);
    let frozen = world.history.frozen.get(rollout);
    let frozen_wave = frozen.and_then(|f| f.waves.iter().find(|w| *w.name == *wave.name));
    let openings = frozen_wave.and_then(|w| merged_openings(world, rollout, w));
    merged.as_deref() != wave.digest.as_deref()
        || wave
            .openings
            .as_ref()
            .is_some_and(|approved| openings.as_ref() != Some(approved))
}

/// Why the next wave of a rollout may not be proposed, if what a promoted wave proved is not what its merged files say any
/// more: the next one is made from those files, and would carry what nothing has proved.
fn edited_behind(world: &World<'_>, rollout: &OpenRollout, frozen: &FrozenRollout) -> Option<String> {
    let is_promoted = |name: &str| {
        let mut waves = rollout.waves.iter();
        waves.any(|w| w.name.as_ref() == name && w.state == WaveState::Promoted)
    };
    rollout.waves.iter().zip(&frozen.waves).find(|(wave, frozen)| {
        let ahead = matches!(wave.state, WaveState::Pending | WaveState::Proposed);
        ahead && frozen.needs.iter().all(|name| is_promoted(name))
    })?;
    let mut promoted = rollout.waves.iter().filter(|w| w.state == WaveState::Promoted);
    let edited = promoted.find(|wave| {
        let merged = (world.digest_of_files)(&world.view.merged_files, &rollout.name, &wave.name);
        merged.as_deref() != wave.digest.as_deref()
    })?;
    Some(format!(
        "edited: the merged files of wave {} are not those that it proved; revert the edit, then ask to resume",
        edited.name
    ))
}

fn merged_openings(world: &World<'_>, rollout: &str, wave: &FrozenWave) -> Option<Arc<str>> {
    let folder = &world.catalog.project.paths.rollouts;
    openings_digest(&world.view.merged_files, folder, rollout, wave).map(Into::into)
}

fn follow_resume(world: &World<'_>, rollout: &OpenRollout, now: Timestamp, decision: &mut Decision) {
    let stopped = rollout.halted.is_some()
        || rollout
            .waves
            .iter()
            .any(|w| matches!(w.state, WaveState::Halted | WaveState::Failed));
    // A resume answers one stop, and has a branch of its own for it: what was approved for an earlier one resumes nothing new,
    // whatever anybody writes into its text.
    let ledger = world.view.ledger.get(&ledger_file(&rollout.name));
    let Some(answered) = ledger.and_then(|bytes| last_stop(bytes)).filter(|_| stopped) else {
        return;
    };
    let asked = newest(world.view, &resume_branch(&rollout.name, &answered));
    let Some(asked) = asked.filter(|p| p.state == PullRequestState::Merged) else {
        let prefix = resume_branches(&rollout.name);
        let pulls = world.view.pull_requests.iter();
        let mut earlier = pulls.filter(|p| p.state == PullRequestState::Merged && p.branch.starts_with(&prefix));
        if let Some(earlier) = earlier.next_back().filter(|_| asked.is_none()) {
            let said = format!(
                "pull request {} to resume answers an earlier stop than the one that holds now: `patchwave resume {}` asks anew",
                earlier.number, rollout.name
            );
            decision.say(&rollout.name, said);
        }
        return;
    };
    if marked_digest(&asked.body) != Some(answered.as_str()) {
        let said = format!(
            "pull request {} to resume has lost its marker: `patchwave resume {}` writes it again",
            asked.number, rollout.name
        );
        decision.say(&rollout.name, said);
        return;
    }
    if let Some(back) = rollback_merged(world, rollout, now) {
        let said = format!(
            "pull request {} to resume does nothing: pull request {} to roll back the same stop is merged as well",
            asked.number, back.number
        );
        decision.say(&rollout.name, said);
        return;
    }
    let policy = world.catalog.policies.get(&rollout.policy).map(|p| &p.spec);
    let given = policy
        .map(|policy| approvals_of(asked, policy, world.view))
        .unwrap_or_default();
    let frozen = world.history.frozen.get(&rollout.name);
    // The strictest approval of any wave that is not done: resuming needs the normal approval.
    let needed = frozen
        .into_iter()
        .flat_map(|f| f.waves.iter().zip(&rollout.waves))
        .filter(|(_, progress)| progress.state != WaveState::Promoted)
        .map(|(wave, _)| needed(world.catalog, &rollout.policy, &rollout.strategy, wave))
        .max()
        .unwrap_or(1)
        .max(1);
    if given.len() < needed {
        decision.say(
            &rollout.name,
            format!(
                "resume is merged with {}",
                approvals_text(asked, &given, needed, policy, world.view)
            ),
        );
        return;
    }
    decision.record(
        ledger_file(&rollout.name),
        Event::Resume {
            pull_request: Some(asked.number),
            approvals: given,
        },
    );
}

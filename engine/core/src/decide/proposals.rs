//! Proposing: which branches and pull requests there should be for the plan, and which should be closed.

use std::sync::Arc;

use jiff::Timestamp;

use super::approve::needed;
use super::{Action, Decision, ENGINE, World};
use crate::assess::{Judgement, Status, Timeliness, coverage};
use crate::history::{Event, FrozenAsset, OpenRollout, WaveEvent, WaveState, ledger_file, proposed_wave};
use crate::load::wire::{Approval, Lane, Mode, SourceKind};
use crate::observe::Asset;
use crate::plan::{Rollout, Wave};
use crate::propose::{
    ForgeOp, GENESIS, PullRequest, PullRequestState, Subject, branch_of, head, marked_digest, newest, operations,
};

/// Brings pull requests in line with the plan.
pub fn propose(world: &World<'_>, _now: Timestamp, decision: &mut Decision) {
    for rollout in &world.history.open {
        if is_given_up(rollout) {
            let reason = "edited: what was merged of a wave is not what an earlier one has proved; a new rollout carries what \
                          is left";
            close(world, rollout, reason, decision);
        } else if is_obsolete(world, rollout) {
            if let Some(source) = failed_source(world) {
                let why = format!("nothing is left to fix, but source {source} could not be read: it stays open");
                decision.say(&rollout.name, why);
            } else {
                let reason = "obsolete: no open finding is left that this rollout would fix (fixed otherwise, withdrawn, \
                              excepted, or out of scope)";
                close(world, rollout, reason, decision);
            }
        }
    }
    // What is urgent first, also because what a routine rollout brings in time is not asked for again: a run that ended
    // between the two would leave another plan than one that did not.
    let mut rollouts: Vec<&Rollout> = world.plan.rollouts.iter().collect();
    rollouts.sort_by_key(|rollout| rollout.lane != Lane::Emergency);
    for rollout in rollouts {
        let progress = world.history.open.iter().find(|r| r.name == rollout.name);
        if progress.is_some_and(|p| p.halted.is_some() || is_obsolete(world, p)) {
            continue;
        }
        let policy = world.catalog.policies.get(&rollout.policy);
        if policy.is_none_or(|p| p.spec.mode == Mode::Observe) {
            continue;
        }
        for wave in &rollout.waves {
            if is_next(rollout, wave) {
                propose_wave(world, rollout, wave, decision);
            }
        }
        take_back(world, rollout, decision);
    }
}

/// A source that could not be read. What it would have said is unknown, and unknown closes and changes nothing.
pub(super) fn failed_source<'a>(world: &World<'a>) -> Option<&'a Arc<str>> {
    world
        .observation
        .sources
        .iter()
        .find(|s| s.failure.is_some())
        .map(|s| &s.name)
}

/// Whether an asset that is not there is known to be gone: while an inventory cannot be read, or some of its records cannot, it
/// may be among those.
pub(super) fn all_is_read(world: &World<'_>) -> bool {
    let sources = world.observation.sources.iter();
    let mut inventories = sources.filter(|s| s.kind == SourceKind::Inventory);
    inventories.all(|s| s.failure.is_none() && s.account.skipped.is_empty())
}

/// Not merged yet, and every wave it needs is promoted.
fn is_next(rollout: &Rollout, wave: &Wave) -> bool {
    let promoted = |name: &Arc<str>| {
        rollout
            .waves
            .iter()
            .find(|w| w.name == *name)
            .is_none_or(|w| w.state == WaveState::Promoted)
    };
    is_ahead(wave) && wave.needs.iter().all(promoted)
}

/// Closes what was asked for and is not next any more, because a newer revision put a wave before it or took it out: it
/// carries the patch set of then, and a merge would be of something that no wave before it proves.
fn take_back(world: &World<'_>, rollout: &Rollout, decision: &mut Decision) {
    let open = world
        .view
        .pull_requests
        .iter()
        .filter(|p| p.state == PullRequestState::Open);
    let waves = open.filter_map(|p| Some((p, proposed_wave(&p.branch)?)));
    for (pull_request, (_, name)) in waves.filter(|(_, (of, _))| *of == &*rollout.name) {
        let wave = rollout.waves.iter().find(|w| *w.name == *name);
        let reason = match wave {
            Some(wave) if is_next(rollout, wave) || !is_ahead(wave) => continue,
            Some(wave) => format!(
                "not yet: wave {name} comes after {} now, and is asked for again then, with what that has proved",
                wave.needs.join(", ")
            ),
            None => format!("not any more: the plan has no wave {name} in this rollout now"),
        };
        if let Some(source) = failed_source(world) {
            let why = format!(
                "pull request {} stays as it is while source {source} cannot be read",
                pull_request.number
            );
            decision.say(&rollout.name, why);
        } else {
            decision.actions.push(Action::Forge(ForgeOp::ClosePullRequest {
                number: pull_request.number,
                reason,
            }));
        }
    }
}

fn is_ahead(wave: &Wave) -> bool {
    matches!(wave.state, WaveState::Pending | WaveState::Proposed)
}

fn propose_wave(world: &World<'_>, rollout: &Rollout, wave: &Wave, decision: &mut Decision) {
    let files = match (world.render)(rollout, wave) {
        Ok(files) => files,
        Err(faults) => {
            for fault in faults {
                decision.say(&rollout.name, format!("wave {} cannot be rendered: {fault}", wave.name));
            }
            return;
        }
    };
    let branch = branch_of(&rollout.name, &wave.name);
    if let Some(existing) = newest(world.view, &branch) {
        if existing.state == PullRequestState::Merged {
            return;
        }
        let same = marked_digest(&existing.body) == Some(files.digest.as_str());
        if existing.state == PullRequestState::Open && same && carries_merged(world, existing, rollout) {
            if needs_nobody(world, rollout, wave) {
                merge_automatically(world, rollout, wave, &files.digest, existing, decision);
            } else {
                waits_for_people(rollout, wave, existing, decision);
            }
            return;
        }
        if existing.state == PullRequestState::Closed
            && same
            && !may_ask_again(world, rollout, wave, existing, decision)
        {
            return;
        }
        if let Some(source) = failed_source(world).filter(|_| existing.state == PullRequestState::Open) {
            let why = format!(
                "pull request {} stays as it is while source {source} cannot be read",
                existing.number
            );
            decision.say(&rollout.name, why);
            return;
        }
        if existing.state == PullRequestState::Open && !existing.engine_only() {
            stop_at_persons_commit(existing, rollout, decision);
            return;
        }
    }
    let ledger_head = world
        .view
        .ledger
        .get(&ledger_file(&rollout.name))
        .map_or_else(|| GENESIS.to_owned(), |bytes| head(bytes));
    let subject = Subject {
        catalog: world.catalog,
        observation: world.observation,
        assessment: world.assessment,
        rollout,
        wave,
        ledger_head: &ledger_head,
    };
    let folder = &world.catalog.project.paths.rollouts;
    let operations = operations(subject, &files, folder);
    decision.actions.extend(operations.into_iter().map(Action::Forge));
}

/// Whether a wave goes without anybody's approval, as it was proposed and as its strategy says now.
fn needs_nobody(world: &World<'_>, rollout: &Rollout, wave: &Wave) -> bool {
    let frozen = world.history.frozen.get(&rollout.name);
    let frozen = frozen.and_then(|f| f.waves.iter().find(|w| *w.name == *wave.name));
    frozen.is_some_and(|frozen| {
        frozen.approval == Approval::Automatic && needed(world.catalog, &rollout.policy, &rollout.strategy, frozen) == 0
    })
}

/// Merges what needs nobody, if it holds what the engine would propose now, to the last byte that counts: who else can push
/// to the branch can also write a commit in the engine's name.
fn merge_automatically(
    world: &World<'_>,
    rollout: &Rollout,
    wave: &Wave,
    digest: &str,
    existing: &PullRequest,
    decision: &mut Decision,
) {
    let held = (world.digest_of_files)(&existing.files, &rollout.name, &wave.name);
    let recorded = world.history.open.iter().find(|r| r.name == rollout.name);
    let recorded = recorded.and_then(|r| r.waves.iter().find(|w| w.name == wave.name));
    let is_recorded = recorded.is_some_and(|w| w.state == WaveState::Proposed && w.digest.as_deref() == Some(digest));
    let same = held.as_deref() == Some(digest) && existing.engine_only() && existing.author == ENGINE;
    if same && is_recorded {
        decision.actions.push(Action::Forge(ForgeOp::MergePullRequest {
            number: existing.number,
            head: existing.head.clone(),
        }));
    } else if !same {
        let why = format!(
            "wave {}: pull request {} needs nobody, and is not merged: its branch is not as the engine wrote it",
            wave.name, existing.number
        );
        decision.say(&rollout.name, why);
    }
}

/// Whether an open branch still carries what other waves of its rollout have merged since: its folder replaces the
/// rollout's as a whole, so a branch from before would take them away again.
fn carries_merged(world: &World<'_>, open: &PullRequest, rollout: &Rollout) -> bool {
    let folder = format!("{}/{}/waves/", world.catalog.project.paths.rollouts, rollout.name);
    let merged = world.view.merged_files.keys().filter(|path| path.starts_with(&folder));
    merged.into_iter().all(|path| open.files.contains_key(path))
}

fn waits_for_people(rollout: &Rollout, wave: &Wave, pull_request: &PullRequest, decision: &mut Decision) {
    decision.say(
        &rollout.name,
        format!(
            "wave {} waits for the merge of pull request {}",
            wave.name, pull_request.number
        ),
    );
}

/// A person's close means 'not now' for that digest, until the SLA is at risk: then it is asked again, and says so.
fn may_ask_again(
    world: &World<'_>,
    rollout: &Rollout,
    wave: &Wave,
    closed: &PullRequest,
    decision: &mut Decision,
) -> bool {
    if closed.ended_by.as_deref() == Some(ENGINE) {
        return true;
    }
    let by = closed.ended_by.as_deref().unwrap_or("somebody");
    let urgent = wave.batches.iter().flat_map(|b| &b.assets).any(|asset| {
        let index = world.observation.assets.binary_search_by(|a| a.name.cmp(&asset.name));
        index.is_ok_and(|i| {
            world
                .assessment
                .of(world.observation, i)
                .any(|f| f.judgement.timeliness != Timeliness::OnTime)
        })
    });
    let state = if urgent {
        "an SLA is at risk, so it is asked again"
    } else {
        "asked again when an SLA is at risk"
    };
    decision.say(
        &rollout.name,
        format!(
            "wave {}: pull request {} was closed by {by} ('not now'); {state}",
            wave.name, closed.number
        ),
    );
    urgent
}

fn stop_at_persons_commit(pull_request: &PullRequest, rollout: &Rollout, decision: &mut Decision) {
    let marker = "<!-- patchwave person-commit -->";
    let said = pull_request
        .comments
        .iter()
        .any(|c| c.by == ENGINE && c.body.contains(marker));
    decision.say(
        &rollout.name,
        format!(
            "pull request {} carries a person's commit: the engine leaves it alone",
            pull_request.number
        ),
    );
    if !said {
        decision.actions.push(Action::Forge(ForgeOp::PutComment {
            number: pull_request.number,
            marker: marker.into(),
            body: "The plan has changed, but this branch carries a commit that is not the engine's, and such a commit \
                   is never overwritten. Remove it to let the engine update the branch, merge it as it is, or close \
                   this pull request."
                .into(),
        }));
    }
}

/// Nothing is left to do in any wave that is not merged, and no merged wave is still under way.
fn is_obsolete(world: &World<'_>, rollout: &OpenRollout) -> bool {
    let waiting = |s: WaveState| matches!(s, WaveState::Pending | WaveState::Proposed);
    let mut open = rollout.waves.iter().filter(|w| !w.state.is_final());
    let Some(frozen) = world.history.frozen.get(&rollout.name) else {
        return false;
    };
    let waves = frozen.waves.iter().zip(&rollout.waves);
    let mut left = waves.filter(|(_, progress)| waiting(progress.state));
    let is_left = |asset: &FrozenAsset| may_be_left(world, rollout, asset);
    open.all(|w| waiting(w.state)) && !left.any(|(wave, _)| wave.batches.iter().flat_map(|b| &b.assets).any(is_left))
}

/// Whether an asset still lacks something that a rollout would bring, or may for all that is known.
fn may_be_left(world: &World<'_>, rollout: &OpenRollout, asset: &FrozenAsset) -> bool {
    let assets = &world.observation.assets;
    let found = assets.binary_search_by(|a| a.name.as_ref().cmp(&asset.name));
    let Some((index, seen)) = found.ok().and_then(|i| Some((i, assets.get(i)?))) else {
        return !all_is_read(world);
    };
    let targets = asset.targets.iter().filter_map(|t| rollout.targets.get(*t));
    let names: Vec<&str> = targets.map(|t| t.name.as_ref()).collect();
    let mut findings = world.assessment.of(world.observation, index);
    lacks_facts(world, seen)
        || findings.any(|f| is_open(f.judgement) && names.contains(&crate::plan::carrier(f.hit).as_ref()))
}

/// Whether nobody knows what an asset lacks: it may still lack everything. It was never observed, or no feed that was read
/// speaks for its release now; then it has no findings, and that says nothing.
fn lacks_facts(world: &World<'_>, asset: &Asset) -> bool {
    let Some(packages) = asset.facts.packages else {
        return true;
    };
    // What has neither a system nor packages consists of components, which feeds name one by one.
    let of_components = asset.facts.os.is_none() && world.observation.tables.set(packages).is_empty();
    !of_components && coverage(world.observation, asset).0.is_empty()
}

/// Still to be fixed, or not known to be fixed.
fn is_open(judgement: &Judgement) -> bool {
    judgement.is_planned() || judgement.status == Status::Unknown
}

/// One of its waves was edited, and no other is under way or has to be decided on by a person.
fn is_given_up(rollout: &OpenRollout) -> bool {
    use WaveState as S;
    let mut left = rollout.waves.iter().filter(|w| !w.state.is_final());
    let edited = rollout.waves.iter().any(|w| w.state == S::Edited);
    edited && left.all(|w| matches!(w.state, S::Pending | S::Proposed | S::Edited))
}

fn close(world: &World<'_>, rollout: &OpenRollout, reason: &str, decision: &mut Decision) {
    let mut closing = false;
    for wave in rollout.waves.iter().filter(|w| !w.state.is_final()) {
        let branch = branch_of(&rollout.name, &wave.name);
        if let Some(open) = newest(world.view, &branch).filter(|p| p.state == PullRequestState::Open) {
            closing = true;
            decision.actions.push(Action::Forge(ForgeOp::ClosePullRequest {
                number: open.number,
                reason: reason.into(),
            }));
        }
    }
    if closing {
        return;
    }
    for wave in rollout.waves.iter().filter(|w| !w.state.is_final()) {
        let event = Event::Wave {
            wave: Arc::clone(&wave.name),
            moved: WaveEvent::Superseded,
            digest: None,
            pull_request: None,
            approvals: vec![],
            since: None,
            openings: None,
            reason: Some(reason.into()),
        };
        decision.record(ledger_file(&rollout.name), event);
    }
}

//! Proposing: which branches and pull requests there should be for the plan, and which should be closed.

use std::sync::Arc;

use jiff::Timestamp;

use super::{Action, Decision, ENGINE, World};
use crate::assess::{Judgement, Status, Timeliness, coverage};
use crate::history::{Event, OpenRollout, WaveEvent, WaveState, ledger_file, proposed_wave};
use crate::load::wire::{Lane, Mode};
use crate::observe::Asset;
use crate::plan::{Rollout, Wave};
use crate::propose::{
    ForgeOp, GENESIS, PullRequest, PullRequestState, Subject, branch_of, head, marked_digest, newest, operations,
};

/// Brings pull requests in line with the plan.
pub fn propose(world: &World<'_>, _now: Timestamp, decision: &mut Decision) {
    for rollout in &world.history.open {
        if is_obsolete(world, rollout) {
            if let Some(source) = failed_source(world) {
                let why = format!("nothing is left to fix, but source {source} could not be read: it stays open");
                decision.say(&rollout.name, why);
            } else {
                close_obsolete(world, rollout, decision);
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
fn failed_source<'a>(world: &World<'a>) -> Option<&'a Arc<str>> {
    world
        .observation
        .sources
        .iter()
        .find(|s| s.failure.is_some())
        .map(|s| &s.name)
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
            waits_for_people(rollout, wave, existing, decision);
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
    let none_under_way = open.all(|w| waiting(w.state));
    none_under_way
        && !frozen
            .waves
            .iter()
            .zip(&rollout.waves)
            .filter(|(_, p)| waiting(p.state))
            .any(|(wave, _)| {
                wave.batches.iter().flat_map(|b| &b.assets).any(|asset| {
                    let index = world
                        .observation
                        .assets
                        .binary_search_by(|a| a.name.as_ref().cmp(&asset.name));
                    index.is_ok_and(|i| {
                        if world.observation.assets.get(i).is_none_or(|a| lacks_facts(world, a)) {
                            return true;
                        }
                        let names: Vec<&str> = asset
                            .targets
                            .iter()
                            .filter_map(|t| rollout.targets.get(*t))
                            .map(|t| t.name.as_ref())
                            .collect();
                        let mut findings = world.assessment.of(world.observation, i);
                        findings.any(|f| is_open(f.judgement) && names.contains(&crate::plan::carrier(f.hit).as_ref()))
                    })
                })
            })
}

/// Whether nobody knows what an asset lacks: it may still lack everything. It was never observed, or no feed that was read
/// speaks for its release now; then it has no findings, and that says nothing.
fn lacks_facts(world: &World<'_>, asset: &Asset) -> bool {
    let is_covered = || asset.facts.os.is_none() || !coverage(world.observation, asset).0.is_empty();
    asset.facts.packages.is_none() || !is_covered()
}

/// Still to be fixed, or not known to be fixed.
fn is_open(judgement: &Judgement) -> bool {
    judgement.is_planned() || judgement.status == Status::Unknown
}

fn close_obsolete(world: &World<'_>, rollout: &OpenRollout, decision: &mut Decision) {
    let reason = "obsolete: no open finding is left that this rollout would fix (fixed otherwise, withdrawn, excepted, \
                  or out of scope)";
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

//! The dashboard: one issue that lists all that is pending, soaking, paused, refused, and why.
//!
//! It says only what changes with facts: no ages and no slack relative to now, so that a run with nothing new writes
//! nothing.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::Timestamp;

use super::{Action, Decision, World};
use crate::history::heads_line;
use crate::plan::Refusal;
use crate::propose::{ForgeOp, PullRequestState, count};

/// So many refusals of one reason are written out; the rest is counted.
const REFUSALS_SHOWN_MAX: usize = 20;

/// Brings the dashboard in line.
pub fn dashboard(world: &World<'_>, _now: Timestamp, decision: &mut Decision) {
    let body = body(world);
    if world.view.dashboard.as_deref() != Some(body.as_str()) {
        decision.actions.push(Action::Forge(ForgeOp::PutDashboard { body }));
    }
}

fn body(world: &World<'_>) -> String {
    let open = world.history.open.iter().map(|rollout| &*rollout.name);
    let mut out = heads_line(&world.view.ledger, open);
    out.push_str("# patchwave\n\n");
    rollouts(&mut out, world);
    waiting(&mut out, world);
    refusals(&mut out, world);
    out
}

fn rollouts(out: &mut String, world: &World<'_>) {
    if world.plan.rollouts.is_empty() {
        out.push_str("No rollout is open.\n\n");
    }
    for rollout in &world.plan.rollouts {
        let _ = writeln!(
            out,
            "## {}\n\nPolicy {}, lane {}, revision {}, {}.\n",
            rollout.name,
            rollout.policy,
            rollout.lane.as_str(),
            rollout.revision,
            count(rollout.targets.len(), "target"),
        );
        let halted = world
            .history
            .open
            .iter()
            .find(|r| r.name == rollout.name)
            .and_then(|r| r.halted.as_ref());
        if let Some(halted) = halted {
            let _ = writeln!(out, "**Halted** by {} at {}: {}\n", halted.by, halted.at, halted.reason);
        }
        let _ = writeln!(
            out,
            "| wave | state | batches | assets | deadline | pull request |\n| --- | --- | --- | --- | --- | --- |"
        );
        for wave in &rollout.waves {
            let branch = crate::propose::branch_of(&rollout.name, &wave.name);
            let pull_request = crate::propose::newest(world.view, &branch).map_or_else(String::new, |p| {
                let state = match p.state {
                    PullRequestState::Open => "open",
                    PullRequestState::Merged => "merged",
                    PullRequestState::Closed => "closed",
                };
                format!("#{} {state}", p.number)
            });
            let assets: usize = wave.batches.iter().map(|b| b.assets.len()).sum();
            let deadline = wave.deadline.map_or_else(String::new, |d| d.to_string());
            let _ = writeln!(
                out,
                "| {} | {} | {} | {assets} | {deadline} | {pull_request} |",
                wave.name,
                wave.state,
                wave.batches.len(),
            );
        }
        out.push('\n');
    }
}

fn waiting(out: &mut String, world: &World<'_>) {
    if world.plan.waiting.is_empty() {
        return;
    }
    out.push_str("## Waiting for a cut\n\n");
    for waiting in &world.plan.waiting {
        let _ = writeln!(
            out,
            "- {}: {} at {}",
            waiting.policy,
            count(waiting.findings, "finding"),
            waiting.cut
        );
    }
    out.push('\n');
}

/// A refusal as it stands until a fact changes. Where a wave has no place in time, its detail says when it would finish
/// instead, which moves with the clock: that is for `plan` to say.
fn standing(refusal: &Refusal) -> String {
    if !refusal.asset.is_empty() {
        return format!("{}: {}", refusal.asset, refusal.detail);
    }
    let wave = refusal.detail.split_once(": ").filter(|_| {
        let reason = &*refusal.reason;
        reason == "deadline" || reason == "unscheduled"
    });
    let Some((wave, _)) = wave else {
        return refusal.detail.clone();
    };
    let bound = refusal
        .binding
        .map_or_else(String::new, |b| format!(" (bound by {})", b.as_str()));
    format!("{wave}: has no place in time{bound}; `patchwave plan` says what would help")
}

fn refusals(out: &mut String, world: &World<'_>) {
    let mut by_reason: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for refusal in &world.plan.refusals {
        by_reason.entry(&refusal.reason).or_default().push(standing(refusal));
    }
    if by_reason.is_empty() {
        return;
    }
    out.push_str("## Refused\n\n");
    for (reason, lines) in by_reason {
        let _ = writeln!(out, "**{reason}** ({})", lines.len());
        for line in lines.iter().take(REFUSALS_SHOWN_MAX) {
            let _ = writeln!(out, "- {line}");
        }
        if let Some(more) = lines.len().checked_sub(REFUSALS_SHOWN_MAX).filter(|n| *n > 0) {
            let _ = writeln!(out, "- and {more} more");
        }
        out.push('\n');
    }
}

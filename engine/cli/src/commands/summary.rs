//! A run as Markdown, for the summary of a CI job: what was done, what waits for whom and until when, what is halted and
//! why, what is refused, what is late, what comes next.
//!
//! Titles, reasons and names come from people and from feeds: all of it is shown as text and none of it as Markdown.

use patchwave_core::history::{WaveState, branch_rollout, branch_wave};
use patchwave_core::propose::{PullRequest, PullRequestState, count};
use patchwave_core::render::Escape;
use patchwave_runner::repository::Repository;

use super::reconcile::{Ran, action_line, found_line, read_lines};

/// Lines of one list. A summary is read on one page, and forges cut what is longer than a megabyte; `--format json` and
/// the dashboard have everything.
const LINES_MAX: usize = 50;

/// The summary.
pub(super) fn markdown(ran: &Ran) -> String {
    let mut out = String::from("## patchwave reconcile\n");
    let mut read = read_lines(&ran.observed);
    read.push(format!("findings: {}", found_line(&ran.run, &ran.observed)));
    list(&mut out, "Read", read);
    let run = &ran.run;
    if run.done.is_empty() && run.wanted.is_empty() {
        out.push_str("\nNothing to do.\n");
    }
    list(&mut out, "Done", run.done.clone());
    list(&mut out, "Would do first", run.wanted.iter().map(action_line).collect());
    list(&mut out, "Waits", waits(ran));
    list(&mut out, "Halted", halted(ran));
    list(&mut out, "Refused", refusals(ran));
    list(&mut out, "Late", late(ran));
    list(&mut out, "Next openings", openings(ran));
    out
}

fn list(out: &mut String, title: &str, lines: Vec<String>) {
    if lines.is_empty() {
        return;
    }
    out.push_str(&format!("\n### {title}\n\n"));
    let escaped = Escape::Markdown.function();
    for line in lines.iter().take(LINES_MAX) {
        out.push_str(&format!("- {}\n", escaped(line)));
    }
    if let Some(more) = lines.len().checked_sub(LINES_MAX).filter(|more| *more > 0) {
        out.push_str(&format!("- and {more} more\n"));
    }
}

/// Who is called for a rollout: those its policy names.
fn responsible(repository: &Repository, policy: &str) -> String {
    let policy = repository.catalog.policies.get(policy);
    let names = policy.map_or_else(String::new, |p| p.spec.roles.responsible.join(", "));
    if names.is_empty() {
        String::new()
    } else {
        format!(" (responsible: {names})")
    }
}

fn waits(ran: &Ran) -> Vec<String> {
    let view = &ran.run.survey.view;
    let open = view.pull_requests.iter().filter(|p| p.state == PullRequestState::Open);
    let asked = open.map(|p| {
        let whom = if p.reviewers.is_empty() {
            "anyone who may merge".to_owned()
        } else {
            p.reviewers.join(", ")
        };
        let rollout = branch_rollout(&p.branch).unwrap_or(&p.branch);
        let until = until(ran, p);
        format!(
            "{rollout}: pull request #{} waits for {whom}{until}: {}",
            p.number, p.title
        )
    });
    let rollouts = &ran.run.survey.history.open;
    let said = ran.run.remarks.iter().map(|remark| {
        let policy = rollouts.iter().find(|r| r.name == remark.subject).map(|r| &r.policy);
        let policy = policy.unwrap_or(&remark.subject);
        let whom = responsible(&ran.repository, policy);
        format!("{}: {}{whom}", remark.subject, remark.message)
    });
    asked.chain(said).collect()
}

/// Until when a pull request can wait.
fn until(ran: &Ran, pull_request: &PullRequest) -> String {
    let plan = ran.run.survey.plan.rollouts.iter();
    let rollout = plan
        .filter(|r| branch_rollout(&pull_request.branch) == Some(&r.name))
        .flat_map(|r| &r.waves);
    let wave = rollout
        .into_iter()
        .find(|w| branch_wave(&pull_request.branch) == Some(&w.name));
    wave.and_then(|w| w.deadline)
        .map_or_else(String::new, |deadline| format!(" (its wave is due by {deadline})"))
}

/// Rollouts that a person stopped, and waves that stopped by themselves.
fn halted(ran: &Ran) -> Vec<String> {
    let mut lines = Vec::new();
    for rollout in &ran.run.survey.history.open {
        let whom = responsible(&ran.repository, &rollout.policy);
        if let Some(halted) = &rollout.halted {
            lines.push(format!(
                "{name}: halted by {} at {}: {}; patchwave resume {name} asks to go on{whom}",
                halted.by,
                halted.at,
                halted.reason,
                name = rollout.name
            ));
        }
        for wave in &rollout.waves {
            if matches!(
                wave.state,
                WaveState::Failed | WaveState::Halted | WaveState::RollingBack | WaveState::Edited
            ) {
                let why = wave.reason.as_deref().unwrap_or("the ledger gives no reason");
                lines.push(format!(
                    "{} wave {}: {}: {why}{whom}",
                    rollout.name, wave.name, wave.state
                ));
            }
        }
    }
    lines
}

fn refusals(ran: &Ran) -> Vec<String> {
    let refused = ran.run.survey.plan.refusals.iter();
    refused
        .map(|refusal| {
            let asset = if refusal.asset.is_empty() {
                String::new()
            } else {
                format!("{}: ", refusal.asset)
            };
            let fix = refusal.fixes.first().map_or_else(String::new, |fix| format!("; {fix}"));
            format!("{asset}{}: {}{fix}", refusal.reason, refusal.detail)
        })
        .collect()
}

/// Waves that miss their deadline, the latest first.
fn late(ran: &Ran) -> Vec<String> {
    let rollouts = ran.run.survey.plan.rollouts.iter();
    let waves = rollouts.flat_map(|rollout| rollout.waves.iter().map(move |wave| (rollout, wave)));
    let mut late: Vec<_> = waves
        .filter_map(|(rollout, wave)| {
            let slack = wave.slack_seconds.filter(|slack| *slack < 0)?;
            let deadline = wave.deadline.map_or_else(String::new, |at| at.to_string());
            let by = jiff::SignedDuration::from_secs(slack).abs();
            let line = format!(
                "{} wave {}: misses its deadline {deadline} by {by:#}",
                rollout.name, wave.name
            );
            Some((slack, line))
        })
        .collect();
    late.sort();
    late.into_iter().map(|(_, line)| line).collect()
}

/// When batches that are not released yet may start, in order.
fn openings(ran: &Ran) -> Vec<String> {
    let mut next = Vec::new();
    for rollout in &ran.run.survey.plan.rollouts {
        for wave in &rollout.waves {
            for batch in wave.batches.iter().filter(|batch| !batch.released) {
                if let Some(start) = batch.start {
                    let line = format!(
                        "{start}: {} wave {} batch {} in window {} ({})",
                        rollout.name,
                        wave.name,
                        batch.id,
                        batch.window.name,
                        count(batch.assets.len(), "asset")
                    );
                    next.push((start, line));
                }
            }
        }
    }
    next.sort();
    next.into_iter().map(|(_, line)| line).collect()
}

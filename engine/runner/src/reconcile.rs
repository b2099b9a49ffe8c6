//! The loop: look, decide, execute, until nothing is left to do.

use std::collections::BTreeMap;

use jiff::Timestamp;
use patchwave_adapters::forge::{Appended, Applied, Forge};
use patchwave_adapters::monitors;
use patchwave_core::decide::{Action, Decision, ENGINE, Remark, decide_within, gates_wanted};
use patchwave_core::history::Event;
use patchwave_core::propose::{ForgeOp, ForgeView, append, head};
use patchwave_core::verify::{GateKey, GateQuestion, GateReadings};

use crate::RunError;
use crate::repository::Repository;
use crate::sources::Observed;
use crate::survey::{Survey, survey};

/// What a run did and has to say.
#[derive(Debug)]
pub struct Run {
    /// The world as the last look found it.
    pub survey: Survey,
    /// What was done, in order, one line each.
    pub done: Vec<String>,
    /// What holds things back.
    pub remarks: Vec<Remark>,
    /// Actions of the first step that were not executed (dry run).
    pub wanted: Vec<Action>,
    /// Reference updates on the forge.
    pub writes: u64,
}

/// How much of the loop to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Everything.
    Everything,
    /// Only branches, pull requests, and what they need to be remembered.
    Propose,
    /// Only what observations and evidence show, and moves that follow.
    Verify,
    /// Nothing is executed; the first step is returned.
    Nothing,
}

/// Whether monitors may be asked over the network; saved answers are read all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// They may.
    Any,
    /// They may not.
    None,
}

/// A run that is not done after so many steps is stuck: every step of a healthy run records a move or writes a pull
/// request, and the longest chain (propose, merge, approve, release for every wave of many rollouts) stays far below.
const STEPS_MAX: usize = 2000;

/// Runs the loop once.
///
/// # Errors
/// [`RunError`] if the forge or the ledger cannot be read or written, or the independent checker rejects the plan.
pub fn reconcile(
    repository: &Repository,
    observed: &Observed,
    forge: &dyn Forge,
    extent: Extent,
    network: Network,
    now: Timestamp,
) -> Result<Run, RunError> {
    let (mut done, mut refused_before) = (Vec::new(), None);
    let mut looked: Option<Survey> = None;
    let mut readings = GateReadings::new();
    for _ in 0..STEPS_MAX {
        let mut survey = tracing::debug_span!("survey")
            .in_scope(|| survey(repository, observed, Some(forge), looked.take(), now))?;
        tracing::debug_span!("gates")
            .in_scope(|| ask_monitors(repository, observed, &survey, network, &mut readings, now));
        survey.readings.clone_from(&readings);
        let allowed = |action: &Action| within(extent, action);
        let Decision {
            actions: wanted,
            remarks,
        } = tracing::debug_span!("decide").in_scope(|| {
            survey.decide(repository, observed, now, |world, now| {
                decide_within(world, now, &allowed)
            })
        })?;
        if wanted.is_empty() || extent == Extent::Nothing {
            return Ok(Run {
                survey,
                done,
                remarks,
                wanted,
                writes: forge.writes(),
            });
        }
        let outcome = tracing::debug_span!("execute", actions = wanted.len())
            .in_scope(|| execute(forge, &survey.view, &wanted, now))?;
        if outcome.lines.is_empty() {
            // Nothing was written, and nothing changes by looking again at the same world: say so and stop.
            let mut remarks = remarks;
            remarks.extend(outcome.refused.iter().map(|what| Remark {
                subject: "forge".into(),
                message: what.clone(),
            }));
            if refused_before.as_ref() == Some(&outcome.refused) || outcome.refused.is_empty() {
                return Ok(Run {
                    survey,
                    done,
                    remarks,
                    wanted: Vec::new(),
                    writes: forge.writes(),
                });
            }
            refused_before = Some(outcome.refused);
        }
        done.extend(outcome.lines);
        looked = Some(survey);
    }
    Err(RunError::new(
        format!("the run did not come to rest after {STEPS_MAX} steps"),
        "this is a fault of patchwave: please report it with the output of `patchwave reconcile --dry-run -vv`",
    ))
}

/// Asks what gates want to know and was not asked in this run yet: a gate is judged by one answer a run, so that a run
/// comes to rest.
fn ask_monitors(
    repository: &Repository,
    observed: &Observed,
    survey: &Survey,
    network: Network,
    readings: &mut GateReadings,
    now: Timestamp,
) {
    let sources = &repository.catalog.sources;
    let mut wanted = survey.with_world(repository, observed, |world| gates_wanted(world, now));
    wanted.retain(|key, _| !readings.contains_key(key));
    if network == Network::None {
        let is_saved = |question: &GateQuestion| {
            let source = question.source.as_ref().and_then(|name| sources.get(name));
            source.is_some_and(|s| s.spec.path.is_some())
        };
        let (saved, live): (BTreeMap<GateKey, GateQuestion>, BTreeMap<GateKey, GateQuestion>) =
            wanted.into_iter().partition(|(_, question)| is_saved(question));
        let unasked = || Err("it is not asked: `--offline` allows no network".to_owned());
        readings.extend(live.into_keys().map(|key| (key, unasked())));
        wanted = saved;
    }
    if !wanted.is_empty() {
        readings.append(&mut monitors::ask(&repository.root, sources, &wanted));
    }
}

fn within(extent: Extent, action: &Action) -> bool {
    let pull_requests = matches!(
        action,
        Action::Forge(
            ForgeOp::PutBranch { .. }
                | ForgeOp::PutPullRequest { .. }
                | ForgeOp::PutComment { .. }
                | ForgeOp::ClosePullRequest { .. }
        )
    );
    match extent {
        Extent::Everything | Extent::Nothing => true,
        Extent::Propose => match action {
            Action::Record(events) => !events.iter().any(|(_, e)| matches!(e, Event::Released { .. })),
            Action::Forge(_) => pull_requests,
        },
        Extent::Verify => matches!(action, Action::Record(_)),
    }
}

struct Outcome {
    lines: Vec<String>,
    refused: Vec<String>,
}

fn execute(forge: &dyn Forge, view: &ForgeView, actions: &[Action], now: Timestamp) -> Result<Outcome, RunError> {
    let mut outcome = Outcome {
        lines: Vec::new(),
        refused: Vec::new(),
    };
    for action in actions {
        match action {
            Action::Record(events) => {
                record(forge, view, events, ENGINE, now)?;
                outcome
                    .lines
                    .extend(events.iter().filter_map(|(file, event)| recorded_line(file, event)));
                // Later actions were decided on the ledger as it was: look again.
                if outcome.lines.is_empty() {
                    outcome
                        .lines
                        .push("recorded what was seen for the first time".to_owned());
                }
                break;
            }
            Action::Forge(op) => match forge.apply(op, now)? {
                Applied::Done { number, .. } => outcome.lines.push(op_line(op, number)),
                Applied::Unchanged => {}
                Applied::Refused(why) => outcome.refused.push(format!("{}: {why}", op_line(op, None))),
            },
        }
    }
    Ok(outcome)
}

/// Appends events to their ledger files in one commit.
///
/// # Errors
/// [`RunError`] if the ledger was moved by another run (nothing is lost: run again), or cannot be written.
pub fn record(
    forge: &dyn Forge,
    view: &ForgeView,
    events: &[(String, Event)],
    actor: &str,
    now: Timestamp,
) -> Result<(), RunError> {
    match append_events(forge, view, events, actor, now)? {
        Appended::Head { .. } => Ok(()),
        Appended::Conflict { .. } => Err(moved_by_another()),
    }
}

/// Somebody else appended between the look and the append.
pub(crate) fn moved_by_another() -> RunError {
    RunError::new(
        "the ledger was moved by another run while this one was deciding",
        "nothing was lost: run the command again",
    )
}

/// As [`record`], with the conflict left to the caller.
pub(crate) fn append_events(
    forge: &dyn Forge,
    view: &ForgeView,
    events: &[(String, Event)],
    actor: &str,
    now: Timestamp,
) -> Result<Appended, RunError> {
    let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for (file, event) in events {
        let content = files
            .entry(file.clone())
            .or_insert_with(|| view.ledger.get(file).cloned().unwrap_or_default());
        let (name, data) = event.to_parts();
        let line = append(content, now, actor, &name, data)
            .map_err(|e| RunError::new(format!("ledger {file}: {e}"), "run `patchwave audit verify`"))?;
        content.extend_from_slice(&line);
    }
    let mut message = format!("Record {} events\n\n", events.len());
    for (file, content) in &files {
        message.push_str(&format!("Patchwave-Ledger: {file} {}\n", head(content)));
    }
    Ok(forge.append_ledger(view.ledger_head.as_deref(), &files, &message, now)?)
}

fn recorded_line(file: &str, event: &Event) -> Option<String> {
    let rollout = file.trim_end_matches(".ndjson");
    match event {
        Event::Wave {
            wave, moved, reason, ..
        } => {
            let word = serde_json::to_value(moved)
                .ok()
                .and_then(|v| v.as_str().map(str::to_owned))
                .unwrap_or_default();
            let why = reason.as_deref().map(|r| format!(": {r}")).unwrap_or_default();
            Some(format!("{rollout}: wave {wave} {word}{why}"))
        }
        Event::Released {
            wave,
            batch,
            opening_end,
            ..
        } => {
            let until = opening_end.map(|e| format!(" until {e}")).unwrap_or_default();
            Some(format!("{rollout}: released wave {wave} batch {batch}{until}"))
        }
        Event::RollbackStarted { wave, .. } => Some(format!("{rollout}: wave {wave} may be rolled back")),
        Event::RollbackReleased { wave, batch } => Some(format!("{rollout}: wave {wave} batch {batch} may go back")),
        Event::WentBack { wave, batch, seen } => Some(format!(
            "{rollout}: wave {wave} batch {batch} is back: {} assets",
            seen.len()
        )),
        Event::Checked {
            wave,
            batch,
            passed,
            failed,
            not_attempted,
            ..
        } => Some(format!(
            "{rollout}: wave {wave} batch {batch}: {} passed, {} failed, {} not attempted",
            passed.len(),
            failed.len(),
            not_attempted.len()
        )),
        Event::Gates { wave, gates, .. } => {
            let stand: Vec<String> = gates
                .iter()
                .map(|g| {
                    let why = g.reason.as_deref().map_or_else(String::new, |why| format!(" ({why})"));
                    format!("gate `{}` is {}{why}", g.asks, g.state)
                })
                .collect();
            Some(format!("{rollout}: wave {wave}: {}", stand.join("; ")))
        }
        Event::Halt { reason } => Some(format!("{rollout}: halted: {reason}")),
        Event::Resume { .. } => Some(format!("{rollout}: resumed")),
        Event::Cut { policy, instant } => Some(format!("{policy}: the cut of {instant} is done")),
        Event::Seen {
            advisories,
            assets,
            exploited,
        } => Some(format!(
            "seen for the first time: {} assets, {} advisories, {} exploited vulnerabilities",
            assets.len(),
            advisories.len(),
            exploited.len()
        )),
        // Said by the command that records them, or by nobody: the first run is not a news of its own.
        Event::Evidence { .. } | Event::Waived { .. } | Event::Changed(_) | Event::FirstRun {} => None,
    }
}

fn op_line(op: &ForgeOp, number: Option<u64>) -> String {
    let at = |n: Option<u64>| n.map(|n| format!(" #{n}")).unwrap_or_default();
    match op {
        ForgeOp::PutBranch { branch, files, .. } => format!("wrote branch {branch} ({} files)", files.len()),
        ForgeOp::PutPullRequest { title, .. } => format!("opened or updated pull request{}: {title}", at(number)),
        ForgeOp::PutComment { number, .. } => format!("commented on pull request #{number}"),
        ForgeOp::ClosePullRequest { number, reason } => format!("closed pull request #{number}: {reason}"),
        ForgeOp::MergePullRequest { number, .. } => format!("merged pull request #{number} (approval: automatic)"),
        ForgeOp::PutStatus { commit, status } => {
            format!(
                "set the status of {} to: {}",
                commit.get(..12).unwrap_or(commit),
                status.description
            )
        }
        ForgeOp::PutDashboard { .. } => "brought the dashboard in line".to_owned(),
    }
}

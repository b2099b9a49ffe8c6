//! What people ask for: halt, resume, evidence, waivers. Each is one recorded fact or one pull request.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use patchwave_adapters::forge::{Appended, Applied, Forge};
use patchwave_core::canonical::sha256_hex;
use patchwave_core::decide::ENGINE;
use patchwave_core::history::{
    Event, FrozenRollout, History, OpenRollout, RESUME, WaveState, branch_rollout, fold, last_stop, ledger_file,
};
use patchwave_core::propose::{ForgeOp, ForgeView, PullRequestState, marker, resume_branch, resume_path};
use patchwave_core::render::wire::{ResultAction, ResultFile, ResultStatus, read_result, result_facts};

use crate::RunError;
use crate::reconcile::{append_events, moved_by_another};
use crate::survey::{Survey, past};

fn open<'a>(history: &'a History, rollout: &str) -> Result<&'a OpenRollout, RunError> {
    history.open.iter().find(|r| r.name.as_ref() == rollout).ok_or_else(|| {
        let names: Vec<&str> = history.open.iter().map(|r| r.name.as_ref()).collect();
        let help = if names.is_empty() {
            "no rollout is open".into()
        } else {
            format!("open: {}", names.join(", "))
        };
        RunError::new(format!("there is no open rollout `{rollout}`"), help)
    })
}

/// How often a record of people is tried while others append to the ledger. Each try is a fresh look, so what is appended
/// stands on the ledger as it is; a run appends a few times and is through, so five are lost to no ordinary race.
const RECORD_TRIES: usize = 5;

/// Looks and appends until nobody came between. `events` says what there is to record after a look; it is asked again at each,
/// so what others recorded meanwhile is taken into account.
fn record_anew(
    forge: &dyn Forge,
    by: &str,
    now: Timestamp,
    events: impl Fn(&ForgeView) -> Result<Vec<(String, Event)>, RunError>,
) -> Result<usize, RunError> {
    for _ in 0..RECORD_TRIES {
        let view = forge.view()?;
        let events = events(&view)?;
        if events.is_empty() {
            return Ok(0);
        }
        if let Appended::Head { .. } = append_events(forge, &view, &events, by, now)? {
            return Ok(events.len());
        }
    }
    Err(moved_by_another())
}

/// Stops a rollout before its next asset. Needs no review.
///
/// It is the emergency brake, so it needs little: that there is such a rollout, and that its ledger can be appended to. Where
/// the history cannot be told (a branch carries a plan that is none, another ledger is broken) it is halted all the same.
///
/// # Errors
/// [`RunError`] if there is no such open rollout, or the ledger cannot be written.
pub fn halt(
    forge: &dyn Forge,
    rollouts_folder: &str,
    rollout: &str,
    reason: &str,
    by: &str,
    now: Timestamp,
) -> Result<(), RunError> {
    record_anew(forge, by, now, |view| {
        match fold(view, rollouts_folder) {
            Ok(history) => {
                open(&history, rollout)?;
            }
            Err(_) if is_known(view, rollouts_folder, rollout) => {}
            Err(_) => {
                return Err(RunError::new(
                    format!("there is no rollout `{rollout}`: no ledger, no folder and no open pull request of it"),
                    "`patchwave forge list` lists the pull requests; their branches name the rollouts",
                ));
            }
        }
        let event = Event::Halt {
            reason: reason.to_owned(),
        };
        Ok(vec![(ledger_file(rollout), event)])
    })?;
    Ok(())
}

/// Whether anything of a rollout is there: its ledger, its folder on the base branch, or an open pull request.
fn is_known(view: &ForgeView, rollouts_folder: &str, rollout: &str) -> bool {
    let folder = format!("{}/{rollout}/", rollouts_folder.trim_matches('/'));
    let asked = |pull: &patchwave_core::propose::PullRequest| {
        pull.state == PullRequestState::Open && branch_rollout(&pull.branch) == Some(rollout)
    };
    view.ledger.contains_key(&ledger_file(rollout))
        || view.merged_files.keys().any(|path| path.starts_with(&folder))
        || view.pull_requests.iter().any(asked)
}

/// Asks to go on: opens the pull request whose merge, with the normal approvals, resumes the rollout.
///
/// # Errors
/// [`RunError`] if the rollout is not stopped, or the forge cannot be written.
pub fn resume(
    survey: &Survey,
    forge: &dyn Forge,
    rollouts_folder: &str,
    rollout: &str,
    now: Timestamp,
) -> Result<Option<u64>, RunError> {
    let rollout = open(&survey.history, rollout)?;
    let stopped = rollout.halted.is_some()
        || rollout
            .waves
            .iter()
            .any(|w| matches!(w.state, WaveState::Halted | WaveState::Failed));
    let stop = survey
        .view
        .ledger
        .get(&ledger_file(&rollout.name))
        .and_then(|bytes| last_stop(bytes));
    let Some(stop) = stop.filter(|_| stopped) else {
        return Err(RunError::new(
            format!("rollout {} is not halted", rollout.name),
            "there is nothing to resume",
        ));
    };
    let branch = resume_branch(&rollout.name, &stop);
    let path = resume_path(rollouts_folder, &rollout.name, &stop);
    let why = rollout
        .halted
        .as_ref()
        .map_or_else(String::new, |h| format!("{} by {} at {}", h.reason, h.by, h.at));
    let text = format!("formatVersion: \"1.0\"\nrollout: {}\nanswers: {stop}\n", rollout.name);
    let message = format!(
        "{}: resume\n\nPatchwave-Rollout: {}\nPatchwave-Stop: {stop}\n",
        rollout.name, rollout.name
    );
    let put = ForgeOp::PutBranch {
        branch: branch.clone(),
        files: BTreeMap::from([(path, text.into_bytes())]),
        replace_under: vec![],
        message,
    };
    let ask = ForgeOp::PutPullRequest {
        branch,
        title: format!("{}: resume", rollout.name),
        body: format!(
            "Lets rollout **{}** go on after its stop ({why}).\n\nIt needs the normal approval of its waves. What has failed is tried \
             again at its next opening; what has passed is not touched again.\n\n{}\n",
            rollout.name,
            marker(&rollout.name, RESUME, &stop)
        ),
        labels: vec!["patchwave".into(), "resume".into()],
        reviewers: vec![],
    };
    let mut number = None;
    for op in [put, ask] {
        match forge.apply(&op, now)? {
            Applied::Done { number: n, .. } => number = n.or(number),
            Applied::Unchanged => {}
            Applied::Refused(why) => return Err(RunError::new(why.to_string(), "look at the branch, then try again")),
        }
    }
    Ok(number)
}

/// Records result files of an executor: evidence, never a verdict.
///
/// # Errors
/// [`RunError`] naming every file that is not a result of this rollout and wave; then nothing is recorded.
pub fn add_evidence(
    forge: &dyn Forge,
    rollouts_folder: &str,
    (rollout, wave): (&str, &str),
    files: &[(String, Vec<u8>)],
    now: Timestamp,
) -> Result<usize, RunError> {
    record_anew(forge, ENGINE, now, |view| {
        let history = past(view, rollouts_folder)?;
        let open = open(&history, rollout)?;
        let mut events = Vec::new();
        let mut faults = Vec::new();
        for (path, bytes) in files {
            match evidence(open, history.frozen.get(rollout), wave, bytes, now) {
                Ok(Some(event)) => events.push((ledger_file(rollout), event)),
                Ok(None) => {}
                Err(why) => faults.push(format!("{path}: {why}")),
            }
        }
        if faults.is_empty() {
            return Ok(events);
        }
        Err(RunError::new(
            format!("nothing was recorded:\n  {}", faults.join("\n  ")),
            "give result files of this rollout and wave, as the playbooks write them",
        ))
    })
}

/// An executor's clock may be ahead of this machine's or behind it by so much: hosts keep time by NTP to well below a minute, and
/// a result of later than that says something of the future, one of earlier something of before its release.
const CLOCKS_APART: SignedDuration = SignedDuration::from_mins(5);

/// When a result ended (or began, while it has not ended): not before it began, and not in the future.
fn ended(result: &ResultFile, now: Timestamp) -> Result<Timestamp, String> {
    let instant =
        |text: &str| -> Result<Timestamp, String> { text.parse().map_err(|_| format!("`{text}` is no instant")) };
    let began = instant(&result.started_at)?;
    let ended = result.finished_at.as_deref().map_or(Ok(began), instant)?;
    if ended < began {
        return Err(format!(
            "it ended at {ended}, before it began at {began}: one of the clocks is wrong"
        ));
    }
    if ended > now.saturating_add(CLOCKS_APART).unwrap_or(Timestamp::MAX) {
        return Err(format!(
            "it ended at {ended}, and it is {now}: the executor's clock is ahead, so nothing can be told from it"
        ));
    }
    Ok(ended)
}

/// When a result counts as of: never before the release, since what was said before it says nothing of it. A clock that is a
/// little behind is forgiven; what is older would be recorded and not count, and the asset would be touched a second time.
fn since_release(at: Timestamp, released: Option<Timestamp>) -> Result<Timestamp, String> {
    match released {
        Some(released) if at.saturating_add(CLOCKS_APART).unwrap_or(Timestamp::MAX) < released => Err(format!(
            "it ended at {at}, before its batch was released at {released}: the executor's clock is behind, or the result is of \
             an earlier release; look at the machine, set the clock, and move the file out of the folder, then the batch may run"
        )),
        Some(released) => Ok(at.max(released)),
        None => Ok(at),
    }
}

fn evidence(
    open: &OpenRollout,
    frozen: Option<&FrozenRollout>,
    wave: &str,
    bytes: &[u8],
    now: Timestamp,
) -> Result<Option<Event>, String> {
    let result = read_result(bytes).map_err(|e| e.to_string())?;
    if result.rollout != open.name.as_ref() || result.wave != wave {
        return Err(format!("it is of rollout {} wave {}", result.rollout, result.wave));
    }
    let preflight = result.action == ResultAction::Preflight;
    let outcome = match result.status {
        ResultStatus::Ok if preflight => "ready",
        _ if preflight => "not-ready",
        ResultStatus::NotReady => return Err("`not-ready` is said of a preflight only".to_owned()),
        ResultStatus::Ok => "done",
        // Touched and not concluded: with tools whose clients take what is released that is how it is for hours, so it says
        // nothing yet; observations do.
        ResultStatus::Started => "started",
        ResultStatus::Failed => "failed",
        ResultStatus::NotAttempted => "not-attempted",
    };
    let meant = frozen.map(|f| f.patchset.digest.as_str());
    if meant != Some(result.patchset.as_str()) {
        return Err(format!(
            "it is of the patch set {}, and the rollout carries {}",
            result.patchset,
            meant.unwrap_or("none")
        ));
    }
    let at = ended(&result, now)?;
    let batch = open
        .waves
        .iter()
        .filter(|w| w.name.as_ref() == wave)
        .flat_map(|w| &w.batches)
        .find(|b| b.id.as_ref() == result.batch)
        .ok_or_else(|| format!("wave {wave} has no batch {}", result.batch))?;
    if !batch.assets.contains_key(result.asset.as_str()) {
        return Err(format!("asset {} is not in batch {}", result.asset, result.batch));
    }
    let rollback = result.action == ResultAction::Rollback;
    let back = batch.way_back.as_ref();
    if rollback && !back.is_some_and(|b| b.released_at.is_some() && b.assets.contains(result.asset.as_str())) {
        return Err(format!("asset {} was never let go back", result.asset));
    }
    let (heard, released) = if preflight {
        // It is run before anything is released.
        (Some(&batch.readiness), None)
    } else if rollback {
        (back.map(|b| &b.evidence), back.and_then(|b| b.released_at))
    } else {
        (Some(&batch.evidence), batch.released_at)
    };
    let at = since_release(at, released)?;
    let known = heard.and_then(|heard| heard.get(result.asset.as_str()));
    if known.is_some_and(|k| k.at == at && k.outcome.as_ref() == outcome) {
        return Ok(None);
    }
    Ok(Some(Event::Evidence {
        wave: wave.into(),
        batch: result.batch.into(),
        asset: result.asset.into(),
        outcome: outcome.into(),
        at,
        reason: Some(result.reason).filter(|r| !r.is_empty()),
        digest: sha256_hex(bytes).into(),
        facts: result_facts(bytes),
        rollback,
        preflight,
    }))
}

/// Lets a straggler go until an instant; it is counted, never forgotten.
///
/// # Errors
/// [`RunError`] if the asset is not in the wave, or the ledger cannot be written.
pub fn waive(
    forge: &dyn Forge,
    rollouts_folder: &str,
    (rollout, wave, asset): (&str, &str, &str),
    (reason, until, by): (&str, Timestamp, &str),
    now: Timestamp,
) -> Result<(), RunError> {
    record_anew(forge, by, now, |view| {
        let history = past(view, rollouts_folder)?;
        let open = open(&history, rollout)?;
        let wave_progress = open.waves.iter().find(|w| w.name.as_ref() == wave);
        let there = wave_progress.is_some_and(|w| w.batches.iter().any(|b| b.assets.contains_key(asset)));
        if !there {
            return Err(RunError::new(
                format!("asset {asset} is in no batch of wave {wave} of {rollout}"),
                "`patchwave status` lists who is in which batch",
            ));
        }
        let event = Event::Waived {
            wave: wave.into(),
            asset: asset.into(),
            reason: reason.to_owned(),
            until,
        };
        Ok(vec![(ledger_file(rollout), event)])
    })?;
    Ok(())
}

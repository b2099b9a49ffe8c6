//! The executor: it runs what was merged and released, asset by asset, and asks for a permit before each.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use patchwave_core::canonical::sha256_hex;
use patchwave_core::decide::may_run;
use patchwave_core::history::wire::{ResultAction, ResultFile};
use patchwave_core::history::{ResultStatus, branch_rollout, branch_wave};
use patchwave_core::propose::{ForgeView, PullRequestState};
use patchwave_core::version::{Scheme, compare};
use serde_json::Value;

use crate::engine::Look;
use crate::estate::{ROLLOUTS, after};
use crate::faults::Fault;
use crate::history::Estate;
use crate::invariants;
use crate::ledger::{Ledger, Line};

/// That an asset was touched.
#[derive(Clone, Debug)]
pub struct Touch {
    /// The rollout.
    pub rollout: String,
    /// The wave.
    pub wave: String,
    /// The batch.
    pub batch: String,
    /// The asset.
    pub asset: String,
    /// When.
    pub at: Timestamp,
    /// The digest its permit was bound to; none = nobody was asked.
    pub permit: Option<Arc<str>>,
    /// Package and version of each target.
    pub targets: Vec<(String, String)>,
    /// Digest over every target of the rollout.
    pub patchset: String,
    /// Digest over the wave's files.
    pub files: String,
    /// How many lines the rollout's ledger had.
    pub lines: usize,
}

/// A batch somebody may work on.
struct Job {
    rollout: String,
    wave: String,
    batch: String,
    plan: Value,
    files: String,
    /// How often the batch was released so far.
    release: usize,
}

/// `plan.json` of a rollout.
pub fn plan_of(files: &BTreeMap<String, Vec<u8>>, rollout: &str) -> Option<Value> {
    serde_json::from_slice(files.get(&format!("{ROLLOUTS}/{rollout}/plan.json"))?).ok()
}

/// The wave of a plan.
pub fn wave_of<'a>(plan: &'a Value, wave: &str) -> Option<&'a Value> {
    let waves = plan.get("waves")?.as_array()?;
    waves
        .iter()
        .find(|w| w.get("name").and_then(Value::as_str) == Some(wave))
}

/// Batch, asset, and package and version of its targets.
pub type Member = (String, String, Vec<(String, String)>);

/// Everything in a wave.
pub fn assets_of(plan: &Value, wave: &str) -> Vec<Member> {
    let list = |v: Option<&Value>| v.and_then(Value::as_array).cloned().unwrap_or_default();
    let text = |v: &Value, key: &str| v.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let targets = list(plan.get("patchset").and_then(|p| p.get("targets")));
    let mut found = Vec::new();
    for batch in list(wave_of(plan, wave).and_then(|w| w.get("batches"))) {
        for asset in list(batch.get("assets")) {
            let indexes = list(asset.get("targets"));
            let indexes = indexes.iter().filter_map(|i| usize::try_from(i.as_u64()?).ok());
            let own = indexes
                .filter_map(|i| targets.get(i))
                .map(|t| (text(t, "name"), text(t, "version")));
            found.push((text(&batch, "id"), text(&asset, "name"), own.collect()));
        }
    }
    found
}

/// The digest of the patch set as a plan gives it, which playbooks write into their results.
fn carried(plan: &Value) -> String {
    let digest = plan.get("patchset").and_then(|p| p.get("digest"));
    digest.and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Digest over the targets of a plan.
pub fn patchset_of(plan: &Value) -> String {
    let targets = plan.get("patchset").and_then(|p| p.get("targets"));
    sha256_hex(targets.map(Value::to_string).unwrap_or_default().as_bytes())
}

/// Digest over the files of a wave; when it may run is not among what is run.
pub fn files_of(files: &BTreeMap<String, Vec<u8>>, rollout: &str, wave: &str) -> String {
    let (folder, end) = (format!("{ROLLOUTS}/{rollout}/waves/"), format!("-{wave}"));
    let mut text = String::new();
    for (path, bytes) in files {
        let rest = path.strip_prefix(&folder).and_then(|rest| rest.split_once('/'));
        if rest.is_some_and(|(wave, file)| wave.ends_with(&end) && file != "openings.json") {
            text.push_str(&format!("{path} {}\n", sha256_hex(bytes)));
        }
    }
    sha256_hex(text.as_bytes())
}

fn jobs(view: &ForgeView, ledger: &Ledger, fault: Option<Fault>) -> Vec<Job> {
    let mut jobs = Vec::new();
    for (rollout, lines) in ledger {
        let Some(plan) = plan_of(&view.merged_files, rollout) else {
            continue;
        };
        let mut released: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for line in lines.iter().filter(|l| l.event == "released") {
            *released.entry((line.text("wave"), line.text("batch"))).or_default() += 1;
        }
        for ((wave, batch), release) in released {
            jobs.push(Job {
                rollout: rollout.clone(),
                wave: wave.to_owned(),
                batch: batch.to_owned(),
                plan: plan.clone(),
                files: files_of(&view.merged_files, rollout, wave),
                release,
            });
        }
    }
    if fault == Some(Fault::RunUnmerged) {
        for pull in view.pull_requests.iter().filter(|p| p.state == PullRequestState::Open) {
            let (Some(rollout), Some(wave)) = (branch_rollout(&pull.branch), branch_wave(&pull.branch)) else {
                continue;
            };
            let Some(plan) = plan_of(&pull.files, rollout) else {
                continue;
            };
            jobs.push(Job {
                rollout: rollout.to_owned(),
                wave: wave.to_owned(),
                batch: "01".to_owned(),
                files: files_of(&pull.files, rollout, wave),
                plan,
                release: 0,
            });
        }
    }
    jobs
}

/// Works on whatever it may.
pub fn work(estate: &mut Estate, look: &Look, view: &ForgeView, ledger: &Ledger) {
    for job in jobs(view, ledger, estate.fault) {
        // Executors have schedules of their own.
        if estate.mishap(4) {
            continue;
        }
        let none = Vec::new();
        let lines = ledger.get(&job.rollout).unwrap_or(&none);
        for (batch, asset, targets) in assets_of(&job.plan, &job.wave) {
            if batch == job.batch && !estate.mishap(5) {
                work_on(estate, look, view, lines, &job, &asset, targets);
            }
        }
    }
}

fn work_on(
    estate: &mut Estate,
    look: &Look,
    view: &ForgeView,
    lines: &[Line],
    job: &Job,
    asset: &str,
    targets: Vec<(String, String)>,
) {
    let key = (
        job.rollout.clone(),
        job.wave.clone(),
        job.batch.clone(),
        asset.to_owned(),
        job.release,
    );
    if estate.tried.contains(&key) {
        return;
    }
    let now = estate.clock;
    let mut permit = None;
    // What is not merged was never released: release 0.
    if estate.fault != Some(Fault::RunWithoutPermit) && job.release > 0 {
        let place = (job.rollout.as_str(), job.wave.as_str(), job.batch.as_str());
        match look.with_world(|world| may_run(world, place, Some(asset), now)) {
            Ok(given) => permit = Some(given.digest),
            Err(_) => {
                estate.counts.add("permits refused");
                return;
            }
        }
    }
    estate.tried.insert(key);
    // 0 = cannot be reached, 1 and 2 = breaks, 3 = waits for a reboot, 4 = falls silent; anything else goes well.
    let roll = if estate.mishap(3) { estate.dice.roll(5) } else { 5 };
    if roll == 0 {
        estate.counts.add("assets not reached");
        result(estate, job, asset, ResultStatus::NotAttempted);
        return;
    }
    let touch = Touch {
        rollout: job.rollout.clone(),
        wave: job.wave.clone(),
        batch: job.batch.clone(),
        asset: asset.to_owned(),
        at: now,
        permit,
        targets,
        patchset: patchset_of(&job.plan),
        files: job.files.clone(),
        lines: lines.len(),
    };
    invariants::of_touch(estate, view, lines, &touch);
    estate.counts.add("assets touched");
    let status = touch_machine(estate, &touch, roll);
    estate.touches.push(touch);
    // Most executors tell the truth; some say that they are done whatever happened, some say nothing.
    match estate.dice.roll(8) {
        0 => result(estate, job, asset, ResultStatus::Ok),
        1 | 2 => {}
        _ => result(estate, job, asset, status),
    }
}

/// What the touch does to the machine.
fn touch_machine(estate: &mut Estate, touch: &Touch, roll: u64) -> ResultStatus {
    let Some(machine) = estate.machines.get_mut(touch.asset.as_str()) else {
        return ResultStatus::NotAttempted;
    };
    machine.busy_until = Some(after(touch.at, 12));
    if matches!(roll, 1 | 2) {
        machine.broken = true;
        estate.counts.add("assets broken by a patch");
        return ResultStatus::Failed;
    }
    for (package, version) in &touch.targets {
        let installed = machine.state.packages.entry(package.clone()).or_default();
        if compare(Scheme::Rpm, installed, version).is_lt() {
            installed.clone_from(version);
        }
    }
    machine.broken = false;
    machine.state.pending_reboot = roll == 3;
    machine.silent = machine.silent || roll == 4;
    ResultStatus::Ok
}

fn result(estate: &mut Estate, job: &Job, asset: &str, status: ResultStatus) {
    let finished = after(estate.clock, 11);
    let file = ResultFile {
        format_version: "1.1".to_owned(),
        rollout: job.rollout.clone(),
        wave: job.wave.clone(),
        batch: job.batch.clone(),
        asset: asset.to_owned(),
        patchset: carried(&job.plan),
        sums: None,
        action: ResultAction::Patch,
        status,
        stage: "done".to_owned(),
        reason: String::new(),
        started_at: estate.clock.to_string(),
        finished_at: Some(finished.to_string()),
        changed: true,
        rebooted: false,
        pending_reboot: None,
        packages: Vec::new(),
        transaction: Vec::new(),
        protection: None,
        restart_needed: Vec::new(),
    };
    if let Ok(bytes) = serde_json::to_vec(&file) {
        estate
            .results
            .push((job.rollout.clone(), job.wave.clone(), finished, bytes));
    }
}

//! What must never happen. Each invariant looks at what did happen: touches of machines, what the forge shows, the words
//! of the ledger. None of them asks the engine.

use std::collections::{BTreeMap, BTreeSet};

use patchwave_core::history::{audit, branch_rollout};
use patchwave_core::propose::{ForgeView, PullRequest, PullRequestState, branch_of};
use patchwave_core::version::{Scheme, compare};
use serde_json::Value;

use crate::engine::Monitor;
use crate::estate::{
    ASSETS, DOWN_MAX, ROLLOUTS, approvals_needed, frozen, gated, needs, outside_windows, paused, place, policy_of,
    window_open,
};
use crate::executor::{Member, Touch, assets_of, patchset_of, plan_of, wave_of};
use crate::history::Estate;
use crate::ledger::{self, Ledger, Line};
use crate::machines::{Outage, STALE_AFTER, State};
use crate::people::PEOPLE;

type Found = Result<(), String>;

/// Everything that must hold when an asset is touched.
pub fn of_touch(estate: &mut Estate, view: &ForgeView, lines: &[Line], touch: &Touch) {
    let all: [(&'static str, Found); 10] = [
        (
            "runs_only_what_was_merged",
            runs_only_what_was_merged(estate, view, touch),
        ),
        ("runs_only_with_a_permit", runs_only_with_a_permit(lines, touch)),
        ("keeps_to_its_window", keeps_to_its_window(touch)),
        ("keeps_out_of_freezes", keeps_out_of_freezes(estate, touch)),
        ("stops_after_a_halt", stops_after_a_halt(view, lines, touch)),
        ("rests_while_paused", rests_while_paused(estate, touch)),
        ("carries_what_was_proved", carries_what_was_proved(estate, touch)),
        ("keeps_services_up", keeps_services_up(estate, touch)),
        ("runs_once", runs_once(estate, lines, touch)),
        ("one_rollout_at_a_time", one_rollout_at_a_time(estate, touch)),
    ];
    for (name, found) in all {
        if let Err(why) = found {
            let (rollout, wave, batch, asset) = (&touch.rollout, &touch.wave, &touch.batch, &touch.asset);
            let what = format!("{asset} in {rollout}/{wave}/{batch} at {}: {why}", touch.at);
            estate.broken.push((name, what));
        }
    }
}

/// What a run left behind.
pub struct After<'a> {
    /// What the forge showed before it.
    pub before: &'a ForgeView,
    /// What the forge shows now.
    pub view: &'a ForgeView,
    /// The ledger before it.
    pub old: &'a Ledger,
    /// The ledger now.
    pub lines: &'a Ledger,
}

impl After<'_> {
    /// The lines of rollouts that are new.
    fn news(&self) -> impl Iterator<Item = (&str, &[Line], &Line)> {
        self.lines.iter().flat_map(|(rollout, lines)| {
            let known = self.old.get(rollout).map_or(0, Vec::len);
            let news = lines.iter().skip(known);
            news.map(move |line| (rollout.as_str(), lines.as_slice(), line))
        })
    }

    /// The waves that are promoted now, by rollout.
    fn promoted(&self) -> impl Iterator<Item = (&str, &[Line], &Line)> {
        self.news()
            .filter(|(.., l)| l.event == "wave" && l.text("moved") == "promoted")
    }

    /// The plan of a rollout: as it was merged, else as it was asked for.
    fn plan(&self, rollout: &str) -> Option<Value> {
        let pulls = self.view.pull_requests.iter().rev();
        let asked = pulls.filter(|p| branch_rollout(&p.branch) == Some(rollout));
        let mut trees = std::iter::once(&self.view.merged_files).chain(asked.map(|p| &p.files));
        trees.find_map(|files| plan_of(files, rollout))
    }
}

/// Everything that must hold after a run.
pub fn of_run(estate: &mut Estate, after: &After<'_>) {
    let all: [(&'static str, Found); 7] = [
        ("keeps_the_ledger", keeps_the_ledger(after.before, after.view)),
        ("unknown_is_never_done", promotes_what_was_seen(estate, after)),
        ("unknown_is_never_done", closes_what_is_known(estate, after)),
        ("promotes_past_green_gates", promotes_past_green_gates(estate, after)),
        ("goes_on_when_approved", goes_on_when_approved(after)),
        ("runs_once", releases_once(after.lines)),
        ("carries_what_was_proved", proposes_what_was_proved(estate, after)),
    ];
    estate
        .broken
        .extend(all.into_iter().filter_map(|(name, found)| Some((name, found.err()?))));
}

/// What must hold of the ledger even where a run gave up.
pub fn of_ledger(estate: &mut Estate, before: &ForgeView) {
    let found = estate.view().map(|view| keeps_the_ledger(before, &view));
    if let Ok(Err(why)) = found {
        estate.broken.push(("keeps_the_ledger", why));
    }
}

/// How many people have approved what is merged who may: of `sre` and not of `hands` for policy `linux`; neither who wrote it
/// nor who changed it.
fn approvals(pull: &PullRequest, policy: &str) -> usize {
    let may = |by: &str| {
        let known = PEOPLE.iter().find(|(name, ..)| *name == by);
        policy != "linux" || known.is_some_and(|(_, approves, deploys)| *approves && !*deploys)
    };
    let counted = pull
        .approvals
        .iter()
        .filter(|a| a.head == pull.head && a.by != pull.author && !pull.committers.contains(&a.by) && may(&a.by));
    counted.map(|a| &a.by).collect::<BTreeSet<_>>().len()
}

/// The pull request of the wave is merged with the approvals it needs, and its files are those that were approved.
fn runs_only_what_was_merged(estate: &Estate, view: &ForgeView, touch: &Touch) -> Found {
    let branch = branch_of(&touch.rollout, &touch.wave);
    let policy = policy_of(&touch.rollout);
    let needed = approvals_needed(policy, &touch.wave);
    let merged = view
        .pull_requests
        .iter()
        .filter(|p| p.branch == branch && p.state == PullRequestState::Merged);
    if !merged.into_iter().any(|p| approvals(p, policy) >= needed) {
        return Err(format!("no pull request of {branch} is merged with {needed} approvals"));
    }
    let known = estate.approved.get(&(touch.rollout.clone(), touch.wave.clone()));
    match known {
        Some(files) if *files == touch.files => Ok(()),
        Some(_) => Err("the merged files are not those that were approved".into()),
        None => Err("the wave was never approved".into()),
    }
}

/// The executor asked, and what it was given is for the release there is.
fn runs_only_with_a_permit(lines: &[Line], touch: &Touch) -> Found {
    let Some(permit) = &touch.permit else {
        return Err("nobody was asked".into());
    };
    let released = lines
        .iter()
        .rev()
        .find(|l| l.event == "released" && l.is_of(&touch.wave, &touch.batch));
    match released {
        Some(line) if line.text("digest") == permit.as_ref() && line.time <= touch.at => Ok(()),
        Some(line) => Err(format!(
            "the permit is of {permit}, the release of {} at {}",
            line.text("digest"),
            line.time
        )),
        None => Err("there is no release".into()),
    }
}

fn keeps_to_its_window(touch: &Touch) -> Found {
    let open = window_open(&touch.asset, touch.at) || outside_windows(&touch.rollout);
    if open {
        Ok(())
    } else {
        Err("its window is closed".into())
    }
}

fn keeps_out_of_freezes(estate: &Estate, touch: &Touch) -> Found {
    let closed = frozen(estate.in_force, &touch.asset, touch.at);
    if closed { Err("a freeze holds".into()) } else { Ok(()) }
}

fn rests_while_paused(estate: &Estate, touch: &Touch) -> Found {
    let rests = paused(estate.in_force, &touch.rollout, touch.at);
    if rests {
        Err("its policy is paused".into())
    } else {
        Ok(())
    }
}

/// Neither a person's halt (a word or a label) nor a halt or failure of its wave is unanswered.
fn stops_after_a_halt(view: &ForgeView, lines: &[Line], touch: &Touch) -> Found {
    let alive = view
        .pull_requests
        .iter()
        .filter(|p| p.state != PullRequestState::Closed);
    let mut own = alive.filter(|p| branch_rollout(&p.branch) == Some(touch.rollout.as_str()));
    if let Some(pull) = own.find(|p| p.labels.iter().any(|l| l == "halt")) {
        return Err(format!("pull request {} is labelled to halt it", pull.number));
    }
    let mut stopped = None;
    for line in lines {
        match (line.event.as_str(), line.moved(&touch.wave)) {
            ("halt", _) => stopped = Some("a person halted it"),
            (_, Some("halted" | "failed")) => stopped = Some("its wave was halted"),
            ("resume", _) => stopped = None,
            _ => {}
        }
    }
    stopped.map_or(Ok(()), |why| Err(why.into()))
}

/// What goes on again does so because a merged pull request asked for it, with the approvals its waves need.
fn goes_on_when_approved(after: &After<'_>) -> Found {
    for (rollout, lines, line) in after.news().filter(|(.., l)| l.event == "resume") {
        let policy = policy_of(rollout);
        let promoted = |wave: &str| lines.iter().any(|l| l.moved(wave) == Some("promoted"));
        // A rollout has the waves in which something was to be done.
        let plan = after.plan(rollout);
        let waves = ["test", "staging", "critical", "rest"];
        let open = waves
            .into_iter()
            .filter(|wave| plan.as_ref().is_none_or(|plan| wave_of(plan, wave).is_some()) && !promoted(wave));
        let needed = open
            .map(|wave| approvals_needed(policy, wave))
            .max()
            .unwrap_or(1)
            .max(1);
        let prefix = branch_of(rollout, "resume.");
        let asked = |line: &Line| line.data.get("pullRequest").and_then(Value::as_u64);
        // One request lets go on after one stop.
        let times = lines.iter().filter(|l| l.event == "resume" && asked(l) == asked(line));
        let used_before = times.count() > 1;
        let pulls = after.view.pull_requests.iter();
        let mut merged = pulls.filter(|p| p.branch.starts_with(&prefix) && p.state == PullRequestState::Merged);
        let holds = merged.any(|p| Some(p.number) == asked(line) && approvals(p, policy) >= needed);
        if !holds || used_before {
            return Err(format!("{rollout} was resumed without {needed} approvals"));
        }
    }
    Ok(())
}

/// The patch set is that of every touch before, and what is installed was seen in the wave that had to prove it.
fn carries_what_was_proved(estate: &Estate, touch: &Touch) -> Found {
    let own = estate.touches.iter().filter(|t| t.rollout == touch.rollout);
    if let Some(other) = own.clone().find(|t| t.patchset != touch.patchset) {
        return Err(format!("wave {} got another patch set at {}", other.wave, other.at));
    }
    let Some(wave) = needs(policy_of(&touch.rollout), &touch.wave) else {
        return Ok(());
    };
    for (package, version) in &touch.targets {
        let proved = ASSETS
            .iter()
            .filter(|(name, ..)| in_wave(&touch.rollout, name, wave))
            .any(|(name, ..)| {
                let looks = estate.machines.get(name).into_iter().flat_map(|m| &m.looks);
                let mut shown = looks.filter_map(|l| l.state.packages.get(package));
                shown.any(|v| compare(Scheme::Rpm, v, version).is_ge())
            });
        if !proved {
            return Err(format!("{package} {version} was never seen in wave {wave}"));
        }
    }
    Ok(())
}

fn in_wave(rollout: &str, asset: &str, wave: &str) -> bool {
    match (policy_of(rollout), wave, place(asset).0) {
        (_, "test", environment) => environment == "test",
        ("linux", "staging", environment) => environment == "staging",
        _ => false,
    }
}

/// With this asset no more of its service are down than may be: under change, or broken by a change.
fn keeps_services_up(estate: &Estate, touch: &Touch) -> Found {
    let service = place(&touch.asset);
    let down = estate.machines.iter().filter(|(name, machine)| {
        let busy = machine.busy_until.is_some_and(|until| until > touch.at);
        **name != touch.asset && place(name) == service && (busy || machine.broken)
    });
    let down: Vec<&str> = down.map(|(name, _)| *name).collect();
    if down.len() + 1 > DOWN_MAX {
        return Err(format!("{} of {service:?} are down already", down.join(", ")));
    }
    Ok(())
}

/// It was not touched before by this batch unless a person resumed it since, and it has not passed.
fn runs_once(estate: &Estate, lines: &[Line], touch: &Touch) -> Found {
    let resumed = lines.iter().rposition(|l| l.event == "resume").unwrap_or(0);
    let again = estate.touches.iter().find(|t| {
        (&t.rollout, &t.wave, &t.batch, &t.asset) == (&touch.rollout, &touch.wave, &touch.batch, &touch.asset)
            && t.lines > resumed
    });
    if let Some(before) = again {
        return Err(format!("it was touched at {}, and nobody resumed it since", before.at));
    }
    let passed =
        |l: &&Line| l.event == "checked" && l.is_of(&touch.wave, &touch.batch) && l.names("passed", &touch.asset);
    match lines.iter().find(passed) {
        Some(line) => Err(format!("it has passed at {}", line.time)),
        None => Ok(()),
    }
}

/// No other rollout is at work on it.
fn one_rollout_at_a_time(estate: &Estate, touch: &Touch) -> Found {
    let others = estate
        .touches
        .iter()
        .filter(|t| t.asset == touch.asset && t.rollout != touch.rollout);
    let mut newest: BTreeMap<&str, &Touch> = BTreeMap::new();
    for other in others {
        newest.insert(&other.rollout, other);
    }
    let none = Vec::new();
    for (rollout, other) in newest {
        let lines = estate.ledger.get(rollout).unwrap_or(&none);
        let done = lines.iter().any(|l| {
            l.event == "checked" && l.is_of(&other.wave, &other.batch) && l.names("passed", &touch.asset)
                || matches!(l.moved(&other.wave), Some("promoted" | "superseded"))
        });
        if !done {
            return Err(format!(
                "{rollout} has touched it at {} and has not passed it",
                other.at
            ));
        }
    }
    Ok(())
}

/// No line is lost or changed, every chain holds, every move is one of the table.
fn keeps_the_ledger(before: &ForgeView, view: &ForgeView) -> Found {
    let mut faults = ledger::faults(before, view);
    if before.ledger != view.ledger {
        let found = audit(view, ROLLOUTS, &|_, _, _| None, &BTreeMap::new())
            .faults
            .into_iter();
        faults.extend(
            found
                .filter(|f| f.file.starts_with("ledger "))
                .map(|f| format!("{}: {}", f.file, f.message)),
        );
    }
    if faults.is_empty() {
        Ok(())
    } else {
        Err(faults.join("; "))
    }
}

/// Since the last resume no batch was released twice.
fn releases_once(ledger: &Ledger) -> Found {
    for (rollout, lines) in ledger {
        let mut released = BTreeSet::new();
        for line in lines {
            match line.event.as_str() {
                "resume" => released.clear(),
                "released" if !released.insert((line.text("wave"), line.text("batch"))) => {
                    let (wave, batch) = (line.text("wave"), line.text("batch"));
                    return Err(format!("{rollout}/{wave}/{batch} was released again at {}", line.time));
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// Enough assets of a wave that is promoted now were seen, freshly, with their targets.
fn promotes_what_was_seen(estate: &Estate, after: &After<'_>) -> Found {
    for (rollout, lines, line) in after.promoted() {
        let wave = line.text("wave");
        let Some(plan) = plan_of(&after.view.merged_files, rollout) else {
            return Err(format!("{rollout}/{wave} is promoted and not merged"));
        };
        let assets = assets_of(&plan, wave);
        let is_seen = |(_, asset, targets): &&Member| {
            let seen = estate.machines.get(asset.as_str()).and_then(|m| m.looks.last());
            seen.is_some_and(|s| line.time.duration_since(s.at) <= STALE_AFTER && shows(&s.state, targets))
        };
        let (seen, missing): (Vec<_>, Vec<_>) = assets.iter().partition(is_seen);
        let away = missing
            .iter()
            .filter(|(batch, asset, _)| let_go(lines, line, batch, asset));
        let share = match (policy_of(rollout), wave) {
            ("kernel", "rest") => 75,
            _ => 100,
        };
        let needed = ((assets.len() - away.count()) * share).div_ceil(100).max(1);
        if seen.len() < needed {
            let missing: Vec<&str> = missing.iter().map(|(_, asset, _)| asset.as_str()).collect();
            return Err(format!(
                "{rollout}/{wave} was promoted at {} with {} of {needed} assets seen; missing: {}",
                line.time,
                seen.len(),
                missing.join(", ")
            ));
        }
    }
    Ok(())
}

/// What is given up as obsolete is so because everything was seen to be patched, and while the feed could be read.
fn closes_what_is_known(estate: &Estate, after: &After<'_>) -> Found {
    let superseded = |l: &Line| l.event == "wave" && l.text("moved") == "superseded";
    for (rollout, lines, line) in after.news().filter(|(.., l)| superseded(l)) {
        let wave = line.text("wave");
        // One of whose waves people edited ends as a whole; what it had to bring is open again, and another one brings it.
        if line.text("reason").starts_with("edited: ") {
            if !lines.iter().any(|l| l.event == "wave" && l.text("moved") == "edited") {
                return Err(format!("{rollout}/{wave} was given up as edited, and nobody edited it"));
            }
            continue;
        }
        if estate.feed.outage == Outage::Failed {
            return Err(format!(
                "{rollout}/{wave} was given up while the feed could not be read"
            ));
        }
        let assets = after
            .plan(rollout)
            .map(|plan| assets_of(&plan, wave))
            .unwrap_or_default();
        // What a person wrote into a branch is no version that anybody could show.
        for (_, asset, targets) in assets.into_iter().filter(|_| !estate.edited.contains(rollout)) {
            let seen = estate.machines.get(asset.as_str()).and_then(|m| m.looks.last());
            if !seen.is_some_and(|s| shows(&s.state, &targets)) {
                return Err(format!(
                    "{rollout}/{wave} was given up, and {asset} was not seen patched"
                ));
            }
        }
    }
    Ok(())
}

/// What is promoted now past a gate is promoted while the monitor says that all is well.
fn promotes_past_green_gates(estate: &Estate, after: &After<'_>) -> Found {
    for (rollout, _, line) in after.promoted() {
        let wave = line.text("wave");
        if gated(policy_of(rollout), wave) && estate.monitor != Monitor::Green {
            let shown = estate.monitor;
            return Err(format!("{rollout}/{wave} was promoted while the monitor was {shown:?}"));
        }
    }
    Ok(())
}

fn shows(state: &State, targets: &[(String, String)]) -> bool {
    let installed = |package: &str| state.packages.get(package);
    let reached = |(package, version): &(String, String)| {
        installed(package).is_none_or(|v| compare(Scheme::Rpm, v, version).is_ge())
    };
    !state.pending_reboot && targets.iter().all(reached)
}

/// A person let it go for longer, or its executor said that it never began.
fn let_go(lines: &[Line], promoted: &Line, batch: &str, asset: &str) -> bool {
    let wave = promoted.text("wave");
    lines.iter().any(|l| match l.event.as_str() {
        "waived" => {
            let until = l.text("until").parse::<jiff::Timestamp>();
            l.text("wave") == wave && l.text("asset") == asset && until.is_ok_and(|until| until > promoted.time)
        }
        "evidence" => l.is_of(wave, batch) && l.text("asset") == asset && l.text("outcome") == "not-attempted",
        _ => false,
    })
}

/// Once a wave is approved, what the engine proposes for the others carries the same.
fn proposes_what_was_proved(estate: &Estate, after: &After<'_>) -> Found {
    let (view, ledger) = (after.view, after.lines);
    for pull in view
        .pull_requests
        .iter()
        .filter(|p| p.state == PullRequestState::Open && p.engine_only())
    {
        let Some(rollout) = branch_rollout(&pull.branch).filter(|r| !estate.edited.contains(*r)) else {
            continue;
        };
        let lines = ledger.get(rollout);
        let frozen = lines.is_some_and(|l| l.iter().any(|l| l.event == "wave" && l.text("moved") == "approved"));
        let (Some(merged), Some(asked)) = (plan_of(&view.merged_files, rollout), plan_of(&pull.files, rollout)) else {
            continue;
        };
        if frozen && patchset_of(&merged) != patchset_of(&asked) {
            return Err(format!("{} carries something untested", pull.branch));
        }
    }
    Ok(())
}

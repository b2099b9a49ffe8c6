//! Why a rollout was cut, why it carries what it carries, and what places each wave in time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::{Account, AccountPart, Scene, names, step};
use crate::assess::{Finding, Step};
use crate::load::Resource;
use crate::load::wire::{Approval, Gate, Lane, PatchPolicySpec, RolloutStrategySpec, VersionStrategy, WaveSpec};
use crate::plan::{Batch, Rollout, Wave};
use crate::time::DurationSeconds;

/// Explains a rollout of the plan; none if it has none of that name.
pub fn explain_rollout(scene: &Scene<'_>, name: &str) -> Option<Account> {
    let rollout = scene.plan.rollouts.iter().find(|r| *r.name == *name)?;
    let policy = scene.catalog.policies.get(&rollout.policy);
    let strategy = scene.catalog.strategies.get(&rollout.strategy);
    let closed = closed(scene, rollout);
    let mut parts: Vec<AccountPart> = (0..rollout.targets.len())
        .filter_map(|index| target(rollout, index, policy, scene, &closed))
        .collect();
    let waves = rollout.waves.iter();
    parts.extend(waves.map(|w| wave(scene, rollout, w, strategy, &closed)));
    Some(Account {
        subject: format!("rollout {}", rollout.name),
        now: scene.plan.now,
        steps: whole(scene, rollout, policy, strategy),
        parts,
    })
}

fn whole(
    scene: &Scene<'_>,
    rollout: &Rollout,
    policy: Option<&Resource<PatchPolicySpec>>,
    strategy: Option<&Resource<RolloutStrategySpec>>,
) -> Vec<Step> {
    let mut steps = Vec::new();
    let at = |pointer: &str| policy.map_or_else(String::new, |p| scene.catalog.at(p.doc, pointer));
    steps.push(step(
        "policy",
        format!("{} claims its findings", rollout.policy),
        at("/spec/scope"),
    ));
    let open = scene.history.open.iter().find(|o| o.name == rollout.name);
    let cut = match (open, rollout.expedited, rollout.lane) {
        (Some(open), ..) => format!(
            "cut {}; revision {}, restarted {} times; {}",
            rollout.cut,
            rollout.revision,
            rollout.restarts,
            if open.frozen {
                "its first wave is approved, so the set is frozen"
            } else {
                "newcomers may join until its first wave is approved"
            }
        ),
        (None, true, _) => format!(
            "cut {} between cuts: at the next one it would finish too late",
            rollout.cut
        ),
        (None, false, Lane::Emergency) => {
            format!("cut {}: a rule puts its findings into the emergency lane", rollout.cut)
        }
        (None, false, Lane::Routine) if policy.is_some_and(|p| p.spec.cadence.is_some()) => {
            format!("cut at the cadence instant {}", rollout.cut)
        }
        (None, false, Lane::Routine) => format!(
            "cut {}: without a cadence every run cuts what no rollout carries",
            rollout.cut
        ),
    };
    steps.push(step("cut", cut, at("/spec/cadence")));
    let place = strategy.map_or_else(String::new, |s| scene.catalog.at(s.doc, "/spec/waves"));
    let lane = match rollout.lane {
        Lane::Emergency => "emergency lane: its soak and windows count, tests, approvals, budgets and freezes hold",
        Lane::Routine => "routine lane",
    };
    steps.push(step("strategy", format!("{}, {lane}", rollout.strategy), place));
    steps.push(step("patch set", format!("digest {}", rollout.digest), ""));
    if !rollout.reproducible {
        let fact = "not reproducible: `content: none` freezes nothing between the waves, so later waves compare with the transaction observed in the first";
        steps.push(step("content", fact, ""));
    }
    if let Some(halted) = open.and_then(|o| o.halted.as_ref()) {
        steps.push(step("halted", format!("since {}: {}", halted.at, halted.reason), ""));
    }
    let about = scene
        .plan
        .refusals
        .iter()
        .filter(|r| r.detail.contains(rollout.name.as_ref()));
    steps.extend(about.map(|r| step("refused", format!("{}: {}", r.reason, r.detail), "")));
    steps
}

/// What targets close, by wave, target and advisory: of each the cause with the earliest deadline.
type Closed = BTreeMap<(Arc<str>, usize), BTreeMap<Arc<str>, Cause>>;

/// A finding that a target closes.
#[derive(Clone, Debug)]
struct Cause {
    asset: Arc<str>,
    deadline: Option<Timestamp>,
    rule: String,
    fixed: Option<Arc<str>>,
}

impl Cause {
    /// Keeps the one that must be closed first.
    fn or_earlier(&mut self, other: &Self) {
        let earlier = other
            .deadline
            .is_some_and(|d| self.deadline.is_none_or(|known| d < known));
        if earlier {
            *self = other.clone();
        }
    }
}

fn closed(scene: &Scene<'_>, rollout: &Rollout) -> Closed {
    let mut closed = Closed::new();
    let assets = rollout.waves.iter().flat_map(|w| {
        let assets = w.batches.iter().flat_map(|b| &b.assets);
        assets.map(move |a| (&w.name, a))
    });
    for (wave, planned) in assets {
        let found = scene.observation.assets.binary_search_by(|a| a.name.cmp(&planned.name));
        let Ok(index) = found else { continue };
        for finding in scene.assessment.of(scene.observation, index) {
            let same = |t: &&usize| {
                let target = rollout.targets.get(**t);
                target.is_some_and(|target| target.name == finding.hit.package && target.arch == finding.hit.arch)
            };
            let target = planned
                .targets
                .iter()
                .find(same)
                .filter(|_| finding.judgement.is_planned());
            if let Some((target, (advisory, cause))) = target.zip(cause(scene, &finding)) {
                let list = closed.entry((Arc::clone(wave), *target)).or_default();
                list.entry(advisory).or_insert_with(|| cause.clone()).or_earlier(&cause);
            }
        }
    }
    closed
}

fn cause(scene: &Scene<'_>, finding: &Finding<'_>) -> Option<(Arc<str>, Cause)> {
    let advisory = scene.observation.advisories.get(finding.hit.advisory as usize)?;
    let judgement = finding.judgement;
    let rule = match (&judgement.sla, &judgement.rule) {
        (Some(sla), Some(rule)) => format!("{sla}/{rule}"),
        _ => "no rule".to_owned(),
    };
    let cause = Cause {
        asset: Arc::clone(&finding.asset.name),
        deadline: judgement.deadline,
        rule,
        fixed: finding.hit.fixed.clone(),
    };
    Some((Arc::clone(&advisory.id), cause))
}

fn target(
    rollout: &Rollout,
    index: usize,
    policy: Option<&Resource<PatchPolicySpec>>,
    scene: &Scene<'_>,
    closed: &Closed,
) -> Option<AccountPart> {
    let target = rollout.targets.get(index)?;
    let mut steps = Vec::new();
    let place = policy.map_or_else(String::new, |p| scene.catalog.at(p.doc, "/spec/strategy"));
    let choice = match policy.map(|p| p.spec.strategy) {
        Some(VersionStrategy::Latest) => "`latest`: the newest approved version",
        _ => "`minimal`: the lowest version that fixes all approved findings of the package",
    };
    steps.push(step("version", format!("{}, by {choice}", target.version), place));
    let mut causes: BTreeMap<&Arc<str>, Cause> = BTreeMap::new();
    for (advisory, cause) in closed
        .iter()
        .filter(|((_, target), _)| *target == index)
        .flat_map(|(_, list)| list)
    {
        causes
            .entry(advisory)
            .or_insert_with(|| cause.clone())
            .or_earlier(cause);
    }
    for (advisory, cause) in causes.iter().take(super::NAMES_MAX) {
        let fixed = cause.fixed.as_deref().unwrap_or("no version");
        let deadline = cause
            .deadline
            .map_or("no deadline".into(), |d| format!("due {d} by {}", cause.rule));
        steps.push(step(
            "closes",
            format!("{advisory}, fixed in {fixed}, {deadline} ({})", cause.asset),
            "",
        ));
    }
    let more = causes.len().saturating_sub(super::NAMES_MAX);
    if more > 0 {
        steps.push(step("closes", format!("and {more} more advisories"), ""));
    }
    let takes = |wave: &Wave| {
        let assets = wave.batches.iter().flat_map(|b| &b.assets);
        assets.filter(|a| a.targets.contains(&index)).count()
    };
    let counts: Vec<String> = rollout
        .waves
        .iter()
        .map(|w| format!("{} in {}", takes(w), w.name))
        .collect();
    steps.push(step(
        "assets",
        format!("every asset in scope that lacks it: {}", counts.join(", ")),
        "",
    ));
    Some(AccountPart {
        title: format!(
            "target {} on {} {} {}",
            target.name, target.os_id, target.os_major, target.arch
        ),
        steps,
    })
}

fn wave(
    scene: &Scene<'_>,
    rollout: &Rollout,
    wave: &Wave,
    strategy: Option<&Resource<RolloutStrategySpec>>,
    closed: &Closed,
) -> AccountPart {
    let index = (wave.number as usize).saturating_sub(1);
    let spec = strategy
        .and_then(|s| s.spec.waves.get(index))
        .filter(|w| *w.name == *wave.name);
    let at = |field: &str| {
        let pointer = format!("/spec/waves/{index}{field}");
        strategy.map_or_else(String::new, |s| scene.catalog.at(s.doc, &pointer))
    };
    let mut steps = vec![step("state", wave.state.as_str(), "")];
    if let Some(spec) = spec {
        let who = format!("assets of the environments {}", spec.environments.join(", "));
        steps.push(step("members", who, at("/environments")));
    }
    let needs = if wave.needs.is_empty() {
        "needs no wave that has assets".to_owned()
    } else {
        format!("starts when {} is promoted", names(&wave.needs))
    };
    steps.push(step("needs", needs, at("/needs")));
    if let Some(spec) = spec {
        let sizes: Vec<String> = spec.batches.iter().map(ToString::to_string).collect();
        let planned: Vec<String> = wave.batches.iter().map(|b| b.assets.len().to_string()).collect();
        let fact = format!("sizes {} give {}", sizes.join(", "), planned.join(" + "));
        steps.push(step("batches", fact, at("/batches")));
    }
    steps.extend(
        wave.batches
            .iter()
            .map(|b| step("batch", batch(scene, b), place_of_window(scene, b))),
    );
    let soak = DurationSeconds(wave.soak_seconds);
    steps.push(step("soak", format!("{soak} after its last batch"), at("/soak")));
    if let Some(spec) = spec {
        steps.extend(
            conditions(spec, wave)
                .into_iter()
                .map(|(what, fact, field)| step(what, fact, at(field))),
        );
    }
    steps.extend(gates_shown(scene, rollout, wave));
    steps.extend(timing(wave, closed));
    if wave.estimate_assumed {
        let place = strategy.map_or_else(String::new, |s| scene.catalog.at(s.doc, "/spec"));
        steps.push(step(
            "estimate",
            "durations are assumed: the strategy has no `estimate`",
            place,
        ));
    }
    AccountPart {
        title: format!("wave {} of {}", wave.name, rollout.name),
        steps,
    }
}

fn conditions(spec: &WaveSpec, wave: &Wave) -> Vec<(&'static str, String, &'static str)> {
    let mut facts = Vec::new();
    facts.extend(spec.gates.iter().map(|g| ("gate", gate(g), "/gates")));
    let approval = match (&spec.approval, wave.extra_approval) {
        (Approval::Automatic, _) => "automatic: the engine merges its own pull request".to_owned(),
        (Approval::PullRequest { reviewers }, false) => format!("{reviewers} by `roles.approvers`"),
        (Approval::PullRequest { reviewers }, true) => {
            format!(
                "{} by `roles.approvers`, one of them because nothing has proved it",
                reviewers + 1
            )
        }
    };
    facts.push(("approval", approval, "/approval"));
    let promote = format!(
        "promoted at {} patched, at least {}",
        spec.promote_at.patched, spec.promote_at.min
    );
    facts.push(("promotion", promote, "/promoteAt"));
    facts
}

/// What monitors showed, by the ledger.
fn gates_shown(scene: &Scene<'_>, rollout: &Rollout, wave: &Wave) -> Vec<Step> {
    let open = scene.history.open.iter().find(|o| o.name == rollout.name);
    let progress = open.and_then(|o| o.waves.iter().find(|w| w.name == wave.name));
    let gates = progress.into_iter().flat_map(|p| p.gates.values());
    let shown = gates.map(|gate| {
        let why = gate
            .reason
            .as_deref()
            .map_or_else(String::new, |why| format!(": {why}"));
        let fact = format!("`{}` is {} since {}{why}", gate.asks, gate.state, gate.since);
        step("gate shown", fact, "")
    });
    shown.collect()
}

fn gate(gate: &Gate) -> String {
    let asked = [&gate.promql, &gate.status, &gate.http, &gate.result, &gate.change];
    let asked: Vec<&str> = asked.into_iter().flatten().map(String::as_str).collect();
    let held = gate.hold.map_or_else(String::new, |d| format!(" for {d}"));
    let is = gate.is.as_deref().map_or_else(String::new, |is| format!(" {is}"));
    format!("{}{is}{held}", asked.join(" "))
}

fn batch(scene: &Scene<'_>, batch: &Batch) -> String {
    let who: Vec<&str> = batch.assets.iter().map(|a| a.name.as_ref()).collect();
    let who = names(&who);
    let (Some(start), Some(finish)) = (batch.start, batch.finish) else {
        let why = batch
            .blocked
            .map_or_else(String::new, |b| format!(", held by: {}", b.as_str()));
        return format!("{} has no place in time{why}: {who}", batch.id);
    };
    let edge = |at: Option<Timestamp>| at.map_or_else(|| "no limit".to_owned(), |at| at.to_string());
    let opening = format!("opening {} to {}", edge(batch.window.start), edge(batch.window.end));
    let long = DurationSeconds(batch.duration_seconds);
    let over = if batch.overruns {
        ", longer than any opening"
    } else {
        ""
    };
    let now = if start <= scene.plan.now { " (at once)" } else { "" };
    format!(
        "{} {start}{now} to {finish}, {long}{over}, in the {opening} of {}: {who}",
        batch.id, batch.window.name
    )
}

fn place_of_window(scene: &Scene<'_>, batch: &Batch) -> String {
    let windows = batch
        .window
        .name
        .split('+')
        .filter_map(|name| scene.catalog.windows.get(name));
    let places: BTreeSet<String> = windows.map(|w| scene.catalog.at(w.doc, "/spec/schedules")).collect();
    places.into_iter().collect::<Vec<_>>().join(", ")
}

fn timing(wave: &Wave, closed: &Closed) -> Vec<Step> {
    let mut steps = Vec::new();
    if let Some(deadline) = wave.deadline {
        let own = closed
            .iter()
            .filter(|((name, _), _)| *name == wave.name)
            .flat_map(|(_, list)| list);
        let cause = own
            .filter(|(_, c)| c.deadline == Some(deadline))
            .min_by_key(|(advisory, _)| *advisory);
        let from = cause.map_or_else(String::new, |(advisory, c)| {
            format!(", from {advisory} on {} by {}", c.asset, c.rule)
        });
        let slack = match wave.slack_seconds {
            None => ", without a finish".to_owned(),
            Some(slack) if slack < 0 => format!(", missed by {}", DurationSeconds(-slack)),
            Some(slack) => format!(", slack {}", DurationSeconds(slack)),
        };
        steps.push(step("deadline", format!("{deadline}{from}{slack}"), ""));
    }
    if let Some(binding) = wave.binding {
        steps.push(step("binds", binding.as_str(), ""));
    }
    steps.extend(wave.fixes.iter().map(|fix| step("would help", fix.as_str(), "")));
    steps
}

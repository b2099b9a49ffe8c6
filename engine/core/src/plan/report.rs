//! What the plan says of the estate besides its rollouts: policies that only look, production without a twin, assets that
//! are away, overrides in force and unreviewed, objectives that are missed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::carry::place;
use super::context::{Context, Said};
use super::graph::WaveGraph;
use super::membership::membership;
use crate::assess::{Judgement, Status, Timeliness, Unplanned};
use crate::load::Resource;
use crate::load::wire::{Mode, OverrideSpec, OverrideSubject, PatchPolicySpec, Untested, WaveSpec};
use crate::name::Rounding;
use crate::observe::Asset;
use crate::time::{Boundary, DurationSeconds};

/// Says it all.
pub(super) fn say(ctx: &Context<'_>, said: &mut Said) {
    for policy in ctx.catalog.policies.values() {
        match policy.spec.mode {
            Mode::Observe => observed_only(ctx, policy, said),
            Mode::Propose | Mode::Enforce => {
                kept_back(ctx, policy, said);
                twins(ctx, policy, said);
            }
        }
        objective(ctx, policy, said);
    }
    away(ctx, said);
    overrides(ctx, said);
    unknown_hosts(ctx, said);
}

/// How many findings a policy would carry if it did more than look.
fn observed_only(ctx: &Context<'_>, policy: &Resource<PatchPolicySpec>, said: &mut Said) {
    let only = |j: &Judgement| {
        j.unplanned == Some(Unplanned::ObserveOnly) && j.is_open() && j.policy.as_deref() == Some(&policy.name)
    };
    let counted: Vec<bool> = ctx.assessment.judgements.iter().map(only).collect();
    if !counted.contains(&true) {
        return;
    }
    let rows = (0..ctx.observation.assets.len()).flat_map(|index| ctx.assessment.rows(index));
    let count = rows
        .filter(|row| counted.get(row.judgement as usize) == Some(&true))
        .count();
    if count > 0 {
        said.note(
            &policy.name,
            format!("{count} finding(s) are only reported: `mode: observe`"),
        );
    }
}

/// How many findings of a policy are held, or wait until a person asks for them: nothing of them is in a rollout.
fn kept_back(ctx: &Context<'_>, policy: &Resource<PatchPolicySpec>, said: &mut Said) {
    for (status, words) in [
        (Status::Held, "are held by `holds`"),
        (
            Status::AwaitingApproval,
            "wait until a person asks for them (`release.manual`)",
        ),
    ] {
        let kept = |j: &Judgement| j.status == status && j.policy.as_deref() == Some(&policy.name);
        let counted: Vec<bool> = ctx.assessment.judgements.iter().map(kept).collect();
        if !counted.contains(&true) {
            continue;
        }
        let late: Vec<bool> = (ctx.assessment.judgements.iter())
            .map(|j| j.timeliness == Timeliness::Breached)
            .collect();
        let rows = || {
            (0..ctx.observation.assets.len())
                .flat_map(|index| ctx.assessment.rows(index))
                .filter(|row| counted.get(row.judgement as usize) == Some(&true))
        };
        let breached = rows()
            .filter(|row| late.get(row.judgement as usize) == Some(&true))
            .count();
        let past = if breached > 0 {
            format!(", {breached} of them past their deadline")
        } else {
            String::new()
        };
        said.note(&policy.name, format!("{} finding(s) {words}{past}", rows().count()));
    }
}

/// What assets of one class share that decides who can prove something for them: release, architecture, likeness labels.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Likeness<'a> {
    os: (&'a str, &'a str),
    arch: &'a str,
    labels: Vec<Option<&'a str>>,
}

/// Wave, likeness, class.
type Group<'a> = (usize, Likeness<'a>, &'a Arc<str>);

/// Groups in waves that need others, and no asset like them in any of those: what they take can never be tested before.
fn twins(ctx: &Context<'_>, policy: &Resource<PatchPolicySpec>, said: &mut Said) {
    let requires = &policy.spec.requires;
    let Some(strategy) = ctx.catalog.strategies.get(policy.spec.rollout.as_str()) else {
        return;
    };
    if !requires.tested {
        return;
    }
    let waves = &strategy.spec.waves;
    let mut groups: BTreeMap<Group<'_>, (usize, &Arc<str>)> = BTreeMap::new();
    let mut wave_of_class: BTreeMap<&Arc<str>, Option<usize>> = BTreeMap::new();
    let selects = waves.iter().any(|w| w.selector.is_some());
    for index in ctx.in_scope(&policy.name) {
        let (Some(asset), Some(class)) = (ctx.asset(*index), ctx.class(*index)) else {
            continue;
        };
        let find = || membership(ctx, waves, *index).ok();
        // Without selectors the class decides, so that most assets cost a look-up.
        let wave = if selects {
            find()
        } else {
            *wave_of_class.entry(&class.name).or_insert_with(find)
        };
        let (Some(wave), Some(os)) = (wave, asset.facts.os.as_ref()) else {
            continue;
        };
        let like = Likeness {
            os: (&os.id, os.major()),
            arch: &os.arch,
            labels: requires.likeness.iter().map(|key| asset.label(key)).collect(),
        };
        groups.entry((wave, like, &class.name)).or_insert((0, &asset.name)).0 += 1;
    }
    let graph = WaveGraph::new(waves);
    let there: BTreeSet<(usize, &Likeness<'_>)> = groups.keys().map(|(wave, like, _)| (*wave, like)).collect();
    for ((wave, like, class), (count, first)) in &groups {
        let ancestors = graph.ancestors.get(*wave).cloned().unwrap_or_default();
        if ancestors.is_empty() || ancestors.iter().any(|a| there.contains(&(*a, like))) {
            continue;
        }
        let names: Vec<&str> = ancestors
            .iter()
            .filter_map(|a| waves.get(*a))
            .map(|w: &WaveSpec| w.name.as_str())
            .collect();
        let labels = requires.likeness.iter().zip(&like.labels);
        let labels: Vec<String> = labels
            .map(|(key, value)| format!(", {key}={}", value.unwrap_or("(none)")))
            .collect();
        let what = match requires.untested {
            Untested::Refuse => "what no other proves is refused as untested",
            Untested::Canary => "one of them goes first, alone",
            Untested::ExtraApproval => "their wave needs one more approval",
        };
        let at = place(ctx, policy, "/spec/requires");
        let message = format!(
            "{count} asset(s) ({} {} {}{}; first {first}) have no twin in wave {}: {what} ({at})",
            like.os.0,
            like.os.1,
            like.arch,
            labels.concat(),
            names.join(" or "),
        );
        said.note(class, message);
    }
}

/// Whether the objective of a policy is met: assets in scope, fresh, covered and with nothing past its deadline.
fn objective(ctx: &Context<'_>, policy: &Resource<PatchPolicySpec>, said: &mut Said) {
    let Some(wanted) = policy.spec.objectives.compliance else {
        return;
    };
    let scope = ctx.in_scope(&policy.name);
    let mine = |j: &Judgement| j.policy.as_deref() == Some(&policy.name);
    let spoils = |j: &Judgement| {
        let recorded = matches!(
            j.status,
            Status::Mitigated | Status::Unpatchable | Status::Excepted | Status::Unknown
        );
        mine(j) && (recorded || (j.timeliness == Timeliness::Breached && j.status > Status::Unknown))
    };
    let spoils: Vec<bool> = ctx.assessment.judgements.iter().map(spoils).collect();
    let is_compliant = |index: &&u32| {
        let known = ctx.assessment.asset_status(ctx.observation, **index as usize) != Some(Status::Unknown);
        let mut rows = ctx.assessment.rows(**index as usize).iter();
        known && !rows.any(|row| spoils.get(row.judgement as usize) == Some(&true))
    };
    let compliant = scope.iter().filter(is_compliant).count();
    if compliant < wanted.of(scope.len(), Rounding::Up) {
        let at = place(ctx, policy, "/spec/objectives/compliance");
        let message = format!(
            "objective missed: {compliant} of {} assets are compliant, {wanted} are wanted ({at}); the others are unknown, or \
             have a finding that is past its deadline or only accepted on record",
            scope.len()
        );
        said.note(&policy.name, message);
    }
}

/// How long is allowed, who is away within that, and who for longer.
type Away<'a> = (DurationSeconds, Vec<&'a Asset>, Vec<&'a Asset>);

/// Assets whose class lets them be away, and those that are away longer than that.
fn away(ctx: &Context<'_>, said: &mut Said) {
    let mut by_class: BTreeMap<&Arc<str>, Away<'_>> = BTreeMap::new();
    if !ctx.catalog.classes.values().any(|c| c.spec.absence.is_some()) {
        return;
    }
    for (index, asset) in (0_u32..).zip(&ctx.observation.assets).filter(|(_, a)| a.stale) {
        let class = ctx.class(index);
        let allowed = class.and_then(|c| Some((c, c.spec.absence.as_ref()?.allowed?)));
        let (Some((class, allowed)), Some(seen)) = (allowed, asset.observed_at) else {
            continue;
        };
        let (_, within, beyond) = by_class.entry(&class.name).or_insert((allowed, Vec::new(), Vec::new()));
        let long = ctx.now.duration_since(seen).as_secs() > allowed.seconds();
        if long { beyond.push(asset) } else { within.push(asset) }
    }
    for (class, (allowed, within, beyond)) in by_class {
        if let Some(first) = within.first() {
            let count = within.len();
            let message = format!(
                "{count} asset(s) are away, which is allowed for {allowed} (first {}): planned from their last facts, and \
                 no wave waits for them",
                first.name
            );
            said.note(class, message);
        }
        for asset in beyond {
            let seen = asset.observed_at.map_or_else(String::new, |at| at.to_string());
            said.note(
                &asset.name,
                format!("away since {seen}, longer than the {allowed} that class {class} allows"),
            );
        }
    }
}

/// What overrides lift, for how many assets, and which still wait for their review.
fn overrides(ctx: &Context<'_>, said: &mut Said) {
    let zone = &ctx.catalog.zone.0;
    for resource in ctx.catalog.overrides.values() {
        let spec = &resource.spec;
        let begun = spec
            .from
            .is_none_or(|from| from.resolve(Boundary::Start, zone) <= ctx.now);
        let until = spec.until.resolve(Boundary::End, zone);
        let review = spec.review_by.map(|at| at.resolve(Boundary::End, zone));
        if !begun || (until <= ctx.now && review.is_none()) {
            continue;
        }
        let count = (0_u32..).zip(&ctx.observation.assets);
        let count = count
            .filter(|(i, _)| ctx.matches(*i, spec.selector.as_ref(), spec.when.as_deref(), false))
            .count();
        said.note(&resource.name, override_words(spec, until, review, count, ctx.now));
    }
}

fn override_words(
    spec: &OverrideSpec,
    until: Timestamp,
    review: Option<Timestamp>,
    count: usize,
    now: Timestamp,
) -> String {
    let named = |name: &Option<String>, all: &str| name.clone().unwrap_or_else(|| all.to_owned());
    let what = match spec.what {
        OverrideSubject::Freeze => format!("freeze {}", named(&spec.freeze, "of any name")),
        OverrideSubject::Window => format!("window {}", named(&spec.window, "of any name")),
        OverrideSubject::Limit => format!("limits of {}", named(&spec.policy, "every policy")),
    };
    let ticket = spec.ticket.as_ref().map_or_else(String::new, |t| format!(", {t}"));
    let mut words = match until > now {
        true => format!(
            "override by {}{ticket}: lifts {what} for {count} asset(s) until {}",
            spec.by, spec.until
        ),
        false => format!("override by {}{ticket} lifted {what} until {}", spec.by, spec.until),
    };
    if let Some(at) = review {
        let by = spec.review_by.map_or_else(String::new, |by| by.to_string());
        words += &match at > now {
            true => format!("; to be reviewed by {by}: remove it then"),
            false => format!("; its review was due by {by} and is overdue: review it, then remove it"),
        };
    }
    words
}

/// Hosts that nobody knows order nothing.
fn unknown_hosts(ctx: &Context<'_>, said: &mut Said) {
    for asset in ctx.catalog.fleets.values().flat_map(|f| &f.spec.assets) {
        let host = asset.runs_on.as_deref().filter(|host| ctx.asset_index(host).is_none());
        if let Some(host) = host {
            let message = format!("runs on {host}, which no fleet lists or reports: nothing orders it after its host");
            said.note(&asset.name.as_str().into(), message);
        }
    }
}

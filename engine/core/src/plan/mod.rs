//! Which rollouts there are, and for each: waves, batches, openings, slack, refusals.
//!
//! ```text
//! findings ─► cut ─► targets ─► who lacks them ─► waves ─► refusals ─► order ─► batches in openings
//! ```
//! [`plan()`](plan()) is a pure function of what it is given, now included: the same input gives the same plan, whatever the order
//! of the input. [`lint()`](lint()) checks any plan without sharing code with what made it.

mod able;
mod batches;
mod binding;
mod budget;
mod calendar;
mod candidates;
mod carry;
mod closed;
mod compare;
mod compatible;
mod compose;
mod context;
mod cut;
mod cutting;
mod debian_kernel;
mod digest;
mod display;
mod edit;
mod elsewhere;
mod explain;
mod feasible;
mod gpu_family;
mod graph;
mod graph_display;
mod graph_svg;
mod json;
mod levers;
mod limits;
mod lint;
mod matching;
mod membership;
mod nouns;
mod openings;
mod prepare;
mod ready;
mod remarks;
mod report;
mod reversible;
mod room;
mod schedule;
mod screen;
pub(crate) mod service_finder;
mod shared;
mod skew;
mod slots;
mod standing;
mod steps;
mod targets;
mod tested;
mod trial;

pub use closed::{closed_by, freezes_of};
pub use compare::*;
pub(crate) use debian_kernel::carrier;
pub use digest::patchset_digest;
pub use display::{markdown, text};
pub use edit::Edit;
pub use explain::*;
pub use graph_display::{Graph, GraphEdge, GraphNode, dot, graph, graph_json, mermaid};
pub use graph_svg::svg;
pub use json::{PLAN_FORMAT, Summary, json, summary, write_json};
pub use lint::{Fault, lint};
pub use nouns::*;
pub use openings::{BatchTimes, openings_of};
pub use room::no_room;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use self::budget::{Bookings, Budgets};
use self::calendar::Calendars;
use self::context::{Context, Said};
use self::prepare::Prepared;
use self::schedule::schedule;
use self::trial::{Placed, Situation};
use crate::assess::{Assessment, Judgement, Row, Status, Unplanned};
use crate::history::History;
use crate::load::Catalog;
use crate::load::wire::{Content, Lane, Mode};
use crate::observe::Observation;

/// Everything that is to be done, as of `now`.
///
/// Open rollouts keep what they froze and get new times; policies whose time has come cut new ones; what cannot be done
/// stands in `refusals`, what is not yet due in `waiting`. Rollouts are placed one after the other, emergency before
/// routine, open before new, then by name: disruption budgets and the lock on an asset hold across all of them.
pub fn plan(
    catalog: &Catalog,
    observation: &Observation,
    assessment: &Assessment,
    history: &History,
    now: Timestamp,
) -> Plan {
    let ctx = Context::new(catalog, observation, assessment, history, now);
    planned(&ctx, true)
}

/// As [`plan`], but what is late is not asked why, nor what would help: for who plans very often and reads only what is to
/// be done when. That search takes most of the time where something is late.
pub fn plan_unexplained(
    catalog: &Catalog,
    observation: &Observation,
    assessment: &Assessment,
    history: &History,
    now: Timestamp,
) -> Plan {
    let ctx = Context::new(catalog, observation, assessment, history, now);
    planned(&ctx, false)
}

fn planned(ctx: &Context<'_>, is_explained: bool) -> Plan {
    let Placing {
        calendars,
        budgets,
        mut said,
        composition,
        start,
        bookings,
        marks,
        mut waves,
    } = Placing::new(ctx);
    if is_explained && waves.iter().flatten().any(binding::is_missed) {
        let situation = Situation {
            ctx,
            calendars: &calendars,
            budgets: &budgets,
            running: &start,
            prepared: &composition.prepared,
            placed: &waves,
            is_timed: is_timed(ctx, &composition),
        };
        let explained = binding::explain(&situation, &bookings, &marks);
        said.refusals.extend(explained.refusals);
        for (rollout, wave, miss) in explained.waves {
            let wave = waves.get_mut(rollout).and_then(|w| w.get_mut(wave));
            wave.into_iter().for_each(|w| {
                w.binding = miss.binding;
                w.fixes = miss.fixes.clone();
                w.edits = miss.edits.clone();
            });
        }
    }
    remarks::remark(ctx, &mut said, &composition.prepared, &waves);
    let mut rollouts = Vec::new();
    for (prepared, waves) in composition.prepared.iter().zip(waves) {
        said.refusals.extend(prepared.refusals.iter().cloned());
        say_steps(ctx, prepared, &mut said);
        rollouts.push(rollout(ctx, prepared, waves));
    }
    refuse_unknown(ctx, &mut said);
    refuse_conflicts(ctx, &mut said);
    report::say(ctx, &mut said);
    rollouts.sort_by(|a, b| a.name.cmp(&b.name));
    Plan {
        now: ctx.now,
        rollouts,
        waiting: composition.waiting,
        refusals: said.refusals.into_iter().collect(),
        cuts: composition.cuts,
        notes: said.notes.into_iter().collect(),
    }
}

/// Says of targets that are only a step on the way what comes after.
fn say_steps(ctx: &Context<'_>, prepared: &Prepared<'_>, said: &mut Said) {
    let members = prepared.waves.iter().flat_map(prepare::PreparedWave::everyone);
    let loads = carry::loads(members);
    let hits = loads.iter().flat_map(|l| l.hits.iter().copied());
    let hits: BTreeSet<u32> = hits.filter(|h| ctx.is_step(*h)).collect();
    for hit in hits {
        let (Some(facts), Some(goal)) = (ctx.hit(hit), ctx.goal(hit)) else {
            continue;
        };
        let fixed = facts.fixed.as_deref().unwrap_or_default();
        let message = format!(
            "{} {goal} is a step on the way from {} to {fixed}: Kubernetes goes one minor release at a time, another \
             step follows",
            facts.package, facts.installed
        );
        said.note(&prepared.draft.name, message);
    }
}

/// The rollouts of a plan with their waves, and why nothing is missed where it is not asked: for trying edits.
fn placed(
    catalog: &Catalog,
    observation: &Observation,
    assessment: &Assessment,
    history: &History,
    now: Timestamp,
) -> Placed {
    let ctx = Context::new(catalog, observation, assessment, history, now);
    let placing = Placing::new(&ctx);
    let rollouts = placing.composition.prepared.iter().zip(placing.waves);
    rollouts.map(|(p, waves)| (Arc::clone(&p.draft.name), waves)).collect()
}

/// Every rollout in its place, before anything is explained.
struct Placing<'a> {
    calendars: Calendars,
    budgets: Budgets,
    said: Said,
    composition: compose::Composition<'a>,
    /// What runs already.
    start: Bookings,
    /// What runs, and what is placed.
    bookings: Bookings,
    /// How much was booked before each rollout.
    marks: Vec<usize>,
    /// The waves of each rollout.
    waves: Vec<Vec<Wave>>,
}

impl<'a> Placing<'a> {
    fn new(ctx: &'a Context<'a>) -> Self {
        let mut calendars = Calendars::new(ctx);
        let budgets = Budgets::new(ctx);
        let mut said = Said::default();
        let mut start = Bookings::default();
        schedule::book_running(ctx, &budgets, &mut start);
        let mut composition = compose::compose(ctx, &mut calendars, &budgets, &start, &mut said);
        composition.prepared.sort_by_key(|p| {
            (
                p.draft.lane == Lane::Routine,
                p.draft.open.is_none(),
                Arc::clone(&p.draft.name),
            )
        });
        let mut bookings = start.clone();
        let (mut marks, mut waves) = (Vec::new(), Vec::new());
        for prepared in &composition.prepared {
            marks.push(bookings.mark());
            waves.push(schedule(ctx, &mut calendars, &budgets, &mut bookings, prepared));
        }
        Self {
            calendars,
            budgets,
            said,
            composition,
            start,
            bookings,
            marks,
            waves,
        }
    }
}

/// Whether which rollouts there are was decided by when they would finish: a policy waits for its next cut unless that is
/// too late, and an emergency overtakes an open rollout that is.
fn is_timed(ctx: &Context<'_>, composition: &compose::Composition<'_>) -> bool {
    let cuts = |name: &Arc<str>| composition.cuts.iter().any(|(policy, _)| policy == name);
    let policies = ctx.catalog.policies.iter();
    let mut waiting =
        policies.filter(|(name, p)| p.spec.cadence.is_some() && p.spec.mode != Mode::Observe && !cuts(name));
    let urgent = || ctx.assessment.judgements.iter().any(|j| j.lane == Lane::Emergency);
    waiting.next().is_some() || (!ctx.history.open.is_empty() && urgent())
}

fn rollout(ctx: &Context<'_>, prepared: &Prepared<'_>, waves: Vec<Wave>) -> Rollout {
    let draft = &prepared.draft;
    let everyone = || prepared.waves.iter().flat_map(prepare::PreparedWave::everyone);
    let frozen = |m: &carry::Member| ctx.class(m.asset).is_some_and(|c| c.spec.content != Content::None);
    Rollout {
        name: Arc::clone(&draft.name),
        policy: Arc::clone(&draft.policy.name),
        strategy: Arc::clone(&draft.strategy.name),
        lane: draft.lane,
        revision: draft.revision,
        cut: draft.cut,
        expedited: draft.expedited,
        restarts: draft.restarts,
        digest: patchset_digest(&draft.targets),
        targets: draft.targets.clone(),
        reproducible: everyone().all(frozen),
        installability_unknown: prepared.installability_unknown,
        advisories: carry::advisories(ctx, everyone()),
        forensics: carry::forensics(ctx, everyone()),
        waves,
    }
}

/// Findings that policies claim in contradiction are refused until a person decides, once for an asset and pair.
fn refuse_conflicts(ctx: &Context<'_>, said: &mut Said) {
    let words = |judgement: &Judgement| {
        let conflict = judgement.unplanned == Some(Unplanned::Conflict) && judgement.is_open();
        conflict.then(|| judgement.detail.clone().unwrap_or_else(|| "policies".into()))
    };
    let fix = "give both policies the same, or let one of them exclude what the other claims";
    refuse_each(ctx, said, "conflict", fix, words);
}

/// Findings nobody can judge are not planned, and say so, once for an asset.
fn refuse_unknown(ctx: &Context<'_>, said: &mut Said) {
    let words = |judgement: &Judgement| {
        let unnamed = judgement.unplanned == Some(Unplanned::FixedInSource);
        let unknown = judgement.status == Status::Unknown || (unnamed && judgement.status > Status::Unknown);
        let said = unknown && !judgement.is_planned() && judgement.policy.is_some();
        said.then(|| judgement.detail.clone().unwrap_or_else(|| "unknown".into()))
    };
    let fix = "observe the asset, or cover it with an advisory source, and plan again";
    refuse_each(ctx, said, "unknown", fix, words);
}

/// Refuses the findings for whose judgement there are `words`: on every asset once for equal words, with their number.
fn refuse_each(
    ctx: &Context<'_>,
    said: &mut Said,
    reason: &str,
    fix: &str,
    words: impl Fn(&Judgement) -> Option<Arc<str>>,
) {
    let reason: Arc<str> = reason.into();
    let of_judgement: Vec<Option<Arc<str>>> = ctx.assessment.judgements.iter().map(words).collect();
    if of_judgement.iter().all(Option::is_none) {
        return;
    }
    let count = |rows: &Arc<[Row]>| {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        let words = rows
            .iter()
            .filter_map(|row| of_judgement.get(row.judgement as usize)?.as_deref());
        words.for_each(|words| *counts.entry(words).or_default() += 1);
        counts
    };
    let lists: Vec<BTreeMap<&str, usize>> = ctx.assessment.lists.iter().map(count).collect();
    for (asset, list) in ctx.observation.assets.iter().zip(&ctx.assessment.list_of) {
        for (words, count) in lists.get(*list as usize).into_iter().flatten() {
            said.refusals.insert(Refusal {
                reason: Arc::clone(&reason),
                asset: Arc::clone(&asset.name),
                detail: format!("{count} finding(s) are not planned: {words}"),
                binding: None,
                fixes: vec![fix.to_owned()],
            });
        }
    }
}

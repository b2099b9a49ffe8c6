//! One rollout before it has times: who is in it, in which wave, in what order, and what is refused.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use std::sync::Arc;

use super::budget::Budgets;
use super::calendar::Calendars;
use super::carry::{self, Covers, Member, name_of};
use super::context::Context;
use super::elsewhere::{Carried, Elsewhere};
use super::graph::{self, Precedence, WaveGraph};
use super::membership::{Membership, membership};
use super::screen::{self, Screen};
use super::skew;
use super::targets::Standing;
use super::tested::Rule;
use super::{Binding, Refusal};
use crate::history::{BatchProgress, OpenRollout, Target, WaveProgress, WaveState};
use crate::load::Resource;
use crate::load::wire::{Lane, PatchPolicySpec, RolloutStrategySpec};

/// A rollout by name and content.
#[derive(Clone)]
pub(super) struct Draft<'a> {
    pub(super) name: Arc<str>,
    pub(super) policy: &'a Resource<PatchPolicySpec>,
    pub(super) strategy: &'a Resource<RolloutStrategySpec>,
    pub(super) lane: Lane,
    pub(super) revision: u32,
    pub(super) cut: Timestamp,
    pub(super) expedited: bool,
    pub(super) restarts: u32,
    pub(super) targets: Vec<Target>,
    /// The rollout in history it goes on from.
    pub(super) open: Option<&'a OpenRollout>,
    /// Nothing starts before.
    pub(super) earliest: Timestamp,
}

/// A draft with its assets in waves.
pub(super) struct Prepared<'a> {
    pub(super) draft: Draft<'a>,
    pub(super) graph: WaveGraph,
    /// By position in the strategy.
    pub(super) waves: Vec<PreparedWave<'a>>,
    pub(super) covers: Covers,
    /// Asset and target of every refusal.
    pub(super) refused: BTreeSet<(u32, usize)>,
    pub(super) refusals: Vec<Refusal>,
    pub(super) installability_unknown: bool,
}

/// One wave of it.
pub(super) struct PreparedWave<'a> {
    /// Assets that are still to be put into batches, ascending.
    pub(super) members: Vec<Member>,
    pub(super) precedence: Precedence,
    pub(super) canaries: Vec<bool>,
    pub(super) extra_approval: bool,
    pub(super) progress: Option<&'a WaveProgress>,
    /// Batches that keep their assets.
    pub(super) fixed: Vec<(&'a BatchProgress, Vec<Member>)>,
}

impl PreparedWave<'_> {
    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty() && self.fixed.is_empty()
    }

    pub(super) fn state(&self) -> WaveState {
        self.progress.map_or(WaveState::Pending, |p| p.state)
    }

    /// Whether the asset is in a batch that was released.
    pub(super) fn has_begun(&self, asset: u32) -> bool {
        let released = self.fixed.iter().filter(|(batch, _)| batch.released_at.is_some());
        released.flat_map(|(_, members)| members).any(|m| m.asset == asset)
    }

    /// Every asset, placed or not.
    pub(super) fn everyone(&self) -> impl Iterator<Item = &Member> {
        self.fixed.iter().flat_map(|(_, members)| members).chain(&self.members)
    }
}

impl Prepared<'_> {
    pub(super) fn is_empty(&self) -> bool {
        self.waves.iter().all(PreparedWave::is_empty)
    }

    /// The targets each asset takes, for every asset of a wave that has not ended without them.
    pub(super) fn carried(&self) -> Carried {
        let live = |w: &PreparedWave<'_>| !matches!(w.state(), WaveState::Superseded | WaveState::RolledBack);
        let waves = self.waves.iter().enumerate().filter(|(_, w)| live(w));
        waves
            .flat_map(|(index, wave)| {
                wave.everyone()
                    .map(move |m| (m.asset, (index, m.targets.iter().map(|(t, _)| *t).collect())))
            })
            .collect()
    }

    pub(super) fn asset_count(&self) -> usize {
        self.waves.iter().map(|w| w.everyone().count()).sum()
    }
}

/// Puts the assets of a draft into its waves, without what they take `elsewhere`.
pub(super) fn prepare<'a>(
    ctx: &'a Context<'a>,
    calendars: &Calendars,
    budgets: &Budgets,
    draft: Draft<'a>,
    elsewhere: &Elsewhere<'_>,
) -> Prepared<'a> {
    let specs = &draft.strategy.spec.waves;
    let graph = WaveGraph::new(specs);
    let covers = carry::covers(ctx, &draft.targets);
    let mut standing = Standing::new(ctx, &draft.targets);
    let scope = ctx.in_scope(&draft.policy.name);
    let found = carry::members(ctx, &draft.policy.name, &draft.targets, &mut standing, &covers);
    let mut refused = Refused::default();
    let mut fixed = frozen(ctx, &draft, &found, &mut standing);
    let kept = fixed.values_mut().flatten().flat_map(|(_, members)| members);
    kept.for_each(|m| elsewhere.count(ctx, &draft.targets, &covers, m));
    let placed: BTreeSet<u32> = fixed.values().flatten().flat_map(|(_, m)| m).map(|m| m.asset).collect();
    let mut waves: Vec<Vec<Member>> = vec![Vec::new(); specs.len()];
    let screen = Screen {
        ctx,
        calendars,
        budgets,
        policy: draft.policy,
        targets: &draft.targets,
        types: screen::types_of(ctx, &draft.targets, &covers),
    };
    let kept = fixed.values_mut().flatten().flat_map(|(_, members)| members);
    kept.for_each(|m| screen.assign_tools(m));
    for mut member in found.into_iter().filter(|m| !placed.contains(&m.asset)) {
        let all: Vec<usize> = member.targets.iter().map(|(t, _)| *t).collect();
        match membership(ctx, specs, member.asset) {
            Membership::Wave(wave) if fixed.contains_key(&wave) => {
                let detail = format!("wave {} is approved already and takes nobody in", name_at(specs, wave));
                refused.add(member.asset, all, without_fix(ctx, member.asset, "late", detail));
            }
            Membership::Wave(wave) => {
                for (targets, refusal) in screen.member(&mut member, &mut standing) {
                    refused.add(member.asset, targets, refusal);
                }
                if !member.targets.is_empty() {
                    waves.get_mut(wave).into_iter().for_each(|w| w.push(member.clone()));
                }
            }
            Membership::Classless => {
                let why = "no class (or two of equal priority) takes it, so it has no environment".to_owned();
                let fix = "let one AssetClass match it, or give one of those that do a higher `priority`".to_owned();
                let refusal = without_fix(ctx, member.asset, "no-wave", why);
                refused.add(
                    member.asset,
                    all,
                    Refusal {
                        fixes: vec![fix],
                        ..refusal
                    },
                );
            }
            Membership::Nowhere(why) => {
                let fix = format!("add its environment to a wave of strategy {}", draft.strategy.name);
                let refusal = without_fix(ctx, member.asset, "no-wave", why);
                refused.add(
                    member.asset,
                    all,
                    Refusal {
                        fixes: vec![fix],
                        ..refusal
                    },
                );
            }
            Membership::Several(names) => {
                let detail = format!(
                    "waves {} of strategy {} both take it",
                    names.join(" and "),
                    draft.strategy.name
                );
                let fix = "narrow one of them with `selector`".to_owned();
                let refusal = without_fix(ctx, member.asset, "two-waves", detail);
                refused.add(
                    member.asset,
                    all,
                    Refusal {
                        fixes: vec![fix],
                        ..refusal
                    },
                );
            }
        }
    }
    elsewhere.leave(ctx, &draft.targets, &covers, &graph, &mut waves);
    assemble(ctx, draft, graph, covers, (waves, fixed, refused), scope, &mut standing)
}

fn name_at(specs: &[crate::load::wire::WaveSpec], wave: usize) -> &str {
    specs.get(wave).map_or("", |w| &w.name)
}

type Frozen<'a> = BTreeMap<usize, Vec<(&'a BatchProgress, Vec<Member>)>>;

/// Applies the tested rule over all waves, then orders the assets of each.
fn assemble<'a>(
    ctx: &'a Context<'a>,
    draft: Draft<'a>,
    graph: WaveGraph,
    covers: Covers,
    (mut waves, mut fixed, mut refused): (Vec<Vec<Member>>, Frozen<'a>, Refused),
    scope: &[u32],
    standing: &mut Standing<'a>,
) -> Prepared<'a> {
    let specs = &draft.strategy.spec.waves;
    let wave_of: Vec<(u32, usize)> = scope
        .iter()
        .filter_map(|a| match membership(ctx, specs, *a) {
            Membership::Wave(wave) => Some((*a, wave)),
            _ => None,
        })
        .collect();
    let rule = Rule {
        ctx,
        policy: draft.policy,
        targets: &draft.targets,
        waves: specs,
        graph: &graph,
        wave_of: &wave_of,
    };
    // What is frozen stands in its wave as proof, and is not judged again: it was when it was frozen.
    let is_fixed: BTreeSet<u32> = fixed.values().flatten().flat_map(|(_, m)| m).map(|m| m.asset).collect();
    for (wave, batches) in &fixed {
        let members = batches.iter().flat_map(|(_, m)| m.iter().cloned());
        waves.get_mut(*wave).into_iter().for_each(|w| w.extend(members.clone()));
    }
    for (asset, targets, refusal) in skew::screen(ctx, &draft.targets, &graph, &mut waves) {
        refused.add(asset, targets, refusal);
    }
    let tested = rule.apply(&mut waves, standing);
    for (asset, targets, refusal) in tested.refused {
        if !is_fixed.contains(&asset) {
            refused.add(asset, targets, refusal);
        }
    }
    let mut prepared = Vec::new();
    for (index, members) in waves.into_iter().enumerate() {
        let members: Vec<Member> = members.into_iter().filter(|m| !is_fixed.contains(&m.asset)).collect();
        let (members, precedence) = ordered(ctx, members, &mut refused);
        let mut wave = PreparedWave {
            canaries: vec![false; members.len()],
            members,
            precedence,
            extra_approval: tested.extra_approval.contains_key(&index),
            progress: draft
                .open
                .and_then(|o| o.waves.iter().find(|w| *w.name == *name_at(specs, index))),
            fixed: fixed.remove(&index).unwrap_or_default(),
        };
        if let Some(groups) = tested.canaries.get(&index) {
            let at = |asset: &u32| wave.members.binary_search_by_key(asset, |m| m.asset).ok();
            let groups: Vec<Vec<usize>> = groups.iter().map(|g| g.iter().filter_map(at).collect()).collect();
            wave.canaries = graph::add_canaries(&mut wave.precedence, &groups, wave.members.len());
        }
        prepared.push(wave);
    }
    let unknown = |m: &Member| ctx.asset(m.asset).is_some_and(|a| a.facts.available.is_none());
    let installability_unknown = prepared.iter().flat_map(PreparedWave::everyone).any(unknown);
    Prepared {
        draft,
        graph,
        waves: prepared,
        covers,
        refused: refused.pairs,
        refusals: refused.refusals,
        installability_unknown,
    }
}

/// Orders members; those on a cycle are refused with the cycle, the rest stays.
fn ordered(ctx: &Context<'_>, mut members: Vec<Member>, refused: &mut Refused) -> (Vec<Member>, Precedence) {
    loop {
        let assets: Vec<u32> = members.iter().map(|m| m.asset).collect();
        let precedence = graph::precedence(ctx, &assets);
        let name = |position: usize| {
            assets
                .get(position)
                .map_or_else(String::new, |a| name_of(ctx, *a).to_string())
        };
        let Some((positions, path)) = graph::cycle(&precedence, name) else {
            return (members, precedence);
        };
        for member in positions.iter().filter_map(|p| members.get(*p)) {
            let detail = format!("the order of its services is a cycle: {path}");
            let refusal = without_fix(ctx, member.asset, "cycle", detail);
            let refusal = Refusal {
                binding: Some(Binding::Predecessor),
                fixes: vec!["take one of the services' `dependsOn` or `order` away, or one of their members".into()],
                ..refusal
            };
            refused.add(member.asset, member.targets.iter().map(|(t, _)| *t).collect(), refusal);
        }
        if positions.is_empty() {
            return (members, Precedence::new());
        }
        let mut position = 0..;
        members.retain(|_| position.next().is_none_or(|p| !positions.contains(&p)));
    }
}

fn without_fix(ctx: &Context<'_>, asset: u32, reason: &str, detail: String) -> Refusal {
    Refusal {
        reason: reason.into(),
        asset: name_of(ctx, asset),
        detail,
        binding: None,
        fixes: Vec::new(),
    }
}

#[derive(Default)]
struct Refused {
    pairs: BTreeSet<(u32, usize)>,
    refusals: Vec<Refusal>,
}

impl Refused {
    fn add(&mut self, asset: u32, targets: Vec<usize>, refusal: Refusal) {
        self.pairs.extend(targets.into_iter().map(|t| (asset, t)));
        self.refusals.push(refusal);
    }
}

/// Waves whose batches stand: approved and beyond always, a proposed one as long as it would have the same assets with
/// the same targets.
fn frozen<'a>(ctx: &Context<'_>, draft: &Draft<'a>, found: &[Member], standing: &mut Standing<'_>) -> Frozen<'a> {
    let mut frozen = Frozen::new();
    let Some(open) = draft.open else { return frozen };
    let specs = &draft.strategy.spec.waves;
    let unchanged = open.targets == draft.targets;
    for (index, spec) in specs.iter().enumerate() {
        let Some(progress) = open.waves.iter().find(|w| *w.name == *spec.name) else {
            continue;
        };
        let stands = match progress.state {
            WaveState::Pending => false,
            WaveState::Proposed => unchanged && same_assets(ctx, specs, index, progress, found, standing),
            _ => true,
        };
        if !stands || progress.batches.is_empty() {
            continue;
        }
        let batches = progress.batches.iter();
        let batches = batches.map(|b| {
            (
                b,
                b.assets
                    .iter()
                    .filter_map(|(a, t)| kept(ctx, a, t, found, standing))
                    .collect(),
            )
        });
        frozen.insert(index, batches.collect());
    }
    frozen
}

fn same_assets(
    ctx: &Context<'_>,
    specs: &[crate::load::wire::WaveSpec],
    wave: usize,
    progress: &WaveProgress,
    found: &[Member],
    standing: &mut Standing<'_>,
) -> bool {
    let before: BTreeMap<&str, &[usize]> = progress
        .batches
        .iter()
        .flat_map(|b| &b.assets)
        .map(|(a, t)| (a.as_ref(), t.as_slice()))
        .collect();
    let mut now: BTreeMap<Arc<str>, Vec<usize>> = BTreeMap::new();
    for member in found
        .iter()
        .filter(|m| membership(ctx, specs, m.asset) == Membership::Wave(wave))
    {
        let levels = standing.of(member.asset, ctx.asset(member.asset).and_then(|a| a.facts.packages));
        let is_newer = |t: usize| levels.iter().any(|l| l.target == t && l.order.is_gt());
        let targets = member.targets.iter().map(|(t, _)| *t);
        now.insert(name_of(ctx, member.asset), targets.filter(|t| !is_newer(*t)).collect());
    }
    // An asset that was refused then is refused now: only what was in the wave has to be there still, and nothing new.
    before
        .iter()
        .all(|(asset, targets)| now.get(*asset).is_some_and(|t| targets.iter().all(|x| t.contains(x))))
}

/// An asset of a frozen batch: its frozen targets, today's facts.
fn kept(
    ctx: &Context<'_>,
    name: &str,
    targets: &[usize],
    found: &[Member],
    standing: &mut Standing<'_>,
) -> Option<Member> {
    let asset = ctx.asset_index(name)?;
    let class = ctx.class(asset);
    let known = found
        .binary_search_by_key(&asset, |m| m.asset)
        .ok()
        .and_then(|i| found.get(i));
    let levels = standing.of(asset, ctx.asset(asset).and_then(|a| a.facts.packages));
    let before = |target: usize| {
        let planned = known
            .and_then(|m| m.targets.iter().find(|(t, _)| *t == target))
            .map(|(_, v)| v);
        let installed = || levels.iter().find(|l| l.target == target).map(|l| &l.version);
        planned.or_else(installed).cloned().unwrap_or_else(|| Arc::from(""))
    };
    Some(Member {
        asset,
        targets: targets.iter().map(|t| (*t, before(*t))).collect(),
        hits: known.map_or_else(Vec::new, |m| m.hits.clone()),
        deadline: known.and_then(|m| m.deadline),
        stale: ctx.asset(asset).is_some_and(|a| a.stale),
        rollback: class.map_or_else(Default::default, |c| super::reversible::reversibility(&c.spec)),
        render_target: class.map_or_else(|| Arc::from(""), |c| first_tool(&c.spec)),
        tools: BTreeMap::new(),
    })
}

fn first_tool(class: &crate::load::wire::AssetClassSpec) -> Arc<str> {
    let choice = class.targets.first().map(|c| c.target.as_str());
    choice.or(class.target.as_deref()).unwrap_or("").into()
}

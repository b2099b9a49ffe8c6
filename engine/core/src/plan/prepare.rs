//! One rollout before it has times: who is in it, in which wave, in what order, and what is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::budget::Budgets;
use super::calendar::Calendars;
use super::carry::{self, Covers, Load, Member, Tools, name_of};
use super::context::Context;
use super::elsewhere::{Carried, Elsewhere, Place};
use super::graph::{self, Precedence, WaveGraph};
use super::membership::{Nowhere, membership};
use super::screen::Screen;
use super::skew;
use super::standing::{Standing, level};
use super::tested::Rule;
use super::{Binding, Refusal};
use crate::history::{BatchProgress, OpenRollout, Target, WaveProgress, WaveState};
use crate::load::Resource;
use crate::load::wire::{ComponentKind, Lane, PatchPolicySpec, RolloutStrategySpec};
use crate::lookup::Seen;
use crate::observe::Facts;

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
    /// Asset and targets of every refusal.
    pub(super) refused: Denied,
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

    /// The assets of batches that were released.
    fn begun(&self) -> impl Iterator<Item = u32> {
        let released = self.fixed.iter().filter(|(batch, _)| batch.released_at.is_some());
        released.flat_map(|(_, members)| members).map(|m| m.asset)
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
        let place = |wave: usize, m: &Member| Place {
            wave,
            load: Arc::clone(&m.load),
        };
        waves
            .flat_map(|(index, wave)| wave.everyone().map(move |m| (m.asset, place(index, m))))
            .collect()
    }

    /// The assets of batches that were released.
    pub(super) fn begun(&self) -> Seen<u32> {
        self.waves.iter().flat_map(PreparedWave::begun).collect()
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
    let found = carry::members(ctx, &draft.policy.name, &draft.targets, &mut standing, &covers);
    let mut refused = Refused::default();
    let mut fixed = frozen(ctx, &draft, &found, &mut standing);
    let kept = fixed.values_mut().flatten().flat_map(|(_, members)| members);
    elsewhere.count(ctx, &draft.targets, &covers, kept);
    let placed: BTreeSet<u32> = fixed.values().flatten().flat_map(|(_, m)| m).map(|m| m.asset).collect();
    let mut waves: Vec<Vec<Member>> = vec![Vec::new(); specs.len()];
    let targets = (draft.targets.as_slice(), draft.open.is_some());
    let mut screen = Screen::new(ctx, (calendars, budgets), draft.policy, targets, &covers);
    let kept = fixed.values_mut().flatten().flat_map(|(_, members)| members);
    kept.for_each(|m| screen.assign_tools(m));
    for mut member in found.into_iter().filter(|m| !placed.contains(&m.asset)) {
        let all = Arc::clone(member.targets());
        match membership(ctx, specs, member.asset) {
            Ok(wave) if fixed.contains_key(&wave) => {
                let detail = format!("wave {} is approved already and takes nobody in", name_at(specs, wave));
                refused.add(member.asset, all, without_fix(ctx, member.asset, "late", detail));
            }
            Ok(wave) => {
                for (targets, refusal) in screen.member(&mut member, &mut standing) {
                    refused.add(member.asset, targets, refusal);
                }
                if let Some(wave) = waves.get_mut(wave).filter(|_| !member.targets().is_empty()) {
                    wave.push(member);
                }
            }
            Err(nowhere) => refused.add(member.asset, all, no_wave(ctx, draft.strategy, member.asset, nowhere)),
        }
    }
    elsewhere.leave(ctx, &draft.targets, &covers, &graph, &mut waves);
    assemble(ctx, draft, graph, covers, (waves, fixed, refused), &mut standing)
}

/// Says why no single wave takes an asset, and what would give it one.
fn no_wave(ctx: &Context<'_>, strategy: &Resource<RolloutStrategySpec>, asset: u32, nowhere: Nowhere) -> Refusal {
    let (reason, detail, fix) = match nowhere {
        Nowhere::Classless => (
            "no-wave",
            "no class (or two of equal priority) takes it, so it has no environment".to_owned(),
            "let one AssetClass match it, or give one of those that do a higher `priority`".to_owned(),
        ),
        Nowhere::Untaken(why) => (
            "no-wave",
            why,
            format!("add its environment to a wave of strategy {}", strategy.name),
        ),
        Nowhere::Several(names) => (
            "two-waves",
            format!(
                "waves {} of strategy {} both take it",
                names.join(" and "),
                strategy.name
            ),
            "narrow one of them with `selector`".to_owned(),
        ),
    };
    Refusal {
        fixes: vec![fix],
        ..without_fix(ctx, asset, reason, detail)
    }
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
    standing: &mut Standing<'a>,
) -> Prepared<'a> {
    let specs = &draft.strategy.spec.waves;
    let rule = Rule {
        ctx,
        policy: draft.policy,
        targets: &draft.targets,
        waves: specs,
        graph: &graph,
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
    // A build is offered by an update server, a package by repositories; of other parts nobody reports what can be had.
    let is_known = |facts: &Facts, target: usize| match draft.targets.get(target).and_then(Target::kind) {
        Some(ComponentKind::Os) => facts.updates.is_some(),
        None => facts.available.is_some(),
        Some(_) => false,
    };
    let unknown = |m: &Member| {
        let facts = ctx.asset(m.asset).map(|a| &a.facts);
        facts.is_some_and(|facts| !m.targets().iter().all(|target| is_known(facts, *target)))
    };
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
            refused.add(member.asset, Arc::clone(member.targets()), refusal);
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

/// For each asset the lists of targets it is refused.
#[derive(Clone, Debug, Default)]
pub(super) struct Denied(BTreeMap<u32, Vec<Arc<[usize]>>>);

impl Denied {
    /// The lists of an asset, each ascending.
    pub(super) fn of(&self, asset: u32) -> &[Arc<[usize]>] {
        self.0.get(&asset).map_or(&[], |lists| lists)
    }

    pub(super) fn assets(&self) -> impl Iterator<Item = u32> {
        self.0.keys().copied()
    }
}

#[derive(Default)]
struct Refused {
    pairs: Denied,
    refusals: Vec<Refusal>,
}

impl Refused {
    fn add(&mut self, asset: u32, targets: Arc<[usize]>, refusal: Refusal) {
        self.pairs.0.entry(asset).or_default().push(targets);
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
    let mut loads = Seen::default();
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
                    .filter_map(|(a, t)| kept(ctx, a, t, found, standing, &mut loads))
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
    for member in found.iter().filter(|m| membership(ctx, specs, m.asset) == Ok(wave)) {
        let levels = standing.of(member.asset);
        let is_newer = |t: usize| level(&levels, t).is_some_and(|l| l.order.is_gt());
        let targets = member.targets().iter().copied();
        now.insert(name_of(ctx, member.asset), targets.filter(|t| !is_newer(*t)).collect());
    }
    // An asset that was refused then is refused now: only what was in the wave has to be there still, and nothing new.
    before.iter().all(|(asset, targets)| {
        now.get(*asset)
            .is_some_and(|t| targets.iter().all(|x| t.binary_search(x).is_ok()))
    })
}

/// An asset of a frozen batch: its frozen targets, today's facts.
fn kept(
    ctx: &Context<'_>,
    name: &str,
    targets: &[usize],
    found: &[Member],
    standing: &mut Standing<'_>,
    loads: &mut Seen<Arc<Load>>,
) -> Option<Member> {
    let asset = ctx.asset_index(name)?;
    let class = ctx.class(asset);
    let known = found
        .binary_search_by_key(&asset, |m| m.asset)
        .ok()
        .and_then(|i| found.get(i));
    let levels = standing.of(asset);
    let before = |target: usize| {
        let planned = known.and_then(|m| m.load.before(target)).cloned();
        let installed = || level(&levels, target).map(|l| Arc::clone(&l.version));
        planned.or_else(installed).unwrap_or_else(|| Arc::from(""))
    };
    let load = Load {
        targets: targets.into(),
        before: targets.iter().map(|t| before(*t)).collect(),
        hits: known.map_or_else(|| Arc::from([]), |m| Arc::clone(&m.load.hits)),
        deadline: known.and_then(|m| m.load.deadline),
        stale: ctx.asset(asset).is_some_and(|a| a.stale),
    };
    Some(Member {
        asset,
        load: carry::shared(loads, load),
        rollback: class.map_or_else(Default::default, |c| super::reversible::reversibility(&c.spec)),
        render_target: class.map_or_else(|| Arc::from(""), |c| first_tool(&c.spec)),
        tools: Tools::default(),
    })
}

fn first_tool(class: &crate::load::wire::AssetClassSpec) -> Arc<str> {
    let choice = class.targets.first().map(|c| c.target.as_str());
    choice.or(class.target.as_deref()).unwrap_or("").into()
}

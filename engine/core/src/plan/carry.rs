//! Who is in a rollout: every asset in scope that lacks one of its targets, with the findings the target closes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::context::{Context, PackageKey};
use super::shared::{Same, distinct};
use super::standing::{Level, Standing};
use crate::assess::{Hit, Status};
use crate::history::Target;
use crate::load::Resource;
use crate::load::wire::{PatchPolicySpec, Reversibility};
use crate::lookup::{Lookup, Seen};
use crate::version::compare;

/// One asset of a rollout, before it has a place in it.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) asset: u32,
    pub(super) load: Arc<Load>,
    pub(super) rollback: Reversibility,
    pub(super) render_target: Arc<str>,
    /// The tool of each target, where it is known; empty where one tool takes them all.
    pub(super) tools: Tools,
}

/// What an asset takes and why: assets that are alike share it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Load {
    /// Indexes of targets, ascending.
    pub(super) targets: Arc<[usize]>,
    /// The version each would replace, same order.
    pub(super) before: Arc<[Arc<str>]>,
    /// The hits they close, ascending: advisory types behind its targets are found through these.
    pub(super) hits: Arc<[u32]>,
    pub(super) deadline: Option<Timestamp>,
    pub(super) stale: bool,
}

impl Load {
    /// The version that `target` would replace, if it takes it.
    pub(super) fn before(&self, target: usize) -> Option<&Arc<str>> {
        let at = self.targets.iter().position(|t| *t == target)?;
        self.before.get(at)
    }

    /// The targets with the version each would replace.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (usize, &Arc<str>)> {
        self.targets.iter().copied().zip(self.before.iter())
    }

    /// The same with those targets only that `keep` wants.
    pub(super) fn only(&self, keep: impl Fn(usize) -> bool) -> Self {
        let kept = || self.pairs().filter(|(t, _)| keep(*t));
        Self {
            targets: kept().map(|(t, _)| t).collect(),
            before: kept().map(|(_, version)| Arc::clone(version)).collect(),
            ..self.clone()
        }
    }
}

impl Member {
    pub(super) fn targets(&self) -> &Arc<[usize]> {
        &self.load.targets
    }
}

/// The tool of targets, by index.
pub(super) type Tools = Arc<BTreeMap<usize, Arc<str>>>;

/// For each hit: the index of the target that fixes it, if one does.
pub(super) type Covers = Vec<Option<usize>>;

/// The index of each package key's target, by the number of the key.
fn by_key(ctx: &Context<'_>, targets: &[Target]) -> Lookup<u32, usize> {
    let keys = targets.iter().map(PackageKey::of_target).enumerate();
    keys.filter_map(|(index, key)| Some((ctx.id_of_key(&key)?, index)))
        .collect()
}

/// Which hits the targets fix.
pub(super) fn covers(ctx: &Context<'_>, targets: &[Target]) -> Covers {
    let by_key = by_key(ctx, targets);
    let hits = 0..ctx.assessment.hits.len() as u32;
    hits.map(|hit| {
        let index = by_key.get(&ctx.key_id(hit)?)?;
        let target = targets.get(*index)?;
        let fixed = ctx.goal(hit)?;
        compare(target.scheme, fixed, &target.version).is_le().then_some(*index)
    })
    .collect()
}

/// Every asset of `scope` that lacks a target.
///
/// An asset whose findings for a target are all not to be planned (excepted, held, unknown, …) keeps what it has: a person
/// said so, or nobody knows. So does one on which `policy` would not take what asked for the target elsewhere. An asset
/// without any finding for it takes it all the same, because a rollout has one set.
///
/// Assets with the same findings, the same standing and the same answers of the policy are worked out once.
pub(super) fn members(
    ctx: &Context<'_>,
    policy: &str,
    targets: &[Target],
    standing: &mut Standing<'_>,
    covers: &Covers,
) -> Vec<Member> {
    let lacking = Lacking {
        ctx,
        policy,
        covers,
        asking: asking(targets, covers),
        by_key: by_key(ctx, targets),
    };
    let mut known: Lookup<_, Option<Arc<Load>>> = Lookup::default();
    let mut loads: Seen<Arc<Load>> = Seen::default();
    let mut members = Vec::new();
    for index in ctx.in_scope(policy).iter().copied() {
        let Some(asset) = ctx.asset(index) else {
            continue;
        };
        let list = ctx.assessment.list_of.get(index as usize).copied();
        let has_os = asset.facts.os.is_some();
        let alike = (list, standing.id(index), ctx.claims.kind_of(index), asset.stale, has_os);
        let load = known.entry(alike).or_insert_with(|| {
            let load = lacking.load(index, (asset.stale, has_os), &standing.of(index))?;
            Some(shared(&mut loads, load))
        });
        members.extend(load.as_ref().map(|load| Member {
            asset: index,
            load: Arc::clone(load),
            rollback: Reversibility::None,
            render_target: "".into(),
            tools: Tools::default(),
        }));
    }
    members
}

/// The one of `loads` that is equal, added if there is none.
pub(super) fn shared(loads: &mut Seen<Arc<Load>>, load: Load) -> Arc<Load> {
    if let Some(known) = loads.get(&load) {
        return Arc::clone(known);
    }
    let load = Arc::new(load);
    loads.insert(Arc::clone(&load));
    load
}

/// For each target the hits it fixes.
fn asking(targets: &[Target], covers: &Covers) -> Vec<Vec<u32>> {
    let mut asking = vec![Vec::new(); targets.len()];
    for (hit, target) in (0_u32..).zip(covers) {
        let slot = target.and_then(|t| asking.get_mut(t));
        slot.into_iter().for_each(|hits: &mut Vec<u32>| hits.push(hit));
    }
    asking
}

/// What it takes to say what an asset lacks.
struct Lacking<'l, 'a> {
    ctx: &'l Context<'a>,
    policy: &'l str,
    covers: &'l Covers,
    /// For each target the hits it fixes.
    asking: Vec<Vec<u32>>,
    by_key: Lookup<u32, usize>,
}

impl Lacking<'_, '_> {
    /// What the asset lacks; none when it is nothing.
    fn load(&self, index: u32, (stale, has_os): (bool, bool), levels: &[Level]) -> Option<Load> {
        let ctx = self.ctx;
        let lacking = levels.iter().filter(|l| l.order.is_lt());
        let mut lacks: BTreeMap<usize, Arc<str>> = lacking.map(|l| (l.target, Arc::clone(&l.version))).collect();
        let (mut deadline, mut stale, mut hits) = (None::<Timestamp>, stale, Vec::new());
        let (mut asked, mut barred) = (BTreeSet::new(), BTreeSet::new());
        for row in ctx.assessment.rows(index as usize) {
            let (Some(judgement), Some(hit)) = (ctx.judgement(row.judgement), ctx.hit(row.hit)) else {
                continue;
            };
            let Some(target) = self.covers.get(row.hit as usize).copied().flatten() else {
                // Nobody knows which version fixes it here, or whether it needs one: so none is given.
                if judgement.status == Status::Unknown && !judgement.is_planned() {
                    let target = ctx.key_id(row.hit).and_then(|key| self.by_key.get(&key));
                    barred.extend(target.copied());
                }
                continue;
            };
            let mine = judgement.policy.as_deref() == Some(self.policy);
            if judgement.is_planned() && (mine || ctx.claims.takes(index, self.policy, hit)) {
                lacks.entry(target).or_insert_with(|| Arc::clone(&hit.installed));
                asked.insert(target);
                hits.push(row.hit);
                deadline = earlier(deadline, judgement.deadline);
                stale |= judgement.planned_from_stale;
            } else if judgement.status != Status::Compliant {
                barred.insert(target);
            }
        }
        lacks.retain(|t, installed| {
            asked.contains(t) || (!barred.contains(t) && !self.keeps_back(index, installed, *t))
        });
        // An appliance has no distribution; what a finding asks for is known all the same.
        let has_facts = has_os || !asked.is_empty();
        (has_facts && !lacks.is_empty()).then(|| Load {
            targets: lacks.keys().copied().collect(),
            before: lacks.into_values().collect(),
            hits: hits.into(),
            deadline,
            stale,
        })
    }

    /// Whether the policy keeps a target from an asset that has no row for it: it would take none of the hits on that
    /// version that the target fixes. Where no such hit is left, the asset only lacks what others need.
    fn keeps_back(&self, index: u32, installed: &Arc<str>, target: usize) -> bool {
        let older = |hit: &&Hit| {
            let fixed = hit.fixed.as_ref();
            fixed.is_some_and(|fixed| compare(hit.scheme, installed, fixed).is_lt())
        };
        let asking = self.asking.get(target).into_iter().flatten();
        let mut hits = asking.filter_map(|h| self.ctx.hit(*h)).filter(older).peekable();
        let takes = |hit: &Hit| {
            let here = Hit {
                installed: Arc::clone(installed),
                ..hit.clone()
            };
            self.ctx.claims.takes(index, self.policy, &here)
        };
        hits.peek().is_some() && !hits.any(takes)
    }
}

/// The earlier of two deadlines; a missing one is later than any.
pub(super) fn earlier(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// What some members take, each once.
pub(super) fn loads<'m>(members: impl Iterator<Item = &'m Member>) -> Vec<&'m Load> {
    distinct(members.map(|m| &m.load))
}

/// Advisories behind the hits of some members, sorted by id.
pub(super) fn advisories<'m>(ctx: &Context<'_>, members: impl Iterator<Item = &'m Member>) -> Vec<Arc<str>> {
    let mut hits: Vec<u32> = distinct(members.map(|m| &m.load.hits)).concat();
    hits.sort_unstable();
    hits.dedup();
    let ids = hits.into_iter().filter_map(|hit| ctx.hit(hit));
    let ids: BTreeSet<Arc<str>> = ids
        .filter_map(|h| ctx.observation.advisories.get(h.advisory as usize))
        .map(|a| Arc::clone(&a.id))
        .collect();
    ids.into_iter().collect()
}

/// Members with a finding behind their targets whose SLA asks for forensic triage, sorted by name.
pub(super) fn forensics<'m>(ctx: &Context<'_>, members: impl Iterator<Item = &'m Member>) -> Vec<Arc<str>> {
    if !ctx.assessment.judgements.iter().any(|j| j.forensics) {
        return Vec::new();
    }
    let mut known: Lookup<_, bool> = Lookup::default();
    let asked = |member: &&Member| {
        let list = ctx.assessment.list_of.get(member.asset as usize).copied();
        let alike = (list, Same::of(&member.load.hits));
        *known.entry(alike).or_insert_with(|| {
            let rows = ctx.assessment.rows(member.asset as usize).iter();
            let mut rows = rows.filter(|row| member.load.hits.binary_search(&row.hit).is_ok());
            rows.any(|row| ctx.judgement(row.judgement).is_some_and(|j| j.forensics))
        })
    };
    let names: BTreeSet<Arc<str>> = members.filter(asked).map(|m| name_of(ctx, m.asset)).collect();
    names.into_iter().collect()
}

/// The class's spec of a member, its policy's name: what messages need again and again.
pub(super) fn name_of(ctx: &Context<'_>, asset: u32) -> Arc<str> {
    ctx.asset(asset).map_or_else(|| Arc::from(""), |a| Arc::clone(&a.name))
}

/// Where a policy stands, as `file:line`, or its name where the place is not known.
pub(super) fn place(ctx: &Context<'_>, policy: &Resource<PatchPolicySpec>, pointer: &str) -> String {
    let at = ctx.catalog.at(policy.doc, pointer);
    if at.is_empty() {
        format!("policy {}", policy.name)
    } else {
        at
    }
}

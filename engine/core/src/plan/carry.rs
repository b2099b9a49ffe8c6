//! Who is in a rollout: every asset in scope that lacks one of its targets, with the findings the target closes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::context::{Context, PackageKey};
use super::targets::Standing;
use crate::assess::{Hit, Status};
use crate::history::Target;
use crate::load::Resource;
use crate::load::wire::{PatchPolicySpec, Reversibility};
use crate::version::compare;

/// One asset of a rollout, before it has a place in it.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) asset: u32,
    /// Indexes of targets and the version each would replace, ascending.
    pub(super) targets: Vec<(usize, Arc<str>)>,
    /// Advisory types behind its targets are found through these rows.
    pub(super) hits: Vec<u32>,
    pub(super) deadline: Option<Timestamp>,
    pub(super) stale: bool,
    pub(super) rollback: Reversibility,
    pub(super) render_target: Arc<str>,
    /// The tool of each target, where it is known.
    pub(super) tools: BTreeMap<usize, Arc<str>>,
}

/// For each hit: the index of the target that fixes it, if one does.
pub(super) type Covers = Vec<Option<usize>>;

/// Which hits the targets fix.
pub(super) fn covers(ctx: &Context<'_>, targets: &[Target]) -> Covers {
    let by_key: BTreeMap<PackageKey, (usize, &Target)> = targets
        .iter()
        .enumerate()
        .map(|(i, t)| (PackageKey::of_target(t), (i, t)))
        .collect();
    let hits = ctx.key_of_hit.iter().zip(0_u32..);
    hits.map(|(key, hit)| {
        let (index, target) = by_key.get(key)?;
        let fixed = ctx.goal(hit)?;
        compare(key.scheme, fixed, &target.version).is_le().then_some(*index)
    })
    .collect()
}

/// Every asset of `scope` that lacks a target.
///
/// An asset whose findings for a target are all not to be planned (excepted, held, unknown, …) keeps what it has: a person
/// said so, or nobody knows. So does one on which `policy` would not take what asked for the target elsewhere. An asset
/// without any finding for it takes it all the same, because a rollout has one set.
pub(super) fn members(
    ctx: &Context<'_>,
    policy: &str,
    targets: &[Target],
    standing: &mut Standing<'_>,
    covers: &Covers,
) -> Vec<Member> {
    let asking = asking(targets, covers);
    let by_key: BTreeMap<PackageKey, usize> = targets.iter().map(PackageKey::of_target).zip(0..).collect();
    let scope = ctx.in_scope(policy).iter();
    scope
        .filter_map(|index| member(ctx, policy, *index, standing, covers, &asking, &by_key))
        .collect()
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

/// Whether `policy` keeps a target from an asset that has no row for it: it would take none of the hits on that version
/// that the target fixes. Where no such hit is left, the asset only lacks what others need.
fn keeps_back(ctx: &Context<'_>, policy: &str, index: u32, installed: &Arc<str>, asking: &[u32]) -> bool {
    let older = |hit: &&Hit| {
        let fixed = hit.fixed.as_ref();
        fixed.is_some_and(|fixed| compare(hit.scheme, installed, fixed).is_lt())
    };
    let mut hits = asking.iter().filter_map(|h| ctx.hit(*h)).filter(older).peekable();
    let takes = |hit: &Hit| {
        let here = Hit {
            installed: Arc::clone(installed),
            ..hit.clone()
        };
        ctx.claims.takes(index, policy, &here)
    };
    hits.peek().is_some() && !hits.any(takes)
}

fn member(
    ctx: &Context<'_>,
    policy: &str,
    index: u32,
    standing: &mut Standing<'_>,
    covers: &Covers,
    asking: &[Vec<u32>],
    by_key: &BTreeMap<PackageKey, usize>,
) -> Option<Member> {
    let asset = ctx.asset(index)?;
    let levels = standing.of(index, asset.facts.packages);
    let lacking = levels.iter().filter(|l| l.order.is_lt());
    let mut lacks: BTreeMap<usize, Arc<str>> = lacking.map(|l| (l.target, Arc::clone(&l.version))).collect();
    let (mut deadline, mut stale, mut hits) = (None::<Timestamp>, asset.stale, Vec::new());
    let (mut asked, mut barred) = (BTreeSet::new(), BTreeSet::new());
    for row in ctx.assessment.rows(index as usize) {
        let (Some(judgement), Some(hit)) = (ctx.judgement(row.judgement), ctx.hit(row.hit)) else {
            continue;
        };
        let Some(target) = covers.get(row.hit as usize).copied().flatten() else {
            // Nobody knows which version fixes it here, or whether it needs one: so none is given.
            if judgement.status == Status::Unknown && !judgement.is_planned() {
                let key = ctx.key_of_hit.get(row.hit as usize);
                barred.extend(key.and_then(|key| by_key.get(key)).copied());
            }
            continue;
        };
        let mine = judgement.policy.as_deref() == Some(policy);
        if judgement.is_planned() && (mine || ctx.claims.takes(index, policy, hit)) {
            lacks.entry(target).or_insert_with(|| Arc::clone(&hit.installed));
            asked.insert(target);
            hits.push(row.hit);
            deadline = earlier(deadline, judgement.deadline);
            stale |= judgement.planned_from_stale;
        } else if judgement.status != Status::Compliant {
            barred.insert(target);
        }
    }
    let targets: Vec<(usize, Arc<str>)> = lacks
        .into_iter()
        .filter(|(t, installed)| {
            let keeps = || keeps_back(ctx, policy, index, installed, asking.get(*t).map_or(&[][..], |a| a));
            asked.contains(t) || (!barred.contains(t) && !keeps())
        })
        .collect();
    // An appliance has no distribution; what a finding asks for is known all the same.
    let has_facts = asset.facts.os.is_some() || !asked.is_empty();
    (has_facts && !targets.is_empty()).then_some(Member {
        asset: index,
        targets,
        hits,
        deadline,
        stale,
        rollback: Reversibility::None,
        render_target: "".into(),
        tools: BTreeMap::new(),
    })
}

/// The earlier of two deadlines; a missing one is later than any.
pub(super) fn earlier(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// Advisories behind the hits of some members, sorted by id.
pub(super) fn advisories<'m>(ctx: &Context<'_>, members: impl Iterator<Item = &'m Member>) -> Vec<Arc<str>> {
    let mut hits: Vec<u32> = members.flat_map(|m| m.hits.iter().copied()).collect();
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
    let asked = |member: &&Member| {
        let rows = ctx.assessment.rows(member.asset as usize).iter();
        let mut rows = rows.filter(|row| member.hits.contains(&row.hit));
        rows.any(|row| ctx.judgement(row.judgement).is_some_and(|j| j.forensics))
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

//! What other rollouts bring already: it is not carried twice, and its deadlines are theirs.

use std::collections::BTreeSet;

use rustc_hash::FxHashMap;

use super::carry::{Covers, Member, earlier};
use super::context::Context;
use super::graph::WaveGraph;
use crate::history::Target;
use crate::version::compare;

/// Who carries what: for each asset its wave and targets.
pub(super) type Carried = FxHashMap<u32, (usize, Vec<usize>)>;

/// Targets of other rollouts, and who takes which.
pub(super) struct Elsewhere<'e>(pub(super) Vec<(&'e [Target], &'e Carried)>);

impl Elsewhere<'_> {
    /// Whether another rollout brings the package of `target` to `version` or beyond on the asset.
    fn brings(&self, asset: u32, target: &Target, version: &str) -> bool {
        self.0.iter().any(|(targets, carried)| {
            let taken = carried.get(&asset).into_iter().flat_map(|(_, taken)| taken);
            let mut taken = taken.filter_map(|t| targets.get(*t));
            taken.any(|t| is_same_package(t, target) && compare(t.scheme, version, &t.version).is_le())
        })
    }

    /// Takes from the members of each wave what others bring them, except where a later wave needs it as its proof, and
    /// counts only the deadlines that nobody else meets.
    pub(super) fn leave(
        &self,
        ctx: &Context<'_>,
        targets: &[Target],
        covers: &Covers,
        graph: &WaveGraph,
        waves: &mut [Vec<Member>],
    ) {
        if self.0.is_empty() {
            return;
        }
        let is_brought = |asset: u32, t: usize| targets.get(t).is_some_and(|t| self.brings(asset, t, &t.version));
        let mut own: BTreeSet<(usize, usize)> = BTreeSet::new();
        for (wave, members) in waves.iter().enumerate() {
            for member in members {
                let mine = member.targets.iter().map(|(t, _)| *t);
                own.extend(mine.filter(|t| !is_brought(member.asset, *t)).map(|t| (wave, t)));
            }
        }
        let proves = |wave: usize, target: usize| {
            let ancestors = |w: usize| graph.ancestors.get(w).is_some_and(|a| a.contains(&wave));
            own.iter().any(|(w, t)| *t == target && ancestors(*w))
        };
        for (wave, members) in waves.iter_mut().enumerate() {
            for member in members.iter_mut() {
                let asset = member.asset;
                member
                    .targets
                    .retain(|(t, _)| !is_brought(asset, *t) || proves(wave, *t));
                self.count(ctx, targets, covers, member);
            }
            members.retain(|m| !m.targets.is_empty());
        }
    }

    /// Findings and deadline of what the member takes, without the deadlines that others meet.
    pub(super) fn count(&self, ctx: &Context<'_>, targets: &[Target], covers: &Covers, member: &mut Member) {
        if self.0.is_empty() {
            return;
        }
        let target_of = |hit: u32| covers.get(hit as usize).copied().flatten();
        let taken: BTreeSet<usize> = member.targets.iter().map(|(t, _)| *t).collect();
        // What is refused here counts on; only what another rollout brings is its business.
        let asset = member.asset;
        member.hits.retain(|h| {
            let left = target_of(*h).filter(|t| !taken.contains(t));
            let left = left.and_then(|t| targets.get(t));
            !left.is_some_and(|t| self.brings(asset, t, &t.version))
        });
        member.deadline = None;
        for row in ctx.assessment.rows(member.asset as usize) {
            let target = target_of(row.hit).and_then(|t| targets.get(t));
            let fixed = ctx.goal(row.hit);
            let Some((target, fixed)) = target.zip(fixed).filter(|_| member.hits.contains(&row.hit)) else {
                continue;
            };
            if !self.brings(member.asset, target, fixed) {
                let deadline = ctx.judgement(row.judgement).and_then(|j| j.deadline);
                member.deadline = earlier(member.deadline, deadline);
            }
        }
    }
}

fn is_same_package(a: &Target, b: &Target) -> bool {
    a.name == b.name && a.arch == b.arch && a.module == b.module && a.os_id == b.os_id && a.os_major == b.os_major
}

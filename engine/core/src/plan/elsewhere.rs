//! What other rollouts bring already: it is not carried twice, and its deadlines are theirs.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::carry::{Covers, Load, Member, earlier};
use super::context::Context;
use super::graph::WaveGraph;
use super::shared::Same;
use crate::history::Target;
use crate::lookup::{Lookup, Seen};
use crate::version::compare;

/// Who carries what: for each asset its wave and what it takes.
pub(super) type Carried = Lookup<u32, Place>;

/// Where an asset is in a rollout, and what it takes.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) wave: usize,
    pub(super) load: Arc<Load>,
}

/// The targets of another rollout, and who takes which.
struct Other<'e> {
    targets: &'e [Target],
    carried: &'e Carried,
    /// For each target of ours those of theirs that are about the same package.
    same: Vec<Vec<usize>>,
}

/// Other rollouts, as the targets of one see them.
pub(super) struct Elsewhere<'e>(Vec<Other<'e>>);

/// What others carry on an asset, one entry for each rollout: assets with equal entries are brought the same.
type Brought = Vec<Option<Same<Load>>>;

impl<'e> Elsewhere<'e> {
    /// How `others` look to a rollout of `targets`.
    pub(super) fn new(targets: &[Target], others: Vec<(&'e [Target], &'e Carried)>) -> Self {
        let others = others.into_iter().map(|(theirs, carried)| {
            let mut by_package: Lookup<_, Vec<usize>> = Lookup::default();
            for (index, target) in theirs.iter().enumerate() {
                by_package.entry(package(target)).or_default().push(index);
            }
            let same = |t: &Target| by_package.get(&package(t)).cloned().unwrap_or_default();
            Other {
                targets: theirs,
                carried,
                same: targets.iter().map(same).collect(),
            }
        });
        Self(others.collect())
    }

    fn on(&self, asset: u32) -> Brought {
        let of = |other: &Other<'_>| other.carried.get(&asset).map(|place| Same::of(&place.load));
        self.0.iter().map(of).collect()
    }

    /// Whether another rollout brings the package of our target to `version` or beyond.
    fn brings(&self, brought: &Brought, target: usize, version: &str) -> bool {
        self.0.iter().zip(brought).any(|(other, load)| {
            let same = other.same.get(target).into_iter().flatten();
            let mut taken = same.filter(|t| load.as_ref().is_some_and(|l| l.0.targets.contains(t)));
            taken.any(|t| {
                let theirs = other.targets.get(*t);
                theirs.is_some_and(|t| compare(t.scheme, version, &t.version).is_le())
            })
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
        let version = |t: usize| targets.get(t).map_or("", |t| t.version.as_ref());
        let mut own: BTreeSet<(usize, usize)> = BTreeSet::new();
        let mut seen = Seen::default();
        for (wave, members) in waves.iter().enumerate() {
            for member in members {
                let brought = self.on(member.asset);
                let alike = (wave, Same::of(&member.load), brought);
                if !seen.contains(&alike) {
                    let mine = member.targets().iter().copied();
                    own.extend(
                        mine.filter(|t| !self.brings(&alike.2, *t, version(*t)))
                            .map(|t| (wave, t)),
                    );
                    seen.insert(alike);
                }
            }
        }
        let needed_by: Vec<BTreeSet<usize>> = (0..waves.len())
            .map(|wave| {
                let ancestors = |w: usize| graph.ancestors.get(w).is_some_and(|a| a.contains(&wave));
                own.iter().filter(|(w, _)| ancestors(*w)).map(|(_, t)| *t).collect()
            })
            .collect();
        for ((wave, members), proves) in waves.iter_mut().enumerate().zip(&needed_by) {
            let mut known: Lookup<_, Arc<Load>> = Lookup::default();
            for member in members.iter_mut() {
                let list = ctx.assessment.list_of.get(member.asset as usize).copied();
                let alike = (wave, list, Same::of(&member.load), self.on(member.asset));
                let left = known.entry(alike).or_insert_with_key(|(.., load, brought)| {
                    let keeps = |t: usize| !self.brings(brought, t, version(t)) || proves.contains(&t);
                    let left = load.0.only(keeps);
                    Arc::new(self.counted(ctx, targets, covers, member.asset, brought, left))
                });
                member.load = Arc::clone(left);
            }
            members.retain(|m| !m.targets().is_empty());
        }
    }

    /// Findings and deadlines of what the members take, without those that others meet.
    pub(super) fn count<'m>(
        &self,
        ctx: &Context<'_>,
        targets: &[Target],
        covers: &Covers,
        members: impl Iterator<Item = &'m mut Member>,
    ) {
        if self.0.is_empty() {
            return;
        }
        let mut known: Lookup<_, Arc<Load>> = Lookup::default();
        for member in members {
            let list = ctx.assessment.list_of.get(member.asset as usize).copied();
            let alike = (list, Same::of(&member.load), self.on(member.asset));
            let left = known.entry(alike).or_insert_with_key(|(_, load, brought)| {
                let load = Load::clone(&load.0);
                Arc::new(self.counted(ctx, targets, covers, member.asset, brought, load))
            });
            member.load = Arc::clone(left);
        }
    }

    fn counted(
        &self,
        ctx: &Context<'_>,
        targets: &[Target],
        covers: &Covers,
        asset: u32,
        brought: &Brought,
        load: Load,
    ) -> Load {
        let target_of = |hit: u32| covers.get(hit as usize).copied().flatten();
        let taken: BTreeSet<usize> = load.targets.iter().copied().collect();
        // What is refused here counts on; only what another rollout brings is its business.
        let stays = |hit: &u32| {
            let left = target_of(*hit).filter(|t| !taken.contains(t));
            let left = left.and_then(|t| Some((t, targets.get(t)?)));
            !left.is_some_and(|(t, target)| self.brings(brought, t, &target.version))
        };
        let hits: Arc<[u32]> = load.hits.iter().copied().filter(stays).collect();
        let kept: BTreeSet<u32> = hits.iter().copied().collect();
        let mut deadline = None;
        for row in ctx
            .assessment
            .rows(asset as usize)
            .iter()
            .filter(|r| kept.contains(&r.hit))
        {
            let fixed = ctx.goal(row.hit);
            let Some((target, fixed)) = target_of(row.hit).filter(|t| *t < targets.len()).zip(fixed) else {
                continue;
            };
            if !self.brings(brought, target, fixed) {
                deadline = earlier(deadline, ctx.judgement(row.judgement).and_then(|j| j.deadline));
            }
        }
        Load { hits, deadline, ..load }
    }
}

/// What a target is about, whatever its version order.
fn package(target: &Target) -> (&str, &str, Option<&str>, &str, &str) {
    let module = target.module.as_deref();
    (&target.name, &target.arch, module, &target.os_id, &target.os_major)
}

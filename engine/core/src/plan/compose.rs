//! Which rollouts there are after this run: the open ones, those that newcomers change, those cut now; and what waits.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use super::Waiting;
use super::budget::{Bookings, Budgets};
use super::calendar::Calendars;
use super::candidates::{Candidates, Gathered};
use super::carry::{Covers, Load};
use super::context::{Context, Said};
use super::cut::{self, Cycle};
use super::elsewhere::{Carried, Elsewhere};
use super::prepare::{Draft, Prepared, prepare};
use super::schedule::{later, schedule};
use super::shared::Same;
use crate::assess::Row;
use crate::history::{OpenRollout, Target};
use crate::load::Resource;
use crate::load::wire::{Lane, PatchPolicySpec};
use crate::lookup::Seen;

/// The rollouts of a plan before they have times.
pub(super) struct Composition<'a> {
    pub(super) prepared: Vec<Prepared<'a>>,
    pub(super) waiting: Vec<Waiting>,
    /// Cadence instants dealt with.
    pub(super) cuts: Vec<(Arc<str>, Timestamp)>,
}

pub(super) struct Composer<'a, 'c> {
    pub(super) ctx: &'a Context<'a>,
    pub(super) calendars: &'c mut Calendars,
    pub(super) budgets: &'c Budgets,
    pub(super) said: &'c mut Said,
    pub(super) taken: BTreeSet<Arc<str>>,
    pub(super) rollouts: Vec<(Prepared<'a>, Carried)>,
    /// When each wave of the rollouts so far is planned to finish, by position in the strategy.
    finishes: Vec<Vec<Option<Timestamp>>>,
    /// What the rollouts so far would take, for asking what another one would find.
    pub(super) bookings: Bookings,
    /// Candidates of this run that are refused for good: they do not wait.
    pub(super) refused: Gathered,
}

/// Composes the rollouts of this run.
pub(super) fn compose<'a>(
    ctx: &'a Context<'a>,
    calendars: &mut Calendars,
    budgets: &Budgets,
    running: &Bookings,
    said: &mut Said,
) -> Composition<'a> {
    let taken = ctx
        .history
        .names
        .iter()
        .chain(ctx.history.open.iter().map(|o| &o.name))
        .cloned()
        .collect();
    let mut composer = Composer {
        ctx,
        calendars,
        budgets,
        said,
        taken,
        rollouts: Vec::new(),
        finishes: Vec::new(),
        bookings: running.clone(),
        refused: Gathered::default(),
    };
    // What was there first keeps what it carries; whatever comes later carries the rest.
    let mut open: Vec<&OpenRollout> = ctx.history.open.iter().collect();
    open.sort_by_key(|o| (o.lane == Lane::Routine, o.cut, &o.name));
    open.into_iter().for_each(|open| composer.take_up(open));
    let (mut left, mut cuts) = (Vec::new(), Vec::new());
    for (name, found) in cut::candidates(ctx) {
        let Some(policy) = ctx.catalog.policies.get(&name) else {
            continue;
        };
        let next = composer.policy(policy, &found, &mut cuts);
        left.extend(next.map(|next| (policy, found, next)));
    }
    composer.settle();
    // Last of all: a rollout of any policy may carry what another one would wait with.
    let left = left.iter();
    let mut waiting: Vec<Waiting> = left
        .filter_map(|(policy, found, next)| composer.waits(policy, found, *next))
        .collect();
    waiting.sort_by(|a: &Waiting, b| (&a.policy, a.cut).cmp(&(&b.policy, b.cut)));
    Composition {
        prepared: composer.rollouts.into_iter().map(|(p, _)| p).collect(),
        waiting,
        cuts,
    }
}

impl<'a> Composer<'a, '_> {
    /// An open rollout as it stands.
    fn take_up(&mut self, open: &'a OpenRollout) {
        let policy = self.ctx.catalog.policies.get(&open.policy);
        let strategy = self.ctx.catalog.strategies.get(&open.strategy);
        let (Some(policy), Some(strategy)) = (policy, strategy) else {
            let gone = if policy.is_none() {
                format!("policy {}", open.policy)
            } else {
                format!("strategy {}", open.strategy)
            };
            self.said.note(
                &open.name,
                format!("{gone} is gone: the rollout cannot go on; close it or bring it back"),
            );
            return;
        };
        for wave in open
            .waves
            .iter()
            .filter(|w| !strategy.spec.waves.iter().any(|s| *s.name == *w.name))
        {
            let message = format!(
                "strategy {} has no wave {} any more; what it holds stays as it is",
                strategy.name, wave.name
            );
            self.said.note(&open.name, message);
        }
        let draft = Draft {
            name: Arc::clone(&open.name),
            policy,
            strategy,
            lane: open.lane,
            revision: open.revision,
            cut: open.cut,
            expedited: open.expedited,
            restarts: open.restarts,
            targets: open.targets.clone(),
            open: Some(open),
            earliest: self.ctx.now,
        };
        let prepared = self.prepare(draft, &[]);
        self.push(prepared);
    }

    /// Prepares a draft among the rollouts there are and those in `also`.
    pub(super) fn prepare(&self, draft: Draft<'a>, also: &[Prepared<'a>]) -> Prepared<'a> {
        self.prepare_after(self.rollouts.len(), draft, also)
    }

    /// An emergency rollout takes what cannot wait, whoever else would bring it later. A routine one leaves to others
    /// what they carry: to any emergency rollout, and to the first `first` rollouts.
    fn prepare_after(&self, first: usize, draft: Draft<'a>, also: &[Prepared<'a>]) -> Prepared<'a> {
        let counts = |p: &Prepared<'_>, index: usize| {
            let urgent = p.draft.lane == Lane::Emergency;
            p.draft.name != draft.name && (urgent || (draft.lane == Lane::Routine && index < first))
        };
        let also: Vec<(&Prepared<'_>, Carried)> = also.iter().map(|p| (p, p.carried())).collect();
        let there = self.rollouts.iter().enumerate();
        let there = there.filter(|(i, (p, _))| counts(p, *i)).map(|(_, (p, c))| (p, c));
        let new = also.iter().filter(|(p, _)| counts(p, 0)).map(|(p, c)| (*p, c));
        let elsewhere: Vec<(&[Target], &Carried)> =
            there.chain(new).map(|(p, c)| (p.draft.targets.as_slice(), c)).collect();
        let elsewhere = Elsewhere::new(&draft.targets, elsewhere);
        prepare(self.ctx, self.calendars, self.budgets, draft, &elsewhere)
    }

    /// What emergency rollouts cut in this run took over leaves the routine ones at once, not at the next run.
    fn settle(&mut self) {
        let is_new = |p: &Prepared<'_>| p.draft.open.is_none() && p.draft.lane == Lane::Emergency;
        if !self.rollouts.iter().any(|(p, _)| is_new(p)) {
            return;
        }
        for index in 0..self.rollouts.len() {
            let routine = self.rollouts.get(index).filter(|(p, _)| p.draft.lane == Lane::Routine);
            let Some(draft) = routine.map(|(p, _)| p.draft.clone()) else {
                continue;
            };
            let again = self.prepare_after(index, draft, &[]);
            let carried = again.carried();
            if let Some(slot) = self.rollouts.get_mut(index) {
                *slot = (again, carried);
            }
        }
        self.rollouts.retain(|(p, _)| p.draft.open.is_some() || !p.is_empty());
    }

    pub(super) fn push(&mut self, prepared: Prepared<'a>) {
        let waves = schedule(self.ctx, self.calendars, self.budgets, &mut self.bookings, &prepared);
        let carried = prepared.carried();
        self.finishes.push(finishes(&prepared, &waves));
        self.rollouts.push((prepared, carried));
    }

    /// What the rollouts there are carry on an asset: whatever they carry of a finding, they carry of every asset like it.
    fn loads(&self, asset: u32) -> Vec<Option<Same<Load>>> {
        let of = |(_, carried): &(Prepared<'_>, Carried)| carried.get(&asset).map(|place| Same::of(&place.load));
        self.rollouts.iter().map(of).collect()
    }

    /// The candidates that a rollout carries, or those that none does.
    pub(super) fn carried(&self, candidates: &Candidates, wanted: bool) -> Candidates {
        let covers: Vec<&Covers> = self.rollouts.iter().map(|(p, _)| &p.covers).collect();
        candidates.filter(
            |asset| self.loads(asset),
            |_, loads, row| {
                let mut each = loads.iter().zip(&covers);
                each.any(|(load, covers)| load.as_ref().is_some_and(|l| takes(&l.0, covers, row))) == wanted
            },
        )
    }

    /// The candidates no rollout carries, except one that must be overtaken: an open routine rollout that is too late for
    /// a finding of the emergency lane, unless it has begun on the asset.
    pub(super) fn free(&self, candidates: &Candidates) -> Candidates {
        if self.rollouts.is_empty() {
            return candidates.clone();
        }
        let begun: Vec<Seen<u32>> = self.rollouts.iter().map(|(p, _)| p.begun()).collect();
        let wave_of = |asset: u32, carried: &Carried| carried.get(&asset).map(|place| place.wave);
        let place = |asset: u32| {
            let each = self.rollouts.iter().zip(&begun);
            let places = each.map(|((_, carried), begun)| (wave_of(asset, carried), begun.contains(&asset)));
            (self.loads(asset), places.collect::<Vec<_>>())
        };
        candidates.filter(place, |_, (loads, places), row| {
            let judgement = self.ctx.judgement(row.judgement);
            let urgent = judgement.filter(|j| j.lane == Lane::Emergency).and_then(|j| j.deadline);
            let mut each = self.rollouts.iter().zip(&self.finishes).zip(loads.iter().zip(places));
            !each.any(|(((prepared, _), finishes), (load, (wave, begun)))| {
                let in_time = || {
                    let Some(deadline) = urgent.filter(|_| prepared.draft.open.is_some()) else {
                        return true;
                    };
                    let finish = wave.and_then(|w| finishes.get(w).copied().flatten());
                    prepared.draft.lane == Lane::Emergency || *begun || finish.is_some_and(|f| f <= deadline)
                };
                load.as_ref().is_some_and(|l| takes(&l.0, &prepared.covers, row)) && in_time()
            })
        })
    }

    /// Cuts what the policy cuts now. Answers when it cuts what is left, none where nothing is.
    fn policy(
        &mut self,
        policy: &'a Resource<PatchPolicySpec>,
        found: &Candidates,
        cuts: &mut Vec<(Arc<str>, Timestamp)>,
    ) -> Option<Option<Timestamp>> {
        let cycle = cut::cycle(self.ctx, policy);
        if let (Cycle::Cuts(instant), Some(_)) = (&cycle, &policy.spec.cadence) {
            cuts.push((Arc::clone(&policy.name), *instant));
        }
        let free = self.free(found);
        if free.is_empty() {
            return None;
        }
        let next = match cycle {
            Cycle::Observes => {
                let message = format!("{} finding(s) are only reported: `mode: observe`", free.count());
                self.said.note(&policy.name, message);
                return None;
            }
            Cycle::Paused(until) => {
                self.said
                    .note(&policy.name, format!("paused until {until}: nothing new is cut"));
                cut::after_pause(self.ctx, policy, until)
            }
            Cycle::Cuts(instant) => {
                self.join(policy, &free, found, (Lane::Routine, false));
                self.join(policy, &free, found, (Lane::Emergency, true));
                self.cut_all(policy, &self.free(found), found, instant);
                cut::next_cut(self.ctx.catalog, policy, later(self.ctx.now, 1))
            }
            Cycle::Waits(next) => {
                self.join(policy, &free, found, (Lane::Routine, false));
                self.cut_late(policy, &self.free(found), found, next);
                next
            }
        };
        Some(next)
    }

    /// What of a policy's findings waits for `next`: neither carried nor refused.
    fn waits(
        &mut self,
        policy: &Resource<PatchPolicySpec>,
        found: &Candidates,
        next: Option<Timestamp>,
    ) -> Option<Waiting> {
        // What an open rollout refuses is refused, at this run as at the one that cut it.
        let own = self.rollouts.iter().filter(|(p, _)| p.draft.policy.name == policy.name);
        let refused: Vec<Candidates> = own.map(|(p, _)| super::cutting::refused_of(p, found)).collect();
        refused.iter().for_each(|r| self.refused.extend(r));
        let left = self.carried(found, false);
        let left = left.filter(
            |asset| self.refused.of(asset).iter().map(Same::of).collect::<Vec<_>>(),
            |asset, _, row| !self.refused.contains(asset, row),
        );
        let left = left.count();
        if left == 0 {
            return None;
        }
        let Some(cut) = next else {
            let message = format!("{left} finding(s) wait, and its cadence has no further instant");
            self.said.note(&policy.name, message);
            return None;
        };
        Some(Waiting {
            policy: Arc::clone(&policy.name),
            cut,
            findings: left,
        })
    }
}

/// When each wave of a strategy finishes, as scheduled; none for waves without assets or without a place in time.
pub(super) fn finishes(prepared: &Prepared<'_>, waves: &[super::Wave]) -> Vec<Option<Timestamp>> {
    let finish = |wave: usize| {
        let name = prepared.draft.strategy.spec.waves.get(wave).map(|w| w.name.as_str());
        let planned = waves.iter().find(|w| Some(w.name.as_ref()) == name)?;
        let all: Option<Vec<Timestamp>> = planned.batches.iter().map(|b| b.finish).collect();
        all?.into_iter().max()
    };
    (0..prepared.waves.len()).map(finish).collect()
}

/// Whether a load closes a finding.
pub(super) fn takes(load: &Load, covers: &Covers, row: &Row) -> bool {
    let target = covers.get(row.hit as usize).copied().flatten();
    target.is_some_and(|target| load.targets.contains(&target))
}

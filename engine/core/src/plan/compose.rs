//! Which rollouts there are after this run: the open ones, those that newcomers change, those cut now; and what waits.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use super::Waiting;
use super::budget::{Bookings, Budgets};
use super::calendar::Calendars;
use super::context::{Candidate, Context, Said};
use super::cut::{self, Cycle, RESTARTS_MAX};
use super::elsewhere::{Carried, Elsewhere};
use super::limits::{self, Start};
use super::prepare::{Draft, Prepared, prepare};
use super::schedule::{later, schedule};
use super::targets;
use crate::history::{OpenRollout, Target};
use crate::load::Resource;
use crate::load::wire::{Lane, PatchPolicySpec, RolloutStrategySpec};

/// The rollouts of a plan before they have times.
pub(super) struct Composition<'a> {
    pub(super) prepared: Vec<Prepared<'a>>,
    pub(super) waiting: Vec<Waiting>,
    /// Cadence instants dealt with.
    pub(super) cuts: Vec<(Arc<str>, Timestamp)>,
}

struct Composer<'a, 'c> {
    ctx: &'a Context<'a>,
    calendars: &'c mut Calendars,
    budgets: &'c Budgets,
    said: &'c mut Said,
    taken: BTreeSet<Arc<str>>,
    rollouts: Vec<(Prepared<'a>, Carried)>,
    /// When each wave of the rollouts so far is planned to finish, by position in the strategy.
    finishes: Vec<Vec<Option<Timestamp>>>,
    /// What the rollouts so far would take, for asking what another one would find.
    bookings: Bookings,
    /// Candidates of this run that are refused for good: they do not wait.
    refused: BTreeSet<Candidate>,
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
        refused: BTreeSet::new(),
    };
    // What was there first keeps what it carries; whatever comes later carries the rest.
    let mut open: Vec<&OpenRollout> = ctx.history.open.iter().collect();
    open.sort_by_key(|o| (o.lane == Lane::Routine, o.cut, &o.name));
    open.into_iter().for_each(|open| composer.take_up(open));
    let (mut waiting, mut cuts) = (Vec::new(), Vec::new());
    for (name, found) in cut::candidates(ctx) {
        let Some(policy) = ctx.catalog.policies.get(&name) else {
            continue;
        };
        composer.policy(policy, &found, &mut waiting, &mut cuts);
    }
    composer.settle();
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
    fn prepare(&self, draft: Draft<'a>, also: &[Prepared<'a>]) -> Prepared<'a> {
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
        prepare(self.ctx, self.calendars, self.budgets, draft, &Elsewhere(elsewhere))
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

    fn push(&mut self, prepared: Prepared<'a>) {
        let waves = schedule(self.ctx, self.calendars, self.budgets, &mut self.bookings, &prepared);
        let carried = prepared.carried();
        self.finishes.push(finishes(&prepared, &waves));
        self.rollouts.push((prepared, carried));
    }

    fn is_carried(&self, candidate: Candidate) -> bool {
        self.rollouts
            .iter()
            .any(|(prepared, carried)| carries(prepared, carried, candidate))
    }

    /// Whether a rollout carries it that need not be overtaken: an open routine rollout that is too late for a finding of
    /// the emergency lane must, unless it has begun on the asset.
    fn is_carried_in_time(&self, candidate: Candidate) -> bool {
        let judgement = self.ctx.judgement(candidate.judgement);
        let urgent = judgement.filter(|j| j.lane == Lane::Emergency).and_then(|j| j.deadline);
        let in_time = |(prepared, carried): &(Prepared<'_>, Carried), finishes: &[Option<Timestamp>]| {
            let Some(deadline) = urgent.filter(|_| prepared.draft.open.is_some()) else {
                return true;
            };
            let Some((wave, _)) = carried.get(&candidate.asset) else {
                return true;
            };
            let begun = prepared.waves.get(*wave).is_some_and(|w| w.has_begun(candidate.asset));
            let finish = finishes.get(*wave).copied().flatten();
            prepared.draft.lane == Lane::Emergency || begun || finish.is_some_and(|f| f <= deadline)
        };
        let mut rollouts = self.rollouts.iter().zip(&self.finishes);
        rollouts.any(|(rollout, finishes)| carries(&rollout.0, &rollout.1, candidate) && in_time(rollout, finishes))
    }

    fn free(&self, candidates: &[Candidate]) -> Vec<Candidate> {
        let free = candidates.iter().copied();
        free.filter(|c| !self.is_carried_in_time(*c)).collect()
    }

    fn policy(
        &mut self,
        policy: &'a Resource<PatchPolicySpec>,
        found: &[Candidate],
        waiting: &mut Vec<Waiting>,
        cuts: &mut Vec<(Arc<str>, Timestamp)>,
    ) {
        let cycle = cut::cycle(self.ctx, policy);
        if let (Cycle::Cuts(instant), Some(_)) = (&cycle, &policy.spec.cadence) {
            cuts.push((Arc::clone(&policy.name), *instant));
        }
        let free = self.free(found);
        if free.is_empty() {
            return;
        }
        let next = match cycle {
            Cycle::Observes => {
                let message = format!("{} finding(s) are only reported: `mode: observe`", free.len());
                self.said.note(&policy.name, message);
                return;
            }
            Cycle::Paused(until) => {
                self.said
                    .note(&policy.name, format!("paused until {until}: nothing new is cut"));
                cut::after_pause(self.ctx, policy, until)
            }
            Cycle::Cuts(instant) => {
                self.join(policy, &free, &free, (Lane::Routine, false));
                self.join(policy, &free, &free, (Lane::Emergency, true));
                self.cut_all(policy, &self.free(found), instant);
                cut::next_cut(self.ctx.catalog, policy, later(self.ctx.now, 1))
            }
            Cycle::Waits(next) => {
                self.join(policy, &free, &free, (Lane::Routine, false));
                self.cut_late(policy, &self.free(found), next);
                next
            }
        };
        let left = found
            .iter()
            .filter(|c| !self.is_carried(**c) && !self.refused.contains(*c));
        let left = left.count();
        match next {
            Some(cut) if left > 0 => waiting.push(Waiting {
                policy: Arc::clone(&policy.name),
                cut,
                findings: left,
            }),
            None if left > 0 => {
                self.said.note(
                    &policy.name,
                    format!("{left} finding(s) wait, and its cadence has no further instant"),
                );
            }
            _ => {}
        }
    }

    /// Everything now: what a rule puts into the emergency lane there, the rest into a routine rollout.
    fn cut_all(&mut self, policy: &'a Resource<PatchPolicySpec>, free: &[Candidate], instant: Timestamp) {
        let emergency = self.in_lane(free, Lane::Emergency);
        let urgent = self.draft(policy, &emergency, free, (Lane::Emergency, self.ctx.now, false), &[]);
        let mut new: Vec<Prepared<'a>> = urgent.into_iter().collect();
        let rest: Vec<Candidate> = self.in_lane(free, Lane::Routine);
        let rest: Vec<Candidate> = rest
            .into_iter()
            .filter(|c| !new.iter().any(|p| carries(p, &p.carried(), *c)))
            .collect();
        let regular = self.draft(policy, &rest, free, (Lane::Routine, instant, false), &new);
        new.extend(regular);
        self.start(policy, new, free);
    }

    /// What would be too late at the next instant goes at once, alone with others like it.
    fn cut_late(&mut self, policy: &'a Resource<PatchPolicySpec>, free: &[Candidate], next: Option<Timestamp>) {
        if free.is_empty() {
            return;
        }
        let late = self.late(policy, free, next);
        let emergency = self.in_lane(&late, Lane::Emergency);
        self.join(policy, &emergency, free, (Lane::Emergency, true));
        let emergency = self.free(&emergency);
        let urgent = self.draft(policy, &emergency, free, (Lane::Emergency, self.ctx.now, true), &[]);
        let routine = self.in_lane(&late, Lane::Routine);
        self.join(policy, &routine, free, (Lane::Routine, true));
        let mut new: Vec<Prepared<'a>> = urgent.into_iter().collect();
        let routine = self.free(&routine);
        let routine: Vec<Candidate> = routine
            .into_iter()
            .filter(|c| !new.iter().any(|p| carries(p, &p.carried(), *c)))
            .collect();
        let needed = self.with_companions(policy, &routine, free);
        let expedited = self.draft(policy, &needed, free, (Lane::Routine, self.ctx.now, true), &new);
        new.extend(expedited);
        self.start(policy, new, free);
    }

    fn in_lane(&self, candidates: &[Candidate], lane: Lane) -> Vec<Candidate> {
        let is = |c: &&Candidate| self.ctx.judgement(c.judgement).is_some_and(|j| j.lane == lane);
        candidates.iter().filter(is).copied().collect()
    }

    /// The candidates whose deadline lies before the finish of their own wave, if all were cut at `next`: those of the
    /// emergency lane in that lane, the others after them.
    fn late(
        &mut self,
        policy: &'a Resource<PatchPolicySpec>,
        free: &[Candidate],
        next: Option<Timestamp>,
    ) -> Vec<Candidate> {
        let Some(next) = next else { return free.to_vec() };
        let Some(strategy) = self.ctx.catalog.strategies.get(policy.spec.rollout.as_str()) else {
            return Vec::new();
        };
        let mut late = Vec::new();
        let mut bookings = self.bookings.clone();
        let mut cut: Vec<Prepared<'a>> = Vec::new();
        for lane in [Lane::Emergency, Lane::Routine] {
            let here = self.in_lane(free, lane);
            if here.is_empty() {
                continue;
            }
            let draft = Draft {
                name: lane.as_str().into(),
                policy,
                strategy,
                lane,
                revision: 1,
                cut: next,
                expedited: false,
                restarts: 0,
                targets: self.targets(policy, &here, free, &[]),
                open: None,
                earliest: next,
            };
            let prepared = self.prepare(draft, &cut);
            let waves = schedule(self.ctx, self.calendars, self.budgets, &mut bookings, &prepared);
            self.too_late(&prepared, &waves, &here, &mut late);
            // Better said now than at the next cut.
            self.said.refusals.extend(prepared.refusals.iter().cloned());
            cut.push(prepared);
        }
        // What a rollout under way brings too late is not left to the next cut.
        late.extend(free.iter().copied().filter(|c| self.is_carried(*c)));
        late.sort_unstable();
        late.dedup();
        late
    }

    /// Adds to `late` those of `here` that `prepared`, placed as `waves`, would bring after their deadline.
    fn too_late(
        &mut self,
        prepared: &Prepared<'a>,
        waves: &[super::Wave],
        here: &[Candidate],
        late: &mut Vec<Candidate>,
    ) {
        let finishes = finishes(prepared, waves);
        let carried = prepared.carried();
        for candidate in here {
            let target = prepared.covers.get(candidate.hit as usize).copied().flatten();
            let place = carried
                .get(&candidate.asset)
                .filter(|(_, t)| target.is_some_and(|target| t.contains(&target)));
            let Some((wave, _)) = place else {
                if target.is_some_and(|t| prepared.refused.contains(&(candidate.asset, t))) {
                    self.refused.insert(*candidate);
                }
                continue;
            };
            let deadline = self.ctx.judgement(candidate.judgement).and_then(|j| j.deadline);
            let finish = finishes.get(*wave).copied().flatten();
            if deadline.is_some_and(|d| finish.is_none_or(|f| d < f)) {
                late.push(*candidate);
            }
        }
    }

    /// A late finding takes the version that fixes all approved findings of its package, but nothing so young that it
    /// would have to wait for it.
    fn with_companions(
        &self,
        policy: &Resource<PatchPolicySpec>,
        late: &[Candidate],
        free: &[Candidate],
    ) -> Vec<Candidate> {
        let min_age = policy.spec.release.min_age.seconds();
        let released = |c: &Candidate| {
            let advisory = self
                .ctx
                .hit(c.hit)
                .and_then(|h| self.ctx.observation.advisories.get(h.advisory as usize));
            advisory.map_or(self.ctx.now, |a| later(self.ctx.known_since(a), min_age))
        };
        let Some(by) = late.iter().map(released).max().map(|at| at.max(self.ctx.now)) else {
            return Vec::new();
        };
        let keys: BTreeSet<_> = late
            .iter()
            .filter_map(|c| self.ctx.key_of_hit.get(c.hit as usize))
            .collect();
        let like = |c: &&Candidate| {
            let same = self
                .ctx
                .key_of_hit
                .get(c.hit as usize)
                .is_some_and(|k| keys.contains(k));
            same && released(c) <= by
        };
        free.iter().filter(like).copied().collect()
    }

    fn targets(
        &self,
        policy: &Resource<PatchPolicySpec>,
        needed: &[Candidate],
        approved: &[Candidate],
        already: &[Target],
    ) -> Vec<Target> {
        let versions = targets::versions(self.ctx, policy, needed, approved, already);
        let mut targets: Vec<Target> = versions.iter().map(|(key, version)| key.at(version)).collect();
        targets.sort_unstable();
        targets
    }

    /// A new rollout for `needed`, beside those of `also`, if any asset can take any of it.
    fn draft(
        &mut self,
        policy: &'a Resource<PatchPolicySpec>,
        needed: &[Candidate],
        approved: &[Candidate],
        (lane, cut, expedited): (Lane, Timestamp, bool),
        also: &[Prepared<'a>],
    ) -> Option<Prepared<'a>> {
        let strategy: &'a Resource<RolloutStrategySpec> =
            self.ctx.catalog.strategies.get(policy.spec.rollout.as_str())?;
        if needed.is_empty() {
            return None;
        }
        let draft = Draft {
            name: "".into(),
            policy,
            strategy,
            lane,
            revision: 1,
            cut,
            expedited,
            restarts: 0,
            targets: self.targets(policy, needed, approved, &[]),
            open: None,
            earliest: self.ctx.now,
        };
        let mut prepared = self.without_unused(draft, needed, &[], also);
        for candidate in approved {
            let target = prepared.covers.get(candidate.hit as usize).copied().flatten();
            if target.is_some_and(|t| prepared.refused.contains(&(candidate.asset, t))) {
                self.refused.insert(*candidate);
            }
        }
        self.said.refusals.extend(prepared.refusals.iter().cloned());
        if prepared.is_empty() {
            return None;
        }
        prepared.draft.name = cut::name(self.ctx.catalog, policy, cut, lane, &mut self.taken);
        Some(prepared)
    }

    /// Prepares a draft and leaves out targets, those in `kept` aside, that help none of the findings it is for: others
    /// may lack them too, but on their account alone nothing is started.
    fn without_unused(
        &mut self,
        draft: Draft<'a>,
        needed: &[Candidate],
        kept: &[Target],
        also: &[Prepared<'a>],
    ) -> Prepared<'a> {
        let prepared = self.prepare(draft.clone(), also);
        let carried = prepared.carried();
        let helped = needed.iter().filter(|c| carries(&prepared, &carried, **c));
        let used: BTreeSet<usize> = helped
            .filter_map(|c| prepared.covers.get(c.hit as usize).copied().flatten())
            .collect();
        let stays = |(index, target): &(usize, &Target)| used.contains(index) || kept.contains(target);
        if draft.targets.iter().enumerate().all(|t| stays(&t)) {
            return prepared;
        }
        let targets = draft.targets.iter().enumerate();
        let targets = targets.filter(stays).map(|(_, t)| t.clone());
        let smaller = Draft {
            targets: targets.collect(),
            ..draft
        };
        let mut again = self.prepare(smaller, also);
        // What was refused with the larger set is refused still; its targets are only not part of the set.
        let refusals: BTreeSet<_> = again.refusals.drain(..).chain(prepared.refusals).collect();
        again.refusals = refusals.into_iter().collect();
        for (hit, target) in prepared.covers.iter().enumerate() {
            let Some(target) = target.filter(|t| !used.contains(t)) else {
                continue;
            };
            let Ok(hit) = u32::try_from(hit) else { continue };
            let refused = prepared.refused.iter().filter(|(_, t)| *t == target);
            for (asset, _) in refused {
                let rows = self
                    .ctx
                    .assessment
                    .rows(*asset as usize)
                    .iter()
                    .filter(|r| r.hit == hit);
                self.refused.extend(rows.map(|r| Candidate {
                    asset: *asset,
                    hit: r.hit,
                    judgement: r.judgement,
                }));
            }
        }
        again
    }

    /// Lets newcomers into an open rollout of the same policy and lane while its first wave is unapproved. The version is
    /// the one that fixes everything `approved` of its package, as when it is cut: of both lanes.
    fn join(
        &mut self,
        policy: &'a Resource<PatchPolicySpec>,
        newcomers: &[Candidate],
        approved: &[Candidate],
        (lane, expedited): (Lane, bool),
    ) {
        let newcomers = self.in_lane(newcomers, lane);
        let newcomers = self.free(&newcomers);
        let joinable = |p: &Prepared<'_>| {
            let open = p.draft.open.filter(|o| !o.frozen && o.restarts < RESTARTS_MAX);
            // A regular rollout carries everything of its policy; an expedited one only what cannot wait.
            let kind = lane == Lane::Emergency || p.draft.expedited == expedited;
            open.is_some() && kind && p.draft.policy.name == policy.name && p.draft.lane == lane
        };
        let Some(position) = self.rollouts.iter().position(|(p, _)| joinable(p)) else {
            return;
        };
        if newcomers.is_empty() {
            return;
        }
        let Some((old, _)) = self.rollouts.get(position) else {
            return;
        };
        let Some(open) = old.draft.open else { return };
        let targets = self.targets(policy, &newcomers, approved, &open.targets);
        let draft = Draft {
            targets,
            ..old.draft.clone()
        };
        let mut prepared = self.without_unused(draft, &newcomers, &open.targets, &[]);
        if prepared.draft.targets == open.targets {
            return;
        }
        prepared.draft.revision = open.revision + 1;
        prepared.draft.restarts = open.restarts + 1;
        self.said.note(
            &open.name,
            format!(
                "takes newcomers in as revision {} (restart {} of {RESTARTS_MAX})",
                open.revision + 1,
                open.restarts + 1
            ),
        );
        let carried = prepared.carried();
        if let Some(slot) = self.rollouts.get_mut(position) {
            *slot = (prepared, carried);
        }
    }

    /// Starts what is new, unless it is more than the policy allows in one run.
    fn start(&mut self, policy: &'a Resource<PatchPolicySpec>, new: Vec<Prepared<'a>>, free: &[Candidate]) {
        let emergency = new.iter().filter(|p| p.draft.lane == Lane::Emergency);
        let emergency_assets: usize = emergency.map(Prepared::asset_count).sum();
        let limited = policy.spec.limits.emergency_assets.is_some() && emergency_assets > 0;
        let scope = if limited {
            self.ctx.in_scope(&policy.name).len()
        } else {
            0
        };
        let start = Start {
            emergency_assets,
            scope,
            new_rollouts: new.len(),
        };
        match limits::broken(self.ctx, policy, &start) {
            None => new.into_iter().for_each(|prepared| self.push(prepared)),
            Some(refusal) => {
                let names: Vec<&str> = new.iter().map(|p| p.draft.name.as_ref()).collect();
                let detail = format!("{} not cut: {}", names.join(", "), refusal.detail);
                for prepared in &new {
                    let carried = prepared.carried();
                    self.refused
                        .extend(free.iter().filter(|c| carries(prepared, &carried, **c)));
                }
                self.said.refusals.insert(super::Refusal { detail, ..refusal });
            }
        }
    }
}

/// When each wave of a strategy finishes, as scheduled; none for waves without assets or without a place in time.
fn finishes(prepared: &Prepared<'_>, waves: &[super::Wave]) -> Vec<Option<Timestamp>> {
    let finish = |wave: usize| {
        let name = prepared.draft.strategy.spec.waves.get(wave).map(|w| w.name.as_str());
        let planned = waves.iter().find(|w| Some(w.name.as_ref()) == name)?;
        let all: Option<Vec<Timestamp>> = planned.batches.iter().map(|b| b.finish).collect();
        all?.into_iter().max()
    };
    (0..prepared.waves.len()).map(finish).collect()
}

fn carries(prepared: &Prepared<'_>, carried: &Carried, candidate: Candidate) -> bool {
    let target = prepared.covers.get(candidate.hit as usize).copied().flatten();
    let targets = carried.get(&candidate.asset).map(|(_, targets)| targets);
    target
        .zip(targets)
        .is_some_and(|(target, targets)| targets.contains(&target))
}

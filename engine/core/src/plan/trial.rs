//! Placing again with some fields changed, to see what an edit would do.
//!
//! An edit that only changes when things may happen (soak, sizes, openings, overrides, budgets, ages) leaves who is in
//! which rollout as it is, as long as that was not decided by times: then placing the same rollouts again, in the same
//! order, gives what planning from the edited resources gives. Everything else is planned in full.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Wave;
use super::binding::is_missed;
use super::budget::{Bookings, Budgets, Limit};
use super::calendar::Calendars;
use super::context::Context;
use super::edit::Edit;
use super::prepare::Prepared;
use super::schedule::{Terms, Without, schedule_under};
use crate::load::schedule;
use crate::load::wire::RolloutStrategySpec;

/// How many assets may be placed in trials of one run. Placing one takes a microsecond or two, so this is a few seconds
/// at worst, and thousands of trials for an estate of hundreds of assets; with 100 000 it is a look at each kind of edit
/// for one missed wave. It is counted, not timed, so that the same input gives the same bytes.
const PLACEMENTS_MAX: usize = 2_000_000;

/// What one asset costs in a plan from scratch, against placing it: most of that work is comparing versions.
const REPLAN_FACTOR: usize = 4;

/// A plan as it was placed, and all it takes to place it otherwise.
pub(super) struct Situation<'s, 'a> {
    pub(super) ctx: &'s Context<'a>,
    /// As they are written. A trial that changes none of them leaves what it worked out in [`Effort`].
    pub(super) calendars: &'s Calendars,
    pub(super) budgets: &'s Budgets,
    /// What runs already: the bookings before the first rollout is placed.
    pub(super) running: &'s Bookings,
    /// In the order of placing.
    pub(super) prepared: &'s [Prepared<'a>],
    /// The waves of each.
    pub(super) placed: &'s [Vec<Wave>],
    /// Which rollouts there are was decided by when things would finish.
    pub(super) is_timed: bool,
}

/// What is left of the work a run may spend on trials, and what trials have worked out for one another.
pub(super) struct Effort {
    left: usize,
    /// Something was not tried any more.
    pub(super) is_spent: bool,
    /// The calendars as they are written, with the openings known so far.
    calendars: Calendars,
}

impl Effort {
    pub(super) fn new(calendars: &Calendars) -> Self {
        Self {
            left: PLACEMENTS_MAX,
            is_spent: false,
            calendars: calendars.clone(),
        }
    }

    fn take(&mut self, placements: usize) -> Option<()> {
        match self.left.checked_sub(placements) {
            Some(left) => self.left = left,
            None => self.is_spent = true,
        }
        (!self.is_spent).then_some(())
    }
}

/// The fields an edit may change, changed.
struct Setting {
    /// None = as they are written.
    calendars: Option<Calendars>,
    budgets: Budgets,
    strategies: BTreeMap<Arc<str>, RolloutStrategySpec>,
    min_ages: BTreeMap<Arc<str>, i64>,
}

impl Setting {
    /// None where an edit changes more than when things may happen.
    fn new(situation: &Situation<'_, '_>, written: &Calendars, edits: &[Edit]) -> Option<Self> {
        let catalog = situation.ctx.catalog;
        let overrides = edits.iter().filter_map(|e| match e {
            Edit::Override { spec, .. } => Some(spec.as_ref()),
            _ => None,
        });
        let overrides: Vec<_> = overrides.collect();
        let mut setting = Self {
            calendars: (!overrides.is_empty()).then(|| written.lifted(situation.ctx, &overrides)),
            budgets: situation.budgets.clone(),
            strategies: BTreeMap::new(),
            min_ages: BTreeMap::new(),
        };
        let mut windows = BTreeMap::new();
        for edit in edits {
            match edit {
                Edit::Override { .. } => {}
                Edit::Soak { strategy, .. }
                | Edit::LaneSoak { strategy, .. }
                | Edit::Hold { strategy, .. }
                | Edit::Batches { strategy, .. } => {
                    let written = catalog.strategies.get(strategy)?;
                    let spec = setting.strategies.entry(Arc::clone(strategy));
                    edit.apply_to_strategy(spec.or_insert_with(|| written.spec.clone()));
                }
                Edit::Opening { window, schedule } => {
                    let written = catalog.windows.get(window)?;
                    let edited = windows.entry(window).or_insert_with(|| written.clone());
                    edited.spec.schedules.push(schedule.clone());
                }
                Edit::ClassBudget { class, to } => setting.budgets.set(&Limit::Class(Arc::clone(class)), *to),
                Edit::ServiceBudget { fleet, service, to } => {
                    let field = Limit::Most(Arc::clone(fleet), Arc::clone(service));
                    setting.budgets.set(&field, *to);
                }
                Edit::ServiceFloor { fleet, service, to } => {
                    let field = Limit::Least(Arc::clone(fleet), Arc::clone(service));
                    setting.budgets.set(&field, *to);
                }
                Edit::MinAge { policy, to } => {
                    setting.min_ages.insert(Arc::clone(policy), to.seconds());
                }
                Edit::DropDependency { .. } | Edit::DropOrder { .. } => return None,
            }
        }
        for (name, resource) in windows {
            let calendars = setting.calendars.get_or_insert_with(|| written.clone());
            calendars.replace(name, schedule::window(&resource, catalog).ok()?);
        }
        Some(setting)
    }

    fn place(
        &mut self,
        ctx: &Context<'_>,
        written: &mut Calendars,
        bookings: &mut Bookings,
        p: &Prepared<'_>,
        without: Without,
    ) -> Vec<Wave> {
        let (policy, strategy) = (p.draft.policy, p.draft.strategy);
        let min_age = self.min_ages.get(&policy.name).copied();
        let terms = Terms {
            strategy: self.strategies.get(&strategy.name).unwrap_or(&strategy.spec),
            min_age_seconds: min_age.unwrap_or(policy.spec.release.min_age.seconds()),
            without,
        };
        let calendars = self.calendars.as_mut().unwrap_or(written);
        schedule_under(ctx, calendars, &self.budgets, bookings, p, terms)
    }
}

/// The rollouts of a plan by name, with their waves.
pub(super) type Placed = Vec<(Arc<str>, Vec<Wave>)>;

impl Situation<'_, '_> {
    /// The waves of one rollout with `edits` made and some limits left out, the others standing where they stand. None =
    /// it cannot be tried this way, or the effort is spent.
    pub(super) fn place_one(
        &self,
        effort: &mut Effort,
        (index, before): (usize, &Bookings),
        edits: &[Edit],
        without: Without,
    ) -> Option<Vec<Wave>> {
        let prepared = self.prepared.get(index)?;
        effort.take(prepared.asset_count() + 1)?;
        let mut setting = Setting::new(self, &effort.calendars, edits)?;
        let bookings = &mut before.clone();
        Some(setting.place(self.ctx, &mut effort.calendars, bookings, prepared, without))
    }

    /// The whole plan with `edits` made.
    pub(super) fn place_all(&self, effort: &mut Effort, edits: &[Edit]) -> Option<Placed> {
        let placements: usize = self.prepared.iter().map(Prepared::asset_count).sum();
        if !self.is_timed
            && let Some(mut setting) = Setting::new(self, &effort.calendars, edits)
        {
            effort.take(placements + 1)?;
            let mut bookings = self.running.clone();
            let written = &mut effort.calendars;
            let place = |p: &Prepared<'_>| {
                let waves = setting.place(self.ctx, written, &mut bookings, p, Without::NOTHING);
                (Arc::clone(&p.draft.name), waves)
            };
            return Some(self.prepared.iter().map(place).collect());
        }
        let assets = self.ctx.observation.assets.len();
        effort.take(placements + REPLAN_FACTOR * (assets + 1))?;
        let mut catalog = self.ctx.catalog.clone();
        edits.iter().for_each(|e| e.apply(&mut catalog));
        let Context {
            observation,
            assessment,
            history,
            now,
            ..
        } = *self.ctx;
        Some(super::placed(&catalog, observation, assessment, history, now))
    }

    /// Whether with `edits` made the wave at `wave` of rollout `index` is in time, and no wave is late that was not.
    pub(super) fn is_fixed_by(&self, effort: &mut Effort, index: usize, wave: &str, edits: &[Edit]) -> bool {
        let (Some(case), Some(after)) = (self.prepared.get(index), self.place_all(effort, edits)) else {
            return false;
        };
        let before: BTreeMap<&str, &Vec<Wave>> = self
            .prepared
            .iter()
            .map(|p| p.draft.name.as_ref())
            .zip(self.placed)
            .collect();
        let was_missed = |rollout: &str, wave: &str| {
            let waves = before.get(rollout).into_iter().flat_map(|w| w.iter());
            waves.into_iter().any(|w| *w.name == *wave && is_missed(w))
        };
        let harmed = |(rollout, waves): &(Arc<str>, Vec<Wave>)| {
            let mut missed = waves.iter().filter(|w| is_missed(w));
            missed.any(|w| !was_missed(rollout, &w.name))
        };
        if after.iter().any(harmed) {
            return false;
        }
        let same = after.iter().find(|(name, _)| *name == case.draft.name);
        let same_wave = same.map(|(_, waves)| waves.iter().find(|w| *w.name == *wave));
        match same_wave {
            Some(found) => found.is_some_and(|w| !is_missed(w)),
            // What was cut only because waiting was too late, and now waits, is in time at the next cut.
            None => case.draft.expedited && case.draft.open.is_none(),
        }
    }
}

//! How much may be down at once, and what already is: over all rollouts and lanes.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rustc_hash::FxHashMap;

use super::context::Context;
use crate::load::wire::Lifecycle;
use crate::name::Rounding;

/// One limit on how many of a group of assets may be disrupted at the same time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Budget {
    /// What it is, for people: `service web in prod`, `class staging`, `site fra1 of class prod`.
    pub(super) label: String,
    /// How many assets the group has.
    pub(super) members: usize,
    /// At most so many of them at once.
    pub(super) limit: usize,
    /// The resource that says so.
    pub(super) said_by: String,
}

/// Every budget, and those each asset is under.
pub(super) struct Budgets {
    list: Vec<Budget>,
    of_asset: FxHashMap<u32, Vec<u32>>,
}

/// What a budget counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Group<'a> {
    Class(&'a str),
    Label(&'a str, &'a str, &'a str),
    Service(u32),
}

impl Budgets {
    pub(super) fn new(ctx: &Context<'_>) -> Self {
        let mut groups: BTreeMap<Group<'_>, Vec<u32>> = BTreeMap::new();
        let count = u32::try_from(ctx.observation.assets.len()).unwrap_or(u32::MAX);
        let counts =
            |i: &u32| ctx.asset(*i).is_some_and(|a| a.lifecycle != Lifecycle::Retired) && ctx.class(*i).is_some();
        for index in (0..count).filter(counts) {
            for group in groups_of(ctx, index) {
                groups.entry(group).or_default().push(index);
            }
        }
        let mut budgets = Self {
            list: Vec::new(),
            of_asset: FxHashMap::default(),
        };
        for (group, members) in groups {
            let Some(budget) = budget(ctx, &group, &members) else {
                continue;
            };
            let id = u32::try_from(budgets.list.len()).unwrap_or(u32::MAX);
            members
                .iter()
                .for_each(|m| budgets.of_asset.entry(*m).or_default().push(id));
            budgets.list.push(budget);
        }
        budgets
    }

    /// Ids of the budgets an asset is under, ascending.
    pub(super) fn of(&self, asset: u32) -> &[u32] {
        self.of_asset.get(&asset).map_or(&[], |v| v)
    }

    pub(super) fn get(&self, id: u32) -> Option<&Budget> {
        self.list.get(id as usize)
    }
}

fn groups_of<'a>(ctx: &Context<'a>, index: u32) -> Vec<Group<'a>> {
    let Some(class) = ctx.class(index) else {
        return Vec::new();
    };
    // A cold standby serves nobody: it is neither what a service has nor what it can spare, and goes by its class.
    let standby = ctx.asset(index).is_some_and(|a| a.lifecycle == Lifecycle::Standby);
    let services = if standby { &[][..] } else { ctx.services.of(index) };
    let mut groups: Vec<Group<'a>> = services.iter().map(|s| Group::Service(*s)).collect();
    let own = Group::Class(class.name.as_ref());
    match class.spec.disruption.per.as_str() {
        "class" => groups.push(own),
        "service" if services.is_empty() => groups.push(own),
        "service" => {}
        key => groups.push(match ctx.asset(index).and_then(|a| a.labels.get_key_value(key)) {
            Some((key, value)) => Group::Label(key.as_ref(), value.as_ref(), class.name.as_ref()),
            None => own,
        }),
    }
    groups
}

fn budget(ctx: &Context<'_>, group: &Group<'_>, members: &[u32]) -> Option<Budget> {
    let members_count = members.len();
    let class = ctx.class(*members.first()?)?;
    let of_class = class
        .spec
        .disruption
        .max_unavailable
        .of(members_count, Rounding::DownAtLeastOne);
    let plain = |label, limit, said_by| {
        Some(Budget {
            label,
            members: members_count,
            limit,
            said_by,
        })
    };
    match group {
        Group::Class(name) => plain(format!("class {name}"), of_class, format!("class {name} disruption")),
        Group::Label(key, value, name) => plain(
            format!("{key} {value} of class {name}"),
            of_class,
            format!("class {name} disruption"),
        ),
        Group::Service(id) => {
            let group = ctx.services.group(*id)?;
            let (limit, said_by) = service_limit(ctx, group.spec, members)?;
            plain(
                format!("service {} in {}", group.spec.name, group.environment),
                limit,
                said_by,
            )
        }
    }
}

/// The strictest of what the service says and what the classes of its members say `per: service`.
fn service_limit(ctx: &Context<'_>, spec: &crate::load::wire::Service, members: &[u32]) -> Option<(usize, String)> {
    let count = members.len();
    let of_service = spec.max_unavailable.map(|a| {
        (
            a.of(count, Rounding::DownAtLeastOne),
            format!("service {} maxUnavailable {a}", spec.name),
        )
    });
    let kept_up = spec.min_available.map(|a| {
        (
            count.saturating_sub(a.of(count, Rounding::Up)),
            format!("service {} minAvailable {a}", spec.name),
        )
    });
    let classes: BTreeMap<_, _> = members
        .iter()
        .filter_map(|m| ctx.class(*m))
        .map(|c| (&c.name, c))
        .collect();
    let of_classes = classes
        .values()
        .filter(|c| c.spec.disruption.per == "service")
        .map(|c| {
            let amount = c.spec.disruption.max_unavailable;
            (
                amount.of(count, Rounding::DownAtLeastOne),
                format!("class {} maxUnavailable {amount} per service", c.name),
            )
        });
    let strictest = of_service.into_iter().chain(kept_up).chain(of_classes).min();
    // The members keep each other up, and the role of each is only known when it is touched: one at a time.
    let of_ha = spec
        .ha
        .as_ref()
        .map(|ha| (1, format!("service {} ha {}", spec.name, ha.kind)));
    match (strictest, of_ha) {
        (Some(strictest), Some(of_ha)) if of_ha.0 < strictest.0 => Some(of_ha),
        (strictest, of_ha) => strictest.or(of_ha),
    }
}

/// What is planned to be disrupted when, and which assets are busy.
#[derive(Clone, Debug, Default)]
pub(super) struct Bookings {
    by_budget: FxHashMap<u32, Usage>,
    locks: FxHashMap<u32, Vec<(Timestamp, Timestamp)>>,
    log: Vec<(u32, Timestamp, Timestamp)>,
}

impl Bookings {
    /// Takes an asset out of service from `start` to `finish`; [`Timestamp::MAX`] = nobody knows until when.
    pub(super) fn book(&mut self, budgets: &Budgets, asset: u32, start: Timestamp, finish: Timestamp) {
        budgets
            .of(asset)
            .iter()
            .for_each(|id| self.by_budget.entry(*id).or_default().add(start, finish));
        self.locks.entry(asset).or_default().push((start, finish));
        self.log.push((asset, start, finish));
    }

    /// How much is booked so far, for [`Self::rewound`].
    pub(super) fn mark(&self) -> usize {
        self.log.len()
    }

    /// The bookings as they were at `mark`.
    pub(super) fn rewound(&self, budgets: &Budgets, mark: usize) -> Self {
        let mut earlier = self.clone();
        for (asset, start, finish) in earlier.log.split_off(mark) {
            for id in budgets.of(asset) {
                earlier.by_budget.entry(*id).or_default().remove(start, finish);
            }
            if let Some(locks) = earlier.locks.get_mut(&asset) {
                locks.retain(|lock| *lock != (start, finish));
            }
        }
        earlier
    }

    /// The most of a budget that is used at any instant from `start` to `finish`.
    pub(super) fn peak(&self, budget: u32, start: Timestamp, finish: Timestamp) -> usize {
        self.by_budget.get(&budget).map_or(0, |usage| usage.peak(start, finish))
    }

    /// The first instant after `start` at which less of the budget is used than the instant before.
    pub(super) fn next_release(&self, budget: u32, start: Timestamp) -> Option<Timestamp> {
        self.by_budget.get(&budget)?.next_release(start)
    }

    /// When an asset that is busy at some instant from `start` to `finish` is free again.
    pub(super) fn busy_until(&self, asset: u32, start: Timestamp, finish: Timestamp) -> Option<Timestamp> {
        let locks = self.locks.get(&asset)?;
        locks
            .iter()
            .filter(|(s, f)| *s < finish && start < *f)
            .map(|(_, f)| *f)
            .max()
    }
}

/// A count over time: from each instant until the next.
#[derive(Clone, Debug, Default)]
struct Usage {
    steps: BTreeMap<Timestamp, usize>,
}

impl Usage {
    fn at(&self, at: Timestamp) -> usize {
        self.steps.range(..=at).next_back().map_or(0, |(_, n)| *n)
    }

    fn add(&mut self, start: Timestamp, finish: Timestamp) {
        if finish <= start {
            return;
        }
        for edge in [start, finish] {
            let level = self.at(edge);
            self.steps.entry(edge).or_insert(level);
        }
        self.steps.range_mut(start..finish).for_each(|(_, n)| *n += 1);
    }

    fn remove(&mut self, start: Timestamp, finish: Timestamp) {
        if start < finish {
            self.steps
                .range_mut(start..finish)
                .for_each(|(_, n)| *n = n.saturating_sub(1));
        }
    }

    fn peak(&self, start: Timestamp, finish: Timestamp) -> usize {
        if finish <= start {
            return self.at(start);
        }
        let later = self.steps.range(start..finish).map(|(_, n)| *n).max();
        later.unwrap_or(0).max(self.at(start))
    }

    fn next_release(&self, start: Timestamp) -> Option<Timestamp> {
        let mut before = self.at(start);
        let after = (std::ops::Bound::Excluded(start), std::ops::Bound::Unbounded);
        self.steps.range(after).find_map(|(at, n)| {
            let released = *n < before;
            before = *n;
            (released && *at < Timestamp::MAX).then_some(*at)
        })
    }
}

//! How much may be down at once, and what already is: over all rollouts and lanes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::context::Context;
use crate::load::wire::Lifecycle;
use crate::lookup::Lookup;
use crate::name::{Amount, Rounding};

/// A field that limits how many may be down, by the resource it stands in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Limit {
    /// `disruption.maxUnavailable` of a class.
    Class(Arc<str>),
    /// `maxUnavailable` of a service, after its fleet.
    Most(Arc<str>, Arc<str>),
    /// `minAvailable` of a service, after its fleet.
    Least(Arc<str>, Arc<str>),
}

impl Limit {
    /// How many of `members` may be down if the field says `amount`. Those nobody ever saw do not keep a service up, so
    /// they are none of what must stay.
    pub(super) fn of(&self, amount: Amount, members: usize, unseen: usize) -> usize {
        match self {
            Self::Class(_) | Self::Most(..) => amount.of(members, Rounding::DownAtLeastOne),
            Self::Least(..) => members.saturating_sub(amount.of(members, Rounding::Up).saturating_add(unseen)),
        }
    }
}

/// One limit on how many of a group of assets may be disrupted at the same time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Budget {
    /// What it is, for people: `service web in prod`, `class staging`, `site fra1 of class prod`.
    pub(super) label: String,
    /// How many assets the group has.
    pub(super) members: usize,
    /// How many of them were never observed.
    pub(super) unseen: usize,
    /// At most so many of them at once.
    pub(super) limit: usize,
    /// The resource that says so.
    pub(super) said_by: String,
    /// Every field that has a say; the strictest gives the limit.
    pub(super) fields: Vec<(Limit, Amount)>,
    /// Never more than one, whatever the fields say: the members keep each other up.
    pub(super) alone: bool,
    /// It is a service's: whoever takes a member down with him uses it up as well.
    pub(super) service: bool,
}

/// Every budget, and those each asset is under.
#[derive(Clone)]
pub(super) struct Budgets {
    list: Vec<Budget>,
    of_asset: Arc<Lookup<u32, Vec<u32>>>,
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
        let (mut list, mut of_asset) = (Vec::new(), Lookup::<u32, Vec<u32>>::default());
        for (group, members) in groups {
            let Some(budget) = budget(ctx, &group, &members) else {
                continue;
            };
            let id = u32::try_from(list.len()).unwrap_or(u32::MAX);
            members.iter().for_each(|m| of_asset.entry(*m).or_default().push(id));
            list.push(budget);
        }
        // Budgets come in the order of their ids, so lists are ascending until a host takes over those of its guests.
        let mut hosts = BTreeSet::new();
        let services: Vec<(u32, u32)> = super::graph::hosts_of(ctx, 0..count).collect();
        for (host, guest) in services {
            // A host that goes down takes its guests' services with it, once for each guest.
            let down = |id: &u32| list.get(*id as usize).is_some_and(|b: &Budget| b.service);
            let ids: Vec<u32> = of_asset
                .get(&guest)
                .into_iter()
                .flatten()
                .copied()
                .filter(down)
                .collect();
            of_asset.entry(host).or_default().extend(ids);
            hosts.insert(host);
        }
        for host in hosts {
            of_asset.entry(host).or_default().sort_unstable();
        }
        Self {
            list,
            of_asset: Arc::new(of_asset),
        }
    }

    /// Lets one field say something else; ids and members stay, so bookings made before still count.
    pub(super) fn set(&mut self, field: &Limit, amount: Amount) {
        for budget in &mut self.list {
            let mut mine = budget.fields.iter_mut().filter(|(f, _)| f == field).peekable();
            if mine.peek().is_none() {
                continue;
            }
            mine.for_each(|(_, a)| *a = amount);
            let limits = budget
                .fields
                .iter()
                .map(|(f, a)| f.of(*a, budget.members, budget.unseen));
            let limit = limits.min().unwrap_or(budget.limit);
            budget.limit = if budget.alone { limit.min(1) } else { limit };
        }
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
    let class = ctx.class(*members.first()?)?;
    let of_class = || {
        (
            Limit::Class(Arc::clone(&class.name)),
            class.spec.disruption.max_unavailable,
        )
    };
    let mut ha = None;
    let (label, fields) = match group {
        Group::Class(name) => (format!("class {name}"), vec![of_class()]),
        Group::Label(key, value, name) => (format!("{key} {value} of class {name}"), vec![of_class()]),
        Group::Service(id) => {
            let group = ctx.services.group(*id)?;
            let label = format!("service {} in {}", group.spec.name, group.environment);
            ha = group
                .spec
                .ha
                .as_ref()
                .map(|ha| (1, format!("service {} ha {}", group.spec.name, ha.kind)));
            (label, service_fields(ctx, group, members))
        }
    };
    let count = members.len();
    let never = |i: &&u32| ctx.asset(**i).is_none_or(|a| a.observed_at.is_none());
    let unseen = members.iter().filter(never).count();
    let said = |f: &Limit, a: Amount| match f {
        Limit::Least(..) if unseen > 0 => format!("{} ({unseen} never observed)", words(group, f, a)),
        _ => words(group, f, a),
    };
    let limits = fields.iter().map(|(f, a)| (f.of(*a, count, unseen), said(f, *a)));
    let alone = ha.is_some();
    // The role of each member is only known when it is touched, so they go one at a time; a field that is stricter counts.
    let (limit, said_by) = match (limits.min(), ha) {
        (Some(said), Some(ha)) if ha.0 < said.0 => ha,
        (said, ha) => said.or(ha)?,
    };
    Some(Budget {
        label,
        members: count,
        unseen,
        limit,
        said_by,
        fields,
        alone,
        service: matches!(group, Group::Service(_)),
    })
}

fn words(group: &Group<'_>, field: &Limit, amount: Amount) -> String {
    match (field, group) {
        (Limit::Class(name), Group::Service(_)) => format!("class {name} maxUnavailable {amount} per service"),
        (Limit::Class(name), _) => format!("class {name} disruption"),
        (Limit::Most(_, name), _) => format!("service {name} maxUnavailable {amount}"),
        (Limit::Least(_, name), _) => format!("service {name} minAvailable {amount}"),
    }
}

/// What the service says, and what the classes of its members say `per: service`.
fn service_fields(
    ctx: &Context<'_>,
    group: &super::context::ServiceGroup<'_>,
    members: &[u32],
) -> Vec<(Limit, Amount)> {
    let (fleet, spec): (Arc<str>, _) = (group.fleet.into(), group.spec);
    let name = || Arc::from(spec.name.as_str());
    let most = spec
        .max_unavailable
        .map(|a| (Limit::Most(Arc::clone(&fleet), name()), a));
    let least = spec
        .min_available
        .map(|a| (Limit::Least(Arc::clone(&fleet), name()), a));
    let classes: BTreeMap<_, _> = members
        .iter()
        .filter_map(|m| ctx.class(*m))
        .map(|c| (&c.name, c))
        .collect();
    let of_classes = classes
        .values()
        .filter(|c| c.spec.disruption.per == "service")
        .map(|c| (Limit::Class(Arc::clone(&c.name)), c.spec.disruption.max_unavailable));
    most.into_iter().chain(least).chain(of_classes).collect()
}

/// What is planned to be disrupted when, and which assets are busy.
#[derive(Clone, Debug, Default)]
pub(super) struct Bookings {
    by_budget: Lookup<u32, Usage>,
    locks: Lookup<u32, Vec<(Timestamp, Timestamp)>>,
    /// Asset, start and finish of everything that was booked (true) or given back (false), in order.
    log: Vec<(u32, Timestamp, Timestamp, bool)>,
}

impl Bookings {
    /// Takes an asset out of service from `start` to `finish`; [`Timestamp::MAX`] = nobody knows until when.
    pub(super) fn book(&mut self, budgets: &Budgets, asset: u32, start: Timestamp, finish: Timestamp) {
        self.add(budgets, asset, start, finish);
        self.log.push((asset, start, finish, true));
    }

    /// Gives back exactly what was booked.
    pub(super) fn give_back(&mut self, budgets: &Budgets, asset: u32, start: Timestamp, finish: Timestamp) {
        self.remove(budgets, asset, start, finish);
        self.log.push((asset, start, finish, false));
    }

    fn add(&mut self, budgets: &Budgets, asset: u32, start: Timestamp, finish: Timestamp) {
        budgets
            .of(asset)
            .iter()
            .for_each(|id| self.by_budget.entry(*id).or_default().add(start, finish));
        self.locks.entry(asset).or_default().push((start, finish));
    }

    fn remove(&mut self, budgets: &Budgets, asset: u32, start: Timestamp, finish: Timestamp) {
        for id in budgets.of(asset) {
            self.by_budget.entry(*id).or_default().remove(start, finish);
        }
        if let Some(locks) = self.locks.get_mut(&asset) {
            // Two may be alike: one in maintenance that failed is down for two reasons, and stays down for the other.
            if let Some(at) = locks.iter().position(|lock| *lock == (start, finish)) {
                locks.remove(at);
            }
        }
    }

    /// How much is booked so far, for [`Self::rewound`].
    pub(super) fn mark(&self) -> usize {
        self.log.len()
    }

    /// The bookings as they were at `mark`.
    pub(super) fn rewound(&self, budgets: &Budgets, mark: usize) -> Self {
        let mut earlier = self.clone();
        for (asset, start, finish, booked) in earlier.log.split_off(mark).into_iter().rev() {
            if booked {
                earlier.remove(budgets, asset, start, finish);
            } else {
                earlier.add(budgets, asset, start, finish);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_down_for_two_reasons_stays_down_for_the_other() {
        let budgets = Budgets {
            list: Vec::new(),
            of_asset: Arc::new(Lookup::from_iter([(0, vec![7])])),
        };
        let at = |minute: i64| Timestamp::from_second(minute * 60).unwrap();
        let mut bookings = Bookings::default();
        bookings.book(&budgets, 0, at(0), Timestamp::MAX);
        bookings.book(&budgets, 0, at(0), Timestamp::MAX);
        bookings.give_back(&budgets, 0, at(0), Timestamp::MAX);
        assert_eq!(bookings.busy_until(0, at(1), at(2)), Some(Timestamp::MAX));
        assert_eq!(bookings.peak(7, at(1), at(2)), 1);
    }

    #[test]
    fn what_is_given_back_comes_back_when_it_is_rewound() {
        let budgets = Budgets {
            list: Vec::new(),
            of_asset: Arc::new(Lookup::from_iter([(0, vec![7]), (1, vec![7])])),
        };
        let at = |minute: i64| Timestamp::from_second(minute * 60).unwrap();
        let mut bookings = Bookings::default();
        bookings.book(&budgets, 0, at(0), Timestamp::MAX);
        let mark = bookings.mark();
        bookings.give_back(&budgets, 0, at(0), Timestamp::MAX);
        assert_eq!(bookings.peak(7, at(1), at(2)), 0);
        assert_eq!(bookings.busy_until(0, at(1), at(2)), None);
        bookings.book(&budgets, 0, at(0), at(5));
        bookings.book(&budgets, 1, at(0), at(5));
        assert_eq!(bookings.peak(7, at(1), at(2)), 2);
        let before = bookings.rewound(&budgets, mark);
        assert_eq!(before.peak(7, at(1), at(2)), 1);
        assert_eq!(before.busy_until(0, at(1), at(2)), Some(Timestamp::MAX));
        assert_eq!(before.busy_until(1, at(1), at(2)), None);
    }
}

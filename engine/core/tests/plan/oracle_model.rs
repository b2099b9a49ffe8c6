//! A small world in whole hours, and two schedulers over it that share nothing with the planner: one follows the
//! documented rule hour by hour, the other tries every sequence of batches there is.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot be set up should fail"
)]

use std::collections::{BTreeMap, BTreeSet};

/// Hours looked at; longer than any model lasts.
pub const HORIZON: i64 = 24 * 40;

/// One machine of the second wave; its index is the order of names.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Index of its service.
    pub service: Option<usize>,
    /// Which rack it stands in.
    pub rack: usize,
    /// Which of the two windows it has.
    pub window: usize,
    /// Whether the freeze is about it.
    pub frozen: bool,
    /// Its place in the order of its service, last = no value.
    pub rank: usize,
    /// Whether the exploited package is installed.
    pub exploited: bool,
}

/// A service of the second wave.
#[derive(Clone, Debug)]
pub struct Service {
    pub most: Option<usize>,
    pub least: Option<usize>,
    /// Earlier services it depends on.
    pub depends_on: BTreeSet<usize>,
    pub ordered: bool,
}

/// What `maxUnavailable` of the class is counted per.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Per {
    Class,
    Service,
    Rack,
}

#[derive(Clone, Debug)]
pub struct Model {
    pub machines: Vec<Machine>,
    pub services: Vec<Service>,
    pub class_limit: usize,
    pub per: Per,
    /// Batch sizes of the second wave; empty = without limit.
    pub sizes: Vec<usize>,
    pub soak: i64,
    pub emergency_soak: i64,
    /// Hour of the day it opens, hours it stays open.
    pub windows: [(i64, i64); 2],
    pub cutoff: i64,
    /// Hours from now.
    pub freeze: Option<(i64, i64)>,
    pub within: i64,
    pub emergency: bool,
}

impl Model {
    /// Whether a machine may be worked on during an hour from noon, as far as window and freeze go.
    fn is_open(&self, machine: usize, hour: i64) -> bool {
        let machine = &self.machines[machine];
        let (opens, hours) = self.windows[machine.window];
        let frozen = self
            .freeze
            .is_some_and(|(from, to)| machine.frozen && (from..to).contains(&hour));
        (hour + 12 - opens).rem_euclid(24) < hours && !frozen
    }

    /// Whether an hour's work may start: it ends in the opening, and the cutoff has not begun.
    pub fn may_start(&self, machine: usize, hour: i64) -> bool {
        let needed = self.cutoff.max(1);
        (hour..hour + needed).all(|h| self.is_open(machine, h))
    }

    /// Every group of machines with a limit.
    pub fn budgets(&self) -> Vec<(BTreeSet<usize>, usize)> {
        let mut groups: BTreeMap<(u8, usize), BTreeSet<usize>> = BTreeMap::new();
        for (index, machine) in self.machines.iter().enumerate() {
            if let Some(service) = machine.service {
                groups.entry((0, service)).or_default().insert(index);
            }
            match self.per {
                Per::Class => groups.entry((1, 0)).or_default().insert(index),
                Per::Rack => groups.entry((2, machine.rack)).or_default().insert(index),
                Per::Service if machine.service.is_none() => groups.entry((1, 0)).or_default().insert(index),
                Per::Service => true,
            };
        }
        let limit = |(kind, id): (u8, usize), members: usize| match kind {
            0 => {
                let service = &self.services[id];
                let class = (self.per == Per::Service).then_some(self.class_limit);
                let least = service.least.map(|n| members.saturating_sub(n));
                [class, service.most, least].into_iter().flatten().min()
            }
            _ => Some(self.class_limit),
        };
        let limited = groups
            .into_iter()
            .filter_map(|(key, members)| Some((limit(key, members.len())?, members)));
        limited.map(|(limit, members)| (members, limit)).collect()
    }

    /// Machines that may never be touched.
    pub fn refused(&self) -> BTreeSet<usize> {
        let budgets = self.budgets();
        let never = budgets.iter().filter(|(_, limit)| *limit == 0);
        never.flat_map(|(members, _)| members.iter().copied()).collect()
    }

    /// What must be done before a machine.
    pub fn before(&self, machine: usize, among: &BTreeSet<usize>) -> BTreeSet<usize> {
        let mut before = BTreeSet::new();
        let Some(service) = self.machines[machine].service else {
            return before;
        };
        let mut foundations = BTreeSet::new();
        let mut open = vec![service];
        while let Some(next) = open.pop() {
            for on in &self.services[next].depends_on {
                if foundations.insert(*on) {
                    open.push(*on);
                }
            }
        }
        for other in among {
            let there = &self.machines[*other];
            let same = there.service == Some(service);
            let earlier = same && self.services[service].ordered && there.rank < self.machines[machine].rank;
            if earlier || there.service.is_some_and(|s| foundations.contains(&s)) {
                before.insert(*other);
            }
        }
        before
    }
}

/// Which machines are down in which hour, over both rollouts.
pub type Down = BTreeSet<(i64, usize)>;

fn may_join(
    model: &Model,
    budgets: &[(BTreeSet<usize>, usize)],
    down: &Down,
    batch: &BTreeSet<usize>,
    machine: usize,
    hour: i64,
) -> bool {
    let busy = |m: usize| down.contains(&(hour, m)) || batch.contains(&m);
    let within = |(members, limit): &(BTreeSet<usize>, usize)| {
        !members.contains(&machine) || members.iter().filter(|m| busy(**m)).count() < *limit
    };
    model.may_start(machine, hour) && !busy(machine) && budgets.iter().all(within)
}

/// The documented rule, hour by hour: of all that may go, by name, what budgets and the size allow; what is left of a
/// size is the next. The finish of the wave, or none.
pub fn greedy(model: &Model, members: &BTreeSet<usize>, from: i64, down: &mut Down) -> Option<i64> {
    let budgets = model.budgets();
    let (mut left, mut done, mut hour) = (members.clone(), BTreeSet::new(), from);
    let mut sizes = model.sizes.iter().copied();
    let mut size = sizes.next().unwrap_or(usize::MAX);
    let last = model.sizes.last().copied().unwrap_or(usize::MAX);
    while !left.is_empty() {
        if hour > HORIZON {
            return None;
        }
        let mut batch = BTreeSet::new();
        for machine in &left {
            let ready = model.before(*machine, members).is_subset(&done);
            if ready && batch.len() < size && may_join(model, &budgets, down, &batch, *machine, hour) {
                batch.insert(*machine);
            }
        }
        size -= batch.len();
        if size == 0 {
            size = sizes.next().unwrap_or(last);
        }
        hour += 1;
        left.retain(|m| !batch.contains(m));
        down.extend(batch.iter().map(|m| (hour - 1, *m)));
        done.extend(batch);
    }
    Some(hour)
}

/// The earliest finish of all there are, none of them later than `limit`; idle hours included.
pub fn best(model: &Model, members: &BTreeSet<usize>, from: i64, limit: i64) -> i64 {
    let mask = |set: &BTreeSet<usize>| set.iter().fold(0, |mask, m| mask | 1_u8 << m);
    let mut search = Exhaustive {
        before: (0..model.machines.len())
            .map(|m| mask(&model.before(m, members)))
            .collect(),
        budgets: model
            .budgets()
            .iter()
            .map(|(members, limit)| (mask(members), *limit))
            .collect(),
        open: (0..limit)
            .map(|h| mask(&(0..model.machines.len()).filter(|m| model.may_start(*m, h)).collect()))
            .collect(),
        sizes: model.sizes.clone(),
        members: mask(members),
        limit,
        known: BTreeMap::new(),
    };
    let size = model.sizes.first().copied().unwrap_or(usize::MAX);
    search.from(search.members, from, (0, size))
}

/// Machines as bits.
type Set = u8;

struct Exhaustive {
    before: Vec<Set>,
    budgets: Vec<(Set, usize)>,
    /// Who may start, hour by hour.
    open: Vec<Set>,
    sizes: Vec<usize>,
    members: Set,
    limit: i64,
    known: BTreeMap<(Set, i64, (usize, usize)), i64>,
}

impl Exhaustive {
    fn from(&mut self, left: Set, hour: i64, size: (usize, usize)) -> i64 {
        if left == 0 || hour >= self.limit {
            return if left == 0 { hour } else { self.limit };
        }
        let done = self.members & !left;
        let waits = |m: &usize| self.before[*m] & !done != 0;
        let here = left & self.open[usize::try_from(hour).unwrap()];
        let ready = (0..self.before.len()).filter(|m| here >> m & 1 == 1 && !waits(m));
        let ready = ready.fold(0, |mask: Set, m| mask | 1 << m);
        if ready == 0 {
            return self.from(left, hour + 1, size);
        }
        if let Some(known) = self.known.get(&(left, hour, size)) {
            return *known;
        }
        let mut best = self.limit;
        for batch in (0..=ready).filter(|b| b & !ready == 0) {
            let count = batch.count_ones() as usize;
            let over = |(members, limit): &(Set, usize)| (members & batch).count_ones() as usize > *limit;
            if count > size.1 || self.budgets.iter().any(over) {
                continue;
            }
            let mut next = (size.0, size.1.saturating_sub(count));
            if next.1 == 0 {
                next.0 = (next.0 + 1).min(self.sizes.len() - 1);
                next.1 = self.sizes[next.0];
            }
            best = best.min(self.from(left & !batch, hour + 1, next));
        }
        self.known.insert((left, hour, size), best);
        best
    }
}

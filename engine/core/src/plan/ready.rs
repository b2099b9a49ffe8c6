//! The assets of a wave that may go now, kept so that the next one by name is found without looking at the others.
//!
//! Three levels: the lane (who has the same openings and takes as long), the widest budget, all budgets. When a budget is
//! used up everything below it is set aside in one step, so filling a batch costs about as much as what it takes.

use std::collections::{BTreeMap, BTreeSet};

use super::calendar::CalendarId;

/// Assets with the same calendar and the same duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Lane {
    pub(super) calendar: CalendarId,
    pub(super) duration_seconds: i64,
}

/// Where an asset waits within its lane.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Seat {
    /// The budget with the most members; `u32::MAX` = none.
    pub(super) widest: u32,
    /// All budgets, ascending.
    pub(super) budgets: Box<[u32]>,
}

#[derive(Debug, Default)]
struct LaneQueue {
    heads: BTreeSet<(usize, u32)>,
    groups: BTreeMap<u32, Group>,
}

#[derive(Debug, Default)]
struct Group {
    heads: BTreeSet<(usize, Box<[u32]>)>,
    pools: BTreeMap<Box<[u32]>, BTreeSet<usize>>,
}

/// Ready assets, by their position in the wave (which is the order of names).
#[derive(Debug, Default)]
pub(super) struct Ready {
    lanes: BTreeMap<Lane, LaneQueue>,
}

/// What was set aside while one batch was filled.
#[derive(Debug, Default)]
pub(super) struct Aside {
    groups: Vec<(Lane, u32)>,
    pools: Vec<(Lane, Seat)>,
    assets: Vec<(Lane, Seat, usize)>,
}

impl Ready {
    pub(super) fn push(&mut self, lane: Lane, seat: &Seat, position: usize) {
        let queue = self.lanes.entry(lane).or_default();
        let group = queue.groups.entry(seat.widest).or_default();
        let before = group.first();
        group.pools.entry(seat.budgets.clone()).or_default().insert(position);
        group.refresh(&seat.budgets);
        let after = group.first();
        queue.moved(seat.widest, before, after);
    }

    /// Lanes in which something waits.
    pub(super) fn lanes(&self) -> impl Iterator<Item = (Lane, usize)> + '_ {
        self.lanes
            .iter()
            .filter_map(|(lane, queue)| queue.heads.first().map(|(position, _)| (*lane, *position)))
    }

    /// The next asset of some lanes, by name.
    pub(super) fn first(&self, lanes: &[Lane]) -> Option<(Lane, Seat, usize)> {
        let heads = lanes.iter().filter_map(|lane| {
            let queue = self.lanes.get(lane)?;
            let (position, widest) = queue.heads.first()?;
            Some((*position, *lane, *widest, queue))
        });
        let (position, lane, widest, queue) = heads.min_by_key(|(position, ..)| *position)?;
        let (_, budgets) = queue.groups.get(&widest)?.heads.first()?;
        Some((
            lane,
            Seat {
                widest,
                budgets: budgets.clone(),
            },
            position,
        ))
    }

    pub(super) fn remove(&mut self, lane: Lane, seat: &Seat, position: usize) {
        let Some(queue) = self.lanes.get_mut(&lane) else { return };
        let Some(group) = queue.groups.get_mut(&seat.widest) else {
            return;
        };
        let before = group.first();
        if let Some(pool) = group.pools.get_mut(&seat.budgets) {
            group.heads.remove(&(position, seat.budgets.clone()));
            pool.remove(&position);
            if let Some(next) = pool.first() {
                group.heads.insert((*next, seat.budgets.clone()));
            }
        }
        let after = group.first();
        queue.moved(seat.widest, before, after);
    }

    /// Passes over one asset for this batch.
    pub(super) fn skip_asset(&mut self, aside: &mut Aside, lane: Lane, seat: Seat, position: usize) {
        self.remove(lane, &seat, position);
        aside.assets.push((lane, seat, position));
    }

    /// Passes over every asset of the seat's group (`widest` is used up) or pool (another budget is).
    pub(super) fn skip_budget(&mut self, aside: &mut Aside, lane: Lane, seat: Seat, used_up: u32) {
        let Some(queue) = self.lanes.get_mut(&lane) else { return };
        let Some(group) = queue.groups.get_mut(&seat.widest) else {
            return;
        };
        let before = group.first();
        if used_up == seat.widest {
            queue.moved(seat.widest, before, None);
            aside.groups.push((lane, seat.widest));
            return;
        }
        if let Some(head) = group.pools.get(&seat.budgets).and_then(|p| p.first()) {
            group.heads.remove(&(*head, seat.budgets.clone()));
        }
        let after = group.first();
        queue.moved(seat.widest, before, after);
        aside.pools.push((lane, seat));
    }

    /// Puts back what was set aside.
    pub(super) fn restore(&mut self, aside: Aside) {
        for (lane, seat) in aside.pools {
            let Some(queue) = self.lanes.get_mut(&lane) else {
                continue;
            };
            let Some(group) = queue.groups.get_mut(&seat.widest) else {
                continue;
            };
            let before = group.first();
            group.refresh(&seat.budgets);
            let after = group.first();
            queue.moved(seat.widest, before, after);
        }
        for (lane, widest) in aside.groups {
            let Some(queue) = self.lanes.get_mut(&lane) else {
                continue;
            };
            let head = queue.groups.get(&widest).and_then(Group::first);
            queue.moved(widest, head, head);
        }
        for (lane, seat, position) in aside.assets {
            self.push(lane, &seat, position);
        }
    }
}

impl LaneQueue {
    fn moved(&mut self, widest: u32, before: Option<usize>, after: Option<usize>) {
        if let Some(before) = before {
            self.heads.remove(&(before, widest));
        }
        if let Some(after) = after {
            self.heads.insert((after, widest));
        }
    }
}

impl Group {
    fn first(&self) -> Option<usize> {
        self.heads.first().map(|(position, _)| *position)
    }

    /// Makes the pool's first asset its head, whatever was its head before.
    fn refresh(&mut self, budgets: &[u32]) {
        let Some(pool) = self.pools.get(budgets) else { return };
        let mut ends = pool.iter().take(2);
        let first = ends.next().copied();
        // Only a new first asset changes the head; the one it takes the place of is then the second.
        if let Some(second) = ends.next() {
            self.heads.remove(&(*second, budgets.into()));
        }
        if let Some(first) = first {
            self.heads.insert((first, budgets.into()));
        }
    }
}

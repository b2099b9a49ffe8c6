//! The batches of a wave: a deterministic greedy list schedule. What may go by order goes first, budgets say how many at
//! once, sizes how many at most; limits split a batch and never enlarge it, and what is left of its size is the next.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use petgraph::graph::NodeIndex;
use petgraph::visit::EdgeRef as _;

use super::Binding;
use super::budget::Budgets;
use super::graph::{Precedence, Step};
use super::ready::{Aside, Lane, Ready, Seat};
use super::schedule::later;
use super::slots::{Rules, Site, Slot, common, fit};
use crate::name::{Amount, Rounding};

/// Assets that go together, and when.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    /// Positions in the wave, ascending.
    pub(super) positions: Vec<usize>,
    pub(super) slot: Option<Slot>,
    /// What stands in the way where there is no slot.
    pub(super) blocked: Option<Binding>,
}

/// The assets of one wave that are to be placed, by position.
pub(super) struct Work<'w> {
    pub(super) assets: &'w [u32],
    pub(super) lanes: &'w [Lane],
    pub(super) canaries: &'w [bool],
    pub(super) graph: &'w Precedence,
    pub(super) sizes: &'w [Amount],
}

/// Places every asset of `work`, batch after batch, none before `not_before`.
pub(super) fn place(site: &mut Site<'_>, work: &Work<'_>, rules: Rules, not_before: Timestamp) -> Vec<Placed> {
    let mut state = State::new(site, work, rules, not_before);
    let mut sizes = Sizes::new(work, rules);
    let (mut placed, mut at) = (Vec::new(), not_before);
    let mut stuck: Vec<(usize, Binding)> = Vec::new();
    while let Some(size) = sizes.left() {
        state.admit(at);
        match state.next_batch(site, at, size) {
            Outcome::Batch(positions, slot) => {
                for position in &positions {
                    let asset = work.assets.get(*position).copied().unwrap_or(u32::MAX);
                    site.bookings.book(site.budgets, asset, slot.start, slot.finish);
                }
                sizes.take(positions.len());
                state.finish(&positions, &slot);
                at = slot.finish;
                placed.push(Placed {
                    positions,
                    slot: Some(slot),
                    blocked: None,
                });
            }
            Outcome::Wait(until) => at = until,
            Outcome::Stuck(positions, binding) => {
                state.unplaced -= positions.len();
                stuck.extend(positions.into_iter().map(|p| (p, binding)));
            }
            Outcome::Done => break,
        }
    }
    let binding = if sizes.left().is_none() {
        Binding::Size
    } else {
        Binding::Predecessor
    };
    let known: BTreeSet<usize> = placed
        .iter()
        .flat_map(|p| &p.positions)
        .chain(stuck.iter().map(|(p, _)| p))
        .copied()
        .collect();
    stuck.extend(
        (0..work.assets.len())
            .filter(|p| !known.contains(p))
            .map(|p| (p, binding)),
    );
    placed.extend(unplaced(stuck, &mut sizes));
    placed
}

/// Batches without a place in time, so that the plan still shows who would go with whom.
fn unplaced(stuck: Vec<(usize, Binding)>, sizes: &mut Sizes) -> Vec<Placed> {
    let mut by_binding: BTreeMap<Binding, Vec<usize>> = BTreeMap::new();
    stuck
        .into_iter()
        .for_each(|(p, b)| by_binding.entry(b).or_default().push(p));
    let mut batches = Vec::new();
    for (binding, mut positions) in by_binding {
        positions.sort_unstable();
        let mut rest = positions.as_slice();
        while !rest.is_empty() {
            let size = sizes.left().unwrap_or(rest.len()).clamp(1, rest.len());
            let (batch, more) = rest.split_at_checked(size).unwrap_or((rest, &[]));
            sizes.take(batch.len());
            batches.push(Placed {
                positions: batch.to_vec(),
                slot: None,
                blocked: Some(binding),
            });
            rest = more;
        }
    }
    batches
}

/// The sizes still to come; the last repeats.
struct Sizes {
    sizes: Vec<usize>,
    next: usize,
    left: Option<usize>,
}

impl Sizes {
    fn new(work: &Work<'_>, rules: Rules) -> Self {
        let count = work.assets.len();
        let written = work
            .sizes
            .iter()
            .map(|a| a.of(count, Rounding::DownAtLeastOne))
            .filter(|n| *n > 0);
        let sizes: Vec<usize> = if rules.sizes {
            written.collect()
        } else {
            vec![count.max(1)]
        };
        let left = sizes.first().copied();
        Self { sizes, next: 1, left }
    }

    /// What is left of the current size; none where every size is a written 0.
    fn left(&self) -> Option<usize> {
        self.left
    }

    fn take(&mut self, count: usize) {
        let left = self.left.map(|left| left.saturating_sub(count));
        self.left = if left == Some(0) {
            let size = self.sizes.get(self.next).or(self.sizes.last()).copied();
            self.next += 1;
            size
        } else {
            left
        };
    }
}

enum Outcome {
    Batch(Vec<usize>, Slot),
    Wait(Timestamp),
    Stuck(Vec<usize>, Binding),
    Done,
}

struct State<'w> {
    work: &'w Work<'w>,
    rules: Rules,
    seats: Vec<Seat>,
    ready: Ready,
    /// Assets whose predecessors are done, from when on they may go.
    later: BTreeSet<(Timestamp, usize)>,
    node_of: Vec<Option<NodeIndex>>,
    open_predecessors: Vec<usize>,
    /// When everything before a node is done.
    time: Vec<Timestamp>,
    unplaced: usize,
}

impl<'w> State<'w> {
    fn new(site: &Site<'_>, work: &'w Work<'w>, rules: Rules, not_before: Timestamp) -> Self {
        let graph = work.graph;
        let mut node_of = vec![None; work.assets.len()];
        for node in graph.node_indices() {
            if let Some(Step::Asset(position)) = graph.node_weight(node)
                && let Some(slot) = node_of.get_mut(*position)
            {
                *slot = Some(node);
            }
        }
        let incoming = |n: NodeIndex| {
            if rules.order {
                graph.edges_directed(n, petgraph::Incoming).count()
            } else {
                0
            }
        };
        let mut state = Self {
            work,
            rules,
            seats: work.assets.iter().map(|a| seat(site.budgets, *a, rules)).collect(),
            ready: Ready::default(),
            later: BTreeSet::new(),
            node_of,
            open_predecessors: graph.node_indices().map(incoming).collect(),
            time: vec![not_before; graph.node_count()],
            unplaced: work.assets.len(),
        };
        let free = graph
            .node_indices()
            .filter(|n| state.open_predecessors.get(n.index()) == Some(&0));
        for node in free.collect::<Vec<_>>() {
            state.reached(node, not_before);
        }
        state
    }

    /// Everything before `node` is done at `at`.
    fn reached(&mut self, node: NodeIndex, at: Timestamp) {
        let mut open = vec![(node, at)];
        while let Some((node, at)) = open.pop() {
            match self.work.graph.node_weight(node) {
                Some(Step::Asset(position)) => {
                    self.later.insert((at, *position));
                }
                Some(Step::Barrier { .. }) => open.extend(self.passed(node, at, at)),
                None => {}
            }
        }
    }

    /// Tells the successors of `node` that it is done; gives back those that waited for nothing else.
    fn passed(&mut self, node: NodeIndex, finish: Timestamp, opening_end: Timestamp) -> Vec<(NodeIndex, Timestamp)> {
        let mut free = Vec::new();
        if !self.rules.order {
            return free;
        }
        for edge in self.work.graph.edges(node) {
            let next = edge.target();
            let apart = matches!(
                self.work.graph.node_weight(next),
                Some(Step::Barrier { next_opening: true, .. })
            );
            let from_here = if apart { opening_end } else { finish };
            let (Some(time), Some(count)) = (
                self.time.get_mut(next.index()),
                self.open_predecessors.get_mut(next.index()),
            ) else {
                continue;
            };
            *time = (*time).max(from_here);
            *count = count.saturating_sub(1);
            if *count == 0 {
                free.push((next, *time));
            }
        }
        free
    }

    fn finish(&mut self, positions: &[usize], slot: &Slot) {
        self.unplaced -= positions.len();
        let opening_end = slot.opening.end.map_or(slot.finish, |end| end.max(slot.finish));
        let nodes: Vec<NodeIndex> = positions
            .iter()
            .filter_map(|p| self.node_of.get(*p).copied().flatten())
            .collect();
        for node in nodes {
            for (next, at) in self.passed(node, slot.finish, opening_end) {
                self.reached(next, at);
            }
        }
    }

    /// Lets in what may go at `at`.
    fn admit(&mut self, at: Timestamp) {
        while let Some((when, position)) = self.later.first().copied().filter(|(when, _)| *when <= at) {
            self.later.remove(&(when, position));
            if let (Some(lane), Some(seat)) = (self.work.lanes.get(position), self.seats.get(position)) {
                self.ready.push(*lane, seat, position);
            }
        }
    }

    fn next_batch(&mut self, site: &mut Site<'_>, at: Timestamp, size: usize) -> Outcome {
        if self.unplaced == 0 {
            return Outcome::Done;
        }
        let lanes: Vec<(Lane, usize)> = self.ready.lanes().collect();
        let mut fits: Vec<(Timestamp, usize, Lane, Slot)> = Vec::new();
        for (lane, head) in &lanes {
            if let Some(slot) = fit(site.calendars, self.rules, lane.calendar, at, lane.duration_seconds) {
                fits.push((slot.start, *head, *lane, slot));
            }
        }
        fits.sort_by_key(|(start, head, ..)| (*start, *head));
        let admitted = self.later.first().map(|(when, _)| *when);
        let Some((start, _, lane, slot)) = fits.first().cloned() else {
            return match admitted {
                Some(when) => Outcome::Wait(when),
                None => self.stuck(&lanes, Binding::Window),
            };
        };
        // Something that may go before this would start comes in first.
        if let Some(when) = admitted.filter(|when| *when <= start) {
            return Outcome::Wait(when);
        }
        let joined = self.join(site, start, lane, &slot, fits.iter().skip(1).map(|f| f.2).collect());
        let filled = self.fill(site, start, &joined, size);
        if !filled.positions.is_empty() {
            let slot = self.slot_of(site, start, &filled.positions).unwrap_or(slot);
            return Outcome::Batch(filled.positions, slot);
        }
        let next_start = fits.iter().map(|f| f.0).find(|s| *s > start);
        match filled.next.into_iter().chain(next_start).chain(admitted).min() {
            Some(when) => Outcome::Wait(when),
            None => self.stuck(&lanes, Binding::Budget),
        }
    }

    /// Gives up on everything that is ready.
    fn stuck(&mut self, lanes: &[(Lane, usize)], binding: Binding) -> Outcome {
        let lanes: Vec<Lane> = lanes.iter().map(|(lane, _)| *lane).collect();
        let mut positions = Vec::new();
        while let Some((lane, seat, position)) = self.ready.first(&lanes) {
            self.ready.remove(lane, &seat, position);
            positions.push(position);
        }
        if positions.is_empty() {
            Outcome::Done
        } else {
            Outcome::Stuck(positions, binding)
        }
    }

    /// The lanes whose openings hold a common start, the first lane's own included.
    fn join(&self, site: &mut Site<'_>, start: Timestamp, first: Lane, slot: &Slot, others: Vec<Lane>) -> Vec<Lane> {
        let (mut joined, mut longest) = (vec![first], first.duration_seconds);
        for lane in others {
            let duration = longest.max(lane.duration_seconds);
            let mut holds = |l: &Lane| {
                fit(site.calendars, self.rules, l.calendar, start, duration)
                    .is_some_and(|s| s.start == start && (!s.overruns || slot.overruns))
            };
            let fits_all = holds(&lane) && (duration == longest || joined.iter().all(holds));
            if fits_all {
                joined.push(lane);
                longest = duration;
            }
        }
        joined
    }

    fn fill(&mut self, site: &Site<'_>, start: Timestamp, lanes: &[Lane], size: usize) -> Filled {
        let longest = lanes.iter().map(|l| l.duration_seconds).max().unwrap_or(0);
        let finish = later(start, longest);
        let mut filled = Filled::default();
        let mut aside = Aside::default();
        let mut used: BTreeMap<u32, usize> = BTreeMap::new();
        while filled.positions.len() < size {
            let Some((lane, seat, position)) = self.ready.first(lanes) else {
                break;
            };
            let asset = self.work.assets.get(position).copied().unwrap_or(u32::MAX);
            let alone = self.work.canaries.get(position) == Some(&true);
            if alone && !filled.positions.is_empty() {
                self.ready.skip_asset(&mut aside, lane, seat, position);
                continue;
            }
            if let Some(free) = site.bookings.busy_until(asset, start, finish) {
                filled.until(Some(free));
                self.ready.skip_asset(&mut aside, lane, seat, position);
                continue;
            }
            let over = seat.budgets.iter().copied().find(|id| {
                let limit = site.budgets.get(*id).map_or(usize::MAX, |b| b.limit);
                used.get(id).copied().unwrap_or(0) + site.bookings.peak(*id, start, finish) >= limit
            });
            if let Some(id) = over {
                filled.until(site.bookings.next_release(id, start));
                self.ready.skip_budget(&mut aside, lane, seat, id);
                continue;
            }
            seat.budgets.iter().for_each(|id| *used.entry(*id).or_default() += 1);
            self.ready.remove(lane, &seat, position);
            filled.positions.push(position);
            if alone {
                break;
            }
        }
        self.ready.restore(aside);
        filled.positions.sort_unstable();
        filled
    }

    /// What the assets that go have in common from `start` on.
    fn slot_of(&self, site: &mut Site<'_>, start: Timestamp, positions: &[usize]) -> Option<Slot> {
        let lanes: BTreeSet<Lane> = positions
            .iter()
            .filter_map(|p| self.work.lanes.get(*p))
            .copied()
            .collect();
        let duration = lanes.iter().map(|l| l.duration_seconds).max()?;
        let mut slots = Vec::new();
        for lane in lanes {
            slots.push(fit(site.calendars, self.rules, lane.calendar, start, duration)?);
        }
        common(slots)
    }
}

#[derive(Default)]
struct Filled {
    positions: Vec<usize>,
    /// When something that was in the way is over.
    next: Option<Timestamp>,
}

impl Filled {
    fn until(&mut self, at: Option<Timestamp>) {
        let at = at.filter(|at| *at < Timestamp::MAX);
        self.next = super::carry::earlier(self.next, at);
    }
}

fn seat(budgets: &Budgets, asset: u32, rules: Rules) -> Seat {
    let ids = if rules.budgets { budgets.of(asset) } else { &[] };
    let members = |id: &&u32| budgets.get(**id).map_or(0, |b| b.members);
    let widest = ids.iter().max_by_key(members).copied().unwrap_or(u32::MAX);
    Seat {
        widest,
        budgets: ids.into(),
    }
}

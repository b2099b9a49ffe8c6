//! Order: of waves by `needs`, of the assets of a wave by the services they form.

use std::collections::{BTreeMap, BTreeSet};

use petgraph::Direction;
use petgraph::algo::{tarjan_scc, toposort};
use petgraph::graph::{DiGraph, NodeIndex};

use super::context::Context;
use crate::load::wire::{Service, WaveSpec};
use crate::lookup::Lookup;

/// Waves as positions in the strategy, with what each needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct WaveGraph {
    /// Positions in an order in which every wave comes after what it needs; ties in order of the strategy.
    pub(super) order: Vec<usize>,
    /// What each wave needs directly, ascending.
    pub(super) needs: Vec<BTreeSet<usize>>,
    /// What each wave needs, directly or not.
    pub(super) ancestors: Vec<BTreeSet<usize>>,
}

impl WaveGraph {
    /// The graph of a strategy. Unknown names are ignored and a cycle is cut where it closes: both are errors when
    /// resources are loaded, and nothing is planned from resources with errors.
    pub(super) fn new(waves: &[WaveSpec]) -> Self {
        let position: BTreeMap<&str, usize> = waves.iter().enumerate().map(|(i, w)| (w.name.as_str(), i)).collect();
        let needs_of = |wave: &WaveSpec| {
            wave.needs
                .iter()
                .filter_map(|n| position.get(n.as_str()).copied())
                .collect()
        };
        let needs: Vec<BTreeSet<usize>> = waves.iter().map(needs_of).collect();
        let mut graph = Self {
            order: Vec::new(),
            needs,
            ancestors: vec![BTreeSet::new(); waves.len()],
        };
        let mut placed = BTreeSet::new();
        while placed.len() < waves.len() {
            let ready = |i: &usize| !placed.contains(i) && graph.needs.get(*i).is_some_and(|n| n.is_subset(&placed));
            let left = || (0..waves.len()).filter(|i| !placed.contains(i));
            let Some(next) = (0..waves.len()).find(ready).or_else(|| left().next()) else {
                break;
            };
            placed.insert(next);
            graph.order.push(next);
        }
        for wave in graph.order.clone() {
            let direct = graph.needs.get(wave).cloned().unwrap_or_default();
            let indirect = direct.iter().filter_map(|n| graph.ancestors.get(*n)).flatten();
            let all: BTreeSet<usize> = direct.iter().chain(indirect).copied().collect();
            if let Some(slot) = graph.ancestors.get_mut(wave) {
                *slot = all;
            }
        }
        graph
    }

    /// What each wave needs once waves without assets are left out: what needs such a wave needs what it needed.
    pub(super) fn contracted(&self, is_empty: impl Fn(usize) -> bool) -> Vec<BTreeSet<usize>> {
        let mut contracted: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); self.needs.len()];
        for wave in &self.order {
            let mut needs = BTreeSet::new();
            for need in self.needs.get(*wave).into_iter().flatten() {
                if is_empty(*need) {
                    needs.extend(contracted.get(*need).into_iter().flatten().copied());
                } else {
                    needs.insert(*need);
                }
            }
            if let Some(slot) = contracted.get_mut(*wave) {
                *slot = needs;
            }
        }
        contracted
    }
}

/// A point in the order of a wave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// One asset, by its position among the wave's assets.
    Asset(usize),
    /// Everything a service depended on has finished and passed. Edges through one point instead of between all pairs
    /// keep the graph linear in the number of assets.
    Barrier {
        /// What must be done here, for a readable path.
        label: String,
        /// What comes after must not start in the opening of what comes before.
        next_opening: bool,
    },
}

/// The order of a wave's assets.
pub(super) type Precedence = DiGraph<Step, ()>;

/// The precedence among `assets` (ascending) of one wave, service by service inside each environment.
pub(super) fn precedence(ctx: &Context<'_>, assets: &[u32]) -> Precedence {
    let mut graph = Precedence::new();
    let nodes: Vec<NodeIndex> = (0..assets.len()).map(|i| graph.add_node(Step::Asset(i))).collect();
    let node_of: Lookup<u32, NodeIndex> = assets.iter().copied().zip(nodes.iter().copied()).collect();
    let members_here = |group: u32| {
        let members = ctx.services.group(group).map_or(&[][..], |g| &g.members);
        members
            .iter()
            .filter_map(|m| node_of.get(m).map(|n| (*m, *n)))
            .collect::<Vec<_>>()
    };
    let groups = relevant(ctx, assets);
    let closure = closures(ctx, &groups);
    let mut done: BTreeMap<u32, NodeIndex> = BTreeMap::new();
    for group in &groups {
        let Some(spec) = ctx.services.group(*group) else {
            continue;
        };
        let label = format!("{} done", spec.spec.name);
        done.insert(
            *group,
            graph.add_node(Step::Barrier {
                label,
                next_opening: spec.spec.platform,
            }),
        );
    }
    for group in &groups {
        let (Some(done_here), Some(spec)) = (done.get(group), ctx.services.group(*group)) else {
            continue;
        };
        let here = members_here(*group);
        for (_, node) in &here {
            graph.add_edge(*node, *done_here, ());
        }
        for dependency in ctx.services.depends_on(*group) {
            let Some(done_before) = done.get(&dependency) else {
                continue;
            };
            graph.add_edge(*done_before, *done_here, ());
            for (asset, node) in &here {
                // An asset that is itself part of what is depended on goes with that part.
                let own = ctx.services.of(*asset);
                let inside = own
                    .iter()
                    .any(|s| *s == dependency || closure_has(&closure, dependency, *s));
                if !inside {
                    graph.add_edge(*done_before, *node, ());
                }
            }
        }
        if let Some((label, values)) = member_order(spec.spec) {
            let rank = |asset: u32| {
                let value = ctx.asset(asset).and_then(|a| a.label(label));
                // Who has none of the values goes last: the first place is for those a person put there.
                let place = value.and_then(|v| values.iter().position(|x| *x == v));
                match spec.spec.order {
                    Some(_) => place.unwrap_or(values.len()),
                    // By the role alone: whatever leads goes last.
                    None => usize::from(place.is_some()),
                }
            };
            in_sequence(&mut graph, &here, rank, &format!("{} by {label}", spec.spec.name));
        }
    }
    control_planes(ctx, &mut graph, assets, &node_of);
    hosts(ctx, &mut graph, assets, &node_of);
    graph
}

/// Everything that comes before a node, or after it.
fn reached(graph: &Precedence, node: NodeIndex, way: Direction) -> BTreeSet<NodeIndex> {
    let (mut found, mut open) = (BTreeSet::new(), vec![node]);
    while let Some(next) = open.pop() {
        let new = graph.neighbors_directed(next, way).filter(|n| found.insert(*n));
        open.extend(new.collect::<Vec<_>>());
    }
    found
}

/// The label by which members of a service are ordered, and its values from first to last: as `order` says, else by the
/// label that `ha.role` names, where whatever leads comes last. A label may order; the role itself is read at run time.
fn member_order(service: &Service) -> Option<(&str, Vec<&str>)> {
    const LEADERS: [&str; 5] = ["active", "leader", "master", "primary", "writer"];
    if let Some(order) = &service.order {
        return Some((&order.label, order.values.iter().map(String::as_str).collect()));
    }
    let role = service.ha.as_ref()?.role.as_deref();
    role.filter(|role| *role != "observed")
        .map(|label| (label, LEADERS.to_vec()))
}

/// For each of some batches that stand in order: the earlier ones whose opening it must not share, because they hold a
/// platform it is served by.
pub(super) fn apart(ctx: &Context<'_>, batches: &[Vec<u32>]) -> Vec<Vec<usize>> {
    let mut assets: Vec<u32> = batches.iter().flatten().copied().collect();
    assets.sort_unstable();
    let mut apart = vec![Vec::new(); batches.len()];
    if !assets
        .iter()
        .flat_map(|a| ctx.services.of(*a))
        .any(|s| ctx.services.group(*s).is_some_and(|g| g.spec.platform))
    {
        return apart;
    }
    let graph = precedence(ctx, &assets);
    let batch_of: Lookup<u32, usize> = batches
        .iter()
        .enumerate()
        .flat_map(|(i, batch)| batch.iter().map(move |a| (*a, i)))
        .collect();
    let batch = |node: NodeIndex| match graph.node_weight(node) {
        Some(Step::Asset(position)) => batch_of.get(assets.get(*position)?).copied(),
        _ => None,
    };
    for barrier in graph.node_indices() {
        if !matches!(
            graph.node_weight(barrier),
            Some(Step::Barrier { next_opening: true, .. })
        ) {
            continue;
        }
        let platform: BTreeSet<usize> = graph
            .neighbors_directed(barrier, Direction::Incoming)
            .filter_map(batch)
            .collect();
        let served: BTreeSet<usize> = reached(&graph, barrier, Direction::Outgoing)
            .into_iter()
            .filter_map(batch)
            .collect();
        for later in served {
            if let Some(list) = apart.get_mut(later) {
                list.extend(platform.iter().copied().filter(|earlier| *earlier < later));
            }
        }
    }
    apart
}

/// Services with a member among `assets`, and all they depend on, ascending.
fn relevant(ctx: &Context<'_>, assets: &[u32]) -> BTreeSet<u32> {
    let mut found: BTreeSet<u32> = assets.iter().flat_map(|a| ctx.services.of(*a)).copied().collect();
    let mut open: Vec<u32> = found.iter().copied().collect();
    while let Some(group) = open.pop() {
        let new = ctx
            .services
            .depends_on(group)
            .filter(|d| !found.contains(d))
            .collect::<Vec<_>>();
        found.extend(new.iter().copied());
        open.extend(new);
    }
    found
}

/// What each service depends on, directly or not, where that is more than one step away.
fn closures(ctx: &Context<'_>, groups: &BTreeSet<u32>) -> BTreeMap<u32, BTreeSet<u32>> {
    let mut closures = BTreeMap::new();
    for group in groups {
        let (mut found, mut open) = (BTreeSet::new(), ctx.services.depends_on(*group).collect::<Vec<_>>());
        while let Some(next) = open.pop() {
            if found.insert(next) {
                open.extend(ctx.services.depends_on(next));
            }
        }
        if !found.is_empty() {
            closures.insert(*group, found);
        }
    }
    closures
}

fn closure_has(closures: &BTreeMap<u32, BTreeSet<u32>>, group: u32, wanted: u32) -> bool {
    closures.get(&group).is_some_and(|c| c.contains(&wanted))
}

/// Adds, for each group of positions that share something unproved, one canary that goes before the others; gives back
/// which positions are canaries. The canary is the first by depth in the order so far, then by name; every edge, old and new,
/// goes up in that order, so no cycle can arise.
pub(super) fn add_canaries(graph: &mut Precedence, groups: &[Vec<usize>], count: usize) -> Vec<bool> {
    let mut canaries = vec![false; count];
    let place = depths(graph);
    for group in groups {
        let first = group
            .iter()
            .filter_map(|p| place.get(p).map(|(depth, node)| (*depth, *p, *node)))
            .min();
        let Some((_, first, first_node)) = first else { continue };
        if let Some(slot) = canaries.get_mut(first) {
            *slot = true;
        }
        let barrier = graph.add_node(Step::Barrier {
            label: "canary done".into(),
            next_opening: false,
        });
        graph.add_edge(first_node, barrier, ());
        let others = group.iter().filter(|p| **p != first).filter_map(|p| place.get(p));
        for (_, node) in others {
            graph.add_edge(barrier, *node, ());
        }
    }
    canaries
}

/// How deep in the order each position stands, with its node. Every edge leads to something deeper.
fn depths(graph: &Precedence) -> BTreeMap<usize, (usize, NodeIndex)> {
    let mut depth = vec![0_usize; graph.node_count()];
    let mut place = BTreeMap::new();
    for node in toposort(graph, None).unwrap_or_default() {
        let here = depth.get(node.index()).copied().unwrap_or_default();
        for next in graph.neighbors(node) {
            if let Some(slot) = depth.get_mut(next.index()) {
                *slot = (*slot).max(here + 1);
            }
        }
        if let Some(Step::Asset(position)) = graph.node_weight(node) {
            place.insert(*position, (here, node));
        }
    }
    place
}

/// Members of rank n finish before members of rank n + 1 start.
fn in_sequence(graph: &mut Precedence, members: &[(u32, NodeIndex)], rank: impl Fn(u32) -> usize, label: &str) {
    let mut by_rank: BTreeMap<usize, Vec<NodeIndex>> = BTreeMap::new();
    members
        .iter()
        .for_each(|(asset, node)| by_rank.entry(rank(*asset)).or_default().push(*node));
    let ranks: Vec<Vec<NodeIndex>> = by_rank.into_values().collect();
    for (earlier, later) in ranks.iter().zip(ranks.iter().skip(1)) {
        let barrier = graph.add_node(Step::Barrier {
            label: label.to_owned(),
            next_opening: false,
        });
        for node in earlier {
            graph.add_edge(*node, barrier, ());
        }
        for node in later {
            graph.add_edge(barrier, *node, ());
        }
    }
}

/// Fleet, label `cluster`, environment.
type Cluster<'a> = (&'a str, &'a str, &'a str);

/// Control planes before workers, cluster by cluster (label `cluster`, else the fleet): nodes must not be newer than
/// their control plane (Kubernetes version skew policy).
fn control_planes(ctx: &Context<'_>, graph: &mut Precedence, assets: &[u32], node_of: &Lookup<u32, NodeIndex>) {
    let mut clusters: BTreeMap<Cluster<'_>, Vec<(u32, NodeIndex)>> = BTreeMap::new();
    for (index, node) in assets.iter().filter_map(|a| node_of.get(a).map(|n| (*a, *n))) {
        let (Some(asset), Some(class)) = (ctx.asset(index), ctx.class(index)) else {
            continue;
        };
        if asset.facts.kubernetes.as_ref().is_some_and(|k| k.role.is_some()) {
            let cluster = asset.label("cluster").unwrap_or("");
            clusters
                .entry((&asset.fleet, cluster, &class.spec.environment))
                .or_default()
                .push((index, node));
        }
    }
    let is_worker = |index: u32| {
        let role = ctx
            .asset(index)
            .and_then(|a| a.facts.kubernetes.as_ref()?.role.as_deref());
        usize::from(role != Some("control-plane"))
    };
    for ((_, cluster, _), members) in &clusters {
        in_sequence(graph, members, is_worker, &format!("control plane {cluster}"));
    }
}

/// The label that names the host of an asset no Fleet lists; `runsOn` of a listed asset comes first.
pub(super) const RUNS_ON: &str = "runs-on";

/// Host and guest, for each of `assets` that runs on an observed host other than itself.
pub(super) fn hosts_of<'a>(
    ctx: &'a Context<'_>,
    assets: impl IntoIterator<Item = u32> + 'a,
) -> impl Iterator<Item = (u32, u32)> + 'a {
    let fleets = ctx.catalog.fleets.values();
    let pairs = fleets
        .flat_map(|f| &f.spec.assets)
        .filter_map(|a| Some((a.name.as_str(), a.runs_on.as_deref()?)));
    let host_of: BTreeMap<&str, &str> = pairs.collect();
    assets.into_iter().filter_map(move |guest| {
        let asset = ctx.asset(guest)?;
        let listed = host_of.get(asset.name.as_ref()).copied();
        let host = ctx.asset_index(listed.or_else(|| asset.label(RUNS_ON))?)?;
        (host != guest).then_some((host, guest))
    })
}

/// A host before the guests that run on it.
fn hosts(ctx: &Context<'_>, graph: &mut Precedence, assets: &[u32], node_of: &Lookup<u32, NodeIndex>) {
    for (host, guest) in hosts_of(ctx, assets.iter().copied()) {
        if let Some((host, guest)) = node_of.get(&host).zip(node_of.get(&guest)) {
            graph.add_edge(*host, *guest, ());
        }
    }
}

/// A cycle of the graph as the positions in it and a readable path; none when the graph has an order.
pub(super) fn cycle(graph: &Precedence, name: impl Fn(usize) -> String) -> Option<(BTreeSet<usize>, String)> {
    toposort(graph, None).err()?;
    let component = tarjan_scc(graph)
        .into_iter()
        .filter(|c| c.len() > 1)
        .min_by_key(|c| c.iter().min().copied())?;
    let inside: BTreeSet<NodeIndex> = component.iter().copied().collect();
    let start = *inside.first()?;
    let path = shortest_way_round(graph, &inside, start);
    let word = |node: NodeIndex| match graph.node_weight(node) {
        Some(Step::Asset(i)) => name(*i),
        Some(Step::Barrier { label, .. }) => format!("[{label}]"),
        None => String::new(),
    };
    let words: Vec<String> = path.into_iter().map(word).collect();
    let assets = inside.iter().filter_map(|n| match graph.node_weight(*n) {
        Some(Step::Asset(i)) => Some(*i),
        _ => None,
    });
    Some((assets.collect(), words.join(" → ")))
}

/// From `start` back to `start` inside a component, by breadth-first search, ends included.
fn shortest_way_round(graph: &Precedence, inside: &BTreeSet<NodeIndex>, start: NodeIndex) -> Vec<NodeIndex> {
    let mut came_from: BTreeMap<NodeIndex, NodeIndex> = BTreeMap::new();
    let mut queue = std::collections::VecDeque::from([start]);
    while let Some(node) = queue.pop_front() {
        let next: BTreeSet<NodeIndex> = graph.neighbors(node).filter(|n| inside.contains(n)).collect();
        if next.contains(&start) {
            let mut path = vec![start, node];
            while let Some(before) = path.last().and_then(|n| came_from.get(n)) {
                path.push(*before);
            }
            if path.last() != Some(&start) {
                path.push(start);
            }
            path.reverse();
            return path;
        }
        for neighbour in next {
            if neighbour != start && !came_from.contains_key(&neighbour) {
                came_from.insert(neighbour, node);
                queue.push_back(neighbour);
            }
        }
    }
    vec![start]
}

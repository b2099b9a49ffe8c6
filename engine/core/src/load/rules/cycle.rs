//! # What it does
//! Checks `needs` of waves and `dependsOn` of services: every name exists, is not ambiguous, and nothing depends on
//! itself, directly or in a circle.
//!
//! # Why is this bad
//! In a circle nothing can go first, so nothing would ever start.
//!
//! # Example
//! ```yaml
//! waves:
//!   - {name: a, needs: [b], environments: [test]}
//!   - {name: b, needs: [a], environments: [prod]}
//! ```
//!
//! # Fix
//! Take one of the shown edges away.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use petgraph::algo::tarjan_scc;
use petgraph::graph::DiGraph;

use super::{Context, Rule};
use crate::diag::{Code, Diagnostics, nearest_or_list};
use crate::source::DocId;

/// Edges between waves and between services.
pub static RULE: Rule = Rule {
    name: "cycle",
    codes: &[
        Code::DanglingReference,
        Code::AmbiguousReference,
        Code::WaveCycle,
        Code::ServiceCycle,
    ],
    check,
};

/// More edges of one circle than a person follows in a message.
const SHOWN_MAX: usize = 24;

/// Where an edge is written.
type Place = (DocId, String);

/// Nodes are numbered in order of their names, so every answer is the same on every run.
#[derive(Default)]
struct Edges {
    from: BTreeMap<usize, BTreeMap<usize, Place>>,
}

impl Edges {
    fn add(&mut self, from: usize, to: usize, place: Place) {
        self.from.entry(from).or_default().entry(to).or_insert(place);
    }

    /// One shortest circle for every knot of the graph.
    fn cycles(&self) -> Vec<Vec<usize>> {
        let edges = self
            .from
            .iter()
            .flat_map(|(from, to)| to.keys().map(move |to| (*from as u32, *to as u32)));
        let graph = DiGraph::<(), ()>::from_edges(edges);
        let mut cycles: Vec<Vec<usize>> = tarjan_scc(&graph)
            .into_iter()
            .filter_map(|knot| {
                let inside: BTreeSet<usize> = knot.into_iter().map(petgraph::graph::NodeIndex::index).collect();
                self.shortest(*inside.first()?, &inside)
            })
            .collect();
        cycles.sort();
        cycles
    }

    /// The shortest way from `start` back to itself.
    fn shortest(&self, start: usize, inside: &BTreeSet<usize>) -> Option<Vec<usize>> {
        let mut before: BTreeMap<usize, usize> = BTreeMap::new();
        let mut queue = VecDeque::from([start]);
        while let Some(node) = queue.pop_front() {
            for next in self
                .from
                .get(&node)
                .into_iter()
                .flat_map(BTreeMap::keys)
                .filter(|n| inside.contains(n))
            {
                if *next == start {
                    let mut path = vec![start];
                    let mut at = node;
                    while at != start {
                        path.push(at);
                        at = *before.get(&at)?;
                    }
                    path.push(start);
                    path.reverse();
                    return Some(path);
                }
                if !before.contains_key(next) {
                    before.insert(*next, node);
                    queue.push_back(*next);
                }
            }
        }
        None
    }

    fn report(&self, context: &Context<'_>, names: &[String], code: Code, verb: &str, diagnostics: &mut Diagnostics) {
        let name = |node: &usize| names.get(*node).map_or("", String::as_str);
        for cycle in self.cycles() {
            let quoted = |nodes: &[usize]| {
                nodes
                    .iter()
                    .map(|n| format!("`{}`", name(n)))
                    .collect::<Vec<_>>()
                    .join(" → ")
            };
            let path = match cycle.split_at_checked(SHOWN_MAX) {
                Some((first, rest)) if !rest.is_empty() => {
                    let back = rest.last().map_or("", |n| name(n));
                    format!("{} → … ({} more) → `{back}`", quoted(first), rest.len() - 1)
                }
                _ => quoted(&cycle),
            };
            let mut edges = cycle.iter().zip(cycle.iter().skip(1)).filter_map(|(from, to)| {
                let (doc, pointer) = self.from.get(from)?.get(to)?;
                Some((from, to, *doc, pointer))
            });
            let Some((from, to, doc, pointer)) = edges.next() else {
                continue;
            };
            let subject = if code == Code::WaveCycle {
                "waves wait for each other"
            } else {
                "services depend on each other"
            };
            let mut diagnostic = context
                .at(code, doc, pointer, format!("{subject} in a circle: {path}"))
                .help("take one of these edges away")
                .related(
                    context.documents.locate(doc, pointer),
                    format!("`{}` {verb} `{}`", name(from), name(to)),
                );
            for (from, to, doc, pointer) in edges.take(SHOWN_MAX) {
                let place = context.documents.locate(doc, pointer);
                diagnostic = diagnostic.related(place, format!("`{}` {verb} `{}`", name(from), name(to)));
            }
            diagnostics.push(diagnostic);
        }
    }
}

fn check(context: &Context<'_>, diagnostics: &mut Diagnostics) {
    waves(context, diagnostics);
    services(context, diagnostics);
}

/// The numbers of the nodes with each name.
fn numbers<'a>(names: impl Iterator<Item = &'a str>) -> BTreeMap<&'a str, Vec<usize>> {
    let mut numbers: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (number, name) in names.enumerate() {
        numbers.entry(name).or_default().push(number);
    }
    numbers
}

fn waves(context: &Context<'_>, diagnostics: &mut Diagnostics) {
    for strategy in context.catalog.strategies.values() {
        let names: Vec<String> = strategy.spec.waves.iter().map(|w| w.name.clone()).collect();
        let numbers = numbers(names.iter().map(String::as_str));
        let mut edges = Edges::default();
        for (from, wave) in strategy.spec.waves.iter().enumerate() {
            for (i, need) in wave.needs.iter().enumerate() {
                let pointer = format!("/spec/waves/{from}/needs/{i}");
                match numbers.get(need.as_str()).and_then(|all| all.first()) {
                    Some(to) => edges.add(from, *to, (strategy.doc, pointer)),
                    None => diagnostics.push(
                        context
                            .at(
                                Code::DanglingReference,
                                strategy.doc,
                                &pointer,
                                format!("there is no wave `{need}`"),
                            )
                            .maybe_help(nearest_or_list(need, numbers.keys().copied())),
                    ),
                }
            }
        }
        edges.report(context, &names, Code::WaveCycle, "needs", diagnostics);
    }
}

fn services(context: &Context<'_>, diagnostics: &mut Diagnostics) {
    let nodes: Vec<(&str, &str)> = context
        .catalog
        .fleets
        .values()
        .flat_map(|fleet| fleet.spec.services.iter().map(|s| (&*fleet.name, s.name.as_str())))
        .collect();
    let names: Vec<String> = nodes.iter().map(|(_, service)| (*service).to_owned()).collect();
    let numbers = numbers(names.iter().map(String::as_str));
    let mut edges = Edges::default();
    let mut from = 0;
    for fleet in context.catalog.fleets.values() {
        for (s, service) in fleet.spec.services.iter().enumerate() {
            for (i, wanted) in service.depends_on.iter().enumerate() {
                let pointer = format!("/spec/services/{s}/dependsOn/{i}");
                // A service of the same fleet is meant first, else the one of that name anywhere.
                let all = numbers.get(wanted.as_str()).map_or(&[][..], Vec::as_slice);
                let is_own = |n: &&usize| nodes.get(**n).is_some_and(|(f, _)| *f == &*fleet.name);
                match (all.iter().find(is_own), all) {
                    (Some(to), _) => edges.add(from, *to, (fleet.doc, pointer)),
                    (None, [to]) => edges.add(from, *to, (fleet.doc, pointer)),
                    (None, []) => diagnostics.push(
                        context
                            .at(
                                Code::DanglingReference,
                                fleet.doc,
                                &pointer,
                                format!("there is no service `{wanted}`"),
                            )
                            .maybe_help(nearest_or_list(wanted, numbers.keys().copied())),
                    ),
                    (None, several) => {
                        let fleets: Vec<&str> = several.iter().filter_map(|n| nodes.get(*n)).map(|(f, _)| *f).collect();
                        let message = format!("`{wanted}` could be a service of {}", fleets.join(" or "));
                        diagnostics.push(
                            context
                                .at(Code::AmbiguousReference, fleet.doc, &pointer, message)
                                .help("give the services different names"),
                        );
                    }
                }
            }
            from += 1;
        }
    }
    edges.report(context, &names, Code::ServiceCycle, "depends on", diagnostics);
}

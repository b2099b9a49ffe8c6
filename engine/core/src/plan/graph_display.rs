//! The rollout graph, a node a batch, for Graphviz, Mermaid and programs.

use std::fmt::{self, Write as _};

use serde::Serialize;

use super::{Batch, Plan, Rollout, Wave};

/// A batch of a wave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GraphNode {
    /// `<wave>/<batch>`.
    pub id: String,
    /// The wave.
    pub wave: String,
    /// The batch.
    pub batch: String,
    /// Where the wave is.
    pub state: String,
    /// Planned start, if it has one.
    pub start: Option<jiff::Timestamp>,
    /// Planned finish, if it has one.
    pub finish: Option<jiff::Timestamp>,
    /// Its assets.
    pub assets: Vec<String>,
}

/// That a batch goes before another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GraphEdge {
    /// The batch that goes first.
    pub from: String,
    /// The batch that goes after it.
    pub to: String,
    /// `batch` (the next of the same wave) or `needs` (the first of a wave that needs the other's).
    pub kind: String,
    /// Seconds that must pass in between: the soak.
    #[serde(rename = "soakSeconds")]
    pub soak_seconds: i64,
}

/// Nodes and edges of one rollout, in the order of its waves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Graph {
    /// The rollout.
    pub rollout: String,
    /// Batches.
    pub nodes: Vec<GraphNode>,
    /// What goes before what.
    pub edges: Vec<GraphEdge>,
}

/// The graph of the rollout with this name; none if the plan has none.
pub fn graph(plan: &Plan, rollout: &str) -> Option<Graph> {
    let found = plan.rollouts.iter().find(|r| r.name.as_ref() == rollout)?;
    Some(Graph {
        rollout: found.name.to_string(),
        nodes: found
            .waves
            .iter()
            .flat_map(|w| w.batches.iter().map(move |b| node(w, b)))
            .collect(),
        edges: found.waves.iter().flat_map(|w| edges(found, w)).collect(),
    })
}

fn id(wave: &Wave, batch: &Batch) -> String {
    format!("{}/{}", wave.name, batch.id)
}

fn node(wave: &Wave, batch: &Batch) -> GraphNode {
    GraphNode {
        id: id(wave, batch),
        wave: wave.name.to_string(),
        batch: batch.id.to_string(),
        state: wave.state.to_string(),
        start: batch.start,
        finish: batch.finish,
        assets: batch.assets.iter().map(|a| a.name.to_string()).collect(),
    }
}

fn edges(rollout: &Rollout, wave: &Wave) -> Vec<GraphEdge> {
    let within = wave
        .batches
        .iter()
        .zip(wave.batches.iter().skip(1))
        .map(|(one, next)| GraphEdge {
            from: id(wave, one),
            to: id(wave, next),
            kind: "batch".into(),
            soak_seconds: 0,
        });
    let needed = wave
        .needs
        .iter()
        .filter_map(|n| rollout.waves.iter().find(|w| w.name == *n));
    let across = needed.filter_map(|need| {
        Some(GraphEdge {
            from: id(need, need.batches.last()?),
            to: id(wave, wave.batches.first()?),
            kind: "needs".into(),
            soak_seconds: need.soak_seconds,
        })
    });
    within.chain(across).collect()
}

/// The graph as JSON; none if the plan has no such rollout.
pub fn graph_json(plan: &Plan, rollout: &str) -> Option<String> {
    let graph = graph(plan, rollout)?;
    serde_json::to_string_pretty(&graph).ok().map(|text| text + "\n")
}

/// The graph in the language of Graphviz, a cluster a wave; none if the plan has no such rollout.
pub fn dot(plan: &Plan, rollout: &str) -> Option<String> {
    let graph = graph(plan, rollout)?;
    let mut out = String::new();
    write_dot(&mut out, &graph).ok()?;
    Some(out)
}

fn write_dot(out: &mut String, graph: &Graph) -> fmt::Result {
    writeln!(out, "digraph {} {{", quoted(&graph.rollout))?;
    writeln!(out, "  rankdir=LR; node [shape=box, fontname=\"sans-serif\"];")?;
    for (number, wave) in waves(graph).into_iter().enumerate() {
        writeln!(out, "  subgraph cluster_{number} {{\n    label={};", quoted(wave))?;
        for node in graph.nodes.iter().filter(|n| n.wave == wave) {
            writeln!(out, "    {} [label={}];", quoted(&node.id), quoted(&label(node, "\\n")))?;
        }
        writeln!(out, "  }}")?;
    }
    for edge in &graph.edges {
        let soak = soak(edge).map_or_else(String::new, |s| format!(" [label={}]", quoted(&s)));
        writeln!(out, "  {} -> {}{soak};", quoted(&edge.from), quoted(&edge.to))?;
    }
    writeln!(out, "}}")
}

/// The graph in the language of Mermaid, a subgraph a wave; none if the plan has no such rollout.
pub fn mermaid(plan: &Plan, rollout: &str) -> Option<String> {
    let graph = graph(plan, rollout)?;
    let mut out = String::new();
    write_mermaid(&mut out, &graph).ok()?;
    Some(out)
}

fn write_mermaid(out: &mut String, graph: &Graph) -> fmt::Result {
    let number = |id: &str| graph.nodes.iter().position(|n| n.id == id).unwrap_or_default();
    writeln!(out, "flowchart LR")?;
    for (at, wave) in waves(graph).into_iter().enumerate() {
        writeln!(out, "  subgraph w{at}[\"{wave}\"]")?;
        for (n, node) in graph.nodes.iter().enumerate().filter(|(_, n)| n.wave == wave) {
            writeln!(out, "    n{n}[\"{}\"]", label(node, "<br>"))?;
        }
        writeln!(out, "  end")?;
    }
    for edge in &graph.edges {
        let soak = soak(edge).map_or_else(String::new, |s| format!("|{s}|"));
        writeln!(out, "  n{} -->{soak} n{}", number(&edge.from), number(&edge.to))?;
    }
    Ok(())
}

fn waves(graph: &Graph) -> Vec<&str> {
    let mut waves: Vec<&str> = graph.nodes.iter().map(|n| n.wave.as_str()).collect();
    waves.dedup();
    waves
}

fn soak(edge: &GraphEdge) -> Option<String> {
    (edge.soak_seconds > 0).then(|| format!("soak {}", crate::time::DurationSeconds(edge.soak_seconds)))
}

/// So many names fit into a box.
const NAMES_MAX: usize = 4;

fn label(node: &GraphNode, line_end: &str) -> String {
    let mut names: Vec<String> = node.assets.iter().take(NAMES_MAX).cloned().collect();
    if let Some(more) = node.assets.len().checked_sub(NAMES_MAX).filter(|n| *n > 0) {
        names.push(format!("and {more} more"));
    }
    let start = node
        .start
        .map_or_else(|| "no time".to_owned(), |s| s.strftime("%Y-%m-%d %H:%MZ").to_string());
    format!("{}{line_end}{start}{line_end}{}", node.batch, names.join(", "))
}

/// A quoted Graphviz identifier; `\n` inside stays the line break it means there.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\\\""))
}

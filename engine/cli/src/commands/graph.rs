//! `graph`: the rollout graph.

use patchwave_core::plan::{dot, graph_json, mermaid};

use super::Context;
use crate::args::GraphFormat;
use crate::exit::{Exit, Failure};

/// Prints the graph of one rollout, or of all.
pub fn run(context: &Context, rollout: Option<&str>, format: GraphFormat) -> Result<Exit, Failure> {
    let look = context.look()?;
    let plan = &look.survey.plan;
    if let Some(name) = rollout.filter(|name| !plan.rollouts.iter().any(|r| r.name.as_ref() == *name)) {
        let names: Vec<&str> = plan.rollouts.iter().map(|r| r.name.as_ref()).collect();
        return Err(Failure::with_help(format!("the plan has no rollout `{name}`"), format!("it has: {}", names.join(", "))));
    }
    match format {
        GraphFormat::Dot => context.output.text(&dot(plan, rollout))?,
        GraphFormat::Mermaid => context.output.text(&mermaid(plan, rollout))?,
        GraphFormat::Json => context.output.json(&graph_json(plan, rollout))?,
    }
    Ok(context.exit(&look.observed))
}

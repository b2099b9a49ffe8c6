//! `graph`: the rollout graph.

use patchwave_core::plan::{dot, graph, mermaid, svg};

use super::Context;
use crate::args::GraphFormat;
use crate::exit::{Exit, Failure};

/// Prints the graph of one rollout, or of all.
pub fn run(context: &Context, rollout: Option<&str>, format: GraphFormat) -> Result<Exit, Failure> {
    let look = context.look()?;
    let plan = &look.survey.plan;
    if let Some(name) = rollout.filter(|name| !plan.rollouts.iter().any(|r| r.name.as_ref() == *name)) {
        let names: Vec<&str> = plan.rollouts.iter().map(|r| r.name.as_ref()).collect();
        return Err(Failure::with_help(
            format!("the plan has no rollout `{name}`"),
            format!("it has: {}", names.join(", ")),
        ));
    }
    let chosen = plan
        .rollouts
        .iter()
        .map(|r| r.name.as_ref())
        .filter(|name| rollout.is_none_or(|r| r == *name));
    match format {
        GraphFormat::Dot => context
            .output
            .text(&chosen.filter_map(|name| dot(plan, name)).collect::<String>())?,
        GraphFormat::Mermaid => {
            let graphs: Vec<String> = chosen.filter_map(|name| mermaid(plan, name)).collect();
            context.output.text(&graphs.join("\n"))?;
        }
        // A file holds one picture, so one rollout must be meant.
        GraphFormat::Svg => match chosen.collect::<Vec<_>>().as_slice() {
            [one] => context.output.text(&svg(plan, one).unwrap_or_default())?,
            [] => {
                return Err(Failure::with_help(
                    "the plan has no rollout to draw",
                    "there is nothing to do",
                ));
            }
            many => {
                return Err(Failure::with_help(
                    "a picture holds one rollout",
                    format!("name one of: {}", many.join(", ")),
                ));
            }
        },
        // One rollout is an object, all rollouts are a list.
        GraphFormat::Json => {
            let graphs: Vec<_> = chosen.filter_map(|name| graph(plan, name)).collect();
            match (rollout, graphs.as_slice()) {
                (Some(_), [one]) => context.output.json(one)?,
                _ => context.output.json(&graphs)?,
            }
        }
    }
    Ok(context.exit(&look.observed, &look.survey.assessment))
}

//! `plan`: rollouts, waves, batches, schedule, waiting, refusals.

use std::path::Path;

use patchwave_core::plan::{json, text};

use super::Context;
use crate::args::TextJson;
use crate::exit::{Exit, Failure};

/// Plans, and shows or writes the plan.
pub fn run(context: &Context, format: TextJson, out: Option<&Path>, detailed: bool) -> Result<Exit, Failure> {
    let look = context.look()?;
    let plan = &look.survey.plan;
    let inputs = look.observed.observation.sources.iter().map(|s| (s.name.to_string(), s.digest.clone())).collect();
    let document = json(plan, &inputs);
    if let Some(file) = out {
        let mut bytes = serde_json::to_vec_pretty(&document)?;
        bytes.push(b'\n');
        std::fs::write(file, bytes).map_err(|e| Failure::new(format!("{}: {e}", file.display())))?;
    }
    match format {
        TextJson::Json => context.output.json(&document)?,
        TextJson::Text => context.output.text(&text(plan))?,
    }
    match context.exit(&look.observed) {
        Exit::Done if detailed && !plan.rollouts.is_empty() => Ok(Exit::Changes),
        exit => Ok(exit),
    }
}

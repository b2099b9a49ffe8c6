//! `plan`: rollouts, waves, batches, schedule, waiting, refusals.

use std::path::Path;

use patchwave_core::plan::{json, markdown, text};

use super::Context;
use crate::args::PlanFormat;
use crate::exit::{Exit, Failure};

/// Plans, and shows or writes the plan.
pub fn run(context: &Context, format: PlanFormat, out: Option<&Path>, detailed: bool) -> Result<Exit, Failure> {
    let look = context.look()?;
    let plan = &look.survey.plan;
    let inputs = look
        .observed
        .observation
        .sources
        .iter()
        .map(|s| (s.name.to_string(), s.digest.clone()))
        .collect();
    let document = json(plan, &inputs)?;
    if let Some(file) = out {
        std::fs::write(file, &document).map_err(|e| Failure::new(format!("{}: {e}", file.display())))?;
    }
    match format {
        PlanFormat::Json => context.output.text(&document)?,
        PlanFormat::Markdown => context.output.text(&markdown(plan))?,
        PlanFormat::Text => context.output.text(&text(plan))?,
    }
    match context.exit(&look.observed, &look.survey.assessment) {
        Exit::Done if detailed && !plan.rollouts.is_empty() => Ok(Exit::Changes),
        exit => Ok(exit),
    }
}

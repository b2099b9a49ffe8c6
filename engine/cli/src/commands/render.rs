//! `render`: the artifacts of the current plan, in a folder.

use std::collections::BTreeMap;
use std::path::Path;

use patchwave_adapters::write::{Existing, write_bundle};

use super::Context;
use crate::exit::{Exit, Failure};

/// Renders every wave of every rollout.
pub fn run(context: &Context, out: Option<&Path>) -> Result<Exit, Failure> {
    let look = context.look()?;
    let mut files = BTreeMap::new();
    let mut faults = Vec::new();
    for rollout in &look.survey.plan.rollouts {
        match look
            .survey
            .artifacts
            .rollout_files(&look.survey.scene(&look.repository, &look.observed), rollout)
        {
            Ok(found) => files.extend(found),
            Err(found) => faults.extend(found),
        }
    }
    if !faults.is_empty() {
        return Err(Failure::with_help(
            format!("nothing was written:\n  {}", faults.join("\n  ")),
            "each line names the value and where it came from",
        ));
    }
    let folder = match out {
        Some(folder) => folder.to_owned(),
        None => context.root.join(".patchwave/render"),
    };
    let written = write_bundle(&folder, &files, Existing::Replace)?;
    context.output.text(&format!(
        "{} files in {}: {} written, {} as they were",
        files.len(),
        folder.display(),
        written.written.len(),
        written.unchanged.len()
    ))?;
    Ok(context.exit(&look.observed, &look.survey.assessment))
}

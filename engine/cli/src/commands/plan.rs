//! `plan`: rollouts, waves, batches, schedule, waiting, refusals.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use patchwave_core::plan::{markdown, text, write_json};

use super::Context;
use crate::args::PlanFormat;
use crate::exit::{Exit, Failure};

/// Bytes gathered before they are written out: a large plan is streamed, never held as text.
const CHUNK_BYTES: usize = 256 * 1024;

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
    if let Some(file) = out {
        let failure = |e: &dyn std::fmt::Display| Failure::new(format!("{}: {e}", file.display()));
        let mut sink = BufWriter::with_capacity(CHUNK_BYTES, File::create(file).map_err(|e| failure(&e))?);
        write_json(plan, &inputs, &mut sink).map_err(|e| failure(&e))?;
        sink.flush().map_err(|e| failure(&e))?;
    }
    match format {
        PlanFormat::Json => context.output.stream(|out| {
            let mut sink = BufWriter::with_capacity(CHUNK_BYTES, out);
            write_json(plan, &inputs, &mut sink)?;
            sink.flush()
        })?,
        PlanFormat::Markdown => context.output.text(&markdown(plan))?,
        PlanFormat::Text => context.output.text(&text(plan))?,
    }
    match context.exit(&look.observed, &look.survey.assessment) {
        Exit::Done if detailed && !plan.rollouts.is_empty() => Ok(Exit::Changes),
        exit => Ok(exit),
    }
}

//! `plan`: rollouts, waves, batches, schedule, waiting, refusals; and what an edit would change of them.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use patchwave_adapters::forge::Forge;
use patchwave_core::diag::Severity;
use patchwave_core::diag::render::text::document as text_of_problems;
use patchwave_core::plan::{
    Comparison, Side, compare, comparison_markdown, comparison_text, markdown, text, write_json,
};
use patchwave_core::time::When;
use patchwave_runner::repository::{changed_data, open_at};
use patchwave_runner::sources::observe as read_sources;
use patchwave_runner::survey::survey;
use serde::Serialize;

use super::{Context, said};
use crate::args::PlanFormat;
use crate::exit::{Exit, Failure};

/// Bytes gathered before they are written out: a large plan is streamed, never held as text.
const CHUNK_BYTES: usize = 256 * 1024;

/// Plans, and shows or writes the plan; `at` is the instant to plan for, if not now.
pub fn run(
    context: &Context,
    at: Option<When>,
    format: PlanFormat,
    out: Option<&Path>,
    detailed: bool,
) -> Result<Exit, Failure> {
    let look = context.look_ahead(at)?;
    let plan = &look.survey.plan;
    if plan.now != context.now {
        context.output.say(&format!(
            "note: planned for {} with the facts of {}: nothing is assumed to be observed, published, merged or patched in between",
            plan.now, context.now
        ));
    }
    let inputs = look
        .observed
        .observation
        .sources
        .iter()
        .map(|s| (s.name.to_string(), s.digest.clone()))
        .collect();
    if let Some(file) = out {
        let failure = |e: &dyn std::fmt::Display| unwritable(file, e);
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

/// What `formatVersion` of a comparison says; readers refuse a newer major.
const COMPARISON_FORMAT: &str = "1.0";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'c> {
    format_version: &'static str,
    base: &'c str,
    #[serde(flatten)]
    comparison: &'c Comparison,
}

/// Shows what the edits since `base` change. Both sets of resources are judged by the facts of the work tree.
pub fn compare_with(
    context: &Context,
    base: &str,
    format: PlanFormat,
    out: Option<&Path>,
    detailed: bool,
) -> Result<Exit, Failure> {
    let look = context.look()?;
    let old = open_at(&context.root, base, context.now)
        .map_err(|fault| Failure::with_help(format!("--base {}: {}", fault.path, fault.what), fault.help))?;
    if old.diagnostics.has_errors() {
        let mut errors = old.diagnostics.clone();
        errors.retain(|d| d.severity == Severity::Error);
        let list = text_of_problems(&errors, &old.set, context.output.colour);
        context.output.warn(&format!("at {base}:\n{list}"));
        let count = old.diagnostics.count(Severity::Error);
        let what = if count == 1 {
            "has 1 error".to_owned()
        } else {
            format!("has {count} errors")
        };
        return Err(Failure::with_help(
            format!("the repository at {base} {what}, so there is no plan to compare with"),
            "compare with a reference that validates, or look at the whole plan without --base",
        ));
    }
    let observed = read_sources(&old, context.now);
    for source in observed.observation.sources.iter().filter(|s| s.failure.is_some()) {
        let failure = source.failure.as_deref().unwrap_or_default();
        context.output.say(&format!(
            "warning: the resources at {base} read the source {}, which the work tree cannot give: {failure}",
            source.name
        ));
    }
    let data = changed_data(&context.root, base, &[&old, &look.repository])
        .map_err(|fault| Failure::with_help(format!("--base {}: {}", fault.path, fault.what), fault.help))?;
    for source in data {
        context.output.say(&format!(
            "note: what source {source} reads differs from {base}; both sides are judged by the data of the work tree, so this \
             comparison does not show what the change of data does"
        ));
    }
    let forge = context.forge_if_any(&look.repository)?;
    let forge = forge.as_ref().map(|f| f as &dyn Forge);
    let before = survey(&old, &observed, forge, None, context.now).map_err(said)?;
    let comparison = compare(
        &Side {
            catalog: &old.catalog,
            observation: &observed.observation,
            assessment: &before.assessment,
            plan: &before.plan,
        },
        &Side {
            catalog: &look.repository.catalog,
            observation: &look.observed.observation,
            assessment: &look.survey.assessment,
            plan: &look.survey.plan,
        },
    );
    let mut document = serde_json::to_string_pretty(&Document {
        format_version: COMPARISON_FORMAT,
        base,
        comparison: &comparison,
    })?;
    document.push('\n');
    save(out, &document)?;
    match format {
        PlanFormat::Json => context.output.text(&document)?,
        PlanFormat::Markdown => context.output.text(&comparison_markdown(&comparison, base))?,
        PlanFormat::Text => context.output.text(&comparison_text(&comparison, base))?,
    }
    match context.exit(&look.observed, &look.survey.assessment) {
        Exit::Done if detailed && !comparison.is_empty() => Ok(Exit::Changes),
        exit => Ok(exit),
    }
}

fn save(out: Option<&Path>, document: &str) -> Result<(), Failure> {
    let Some(file) = out else { return Ok(()) };
    std::fs::write(file, document).map_err(|e| unwritable(file, &e))
}

fn unwritable(file: &Path, why: &dyn std::fmt::Display) -> Failure {
    Failure::with_help(
        format!("{} cannot be written: {why}", file.display()),
        "`--out` names a file in a folder that exists",
    )
}

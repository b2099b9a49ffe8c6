//! `explain`: the facts and the file:line of each rule that decided.

use patchwave_core::assess::explain;
use patchwave_core::diag::nearest_or_list;

use super::Context;
use crate::args::{ExplainSubject, TextJson};
use crate::exit::{Exit, Failure};

/// Explains an asset, or one finding of it.
pub fn run(context: &Context, subject: &ExplainSubject) -> Result<Exit, Failure> {
    let (name, advisory, format) = match subject {
        ExplainSubject::Asset { name, format } => (name, None, *format),
        ExplainSubject::Finding {
            asset,
            advisory,
            format,
        } => (asset, Some(advisory.as_str()), *format),
    };
    let look = context.findings()?;
    let observation = &look.observed.observation;
    let index = observation
        .assets
        .iter()
        .position(|a| a.name.eq_ignore_ascii_case(name));
    let Some(index) = index else {
        let help = nearest_or_list(name, observation.assets.iter().map(|a| a.name.as_ref()));
        return Err(Failure {
            message: format!("no fleet has an asset `{name}`"),
            help,
        });
    };
    let catalog = &look.repository.catalog;
    let memory = &look.survey.history.memory;
    let trace = explain(catalog, observation, memory, context.now, index, advisory);
    let Some(trace) = trace.filter(|t| advisory.is_none() || !t.findings.is_empty()) else {
        let what = advisory.unwrap_or_default();
        let help = if observation
            .advisories
            .iter()
            .any(|a| a.id.as_ref() == what || a.aliases.iter().any(|x| x.as_ref() == what))
        {
            "the advisory is known, but it hits nothing that is installed there in an affected version"
        } else {
            "no source has an advisory of that id or alias; `patchwave feeds` lists what was read"
        };
        return Err(Failure::with_help(format!("{name} has no finding for {what}"), help));
    };
    match format {
        TextJson::Json => context.output.json(&trace)?,
        TextJson::Text => context.output.text(&trace.to_string())?,
    }
    Ok(context.exit(&look.observed, &look.survey.assessment))
}

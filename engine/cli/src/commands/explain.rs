//! `explain`: the facts and the file:line of each rule that decided.

use std::collections::BTreeSet;

use patchwave_core::assess::explain;
use patchwave_core::diag::{Code, nearest_or_list};
use patchwave_core::plan::{Account, Scene, explain_refusals, explain_rollout, explain_window};

use super::{Context, Look};
use crate::args::{ExplainSubject, TextJson};
use crate::exit::{Exit, Failure};

/// Explains an asset, a finding of it, a rollout, a window, or what is refused.
pub fn run(context: &Context, subject: &ExplainSubject) -> Result<Exit, Failure> {
    match subject {
        ExplainSubject::Code { code, format } => described(context, code, *format),
        ExplainSubject::Asset { name, format } => findings(context, name, None, *format),
        ExplainSubject::Finding {
            asset,
            advisory,
            format,
        } => findings(context, asset, Some(advisory), *format),
        ExplainSubject::Rollout { name, format } => planned(context, *format, |look| {
            let rollouts = look.survey.plan.rollouts.iter().map(|r| r.name.as_ref());
            explain_rollout(&scene(look), name).ok_or_else(|| Failure {
                message: format!("the plan has no rollout `{name}`"),
                help: nearest_or_list(name, rollouts),
            })
        }),
        ExplainSubject::Window { name, format } => planned(context, *format, |look| {
            let windows = look.repository.catalog.windows.keys().map(|k| k.as_ref());
            explain_window(&scene(look), name).ok_or_else(|| Failure {
                message: format!("there is no MaintenanceWindow `{name}`"),
                help: nearest_or_list(name, windows),
            })
        }),
        ExplainSubject::Refusal { name, reason, format } => planned(context, *format, |look| {
            explain_refusals(&scene(look), name, reason.as_deref())
                .ok_or_else(|| nothing_refused(look, name, reason.as_deref()))
        }),
    }
}

/// The page of a code; needs no repository.
fn described(context: &Context, wanted: &str, format: TextJson) -> Result<Exit, Failure> {
    let id = wanted.to_uppercase();
    let Some(code) = Code::ALL.iter().find(|code| code.id() == id) else {
        let help = nearest_or_list(&id, Code::ALL.iter().map(|code| code.id()));
        return Err(Failure {
            message: format!("there is no diagnostic `{wanted}`"),
            help: help.or_else(|| Some("codes look like PW0101; docs/diagnostics.md lists them".into())),
        });
    };
    match format {
        TextJson::Text => context.output.text(&code.page(1))?,
        TextJson::Json => {
            let entry = code.entry().unwrap_or_default();
            context.output.json(&serde_json::json!({
                "code": code.id(),
                "severity": code.severity(),
                "title": code.title(),
                "what": entry.what,
                "why": entry.why,
                "example": entry.example,
                "fix": entry.advice,
                "fixed": entry.fixed,
                "url": code.url(),
            }))?;
        }
    }
    Ok(Exit::Done)
}

fn scene(look: &Look) -> Scene<'_> {
    Scene {
        catalog: &look.repository.catalog,
        observation: &look.observed.observation,
        assessment: &look.survey.assessment,
        history: &look.survey.history,
        plan: &look.survey.plan,
    }
}

fn planned(
    context: &Context,
    format: TextJson,
    account: impl Fn(&Look) -> Result<Account, Failure>,
) -> Result<Exit, Failure> {
    let look = context.look()?;
    let account = account(&look)?;
    match format {
        TextJson::Json => context.output.json(&account)?,
        TextJson::Text => context.output.text(&account.to_string())?,
    }
    Ok(context.exit(&look.observed, &look.survey.assessment))
}

fn nothing_refused(look: &Look, name: &str, reason: Option<&str>) -> Failure {
    let refusals = &look.survey.plan.refusals;
    let why = reason.map_or_else(String::new, |r| format!(" for `{r}`"));
    let help = if refusals.is_empty() {
        "the plan refuses nothing".to_owned()
    } else {
        let reasons: BTreeSet<&str> = refusals.iter().map(|r| r.reason.as_ref()).collect();
        let assets: BTreeSet<&str> = refusals
            .iter()
            .map(|r| r.asset.as_ref())
            .filter(|a| !a.is_empty())
            .collect();
        let reasons: Vec<&str> = reasons.into_iter().collect();
        format!(
            "{} refusals of {} assets: {}",
            refusals.len(),
            assets.len(),
            reasons.join(", ")
        )
    };
    Failure::with_help(format!("nothing is refused of `{name}`{why}"), help)
}

fn findings(context: &Context, name: &str, advisory: Option<&str>, format: TextJson) -> Result<Exit, Failure> {
    let look = context.findings()?;
    let observation = &look.observed.observation;
    let index = observation
        .assets
        .iter()
        .position(|a| a.name.eq_ignore_ascii_case(name));
    let Some(index) = index else {
        let help = nearest_or_list(name, observation.assets.iter().map(|a| a.name.as_ref()))
            .or_else(|| Some("`patchwave assess --all --format json` lists every asset".into()));
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

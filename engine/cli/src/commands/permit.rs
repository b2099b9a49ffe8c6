//! `permit`: may this batch, or this asset of it, run now?

use patchwave_core::canonical::sha256_hex;
use patchwave_core::decide::{Permit, PermitRefusal, may_go_back, may_run};
use serde_json::json;

use super::{Context, Look};
use crate::args::TextJson;
use crate::exit::{Exit, Failure};

/// The SHA-256 of the `SHA256SUMS` that an executor is about to obey, in hexadecimal.
const SUMS_VARIABLE: &str = "PATCHWAVE_SHA256SUMS";

/// What the executor is about to do: `patch` (also where it is not set) or `rollback`.
const ACTION_VARIABLE: &str = "PATCHWAVE_ACTION";

/// Exit 0 with a permit, 1 with the reason.
pub fn run(
    context: &Context,
    (rollout, wave, batch): (&str, &str, &str),
    asset: Option<&str>,
    format: TextJson,
) -> Result<Exit, Failure> {
    let action = std::env::var(ACTION_VARIABLE).unwrap_or_else(|_| "patch".into());
    let ask = match action.as_str() {
        "patch" => may_run,
        "rollback" => may_go_back,
        other => {
            return Err(Failure::with_help(
                format!("{ACTION_VARIABLE} is `{other}`: no permit is given for that"),
                "set it to `patch` or `rollback`, or leave it unset for `patch`",
            ));
        }
    };
    let look = context.look()?;
    let answer = if look.from_clone {
        Err(forge_unknown())
    } else {
        look.survey.with_world(&look.repository, &look.observed, |world| {
            ask(world, (rollout, wave, batch), asset, context.now)
        })
    };
    let sums = merged_sums(&look, rollout);
    let answer = answer.and_then(|permit| what_was_merged(permit, sums.as_deref(), std::env::var(SUMS_VARIABLE).ok()));
    match (answer, format) {
        (Ok(permit), TextJson::Json) => {
            let mut permit = json!(permit);
            if let (Some(permit), Some(sums)) = (permit.as_object_mut(), sums) {
                permit.insert("sums".into(), sums.into());
            }
            context.output.json(&json!({"permitted": true, "permit": permit}))?;
            Ok(Exit::Done)
        }
        (Ok(permit), TextJson::Text) => {
            let end = permit.opening_end.map(|e| format!(", until {e}")).unwrap_or_default();
            context.output.text(&format!(
                "permitted: {} wave {} batch {}, digest {}{end}",
                permit.rollout, permit.wave, permit.batch, permit.digest
            ))?;
            Ok(Exit::Done)
        }
        (Err(refusal), TextJson::Json) => {
            context.output.json(&json!({"permitted": false, "reason": refusal.0}))?;
            Ok(Exit::Error)
        }
        (Err(refusal), TextJson::Text) => {
            context.output.text(&format!("refused: {}", refusal.0))?;
            Ok(Exit::Error)
        }
    }
}

/// What a clone holds may be older than a halt: unknown is not permitted.
fn forge_unknown() -> PermitRefusal {
    PermitRefusal(
        "the forge cannot be asked from here, so nobody knows whether the rollout was halted since: set its token, and leave \
         out --offline"
            .to_owned(),
    )
}

/// The SHA-256 of the merged `SHA256SUMS` of a rollout.
fn merged_sums(look: &Look, rollout: &str) -> Option<String> {
    let folder = look.repository.catalog.project.paths.rollouts.trim_matches('/');
    let files = &look.survey.view.merged_files;
    let sums = files.get(&format!("{folder}/{rollout}/SHA256SUMS"));
    sums.map(|bytes| sha256_hex(bytes))
}

/// A permit is for the files that were merged, whatever lies on the executor's disk.
fn what_was_merged(permit: Permit, merged: Option<&str>, obeyed: Option<String>) -> Result<Permit, PermitRefusal> {
    // An empty text is what a file that could not be read leaves: it is no digest, and nothing to be obeyed.
    match obeyed.filter(|obeyed| Some(obeyed.as_str()) != merged) {
        None => Ok(permit),
        Some(obeyed) => Err(PermitRefusal(format!(
            "the files at hand (SHA256SUMS {obeyed}) are not those that were merged ({}): check out the merged branch again",
            merged.unwrap_or("none are")
        ))),
    }
}

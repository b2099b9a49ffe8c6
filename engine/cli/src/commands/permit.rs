//! `permit`: may this batch, or this asset of it, run now?

use patchwave_core::decide::may_run;
use serde_json::json;

use super::Context;
use crate::args::TextJson;
use crate::exit::{Exit, Failure};

/// Exit 0 with a permit, 1 with the reason.
pub fn run(
    context: &Context,
    (rollout, wave, batch): (&str, &str, &str),
    asset: Option<&str>,
    format: TextJson,
) -> Result<Exit, Failure> {
    let look = context.look()?;
    let answer = look.survey.with_world(&look.repository, &look.observed, |world| {
        may_run(world, (rollout, wave, batch), asset, context.now)
    });
    match (answer, format) {
        (Ok(permit), TextJson::Json) => {
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

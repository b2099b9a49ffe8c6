//! `targets` and `sources`: what there is to render for and to read from.

use std::path::Path;

use patchwave_adapters::monitors::CONNECTORS;
use patchwave_formats::FORMATS;
use patchwave_runner::artifacts::{artifacts, check_target};
use serde_json::{Value, json};

use super::{Context, said};
use crate::args::TextJson;
use crate::exit::{Exit, Failure};

/// The render targets: built in, and of this repository if the command stands in one.
pub fn targets(context: &Context, format: TextJson) -> Result<Exit, Failure> {
    let repository = patchwave_runner::repository::open(&context.root, context.now);
    let artifacts = artifacts(&repository).map_err(said)?;
    let all: Vec<Value> = artifacts
        .packs
        .targets
        .values()
        .map(|pack| serde_json::to_value(&pack.spec))
        .collect::<Result<_, _>>()?;
    match format {
        TextJson::Json => context.output.json(&all)?,
        TextJson::Text => {
            let mut out = String::new();
            for spec in &all {
                let field = |name: &str| spec.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
                out.push_str(&format!("{}: {}\n", field("name"), field("description")));
                if let Some(capabilities) = spec.get("capabilities").and_then(Value::as_object) {
                    let words: Vec<String> = capabilities.iter().map(|(k, v)| format!("{k} {v}")).collect();
                    out.push_str(&format!("  {}\n", words.join(", ")));
                }
            }
            context.output.text(&out)?;
        }
    }
    Ok(Exit::Done)
}

/// One target of the user's own: every fault of it, and how much was tried.
pub fn check(context: &Context, folder: &Path, format: TextJson) -> Result<Exit, Failure> {
    let folder = context.root.join(folder);
    let folder = folder.canonicalize().unwrap_or(folder);
    let trial = check_target(&folder).map_err(said)?;
    let faults: Vec<Value> = trial
        .faults
        .iter()
        .map(|fault| json!({"file": fault.file, "message": fault.message}))
        .collect();
    match format {
        TextJson::Json => context.output.json(&json!({
            "formatVersion": "1.0", "files": trial.files.keys().collect::<Vec<_>>(), "tried": trial.tried,
            "refused": trial.refused, "faults": faults,
        }))?,
        TextJson::Text => {
            let mut out = String::new();
            for fault in &trial.faults {
                out.push_str(&format!("{fault}\n"));
            }
            let files = trial.files.len();
            match trial.faults.len() {
                0 => out.push_str(&format!(
                    "{files} files rendered and read; {} renderings with hostile texts, {} refused, none broke out\n",
                    trial.tried, trial.refused
                )),
                faults => out.push_str(&format!("{faults} faults\n")),
            }
            context.output.text(&out)?;
        }
    }
    Ok(if trial.faults.is_empty() {
        Exit::Done
    } else {
        Exit::Error
    })
}

/// The source types.
pub fn sources(context: &Context, format: TextJson) -> Result<Exit, Failure> {
    match format {
        TextJson::Json => {
            let read = FORMATS.iter().map(|f| {
                json!({"type": f.name, "kind": f.kind, "built": f.built(), "extensions": f.extensions, "summary": f.summary})
            });
            let asked = CONNECTORS.iter().map(|c| {
                json!({"type": c.name, "kind": c.kind, "built": true, "extensions": ["json"], "summary": c.summary})
            });
            context.output.json(&read.chain(asked).collect::<Vec<Value>>())?;
        }
        TextJson::Text => {
            let mut out = String::new();
            for format in FORMATS {
                let built = if format.built() { "" } else { " (not built yet)" };
                out.push_str(&format!("{:<14} {}{built}\n", format.name, format.summary));
            }
            for connector in CONNECTORS {
                out.push_str(&format!("{:<14} {}\n", connector.name, connector.summary));
            }
            context.output.text(&out)?;
        }
    }
    Ok(Exit::Done)
}

//! `audit verify`: the chains of the ledger, that every recorded move was a move of the table, and what went past the
//! separation of duties.

use patchwave_adapters::forge::Forge;
use patchwave_core::decide::past_the_rules;
use patchwave_core::history::{audit, fold};
use serde_json::json;

use super::Context;
use crate::args::{AuditCommand, TextJson};
use crate::exit::{Exit, Failure};

/// Checks what can be checked.
pub fn run(context: &Context, what: &AuditCommand) -> Result<Exit, Failure> {
    let AuditCommand::Verify { format } = what;
    let repository = context.load()?;
    let view = match context.forge_if_any(&repository)? {
        Some(forge) => forge.view().map_err(|e| Failure::with_help(e.what, e.help))?,
        None => {
            return Err(Failure::with_help(
                "there is no forge and so no ledger yet",
                "`patchwave reconcile --once` makes both",
            ));
        }
    };
    let folder = &repository.catalog.project.paths.rollouts;
    let report = audit(&view, folder);
    // A ledger that cannot be folded is a fault above; who merged what is asked of one that can.
    let findings = fold(&view, folder).map_or_else(
        |_| Vec::new(),
        |history| past_the_rules(&repository.catalog, &history, &view),
    );
    match format {
        TextJson::Json => context.output.json(&json!({
            "ok": report.faults.is_empty(),
            "files": report.files,
            "lines": report.lines,
            "findings": findings.iter().map(|f| json!({"subject": f.subject, "message": f.message})).collect::<Vec<_>>(),
            "faults": report.faults.iter().map(|f| json!({"file": f.file, "message": f.message})).collect::<Vec<_>>(),
        }))?,
        TextJson::Text => {
            let mut out = String::new();
            for fault in &report.faults {
                out.push_str(&format!("{}: {}\n", fault.file, fault.message));
            }
            for finding in &findings {
                out.push_str(&format!("finding: {}: {}\n", finding.subject, finding.message));
            }
            out.push_str(&format!(
                "{} ledger files, {} lines, {} faults\n",
                report.files,
                report.lines,
                report.faults.len()
            ));
            context.output.text(&out)?;
        }
    }
    Ok(if report.faults.is_empty() {
        Exit::Done
    } else {
        Exit::Error
    })
}

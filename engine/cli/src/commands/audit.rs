//! `audit verify`: the chains of the ledger, that every recorded move was a move of the table, and what went past the
//! separation of duties.

use std::collections::BTreeMap;
use std::path::Path;

use patchwave_adapters::files::read_source;
use patchwave_adapters::forge::Forge;
use patchwave_core::decide::past_the_rules;
use patchwave_core::history::{audit, fold};
use patchwave_runner::artifacts::digest_of_files;
use serde_json::json;

use super::Context;
use crate::args::{AuditCommand, TextJson};
use crate::exit::{Exit, Failure};

/// Checks what can be checked.
pub fn run(context: &Context, what: &AuditCommand) -> Result<Exit, Failure> {
    let AuditCommand::Verify { anchor, format } = what;
    let anchors = anchor.as_deref().map(read_anchor).transpose()?.unwrap_or_default();
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
    let digest =
        |files: &BTreeMap<String, Vec<u8>>, rollout: &str, wave: &str| digest_of_files(folder, files, rollout, wave);
    let report = audit(&view, folder, &digest, &anchors);
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
            "heads": report.heads,
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

/// A report is small: a line for every ledger file.
const ANCHOR_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The heads in a report that was kept outside.
fn read_anchor(path: &Path) -> Result<BTreeMap<String, String>, Failure> {
    #[derive(serde::Deserialize)]
    struct Report {
        heads: BTreeMap<String, String>,
    }
    let given = path.to_string_lossy();
    let found = read_source(Path::new("."), &given, &[".json"], ANCHOR_BYTES_MAX)?;
    let mut heads = BTreeMap::new();
    for file in found.files {
        let report: Report = serde_json::from_slice(&file.bytes).map_err(|e| {
            Failure::with_help(
                format!("{}: {e}", file.path),
                "give the output of an earlier `patchwave audit verify --format json`",
            )
        })?;
        heads.extend(report.heads);
    }
    Ok(heads)
}

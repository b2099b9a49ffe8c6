//! `assess`: findings with deadlines.

use std::io::Write;

use patchwave_core::assess::rows::{RowFormat, Writer, csv_header, ndjson_row};
use patchwave_core::assess::{Finding, Status};
use patchwave_core::observe::Observation;
use serde_json::{Value, json};

use super::{Context, Look};
use crate::args::AssessFormat;
use crate::exit::{Exit, Failure};

/// Bytes gathered before they are written out: rows are streamed, never held all at once.
const CHUNK_BYTES: usize = 256 * 1024;

/// Shows every open finding; with `all`, assets without one as well, where the format speaks of assets
/// (`table`, `json`).
pub fn run(context: &Context, all: bool, format: AssessFormat) -> Result<Exit, Failure> {
    let look = context.findings()?;
    match format {
        AssessFormat::Ndjson => stream(context, &look, &[], RowFormat::Ndjson)?,
        AssessFormat::Csv => {
            let mut head = Vec::new();
            csv_header(&mut head);
            stream(context, &look, &head, RowFormat::Csv)?;
        }
        AssessFormat::Json => json_document(context, &look, all)?,
        AssessFormat::Table => table(context, &look, all)?,
    }
    let remarks = look.survey.assessment.remarks.iter();
    for remark in remarks {
        context
            .output
            .say(&format!("{}: {}: {}", remark.asset, remark.status, remark.detail));
    }
    Ok(context.exit(&look.observed, &look.survey.assessment))
}

/// Rows are written while the next ones are put together, both cores at work; the order is that of the assets.
fn stream(context: &Context, look: &Look, head: &[u8], format: RowFormat) -> Result<(), Failure> {
    let observation = &look.observed.observation;
    let writer = Writer::new(&look.survey.assessment, observation, format);
    let chunk = |from: usize, mut bytes: Vec<u8>| {
        bytes.clear();
        let mut next = from;
        while next < observation.assets.len() && bytes.len() < CHUNK_BYTES {
            writer.rows(next..next + 1, &mut bytes);
            next += 1;
        }
        (next, bytes)
    };
    context.output.result(head)?;
    let (mut next, mut ready) = chunk(0, Vec::new());
    let mut spare = Vec::new();
    while !ready.is_empty() {
        let (written, (after, bytes)) = rayon::join(
            || context.output.result(&ready),
            || chunk(next, std::mem::take(&mut spare)),
        );
        written?;
        next = after;
        spare = std::mem::replace(&mut ready, bytes);
    }
    Ok(())
}

fn json_document(context: &Context, look: &Look, all: bool) -> Result<(), Failure> {
    let observation = &look.observed.observation;
    let mut rows = Vec::new();
    for finding in look.survey.assessment.findings(observation) {
        let mut bytes = Vec::new();
        ndjson_row(&finding, observation, &mut bytes);
        rows.push(serde_json::from_slice::<Value>(&bytes)?);
    }
    let assessment = &look.survey.assessment;
    let assets: Vec<Value> = observation
        .assets
        .iter()
        .zip(&assessment.class_of)
        .enumerate()
        .map(|(index, (asset, class))| {
            let remarks = assessment.remarks_of(&asset.name).iter();
            let remarks: Vec<Value> = remarks
                .map(|r| json!({"status": r.status, "detail": r.detail}))
                .collect();
            let status = assessment
                .asset_status(observation, index)
                .filter(|s| all || *s != Status::Compliant);
            json!({
                "asset": asset.name,
                "fleet": asset.fleet,
                "class": class,
                "lifecycle": asset.lifecycle.as_str(),
                "observedAt": asset.observed_at.map(|t| t.to_string()),
                "stale": asset.stale,
                "status": status.map(Status::as_str),
                "remarks": remarks,
            })
        })
        .collect();
    context
        .output
        .json(&json!({"now": context.now.to_string(), "findings": rows, "assets": assets}))
}

fn table(context: &Context, look: &Look, all: bool) -> Result<(), Failure> {
    let observation = &look.observed.observation;
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header([
        "ASSET",
        "ADVISORY",
        "PACKAGE",
        "INSTALLED",
        "FIXED",
        "SEVERITY",
        "STATUS",
        "DEADLINE",
        "LANE",
        "RULE",
    ]);
    let mut rows = 0;
    for (index, asset) in observation.assets.iter().enumerate() {
        let mut any = false;
        for finding in look.survey.assessment.of(observation, index) {
            any = true;
            rows += 1;
            table.add_row(row(&finding, observation));
        }
        if all && !any {
            table.add_row([asset.name.as_ref(), "", "", "", "", "", &whole(look, index), "", "", ""]);
        }
    }
    let mut out = Vec::new();
    writeln!(out, "{}", table.trim_fmt())?;
    writeln!(out, "{rows} findings on {} assets", observation.assets.len())?;
    context.output.result(&out)
}

/// The status of an asset without findings, with the reason where it is not compliant.
fn whole(look: &Look, index: usize) -> String {
    let (observation, assessment) = (&look.observed.observation, &look.survey.assessment);
    let status = assessment.asset_status(observation, index);
    let Some(asset) = observation.assets.get(index) else {
        return String::new();
    };
    let remarks = assessment.remarks_of(&asset.name).iter();
    let reason = |word: &str| remarks.clone().find(|r| *r.status == *word).map(|r| r.detail.as_str());
    match status {
        Some(Status::Unknown) => match reason("unknown") {
            Some(why) => format!("unknown ({why})"),
            None => "unknown".into(),
        },
        Some(status) => status.to_string(),
        None if reason("no-policy").is_some() => "no-policy".into(),
        None => asset.lifecycle.as_str().into(),
    }
}

fn row(finding: &Finding<'_>, observation: &Observation) -> [String; 10] {
    let advisory = observation.advisories.get(finding.hit.advisory as usize);
    let judgement = finding.judgement;
    let status = match &judgement.detail {
        Some(detail) => format!("{} ({detail})", judgement.status),
        None => judgement.status.to_string(),
    };
    [
        finding.asset.name.to_string(),
        advisory.map(|a| a.id.to_string()).unwrap_or_default(),
        finding.hit.package.to_string(),
        finding.hit.installed.to_string(),
        finding.hit.fixed.as_deref().unwrap_or("none").to_owned(),
        advisory.map(|a| a.severity.to_string()).unwrap_or_default(),
        status,
        judgement.deadline.map(|d| d.to_string()).unwrap_or_default(),
        judgement.lane.as_str().to_owned(),
        judgement.rule.as_deref().unwrap_or_default().to_owned(),
    ]
}

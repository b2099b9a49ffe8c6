//! What a block shows: tables whose header names the columns, and diagnostics.
//!
//! A cell without a value is `-`; the parts of a list stand together without blanks. Two rows that are the same in every
//! column shown are one.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use patchwave_core::assess::Finding;
use patchwave_core::assess::rows::ndjson_row;
use patchwave_core::load::Catalog;
use patchwave_core::load::schedule::window;
use patchwave_core::load::wire::Lane;
use patchwave_core::plan::{Batch, Rollout, Wave};
use patchwave_core::rehearse::World;
use patchwave_core::time::{DurationSeconds, FreezeSet};
use serde_json::Value;

use crate::page::Block;

/// A row: columns with their cells.
type Row = Vec<(&'static str, String)>;

/// Blocks that are tables: name, the columns shown where the block names none, every column there is.
const TABLES: &[(&str, &[&str], &[&str])] = &[
    (
        "assets",
        &["asset", "class", "status"],
        &["asset", "fleet", "class", "lifecycle", "policies", "status"],
    ),
    (
        "findings",
        &["asset", "advisory", "status", "deadline", "lane", "rule"],
        &patchwave_core::assess::rows::COLUMNS,
    ),
    ("notes", &["subject", "message"], &["subject", "message"]),
    ("openings", &["start", "end"], &["window", "start", "end", "lasts"]),
    ("plan", &["wave", "batch", "assets", "window", "start", "finish"], PLAN),
    (
        "refusals",
        &["reason", "asset", "detail"],
        &["reason", "asset", "binding", "detail", "fixes"],
    ),
    (
        "remarks",
        &["asset", "status", "detail"],
        &["asset", "status", "detail"],
    ),
    (
        "waiting",
        &["policy", "cut", "findings"],
        &["policy", "cut", "findings"],
    ),
    (
        "windows",
        &["window", "state", "reason", "next"],
        &["window", "state", "reason", "next"],
    ),
];

const PLAN: &[&str] = &[
    "rollout",
    "policy",
    "strategy",
    "lane",
    "expedited",
    "revision",
    "cut",
    "reproducible",
    "installability",
    "targets",
    "advisories",
    "wave",
    "needs",
    "soak",
    "deadline",
    "slack",
    "binding",
    "fixes",
    "approval",
    "estimate",
    "batch",
    "assets",
    "window",
    "opens",
    "closes",
    "start",
    "finish",
    "lasts",
    "overruns",
    "blocked",
    "class",
    "target",
    "rollback",
    "before",
    "stale",
];

/// Whether a block of this language is compared with what comes out.
pub fn is_shown(language: &str) -> bool {
    matches!(language, "diagnostics" | "tests") || TABLES.iter().any(|(name, ..)| *name == language)
}

/// What a block must read: the table it names, with the columns its first line names.
///
/// # Errors
/// A column there is not, or a window there is not.
pub fn table(block: &Block, catalog: &Catalog, world: &World) -> Result<String, String> {
    let (_, default, all) = TABLES
        .iter()
        .find(|(name, ..)| *name == block.language)
        .ok_or_else(|| format!("`{}` is no table", block.language))?;
    if let Some(word) = block.words.iter().find(|word| !word.contains('=')) {
        return Err(format!(
            "`{word}` says nothing here; columns stand in the first line of the block"
        ));
    }
    let header: Vec<&str> = block
        .text
        .lines()
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let columns = if header.is_empty() { default.to_vec() } else { header };
    if let Some(wrong) = columns.iter().find(|c| !all.contains(c)) {
        return Err(format!("there is no column `{wrong}`; there are {}", all.join(", ")));
    }
    let rows = match block.language.as_str() {
        "assets" => assets(catalog, world),
        "findings" => findings(world),
        "openings" => openings(block, catalog, world)?,
        "plan" => plan(world),
        "refusals" => refusals(world),
        "remarks" => remarks(world),
        "waiting" => waiting(world),
        "windows" => windows(block, catalog, world)?,
        _ => notes(world),
    };
    Ok(aligned(&columns, &rows))
}

fn aligned(columns: &[&str], rows: &[Row]) -> String {
    let mut lines: Vec<Vec<String>> = vec![columns.iter().map(|c| (*c).to_owned()).collect()];
    for row in rows {
        let cell = |column: &&str| {
            let found = row
                .iter()
                .find(|(name, _)| name == column)
                .map(|(_, cell)| cell.as_str());
            found.filter(|cell| !cell.is_empty()).unwrap_or("-").to_owned()
        };
        let line: Vec<String> = columns.iter().map(cell).collect();
        if lines.last() != Some(&line) {
            lines.push(line);
        }
    }
    let width = |index: usize| lines.iter().map(|l| l[index].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let mut out = String::new();
    for line in &lines {
        let cells: Vec<String> = line
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        out.push_str(cells.join("  ").trim_end());
        out.push('\n');
    }
    out
}

fn list<T: AsRef<str>>(parts: impl IntoIterator<Item = T>) -> String {
    let parts: Vec<String> = parts.into_iter().map(|p| p.as_ref().to_owned()).collect();
    parts.join(",")
}

fn maybe(at: Option<Timestamp>) -> String {
    at.map(|at| at.to_string()).unwrap_or_default()
}

fn word(value: impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(text)) => text,
        Ok(Value::Null) | Err(_) => String::new(),
        Ok(other) => other.to_string(),
    }
}

fn yes(value: bool) -> String {
    if value { "yes" } else { "no" }.to_owned()
}

fn assets(catalog: &Catalog, world: &World) -> Vec<Row> {
    let World {
        observation,
        assessment,
        ..
    } = world;
    let scope = patchwave_core::assess::scope(catalog, observation);
    let rows = observation.assets.iter().enumerate().map(|(index, asset)| {
        let class = assessment.class_of.get(index).cloned().flatten().unwrap_or_default();
        vec![
            ("asset", asset.name.to_string()),
            ("fleet", asset.fleet.to_string()),
            ("class", class.to_string()),
            ("lifecycle", asset.lifecycle.as_str().to_owned()),
            ("policies", list(scope.get(index).into_iter().flatten())),
            (
                "status",
                assessment
                    .asset_status(observation, index)
                    .map(|s| s.to_string())
                    .unwrap_or_default(),
            ),
        ]
    });
    rows.collect()
}

fn findings(world: &World) -> Vec<Row> {
    let row = |finding: Finding<'_>| {
        let mut bytes = Vec::new();
        ndjson_row(&finding, &world.observation, &mut bytes);
        let value: Value = serde_json::from_slice(&bytes).unwrap();
        let cell = |column: &'static str| {
            let text = match value.get(column) {
                Some(Value::Array(parts)) => list(parts.iter().filter_map(Value::as_str)),
                Some(other) => word(other),
                None => String::new(),
            };
            (column, text)
        };
        patchwave_core::assess::rows::COLUMNS.into_iter().map(cell).collect()
    };
    world.assessment.findings(&world.observation).map(row).collect()
}

fn plan(world: &World) -> Vec<Row> {
    let mut rows = Vec::new();
    for rollout in &world.plan.rollouts {
        for wave in &rollout.waves {
            for batch in &wave.batches {
                let mut row = rollout_cells(rollout);
                row.extend(wave_cells(wave));
                row.extend(batch_cells(batch));
                rows.push(row);
            }
        }
    }
    rows
}

fn rollout_cells(rollout: &Rollout) -> Row {
    vec![
        ("rollout", rollout.name.to_string()),
        ("policy", rollout.policy.to_string()),
        ("strategy", rollout.strategy.to_string()),
        (
            "lane",
            if rollout.lane == Lane::Emergency {
                "emergency"
            } else {
                "routine"
            }
            .to_owned(),
        ),
        ("expedited", yes(rollout.expedited)),
        ("revision", rollout.revision.to_string()),
        ("cut", rollout.cut.to_string()),
        ("reproducible", yes(rollout.reproducible)),
        (
            "installability",
            if rollout.installability_unknown {
                "unknown"
            } else {
                "known"
            }
            .to_owned(),
        ),
        (
            "targets",
            list(rollout.targets.iter().map(|t| format!("{}={}", t.name, t.version))),
        ),
        ("advisories", list(&rollout.advisories)),
    ]
}

fn wave_cells(wave: &Wave) -> Row {
    let length = |seconds: i64| DurationSeconds(seconds).to_string();
    vec![
        ("wave", wave.name.to_string()),
        ("needs", list(&wave.needs)),
        ("soak", length(wave.soak_seconds)),
        ("deadline", maybe(wave.deadline)),
        ("slack", wave.slack_seconds.map(length).unwrap_or_default()),
        ("binding", word(wave.binding)),
        ("fixes", wave.fixes.join("; ")),
        ("approval", if wave.extra_approval { "one-more" } else { "" }.to_owned()),
        (
            "estimate",
            if wave.estimate_assumed { "assumed" } else { "written" }.to_owned(),
        ),
    ]
}

fn batch_cells(batch: &Batch) -> Row {
    let of_assets = |part: &dyn Fn(&patchwave_core::plan::BatchAsset) -> String| {
        let mut parts: Vec<String> = batch.assets.iter().map(part).collect();
        parts.dedup();
        parts.join(",")
    };
    vec![
        ("batch", batch.id.to_string()),
        ("assets", list(batch.assets.iter().map(|a| &a.name))),
        ("window", batch.window.name.to_string()),
        ("opens", maybe(batch.window.start)),
        ("closes", maybe(batch.window.end)),
        ("start", maybe(batch.start)),
        ("finish", maybe(batch.finish)),
        ("lasts", DurationSeconds(batch.duration_seconds).to_string()),
        ("overruns", yes(batch.overruns)),
        ("blocked", word(batch.blocked)),
        ("class", of_assets(&|a| a.class.to_string())),
        ("target", of_assets(&|a| a.target.to_string())),
        ("rollback", of_assets(&|a| word(a.rollback))),
        ("before", of_assets(&|a| list(a.before.iter()))),
        ("stale", of_assets(&|a| yes(a.stale))),
    ]
}

fn refusals(world: &World) -> Vec<Row> {
    let row = |r: &patchwave_core::plan::Refusal| {
        vec![
            ("reason", r.reason.to_string()),
            ("asset", r.asset.to_string()),
            ("binding", word(r.binding)),
            ("detail", r.detail.clone()),
            ("fixes", r.fixes.join("; ")),
        ]
    };
    world.plan.refusals.iter().map(row).collect()
}

fn waiting(world: &World) -> Vec<Row> {
    let row = |w: &patchwave_core::plan::Waiting| {
        vec![
            ("policy", w.policy.to_string()),
            ("cut", w.cut.to_string()),
            ("findings", w.findings.to_string()),
        ]
    };
    world.plan.waiting.iter().map(row).collect()
}

fn remarks(world: &World) -> Vec<Row> {
    let row = |r: &patchwave_core::assess::Remark| {
        vec![
            ("asset", r.asset.to_string()),
            ("status", r.status.to_string()),
            ("detail", r.detail.clone()),
        ]
    };
    world.assessment.remarks.iter().map(row).collect()
}

/// Everything that is said besides: while merging, assessing and planning.
fn notes(world: &World) -> Vec<Row> {
    let row =
        |subject: &Arc<str>, message: &str| vec![("subject", subject.to_string()), ("message", message.to_owned())];
    let observed = world.observation.notes.iter().chain(&world.assessment.diagnostics);
    let planned = world.plan.notes.iter().map(|n| row(&n.subject, &n.message));
    observed.map(|n| row(&n.subject, &n.message)).chain(planned).collect()
}

/// `windows asset=web-1`: whether each window is open now, and why not.
fn windows(block: &Block, catalog: &Catalog, world: &World) -> Result<Vec<Row>, String> {
    let freezes = freezes(block, catalog, world)?;
    let row = |resource| {
        let window = window(resource, catalog).map_err(|faults| format!("{faults:?}"))?;
        let status = window.status(world.now, &freezes);
        Ok(vec![
            ("window", window.name.clone()),
            ("state", if status.closed { "closed" } else { "open" }.to_owned()),
            (
                "reason",
                status.reason.map(|reason| reason.to_string()).unwrap_or_default(),
            ),
            ("next", maybe(status.next_open)),
        ])
    };
    catalog.windows.values().map(row).collect()
}

/// The freezes of the asset that `asset=` names; without it, none.
fn freezes(block: &Block, catalog: &Catalog, world: &World) -> Result<FreezeSet, String> {
    match block.option("asset") {
        Some(name) => freezes_of(name, catalog, world),
        None => Ok(FreezeSet::EMPTY),
    }
}

/// `openings window=prod-nights count=3 zone=Europe/Berlin asset=web-1`: the next openings, in a zone (default that of the
/// project), with the freezes of an asset taken out.
fn openings(block: &Block, catalog: &Catalog, world: &World) -> Result<Vec<Row>, String> {
    let count = block
        .option("count")
        .map_or(Ok(3), str::parse)
        .map_err(|e| format!("count: {e}"))?;
    let zone = match block.option("zone") {
        Some(name) => TimeZone::get(name).map_err(|e| e.to_string())?,
        None => catalog.zone.0.clone(),
    };
    let freezes = freezes(block, catalog, world)?;
    let wanted = block.option("window");
    if let Some(name) = wanted.filter(|name| !catalog.windows.contains_key(*name)) {
        return Err(format!("there is no window `{name}`"));
    }
    let mut rows = Vec::new();
    for resource in catalog
        .windows
        .values()
        .filter(|w| wanted.is_none_or(|name| name == w.name.as_ref()))
    {
        let window = window(resource, catalog).map_err(|faults| format!("{faults:?}"))?;
        for opening in window.openings(world.now, &freezes).take(count) {
            let local = |at: Option<Timestamp>| {
                at.map(|at| at.display_with_offset(zone.to_offset(at)).to_string())
                    .unwrap_or_default()
            };
            let lasts = opening
                .start
                .zip(opening.end)
                .map(|(start, end)| end.duration_since(start).as_secs());
            rows.push(vec![
                ("window", resource.name.to_string()),
                ("start", local(opening.start)),
                ("end", local(opening.end)),
                (
                    "lasts",
                    lasts.map(|s| DurationSeconds(s).to_string()).unwrap_or_default(),
                ),
            ]);
        }
    }
    Ok(rows)
}

fn freezes_of(name: &str, catalog: &Catalog, world: &World) -> Result<FreezeSet, String> {
    let index = world.observation.assets.iter().position(|a| a.name.as_ref() == name);
    let index = index.ok_or_else(|| format!("there is no asset `{name}`"))?;
    Ok(patchwave_core::plan::freezes_of(
        catalog,
        &world.observation,
        &world.assessment,
        index,
    ))
}

//! `windows`: next openings, and why a window is closed now.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use patchwave_core::diag::nearest_or_list;
use patchwave_core::load::Catalog;
use patchwave_core::load::schedule::{freeze, window};
use patchwave_core::time::{FreezeSet, Opening, Window, ics};
use serde_json::{Map, Value, json};

use super::Context;
use crate::args::WindowsFormat;
use crate::exit::{Exit, Failure};

/// Shows one window, or all; with `labels`, as an asset that has them sees it: without its freezes.
pub fn run(
    context: &Context,
    name: Option<&str>,
    count: usize,
    labels: Option<&BTreeMap<String, String>>,
    format: WindowsFormat,
) -> Result<Exit, Failure> {
    let repository = context.load()?;
    let catalog = &repository.catalog;
    if let Some(name) = name.filter(|n| !catalog.windows.contains_key(*n)) {
        let help = nearest_or_list(name, catalog.windows.keys().map(|k| k.as_ref()));
        return Err(Failure {
            message: format!("there is no MaintenanceWindow `{name}`"),
            help,
        });
    }
    let freezes = labels.map_or(FreezeSet::EMPTY, |labels| freezes_of(context, catalog, labels));
    let mut windows: Vec<(Window, Vec<Opening>)> = Vec::new();
    for resource in catalog
        .windows
        .values()
        .filter(|w| name.is_none_or(|n| n == w.name.as_ref()))
    {
        let window =
            window(resource, catalog).map_err(|_| Failure::new(format!("window {} cannot be read", resource.name)))?;
        let openings = window.openings(context.now, &freezes).take(count).collect();
        windows.push((window, openings));
    }
    let zone = &catalog.zone.0;
    match format {
        WindowsFormat::Json => {
            let all: Vec<Value> = windows
                .iter()
                .map(|(w, o)| document(w, o, &freezes, context.now, zone))
                .collect();
            context.output.json(&all)?;
        }
        WindowsFormat::Text => context.output.text(&text(&windows, &freezes, context.now, zone))?,
        WindowsFormat::Ics => {
            let named: Vec<(&str, &[Opening])> = windows.iter().map(|(w, o)| (w.name.as_str(), o.as_slice())).collect();
            context.output.result(ics(&named, context.now).as_bytes())?;
        }
    }
    Ok(Exit::Done)
}

/// The freezes that select an asset with these labels. A condition asks for more than labels, so such a freeze counts as
/// one that holds, and is said.
fn freezes_of(context: &Context, catalog: &Catalog, labels: &BTreeMap<String, String>) -> FreezeSet {
    let get = |key: &str| labels.get(key).map(String::as_str);
    let selected = catalog
        .freezes
        .values()
        .filter(|f| f.spec.selector.as_ref().is_none_or(|s| s.matches(get)));
    let freezes = selected.map(|f| {
        if f.spec.when.is_some() {
            let name = &f.name;
            context.output.say(&format!(
                "note: labels do not tell whether `when` of the freeze {name} holds; it is taken to hold"
            ));
        }
        freeze(catalog, &f.name, &f.spec)
    });
    FreezeSet::new(freezes.collect())
}

/// RFC 3339 with the offset of the project's zone.
fn local(at: Timestamp, zone: &TimeZone) -> String {
    let offset = zone.to_offset(at);
    at.display_with_offset(offset).to_string()
}

fn document(window: &Window, openings: &[Opening], freezes: &FreezeSet, now: Timestamp, zone: &TimeZone) -> Value {
    let status = window.status(now, freezes);
    let mut out = Map::new();
    out.insert("name".into(), json!(window.name));
    out.insert("closed".into(), json!(status.closed));
    out.insert(
        "reason".into(),
        json!(
            status
                .reason
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_else(|| "open".into())
        ),
    );
    if let Some(next) = status.next_open {
        out.insert("nextOpen".into(), json!(local(next, zone)));
    }
    let openings = openings.iter().map(|o| {
        let mut opening = Map::new();
        if let Some(start) = o.start {
            opening.insert("start".into(), json!(local(start, zone)));
        }
        if let Some(end) = o.end {
            opening.insert("end".into(), json!(local(end, zone)));
        }
        Value::Object(opening)
    });
    out.insert("openings".into(), Value::Array(openings.collect()));
    Value::Object(out)
}

fn text(windows: &[(Window, Vec<Opening>)], freezes: &FreezeSet, now: Timestamp, zone: &TimeZone) -> String {
    let mut out = String::new();
    for (window, openings) in windows {
        let status = window.status(now, freezes);
        let state = match &status.reason {
            Some(reason) if status.closed => format!("closed: {reason}"),
            _ if status.closed => "closed".to_owned(),
            _ => "open now".to_owned(),
        };
        out.push_str(&format!("{} ({state})\n", window.name));
        for opening in openings {
            let edge = |at: Option<Timestamp>, open: &str| at.map_or_else(|| open.to_owned(), |t| local(t, zone));
            out.push_str(&format!(
                "  {} → {}\n",
                edge(opening.start, "always"),
                edge(opening.end, "no end")
            ));
        }
        if openings.is_empty() {
            out.push_str("  no opening within 50 years\n");
        }
    }
    out
}

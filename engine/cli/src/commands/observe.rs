//! `observe` and `feeds`: what the sources gave, what was skipped, and why.

use patchwave_adapters::state::StateStore;
use patchwave_core::load::wire::SourceKind;
use patchwave_core::observe::{Skipped, SourceStatus};
use serde_json::{Value, json};

use super::Context;
use crate::args::TextJson;
use crate::exit::{Exit, Failure};

/// Which sources are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Inventories.
    Inventory,
    /// Advisory feeds.
    Advisories,
}

/// Reads all sources of a kind and says what came of it.
pub fn run(context: &Context, subject: Subject, format: TextJson) -> Result<Exit, Failure> {
    let (repository, observed) = context.facts()?;
    let kind = match subject {
        Subject::Inventory => SourceKind::Inventory,
        Subject::Advisories => SourceKind::Advisories,
    };
    let observation = &observed.observation;
    let sources: Vec<&SourceStatus> = observation.sources.iter().filter(|s| s.kind == kind).collect();
    let document = json!({
        "now": context.now.to_string(),
        "sources": sources.iter().map(|s| source_json(s)).collect::<Vec<_>>(),
        "assets": observation.assets.len(),
        "neverObserved": observation.assets.iter().filter(|a| a.observed_at.is_none()).map(|a| &a.name).collect::<Vec<_>>(),
        "stale": observation.assets.iter().filter(|a| a.stale).map(|a| &a.name).collect::<Vec<_>>(),
        "unmanaged": observation.unmanaged.iter().map(|u| json!({"name": u.name, "source": u.source})).collect::<Vec<_>>(),
        "advisories": observation.advisories.len(),
    });
    store(context, &repository.catalog.project.state.path, subject, &document)?;
    match format {
        TextJson::Json => context.output.json(&document)?,
        TextJson::Text => context.output.text(&text(&sources, observation, subject))?,
    }
    let failed = sources.iter().any(|s| s.failure.is_some()) || observation.notes.iter().any(|n| n.error);
    Ok(if failed { Exit::Error } else { Exit::Done })
}

fn store(context: &Context, path: &Option<String>, subject: Subject, document: &Value) -> Result<(), Failure> {
    let folder = context.root.join(path.as_deref().unwrap_or(".patchwave/state"));
    let key = match subject {
        Subject::Inventory => "last/observe.json",
        Subject::Advisories => "last/feeds.json",
    };
    StateStore::new(&folder).put(key, &serde_json::to_vec_pretty(document)?)?;
    Ok(())
}

fn source_json(source: &SourceStatus) -> Value {
    let list = |items: &[Skipped]| -> Vec<Value> {
        items
            .iter()
            .map(|s| json!({"file": s.file, "record": s.record, "reason": s.reason}))
            .collect()
    };
    json!({
        "name": source.name,
        "total": source.account.total,
        "read": source.account.read,
        "skipped": list(&source.account.skipped),
        "droppedFields": list(&source.account.dropped_fields),
        "notes": list(&source.account.notes),
        "stale": source.stale,
        "failure": source.failure,
        "digest": source.digest,
    })
}

/// So many skipped records are written out for people; `--format json` has all.
const SHOWN_MAX: usize = 20;

fn text(sources: &[&SourceStatus], observation: &patchwave_core::observe::Observation, subject: Subject) -> String {
    let mut out = String::new();
    for source in sources {
        let account = &source.account;
        out.push_str(&format!(
            "{}: read {} of {} records, skipped {}{}\n",
            source.name,
            account.read,
            account.total,
            account.skipped.len(),
            source
                .failure
                .as_deref()
                .map(|f| format!("; FAILED: {f}"))
                .unwrap_or_default()
        ));
        for (word, list) in [
            ("skipped", &account.skipped),
            ("field dropped", &account.dropped_fields),
            ("note", &account.notes),
        ] {
            for item in list.iter().take(SHOWN_MAX) {
                out.push_str(&format!("  {word}: {}:{}: {}\n", item.file, item.record, item.reason));
            }
            if list.len() > SHOWN_MAX {
                out.push_str(&format!(
                    "  {word}: and {} more (--format json lists all)\n",
                    list.len() - SHOWN_MAX
                ));
            }
        }
    }
    match subject {
        Subject::Inventory => {
            let never = observation.assets.iter().filter(|a| a.observed_at.is_none()).count();
            let stale = observation.assets.iter().filter(|a| a.stale).count();
            out.push_str(&format!(
                "{} assets: {never} never observed, {stale} stale; {} unmanaged\n",
                observation.assets.len(),
                observation.unmanaged.len()
            ));
        }
        Subject::Advisories => {
            let exploited = observation.advisories.iter().filter(|a| a.exploited.is_some()).count();
            out.push_str(&format!(
                "{} advisories, {exploited} exploited\n",
                observation.advisories.len()
            ));
        }
    }
    out
}

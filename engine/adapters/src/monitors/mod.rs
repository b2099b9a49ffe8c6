//! Asking monitors and change management what gates want to know.
//!
//! One file a product, listed in [`CONNECTORS`]. Each can ask the live service (`url`) and read the same answers saved to
//! files (`path`). Reading is all that is done: no connector needs more than the right to read.
//!
//! What is asked for comes from core (`decide::gates_wanted`), and what was said goes back there. An answer that cannot be
//! had is a value with its reason, never an error of the run.

mod client;
mod icinga2;
mod nagios;
mod page;
mod prometheus;
mod saved;
mod servicenow;
mod solarwinds;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use patchwave_core::load::Resource;
use patchwave_core::load::wire::{SourceKind, SourceSpec};
use patchwave_core::verify::{Ask, GateKey, GateQuestion, GateReading, GateReadings};

pub use client::Bounds;
use client::Client;
#[cfg(feature = "otel")]
pub(crate) use client::agent;
use saved::Saved;

/// How one product is asked.
#[derive(Clone, Copy)]
pub struct Connector {
    /// The `type` of its Source.
    pub name: &'static str,
    /// The `kind` of its Source.
    pub kind: SourceKind,
    /// One line for people.
    pub summary: &'static str,
    /// Asks the service at an address.
    live: fn(&Client, &str, &Ask) -> GateReading,
    /// Reads saved answers.
    saved: fn(&Saved, &Ask) -> GateReading,
}

/// Every product that can be asked, by its `type`.
pub static CONNECTORS: &[Connector] = &[
    Connector {
        name: "http",
        kind: SourceKind::Monitor,
        summary: "a page: status 200 and a text in it",
        live: page::live,
        saved: page::saved,
    },
    Connector {
        name: "icinga2",
        kind: SourceKind::Monitor,
        summary: "Icinga 2: state of services and hosts, by its REST API",
        live: icinga2::live,
        saved: icinga2::saved,
    },
    Connector {
        name: "nagios",
        kind: SourceKind::Monitor,
        summary: "Nagios Core: state of services and hosts, by statusjson.cgi",
        live: nagios::live,
        saved: nagios::saved,
    },
    Connector {
        name: "prometheus",
        kind: SourceKind::Monitor,
        summary: "Prometheus and what speaks its HTTP API: PromQL",
        live: prometheus::live,
        saved: prometheus::saved,
    },
    Connector {
        name: "servicenow",
        kind: SourceKind::Change,
        summary: "ServiceNow: change records, by the Table API",
        live: servicenow::live,
        saved: servicenow::saved,
    },
    Connector {
        name: "solarwinds",
        kind: SourceKind::Monitor,
        summary: "SolarWinds: state of nodes, by SWIS",
        live: solarwinds::live,
        saved: solarwinds::saved,
    },
];

/// So many questions are under way at once: enough that one slow monitor does not hold up the others, and no flood.
const ASKED_AT_ONCE: usize = 8;

/// Asks every question, each once, and several at a time. `root` is what paths of sources are relative to.
///
/// What is returned has an answer, or the reason why there is none, for every key of `questions`.
pub fn ask(
    root: &Path,
    sources: &BTreeMap<Arc<str>, Resource<SourceSpec>>,
    questions: &BTreeMap<GateKey, GateQuestion>,
) -> GateReadings {
    ask_within(root, sources, questions, Bounds::default())
}

/// As [`ask`], with other bounds of time and size.
pub fn ask_within(
    root: &Path,
    sources: &BTreeMap<Arc<str>, Resource<SourceSpec>>,
    questions: &BTreeMap<GateKey, GateQuestion>,
    bounds: Bounds,
) -> GateReadings {
    let distinct: BTreeSet<&GateQuestion> = questions.values().collect();
    let next = Mutex::new(distinct.iter());
    let answers = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..ASKED_AT_ONCE.min(distinct.len()) {
            scope.spawn(|| {
                // A poisoned lock would be another thread's panic, which the scope passes on anyway.
                while let Some(question) = next.lock().ok().and_then(|mut next| next.next().copied()) {
                    let answer = one(root, sources, question, bounds);
                    if let Ok(mut answers) = answers.lock() {
                        answers.insert(question, answer);
                    }
                }
            });
        }
    });
    let answers = answers.into_inner().unwrap_or_default();
    let answered = questions.iter().map(|(key, question)| {
        let unasked = || Err("it was not asked".to_owned());
        (key.clone(), answers.get(question).cloned().unwrap_or_else(unasked))
    });
    answered.collect()
}

fn one(
    root: &Path,
    sources: &BTreeMap<Arc<str>, Resource<SourceSpec>>,
    question: &GateQuestion,
    bounds: Bounds,
) -> GateReading {
    let Some(name) = &question.source else {
        // Only a page can be asked for without a source.
        return page::live(&Client::anonymous(bounds), "", &question.ask);
    };
    let source = sources
        .get(name)
        .ok_or_else(|| format!("there is no Source `{name}`"))?;
    let told = |why: String| format!("source {name}: {why}");
    let spec = &source.spec;
    let connector = CONNECTORS.iter().find(|c| c.name == spec.format);
    let connector = connector.ok_or_else(|| told(format!("type `{}` cannot be asked", spec.format)))?;
    match (&spec.path, &spec.url) {
        (Some(path), _) => (connector.saved)(&Saved::new(root, path), &question.ask).map_err(told),
        (None, Some(url)) => {
            let client = Client::open(root, spec, url, bounds).map_err(told)?;
            (connector.live)(&client, url.trim_end_matches('/'), &question.ask).map_err(told)
        }
        (None, None) => Err(told("it has neither `path` nor `url`".into())),
    }
}

/// What a connector says to a question that is not of its kind.
fn no_answer<T>(product: &str, ask: &Ask) -> Result<T, String> {
    let wanted = match ask {
        Ask::Promql { .. } => "PromQL",
        Ask::Status => "the state of checks",
        Ask::Page { .. } => "a page",
        Ask::Change { .. } => "change records",
    };
    Err(format!("{product} cannot be asked for {wanted}"))
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            time: Duration::from_secs(30),
            bytes: 64 * 1024 * 1024,
        }
    }
}

//! Gates: what monitors said, and whether that lets a wave through.
//!
//! Monitors are asked by somebody else; here their answers are judged. A gate is judged of every asset of the wave that
//! passed, at the instant of the run:
//!
//! - **Fresh.** What is shown must be of after the patch. The instant of the patch itself is not known: it lies between the
//!   release of the batch and the first observation that shows the targets. The latter is taken, because a sample of before
//!   it may still be of the old version. It must not be older than the source's `staleAfter` either.
//! - **Held.** `for` is counted from the later of that instant and the begin of the soak. Prometheus is asked for the whole
//!   span, and Nagios and Icinga say when a state began. Where a monitor says neither (a page, SolarWinds), it is counted
//!   from the first of the unbroken looks that found it green: what happened between two looks is then not known.
//! - **Unknown is not fine.** A missing sample, a pending check, a value that is no number: not passed, and not red either.
//!   Only a monitor that shows the contrary of what is asked makes a gate red. Acknowledged, or in a downtime, it is red
//!   all the same.

mod change;
mod checks;
mod matching;
mod nouns;
mod series;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

pub use change::{ChangeScene, judge_change};
pub use nouns::*;

use crate::history::{GateProgress, GateResult, GateSample, GateState};
use crate::load::wire::{Gate, GateScope};
use crate::observe::Asset;
use crate::time::DurationSeconds;

/// An asset of a wave that passed, and so must be healthy.
#[derive(Clone, Copy, Debug)]
pub struct GateAsset<'a> {
    /// Its name.
    pub name: &'a Arc<str>,
    /// What is known of it; none = no fleet has it any more.
    pub asset: Option<&'a Asset>,
    /// The first observation that showed its targets.
    pub patched_at: Timestamp,
    /// Members of its result file that are true or false, if there is one, with the time of the file.
    pub result: Option<(Timestamp, &'a BTreeMap<String, bool>)>,
}

/// What a gate is judged by, besides the answer.
#[derive(Clone, Copy, Debug)]
pub struct GateScene<'a> {
    /// Assets of the wave that passed.
    pub assets: &'a [GateAsset<'a>],
    /// When the soak began; none = it does not soak.
    pub soaking_since: Option<Timestamp>,
    /// The `staleAfter` of the source; none = no source is asked.
    pub stale_after: Option<DurationSeconds>,
    /// How the gate stands by the ledger.
    pub recorded: Option<&'a GateProgress>,
    /// The instant.
    pub now: Timestamp,
}

/// Clocks of monitors may be ahead of ours by so much, as those of observations may: five minutes.
const AHEAD_MAX: SignedDuration = SignedDuration::from_mins(5);

/// So many assets are named in a reason; the rest is counted.
const NAMED_MAX: usize = 5;

/// What one asset shows.
#[derive(Clone, Debug, PartialEq)]
enum Shown {
    /// What is asked, at the instant of the sample; since when, if the monitor knows.
    Green(GateSample, Option<Timestamp>),
    /// The contrary.
    Red(GateSample, String),
    /// Nothing that counts, and why.
    Nothing(String),
}

/// Judges a gate that is asked while a wave soaks. `number` is its position from 1. `None` where it was not asked, or is
/// not asked then (`change`).
pub fn judge_gate(
    gate: &Gate,
    number: u32,
    reading: Option<&GateReading>,
    scene: &GateScene<'_>,
) -> Option<GateResult> {
    let shown = match (gate, reading) {
        (Gate { change: Some(_), .. }, _) => return None,
        (
            Gate {
                result: Some(field), ..
            },
            _,
        ) => results(field, scene),
        (_, None) => return None,
        (_, Some(Err(why))) => return Some(unreadable(gate, number, why, scene)),
        (_, Some(Ok(GateAnswer::Series(answer)))) => series::judge(gate, answer, scene),
        (_, Some(Ok(GateAnswer::Checks(checks)))) => checks::judge(gate, checks, scene),
        (_, Some(Ok(GateAnswer::Page(page)))) => page_shown(gate, page, scene),
        (_, Some(Ok(GateAnswer::Changes(_)))) => {
            let why = "the source gives change records, and this gate asks for none";
            return Some(unreadable(gate, number, why, scene));
        }
    };
    Some(together(gate, number, &shown, scene))
}

/// What a gate asks, in short: `up{job="node"} == 1 for 30m`.
pub fn gate_text(gate: &Gate) -> String {
    let asked = [
        ("", &gate.promql),
        ("status ", &gate.status),
        ("page ", &gate.http),
        ("result ", &gate.result),
        ("change ", &gate.change),
    ];
    let asked = asked
        .into_iter()
        .find_map(|(what, text)| Some((what, text.as_deref()?)));
    let (what, text) = asked.unwrap_or(("", "nothing"));
    let is = gate.is.as_deref().map_or_else(String::new, |is| format!(" {is}"));
    let hold = gate.hold.map_or_else(String::new, |hold| format!(" for {hold}"));
    format!("{what}{text}{is}{hold}")
}

fn result(gate: &Gate, number: u32, state: GateState, since: Timestamp) -> GateResult {
    GateResult {
        gate: number,
        asks: gate_text(gate),
        state,
        since,
        reason: None,
        samples: BTreeMap::new(),
    }
}

/// Since when it stands so: what is recorded, if it is recorded so, else now.
fn recorded_since(state: GateState, recorded: Option<&GateProgress>, now: Timestamp) -> Timestamp {
    let same = recorded.filter(|r| r.state == state);
    same.map_or(now, |r| r.since.min(now))
}

fn unreadable(gate: &Gate, number: u32, why: &str, scene: &GateScene<'_>) -> GateResult {
    let state = GateState::Unreadable;
    GateResult {
        reason: Some(why.to_owned()),
        ..result(gate, number, state, recorded_since(state, scene.recorded, scene.now))
    }
}

/// What all assets show together: red if one is, else nothing if one shows nothing, else green.
fn together(gate: &Gate, number: u32, shown: &BTreeMap<Arc<str>, Shown>, scene: &GateScene<'_>) -> GateResult {
    let told = |wanted: fn(&Shown) -> Option<&str>| {
        let all: Vec<String> = shown
            .iter()
            .filter_map(|(asset, shown)| {
                let why = wanted(shown)?;
                Some(if **asset == *ALL {
                    why.to_owned()
                } else {
                    format!("{asset}: {why}")
                })
            })
            .collect();
        listed(&all)
    };
    let red = told(|s| match s {
        Shown::Red(_, why) => Some(why),
        _ => None,
    });
    let nothing = told(|s| match s {
        Shown::Nothing(why) => Some(why),
        _ => None,
    });
    let since = |state| recorded_since(state, scene.recorded, scene.now);
    let (state, began, reason) = if shown.is_empty() {
        let why = "no asset of the wave has passed".to_owned();
        (GateState::Unmet, since(GateState::Unmet), Some(why))
    } else if red.is_some() {
        (GateState::Red, since(GateState::Red), red)
    } else if nothing.is_some() {
        (GateState::Unmet, since(GateState::Unmet), nothing)
    } else {
        let began = green_since(shown, scene);
        let (state, reason) = held(gate, began, scene.now);
        (state, began, reason)
    };
    let samples = shown.iter().filter_map(|(asset, shown)| match shown {
        Shown::Green(sample, _) | Shown::Red(sample, _) => Some((Arc::clone(asset), sample.clone())),
        Shown::Nothing(_) => None,
    });
    GateResult {
        reason,
        samples: samples.collect(),
        ..result(gate, number, state, began)
    }
}

/// The instant since which everything is green without a break. What the monitor does not know is taken from the ledger:
/// the first of the looks that found it green, if the last one did.
fn green_since(shown: &BTreeMap<Arc<str>, Shown>, scene: &GateScene<'_>) -> Timestamp {
    let looked = scene.recorded.filter(|r| r.state.is_green());
    let looked = looked.map_or(scene.now, |r| r.since);
    let began = shown.values().filter_map(|s| match s {
        Shown::Green(_, began) => Some(began.unwrap_or(looked)),
        _ => None,
    });
    let began = began.max().unwrap_or(scene.now);
    // What was before the soak does not count.
    scene.soaking_since.map_or(began, |soak| began.max(soak)).min(scene.now)
}

fn held(gate: &Gate, began: Timestamp, now: Timestamp) -> (GateState, Option<String>) {
    let Some(hold) = gate.hold else {
        return (GateState::Passed, None);
    };
    let end = began.checked_add(hold.signed()).unwrap_or(Timestamp::MAX);
    if end <= now {
        (GateState::Passed, None)
    } else {
        (GateState::Holding, Some(format!("it must hold until {end}")))
    }
}

/// A list for a sentence, bounded; none of nothing.
fn listed(all: &[String]) -> Option<String> {
    let shown: Vec<&str> = all.iter().take(NAMED_MAX).map(String::as_str).collect();
    let more = all.len().saturating_sub(NAMED_MAX);
    let more = if more > 0 {
        format!("; and {more} more")
    } else {
        String::new()
    };
    (!all.is_empty()).then(|| format!("{}{more}", shown.join("; ")))
}

/// Why a sample of `at` does not count; none if it does.
fn not_fresh(at: Timestamp, patched_at: Timestamp, scene: &GateScene<'_>) -> Option<String> {
    if at > scene.now.checked_add(AHEAD_MAX).unwrap_or(Timestamp::MAX) {
        return Some(format!(
            "its newest sample is of {at}, which is after now: a clock is wrong"
        ));
    }
    if at <= patched_at {
        return Some(format!(
            "its newest sample, of {at}, is not newer than its patch, which was there at {patched_at}"
        ));
    }
    let stale = scene
        .stale_after
        .is_some_and(|stale| at.checked_add(stale.signed()).is_ok_and(|end| end < scene.now));
    stale.then(|| format!("its newest sample, of {at}, is stale"))
}

/// The newest instant at which an asset of the wave was found patched: one answer for all must be newer.
fn patched_last(scene: &GateScene<'_>) -> Timestamp {
    let all = scene.assets.iter().map(|a| a.patched_at);
    all.max().unwrap_or(Timestamp::MIN)
}

fn one_for_all(shown: Shown) -> BTreeMap<Arc<str>, Shown> {
    BTreeMap::from([(Arc::from(ALL), shown)])
}

/// A page answers for all assets.
fn page_shown(gate: &Gate, page: &Page, scene: &GateScene<'_>) -> BTreeMap<Arc<str>, Shown> {
    let sample = GateSample {
        at: page.at,
        value: page.status.to_string(),
    };
    let text = gate.contains.as_deref();
    one_for_all(if let Some(why) = not_fresh(page.at, patched_last(scene), scene) {
        Shown::Nothing(why)
    } else if page.status != 200 {
        let why = format!("the page answers {}, not 200", page.status);
        Shown::Red(sample, why)
    } else if let Some(text) = text.filter(|text| !page.body.contains(*text)) {
        Shown::Red(sample, format!("the page answers 200 without `{text}`"))
    } else {
        Shown::Green(sample, None)
    })
}

/// Result files of executors: a member must be true in the file of every asset.
fn results(field: &str, scene: &GateScene<'_>) -> BTreeMap<Arc<str>, Shown> {
    let assets = scene.assets.iter();
    assets
        .map(|asset| {
            let shown = match asset.result {
                None => Shown::Nothing("no result file was added for it".into()),
                Some((at, facts)) => match facts.get(field) {
                    None => Shown::Nothing(format!("its result file, of {at}, has no true or false `{field}`")),
                    Some(true) => Shown::Green(said(at, true), Some(at)),
                    Some(false) => Shown::Red(
                        said(at, false),
                        format!("`{field}` is false in its result file, of {at}"),
                    ),
                },
            };
            (Arc::clone(asset.name), shown)
        })
        .collect()
}

fn said(at: Timestamp, value: bool) -> GateSample {
    GateSample {
        at,
        value: value.to_string(),
    }
}

/// Whether one answer is for all assets.
fn is_global(gate: &Gate) -> bool {
    gate.scope == GateScope::Global
}

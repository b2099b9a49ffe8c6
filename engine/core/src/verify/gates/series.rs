//! PromQL: every asset needs a sample, every sample must satisfy the comparison.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::{
    GateAsset, GateScene, Series, SeriesAnswer, Shown, is_global, listed, matching, not_fresh, one_for_all,
    patched_last,
};
use crate::history::GateSample;
use crate::load::wire::{Gate, GateMatch};
use crate::load::{Comparison, filters};
use crate::time::DurationSeconds;

/// How far back Prometheus looks for the samples of an instant, unless told otherwise (`--query.lookback-delta`,
/// <https://prometheus.io/docs/prometheus/latest/querying/basics/#staleness>): a value whose sample has no time of its own
/// may be as old as this.
const LOOKBACK: SignedDuration = SignedDuration::from_mins(5);

/// What every asset shows.
pub(super) fn judge(gate: &Gate, answer: &SeriesAnswer, scene: &GateScene<'_>) -> BTreeMap<Arc<str>, Shown> {
    let asked = Asked::of(gate);
    if is_global(gate) {
        let all: Vec<&Series> = answer.series.iter().collect();
        return one_for_all(shown(&all, &asked, answer.step, patched_last(scene), scene));
    }
    let Some(matching) = &gate.matching else {
        let why = "the gate has neither `match` nor `scope: global`, so no sample is anybody's";
        return one_for_all(Shown::Nothing(why.into()));
    };
    let assets = scene.assets.iter();
    assets
        .map(|asset| {
            let shown = match own(asset, matching, answer, scene) {
                Ok(own) => shown(&own, &asked, answer.step, asset.patched_at, scene),
                Err(why) => Shown::Nothing(why),
            };
            (Arc::clone(asset.name), shown)
        })
        .collect()
}

/// The series of an asset; at least one.
fn own<'s>(
    asset: &GateAsset<'_>,
    by: &GateMatch,
    answer: &'s SeriesAnswer,
    scene: &GateScene<'_>,
) -> Result<Vec<&'s Series>, String> {
    let Some(known) = asset.asset else {
        return Err("no fleet has it any more".into());
    };
    let Some(value) = matching::fact(&by.to, known) else {
        return Err(format!("its `{}` was not observed, so no sample is its own", by.to));
    };
    let twin = scene
        .assets
        .iter()
        .filter(|other| other.name != asset.name)
        .find(|other| {
            let theirs = other.asset.and_then(|a| matching::fact(&by.to, a));
            theirs.is_some_and(|theirs| matching::same(&by.to, theirs, value))
        });
    if let Some(twin) = twin {
        let (to, twin) = (&by.to, twin.name);
        return Err(format!("{twin} has the same `{to}`, so a sample is not its own"));
    }
    let is_own = |s: &&Series| matching::label(by, &s.labels).is_some_and(|label| matching::same(&by.to, label, value));
    let own: Vec<&Series> = answer.series.iter().filter(is_own).collect();
    if !own.is_empty() {
        return Ok(own);
    }
    let Some(any) = answer.series.first() else {
        return Err("there is no sample: the answer is empty".into());
    };
    if any.labels.contains_key(&by.label) {
        let example = matching::label(by, &any.labels).unwrap_or_default();
        return Err(format!(
            "no sample has {} `{value}`; one has `{}`",
            by.label,
            excerpt(example)
        ));
    }
    let labels: Vec<String> = any.labels.keys().map(|k| excerpt(k)).collect();
    let labels = listed(&labels).unwrap_or_else(|| "none".into());
    Err(format!("samples have no label `{}`; they have {labels}", by.label))
}

/// What several series of one subject show: all of them must be green.
fn shown(
    series: &[&Series],
    asked: &Asked,
    step: Option<DurationSeconds>,
    patched_at: Timestamp,
    scene: &GateScene<'_>,
) -> Shown {
    let mut green: Option<(GateSample, Option<Timestamp>)> = None;
    let mut nothing = None;
    for one in series {
        match one_shown(one, asked, step, patched_at, scene) {
            red @ Shown::Red(..) => return red,
            Shown::Nothing(why) => nothing = nothing.or(Some(why)),
            Shown::Green(sample, since) => {
                let (kept, began) = green.get_or_insert((sample.clone(), since));
                if sample.at < kept.at {
                    *kept = sample;
                }
                // Where one of them does not say since when, nobody knows.
                *began = began.zip(since).map(|(a, b)| a.max(b));
            }
        }
    }
    match (nothing, green) {
        (Some(why), _) => Shown::Nothing(why),
        (None, Some((sample, began))) => Shown::Green(sample, began),
        (None, None) => Shown::Nothing("there is no sample: the answer is empty".into()),
    }
}

fn one_shown(
    series: &Series,
    asked: &Asked,
    step: Option<DurationSeconds>,
    patched_at: Timestamp,
    scene: &GateScene<'_>,
) -> Shown {
    let at = series
        .sampled_at
        .unwrap_or_else(|| series.at.checked_sub(LOOKBACK).unwrap_or(Timestamp::MIN));
    if let Some(why) = not_fresh(at, patched_at, scene) {
        return Shown::Nothing(why);
    }
    let sample = GateSample {
        at,
        value: series.value.to_string(),
    };
    if series.value.is_nan() {
        return Shown::Nothing("its value is no number (NaN)".into());
    }
    if !asked.holds(series.value) {
        let what = asked.text();
        return Shown::Red(sample, format!("its value is {}, not {what}", series.value));
    }
    let from = scene.soaking_since.map_or(patched_at, |soak| soak.max(patched_at));
    Shown::Green(sample, step.map(|step| held_since(series, asked, step, from)))
}

/// The instant since which a series satisfies the comparison at every step, going back from its value of now, not before
/// `from`. A hole in the series ends it as a bad value does.
fn held_since(series: &Series, asked: &Asked, step: DurationSeconds, from: Timestamp) -> Timestamp {
    // Half a step more, for ends that are no whole number of steps apart.
    let reach = SignedDuration::from_secs(step.seconds().saturating_mul(3) / 2 + 1);
    let mut since = series.at;
    for (at, value) in series.before.iter().rev() {
        let joined = at.checked_add(reach).is_ok_and(|reached| reached >= since);
        if *at < from || !joined || !asked.holds(*value) {
            break;
        }
        since = since.min(*at);
    }
    // Steps fall where they fall: what is green within a step of the begin is green from there on.
    let began = from.checked_add(reach).is_ok_and(|reached| reached >= since);
    if began { from } else { since }
}

/// What every value must satisfy.
enum Asked {
    /// `is`.
    Compared(Comparison),
    /// `is` that cannot be read: nothing satisfies it.
    Nothing,
    /// No `is`, and the expression filters by itself: what is left over satisfies it.
    Present,
    /// No `is`: anything but zero, as `bool` comparisons give 0 and 1.
    NotZero,
}

impl Asked {
    fn of(gate: &Gate) -> Self {
        match (&gate.is, &gate.promql) {
            (Some(is), _) => Comparison::parse(is).map_or(Self::Nothing, Self::Compared),
            (None, Some(query)) if filters(query) => Self::Present,
            (None, _) => Self::NotZero,
        }
    }

    fn holds(&self, value: f64) -> bool {
        match self {
            Self::Compared(comparison) => comparison.holds(value),
            Self::Nothing => false,
            Self::Present => !value.is_nan(),
            Self::NotZero => !value.is_nan() && value != 0.0,
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Compared(comparison) => comparison.to_string(),
            Self::Nothing => "a comparison that can be read".into(),
            Self::Present => "present".into(),
            Self::NotZero => "other than 0".into(),
        }
    }
}

/// The beginning of a foreign text, fit for a message.
fn excerpt(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(60).collect()
}

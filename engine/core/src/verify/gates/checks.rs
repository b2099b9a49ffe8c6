//! Nagios, Icinga and SolarWinds: every check of every asset must stand as asked.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::{
    Check, CheckStatus, GateAsset, GateScene, Shown, is_global, matching, not_fresh, one_for_all, patched_last,
};
use crate::history::GateSample;
use crate::load::wire::Gate;

/// The labels by which the host of a check is found where a gate has no `match`.
const HOSTS: [&str; 4] = ["host_name", "DNS", "Caption", "IPAddress"];

/// The worst state that a word of `status` accepts; none if it is none of `load::known::GATE_STATUSES`.
fn accepted(status: &str) -> Option<CheckStatus> {
    match status {
        "ok" => Some(CheckStatus::Ok),
        "warning" => Some(CheckStatus::Warning),
        _ => None,
    }
}

/// What every asset shows.
pub(super) fn judge(gate: &Gate, checks: &[Check], scene: &GateScene<'_>) -> BTreeMap<Arc<str>, Shown> {
    let wanted = gate.status.as_deref().unwrap_or_default();
    let Some(worst) = accepted(wanted) else {
        let why = format!("`{wanted}` is no status that a gate can ask for; write `ok` or `warning`");
        return one_for_all(Shown::Nothing(why));
    };
    if is_global(gate) {
        let all: Vec<&Check> = checks.iter().collect();
        return one_for_all(shown(&all, worst, patched_last(scene), scene));
    }
    let assets = scene.assets.iter();
    assets
        .map(|asset| {
            let own: Vec<&Check> = checks.iter().filter(|check| is_own(gate, check, asset)).collect();
            (Arc::clone(asset.name), shown(&own, worst, asset.patched_at, scene))
        })
        .collect()
}

fn is_own(gate: &Gate, check: &Check, asset: &GateAsset<'_>) -> bool {
    let Some(known) = asset.asset else { return false };
    if let Some(by) = &gate.matching {
        let pair = matching::label(by, &check.labels).zip(matching::fact(&by.to, known));
        return pair.is_some_and(|(label, fact)| matching::same(&by.to, label, fact));
    }
    let labels = HOSTS.iter().filter_map(|key| check.labels.get(*key));
    let facts = || {
        matching::NAMES
            .iter()
            .filter_map(|to| Some((*to, matching::fact(to, known)?)))
    };
    labels
        .into_iter()
        .any(|label| facts().any(|(to, fact)| matching::same(to, label, fact)))
}

/// What several checks show: the worst of them. Green ones that were not checked since the patch show nothing.
fn shown(checks: &[&Check], worst: CheckStatus, patched_at: Timestamp, scene: &GateScene<'_>) -> Shown {
    let mut green: Option<(GateSample, Option<Timestamp>)> = None;
    let mut nothing = None;
    for check in checks {
        match one_shown(check, worst, patched_at, scene) {
            red @ Shown::Red(..) => return red,
            Shown::Nothing(why) => nothing = nothing.or(Some(why)),
            Shown::Green(sample, since) => {
                let (kept, began) = green.get_or_insert((sample.clone(), since));
                if sample.at < kept.at {
                    *kept = sample;
                }
                *began = began.zip(since).map(|(a, b)| a.max(b));
            }
        }
    }
    match (nothing, green) {
        (Some(why), _) => Shown::Nothing(why),
        (None, Some((sample, began))) => Shown::Green(sample, began),
        (None, None) => Shown::Nothing("the monitor has no check of it".into()),
    }
}

fn one_shown(check: &Check, worst: CheckStatus, patched_at: Timestamp, scene: &GateScene<'_>) -> Shown {
    let what = if check.service.is_empty() {
        "the host".to_owned()
    } else {
        format!("`{}`", check.service)
    };
    let status = check.status.as_str();
    let Some(at) = check.checked_at.filter(|_| check.status != CheckStatus::Pending) else {
        return Shown::Nothing(format!("{what} was not checked yet"));
    };
    if let Some(why) = not_fresh(at, patched_at, scene) {
        return Shown::Nothing(format!("{what}: {why}"));
    }
    let sample = GateSample {
        at,
        value: status.to_owned(),
    };
    match check.status {
        CheckStatus::Unknown => Shown::Nothing(format!("{what} is unknown")),
        status if status <= worst => Shown::Green(sample, check.since),
        _ if !check.confirmed => Shown::Nothing(format!("{what} is {status}, and is being checked again")),
        _ => {
            let handled = check.handled.map_or_else(String::new, |how| format!(" ({how})"));
            Shown::Red(sample, format!("{what} is {status}{handled}"))
        }
    }
}

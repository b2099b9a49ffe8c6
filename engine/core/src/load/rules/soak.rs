//! # What it does
//! Compares each deadline of a policy's SLA with the shortest way through its waves: soaks, gates that hold longer, the
//! work itself, and for routine rollouts the age an advisory must have.
//!
//! # Why is this bad
//! A rule of 24 hours behind two soaks of 24 hours each is breached on every asset of the last wave, whatever anyone does.
//!
//! # Example
//! ```yaml
//! rules: [{severity: critical, within: 24h}]        # test soaks 24h, staging soaks 24h, then production
//! ```
//!
//! # Fix
//! Give the rule `lane: emergency` and that lane a shorter soak, or allow more time.

use std::collections::BTreeMap;
use std::fmt;

use super::{Context, Rule};
use crate::diag::{Code, Diagnostics};
use crate::load::wire::{Lane, PatchPolicySpec, RolloutStrategySpec, SlaWithin, WaveSpec};
use crate::source::escape_token;
use crate::time::DurationSeconds;

/// Deadlines shorter than the shortest way to the last wave.
pub static RULE: Rule = Rule {
    name: "soak",
    codes: &[Code::SlaShorterThanSoak],
    check,
};

fn check(context: &Context<'_>, diagnostics: &mut Diagnostics) {
    for policy in context.catalog.policies.values() {
        let sla = context.catalog.slas.get(policy.spec.sla.as_str());
        let strategy = context.catalog.strategies.get(policy.spec.rollout.as_str());
        let (Some(sla), Some(strategy)) = (sla, strategy) else {
            continue;
        };
        let rules = sla
            .spec
            .rules
            .iter()
            .enumerate()
            .map(|(i, r)| (format!("/spec/rules/{i}/within"), r.within, r.lane));
        let default = (
            "/spec/default/within".to_owned(),
            sla.spec.default.within,
            sla.spec.default.lane,
        );
        let outcomes = sla.spec.outcomes.iter().map(|(key, o)| {
            let pointer = format!("/spec/outcomes/{}/within", escape_token(key));
            (pointer, o.within, o.lane)
        });
        for (pointer, within, lane) in rules.chain(outcomes).chain([default]) {
            let SlaWithin::For(within) = within else { continue };
            let Some((wave, way)) = longest_way(&policy.spec, &strategy.spec, lane) else {
                continue;
            };
            let whole = way.whole();
            if within >= whole {
                continue;
            }
            let message = format!(
                "{within} is shorter than the {whole} it takes to finish the wave `{}` of `{}` ({way}), so there it is always breached",
                strategy.spec.waves.get(wave).map_or("", |w| &w.name),
                strategy.name
            );
            let place = context
                .documents
                .locate_key(strategy.doc, &format!("/spec/waves/{wave}"));
            diagnostics.push(
                context
                    .at(Code::SlaShorterThanSoak, sla.doc, &pointer, message)
                    .help("give the rule `lane: emergency` with a shorter soak there, shorten the soaks, or allow more time")
                    .related(place, "the wave")
                    .related(context.documents.locate(policy.doc, "/spec/sla"), "the policy that brings the two together"),
            );
        }
    }
}

/// What a rollout has to go through before a wave is finished.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Way {
    age: i64,
    soak: i64,
    work: i64,
}

impl Way {
    const fn whole(self) -> DurationSeconds {
        DurationSeconds(self.age.saturating_add(self.soak).saturating_add(self.work))
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            (self.age, "of `minAge`"),
            (self.soak, "of soak"),
            (self.work, "of work"),
        ];
        let said: Vec<String> = parts
            .iter()
            .filter(|(seconds, _)| *seconds > 0)
            .map(|(seconds, what)| format!("{} {what}", DurationSeconds(*seconds)))
            .collect();
        f.write_str(&said.join(", "))
    }
}

/// The wave that the most lies before, and what that is. Windows, batches and reboots come on top. `None` if the waves
/// form a circle, which is another error.
fn longest_way(policy: &PatchPolicySpec, strategy: &RolloutStrategySpec, lane: Lane) -> Option<(usize, Way)> {
    let emergency = strategy.lanes.emergency.as_ref().filter(|_| lane == Lane::Emergency);
    let soak = emergency.and_then(|l| l.soak);
    // A gate's `for` runs inside the soak, and a longer one is waited for.
    let held = |wave: &WaveSpec| wave.gates.iter().filter_map(|g| g.hold).max().unwrap_or_default();
    let soak_of = |wave: &WaveSpec| soak.unwrap_or(wave.soak).max(held(wave)).seconds();
    let work = strategy.estimate.clone().unwrap_or_default().per_asset.seconds();
    let places: BTreeMap<&str, usize> = strategy
        .waves
        .iter()
        .enumerate()
        .map(|(i, w)| (w.name.as_str(), i))
        .collect();
    let needs = |w: usize| {
        let wave = strategy.waves.get(w);
        wave.into_iter()
            .flat_map(|w| &w.needs)
            .filter_map(|need| places.get(need.as_str()).copied())
    };
    // Waves in an order in which each comes behind those it needs (Kahn 1962).
    let mut open: Vec<usize> = (0..strategy.waves.len()).map(|w| needs(w).count()).collect();
    let mut needed_by: Vec<Vec<usize>> = vec![Vec::new(); strategy.waves.len()];
    for w in 0..strategy.waves.len() {
        needs(w).for_each(|need| needed_by.get_mut(need).into_iter().for_each(|list| list.push(w)));
    }
    let mut ready: Vec<usize> = open
        .iter()
        .enumerate()
        .filter(|(_, n)| **n == 0)
        .map(|(w, _)| w)
        .collect();
    let mut ways: Vec<Option<Way>> = vec![None; strategy.waves.len()];
    while let Some(w) = ready.pop() {
        let before = needs(w).filter_map(|need| {
            let wave = strategy.waves.get(need)?;
            let way = (*ways.get(need)?)?;
            Some(Way {
                soak: way.soak.saturating_add(soak_of(wave)),
                ..way
            })
        });
        let longest = before.max_by_key(|way| way.whole()).unwrap_or_default();
        if let Some(way) = ways.get_mut(w) {
            *way = Some(Way {
                work: longest.work.saturating_add(work),
                ..longest
            });
        }
        for next in needed_by.get(w).into_iter().flatten() {
            if let Some(count) = open.get_mut(*next) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    ready.push(*next);
                }
            }
        }
    }
    let ways: Vec<Way> = ways.into_iter().collect::<Option<_>>()?;
    let (wave, way) = ways
        .into_iter()
        .enumerate()
        .max_by_key(|(i, way)| (way.whole(), usize::MAX - i))?;
    let age = if lane == Lane::Routine {
        policy.release.min_age.seconds()
    } else {
        0
    };
    Some((wave, Way { age, ..way }))
}

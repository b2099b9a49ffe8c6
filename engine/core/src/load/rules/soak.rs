//! # What it does
//! Compares each deadline of a policy's SLA with the soak times before its last wave.
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

use super::{Context, Rule};
use crate::diag::{Code, Diagnostics};
use crate::load::wire::{Lane, RolloutStrategySpec, SlaWithin};
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
            let Some((wave, soak)) = longest_soak(&strategy.spec, lane) else {
                continue;
            };
            if within >= soak {
                continue;
            }
            let message = format!(
                "{within} is shorter than the {soak} of soak before the wave `{}` of `{}`, so there it is always breached",
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

/// The wave that the most soak lies before, and how much. `None` if the waves form a circle, which is another error.
fn longest_soak(strategy: &RolloutStrategySpec, lane: Lane) -> Option<(usize, DurationSeconds)> {
    let emergency = strategy
        .lanes
        .emergency
        .as_ref()
        .filter(|_| lane == Lane::Emergency)
        .and_then(|l| l.soak);
    let soak = |wave: usize| {
        strategy
            .waves
            .get(wave)
            .map_or(0, |w| emergency.unwrap_or(w.soak).seconds())
    };
    let mut before = vec![0_i64; strategy.waves.len()];
    // A way through n waves has at most n - 1 edges; one more round that still changes something is a circle.
    for round in 0..=strategy.waves.len() {
        let mut changed = false;
        for (w, wave) in strategy.waves.iter().enumerate() {
            let needs = wave
                .needs
                .iter()
                .filter_map(|need| strategy.waves.iter().position(|other| &other.name == need));
            let longest = needs
                .map(|n| before.get(n).copied().unwrap_or(0).saturating_add(soak(n)))
                .max()
                .unwrap_or(0);
            if let Some(known) = before.get_mut(w).filter(|known| **known != longest) {
                *known = longest;
                changed = true;
            }
        }
        if !changed {
            break;
        }
        if round == strategy.waves.len() {
            return None;
        }
    }
    let (wave, seconds) = before
        .into_iter()
        .enumerate()
        .max_by_key(|(i, seconds)| (*seconds, usize::MAX - i))?;
    Some((wave, DurationSeconds(seconds)))
}

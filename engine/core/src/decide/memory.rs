//! What the estate remembers: the first run, what was first seen when, which cuts were dealt with.

use std::sync::Arc;

use jiff::Timestamp;

use super::{Decision, World};
use crate::history::{Event, MEMORY_FILE};

/// Records the first run and whatever is seen for the first time.
pub fn remember(world: &World<'_>, _now: Timestamp, decision: &mut Decision) {
    let memory = &world.history.memory;
    if memory.first_run.is_none() {
        decision.record(MEMORY_FILE.into(), Event::FirstRun {});
    }
    let observation = world.observation;
    let mut advisories: Vec<Arc<str>> = observation
        .advisories
        .iter()
        .map(|a| &a.id)
        .filter(|id| !memory.advisories.contains_key(*id))
        .cloned()
        .collect();
    let assets: Vec<Arc<str>> = observation
        .assets
        .iter()
        .map(|a| &a.name)
        .filter(|n| !memory.assets.contains_key(*n))
        .cloned()
        .collect();
    let mut exploited: Vec<Arc<str>> = observation
        .advisories
        .iter()
        .filter(|a| a.exploited.is_some())
        .flat_map(|a| &a.aliases)
        .filter(|alias| alias.starts_with("CVE-") && !memory.exploited.contains_key(*alias))
        .cloned()
        .collect();
    for list in [&mut advisories, &mut exploited] {
        list.sort();
        list.dedup();
    }
    if !(advisories.is_empty() && assets.is_empty() && exploited.is_empty()) {
        decision.record(
            MEMORY_FILE.into(),
            Event::Seen {
                advisories,
                assets,
                exploited,
            },
        );
    }
}

/// Records cadence instants whose rollouts are proposed by now. It comes after proposing: a crash before it repeats
/// the cut, and the open rollout that carries the findings makes that harmless.
pub fn remember_cuts(world: &World<'_>, _now: Timestamp, decision: &mut Decision) {
    for (policy, instant) in &world.plan.cuts {
        if world
            .history
            .memory
            .cuts
            .get(policy)
            .is_none_or(|newest| newest < instant)
        {
            decision.record(
                MEMORY_FILE.into(),
                Event::Cut {
                    policy: Arc::clone(policy),
                    instant: *instant,
                },
            );
        }
    }
}

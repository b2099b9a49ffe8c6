//! Assets that come and go: which of them are gone for good, and which may be away for a while.

use jiff::Timestamp;

use super::classes;
use crate::load::Catalog;
use crate::load::wire::{AssetClassSpec, Lifecycle};
use crate::observe::{Note, Observation};
use crate::time::DurationSeconds;

/// Retires ephemeral assets that were not seen for longer than their class's `absence.goneAfter`, and says so: a node
/// that was scaled away is nobody's finding, holds no wave up and counts in no budget. Everything after merging reads the
/// lifecycle, so this comes first.
pub fn retire_gone(catalog: &Catalog, observation: &mut Observation, now: Timestamp) {
    let limit = |class: &AssetClassSpec| class.absence.as_ref().and_then(|a| a.gone_after);
    let any_class = catalog.classes.values().any(|c| limit(&c.spec).is_some());
    let is_ephemeral = |lifecycle: Lifecycle| lifecycle == Lifecycle::Ephemeral;
    if !any_class || !observation.assets.iter().any(|a| is_ephemeral(a.lifecycle)) {
        return;
    }
    let classes = classes(catalog, observation);
    for (asset, class) in observation.assets.iter_mut().zip(classes) {
        let class = class.and_then(|name| catalog.classes.get(&name));
        let gone_after = class.and_then(|c| limit(&c.spec));
        let (Some(gone_after), Some(seen)) = (gone_after, asset.observed_at) else {
            continue;
        };
        if is_ephemeral(asset.lifecycle) && is_longer(now, seen, gone_after) {
            asset.lifecycle = Lifecycle::Retired;
            observation.notes.push(Note {
                error: false,
                subject: asset.name.clone(),
                message: format!("ephemeral and not seen since {seen}, longer than {gone_after} (`goneAfter`): gone"),
            });
        }
    }
    observation.notes.sort();
}

/// Whether an asset that was last seen then may be away now, as its class says.
pub fn may_be_away(class: &AssetClassSpec, seen: Timestamp, now: Timestamp) -> bool {
    let allowed = class.absence.as_ref().and_then(|a| a.allowed);
    allowed.is_some_and(|allowed| !is_longer(now, seen, allowed))
}

fn is_longer(now: Timestamp, seen: Timestamp, limit: DurationSeconds) -> bool {
    now.duration_since(seen).as_secs() > limit.seconds()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::assess::world::*;

    fn class(absence: serde_json::Value) -> serde_json::Value {
        json!({"selector": {}, "environment": "prod", "target": "ansible", "window": "w", "exposure": "internal", "absence": absence})
    }

    fn old_finding(world: &mut World, lifecycle: Lifecycle) {
        world.advisory("A-1", vec![rpm("openssl-libs", "2-1")]);
        let asset = world.asset("a", &[], &[("openssl-libs", "1-1", "x86_64", "", "")]);
        asset.observed_at = Some(at("2026-11-10T00:00:00Z"));
        (asset.stale, asset.lifecycle) = (true, lifecycle);
    }

    #[test]
    fn an_ephemeral_asset_is_gone_after_a_while_and_no_other_is() {
        for (lifecycle, after, gone) in [
            (Lifecycle::Ephemeral, "2d", true),
            (Lifecycle::Ephemeral, "30d", false),
            (Lifecycle::Active, "2d", false),
        ] {
            let mut world = World::plain();
            world.class("c", class(json!({"goneAfter": after})));
            old_finding(&mut world, lifecycle);
            retire_gone(&world.catalog, &mut world.observation, world.now);
            assert_eq!(
                world.lines().is_empty(),
                gone,
                "{lifecycle:?} {after}: {:?}",
                world.lines()
            );
            assert_eq!(world.observation.notes.len(), usize::from(gone));
        }
    }

    #[test]
    fn an_asset_that_may_be_away_is_away_and_not_unknown_to_people() {
        for (allowed, status) in [("30d", "away"), ("2d", "unknown")] {
            let mut world = World::plain();
            world.class("c", class(json!({"allowed": allowed, "reason": "laptops"})));
            old_finding(&mut world, Lifecycle::Active);
            let assessment = world.assess();
            assert_eq!(&*assessment.remarks[0].status, status, "{:?}", assessment.remarks);
            // Nobody looked at it, so it is not compliant either way.
            let whole = assessment.asset_status(&world.observation, 0);
            assert_eq!(whole, Some(crate::assess::Status::Unknown));
        }
    }
}

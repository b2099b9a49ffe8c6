//! Whether an asset may be touched at this instant: asked again just before it is.

use jiff::Timestamp;

use super::matching::{self, Class};
use crate::assess::Assessment;
use crate::load::wire::ChangeFreezeSpec;
use crate::load::{Catalog, schedule};
use crate::observe::Observation;
use crate::time::{Boundary, FreezeSet};

/// The freezes that hold for an asset, given by its index in the observation; overrides are not asked. A freeze whose
/// condition cannot be judged for the asset holds.
pub fn freezes_of(
    catalog: &Catalog,
    observation: &Observation,
    assessment: &Assessment,
    asset_index: usize,
) -> FreezeSet {
    let Some(asset) = observation.assets.get(asset_index) else {
        return FreezeSet::EMPTY;
    };
    let name = assessment.class_of.get(asset_index).and_then(Option::as_ref);
    let class: Class<'_> = name.and_then(|name| catalog.classes.get(name));
    let holds = |spec: &ChangeFreezeSpec| {
        matching::matches(catalog, asset, class, spec.selector.as_ref(), spec.when.as_deref()).unwrap_or(true)
    };
    let freezes = catalog.freezes.iter().filter(|(_, freeze)| holds(&freeze.spec));
    FreezeSet::new(
        freezes
            .map(|(name, freeze)| schedule::freeze(catalog, name, &freeze.spec))
            .collect(),
    )
}

/// Why a freeze keeps `asset` closed at `now`, as a sentence; none = no freeze does.
///
/// Windows are not asked: the opening a batch was released for says until when it may run. A freeze whose condition cannot
/// be judged for the asset holds, and an asset that is not observed cannot be judged at all.
pub fn closed_by(
    catalog: &Catalog,
    observation: &Observation,
    assessment: &Assessment,
    asset: &str,
    now: Timestamp,
) -> Option<String> {
    let Ok(index) = observation.assets.binary_search_by(|a| a.name.as_ref().cmp(asset)) else {
        return Some("it is in no fleet any more".to_owned());
    };
    let found = observation.assets.get(index)?;
    let name = assessment.class_of.get(index).and_then(Option::as_ref);
    let class: Class<'_> = name.and_then(|name| catalog.classes.get(name));
    let zone = &catalog.zone.0;
    let is_lifted = |name: &str, freeze: &ChangeFreezeSpec| {
        catalog.overrides.values().map(|o| &o.spec).any(|o| {
            let runs = o.from.is_none_or(|from| from.resolve(Boundary::Start, zone) <= now)
                && now < o.until.resolve(Boundary::End, zone);
            let selected = matching::matches(catalog, found, class, o.selector.as_ref(), o.when.as_deref());
            o.lifts_freeze(name, freeze) && runs && selected.unwrap_or(false)
        })
    };
    catalog.freezes.iter().find_map(|(name, freeze)| {
        let spec = &freeze.spec;
        let selected = matching::matches(catalog, found, class, spec.selector.as_ref(), spec.when.as_deref());
        let holds =
            selected.unwrap_or(true) && schedule::freeze(catalog, name, spec).covers(now) && !is_lifted(name, spec);
        holds.then(|| {
            let reason = spec.reason.as_deref().map_or_else(String::new, |r| format!(" ({r})"));
            format!("freeze {name}{reason} holds; an Override `what: freeze`, `freeze: {name}` would lift it")
        })
    })
}

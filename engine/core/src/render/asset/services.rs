//! The services of an asset, and those whose members keep each other up.

use std::collections::BTreeSet;

use super::HaView;
use crate::load::wire::Service;
use crate::name::Amount;
use crate::observe::Asset;
use crate::plan::Batch;
use crate::render::RenderInput;
use crate::render::faults::Faults;
use crate::render::grammar::Grammar;

pub(super) fn services(input: &RenderInput<'_>, asset: &Asset, faults: &mut Faults) -> (Vec<String>, Vec<HaView>) {
    let fleet = input.catalog.fleets.get(&asset.fleet);
    let all = fleet.map_or(&[][..], |f| &f.spec.services);
    let mine: Vec<&Service> = all
        .iter()
        .filter(|s| s.members.matches(|key| asset.label(key)))
        .collect();
    let subject = format!("asset {}", asset.name);
    let names = mine
        .iter()
        .map(|s| faults.value(Grammar::Name, "service", &s.name, &subject, None))
        .collect();
    let ha = mine.iter().filter_map(|service| {
        let ha = service.ha.as_ref()?;
        let kind = faults.value(Grammar::Name, "service ha type", &ha.kind, &subject, None);
        let (min_count, min_share) = match service.min_available {
            Some(Amount::Count(count)) => (count.max(1), 0),
            Some(Amount::Share(share)) => (1, share),
            // Redundancy means that at least one other member is healthy.
            None => (1, 0),
        };
        Some(HaView {
            service: service.name.clone(),
            kind,
            min_count,
            min_share,
            later: later(input, asset, service),
        })
    });
    (names, ha.collect())
}

/// The members of `service` in batches of the same wave that come after the asset's own, sorted.
fn later(input: &RenderInput<'_>, asset: &Asset, service: &Service) -> Vec<String> {
    let has = |batch: &Batch| batch.assets.iter().any(|a| a.name == asset.name);
    let wave = input.rollout.waves.iter().find(|wave| wave.batches.iter().any(has));
    let batches = wave.into_iter().flat_map(|wave| &wave.batches);
    let names: BTreeSet<&str> = batches
        .skip_while(|batch| !has(batch))
        .skip(1)
        .flat_map(|batch| &batch.assets)
        .map(|a| a.name.as_ref())
        .collect();
    let all = &input.observation.assets;
    let members = all
        .iter()
        .filter(|a| a.fleet == asset.fleet && names.contains(a.name.as_ref()))
        .filter(|a| service.members.matches(|key| a.label(key)));
    members.map(|a| a.name.to_string()).collect()
}

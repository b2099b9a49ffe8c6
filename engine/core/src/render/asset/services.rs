//! The services of an asset, and those whose members keep each other up.

use std::collections::BTreeMap;

use super::HaView;
use crate::load::wire::Service;
use crate::lookup::Lookup;
use crate::name::Amount;
use crate::observe::Asset;
use crate::plan::service_finder::ServiceFinder;
use crate::render::RenderInput;
use crate::render::faults::Faults;
use crate::render::grammar::Grammar;

/// Place of a batch: that of its wave and its own, in order of the rollout.
type BatchPlace = (usize, usize);

/// A service in a wave: the wave's place, the fleet, the service's place in it.
type ServicePlace<'a> = (usize, &'a str, usize);

/// Who is in which service and batch, worked out once for a rollout: every asset asks for the others of its services.
pub(in crate::render) struct Services<'a> {
    finders: BTreeMap<&'a str, ServiceFinder<'a>>,
    /// The first batch of each asset.
    batch_of: Lookup<&'a str, BatchPlace>,
    /// The members of a service with `ha` in a wave, each with its batch, in order of name.
    members: Lookup<ServicePlace<'a>, Vec<(&'a str, usize)>>,
}

impl<'a> Services<'a> {
    pub(in crate::render) fn new(input: &RenderInput<'a>) -> Self {
        let fleets = input.catalog.fleets.iter();
        let mut all = Self {
            finders: fleets
                .map(|(name, fleet)| (name.as_ref(), ServiceFinder::new(&fleet.spec.services)))
                .collect(),
            batch_of: Lookup::default(),
            members: Lookup::default(),
        };
        let assets = &input.observation.assets;
        for (wave, planned) in input.rollout.waves.iter().enumerate() {
            let mut here: Vec<(&str, usize)> = Vec::new();
            for (batch, planned) in planned.batches.iter().enumerate() {
                here.extend(planned.assets.iter().map(|asset| (asset.name.as_ref(), batch)));
            }
            here.sort_unstable();
            for (name, batch) in here {
                all.batch_of.entry(name).or_insert((wave, batch));
                let found = assets.binary_search_by(|a| (*a.name).cmp(name)).ok();
                if let Some(asset) = found.and_then(|at| assets.get(at)) {
                    all.enter(asset, name, (wave, batch));
                }
            }
        }
        all
    }

    fn enter(&mut self, asset: &'a Asset, name: &'a str, (wave, batch): BatchPlace) {
        let Some(finder) = self.finders.get(asset.fleet.as_ref()) else {
            return;
        };
        for (place, _) in finder.of(asset).filter(|(_, service)| service.ha.is_some()) {
            let members = self.members.entry((wave, asset.fleet.as_ref(), place)).or_default();
            members.push((name, batch));
        }
    }

    /// The services of an asset in order of its fleet.
    fn of(&self, asset: &Asset) -> Vec<(usize, &'a Service)> {
        let finder = self.finders.get(asset.fleet.as_ref());
        let mut mine: Vec<_> = finder.into_iter().flat_map(|finder| finder.of(asset)).collect();
        mine.sort_by_key(|(place, _)| *place);
        mine
    }

    /// The members of a service in batches of the same wave that come after the asset's own, sorted.
    fn later(&self, asset: &Asset, service: usize) -> Vec<String> {
        let Some((wave, own)) = self.batch_of.get(asset.name.as_ref()) else {
            return Vec::new();
        };
        let members = self.members.get(&(*wave, asset.fleet.as_ref(), service));
        let after = members.into_iter().flatten().filter(|(_, batch)| batch > own);
        let mut names: Vec<String> = after.map(|(name, _)| (*name).to_owned()).collect();
        names.dedup();
        names
    }
}

pub(super) fn services(known: &Services<'_>, asset: &Asset, faults: &mut Faults) -> (Vec<String>, Vec<HaView>) {
    let mine = known.of(asset);
    let subject = format!("asset {}", asset.name);
    let names = mine
        .iter()
        .map(|(_, s)| faults.value(Grammar::Name, "service", &s.name, &subject, None))
        .collect();
    let ha = mine.iter().filter_map(|(place, service)| {
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
            later: known.later(asset, *place),
        })
    });
    (names, ha.collect())
}

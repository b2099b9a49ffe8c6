//! The services of an asset, and those whose members keep each other up.

use super::HaView;
use crate::load::wire::Service;
use crate::name::Amount;
use crate::observe::Asset;
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
        })
    });
    (names, ha.collect())
}

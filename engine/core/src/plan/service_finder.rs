//! Which services an asset is a member of.

use std::collections::BTreeMap;

use crate::load::wire::Service;
use crate::observe::Asset;

/// A service and its place in the list of its fleet.
type Placed<'a> = (usize, &'a Service);

/// Finds the services of an asset without asking each: a service with `matchLabels` is looked up by that one of its
/// labels that the fewest services ask for.
pub(crate) struct ServiceFinder<'a> {
    by_label: BTreeMap<(&'a str, &'a str), Vec<Placed<'a>>>,
    others: Vec<Placed<'a>>,
}

impl<'a> ServiceFinder<'a> {
    pub(crate) fn new(services: &'a [Service]) -> Self {
        let pairs = |s: &'a Service| s.members.match_labels.iter().map(|(k, v)| (k.as_str(), v.as_str()));
        let mut count: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        services
            .iter()
            .flat_map(pairs)
            .for_each(|pair| *count.entry(pair).or_default() += 1);
        let mut finder = Self {
            by_label: BTreeMap::new(),
            others: Vec::new(),
        };
        for placed @ (_, service) in services.iter().enumerate() {
            match pairs(service).min_by_key(|pair| (count.get(pair).copied(), *pair)) {
                Some(pair) => finder.by_label.entry(pair).or_default().push(placed),
                None => finder.others.push(placed),
            }
        }
        finder
    }

    /// The services whose member the asset is, in no order that means anything.
    pub(crate) fn of<'b>(&'b self, asset: &'b Asset) -> impl Iterator<Item = Placed<'a>> + 'b {
        let labels = asset.labels.iter();
        let by_label = labels
            .filter_map(|(k, v)| self.by_label.get(&(k.as_ref(), v.as_ref())))
            .flatten();
        by_label
            .chain(&self.others)
            .copied()
            .filter(|(_, s)| s.members.matches(|key| asset.label(key)))
    }
}

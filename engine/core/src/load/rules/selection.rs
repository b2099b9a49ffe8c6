//! What can be told of label selectors without any asset: whether labels can satisfy one at all, and whether one selects
//! everything that another does.

use std::collections::{BTreeMap, BTreeSet};

use crate::load::wire::{FleetAsset, FleetSpec, Lifecycle};
use crate::load::{Catalog, Resource};
use crate::name::{LabelSelector, Operator};

/// What a selector asks of one label.
#[derive(Clone, Debug, Default)]
struct Constraint<'a> {
    one_of: Option<BTreeSet<&'a str>>,
    none_of: BTreeSet<&'a str>,
    present: bool,
    absent: bool,
}

impl<'a> Constraint<'a> {
    fn limit(&mut self, values: BTreeSet<&'a str>) {
        self.present = true;
        self.one_of = Some(match self.one_of.take() {
            None => values,
            Some(before) => before.intersection(&values).copied().collect(),
        });
    }

    /// The values that are left, where they are listed.
    fn values(&self) -> Option<BTreeSet<&'a str>> {
        let listed = self.one_of.as_ref()?;
        Some(listed.difference(&self.none_of).copied().collect())
    }

    fn is_impossible(&self) -> bool {
        (self.present && self.absent) || self.values().is_some_and(|values| values.is_empty())
    }

    /// Whether whatever satisfies this satisfies `wide`.
    fn implies(&self, wide: &Self) -> bool {
        let values = self.values();
        let listed = wide
            .one_of
            .as_ref()
            .is_none_or(|wanted| values.as_ref().is_some_and(|v| v.is_subset(wanted)));
        let spared = self.absent
            || wide.none_of.is_subset(&self.none_of)
            || values.as_ref().is_some_and(|v| v.is_disjoint(&wide.none_of));
        listed && spared && (self.present || !wide.present) && (self.absent || !wide.absent)
    }
}

fn constraints(selector: &LabelSelector) -> BTreeMap<&str, Constraint<'_>> {
    let mut by_key: BTreeMap<&str, Constraint<'_>> = BTreeMap::new();
    for (key, value) in &selector.match_labels {
        by_key.entry(key).or_default().limit([value.as_str()].into());
    }
    for requirement in &selector.match_expressions {
        let constraint = by_key.entry(&requirement.key).or_default();
        let values = requirement.values.iter().map(String::as_str);
        match requirement.operator {
            Operator::In => constraint.limit(values.collect()),
            Operator::NotIn => constraint.none_of.extend(values),
            Operator::Exists => constraint.present = true,
            Operator::DoesNotExist => constraint.absent = true,
        }
    }
    by_key
}

/// The label of which no value can satisfy the selector, if there is one.
pub(super) fn contradiction(selector: &LabelSelector) -> Option<&str> {
    let found = constraints(selector).into_iter().find(|(_, c)| c.is_impossible());
    found.map(|(key, _)| key)
}

/// Whether `wide` surely selects whatever `narrow` selects; a selector that is not there selects everything.
pub(super) fn covers(wide: Option<&LabelSelector>, narrow: Option<&LabelSelector>) -> bool {
    let Some(wide) = wide.filter(|s| !s.is_everything()) else {
        return true;
    };
    let Some(narrow) = narrow else { return false };
    if wide == narrow {
        return true;
    }
    let narrow = constraints(narrow);
    let free = Constraint::default();
    let mut wide = constraints(wide).into_iter();
    narrow.values().any(Constraint::is_impossible) || wide.all(|(key, c)| narrow.get(key).unwrap_or(&free).implies(&c))
}

/// A listed asset that is in use, and its fleet.
pub(super) struct Listed<'a> {
    /// The fleet.
    pub fleet: &'a Resource<FleetSpec>,
    /// The asset.
    pub asset: &'a FleetAsset,
}

impl<'a> Listed<'a> {
    /// A label: its own, else its fleet's.
    pub fn label(&self, key: &str) -> Option<&'a str> {
        let own = self.asset.labels.get(key);
        own.or_else(|| self.fleet.spec.labels.get(key)).map(String::as_str)
    }
}

/// Every listed asset but the retired ones.
pub(super) fn listed(catalog: &Catalog) -> impl Iterator<Item = Listed<'_>> {
    let all = catalog
        .fleets
        .values()
        .flat_map(|fleet| fleet.spec.assets.iter().map(move |asset| Listed { fleet, asset }));
    all.filter(|listed| listed.asset.lifecycle != Some(Lifecycle::Retired))
}

/// Whether the lists are all there is: no fleet has a source, which could report other assets and labels.
pub(super) fn lists_are_complete(catalog: &Catalog) -> bool {
    !catalog.fleets.is_empty() && catalog.fleets.values().all(|fleet| fleet.spec.sources.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selector(json: &str) -> LabelSelector {
        serde_json::from_str(json).unwrap()
    }

    fn expression(operator: &str, values: &str) -> String {
        format!(r#"{{"matchExpressions":[{{"key":"a","operator":"{operator}","values":[{values}]}}]}}"#)
    }

    #[test]
    fn what_selects_more_covers() {
        let covers = |wide: &str, narrow: &str| covers(Some(&selector(wide)), Some(&selector(narrow)));
        let x = r#"{"matchLabels":{"a":"x"}}"#;
        assert!(covers("{}", x) && covers(x, x) && !covers(x, "{}"));
        assert!(covers(&expression("In", r#""x","y""#), x) && !covers(x, &expression("In", r#""x","y""#)));
        assert!(covers(&expression("Exists", ""), x) && !covers(&expression("DoesNotExist", ""), x));
        assert!(covers(&expression("NotIn", r#""y""#), x) && !covers(&expression("NotIn", r#""x""#), x));
        assert!(covers(&expression("NotIn", r#""x""#), &expression("DoesNotExist", "")));
        assert!(covers(
            &expression("NotIn", r#""x""#),
            &expression("NotIn", r#""x","y""#)
        ));
        assert!(
            !covers(&expression("Exists", ""), &expression("NotIn", r#""x""#)),
            "it may be absent"
        );
        assert!(
            covers(x, r#"{"matchLabels":{"a":"x","b":"y"}}"#) && !covers(r#"{"matchLabels":{"a":"x","b":"y"}}"#, x)
        );
    }

    /// What is said without assets must hold for every asset: both are compared over all labels that matter.
    #[test]
    fn nothing_is_said_that_labels_refute() {
        let values = ["", r#""x""#, r#""x","y""#, r#""y""#];
        let mut all: Vec<LabelSelector> = vec![selector("{}"), selector(r#"{"matchLabels":{"a":"x"}}"#)];
        for operator in ["In", "NotIn", "Exists", "DoesNotExist"] {
            all.extend(values.iter().map(|values| selector(&expression(operator, values))));
        }
        let pairs: Vec<LabelSelector> = all
            .iter()
            .flat_map(|one| {
                all.iter().map(move |two| {
                    let mut both = one.clone();
                    both.match_expressions.extend(two.match_expressions.iter().cloned());
                    both
                })
            })
            .collect();
        let assets = [None, Some("x"), Some("y"), Some("z")];
        let selects = |s: &LabelSelector, value: Option<&'static str>| s.matches(|key| value.filter(|_| key == "a"));
        for wide in &pairs {
            assert!(
                contradiction(wide).is_none() || !assets.iter().any(|v| selects(wide, *v)),
                "{wide:?}"
            );
            for narrow in &pairs {
                if covers(Some(wide), Some(narrow)) {
                    assert!(
                        assets.iter().all(|v| !selects(narrow, *v) || selects(wide, *v)),
                        "{wide:?} {narrow:?}"
                    );
                }
            }
        }
    }
}

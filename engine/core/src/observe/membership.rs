//! Which fleet an asset is in, and what the fleet adds to it.
//!
//! Every asset that a Fleet's source reports is a member, listed or not; one that is listed and never reported is a
//! member that was never observed. Sources that no fleet names tell of members too, but make none: what only they
//! have seen is unmanaged.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::authority::{Believed, believe};
use super::estate::{Asset, Note, Unmanaged};
use super::identity;
use super::merge::{MergeInput, Origin, note};
use super::sighting::{LISTED, Sighting};
use crate::load::wire::{FleetAsset, FleetSpec};
use crate::lookup::Lookup;

/// Every member of every fleet, sorted by name, and what is in none.
pub(super) fn assets(
    input: &MergeInput<'_>,
    origins: &[Origin<'_>],
    sightings: Vec<Sighting>,
    now: Timestamp,
    notes: &mut Vec<Note>,
) -> (Vec<Asset>, Vec<Unmanaged>) {
    let mut fleets: Vec<(&str, &FleetSpec)> = input.fleets.to_vec();
    fleets.sort_by_key(|(name, _)| *name);
    let owner = |sighting: &Sighting| {
        let source = origins.get(sighting.origin).map(|origin| &*origin.name)?;
        fleets
            .iter()
            .position(|(_, spec)| spec.sources.iter().any(|named| named == source))
    };
    let mut owned: Vec<Vec<Sighting>> = fleets.iter().map(|_| Vec::new()).collect();
    let mut visitors = Vec::new();
    for sighting in sightings {
        match owner(&sighting).and_then(|at| owned.get_mut(at)) {
            Some(fleet) => fleet.push(sighting),
            None => visitors.push(sighting),
        }
    }
    tell_shared_sources(&fleets, &owned, origins, notes);
    let mut assets = Vec::new();
    for ((name, spec), own) in fleets.iter().zip(owned) {
        let fleet = Fleet {
            name: (*name).into(),
            spec,
            listed: listed(name, spec, notes),
            origins,
            now,
        };
        visitors = fleet.members(own, visitors, &mut assets, notes);
    }
    let unmanaged = unmanaged(visitors, origins, &assets);
    (unique(assets, notes), unmanaged)
}

/// A source in two fleets puts each of its assets in two fleets.
fn tell_shared_sources(
    fleets: &[(&str, &FleetSpec)],
    owned: &[Vec<Sighting>],
    origins: &[Origin<'_>],
    notes: &mut Vec<Note>,
) {
    for ((first, _), own) in fleets.iter().zip(owned) {
        for sighting in own {
            let Some(source) = origins.get(sighting.origin).map(|origin| &origin.name) else {
                continue;
            };
            let others = fleets
                .iter()
                .filter(|(name, spec)| name != first && spec.sources.iter().any(|named| **named == **source));
            for (other, _) in others {
                in_two_fleets(
                    notes,
                    &sighting.name,
                    first,
                    other,
                    &format!("source `{source}` is one of both"),
                );
            }
        }
    }
}

fn in_two_fleets(notes: &mut Vec<Note>, name: &str, first: &str, other: &str, why: &str) {
    let message = format!(
        "is in two fleets, `{first}` and `{other}`: {why}. It counts for `{first}` only; an asset must be in one fleet"
    );
    note(notes, true, name, message);
}

/// What no fleet took, unless a member has its name: then another source of the same asset told less than enough to
/// merge it, which was noted.
fn unmanaged(visitors: Vec<Sighting>, origins: &[Origin<'_>], assets: &[Asset]) -> Vec<Unmanaged> {
    if visitors.is_empty() {
        return Vec::new();
    }
    let members: BTreeSet<String> = assets.iter().map(|asset| asset.name.to_ascii_lowercase()).collect();
    let mut unmanaged: Vec<Unmanaged> = visitors
        .into_iter()
        .filter(|sighting| !members.contains(&sighting.name.to_ascii_lowercase()))
        .filter_map(|sighting| {
            let source = Arc::clone(&origins.get(sighting.origin)?.name);
            Some(Unmanaged {
                name: sighting.name,
                source,
            })
        })
        .collect();
    unmanaged.sort();
    unmanaged
}

/// Names are unique without regard to case, over all fleets: the first by fleet stays.
fn unique(mut assets: Vec<Asset>, notes: &mut Vec<Note>) -> Vec<Asset> {
    let mut fleets: Lookup<String, (Arc<str>, Arc<str>)> = Lookup::default();
    assets.retain(|asset| match fleets.get(&asset.name.to_ascii_lowercase()) {
        Some((_, fleet)) if *fleet != asset.fleet => {
            in_two_fleets(
                notes,
                &asset.name,
                fleet,
                &asset.fleet,
                "both list or observe an asset of this name",
            );
            false
        }
        Some((name, fleet)) => {
            let message = format!(
                "fleet `{fleet}` has `{name}` and `{}`, which cannot be told apart; only the first counts",
                asset.name
            );
            note(notes, true, &asset.name, message);
            false
        }
        None => {
            fleets.insert(
                asset.name.to_ascii_lowercase(),
                (Arc::clone(&asset.name), Arc::clone(&asset.fleet)),
            );
            true
        }
    });
    assets.sort_by(|a, b| a.name.cmp(&b.name));
    assets
}

/// What a fleet lists, by lowercase name, each name once.
fn listed<'f>(fleet: &str, spec: &'f FleetSpec, notes: &mut Vec<Note>) -> BTreeMap<String, &'f FleetAsset> {
    let mut listed = BTreeMap::new();
    for asset in &spec.assets {
        let before = listed.entry(asset.name.to_ascii_lowercase()).or_insert(asset);
        if !std::ptr::eq(*before, asset) {
            let message = format!(
                "fleet `{fleet}` lists it twice (as `{}` too); only the first counts, because names are unique without regard to case",
                asset.name
            );
            note(notes, true, &before.name, message);
        }
    }
    listed
}

type Labels = BTreeMap<Arc<str>, Arc<str>>;

struct Fleet<'f, 'a> {
    name: Arc<str>,
    spec: &'f FleetSpec,
    /// By lowercase name.
    listed: BTreeMap<String, &'f FleetAsset>,
    origins: &'f [Origin<'a>],
    now: Timestamp,
}

impl Fleet<'_, '_> {
    /// Adds the members of this fleet to `assets`, and returns the visitors that are none of them.
    fn members(
        &self,
        own: Vec<Sighting>,
        visitors: Vec<Sighting>,
        assets: &mut Vec<Asset>,
        notes: &mut Vec<Note>,
    ) -> Vec<Sighting> {
        let mut sightings: Vec<Sighting> = self
            .listed
            .values()
            .map(|listed| Sighting::listed(&listed.name))
            .collect();
        sightings.extend(own);
        let members = sightings.len();
        sightings.extend(visitors);
        let groups = identity::groups(&sightings, &self.spec.identity, self.origins, notes);
        let mut gathered: BTreeMap<usize, Vec<Sighting>> = BTreeMap::new();
        let mut others = Vec::new();
        // A group is called by its first member, so a group of visitors alone is called by a visitor.
        for (sighting, group) in sightings.into_iter().zip(groups) {
            match group < members {
                true => gathered.entry(group).or_default().push(sighting),
                false => others.push(sighting),
            }
        }
        let mut shared: Lookup<Arc<Labels>, Arc<Labels>> = Lookup::default();
        let gathered: Vec<Vec<Sighting>> = gathered.into_values().collect();
        let names = self.names(&gathered);
        for (group, name) in gathered.into_iter().zip(names) {
            assets.push(self.asset(name, group, &mut shared, notes));
        }
        others
    }

    /// What each group is called: as the fleet lists it, else as the first of the fleet's sources does, else as any.
    /// A name that another group has to itself is left to that group.
    fn names(&self, groups: &[Vec<Sighting>]) -> Vec<Arc<str>> {
        let mut bearers: Lookup<String, u32> = Lookup::default();
        for group in groups {
            let names: BTreeSet<String> = group
                .iter()
                .map(|sighting| sighting.name.to_ascii_lowercase())
                .collect();
            for name in names {
                *bearers.entry(name).or_default() += 1;
            }
        }
        let rank = |sighting: &Sighting| {
            let source = self.origins.get(sighting.origin).map(|origin| &*origin.name);
            let place = self
                .spec
                .sources
                .iter()
                .position(|named| Some(named.as_str()) == source);
            let contested = bearers
                .get(&sighting.name.to_ascii_lowercase())
                .is_some_and(|count| *count > 1);
            let listed = sighting.origin == LISTED;
            (
                !listed,
                contested,
                place.unwrap_or(usize::MAX),
                Arc::clone(&sighting.name),
            )
        };
        let named = |group: &Vec<Sighting>| group.iter().map(rank).min().map(|(.., name)| name);
        groups
            .iter()
            .map(|group| named(group).unwrap_or_else(|| "".into()))
            .collect()
    }

    fn asset(
        &self,
        name: Arc<str>,
        group: Vec<Sighting>,
        shared: &mut Lookup<Arc<Labels>, Arc<Labels>>,
        notes: &mut Vec<Note>,
    ) -> Asset {
        let mut records = Vec::new();
        for sighting in group {
            if !sighting.name.eq_ignore_ascii_case(&name) {
                let source = self.origins.get(sighting.origin).map_or("", |origin| &*origin.name);
                let message = format!(
                    "is called `{}` by source `{source}`; their keys say that they are one asset, which keeps this name",
                    sighting.name
                );
                note(notes, false, &name, message);
            }
            let origin = sighting.origin;
            records.extend(sighting.records.into_iter().map(|record| (origin, record)));
        }
        let Believed {
            mut facts,
            observed_at,
            stale,
            provenance,
        } = believe(records, self.origins, self.now);
        let listed = self.listed.get(&name.to_ascii_lowercase()).copied();
        let labels = self.labels(std::mem::take(&mut facts.labels), listed);
        let labels = Arc::clone(shared.entry(Arc::new(labels)).or_insert_with_key(Arc::clone));
        Asset {
            fleet: Arc::clone(&self.name),
            labels,
            address: listed.and_then(|listed| listed.address.as_deref()).map(Arc::from),
            lifecycle: facts
                .lifecycle
                .or(listed.and_then(|listed| listed.lifecycle))
                .unwrap_or_default(),
            observed_at,
            stale,
            facts,
            provenance,
            name,
        }
    }

    /// Fleet < observation < `assets[]`.
    fn labels(&self, observed: Labels, listed: Option<&FleetAsset>) -> Labels {
        let written = |labels: &BTreeMap<String, String>| {
            labels
                .iter()
                .map(|(key, value)| (key.as_str().into(), value.as_str().into()))
                .collect::<Vec<_>>()
        };
        let mut labels: Labels = written(&self.spec.labels).into_iter().collect();
        labels.extend(observed);
        labels.extend(listed.map(|listed| written(&listed.labels)).unwrap_or_default());
        labels
    }
}

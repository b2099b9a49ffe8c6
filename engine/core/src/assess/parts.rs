//! Findings on what is no package: components, kubelet and container runtime, GPU driver, Windows build.
//!
//! Parts are few where packages are many, so they are matched asset by asset and put into the lists that packages gave;
//! an estate without parts, or without advisories about any, pays one look at each asset.

use std::sync::Arc;

use super::finding::Hit;
use super::found::{Cause, Findings, Found};
use super::matching::{FixIndex, Installed, Match, Verdict};
use crate::load::wire::Lifecycle;
use crate::lookup::Lookup;
use crate::observe::{Asset, Observation, Part, has_parts, parts_of};

/// The findings with those on parts, for every asset or `only` one.
pub(super) fn with_parts(
    observation: &Observation,
    index: &FixIndex<'_>,
    only: Option<usize>,
    findings: Findings,
) -> Findings {
    if !index.has_parts() {
        return findings;
    }
    let judged =
        |asset: &Asset| asset.observed_at.is_some() && asset.lifecycle != Lifecycle::Retired && has_parts(asset);
    let assets = observation.assets.iter().enumerate();
    let wanted = assets.filter(|(at, asset)| only.is_none_or(|only| only == *at) && judged(asset));
    let hits: Vec<(usize, Vec<Found>)> = wanted.map(|(at, asset)| (at, hits_of(index, asset))).collect();
    let hits = hits.into_iter().filter(|(_, found)| !found.is_empty()).collect();
    put_together(findings, hits)
}

fn hits_of(index: &FixIndex<'_>, asset: &Asset) -> Vec<Found> {
    parts_of(asset)
        .iter()
        .flat_map(|part| hits_of_part(index, part, asset))
        .collect()
}

/// What hits the installed version; and what hits only the version that runs, which a restart closes.
fn hits_of_part(index: &FixIndex<'_>, part: &Part, asset: &Asset) -> Vec<Found> {
    let installed = matches(index, part, &part.version);
    let running = part
        .running
        .as_ref()
        .map_or_else(Vec::new, |version| matches(index, part, version));
    let open = |hit: &Match| match &hit.verdict {
        Verdict::Fixed(_) => None,
        Verdict::Affected(fixed, _) => Some((fixed.clone(), Cause::Open)),
        Verdict::Undecidable(why) => Some((None, Cause::Undecidable(why.as_str().into()))),
    };
    let is_open = |advisory: u32| installed.iter().any(|m| m.advisory == advisory && open(m).is_some());
    let mut found: Vec<Found> = Vec::new();
    for hit in &installed {
        found.extend(open(hit).map(|(fixed, cause)| of_part(part, asset, hit, &part.version, fixed, cause)));
    }
    for hit in running.iter().filter(|m| !is_open(m.advisory)) {
        let version = part.running.as_ref().unwrap_or(&part.version);
        found.extend(open(hit).map(|(fixed, cause)| {
            let cause = if cause == Cause::Open { Cause::Reboot } else { cause };
            of_part(part, asset, hit, version, fixed, cause)
        }));
    }
    found
}

/// Advisories that speak of the part by its product, and of everything of its kind and vendor. One that does both is
/// heard by the product.
fn matches(index: &FixIndex<'_>, part: &Part, version: &str) -> Vec<Match> {
    let named = |name| {
        let installed = Installed {
            name,
            version,
            arch: "",
            source: "",
            source_version: "",
            module: "",
            edition: part.edition,
        };
        index.matches(part.kind.as_str(), &part.vendor, &installed)
    };
    let mut found = named(part.product.as_str());
    let general = named("")
        .into_iter()
        .filter(|m| !found.iter().any(|f| f.advisory == m.advisory));
    let general: Vec<Match> = general.collect();
    found.extend(general);
    found
}

fn of_part(part: &Part, asset: &Asset, hit: &Match, version: &str, fixed: Option<Arc<str>>, cause: Cause) -> Found {
    let arch = asset.facts.os.as_ref().map_or("", |os| &os.arch);
    let hit = Hit {
        advisory: hit.advisory,
        scheme: hit.scheme,
        os_id: part.kind.as_str().into(),
        os_major: part.branch.as_str().into(),
        package: part.product.as_str().into(),
        arch: arch.into(),
        module: None,
        installed: version.into(),
        fixed,
        source: None,
        source_version: None,
    };
    Found { hit, cause }
}

/// Adds hits of single assets to the lists: distinct hits stay sorted, and lists name them by their new places.
fn put_together(mut findings: Findings, hits: Vec<(usize, Vec<Found>)>) -> Findings {
    if hits.is_empty() {
        return findings;
    }
    let new = hits.iter().flat_map(|(_, found)| found).cloned();
    let mut all: Vec<Found> = findings.found.iter().cloned().chain(new).collect();
    all.sort_by(Findings::by_advisory);
    all.dedup();
    let place: Lookup<&Found, u32> = all.iter().zip(0_u32..).collect();
    let moved: Vec<u32> = findings.found.iter().filter_map(|f| place.get(f).copied()).collect();
    let renumbered =
        |list: &[u32]| -> Vec<u32> { list.iter().filter_map(|id| moved.get(*id as usize).copied()).collect() };
    findings.lists = findings.lists.iter().map(|list| renumbered(list).into()).collect();
    let mut ids: Lookup<Arc<[u32]>, u32> = findings.lists.iter().cloned().zip(0_u32..).collect();
    for (asset, found) in hits {
        let Some(slot) = findings.list_of.get_mut(asset) else {
            continue;
        };
        let before = slot.and_then(|list| findings.lists.get(list as usize));
        let mut list: Vec<u32> = before.map_or_else(Vec::new, |list| list.to_vec());
        list.extend(found.iter().filter_map(|f| place.get(f).copied()));
        list.sort_unstable();
        list.dedup();
        let lists = &mut findings.lists;
        let id = *ids.entry(list.into()).or_insert_with_key(|list| {
            lists.push(Arc::clone(list));
            lists.len() as u32 - 1
        });
        *slot = Some(id);
    }
    drop(place);
    findings.found = all;
    findings
}

#[cfg(test)]
#[path = "parts_tests.rs"]
mod tests;

//! No downgrade, and nothing for another release: once for assets with the same packages and the same targets.

use super::estate::{Estate, Shared};
use super::parts::part_of;
use crate::lookup::Lookup;
use crate::observe::{Asset, PackageSetId, PackageState, Part, parts_of};
use crate::plan::{BatchAsset, Rollout};
use crate::version::compare;

type Messages = Vec<(&'static str, String)>;

/// Packages, release, parts, targets and the versions before them: what the messages depend on.
type Alike = (Option<PackageSetId>, String, Vec<Part>, Shared, Shared);

/// What was seen of a rollout's assets.
pub(super) struct Seen {
    /// For each distinct package the targets it may be the old version of, by the index of the target.
    targets_of: Lookup<u32, Vec<usize>>,
    /// Whether any target is no package: then assets with other parts are not alike.
    has_parts: bool,
    known: Lookup<Alike, Messages>,
}

impl Seen {
    pub(super) fn new(estate: &Estate<'_>, rollout: &Rollout) -> Self {
        let tables = &estate.observation.tables;
        let stream = |label: &str| label.split(':').take(2).collect::<Vec<_>>().join(":");
        let mut by_name: Lookup<_, Vec<(usize, Option<String>)>> = Lookup::default();
        for (index, target) in rollout.targets.iter().enumerate() {
            let module = target.module.as_deref().map(stream);
            by_name
                .entry((target.name.as_ref(), target.arch.as_ref()))
                .or_default()
                .push((index, module));
        }
        let mut targets_of: Lookup<u32, Vec<usize>> = Lookup::default();
        for (id, package) in (0_u32..).zip(tables.packages()) {
            let Some(like) = by_name.get(&(tables.text(package.name), tables.text(package.arch))) else {
                continue;
            };
            let module = tables.known(package.module).map(stream);
            let same = like.iter().filter(|(_, m)| *m == module).map(|(index, _)| *index);
            if package.state != PackageState::ConfigFiles {
                targets_of.entry(id).or_default().extend(same);
            }
        }
        Self {
            targets_of,
            has_parts: rollout.targets.iter().any(|t| t.kind().is_some()),
            known: Lookup::default(),
        }
    }

    /// What is wrong with the versions an asset takes.
    pub(super) fn versions(
        &mut self,
        estate: &Estate<'_>,
        rollout: &Rollout,
        asset: &Asset,
        planned: &BatchAsset,
    ) -> &[(&'static str, String)] {
        let os = asset.facts.os.as_ref();
        let release = os.map_or_else(String::new, |os| format!("{}\0{}", os.id, os.major()));
        let alike = (
            asset.facts.packages,
            release,
            if self.has_parts { parts_of(asset) } else { Vec::new() },
            Shared::of(&planned.targets),
            Shared::of(&planned.before),
        );
        let targets_of = &self.targets_of;
        self.known
            .entry(alike)
            .or_insert_with(|| messages(estate, rollout, asset, planned, targets_of))
    }
}

fn messages(
    estate: &Estate<'_>,
    rollout: &Rollout,
    asset: &Asset,
    planned: &BatchAsset,
    targets_of: &Lookup<u32, Vec<usize>>,
) -> Messages {
    let tables = &estate.observation.tables;
    let mut newest: Lookup<usize, &str> = Lookup::default();
    for id in asset.facts.packages.map_or(&[][..], |s| tables.set(s)) {
        let version = tables.text(tables.package(*id).version);
        for index in targets_of.get(&id.0).into_iter().flatten() {
            let Some(target) = rollout.targets.get(*index) else {
                continue;
            };
            let known = newest.entry(*index).or_insert(version);
            if compare(target.scheme, known, version).is_le() {
                *known = version;
            }
        }
    }
    let mut messages = Messages::new();
    for (index, before) in planned.targets.iter().zip(planned.before.iter()) {
        let Some(target) = rollout.targets.get(*index) else {
            continue;
        };
        // What runs may be older than what is installed; what is installed must not go back.
        let part = part_of(asset, target).map(|p| p.version);
        let installed = part.as_deref().or_else(|| newest.get(index).copied());
        let installed = installed.unwrap_or(before);
        if compare(target.scheme, installed, &target.version).is_gt() {
            let message = format!("{} would go from {installed} to {}", target.name, target.version);
            messages.push(("downgrade", message));
        }
        let os = asset.facts.os.as_ref();
        let is_release = os.is_some_and(|os| os.id == target.os_id && os.major() == target.os_major.as_ref());
        if !is_release && part.is_none() {
            let message = format!("{} is for {} {}", target.name, target.os_id, target.os_major);
            messages.push(("target", message));
        }
    }
    messages
}

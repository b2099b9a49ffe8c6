//! Tools that install whole advisories: what such a job brings besides what the plan chose.
//!
//! A job for an erratum updates every installed package the erratum fixes. A package of it that a policy excludes or holds,
//! or that was refused, would come in by the back door; so the asset does not take the erratum by that tool.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use super::{Screen, refused};
use crate::history::Target;
use crate::observe::{Asset, Fix};
use crate::plan::Refusal;
use crate::plan::carry::{Covers, Member};
use crate::plan::context::Context;
use crate::version::{compare, is_modular};

/// The advisories behind each target, through the hits it fixes.
pub(super) fn advisories_of(ctx: &Context<'_>, targets: &[Target], covers: &Covers) -> Vec<BTreeSet<u32>> {
    let mut found = vec![BTreeSet::new(); targets.len()];
    for (hit, target) in ctx.assessment.hits.iter().zip(covers) {
        if let Some(slot) = target.and_then(|t| found.get_mut(t)) {
            slot.insert(hit.advisory);
        }
    }
    found
}

impl Screen<'_, '_> {
    /// The targets whose advisories would bring more to the asset than the plan chose for it.
    pub(super) fn brings_more(&self, member: &Member) -> Vec<(usize, Refusal)> {
        let Some(asset) = self.ctx.asset(member.asset) else {
            return Vec::new();
        };
        let whole = |index: usize| {
            let tool = member.tools.get(&index).unwrap_or(&member.render_target);
            let spec = self.ctx.catalog.target(tool);
            spec.is_some_and(|spec| spec.whole_advisories).then_some(tool)
        };
        let mut refusals = Vec::new();
        let mut newest: Option<BTreeMap<&str, &str>> = None;
        for index in member.targets().iter().copied() {
            let Some(tool) = whole(index) else { continue };
            let newest = newest.get_or_insert_with(|| self.newest(asset));
            let behind = self.advisories.get(index).into_iter().flatten();
            let more = behind
                .filter_map(|id| self.ctx.observation.advisories.get(*id as usize))
                .find_map(|advisory| {
                    let extra = advisory
                        .fixes
                        .iter()
                        .find(|fix| self.is_extra(fix, asset, member, newest))?;
                    Some((advisory, extra))
                });
            if let Some((advisory, extra)) = more {
                let detail = format!(
                    "target cannot do it: `{tool}` installs everything {} brings, and {} {} is not planned for this asset",
                    advisory.id,
                    extra.package,
                    extra.fixed.as_deref().unwrap_or_default()
                );
                let fix = format!(
                    "let the policy take {} too, or use a target that installs packages (`ansible`)",
                    extra.package
                );
                refusals.push((index, refused("target", detail, vec![fix])));
            }
        }
        refusals
    }

    /// The newest installed version of each package: of kernels several stand side by side.
    fn newest(&self, asset: &Asset) -> BTreeMap<&str, &str> {
        let tables = &self.ctx.observation.tables;
        let scheme = self.targets.iter().find(|t| t.kind().is_none()).map(|t| t.scheme);
        let mut newest: BTreeMap<&str, &str> = BTreeMap::new();
        for id in asset.facts.packages.map_or(&[][..], |set| tables.set(set)) {
            let package = tables.package(*id);
            let (name, version) = (tables.text(package.name), tables.text(package.version));
            let known = newest.entry(name).or_insert(version);
            if scheme.is_some_and(|scheme| compare(scheme, known, version) == Ordering::Less) {
                *known = version;
            }
        }
        newest
    }

    /// Whether a fix is for a package of the asset that lacks it and that nothing of its load takes that far.
    fn is_extra(&self, fix: &Fix, asset: &Asset, member: &Member, newest: &BTreeMap<&str, &str>) -> bool {
        let Some((fixed, os)) = fix.fixed.as_deref().zip(asset.facts.os.as_ref()) else {
            return false;
        };
        let ecosystem = &fix.ecosystem;
        let here = ecosystem.os_id == os.id && ecosystem.release.as_deref().is_none_or(|release| release == os.major());
        let Some(installed) = newest.get(fix.package.as_ref()).filter(|_| here && !fix.by_source) else {
            return false;
        };
        let lacks = compare(ecosystem.scheme, installed, fixed) == Ordering::Less;
        // A plain build is not updated by a modular one, nor the reverse.
        let same_kind = is_modular(installed) == is_modular(fixed);
        let taken = member
            .targets()
            .iter()
            .filter_map(|t| self.targets.get(*t))
            .any(|target| {
                target.name == fix.package && compare(ecosystem.scheme, &target.version, fixed) != Ordering::Less
            });
        lacks && same_kind && !taken
    }
}

//! Whether what an asset is to take can be had by it: from its repositories, under another name, from its update server.

use std::collections::BTreeSet;

use super::{Screen, refused};
use crate::load::Resource;
use crate::load::wire::{AssetClassSpec, ComponentKind, Reversibility};
use crate::plan::Refusal;
use crate::plan::carry::Member;
use crate::plan::debian_kernel::{is_metapackage, is_release};
use crate::plan::reversible::reversibility;
use crate::plan::standing::{Standing, level};

impl Screen<'_, '_> {
    /// Nothing is pinned below what is installed: where a newer version than the target's is there and only the old code
    /// still runs, the asset needs a reboot or a restart, and no package.
    pub(super) fn reboot_only(
        &self,
        member: &Member,
        standing: &mut Standing<'_>,
        refusals: &mut Vec<(usize, Refusal)>,
    ) {
        let installed = standing.of(member.asset);
        for level in installed.iter().filter(|l| l.order.is_gt()) {
            let target = self.targets.get(level.target);
            let Some(target) = target.filter(|_| member.targets().contains(&level.target)) else {
                continue;
            };
            let detail = format!(
                "{} {} is installed, newer than {} {}, and the old code still runs: it needs a reboot only",
                target.name, level.version, target.name, target.version
            );
            let fix = "reboot it, or restart what still uses the old code, and observe again".to_owned();
            refusals.push((level.target, refused("needs a reboot only", detail, vec![fix])));
        }
    }

    /// A kernel with its release in the name has its fix under another name; only a metapackage on the asset brings it.
    pub(super) fn another_package(
        &self,
        member: &Member,
        standing: &mut Standing<'_>,
        refusals: &mut Vec<(usize, Refusal)>,
    ) {
        let installed = standing.of(member.asset);
        let available = self.ctx.asset(member.asset).and_then(|a| a.facts.available);
        for (index, before) in member.load.pairs() {
            let Some(target) = self.targets.get(index) else {
                continue;
            };
            let level = level(&installed, index).map(|l| l.order);
            let elsewhere = if is_release(target) {
                let offered =
                    available.is_some_and(|set| standing.offers(member.asset, set).binary_search(&index).is_ok());
                !offered && level.is_none_or(std::cmp::Ordering::is_lt)
            } else {
                is_metapackage(target) && level.is_none()
            };
            if elsewhere {
                let detail = format!(
                    "not installable: the fix is another package: a kernel {} has another name than the one that runs \
                     (now {before}), and no metapackage here brings it",
                    target.version
                );
                let fix = "install the metapackage of its kernel (linux-image-<flavour>), or the fixed kernel by hand; \
                           where it is installed already, reboot";
                refusals.push((index, refused("not-installable", detail, vec![fix.to_owned()])));
            }
        }
    }

    /// A list of available packages that lacks the target is a refusal; no list at all is not.
    pub(super) fn installable(
        &self,
        member: &Member,
        standing: &mut Standing<'_>,
        refusals: &mut Vec<(usize, Refusal)>,
    ) {
        let Some(available) = self.ctx.asset(member.asset).and_then(|a| a.facts.available) else {
            return;
        };
        let offered = standing.offers(member.asset, available);
        let installed = standing.of(member.asset);
        let said: BTreeSet<usize> = refusals.iter().map(|(target, _)| *target).collect();
        let is_package = |t: usize| self.targets.get(t).is_some_and(|t| t.kind().is_none());
        let packages = member.load.pairs().filter(|(t, _)| is_package(*t));
        for (index, before) in packages.filter(|(t, _)| !said.contains(t)) {
            // What is installed already and only waits for its reboot needs no repository.
            let there = level(&installed, index).is_some_and(|l| l.order.is_ge());
            if there || offered.binary_search(&index).is_ok() {
                continue;
            }
            let Some(target) = self.targets.get(index) else {
                continue;
            };
            let detail = format!(
                "{} {} (now {before}) is not in the content this asset can reach",
                target.name, target.version
            );
            let fix = format!(
                "sync {} {} into the asset's repositories and observe again",
                target.name, target.version
            );
            refusals.push((index, refused("not-installable", detail, vec![fix])));
        }
    }

    /// A build is brought by an update. Where the feed names no article for it, or the update server offers none of them to
    /// the asset, nobody can approve anything; where no update server was asked, that is unknown and marked.
    pub(super) fn offered(
        &self,
        member: &Member,
        class: &Resource<AssetClassSpec>,
        refusals: &mut Vec<(usize, Refusal)>,
    ) {
        let Some(facts) = self.ctx.asset(member.asset).map(|a| &a.facts) else {
            return;
        };
        let said: BTreeSet<usize> = refusals.iter().map(|(target, _)| *target).collect();
        for index in member.targets().iter().filter(|index| !said.contains(index)) {
            let target = self.targets.get(*index).filter(|t| t.kind() == Some(ComponentKind::Os));
            let Some(build) = target.map(|t| &t.version) else {
                continue;
            };
            let articles: Vec<String> = self.ctx.articles.bringing(build).map(|kb| format!("KB{kb}")).collect();
            let offered = match self.is_cut {
                true => self.ctx.articles.still_offered(facts, build),
                false => self.ctx.articles.offered(facts, build),
            };
            let Some(offered) = offered else {
                refusals.extend(self.uninstallable_unknown(*index, build, class));
                continue;
            };
            let refusal = if articles.is_empty() {
                let detail = format!(
                    "no advisory names the article (KB) that brings build {build}, so no update can be approved"
                );
                refused(
                    "not-installable",
                    detail,
                    vec!["use a feed that names it (type `msrc`)".to_owned()],
                )
            } else if offered.is_empty() {
                let articles = articles.join(", ");
                let detail = format!(
                    "build {build} is brought by {articles}, and the update server offers the asset none of them"
                );
                let fix = format!(
                    "synchronise {articles} for its product and classification, wait for the asset's next report, and export again"
                );
                refused("not-installable", detail, vec![fix])
            } else if reversibility(&class.spec) == Reversibility::Exact && offered.iter().any(|u| !u.uninstallable) {
                let stuck = offered.iter().find(|u| !u.uninstallable).map_or("", |u| &u.title);
                let detail = format!(
                    "class {} goes back by `{}`, and `{stuck}` cannot be uninstalled",
                    class.name, class.spec.protection.rollback
                );
                let fix = format!(
                    "set `protection.rollback: none` in class {} and say so in the review",
                    class.name
                );
                refused("irreversible", detail, vec![fix])
            } else {
                continue;
            };
            refusals.push((*index, refusal));
        }
    }

    /// Most cumulative updates of Windows cannot be uninstalled, and only an update server says which can: where none was
    /// asked, the way back that the class wants is a hope.
    fn uninstallable_unknown(
        &self,
        index: usize,
        build: &str,
        class: &Resource<AssetClassSpec>,
    ) -> Option<(usize, Refusal)> {
        if reversibility(&class.spec) != Reversibility::Exact {
            return None;
        }
        let detail = format!(
            "class {} ({}) goes back by `{}`, and no source tells which updates the asset is offered, so nobody knows whether \
             the one that brings build {build} can be uninstalled",
            class.name,
            self.ctx.catalog.at(class.doc, "/spec/protection/rollback"),
            class.spec.protection.rollback
        );
        let fixes = vec![
            "add a source that reports `updates` of it (an export of the update server, type `wsus`)".to_owned(),
            format!(
                "set `protection.rollback: none` in class {} and say so in the review",
                class.name
            ),
        ];
        Some((index, refused("irreversible", detail, fixes)))
    }
}

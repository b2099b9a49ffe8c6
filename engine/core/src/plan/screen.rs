//! What an asset cannot take, whatever the order and the time: each a refusal of that asset, never of the rest.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::able::{self, Asked};
use super::budget::Budgets;
use super::calendar::{self, Calendars};
use super::carry::{Covers, Load, Member, Tools, name_of, place};
use super::compatible;
use super::context::Context;
use super::debian_kernel::{is_metapackage, is_release};
use super::reversible::reversibility;
use super::shared::Same;
use super::standing::{Standing, level};
use super::{Binding, Refusal};
use crate::history::Target;
use crate::load::Resource;
use crate::load::known::{self, Known};
use crate::load::wire::{
    AdvisoryType, AssetClassSpec, ComponentKind, Content, Lifecycle, PatchPolicySpec, Remedy, TargetSpec,
};
use crate::lookup::Lookup;
use crate::observe::{Asset, PackageSetId, Part, parts_of};

/// Whether a word is one this version knows but cannot do. A word it does not know is a folder of the user's own, or an
/// error when resources are loaded.
fn is_not_built(words: &[Known], word: &str) -> bool {
    words.iter().any(|w| w.name == word && !w.built)
}

/// What screening reads of a rollout, and what it has found out about assets that are alike.
pub(super) struct Screen<'s, 'a> {
    ctx: &'s Context<'a>,
    calendars: &'s Calendars,
    budgets: &'s Budgets,
    policy: &'s Resource<PatchPolicySpec>,
    targets: &'s [Target],
    /// Advisory types behind each target.
    types: Vec<BTreeSet<AdvisoryType>>,
    known: Lookup<Alike<'a>, Verdict>,
    tools: Lookup<(Same<[usize]>, &'a str), FirstAndTools>,
}

/// The tool of the first target that has one, and those of all.
type FirstAndTools = (Option<Arc<str>>, Tools);

/// What the verdict on single targets depends on.
#[derive(PartialEq, Eq, Hash)]
struct Alike<'a> {
    load: Same<Load>,
    class: &'a str,
    asked: Asked,
    /// What an update server offers, by place in memory: computers share it rarely, and the verdict names it.
    updates: Option<usize>,
    /// How it stands to the targets, and which can be had.
    levels: u32,
    release: Option<u32>,
    available: Option<PackageSetId>,
}

/// What is left of a load, and what is refused of it; the asset is left empty.
struct Verdict {
    load: Arc<Load>,
    refusals: Vec<(Arc<[usize]>, Refusal)>,
}

/// Advisory types behind each target, through the hits it fixes.
fn types_of(ctx: &Context<'_>, targets: &[Target], covers: &Covers) -> Vec<BTreeSet<AdvisoryType>> {
    let mut types = vec![BTreeSet::new(); targets.len()];
    for (hit, target) in ctx.assessment.hits.iter().zip(covers) {
        let advisory = ctx.observation.advisories.get(hit.advisory as usize);
        if let (Some(advisory), Some(slot)) = (advisory, target.and_then(|t| types.get_mut(t))) {
            slot.extend(advisory.types.iter().copied());
        }
    }
    types
}

/// The targets of some refusals and each refusal.
type Refusals = Vec<(Arc<[usize]>, Refusal)>;

impl<'s, 'a> Screen<'s, 'a> {
    pub(super) fn new(
        ctx: &'s Context<'a>,
        (calendars, budgets): (&'s Calendars, &'s Budgets),
        policy: &'s Resource<PatchPolicySpec>,
        targets: &'s [Target],
        covers: &Covers,
    ) -> Self {
        Self {
            ctx,
            calendars,
            budgets,
            policy,
            targets,
            types: types_of(ctx, targets, covers),
            known: Lookup::default(),
            tools: Lookup::default(),
        }
    }

    /// Takes from `member` the targets it cannot have and says why; nothing left = the asset is not in the rollout.
    pub(super) fn member(&mut self, member: &mut Member, standing: &mut Standing<'_>) -> Refusals {
        let Some(class) = self.ctx.class(member.asset) else {
            return Vec::new();
        };
        if let Some(refusal) = self.whole_asset(member, class) {
            let all = Arc::clone(member.targets());
            member.load = Arc::new(member.load.only(|_| false));
            return vec![(all, refusal)];
        }
        member.rollback = reversibility(&class.spec);
        // A matrix reads facts that assets which are alike otherwise need not share.
        let has_matrices = !self.ctx.catalog.matrices.is_empty();
        let incompatible = has_matrices.then(|| compatible::incompatible(self.ctx, member, self.targets));
        let alike = Alike {
            load: Same::of(&member.load),
            class: &class.name,
            asked: Asked::of(self.ctx, self.calendars, member.asset),
            updates: self.ctx.asset(member.asset).and_then(|a| Some(a.facts.updates.as_ref()?.as_ptr() as usize)),
            levels: standing.id(member.asset),
            release: self.ctx.release(member.asset),
            available: self.ctx.asset(member.asset).and_then(|a| a.facts.available),
        };
        let mut known = std::mem::take(&mut self.known);
        let verdict = known
            .entry(alike)
            .or_insert_with_key(|alike| self.verdict(member, class, alike.asked, standing));
        let load = Arc::clone(&verdict.load);
        let name = name_of(self.ctx, member.asset);
        let of_asset = |refusal: &Refusal| Refusal {
            asset: Arc::clone(&name),
            ..refusal.clone()
        };
        let refusals = verdict.refusals.iter();
        let mut refusals: Refusals = refusals
            .map(|(targets, r)| (Arc::clone(targets), of_asset(r)))
            .collect();
        self.known = known;
        member.load = load;
        if let Some((targets, detail)) = incompatible.flatten() {
            let fixes =
                vec!["add the tested combination as a row, or update what it does not go with first".to_owned()];
            member.load = Arc::new(member.load.only(|t| !targets.contains(&t)));
            refusals.push((targets.into(), of_asset(&refused("incompatible", detail, fixes))));
        }
        self.assign_tools(member);
        refusals
    }

    /// What is refused of the targets one by one.
    fn verdict(
        &self,
        member: &Member,
        class: &Resource<AssetClassSpec>,
        asked: Asked,
        standing: &mut Standing<'_>,
    ) -> Verdict {
        let mut refusals = Vec::new();
        self.render_targets(member, class, asked, &mut refusals);
        self.reboot_only(member, standing, &mut refusals);
        self.another_package(member, standing, &mut refusals);
        self.installable(member, standing, &mut refusals);
        let refused: BTreeSet<usize> = refusals.iter().map(|(target, _)| *target).collect();
        let load = if refused.is_empty() {
            Arc::clone(&member.load)
        } else {
            Arc::new(member.load.only(|t| !refused.contains(&t)))
        };
        Verdict {
            load,
            refusals: refusals
                .into_iter()
                .map(|(t, refusal)| (Arc::from([t]), refusal))
                .collect(),
        }
    }

    fn refusal(&self, asset: u32, reason: &str, detail: String, fixes: Vec<String>) -> Refusal {
        Refusal {
            asset: name_of(self.ctx, asset),
            ..refused(reason, detail, fixes)
        }
    }

    /// What holds for everything the asset could take.
    fn whole_asset(&self, member: &Member, class: &Resource<AssetClassSpec>) -> Option<Refusal> {
        let asset = member.asset;
        let (name, protection) = (&class.name, &class.spec.protection);
        if self
            .ctx
            .asset(asset)
            .is_some_and(|a| a.lifecycle == Lifecycle::Maintenance)
        {
            let detail =
                "its lifecycle is `maintenance`: somebody works on it, and it counts as down meanwhile".to_owned();
            let fix = "set its lifecycle to `active` when the work is done".to_owned();
            return Some(self.refusal(asset, "maintenance", detail, vec![fix]));
        }
        let not_built = |what: String, pointer: &str| {
            let at = self.ctx.catalog.at(class.doc, pointer);
            let detail = format!("{what} of class {name} ({at}) is a known name, but this version cannot do it yet");
            Some(self.refusal(
                asset,
                "not built",
                detail,
                vec![format!("choose another in class {name}")],
            ))
        };
        if is_not_built(known::BACKUPS, &protection.backup) {
            return not_built(format!("backup `{}`", protection.backup), "/spec/protection/backup");
        }
        if is_not_built(known::ROLLBACKS, &protection.rollback) {
            return not_built(
                format!("rollback `{}`", protection.rollback),
                "/spec/protection/rollback",
            );
        }
        if class.spec.content != Content::None {
            return not_built(format!("content `{}`", class.spec.content.as_str()), "/spec/content");
        }
        if class.spec.remedy == Remedy::Replace && self.ctx.asset(asset).and_then(image_of).is_none() {
            return Some(self.without_image(asset, class));
        }
        let wanted = self.policy.spec.requires.reversible;
        let way_back = reversibility(&class.spec);
        if way_back < wanted {
            let at = place(self.ctx, self.policy, "/spec/requires/reversible");
            let detail = format!(
                "{at} requires a way back that is {}; class {name} rolls back by `{}`, which is {}",
                wanted.as_str(),
                protection.rollback,
                way_back.as_str()
            );
            let fix = format!("set `protection.rollback: package-downgrade` in class {name}");
            return Some(self.refusal(asset, "irreversible", detail, vec![fix]));
        }
        if self.calendars.of(asset).is_none() {
            return Some(self.without_window(asset, class));
        }
        self.over_budget(asset)
    }

    /// Nobody can rebuild an image that has no name.
    fn without_image(&self, asset: u32, class: &Resource<AssetClassSpec>) -> Refusal {
        let at = self.ctx.catalog.at(class.doc, "/spec/remedy");
        let detail = format!(
            "class {} ({at}) replaces its assets by new images, and no image was observed on it: nothing says what to \
             rebuild",
            class.name
        );
        let fix = "report the image it runs as a component of kind `image` (product and version)".to_owned();
        self.refusal(asset, "no-image", detail, vec![fix])
    }

    fn without_window(&self, asset: u32, class: &Resource<AssetClassSpec>) -> Refusal {
        let named = calendar::window_of(self.ctx, asset);
        let detail = match &named {
            Some(name) => format!(
                "class {} puts it into window `{name}`, which does not exist",
                class.name
            ),
            None => format!(
                "class {} reads its window from a label it does not have, and has no default",
                class.name
            ),
        };
        let fixes = vec![format!(
            "add `default` to the window of class {}, or set the label",
            class.name
        )];
        let refusal = self.refusal(asset, "no-window", detail, fixes);
        Refusal {
            binding: Some(Binding::Window),
            ..refusal
        }
    }

    /// A group that may never lose a member can never be patched.
    fn over_budget(&self, asset: u32) -> Option<Refusal> {
        let budgets = self.budgets.of(asset).iter().filter_map(|id| self.budgets.get(*id));
        let budget = budgets.into_iter().find(|b| b.limit == 0)?;
        let detail = format!(
            "{} has {} member(s) and {} leaves none that may be down: it can never be touched",
            budget.label, budget.members, budget.said_by
        );
        let fixes = vec![format!("add a member to {}, or relax {}", budget.label, budget.said_by)];
        let refusal = self.refusal(asset, "budget", detail, fixes);
        Some(Refusal {
            binding: Some(Binding::Budget),
            ..refusal
        })
    }

    /// The tool that patches each target; one that cannot be rendered is refused with the targets that need it.
    fn render_targets(
        &self,
        member: &Member,
        class: &Resource<AssetClassSpec>,
        asked: Asked,
        refusals: &mut Vec<(usize, Refusal)>,
    ) {
        for index in member.targets().iter() {
            let no_types = BTreeSet::new();
            let types = self.types.get(*index).unwrap_or(&no_types);
            let package = self.targets.get(*index).map_or("", |t| &t.name);
            let words: Vec<&str> = types.iter().map(|t| t.as_str()).collect();
            match tool(&class.spec, types) {
                None => {
                    let words = words.join(", ");
                    let detail = format!("class {} has no target for {words} updates ({package})", class.name);
                    let fix = format!(
                        "add `{{for: {{types: [{words}]}}, use: ansible}}` to class {}",
                        class.name
                    );
                    refusals.push((*index, refused("target", detail, vec![fix])));
                }
                Some(tool) if is_not_built(known::TARGETS, tool) && !self.is_own(tool) => {
                    let detail = format!(
                        "class {} patches {package} with target `{tool}`, a known name that this version cannot render yet",
                        class.name
                    );
                    let fix = format!("use `ansible` in class {}, or patch {package} by hand", class.name);
                    refusals.push((*index, refused("not built", detail, vec![fix])));
                }
                Some(tool) if class.spec.remedy == Remedy::Replace && !self.replaces(tool) => {
                    let detail = format!(
                        "target cannot do it: class {} replaces its assets by new images (`remedy: replace`), and `{tool}` \
                         patches in place",
                        class.name
                    );
                    let fix = format!(
                        "write a render target for your image pipeline (templates/<name>/target.yaml) and name it in class {}",
                        class.name
                    );
                    refusals.push((*index, refused("target", detail, vec![fix])));
                }
                Some(tool) if !self.can_do(tool, *index) => {
                    let what = self
                        .targets
                        .get(*index)
                        .map_or_else(String::new, |t| format!("{} {} {package}", t.os_id, t.os_major));
                    let detail = format!(
                        "target cannot do it: class {} updates {package} by `{tool}`, which does not bring {what}",
                        class.name
                    );
                    let fix = format!(
                        "write a render target of your own (templates/<name>/target.yaml) for {what} and name it in class {}",
                        class.name
                    );
                    refusals.push((*index, refused("target", detail, vec![fix])));
                }
                Some(tool) => refusals.extend(self.short(tool, *index, class, asked).map(|refusal| (*index, refusal))),
            }
        }
    }

    /// What the tool cannot promise for the class, as one refusal.
    fn short(&self, tool: &str, index: usize, class: &Resource<AssetClassSpec>, asked: Asked) -> Option<Refusal> {
        let catalog = self.ctx.catalog;
        let spec = catalog.target(tool)?;
        let of = |spec: &TargetSpec| {
            let class = (class.name.as_ref(), &class.spec);
            able::shortfalls(spec, class, &self.policy.spec, catalog, asked)
        };
        let short = of(spec);
        if short.is_empty() {
            return None;
        }
        let place = |pointer: &str| match pointer {
            "" => String::new(),
            pointer => format!(" ({})", catalog.at(class.doc, pointer)),
        };
        let told = short
            .iter()
            .map(|s| format!("{}{}, because it {}", s.asks, place(s.pointer), s.because));
        let detail = format!(
            "target cannot do it: class {} asks `{tool}` for {}",
            class.name,
            told.collect::<Vec<_>>().join("; for ")
        );
        let others = able::instead(|other| self.brings(other, index), |other| !of(other).is_empty());
        let instead = others.iter().map(|other| format!("use `{other}` in class {}", class.name));
        let fixes = instead.chain(short.iter().map(|s| s.fix.clone()));
        Some(refused("target", detail, fixes.collect()))
    }

    /// The tool of each target of a member, and the first of them as its own.
    pub(super) fn assign_tools(&mut self, member: &mut Member) {
        let Some(class) = self.ctx.class(member.asset) else {
            return;
        };
        let alike = (Same::of(member.targets()), class.name.as_ref());
        let types = &self.types;
        let (first, tools) = self.tools.entry(alike).or_insert_with_key(|(targets, _)| {
            let no_types = BTreeSet::new();
            let of = |index: usize| tool(&class.spec, types.get(index).unwrap_or(&no_types));
            let tools = targets.0.iter().filter_map(|t| Some((*t, Arc::from(of(*t)?))));
            let tools: BTreeMap<usize, Arc<str>> = tools.collect();
            let first = tools.values().next().cloned();
            let several = tools.values().any(|tool| Some(tool) != first.as_ref());
            (first, if several { tools.into() } else { Tools::default() })
        });
        member.tools = Arc::clone(tools);
        if let Some(first) = first {
            member.render_target = Arc::clone(first);
        }
    }

    /// Whether a tool can bring what the target is. A folder whose specification was not read says so when it is rendered.
    fn can_do(&self, tool: &str, target: usize) -> bool {
        let spec = self.ctx.catalog.target(tool);
        spec.is_none_or(|spec| self.brings(spec, target))
    }

    fn brings(&self, spec: &TargetSpec, target: usize) -> bool {
        self.targets.get(target).is_none_or(|target| match target.kind() {
            Some(kind) => spec.kinds.contains(&kind),
            None => spec.ecosystems.contains(&target.scheme),
        })
    }

    /// Whether a tool replaces assets by new images; a folder whose specification was not read may.
    fn replaces(&self, tool: &str) -> bool {
        let spec = self.ctx.catalog.target(tool);
        spec.map_or_else(|| self.is_own(tool), |spec| spec.replaces)
    }

    fn is_own(&self, tool: &str) -> bool {
        self.ctx.catalog.target_folders.contains(tool)
    }

    /// Nothing is pinned below what is installed: where a newer version than the target's is there and only the old code
    /// still runs, the asset needs a reboot or a restart, and no package.
    fn reboot_only(&self, member: &Member, standing: &mut Standing<'_>, refusals: &mut Vec<(usize, Refusal)>) {
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
    fn another_package(&self, member: &Member, standing: &mut Standing<'_>, refusals: &mut Vec<(usize, Refusal)>) {
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
    fn installable(&self, member: &Member, standing: &mut Standing<'_>, refusals: &mut Vec<(usize, Refusal)>) {
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
}

/// A refusal of an asset that is still to be named.
fn refused(reason: &str, detail: String, fixes: Vec<String>) -> Refusal {
    Refusal {
        reason: reason.into(),
        asset: "".into(),
        detail,
        binding: None,
        fixes,
    }
}

/// The image an asset runs: the first of its observed components of that kind, by name.
pub(super) fn image_of(asset: &Asset) -> Option<Part> {
    let images = parts_of(asset).into_iter();
    images.into_iter().find(|part| part.kind == ComponentKind::Image)
}

/// The render target of a class for updates of these types; no type at all is taken by whatever takes everything.
fn tool<'c>(class: &'c AssetClassSpec, types: &BTreeSet<AdvisoryType>) -> Option<&'c str> {
    let takes = |wanted: &[AdvisoryType]| wanted.is_empty() || wanted.iter().any(|t| types.contains(t));
    let choice = class
        .targets
        .iter()
        .find(|c| c.subject.as_ref().is_none_or(|s| takes(&s.types)));
    choice.map(|c| c.target.as_str()).or(class.target.as_deref())
}

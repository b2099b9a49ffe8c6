//! What an asset cannot take, whatever the order and the time: each a refusal of that asset, never of the rest.

mod artifact;
mod content;
mod erratum;
mod tools;

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::history::Target;
use crate::load::Resource;
use crate::load::known::{self, Known};
use crate::load::wire::{AdvisoryType, AssetClassSpec, ComponentKind, Content, Lifecycle, PatchPolicySpec, Remedy};
use crate::lookup::Lookup;
use crate::observe::{Asset, PackageSetId, Part, parts_of};
use crate::plan::able::{self, Asked};
use crate::plan::budget::Budgets;
use crate::plan::calendar::{self, CalendarId, Calendars};
use crate::plan::carry::{Covers, Load, Member, Tools, name_of, place};
use crate::plan::compatible;
use crate::plan::context::Context;
use crate::plan::reversible::reversibility;
use crate::plan::shared::Same;
use crate::plan::standing::Standing;
use crate::plan::{Binding, Refusal};

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
    /// The rollout was cut before: what it brings need not be the newest any more.
    is_cut: bool,
    /// Advisory types behind each target.
    types: Vec<BTreeSet<AdvisoryType>>,
    /// Advisories behind each target, by their place in the observation.
    advisories: Vec<BTreeSet<u32>>,
    known: Lookup<Alike<'a>, Verdict>,
    closed_times: Lookup<CalendarId, bool>,
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
        (targets, is_cut): (&'s [Target], bool),
        covers: &Covers,
    ) -> Self {
        Self {
            ctx,
            calendars,
            budgets,
            policy,
            targets,
            is_cut,
            types: types_of(ctx, targets, covers),
            advisories: erratum::advisories_of(ctx, targets, covers),
            known: Lookup::default(),
            closed_times: Lookup::default(),
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
        let (ctx, calendars) = (self.ctx, self.calendars);
        let closed = calendars.of(member.asset).is_some_and(|id| {
            let known = self.closed_times.entry(id);
            *known.or_insert_with(|| able::has_closed_times(ctx, calendars, id))
        });
        let asked = Asked::of(ctx, member.asset, closed);
        let alike = Alike {
            load: Same::of(&member.load),
            class: &class.name,
            asked,
            updates: self
                .ctx
                .asset(member.asset)
                .and_then(|a| Some(a.facts.updates.as_ref()?.as_ptr() as usize)),
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
        for screen in [Self::without_artifact, Self::brings_more] {
            let more = screen(self, member);
            if !more.is_empty() {
                let targets: Vec<usize> = more.iter().map(|(target, _)| *target).collect();
                member.load = Arc::new(member.load.only(|t| !targets.contains(&t)));
                refusals.extend(more.iter().map(|(target, r)| (Arc::from([*target]), of_asset(r))));
                self.assign_tools(member);
            }
        }
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
        self.offered(member, class, &mut refusals);
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
        if matches!(class.spec.content, Content::AptSnapshot | Content::Pulp) {
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

//! Which tool brings each target, and what it cannot promise.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Screen, refused};
use crate::load::Resource;
use crate::load::wire::{AdvisoryType, AssetClassSpec, Remedy, TargetSpec};
use crate::plan::Refusal;
use crate::plan::able::{self, Asked};
use crate::plan::carry::{Member, Tools};
use crate::plan::shared::Same;

impl Screen<'_, '_> {
    /// The tool that patches each target; one that cannot be rendered is refused with the targets that need it.
    pub(super) fn render_targets(
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
                Some(tool) if class.spec.remedy == Remedy::Patch && self.only_replaces(tool) => {
                    let detail = format!(
                        "target cannot do it: class {} patches its assets in place (`remedy: patch`), and `{tool}` replaces them by \
                         new images",
                        class.name
                    );
                    let fix = format!(
                        "set `remedy: replace` in class {}, if its assets may be thrown away",
                        class.name
                    );
                    refusals.push((*index, refused("target", detail, vec![fix])));
                }
                Some(tool) if class.spec.remedy == Remedy::Replace && !self.replaces(tool) => {
                    let detail = format!(
                        "target cannot do it: class {} replaces its assets by new images (`remedy: replace`), and `{tool}` \
                         patches in place",
                        class.name
                    );
                    let fix = format!(
                        "use `image` in class {}, or write a render target for your image pipeline (templates/<name>/target.yaml)",
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
        let others = able::instead(
            |other| !other.replaces && self.brings(other, index),
            |other| !of(other).is_empty(),
        );
        let instead = others
            .iter()
            .map(|other| format!("use `{other}` in class {}", class.name));
        let fixes = instead.chain(short.iter().map(|s| s.fix.clone()));
        Some(refused("target", detail, fixes.collect()))
    }

    /// The tool of each target of a member, and the first of them as its own.
    pub(in crate::plan) fn assign_tools(&mut self, member: &mut Member) {
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

    /// Whether a tool does nothing but replace assets by new images.
    fn only_replaces(&self, tool: &str) -> bool {
        self.ctx.catalog.target(tool).is_some_and(|spec| spec.replaces)
    }

    /// Whether a tool replaces assets by new images; a folder whose specification was not read may.
    fn replaces(&self, tool: &str) -> bool {
        let spec = self.ctx.catalog.target(tool);
        spec.map_or_else(|| self.is_own(tool), |spec| spec.replaces)
    }

    fn is_own(&self, tool: &str) -> bool {
        self.ctx.catalog.target_folders.contains(tool)
    }
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

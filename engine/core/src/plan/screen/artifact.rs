//! Assets for which no artifact can be made whatever the order and the time: each is left out, so that the files of its wave
//! are made for the others.

use std::collections::BTreeSet;

use super::{Screen, refused};
use crate::load::wire::{ComponentKind, Need, TargetSpec};
use crate::observe::{Asset, Obstacle, content_obstacles, node_obstacle};
use crate::plan::Refusal;
use crate::plan::carry::Member;

impl Screen<'_, '_> {
    /// The targets that the tool of an asset cannot be told of, because of what was observed of that asset.
    pub(super) fn without_artifact(&self, member: &Member) -> Vec<(usize, Refusal)> {
        let Some(asset) = self.ctx.asset(member.asset) else {
            return Vec::new();
        };
        let tools: BTreeSet<&str> = match member.tools.is_empty() {
            true => BTreeSet::from([member.render_target.as_ref()]),
            false => member.tools.values().map(AsRef::as_ref).collect(),
        };
        let mut refusals = Vec::new();
        for tool in tools {
            let Some(spec) = self.ctx.catalog.target(tool) else {
                continue;
            };
            let of_tool = |index: &usize| **member.tools.get(index).unwrap_or(&member.render_target) == *tool;
            let targets: Vec<usize> = member.targets().iter().copied().filter(of_tool).collect();
            if spec.needs.contains(&Need::Content) {
                let found = content_obstacles(asset.facts.content.as_deref().unwrap_or_default());
                refusals.extend(self.refuse_all(&targets, tool, &found));
            }
            // A target that does not ask for the facts of nodes makes its own sense of their versions.
            if spec.needs.contains(&Need::Kubernetes) {
                refusals.extend(self.of_node(asset, &targets, tool));
            }
            refusals.extend(self.without_advisory(spec, &targets, tool));
        }
        let mut said = BTreeSet::new();
        refusals.retain(|(target, _)| said.insert(*target));
        refusals
    }

    fn refuse_all(&self, targets: &[usize], tool: &str, found: &[Obstacle]) -> Vec<(usize, Refusal)> {
        if found.is_empty() {
            return Vec::new();
        }
        let what: Vec<&str> = found.iter().map(|o| o.what.as_str()).collect();
        let detail = format!("target cannot do it: for `{tool}` the asset {}", what.join("; "));
        let fixes: Vec<String> = found.iter().map(|o| o.help.clone()).collect();
        let refusal = refused("target", detail, fixes);
        targets.iter().map(|target| (*target, refusal.clone())).collect()
    }

    /// A node goes to one version: that of its kubelet, or of its runtime where the kubelet stays.
    fn of_node(&self, asset: &Asset, targets: &[usize], tool: &str) -> Vec<(usize, Refusal)> {
        let Some(node) = asset.facts.kubernetes.as_deref() else {
            return Vec::new();
        };
        let on_node = |index: &usize| {
            let target = self.targets.get(*index)?;
            (target.kind() == Some(ComponentKind::Kubernetes)).then_some((*index, target))
        };
        let on_node: Vec<_> = targets.iter().filter_map(on_node).collect();
        let kubelet = on_node.iter().find(|(_, target)| *target.name == *"kubelet");
        let Some((_, to)) = kubelet.or_else(|| on_node.first()) else {
            return Vec::new();
        };
        let found: Vec<Obstacle> = node_obstacle(node, &to.version).into_iter().collect();
        let targets: Vec<usize> = on_node.iter().map(|(index, _)| *index).collect();
        self.refuse_all(&targets, tool, &found)
    }

    /// A tool that installs by advisory is told of nothing where no advisory is behind what an asset takes, and its server takes
    /// an empty list for everything there is.
    fn without_advisory(&self, spec: &TargetSpec, targets: &[usize], tool: &str) -> Vec<(usize, Refusal)> {
        let known = |target: &usize| self.advisories.get(*target).is_some_and(|behind| !behind.is_empty());
        if !spec.whole_advisories || targets.is_empty() || targets.iter().any(known) {
            return Vec::new();
        }
        let nothing = Obstacle {
            what: "takes nothing that an advisory fixes, and it installs by advisory".to_owned(),
            help: "use a target that installs packages (`ansible`), or add the feed that names the advisory".to_owned(),
        };
        self.refuse_all(targets, tool, &[nothing])
    }
}

//! Promote what was tested: a wave takes a target only if an earlier wave takes it, or was seen to run it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Refusal;
use super::carry::{Member, name_of, place};
use super::context::Context;
use super::debian_kernel::carrier;
use super::graph::WaveGraph;
use super::targets::Standing;
use crate::history::Target;
use crate::load::Resource;
use crate::load::wire::{PatchPolicySpec, Untested, WaveSpec};

/// A target on a kind of asset: what proves it there proves it for every asset of that kind. Release, package
/// architecture and module are in the target; the machine's architecture and the likeness labels are not.
type Kind<'a> = (usize, &'a str, Vec<Option<&'a str>>);

/// What the tested rule finds.
#[derive(Debug, Default)]
pub(super) struct Tested {
    /// Targets refused, with the asset.
    pub(super) refused: Vec<(u32, Vec<usize>, Refusal)>,
    /// For each wave: the groups of assets that share something unproved, where a canary goes first.
    pub(super) canaries: BTreeMap<usize, Vec<Vec<u32>>>,
    /// Waves that need one more approval, with the packages nothing has proved.
    pub(super) extra_approval: BTreeMap<usize, BTreeSet<Arc<str>>>,
}

/// What the rule reads.
pub(super) struct Rule<'r, 'a> {
    pub(super) ctx: &'a Context<'a>,
    pub(super) policy: &'r Resource<PatchPolicySpec>,
    pub(super) targets: &'r [Target],
    pub(super) waves: &'r [WaveSpec],
    pub(super) graph: &'r WaveGraph,
    /// The wave of every asset in scope.
    pub(super) wave_of: &'r [(u32, usize)],
}

impl<'a> Rule<'_, 'a> {
    /// Applies the rule, wave after wave, and takes what is refused out of `members`: a refused asset proves nothing.
    pub(super) fn apply(&self, members: &mut [Vec<Member>], standing: &mut Standing<'_>) -> Tested {
        let mut tested = Tested::default();
        let requires = &self.policy.spec.requires;
        if !requires.tested {
            return tested;
        }
        let mut proofs: BTreeMap<usize, BTreeSet<Kind<'a>>> = BTreeMap::new();
        let mut observed: Option<BTreeMap<usize, BTreeSet<Kind<'a>>>> = None;
        for wave in &self.graph.order {
            let ancestors = self.graph.ancestors.get(*wave).cloned().unwrap_or_default();
            let Some(here) = members.get_mut(*wave) else { continue };
            let has_needs = self.graph.needs.get(*wave).is_some_and(|n| !n.is_empty());
            let mut unproved: BTreeMap<Kind<'a>, Vec<u32>> = BTreeMap::new();
            for member in here.iter().filter(|_| has_needs) {
                for (target, _) in &member.targets {
                    let kind = self.kind(*target, member.asset);
                    let taken = ancestors
                        .iter()
                        .any(|a| proofs.get(a).is_some_and(|p| p.contains(&kind)));
                    if !taken {
                        let seen = observed.get_or_insert_with(|| self.observed(standing));
                        if !ancestors.iter().any(|a| seen.get(a).is_some_and(|p| p.contains(&kind))) {
                            unproved.entry(kind).or_default().push(member.asset);
                        }
                    }
                }
            }
            self.judge(*wave, requires.untested, unproved, here, &mut tested);
            let takes = here
                .iter()
                .flat_map(|m| m.targets.iter().map(|(t, _)| self.kind(*t, m.asset)));
            proofs.insert(*wave, takes.collect());
        }
        tested
    }

    fn judge(
        &self,
        wave: usize,
        untested: Untested,
        unproved: BTreeMap<Kind<'a>, Vec<u32>>,
        here: &mut Vec<Member>,
        tested: &mut Tested,
    ) {
        if unproved.is_empty() {
            return;
        }
        match untested {
            Untested::Canary => {
                tested.canaries.insert(wave, unproved.into_values().collect());
            }
            Untested::ExtraApproval => {
                let packages = unproved.keys().filter_map(|(t, ..)| self.targets.get(*t));
                tested
                    .extra_approval
                    .insert(wave, packages.map(|t| Arc::clone(&t.name)).collect());
            }
            Untested::Refuse => {
                let mut by_asset: BTreeMap<u32, BTreeSet<usize>> = BTreeMap::new();
                for ((target, ..), assets) in unproved {
                    for asset in assets {
                        by_asset.entry(asset).or_default().insert(target);
                    }
                }
                for member in here.iter_mut() {
                    let Some(refused) = by_asset.get(&member.asset) else {
                        continue;
                    };
                    member.targets.retain(|(t, _)| !refused.contains(t));
                    let targets: Vec<usize> = refused.iter().copied().collect();
                    let refusal = self.refusal(wave, member.asset, &targets);
                    tested.refused.push((member.asset, targets, refusal));
                }
                here.retain(|m| !m.targets.is_empty());
            }
        }
    }

    fn kind(&self, target: usize, asset: u32) -> Kind<'a> {
        let asset = self.ctx.asset(asset);
        let arch = asset.and_then(|a| a.facts.os.as_ref()).map_or("", |os| &os.arch);
        let labels = self.policy.spec.requires.likeness.iter();
        (
            target,
            arch,
            labels.map(|key| asset.and_then(|a| a.label(key))).collect(),
        )
    }

    /// For each wave: what its assets were freshly observed to run.
    fn observed(&self, standing: &mut Standing<'_>) -> BTreeMap<usize, BTreeSet<Kind<'a>>> {
        let mut observed: BTreeMap<usize, BTreeSet<Kind<'a>>> = BTreeMap::new();
        for (index, wave) in self.wave_of {
            let Some(asset) = self.ctx.asset(*index).filter(|a| !a.stale && a.observed_at.is_some()) else {
                continue;
            };
            let levels = standing.of(*index, asset.facts.packages);
            for level in levels
                .iter()
                .filter(|l| l.order.is_eq() && !self.awaits_reboot(*index, l.target))
            {
                observed
                    .entry(*wave)
                    .or_default()
                    .insert(self.kind(level.target, *index));
            }
        }
        observed
    }

    /// Installed is not running: a package that still waits for its reboot proves nothing.
    fn awaits_reboot(&self, asset: u32, target: usize) -> bool {
        let Some(target) = self.targets.get(target) else {
            return true;
        };
        self.ctx.assessment.rows(asset as usize).iter().any(|row| {
            let waits = self
                .ctx
                .judgement(row.judgement)
                .is_some_and(|j| j.status == crate::assess::Status::PendingReboot);
            waits && self.ctx.hit(row.hit).is_some_and(|h| carrier(h) == target.name)
        })
    }

    fn refusal(&self, wave: usize, asset: u32, targets: &[usize]) -> Refusal {
        let name = |w: usize| self.waves.get(w).map_or("", |w| w.name.as_str());
        let ancestors = self.graph.ancestors.get(wave).into_iter().flatten();
        let ancestors: Vec<&str> = ancestors.map(|w| name(*w)).collect();
        let targets: Vec<String> = targets
            .iter()
            .filter_map(|t| self.targets.get(*t))
            .map(|t| format!("{} {} ({} {} {})", t.name, t.version, t.os_id, t.os_major, t.arch))
            .collect();
        let likeness = &self.policy.spec.requires.likeness;
        let labels = self.ctx.asset(asset).map(|a| {
            let pairs = likeness
                .iter()
                .map(|key| format!("{key}={}", a.label(key).unwrap_or("(none)")));
            pairs.collect::<Vec<_>>().join(", ")
        });
        let like = labels
            .filter(|l| !l.is_empty())
            .map_or_else(String::new, |l| format!(" and {l}"));
        let at = place(self.ctx, self.policy, "/spec/requires");
        let detail = format!(
            "wave {} would take {} although no asset of {} with the same release and architecture{like} takes it or runs it \
             ({at} requires tested)",
            name(wave),
            targets.join(", "),
            ancestors.join(", "),
        );
        let fixes = vec![
            format!("add an asset like it to wave {}", ancestors.join(" or ")),
            "or set `requires.untested: canary`, which sends one asset first and alone".to_owned(),
        ];
        Refusal {
            reason: "untested".into(),
            asset: name_of(self.ctx, asset),
            detail,
            binding: None,
            fixes,
        }
    }
}

//! Promote what was tested: a wave takes a target only if an earlier wave takes it, or was seen to run it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Refusal;
use super::carry::{Load, Member, name_of, place};
use super::context::Context;
use super::debian_kernel::carrier;
use super::graph::WaveGraph;
use super::membership::membership;
use super::shared::{Same, distinct};
use super::standing::Standing;
use crate::history::Target;
use crate::load::Resource;
use crate::load::wire::{PatchPolicySpec, Untested, WaveSpec};
use crate::lookup::{Lookup, Seen};

/// What an asset is like: what proves a target on one asset proves it for every asset of its kind. Release, package
/// architecture and module are in the target; the machine's architecture and the likeness labels are not.
type Kind<'a> = (&'a str, Vec<Option<&'a str>>);

/// What the tested rule finds.
#[derive(Debug, Default)]
pub(super) struct Tested {
    /// Targets refused, with the asset.
    pub(super) refused: Vec<(u32, Arc<[usize]>, Refusal)>,
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
}

/// Kinds by number, in order of first sight.
#[derive(Default)]
struct Kinds<'a> {
    kinds: Vec<Kind<'a>>,
    ids: Lookup<Kind<'a>, u32>,
}

/// What each wave proves: targets on kinds.
type Proofs = BTreeMap<usize, Seen<(usize, u32)>>;

/// The targets of one member that nothing has proved.
struct Unproved {
    asset: u32,
    kind: u32,
    targets: Arc<[usize]>,
}

impl<'a> Rule<'_, 'a> {
    /// Applies the rule, wave after wave, and takes what is refused out of `members`: a refused asset proves nothing.
    pub(super) fn apply(&self, members: &mut [Vec<Member>], standing: &mut Standing<'_>) -> Tested {
        let mut tested = Tested::default();
        let requires = &self.policy.spec.requires;
        if !requires.tested {
            return tested;
        }
        let mut kinds = Kinds::default();
        let mut proofs = Proofs::new();
        let mut observed: Option<Proofs> = None;
        for wave in &self.graph.order {
            let ancestors = self.graph.ancestors.get(*wave).cloned().unwrap_or_default();
            let Some(here) = members.get_mut(*wave) else { continue };
            let has_needs = self.graph.needs.get(*wave).is_some_and(|n| !n.is_empty());
            let mut known: Lookup<(Same<Load>, u32), Arc<[usize]>> = Lookup::default();
            let mut unproved: Vec<Unproved> = Vec::new();
            for member in here.iter().filter(|_| has_needs) {
                let kind = self.kind(member.asset, &mut kinds);
                let targets = known.entry((Same::of(&member.load), kind)).or_insert_with(|| {
                    let proved = |by: &Proofs, t: usize| {
                        let mut before = ancestors.iter().filter_map(|a| by.get(a));
                        before.any(|p| p.contains(&(t, kind)))
                    };
                    let untaken = member.targets().iter().copied().filter(|t| !proved(&proofs, *t));
                    let untaken: Vec<usize> = untaken.collect();
                    if untaken.is_empty() {
                        return Arc::from([]);
                    }
                    let seen = observed.get_or_insert_with(|| self.observed(standing, &mut kinds));
                    untaken.into_iter().filter(|t| !proved(seen, *t)).collect()
                });
                if !targets.is_empty() {
                    unproved.push(Unproved {
                        asset: member.asset,
                        kind,
                        targets: Arc::clone(targets),
                    });
                }
            }
            self.judge((*wave, &kinds), requires.untested, &unproved, here, &mut tested);
            let mut takes = Seen::default();
            let mut counted = Seen::default();
            for member in here.iter() {
                let kind = self.kind(member.asset, &mut kinds);
                if counted.insert((Same::of(&member.load), kind)) {
                    takes.extend(member.targets().iter().map(|t| (*t, kind)));
                }
            }
            proofs.insert(*wave, takes);
        }
        tested
    }

    fn judge(
        &self,
        (wave, kinds): (usize, &Kinds<'a>),
        untested: Untested,
        unproved: &[Unproved],
        here: &mut Vec<Member>,
        tested: &mut Tested,
    ) {
        if unproved.is_empty() {
            return;
        }
        match untested {
            Untested::Canary => {
                let mut groups: Lookup<(usize, u32), Vec<u32>> = Lookup::default();
                for Unproved { asset, kind, targets } in unproved {
                    let each = targets.iter();
                    each.for_each(|t| groups.entry((*t, *kind)).or_default().push(*asset));
                }
                let mut groups = groups.into_sorted();
                groups.sort_by_key(|((target, kind), _)| (*target, kinds.kinds.get(*kind as usize)));
                let groups = groups.into_iter().map(|(_, assets)| assets).collect();
                tested.canaries.insert(wave, groups);
            }
            Untested::ExtraApproval => {
                let lists = distinct(unproved.iter().map(|u| &u.targets));
                let targets: BTreeSet<usize> = lists.into_iter().flatten().copied().collect();
                let packages = targets.into_iter().filter_map(|t| self.targets.get(t));
                tested
                    .extra_approval
                    .insert(wave, packages.map(|t| Arc::clone(&t.name)).collect());
            }
            Untested::Refuse => {
                let mut known: Lookup<(Same<Load>, u32), (Arc<Load>, Refusal)> = Lookup::default();
                let mut refused = unproved.iter().peekable();
                // Both are in order of the assets.
                for member in here.iter_mut() {
                    let Some(Unproved { asset, kind, targets }) = refused.next_if(|u| u.asset == member.asset) else {
                        continue;
                    };
                    let (left, refusal) = known.entry((Same::of(&member.load), *kind)).or_insert_with(|| {
                        let left = member.load.only(|t| targets.binary_search(&t).is_err());
                        (Arc::new(left), self.refusal(wave, *asset, targets))
                    });
                    let refusal = Refusal {
                        asset: name_of(self.ctx, *asset),
                        ..refusal.clone()
                    };
                    tested.refused.push((*asset, Arc::clone(targets), refusal));
                    member.load = Arc::clone(left);
                }
                here.retain(|m| !m.targets().is_empty());
            }
        }
    }

    /// The number of an asset's kind.
    fn kind(&self, asset: u32, kinds: &mut Kinds<'a>) -> u32 {
        let asset = self.ctx.asset(asset);
        let arch = asset.and_then(|a| a.facts.os.as_ref()).map_or("", |os| &os.arch);
        let labels = self.policy.spec.requires.likeness.iter();
        let kind = (arch, labels.map(|key| asset.and_then(|a| a.label(key))).collect());
        let list = &mut kinds.kinds;
        *kinds.ids.entry(kind).or_insert_with_key(|kind| {
            list.push(kind.clone());
            list.len() as u32 - 1
        })
    }

    /// For each wave: what its assets were freshly observed to run.
    fn observed(&self, standing: &mut Standing<'_>, kinds: &mut Kinds<'a>) -> Proofs {
        let mut observed = Proofs::new();
        let mut seen = Seen::default();
        let mut awaiting: Lookup<Option<u32>, BTreeSet<Arc<str>>> = Lookup::default();
        for index in self.ctx.in_scope(&self.policy.name).iter().copied() {
            let asset = self.ctx.asset(index).filter(|a| !a.stale && a.observed_at.is_some());
            let (Some(_), Ok(wave)) = (asset, membership(self.ctx, self.waves, index)) else {
                continue;
            };
            let kind = self.kind(index, kinds);
            let list = self.ctx.assessment.list_of.get(index as usize).copied();
            if !seen.insert((wave, standing.id(index), kind, list)) {
                continue;
            }
            let awaiting = awaiting.entry(list).or_insert_with(|| self.awaiting_reboot(index));
            let waits = |t: usize| self.targets.get(t).is_none_or(|t| awaiting.contains(&t.name));
            let levels = standing.of(index);
            let runs = levels.iter().filter(|l| l.order.is_eq() && !waits(l.target));
            let proofs = observed.entry(wave).or_default();
            proofs.extend(runs.map(|l| (l.target, kind)));
        }
        observed
    }

    /// Installed is not running: a package that still waits for its reboot proves nothing.
    fn awaiting_reboot(&self, asset: u32) -> BTreeSet<Arc<str>> {
        let rows = self.ctx.assessment.rows(asset as usize).iter();
        let waits = |j: &crate::assess::Judgement| j.status == crate::assess::Status::PendingReboot;
        let waiting = rows.filter(|row| self.ctx.judgement(row.judgement).is_some_and(waits));
        waiting.filter_map(|row| self.ctx.hit(row.hit)).map(carrier).collect()
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

//! Kubernetes versions stay within the skew that clusters bear, at every moment of a rollout.
//!
//! Source: Kubernetes version skew policy, <https://kubernetes.io/releases/version-skew-policy/>: a kubelet is never newer
//! than its kube-apiserver and at most three minor releases older. The kubelet of a control-plane node stands for its
//! kube-apiserver, as kubeadm keeps them; a control plane that nobody observes (a managed one) cannot be checked.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Refusal;
use super::carry::{Member, name_of};
use super::context::Context;
use super::graph::WaveGraph;
use super::steps::{is_kubelet, minor};
use crate::history::Target;

/// How many minor releases a kubelet may be older than its kube-apiserver.
const SKEW_MAX: u32 = 3;

/// What is refused: asset, targets, words.
type Refused = Vec<(u32, Arc<[usize]>, Refusal)>;

/// Takes kubelet targets that would break the skew out of `waves`, control planes first.
pub(super) fn screen(ctx: &Context<'_>, targets: &[Target], graph: &WaveGraph, waves: &mut [Vec<Member>]) -> Refused {
    let mut refused = Refused::new();
    if !targets.iter().any(|t| is_kubelet(&t.os_id, &t.name)) {
        return refused;
    }
    let clusters = Clusters::new(ctx);
    for control_plane in [true, false] {
        let after = after(targets, waves);
        for (wave, members) in waves.iter_mut().enumerate() {
            for member in members.iter_mut() {
                let Some((index, version)) = kubelet(targets, member) else {
                    continue;
                };
                let Some(cluster) = clusters.of(ctx, member.asset) else {
                    continue;
                };
                if is_control_plane(ctx, member.asset) != control_plane {
                    continue;
                }
                let broken = match control_plane {
                    true => left_behind(ctx, cluster, version),
                    false => ahead(ctx, cluster, version, |other| {
                        let (other_wave, goes_to) = after.get(&other)?;
                        let before = graph.ancestors.get(wave).is_some_and(|a| a.contains(other_wave));
                        (*other_wave == wave || before).then_some(goes_to.as_str())
                    }),
                };
                if let Some((detail, fix)) = broken {
                    member.load = Arc::new(member.load.only(|t| t != index));
                    refused.push((
                        member.asset,
                        Arc::from([index]),
                        refusal(ctx, member.asset, detail, fix),
                    ));
                }
            }
            members.retain(|m| !m.targets().is_empty());
        }
    }
    refused
}

/// The nodes of each cluster: fleet, label `cluster`, environment.
struct Clusters<'a>(BTreeMap<(&'a str, &'a str, &'a str), Vec<u32>>);

impl<'a> Clusters<'a> {
    fn new(ctx: &Context<'a>) -> Self {
        let mut clusters: BTreeMap<_, Vec<u32>> = BTreeMap::new();
        for (index, _) in (0_u32..).zip(&ctx.observation.assets) {
            if let Some(key) = key(ctx, index) {
                clusters.entry(key).or_default().push(index);
            }
        }
        Self(clusters)
    }

    fn of(&self, ctx: &Context<'a>, asset: u32) -> Option<&[u32]> {
        self.0.get(&key(ctx, asset)?).map(Vec::as_slice)
    }
}

fn key<'a>(ctx: &Context<'a>, index: u32) -> Option<(&'a str, &'a str, &'a str)> {
    let (asset, class) = (ctx.asset(index)?, ctx.class(index)?);
    asset.facts.kubernetes.as_ref()?;
    let cluster = asset.label("cluster").unwrap_or("");
    Some((&asset.fleet, cluster, &class.spec.environment))
}

fn is_control_plane(ctx: &Context<'_>, asset: u32) -> bool {
    let facts = ctx.asset(asset).and_then(|a| a.facts.kubernetes.as_ref());
    facts.is_some_and(|k| k.role.as_deref() == Some("control-plane"))
}

fn kubelet<'t>(targets: &'t [Target], member: &Member) -> Option<(usize, &'t str)> {
    let own = member.targets().iter().filter_map(|t| Some((*t, targets.get(*t)?)));
    let mut kubelets = own.filter(|(_, t)| is_kubelet(&t.os_id, &t.name));
    kubelets.next().map(|(index, target)| (index, target.version.as_ref()))
}

/// For each asset of the rollout with a kubelet target: its wave and the version it goes to.
fn after(targets: &[Target], waves: &[Vec<Member>]) -> BTreeMap<u32, (usize, String)> {
    let members = waves.iter().enumerate();
    let members = members.flat_map(|(wave, members)| members.iter().map(move |m| (wave, m)));
    members
        .filter_map(|(wave, m)| Some((m.asset, (wave, kubelet(targets, m)?.1.to_owned()))))
        .collect()
}

fn observed<'a>(ctx: &Context<'a>, asset: u32) -> Option<&'a str> {
    ctx.asset(asset)?.facts.kubernetes.as_ref()?.kubelet.as_deref()
}

/// A worker must not be newer than any control-plane node of its cluster will be by then.
fn ahead<'v>(
    ctx: &Context<'v>,
    cluster: &[u32],
    version: &str,
    goes_to: impl Fn(u32) -> Option<&'v str>,
) -> Option<(String, String)> {
    let control_planes = cluster.iter().filter(|a| is_control_plane(ctx, **a));
    let versions = control_planes.filter_map(|a| Some((*a, goes_to(*a).or_else(|| observed(ctx, *a))?)));
    let (oldest, stays) = versions.min_by_key(|(a, v)| (minor(v), *a))?;
    (minor(version)? > minor(stays)?).then(|| {
        let name = name_of(ctx, oldest);
        (
            format!("kubelet {version} would be newer than the control plane: {name} is at {stays} by then"),
            format!("update {name} first, or let this rollout take it in an earlier batch or wave"),
        )
    })
}

/// A control plane must not leave a node of its cluster more than three minor releases behind: nodes come after it.
fn left_behind(ctx: &Context<'_>, cluster: &[u32], version: &str) -> Option<(String, String)> {
    let workers = cluster.iter().filter(|a| !is_control_plane(ctx, **a));
    let versions = workers.filter_map(|a| Some((*a, observed(ctx, *a)?)));
    let (oldest, stays) = versions.min_by_key(|(a, v)| (minor(v), *a))?;
    let ((major, new), (old_major, old)) = (minor(version)?, minor(stays)?);
    (major == old_major && new > old + SKEW_MAX).then(|| {
        let name = name_of(ctx, oldest);
        (
            format!("control plane {version} would be more than {SKEW_MAX} minor releases ahead of {name}, which is at {stays}"),
            format!("update {name} first"),
        )
    })
}

fn refusal(ctx: &Context<'_>, asset: u32, detail: String, fix: String) -> Refusal {
    Refusal {
        reason: "skew".into(),
        asset: name_of(ctx, asset),
        detail,
        binding: None,
        fixes: vec![fix],
    }
}

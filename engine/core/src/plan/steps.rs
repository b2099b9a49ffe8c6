//! How far one rollout goes where a version is reached in steps: Kubernetes, one minor release at a time.
//!
//! Source: Kubernetes version skew policy, <https://kubernetes.io/releases/version-skew-policy/>: "skipping MINOR versions
//! when upgrading is unsupported".

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::assess::{Assessment, Hit};
use crate::load::wire::ComponentKind;
use crate::observe::{Observation, minor_release};
use crate::version::{Scheme, compare};

/// For each hit whose fix is more than one step away: the version that is the next step.
pub(super) type Steps = BTreeMap<u32, Arc<str>>;

/// The product that goes step by step.
pub(super) const KUBELET: &str = "kubelet";

/// Whether a target or hit of this kind and name is a kubelet.
pub(super) fn is_kubelet(os_id: &str, name: &str) -> bool {
    os_id == ComponentKind::Kubernetes.as_str() && name == KUBELET
}

/// The first step of every hit that needs several.
pub(super) fn steps(observation: &Observation, assessment: &Assessment) -> Steps {
    let hits = assessment.hits.iter().zip(0_u32..);
    let kubelets = hits.filter(|(hit, _)| is_kubelet(&hit.os_id, &hit.package));
    kubelets
        .filter_map(|(hit, index)| Some((index, first_step(observation, hit)?)))
        .collect()
}

fn first_step(observation: &Observation, hit: &Hit) -> Option<Arc<str>> {
    let (major, here) = minor(&hit.installed)?;
    let (wanted_major, wanted) = minor(hit.fixed.as_ref()?)?;
    let next = here + 1;
    (major == wanted_major && wanted > next).then(|| newest_of(observation, major, next))
}

/// The newest version of a minor release that an advisory names; every minor release begins with `.0`.
fn newest_of(observation: &Observation, major: u32, minor: u32) -> Arc<str> {
    let release = format!("{major}.{minor}");
    let fixes = observation.advisories.iter().flat_map(|a| &a.fixes);
    let of_kubelet = fixes.filter(|f| is_kubelet(&f.ecosystem.os_id, &f.package));
    let named = of_kubelet.filter_map(|f| f.fixed.as_ref());
    let named = named.filter(|version| minor_release(version) == release);
    let newest = named.max_by(|a, b| compare(Scheme::Semver, a, b)).cloned();
    newest.unwrap_or_else(|| format!("{release}.0").into())
}

/// Major and minor number of a Kubernetes version.
pub(super) fn minor(version: &str) -> Option<(u32, u32)> {
    let release = minor_release(version);
    let (major, minor) = release.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

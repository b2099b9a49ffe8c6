//! What of an asset has a version and is no package: components, the kubelet, a GPU driver, a Windows build.
//!
//! A part is named as an advisory names it: kind, vendor, product, all in lower case, because no vendor spells its own
//! products one way.

use super::asset::Facts;
use super::edition::{WindowsEdition, is_shared_branch};
use super::estate::Asset;
use crate::load::wire::ComponentKind;

/// A part of an asset.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Part {
    /// What it is.
    pub kind: ComponentKind,
    /// Vendor, in lower case; may be empty.
    pub vendor: String,
    /// Product, in lower case.
    pub product: String,
    /// The branch a target for it belongs to: the minor release of a kubelet (`1.29`), the branch of a Windows build
    /// (`10.0.20348`; `10.0.26100-server` where the branch is a client as well), else the vendor. Assets of different branches take different versions.
    pub branch: String,
    /// The edition of a Windows, where its release tells.
    pub edition: Option<WindowsEdition>,
    /// Installed version.
    pub version: String,
    /// The version that runs, where it was observed and is another.
    pub running: Option<String>,
}

impl Part {
    /// Whether every update of it holds all that came before, so that only the newest is ever taken.
    pub fn is_cumulative(kind: ComponentKind) -> bool {
        matches!(
            kind,
            ComponentKind::Firmware
                | ComponentKind::Hypervisor
                | ComponentKind::Storage
                | ComponentKind::Image
                | ComponentKind::Os
        )
    }
}

/// The parts of an asset, sorted. A component whose kind no advisory can name is left out.
pub fn parts_of(asset: &Asset) -> Vec<Part> {
    let mut parts = components(&asset.facts);
    parts.extend(kubernetes(&asset.facts));
    parts.extend(gpu(&asset.facts));
    parts.extend(windows(&asset.facts));
    parts.sort();
    parts.dedup();
    parts
}

/// Whether the asset has any: so that asking costs nothing where there are none.
pub fn has_parts(asset: &Asset) -> bool {
    let facts = &asset.facts;
    facts.components.is_some() || facts.kubernetes.is_some() || facts.gpu.is_some() || facts.os_build.is_some()
}

fn part(kind: ComponentKind, vendor: &str, product: &str, version: &str) -> Part {
    Part {
        kind,
        vendor: vendor.to_lowercase(),
        product: product.to_lowercase(),
        branch: vendor.to_lowercase(),
        edition: None,
        version: version.to_owned(),
        running: None,
    }
}

fn components(facts: &Facts) -> Vec<Part> {
    let components = facts.components.as_deref().unwrap_or_default().iter();
    let known = components.filter_map(|c| Some((ComponentKind::parse(&c.kind)?, c)));
    known
        .map(|(kind, c)| part(kind, &c.vendor, &c.product, &c.version))
        .collect()
}

/// The kubelet (`v1.29.4`) and the container runtime (`containerd://1.7.11`).
fn kubernetes(facts: &Facts) -> Vec<Part> {
    let Some(node) = facts.kubernetes.as_deref() else {
        return Vec::new();
    };
    let kubelet = node.kubelet.as_deref().map(|version| Part {
        branch: minor_release(version),
        ..part(
            ComponentKind::Kubernetes,
            "kubernetes",
            "kubelet",
            version.strip_prefix('v').unwrap_or(version),
        )
    });
    let runtime = node.runtime.as_deref().and_then(|runtime| runtime.split_once("://"));
    let runtime = runtime.map(|(name, version)| Part {
        branch: "runtime".to_owned(),
        ..part(ComponentKind::Kubernetes, "", name, version)
    });
    kubelet.into_iter().chain(runtime).collect()
}

/// `1.29` of `v1.29.4`: what the version skew policy of Kubernetes counts.
pub fn minor_release(version: &str) -> String {
    let version = version.strip_prefix('v').unwrap_or(version);
    let mut numbers = version.split('.');
    match (numbers.next(), numbers.next()) {
        (Some(major), Some(minor)) => format!("{major}.{minor}"),
        _ => version.to_owned(),
    }
}

fn gpu(facts: &Facts) -> Vec<Part> {
    let Some(gpu) = facts.gpu.as_deref() else {
        return Vec::new();
    };
    let installed = gpu.driver.as_deref().or(gpu.loaded.as_deref());
    let driver = installed.map(|version| Part {
        running: gpu.loaded.as_deref().filter(|l| *l != version).map(str::to_owned),
        ..part(ComponentKind::Gpu, "nvidia", "driver", version)
    });
    let cuda = gpu.cuda.as_deref();
    let cuda = cuda.map(|version| part(ComponentKind::Gpu, "nvidia", "cuda", version));
    driver.into_iter().chain(cuda).collect()
}

/// A Windows build; one without its `10.0.` (`20348.2700`) is the same build.
fn windows(facts: &Facts) -> Option<Part> {
    let build = facts.os_build.as_deref()?;
    let build = match build.split('.').count() {
        2 => format!("10.0.{build}"),
        _ => build.to_owned(),
    };
    let os = facts.os.as_ref().filter(|os| *os.id == *"windows");
    let edition = os.and_then(|os| WindowsEdition::of_release(&os.version));
    let branch = build_branch(&build);
    let own = edition.filter(|_| is_shared_branch(branch));
    Some(Part {
        branch: own.map_or_else(|| branch.to_owned(), |own| format!("{branch}-{}", own.as_str())),
        edition,
        ..part(ComponentKind::Os, "microsoft", "windows", &build)
    })
}

/// `10.0.20348` of `10.0.20348.2700`: builds of another branch are another release of Windows.
pub fn build_branch(build: &str) -> &str {
    let end = build.match_indices('.').nth(2).map_or(build.len(), |(at, _)| at);
    build.get(..end).unwrap_or(build)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branches() {
        assert_eq!(minor_release("v1.29.4"), "1.29");
        assert_eq!(minor_release("1.30.0-rc.1"), "1.30");
        assert_eq!(build_branch("10.0.20348.2700"), "10.0.20348");
        assert_eq!(build_branch("20348"), "20348");
    }
}

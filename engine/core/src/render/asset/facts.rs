//! What was observed of an asset besides its packages, as far as targets need it.

use std::collections::BTreeSet;

use serde::Serialize;

use super::ComponentView;
use crate::observe::{Articles, Asset, is_version_of, node_distribution};
use crate::render::faults::Faults;
use crate::render::grammar::Grammar;
use crate::version::Scheme;

/// Where a value is about, and where it stands.
type At<'a> = (&'a str, Option<&'a String>);

/// An update of an update server.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UpdateView {
    /// GUID, in lower case.
    pub update_id: String,
    /// Revision.
    pub revision: u32,
    /// Articles, digits only.
    pub kb: Vec<String>,
    /// Title; free text.
    pub title: String,
    /// A license agreement is accepted by approving it.
    pub eula: bool,
    /// It can be uninstalled.
    pub uninstallable: bool,
}

/// A node of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeView {
    /// The cluster; empty if it was not observed.
    pub cluster: String,
    /// `control-plane` or `worker`; empty if it was not observed.
    pub role: String,
    /// kubelet version without `v`.
    pub kubelet: String,
    /// Container runtime: `containerd`, `docker`, ….
    pub runtime: String,
    /// Its version.
    pub runtime_version: String,
    /// The distribution that brings kubelet and runtime in one program: `k3s`, `rke2`; empty for any other.
    pub distribution: &'static str,
    /// kubelet version to go to without `v`; empty where it stays.
    pub kubelet_to: String,
    /// The same of the runtime.
    pub runtime_to: String,
    /// The version a job on the node goes to, as tags of images have it: `v1.31.5`, `v1.31.5+k3s1`. Empty where nobody said
    /// which build of the distribution that is.
    pub tag: String,
}

/// GPU driver facts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GpuView {
    /// Installed driver.
    pub driver: String,
    /// Loaded driver.
    pub loaded: String,
    /// CUDA version.
    pub cuda: String,
    /// Fabric manager; empty = none was observed.
    pub fabric_manager: String,
    /// `true`, `false`, or empty where it was not observed.
    pub secure_boot: String,
    /// The same of Multi-Instance GPU.
    pub mig: String,
    /// How many devices.
    pub devices: usize,
}

/// The updates that bring the builds among `components`; each must be one the computer is offered, or nothing is known.
pub(super) fn updates(
    articles: &Articles<'_>,
    observed: &Asset,
    components: &[ComponentView],
    (subject, place): At<'_>,
    faults: &mut Faults,
) -> Vec<UpdateView> {
    let builds = components.iter().filter(|c| c.kind == "os").map(|c| c.version.as_str());
    // Asked for and offered by nobody: an approval of nothing would look like one.
    for build in builds.clone() {
        if articles
            .still_offered(&observed.facts, build)
            .is_some_and(|offered| offered.is_empty())
        {
            let message = format!(
                "the update server offers nothing any more that brings build {build} (expired, declined, or gone from its products); close the rollout, and the next one takes what is offered now"
            );
            faults.push(subject, message, place.cloned());
        }
    }
    let found: BTreeSet<UpdateView> = builds
        .flat_map(|build| articles.still_offered(&observed.facts, build).unwrap_or_default())
        .map(|update| UpdateView {
            update_id: faults.value(Grammar::Guid, "update id", &update.update_id, subject, place),
            revision: update.revision,
            kb: (update.kbs.iter())
                .map(|kb| faults.value(Grammar::Article, "KB", kb, subject, place))
                .collect(),
            title: match update.title.as_ref() {
                "" => String::new(),
                title => faults.value(Grammar::Text, "update title", title, subject, place),
            },
            eula: update.eula,
            uninstallable: update.uninstallable,
        })
        .collect();
    found.into_iter().collect()
}

pub(super) fn node(
    observed: &Asset,
    components: &[ComponentView],
    (subject, place): At<'_>,
    faults: &mut Faults,
) -> Option<NodeView> {
    let node = observed.facts.kubernetes.as_deref()?;
    let mut word = |grammar: Grammar, field: &str, value: Option<&str>| match value {
        Some(value) if !value.is_empty() => faults.value(grammar, field, value, subject, place),
        _ => String::new(),
    };
    let (runtime, version) = node
        .runtime
        .as_deref()
        .and_then(|r| r.split_once("://"))
        .unwrap_or_default();
    let kubelet = node
        .kubelet
        .as_deref()
        .map(|version| version.strip_prefix('v').unwrap_or(version));
    let goes_to = |name: &str| {
        let own = components.iter().find(|c| c.kind == "kubernetes" && c.name == name);
        own.map(|c| c.version.clone()).unwrap_or_default()
    };
    let distribution = node_distribution(kubelet.unwrap_or_default());
    let (kubelet_to, runtime_to) = (goes_to("kubelet"), goes_to(runtime));
    let to = if kubelet_to.is_empty() {
        &runtime_to
    } else {
        &kubelet_to
    };
    let is_known = !to.is_empty() && is_version_of(distribution, to);
    Some(NodeView {
        tag: if is_known { format!("v{to}") } else { String::new() },
        distribution,
        kubelet_to,
        runtime_to,
        cluster: word(Grammar::Text, "cluster", node.cluster.as_deref()),
        role: word(Grammar::Text, "node role", node.role.as_deref()),
        kubelet: word(Grammar::Version(Scheme::Semver), "kubelet version", kubelet),
        runtime: word(Grammar::Package(Scheme::Dotted), "container runtime", Some(runtime)),
        runtime_version: word(
            Grammar::Version(Scheme::Semver),
            "container runtime version",
            Some(version),
        ),
    })
}

pub(super) fn gpu(observed: &Asset, (subject, place): At<'_>, faults: &mut Faults) -> Option<GpuView> {
    let gpu = observed.facts.gpu.as_deref()?;
    let mut version = |field: &str, value: Option<&str>| match value {
        Some(value) if !value.is_empty() => {
            faults.value(Grammar::Version(Scheme::Nvidia), field, value, subject, place)
        }
        _ => String::new(),
    };
    let known = |fact: Option<bool>| fact.map_or_else(String::new, |fact| fact.to_string());
    Some(GpuView {
        driver: version("GPU driver", gpu.driver.as_deref()),
        loaded: version("loaded GPU driver", gpu.loaded.as_deref()),
        cuda: version("CUDA version", gpu.cuda.as_deref()),
        fabric_manager: version("fabric manager", gpu.fabric_manager.as_deref()),
        secure_boot: known(gpu.secure_boot),
        mig: known(gpu.mig),
        devices: gpu.devices.len(),
    })
}

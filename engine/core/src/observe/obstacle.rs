//! What of an observed host keeps every tool of a kind from bringing it anything: asked when a plan is made, so that one host
//! is left out, and again when files are made.

use std::collections::BTreeSet;
use std::fmt;

use super::asset::{ContentView, Kubernetes};

/// Something in the way, and what helps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    /// What is wrong with the asset.
    pub what: String,
    /// What to do.
    pub help: String,
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.what, self.help)
    }
}

fn obstacle(what: impl Into<String>, help: impl Into<String>) -> Obstacle {
    Obstacle {
        what: what.into(),
        help: help.into(),
    }
}

/// What keeps a tool that works on content views from a host. Such a tool names hosts and views to a server that takes an empty
/// word for everything (Katello: a blank host search means every host), so what is missing is never left out.
pub fn content_obstacles(views: &[ContentView]) -> Vec<Obstacle> {
    let mut found = Vec::new();
    if views.is_empty() {
        found.push(obstacle(
            "was observed without a content view, so nobody can tell where its packages come from",
            "add a source that reports it",
        ));
    }
    let hosts: BTreeSet<u64> = views.iter().map(|view| view.host_id.unwrap_or(0)).collect();
    if hosts.contains(&0) {
        found.push(obstacle(
            "was observed without its `hostId`, so it could only be searched for by name, which may match other hosts or none",
            "let the source report it",
        ));
    } else if hosts.len() > 1 {
        found.push(obstacle(
            "its content views name several hosts",
            "correct the observation",
        ));
    }
    found.extend(views.iter().flat_map(of_view));
    found
}

fn of_view(view: &ContentView) -> Vec<Obstacle> {
    let mut found = Vec::new();
    let name = view.view.escape_debug();
    let searched = [&view.organization, &view.view, &view.environment];
    if let Some(text) = searched.into_iter().find(|text| text.contains(['"', '\\'])) {
        found.push(obstacle(
            format!(
                "`{}` holds a quote or a backslash; the collection searches for it by name between quotes and does not escape \
                 it, so it could find another one",
                text.escape_debug()
            ),
            "rename it",
        ));
    }
    if view.rolling {
        found.push(obstacle(
            format!(
                "content view `{name}` is rolling: it follows the library and cannot be promoted, so nothing holds what earlier \
                 waves tested"
            ),
            "move the host to a view that is published, or use another target",
        ));
    }
    if view.version_id == 0 || view.view_id == 0 || view.environment_id == 0 {
        found.push(obstacle(
            format!(
                "content view `{name}` was observed without the ids of the view, its version and its environment, so there is \
                 nothing to update and nothing to go back to"
            ),
            "let the source report them",
        ));
    }
    found
}

/// The distribution that brings kubelet and container runtime of a node in one program, by the maker's word behind the plus
/// of a semantic version (`1.31.4+k3s1`): `k3s`, `rke2`; empty for any other.
pub fn node_distribution(kubelet: &str) -> &'static str {
    let build = kubelet.split_once('+').map_or("", |(_, build)| build);
    ["k3s", "rke2"].into_iter().find(|d| build.starts_with(d)).unwrap_or("")
}

/// Whether a version is one a node of the distribution can go to: with its build there, without any elsewhere.
pub fn is_version_of(distribution: &str, version: &str) -> bool {
    version.contains(&format!("+{distribution}")) != distribution.is_empty()
}

/// What keeps a node from going to `version`.
pub fn node_obstacle(node: &Kubernetes, version: &str) -> Option<Obstacle> {
    let kubelet = node.kubelet.as_deref().unwrap_or_default();
    let distribution = node_distribution(kubelet);
    if is_version_of(distribution, version) {
        return None;
    }
    Some(match distribution {
        "" => obstacle(
            format!("its node is none of k3s or RKE2, and version {version} is a build of one"),
            "name the version without a build in an advisory of its own",
        ),
        _ => obstacle(
            format!("its node runs {kubelet} and needs a version with its build, and the advisory names {version}"),
            format!("name the build in the advisory, as its makers do ({version}+{distribution}…)"),
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_goes_to_versions_of_its_own_distribution() {
        let asked = |kubelet: &str, version| {
            let node = Kubernetes {
                kubelet: Some(kubelet.into()),
                ..Kubernetes::default()
            };
            node_obstacle(&node, version).map(|o| o.to_string())
        };
        assert_eq!(asked("v1.31.4+k3s1", "1.31.5+k3s1"), None);
        assert_eq!(asked("v1.31.4", "1.31.5"), None);
        assert!(asked("v1.31.4+rke2r1", "1.31.5").unwrap().contains("(1.31.5+rke2…)"));
        assert!(asked("v1.31.4+rke2r1", "1.31.5+k3s1").is_some());
        assert!(asked("v1.31.4", "1.31.5+k3s1").unwrap().contains("none of k3s"));
    }
}

//! What an asset gets its packages from, and what a target that works on content views must know of it.
//!
//! Such a target names errata and hosts to a server that takes an empty word for "everything" (Katello: a blank errata
//! search installs every erratum, a blank host search means every host), so what is missing is refused here and never
//! left to a template.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::AssetView;
use crate::load::wire::Need;
use crate::observe::{Asset, content_obstacles};
use crate::render::RenderInput;
use crate::render::faults::Faults;
use crate::render::grammar::Grammar;

/// Where a value is about, and where it stands.
type At<'a> = (&'a str, Option<&'a String>);

/// A content view of an asset.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ContentView {
    /// Id of the host in Foreman; 0 if it was not observed.
    pub host_id: u64,
    /// Organization; free text.
    pub organization: String,
    /// Name of the view; free text.
    pub view: String,
    /// Its id.
    pub view_id: u64,
    /// Version the environment has: `12.0`.
    pub version: String,
    /// Id of the version.
    pub version_id: u64,
    /// Lifecycle environment; free text.
    pub environment: String,
    /// Its id.
    pub environment_id: u64,
    /// It follows the library and cannot be promoted.
    pub rolling: bool,
    /// It is made of other views.
    pub composite: bool,
}

/// A version of a content view in an environment, with everything the assets of a wave take from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SharedContent {
    /// The view; its `hostId` is 0.
    #[serde(flatten)]
    pub content: ContentView,
    /// Advisories of the assets that get their packages from it, sorted.
    pub advisories: Vec<String>,
}

/// The content views of an asset.
pub(super) fn content(observed: &Asset, (subject, place): At<'_>, faults: &mut Faults) -> Vec<ContentView> {
    let views = observed.facts.content.as_deref().unwrap_or_default().iter();
    let mut text = |field: &str, value: &str| match value {
        // What the server does not say is empty; a target that needs it asks for it.
        "" => String::new(),
        value => faults.value(Grammar::Text, field, value, subject, place),
    };
    views
        .map(|view| ContentView {
            host_id: view.host_id.unwrap_or(0),
            organization: text("organization", &view.organization),
            view: text("content view", &view.view),
            view_id: view.view_id,
            version: text("content view version", &view.version),
            version_id: view.version_id,
            environment: text("lifecycle environment", &view.environment),
            environment_id: view.environment_id,
            rolling: view.rolling,
            composite: view.composite,
        })
        .collect()
}

/// Each version and environment the assets share, with the union of what they take; in order of view, environment and
/// version.
pub(in crate::render) fn shared<'a>(assets: impl Iterator<Item = &'a AssetView>) -> Vec<SharedContent> {
    let mut found: BTreeMap<ContentView, BTreeSet<&str>> = BTreeMap::new();
    for asset in assets {
        for view in &asset.content {
            let key = ContentView {
                host_id: 0,
                ..view.clone()
            };
            let taken = found.entry(key).or_default();
            taken.extend(asset.advisories.iter().map(String::as_str));
        }
    }
    let all = found.into_iter();
    all.map(|(content, advisories)| SharedContent {
        content,
        advisories: advisories.into_iter().map(str::to_owned).collect(),
    })
    .collect()
}

/// Faults of an asset whose target works on content views; none for other targets. The planner has taken such assets out
/// before; rendering asks again, because it may have read another folder.
pub(super) fn check(
    input: &RenderInput<'_>,
    target: &str,
    (observed, advisories): (&Asset, &[String]),
    (subject, place): At<'_>,
    faults: &mut Faults,
) {
    let pack = input.packs.targets.get(target);
    if !pack.is_some_and(|pack| pack.spec.needs.contains(&Need::Content)) {
        return;
    }
    for id in advisories {
        faults.value(Grammar::Advisory, "advisory", id, subject, place);
    }
    let mut fault = |message: String| faults.push(subject, message, place.cloned());
    if advisories.is_empty() {
        fault(format!(
            "no advisory of the rollout fixes what it takes, and target `{target}` installs by advisory: an empty list \
             would mean every erratum there is; use another target for it, or plan again with the feed that names them"
        ));
    }
    for obstacle in content_obstacles(observed.facts.content.as_deref().unwrap_or_default()) {
        fault(obstacle.to_string());
    }
}

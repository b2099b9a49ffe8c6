//! What a template is told of one asset: packages with their pins, hooks, protection, services. Every value is checked.

mod advisories;
mod content;
mod facts;
mod packages;
mod services;
mod workloads;

use std::collections::BTreeMap;

use serde::Serialize;

pub(super) use content::shared as shared_content;
pub use content::{ContentView, SharedContent};
pub use facts::{GpuView, NodeView, UpdateView};
pub use workloads::WorkloadView;

use super::RenderInput;
use super::faults::Faults;
use super::grammar::Grammar;
use crate::load::wire::{AssetClassSpec, Hook, RebootPolicy};
use crate::observe::Articles;
use crate::plan::BatchAsset;
use crate::version::Scheme;

/// One asset of a batch, as templates see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AssetView {
    /// Its name.
    pub name: String,
    /// Address, else fqdn, else name.
    pub host: String,
    /// Fully qualified name, by which servers that manage it know it; its name where none was observed.
    pub fqdn: String,
    /// Its class.
    pub class: String,
    /// Version scheme of its packages, else of its first component: `rpm`, `deb`, `windows`, ….
    pub scheme: &'static str,
    /// Its package manager: `apt`, `dnf`, `zypper`, `apk`, `windows`; empty where it takes no packages.
    pub manager: &'static str,
    /// The system the plan was made for.
    pub os: OsView,
    /// What is installed, in order of the patch set.
    pub packages: Vec<PackageView>,
    /// What is updated and is no package, in order of the patch set.
    pub components: Vec<ComponentView>,
    /// The updates of an update server that bring its Windows build.
    pub updates: Vec<UpdateView>,
    /// The content views it gets its packages from.
    pub content: Vec<ContentView>,
    /// What its cluster says of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kubernetes: Option<NodeView>,
    /// What its GPU driver says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpu: Option<GpuView>,
    /// Ids of the advisories of the rollout that its targets fix, sorted.
    pub advisories: Vec<String>,
    /// The image it is replaced by, where it is replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageView>,
    /// `none`, `snapshot`, `exact`.
    pub rollback: &'static str,
    /// `ifNeeded`, `always`, `never`.
    pub reboot: &'static str,
    /// Kind of backup taken before, `none` for none.
    pub backup: String,
    /// How long that backup is kept; 0 = not said.
    pub keep_seconds: i64,
    /// How old a regular backup may be; 0 = none is asked for.
    pub max_age_seconds: i64,
    /// Services it is a member of.
    pub services: Vec<String>,
    /// Services whose members keep each other up: role and redundancy are read just before it is touched.
    pub ha: Vec<HaView>,
    /// Hooks before it.
    pub before: Vec<HookView>,
    /// Hooks after it.
    pub after: Vec<HookView>,
    /// Hooks when it fails.
    pub on_failure: Vec<HookView>,
    /// Hooks after it, failed or not.
    pub always: Vec<HookView>,
    /// Checks of its ValidationSuites that run on the asset or from the controller.
    pub checks: Vec<CheckView>,
    /// Workloads of its ValidationSuites, whose figures may not fall.
    pub workloads: Vec<WorkloadView>,
}

/// The system a plan was made for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OsView {
    /// `ID` of os-release.
    pub id: String,
    /// Release.
    pub major: String,
}

/// An image to rebuild, and what runs now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageView {
    /// Its name.
    pub name: String,
    /// The version that runs.
    pub from: String,
    /// What the new one must hold, as a name.
    pub id: String,
}

/// One package of an asset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PackageView {
    /// Its name.
    pub name: String,
    /// Its architecture as the package database has it; empty = any.
    pub arch: String,
    /// The version the plan found.
    pub before: String,
    /// The exact version to install.
    pub version: String,
    /// The package manager's words for that version: `openssl-libs-1:3.0.7-27.el9.x86_64` (dnf), `libssl3=3.0.2-0ubuntu1.18`
    /// (apt, apk), `libopenssl3.x86_64=3.1.4-150600.5.15.1` (zypper).
    pub pin: String,
    /// The same for the earlier version.
    pub back: String,
    /// Versions stand side by side (kernels), so the earlier one is still there.
    pub side_by_side: bool,
}

/// A part of an asset that is updated and is no package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ComponentView {
    /// `os`, `kubernetes`, `gpu`, `firmware`, ….
    pub kind: &'static str,
    /// Its branch: the vendor, the minor release of a kubelet, the branch of a Windows build.
    pub branch: String,
    /// Its name.
    pub name: String,
    /// The version the plan found.
    pub before: String,
    /// The exact version to go to.
    pub version: String,
}

/// A service whose members keep each other up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HaView {
    /// The service.
    pub service: String,
    /// For example `postgres-patroni`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Healthy members that must be left without this one; 0 when only a share is written.
    pub min_count: u32,
    /// Share of the members that must be left, in hundredths of a percent; 0 when a count is written.
    pub min_share: u32,
    /// Its members in later batches of the same wave: who leads it comes after them, or hands over first.
    pub later: Vec<String>,
}

/// One hook.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HookView {
    /// Its name: `hooks/<name>.yml`.
    pub name: String,
    /// How long it may take.
    pub timeout_seconds: i64,
}

/// One check of a ValidationSuite.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckView {
    /// Its name.
    pub name: String,
    /// A command on the asset; empty = none.
    pub command: String,
    /// A URL asked from the controller; empty = none.
    pub url: String,
    /// How long it may take.
    pub timeout_seconds: i64,
    /// How often it is tried again.
    pub retries: u32,
}

/// A check that says nothing may take this long.
const CHECK_TIMEOUT_SECONDS: i64 = 60;

/// What assets of a rollout ask for, worked out once for all of them.
pub(super) struct Known<'a> {
    articles: Articles<'a>,
    services: services::Services<'a>,
    behind: advisories::Behind<'a>,
}

impl<'a> Known<'a> {
    pub(super) fn new(input: &RenderInput<'a>) -> Self {
        Self {
            articles: Articles::new(&input.observation.advisories),
            services: services::Services::new(input),
            behind: advisories::Behind::new(input),
        }
    }
}

/// Everything templates may know of `asset`, or none when something essential is missing; faults say what.
pub(super) fn asset_view(
    input: &RenderInput<'_>,
    known: &Known<'_>,
    asset: &BatchAsset,
    faults: &mut Faults,
) -> Option<AssetView> {
    let subject = format!("asset {}", asset.name);
    let assets = &input.observation.assets;
    let found = assets.binary_search_by(|a| a.name.cmp(&asset.name)).ok();
    let observed = found.and_then(|i| assets.get(i));
    let place = observed
        .and_then(|a| a.provenance.first())
        .map(|p| format!("{}#{}", p.file, p.record));
    let Some(observed) = observed else {
        faults.push(
            subject,
            "is not in any fleet any more; render again after the plan has been made anew",
            place,
        );
        return None;
    };
    let Some(class) = input.catalog.classes.get(&asset.class) else {
        let message = format!(
            "its class `{}` is not written any more; restore it, or plan again",
            asset.class
        );
        faults.push(subject, message, place);
        return None;
    };
    let at = (subject.as_str(), place.as_ref());
    let taken = packages::taken(input, asset, observed, at, faults)?;
    let spec = &class.spec;
    let name = faults.value(Grammar::Asset, "name", &asset.name, &subject, place.as_ref());
    let host = faults.value(Grammar::Host, "host", observed.host(), &subject, place.as_ref());
    let backup = faults.value(
        Grammar::Name,
        "protection.backup",
        &spec.protection.backup,
        &subject,
        None,
    );
    let fqdn = observed.facts.identity.fqdn.as_deref();
    let fqdn = fqdn.map_or_else(
        || name.clone(),
        |fqdn| faults.value(Grammar::Host, "fqdn", fqdn, &subject, place.as_ref()),
    );
    let (services, ha) = services::services(&known.services, observed, faults);
    let image = asset.image.as_ref().map(|image| ImageView {
        name: faults.value(
            Grammar::Package(Scheme::Dotted),
            "image",
            &image.name,
            &subject,
            place.as_ref(),
        ),
        from: faults.value(
            Grammar::Version(Scheme::Dotted),
            "image version",
            &image.from,
            &subject,
            place.as_ref(),
        ),
        id: image.id.to_string(),
    });
    let content = content::content(observed, at, faults);
    let advisories = known.behind.of(observed, asset);
    content::check(input, &asset.target, (observed, &advisories), at, faults);
    Some(AssetView {
        name,
        host,
        fqdn,
        class: faults.value(Grammar::Name, "class", &asset.class, &subject, None),
        scheme: taken.scheme.as_str(),
        manager: manager(taken.scheme, &taken.os.id),
        updates: facts::updates(&known.articles, observed, &taken.components, at, faults),
        content,
        kubernetes: facts::node(observed, &taken.components, at, faults),
        gpu: facts::gpu(observed, at, faults),
        advisories,
        os: taken.os,
        packages: taken.packages,
        components: taken.components,
        image,
        rollback: asset.rollback.as_str(),
        reboot: RebootPolicy::as_str(spec.disruption.reboot),
        backup,
        keep_seconds: spec.protection.keep_for.map_or(0, |d| d.seconds()),
        max_age_seconds: spec.protection.max_age.map_or(0, |d| d.seconds()),
        services,
        ha,
        before: hooks(input, &spec.hooks.before_asset, &subject, faults),
        after: hooks(input, &spec.hooks.after_asset, &subject, faults),
        on_failure: hooks(input, &spec.hooks.on_failure, &subject, faults),
        always: hooks(input, &spec.hooks.always, &subject, faults),
        checks: checks(input, spec),
        workloads: workloads::workloads(input, spec),
    })
}

/// Whether a system is of SUSE, whose packages are RPM and whose package manager is zypper.
fn is_suse(os_id: &str) -> bool {
    ["sles", "sled", "opensuse"].iter().any(|suse| os_id.starts_with(suse))
}

/// Every package manager there is.
pub(super) const MANAGERS: &[&str] = &["apk", "apt", "dnf", "windows", "zypper"];

/// The package manager of a system, one of [`MANAGERS`].
fn manager(scheme: Scheme, os_id: &str) -> &'static str {
    match scheme {
        Scheme::Deb => "apt",
        Scheme::Rpm if is_suse(os_id) => "zypper",
        Scheme::Rpm => "dnf",
        Scheme::Apk => "apk",
        Scheme::Windows => "windows",
        Scheme::Semver | Scheme::Nvidia | Scheme::Dotted => "",
    }
}

/// The batch hooks of the classes of a batch's assets: each name once, in order of class and writing, with the longest
/// time any class gives it.
pub(super) fn batch_hooks<'a>(
    input: &RenderInput<'_>,
    classes: impl Iterator<Item = &'a str>,
    pick: impl Fn(&AssetClassSpec) -> &[Hook],
    faults: &mut Faults,
) -> Vec<HookView> {
    let mut all: Vec<HookView> = Vec::new();
    for class in classes {
        let Some(class) = input.catalog.classes.get(class) else {
            continue;
        };
        for hook in hooks(input, pick(&class.spec), &format!("class {}", class.name), faults) {
            match all.iter_mut().find(|h| h.name == hook.name) {
                Some(known) => known.timeout_seconds = known.timeout_seconds.max(hook.timeout_seconds),
                None => all.push(hook),
            }
        }
    }
    all
}

fn hooks(input: &RenderInput<'_>, hooks: &[Hook], subject: &str, faults: &mut Faults) -> Vec<HookView> {
    hooks
        .iter()
        .map(|hook| {
            let name = faults.value(Grammar::Name, "hook", &hook.name, subject, None);
            if !input.packs.hooks.contains_key(&name) {
                let message =
                    format!("hook `{name}` has no task file; write templates/hooks/{name}.yml or use a shipped one");
                faults.push(subject, message, None);
            }
            HookView {
                name,
                timeout_seconds: hook.timeout.seconds().max(1),
            }
        })
        .collect()
}

/// Commands and URLs of the class's suites; PromQL is asked by the engine, and workloads stand apart.
fn checks(input: &RenderInput<'_>, class: &AssetClassSpec) -> Vec<CheckView> {
    let suites = class
        .validation
        .iter()
        .filter_map(|name| input.catalog.suites.get(name.as_str()));
    let checks = suites.flat_map(|suite| suite.spec.checks.iter());
    checks
        .filter(|check| check.command.is_some() || check.http.is_some())
        .map(|check| CheckView {
            name: check.name.clone(),
            command: check.command.clone().unwrap_or_default(),
            url: check.http.clone().unwrap_or_default(),
            timeout_seconds: check.timeout.map_or(CHECK_TIMEOUT_SECONDS, |d| d.seconds().max(1)),
            retries: check.retries,
        })
        .collect()
}

/// The assets of a batch by render target, in order of name.
pub(super) fn by_target(views: Vec<(String, AssetView)>) -> BTreeMap<String, Vec<AssetView>> {
    let mut map: BTreeMap<String, Vec<AssetView>> = BTreeMap::new();
    for (target, view) in views {
        map.entry(target).or_default().push(view);
    }
    map
}

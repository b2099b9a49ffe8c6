//! What a template is told of one asset: packages with their pins, hooks, protection, services. Every value is checked.

use std::collections::BTreeMap;

use serde::Serialize;

use super::RenderInput;
use super::faults::Faults;
use super::grammar::Grammar;
use crate::history::Target;
use crate::load::wire::{AssetClassSpec, Hook, RebootPolicy, Reversibility, Service};
use crate::name::Amount;
use crate::observe::Asset;
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
    /// Its class.
    pub class: String,
    /// Version scheme of its packages: `rpm`, `deb`.
    pub scheme: &'static str,
    /// Package manager of that scheme: `dnf`, `apt`.
    pub manager: &'static str,
    /// The system the plan was made for.
    pub os: OsView,
    /// What is installed, in order of the patch set.
    pub packages: Vec<PackageView>,
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
    /// The package manager's words for that version: `openssl-libs-1:3.0.7-27.el9.x86_64`, `libssl3=3.0.2-0ubuntu1.18`.
    pub pin: String,
    /// The same for the earlier version.
    pub back: String,
    /// Versions stand side by side (kernels), so the earlier one is still there.
    pub side_by_side: bool,
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

/// RPM packages that are installed beside their earlier version (dnf.conf `installonlypkgs`, kernel family).
const SIDE_BY_SIDE: &[&str] = &[
    "kernel",
    "kernel-core",
    "kernel-modules",
    "kernel-modules-core",
    "kernel-modules-extra",
    "kernel-devel",
    "kernel-debug",
    "kernel-debug-core",
    "kernel-rt",
    "kernel-rt-core",
    "kernel-uek",
    "kernel-uek-core",
    "kernel-default",
    "kernel-64k",
    "kernel-64k-core",
];

/// Everything templates may know of `asset`, or none when something essential is missing; faults say what.
pub(super) fn asset_view(input: &RenderInput<'_>, asset: &BatchAsset, faults: &mut Faults) -> Option<AssetView> {
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
    let (os, scheme, packages) = packages(input, asset, observed, &subject, place.as_ref(), faults)?;
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
    let (services, ha) = services(input, observed, faults);
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
    Some(AssetView {
        name,
        host,
        class: faults.value(Grammar::Name, "class", &asset.class, &subject, None),
        scheme: scheme.as_str(),
        manager: if scheme == Scheme::Deb { "apt" } else { "dnf" },
        os,
        packages,
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
    })
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

fn packages(
    input: &RenderInput<'_>,
    asset: &BatchAsset,
    observed: &Asset,
    subject: &str,
    place: Option<&String>,
    faults: &mut Faults,
) -> Option<(OsView, Scheme, Vec<PackageView>)> {
    let targets: Vec<&Target> = asset
        .targets
        .iter()
        .filter_map(|i| input.rollout.targets.get(*i))
        .collect();
    let first = targets.first();
    let machine = observed.facts.os.as_ref().map_or("", |os| &os.arch);
    let complete = targets.len() == asset.targets.len() && asset.before.len() == targets.len();
    let Some(first) = first.filter(|_| complete) else {
        faults.push(
            subject,
            "its targets are not those of the rollout; plan again",
            place.cloned(),
        );
        return None;
    };
    let scheme = first.scheme;
    if targets
        .iter()
        .any(|t| (t.scheme, &t.os_id, &t.os_major) != (scheme, &first.os_id, &first.os_major))
    {
        faults.push(
            subject,
            "its targets are of several systems; plan again",
            place.cloned(),
        );
        return None;
    }
    if let Some(target) = input.packs.targets.get(asset.target.as_ref()) {
        if !target.spec.ecosystems.contains(&scheme) {
            let message = format!(
                "target `{}` cannot install {scheme} packages; choose another in its class",
                asset.target
            );
            faults.push(subject, message, place.cloned());
        }
        if !target.spec.capabilities.can_return(asset.rollback) {
            let message = format!(
                "target `{}` cannot go back by `{}`",
                asset.target,
                asset.rollback.as_str()
            );
            faults.push(subject, message, place.cloned());
        }
    }
    let views = targets.iter().zip(asset.before.iter()).map(|(target, before)| {
        let before = faults.value(Grammar::Version(scheme), "installed version", before, subject, place);
        package(target, before, machine, asset.rollback)
    });
    let views = views.collect();
    Some((
        OsView {
            id: first.os_id.to_string(),
            major: first.os_major.to_string(),
        },
        scheme,
        views,
    ))
}

fn package(target: &Target, before: String, machine: &str, rollback: Reversibility) -> PackageView {
    let scheme = target.scheme;
    let plain = |version: &str| match scheme {
        // rpm prints no epoch where there is none; `0:` means the same.
        Scheme::Rpm => version.strip_prefix("0:").unwrap_or(version).to_owned(),
        _ => version.to_owned(),
    };
    let spec = |version: &str| match scheme {
        Scheme::Deb if needs_arch(&target.arch, machine) => format!("{}:{}={version}", target.name, target.arch),
        Scheme::Deb => format!("{}={version}", target.name),
        _ if target.arch.is_empty() => format!("{}-{version}", target.name),
        _ => format!("{}-{version}.{}", target.name, target.arch),
    };
    let (version, before) = (plain(&target.version), plain(&before));
    PackageView {
        name: target.name.to_string(),
        arch: target.arch.to_string(),
        pin: spec(&version),
        back: if rollback == Reversibility::Exact {
            spec(&before)
        } else {
            String::new()
        },
        before,
        version,
        side_by_side: scheme == Scheme::Rpm && SIDE_BY_SIDE.contains(&target.name.as_ref()),
    }
}

/// apt takes a name without architecture for the machine's own, so only a foreign one is written.
fn needs_arch(arch: &str, machine: &str) -> bool {
    let native = match machine {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "armv7l" => "armhf",
        "ppc64le" => "ppc64el",
        other => other,
    };
    !arch.is_empty() && arch != "all" && arch != native
}

fn services(input: &RenderInput<'_>, asset: &Asset, faults: &mut Faults) -> (Vec<String>, Vec<HaView>) {
    let fleet = input.catalog.fleets.get(&asset.fleet);
    let all = fleet.map_or(&[][..], |f| &f.spec.services);
    let mine: Vec<&Service> = all
        .iter()
        .filter(|s| s.members.matches(|key| asset.label(key)))
        .collect();
    let subject = format!("asset {}", asset.name);
    let names = mine
        .iter()
        .map(|s| faults.value(Grammar::Name, "service", &s.name, &subject, None))
        .collect();
    let ha = mine.iter().filter_map(|service| {
        let ha = service.ha.as_ref()?;
        let kind = faults.value(Grammar::Name, "service ha type", &ha.kind, &subject, None);
        let (min_count, min_share) = match service.min_available {
            Some(Amount::Count(count)) => (count.max(1), 0),
            Some(Amount::Share(share)) => (1, share),
            // Redundancy means that at least one other member is healthy.
            None => (1, 0),
        };
        Some(HaView {
            service: service.name.clone(),
            kind,
            min_count,
            min_share,
        })
    });
    (names, ha.collect())
}

/// Commands and URLs of the class's suites; PromQL and workloads are gates, asked by the engine.
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

//! What an asset takes: packages with their pins, and parts that are no package.

use super::{ComponentView, OsView, PackageView, is_suse};
use crate::history::Target;
use crate::load::wire::Reversibility;
use crate::observe::Asset;
use crate::plan::BatchAsset;
use crate::render::RenderInput;
use crate::render::faults::Faults;
use crate::render::grammar::Grammar;
use crate::version::Scheme;

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

/// What an asset takes.
pub(super) struct Taken {
    pub(super) os: OsView,
    pub(super) scheme: Scheme,
    pub(super) packages: Vec<PackageView>,
    pub(super) components: Vec<ComponentView>,
}

/// What `asset` takes, or none when its targets cannot be told; faults say why.
pub(super) fn taken(
    input: &RenderInput<'_>,
    asset: &BatchAsset,
    observed: &Asset,
    (subject, place): (&str, Option<&String>),
    faults: &mut Faults,
) -> Option<Taken> {
    let targets: Vec<&Target> = asset
        .targets
        .iter()
        .filter_map(|i| input.rollout.targets.get(*i))
        .collect();
    let complete = targets.len() == asset.targets.len() && asset.before.len() == targets.len();
    let Some(first) = targets.first().filter(|_| complete) else {
        let message = "its targets are not those of the rollout; plan again";
        faults.push(subject, message, place.cloned());
        return None;
    };
    let of_packages: Vec<&&Target> = targets.iter().filter(|t| t.kind().is_none()).collect();
    if of_packages
        .windows(2)
        .any(|pair| matches!(pair, [a, b] if (a.scheme, &a.os_id, &a.os_major) != (b.scheme, &b.os_id, &b.os_major)))
    {
        let message = "its targets are of several systems; plan again";
        faults.push(subject, message, place.cloned());
        return None;
    }
    can_do(input, asset, &targets, (subject, place), faults);
    let machine = observed.facts.os.as_ref().map_or("", |os| &os.arch);
    let (mut packages, mut components) = (Vec::new(), Vec::new());
    for (target, before) in targets.iter().zip(asset.before.iter()) {
        let grammar = Grammar::Version(target.scheme);
        let before = faults.value(grammar, "installed version", before, subject, place);
        match target.kind() {
            None => packages.push(package(target, before, machine, asset.rollback)),
            Some(kind) => components.push(ComponentView {
                kind: kind.as_str(),
                branch: faults.value(Grammar::Text, "branch", &target.os_major, subject, place),
                name: target.name.to_string(),
                before,
                version: target.version.to_string(),
            }),
        }
    }
    Some(Taken {
        os: os_of(of_packages.first().map(|t| **t), observed, (subject, place), faults),
        scheme: of_packages.first().map_or(first.scheme, |t| t.scheme),
        packages,
        components,
    })
}

/// The system of the packages, else the one that was observed.
fn os_of(
    target: Option<&Target>,
    observed: &Asset,
    (subject, place): (&str, Option<&String>),
    faults: &mut Faults,
) -> OsView {
    if let Some(target) = target {
        return OsView {
            id: target.os_id.to_string(),
            major: target.os_major.to_string(),
        };
    }
    let os = observed.facts.os.as_ref();
    let mut word = |field: &str, value: Option<&str>| match value {
        Some(value) if !value.is_empty() => faults.value(Grammar::Os, field, value, subject, place),
        _ => String::new(),
    };
    OsView {
        id: word("os id", os.map(|os| os.id.as_ref())),
        major: word("os version", os.map(|os| os.major())),
    }
}

/// The planner has asked all this before; rendering asks again, because it may have read another folder.
fn can_do(
    input: &RenderInput<'_>,
    asset: &BatchAsset,
    targets: &[&Target],
    (subject, place): (&str, Option<&String>),
    faults: &mut Faults,
) {
    let Some(pack) = input.packs.targets.get(asset.target.as_ref()) else {
        return;
    };
    for target in targets {
        let message = match target.kind() {
            None if !pack.spec.ecosystems.contains(&target.scheme) => {
                format!("target `{}` cannot install {} packages", asset.target, target.scheme)
            }
            Some(kind) if !pack.spec.kinds.contains(&kind) => {
                format!(
                    "target `{}` cannot update {} ({})",
                    asset.target,
                    target.name,
                    kind.as_str()
                )
            }
            _ => continue,
        };
        faults.push(
            subject,
            format!("{message}; choose another in its class"),
            place.cloned(),
        );
    }
    if !pack.spec.capabilities.can_return(asset.rollback) {
        let message = format!(
            "target `{}` cannot go back by `{}`",
            asset.target,
            asset.rollback.as_str()
        );
        faults.push(subject, message, place.cloned());
    }
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
        Scheme::Deb | Scheme::Apk => format!("{}={version}", target.name),
        Scheme::Rpm if is_suse(&target.os_id) && target.arch.is_empty() => format!("{}={version}", target.name),
        Scheme::Rpm if is_suse(&target.os_id) => format!("{}.{}={version}", target.name, target.arch),
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

//! Kernels stand side by side: what counts is the one that runs and the one the next boot takes, not older leftovers.
//!
//! Where the default boot entry was not observed, the newest installed kernel of the family stands for it, because
//! installing a kernel makes it the default on every distribution that installs them side by side. Where the running one
//! was not observed, that newest one is all there is to judge.

use std::cmp::Ordering;
use std::sync::Arc;

use super::found::{Cause, Raw};
use super::matching::{FixIndex, Installed, Match, Verdict};
use crate::version::{Scheme, compare};

/// Packages installed side by side that are, or belong to, a bootable kernel. `kernel-devel`, `kernel-headers` and
/// `kernel-tools` are not booted and are judged as any package. On Debian and Ubuntu the release is in the name.
pub(super) fn family(name: &str) -> Option<&str> {
    const DEBIAN: [&str; 6] = [
        "linux-image-unsigned-",
        "linux-image-",
        "linux-modules-extra-",
        "linux-modules-",
        "pve-kernel-",
        "proxmox-kernel-",
    ];
    const NEVER_BOOTED: [&str; 6] = ["devel", "headers", "tools", "doc", "abi", "srpm"];
    if let Some(prefix) = DEBIAN.iter().find(|prefix| debian_release(name, prefix).is_some()) {
        return name.get(..prefix.len());
    }
    let rest = name.strip_prefix("kernel")?;
    let mut parts = rest.split('-').skip(1);
    let flavours = [
        "core", "modules", "rt", "default", "uek", "64k", "debug", "azure", "ml", "lt", "PAE",
    ];
    let booted = rest.is_empty() || (rest.starts_with('-') && parts.next().is_some_and(|p| flavours.contains(&p)));
    (booted
        && !rest
            .split('-')
            .any(|part| NEVER_BOOTED.iter().any(|n| part.starts_with(n))))
    .then_some(name)
}

/// `6.1.0-18-amd64` of `linux-image-6.1.0-18-amd64`; none for a metapackage such as `linux-image-amd64`.
fn debian_release<'a>(name: &'a str, prefix: &str) -> Option<&'a str> {
    name.strip_prefix(prefix)
        .filter(|release| release.starts_with(|c: char| c.is_ascii_digit()))
}

/// `el9` real-time and Oracle kernels run beside the plain one; their releases say which they are.
fn same_flavour(name: &str, release: &str) -> bool {
    ["rt", "uek", "64k", "debug"].iter().all(|flavour| {
        let of_name = name.split('-').any(|part| part == *flavour);
        let of_release = match *flavour {
            "rt" => release.contains(".rt") || release.ends_with("+rt"),
            "uek" => release.contains("uek"),
            other => release.ends_with(&format!("+{other}")),
        };
        of_name == of_release
    })
}

/// Whether `release` (as `uname -r` gives it) is that of an installed kernel package.
fn is_release_of(package: &Installed<'_>, release: &str) -> bool {
    if let Some(prefix) = family(package.name).filter(|prefix| prefix.len() < package.name.len()) {
        return debian_release(package.name, prefix) == Some(release);
    }
    rpm_version(release, package.arch)
        .is_some_and(|version| without_epoch(package.version) == version && same_flavour(package.name, release))
}

/// `5.14.0-427.13.1.el9_4` of `5.14.0-427.13.1.el9_4.x86_64` and of `5.14.0-427.13.1.el9_4.x86_64+rt`.
fn rpm_version<'a>(release: &'a str, arch: &str) -> Option<&'a str> {
    let plain = release
        .split_once('+')
        .filter(|(_, flavour)| !flavour.contains('.'))
        .map_or(release, |(plain, _)| plain);
    // SUSE appends the flavour: `5.14.21-150500.55.19-default`.
    let plain = plain.strip_suffix("-default").unwrap_or(plain);
    // An architecture that was not observed is whatever stands last.
    let arch = if arch.is_empty() {
        plain.rsplit('.').next().unwrap_or_default()
    } else {
        arch
    };
    plain
        .strip_suffix(arch)
        .and_then(|v| v.strip_suffix('.'))
        .or(Some(plain))
        .filter(|v| v.contains('-'))
}

fn without_epoch(version: &str) -> &str {
    version.split_once(':').map_or(version, |(_, rest)| rest)
}

/// What hits the kernels of one asset.
///
/// `packages` are its installed kernel packages in any order; `running` and `default_boot` are releases as `uname -r`
/// prints them.
pub(super) fn matches(
    index: &FixIndex<'_>,
    (os_id, major): (&str, &str),
    packages: &[Installed<'_>],
    running: Option<&str>,
    default_boot: Option<&str>,
) -> Vec<Raw> {
    let Some(scheme) = index.scheme(os_id) else {
        return Vec::new();
    };
    let mut packages = packages.to_vec();
    packages.sort_by(|a, b| group(a).cmp(&group(b)).then_with(|| newest_last(scheme, a, b)));
    let known = |release: &str| packages.iter().any(|package| is_release_of(package, release));
    let (known_running, known_default) = (running.is_some_and(known), default_boot.is_some_and(known));
    let mut raws = Vec::new();
    for members in packages.chunk_by(|a, b| group(a) == group(b)) {
        let Some(newest) = members.last() else { continue };
        let runs = running.and_then(|release| booted(members, newest, release, known_running));
        let boots = match default_boot {
            Some(release) if known_default || synthesised(newest, release).is_some() => {
                booted(members, newest, release, known_default)
            }
            _ => Some((*newest, None)),
        };
        raws.extend(judge_pair(index, (os_id, major), runs, boots));
    }
    raws
}

/// The member of a family that a release names. Where no package of the asset has that release, its package is gone and
/// the release itself still tells the version, on rpm.
fn booted<'a>(members: &[Installed<'a>], newest: &Installed<'a>, release: &'a str, known: bool) -> Option<Kernel<'a>> {
    if known {
        members.iter().find(|p| is_release_of(p, release)).map(|p| (*p, None))
    } else {
        synthesised(newest, release)
    }
}

/// Packages of one family and architecture: the members that stand side by side.
fn group<'a>(package: &Installed<'a>) -> (&'a str, &'a str) {
    (family(package.name).unwrap_or(package.name), package.arch)
}

fn newest_last(scheme: Scheme, a: &Installed<'_>, b: &Installed<'_>) -> Ordering {
    compare(scheme, a.version, b.version)
        .then_with(|| (a.name, a.version, a.source).cmp(&(b.name, b.version, b.source)))
}

/// A kernel package, or one whose version is read off the release.
type Kernel<'a> = (Installed<'a>, Option<&'a str>);

fn synthesised<'a>(like: &Installed<'a>, release: &'a str) -> Option<Kernel<'a>> {
    let debian = family(like.name).is_some_and(|prefix| prefix.len() < like.name.len());
    if debian || !same_flavour(like.name, release) {
        return None;
    }
    // Without `.arch` in the release nothing says that it is this architecture's kernel.
    rpm_version(release, like.arch).map(|version| (*like, Some(version)))
}

fn judge_pair(
    index: &FixIndex<'_>,
    (os_id, major): (&str, &str),
    runs: Option<Kernel<'_>>,
    boots: Option<Kernel<'_>>,
) -> Vec<Raw> {
    let found = |kernel: Option<Kernel<'_>>| -> Vec<Match> {
        kernel.map_or_else(Vec::new, |(package, version)| {
            let package = Installed {
                version: version.unwrap_or(package.version),
                ..package
            };
            index.matches(os_id, major, &package)
        })
    };
    let (running, booting) = (found(runs), found(boots));
    let fixed_at_boot = |advisory: u32| {
        booting
            .iter()
            .any(|m| m.advisory == advisory && matches!(m.verdict, Verdict::Fixed(_)))
    };
    let mut raws = Vec::new();
    for hit in &running {
        let reboot = boots.is_some() && fixed_at_boot(hit.advisory);
        raws.extend(raw(hit, runs, if reboot { Cause::Reboot } else { Cause::Open }));
    }
    for hit in &booting {
        let open = running
            .iter()
            .any(|m| m.advisory == hit.advisory && !matches!(m.verdict, Verdict::Fixed(_)));
        if !open {
            raws.extend(raw(hit, boots, Cause::Open));
        }
    }
    raws.sort_by_key(|r| r.advisory);
    raws
}

fn raw(hit: &Match, kernel: Option<Kernel<'_>>, cause: Cause) -> Option<Raw> {
    let (package, version) = kernel?;
    let (fixed, cause) = match &hit.verdict {
        Verdict::Fixed(_) => return None,
        Verdict::Affected(fixed, Some(needs)) if cause == Cause::Open => {
            (fixed.clone(), Cause::Entitled(Arc::clone(needs)))
        }
        Verdict::Affected(fixed, _) => (fixed.clone(), cause),
        Verdict::Undecidable(reason) => (None, Cause::Undecidable(reason.as_str().into())),
    };
    let (name, arch) = (package.name.into(), package.arch.into());
    let installed: Arc<str> = version.unwrap_or(package.version).into();
    Some(Raw {
        advisory: hit.advisory,
        scheme: hit.scheme,
        name,
        arch,
        installed,
        fixed,
        cause,
    })
}

#[cfg(test)]
#[path = "kernel_tests.rs"]
mod tests;

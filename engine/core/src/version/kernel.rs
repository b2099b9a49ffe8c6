//! Which package version a running kernel release is.

use super::Scheme;

/// Packages that several versions of are installed side by side, so that the running and the default-boot one count.
///
/// The families are those of the distributions' own package names: Fedora, RHEL and their rebuilds (`kernel*`), SUSE
/// (`kernel-default` and its flavours), Debian and Ubuntu (`linux-image-*`, where the release is part of the name).
const SIDE_BY_SIDE: [&str; 8] = [
    "kernel",
    "kernel-core",
    "kernel-modules",
    "kernel-modules-core",
    "kernel-modules-extra",
    "kernel-rt",
    "kernel-rt-core",
    "kernel-default",
];

/// Whether several versions of `package` are installed side by side as kernels.
pub fn is_kernel_package(package: &str) -> bool {
    SIDE_BY_SIDE.contains(&package) || package.starts_with("kernel-uek") || package.starts_with("linux-image-")
}

/// The package version that the kernel release `release` (`uname -r`) is, for the kernel package `package`.
///
/// rpm: `5.14.0-427.13.1.el9_4.x86_64` is version `5.14.0-427.13.1.el9_4`: the release without the architecture (and
/// without a `+debug`-like suffix). deb: `linux-image-6.1.0-18-amd64` carries the release in its name; which version of
/// that package is running cannot be told from the release, so the answer is none and the installed version counts.
pub fn kernel_release_version(scheme: Scheme, package: &str, release: &str) -> Option<String> {
    if scheme != Scheme::Rpm || !is_kernel_package(package) {
        return None;
    }
    let release = release.split('+').next().unwrap_or(release);
    let (version, arch) = release.rsplit_once('.')?;
    const ARCHES: [&str; 7] = ["x86_64", "aarch64", "ppc64le", "s390x", "i686", "riscv64", "noarch"];
    // SUSE: `5.14.21-150500.55.44-default` has a flavour instead of an architecture.
    let known = ARCHES.contains(&arch);
    let version = if known {
        version
    } else {
        release.trim_end_matches("-default")
    };
    Some(version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_a_version_and_an_architecture() {
        let of = |package: &str, release: &str| kernel_release_version(Scheme::Rpm, package, release);
        assert_eq!(
            of("kernel-core", "5.14.0-427.13.1.el9_4.x86_64").as_deref(),
            Some("5.14.0-427.13.1.el9_4")
        );
        assert_eq!(
            of("kernel-core", "5.14.0-427.13.1.el9_4.x86_64+debug").as_deref(),
            Some("5.14.0-427.13.1.el9_4")
        );
        assert_eq!(
            of("kernel-default", "5.14.21-150500.55.44-default").as_deref(),
            Some("5.14.21-150500.55.44")
        );
        assert_eq!(of("openssl", "5.14.0-427.13.1.el9_4.x86_64"), None);
        assert_eq!(
            kernel_release_version(Scheme::Deb, "linux-image-6.1.0-18-amd64", "6.1.0-18-amd64"),
            None
        );
    }
}

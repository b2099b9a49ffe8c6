//! Kernels of Debian and Ubuntu carry their release in the name of the package: the fix is another package, which the
//! metapackage of the flavour pulls in.

use std::sync::Arc;

use crate::assess::Hit;
use crate::history::Target;
use crate::version::Scheme;

const IMAGE: &str = "linux-image-";

/// The package whose update brings the fix of `hit`: its own, or for a Debian kernel image the metapackage of its
/// flavour, whose version is that of the kernel it pulls in (`linux-image-amd64` for `linux-image-6.1.0-18-amd64`).
pub(crate) fn carrier(hit: &Hit) -> Arc<str> {
    let flavour = || flavour(hit.package.strip_prefix(IMAGE)?);
    match (hit.scheme, hit.os_id.as_ref()) {
        (Scheme::Deb, "debian") => flavour().map_or_else(|| Arc::clone(&hit.package), |f| format!("{IMAGE}{f}").into()),
        _ => Arc::clone(&hit.package),
    }
}

/// `amd64` of `6.1.0-18-amd64`, `rt-amd64` of `6.1.0-18-rt-amd64`.
fn flavour(release: &str) -> Option<&str> {
    let starts_with_digit = |part: &str| part.starts_with(|c: char| c.is_ascii_digit());
    let (version, rest) = release.split_once('-')?;
    let (abi, flavour) = rest.split_once('-')?;
    (starts_with_digit(version) && starts_with_digit(abi) && !flavour.is_empty()).then_some(flavour)
}

/// Whether the target is a kernel with its release in the name: a later version of it has another name.
pub(super) fn is_release(target: &Target) -> bool {
    const FAMILIES: [&str; 4] = ["linux-image-unsigned-", IMAGE, "linux-modules-extra-", "linux-modules-"];
    let released = |family: &&str| {
        let release = target.name.strip_prefix(*family);
        release.is_some_and(|r| r.starts_with(|c: char| c.is_ascii_digit()))
    };
    target.scheme == Scheme::Deb && FAMILIES.iter().any(released)
}

/// Whether the target is a metapackage of kernel images.
pub(super) fn is_metapackage(target: &Target) -> bool {
    target.scheme == Scheme::Deb && target.name.starts_with(IMAGE) && !is_release(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flavour_is_what_follows_version_and_abi() {
        for (release, expected) in [
            ("6.1.0-18-amd64", Some("amd64")),
            ("6.1.0-18-rt-amd64", Some("rt-amd64")),
            ("6.6.13+bpo-amd64", None),
            ("amd64", None),
        ] {
            assert_eq!(flavour(release), expected, "{release}");
        }
    }
}

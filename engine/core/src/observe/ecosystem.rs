//! Ecosystem names of the OSV schema (`AlmaLinux:9`, `Ubuntu:Pro:18.04:LTS`, …) as releases of distributions.
//!
//! Names are defined by <https://ossf.github.io/osv-schema/#defined-ecosystems>; identifiers on our side are those of
//! os-release(5), because that is what an asset reports of itself.

use std::sync::Arc;

use super::advisory::Ecosystem;
use super::asset::release_of;
use crate::version::Scheme;

/// What an ecosystem name of the OSV schema says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OsvEcosystem {
    /// Which release of which distribution.
    pub ecosystem: Ecosystem,
    /// Whether its records name source packages.
    pub by_source: bool,
    /// What an asset must be entitled to, for content behind a subscription.
    pub entitlement: Option<&'static str>,
}

impl OsvEcosystem {
    /// Reads a name such as `AlmaLinux:9`; none for ecosystems whose packages no inventory reports (`Go`, `npm`, …)
    /// and for products that are no distribution (`Red Hat:openshift:4.13::el9`).
    ///
    /// Red Hat's extended update streams (`Red Hat:rhel_eus:…`) are left out on purpose: their fixes are builds for
    /// an older minor release, and would name wrong targets on assets that follow the main stream.
    pub fn parse(name: &str) -> Option<Self> {
        let (vendor, rest) = name
            .split_once(':')
            .map_or((name, None), |(vendor, rest)| (vendor, Some(rest)));
        match vendor {
            "AlmaLinux" => Some(Self::distribution(Scheme::Rpm, "almalinux", rest)),
            // Rocky's records name one package where the advisory ships many builds of it: the source package.
            "Rocky Linux" => Some(Self {
                by_source: true,
                ..Self::distribution(Scheme::Rpm, "rocky", rest)
            }),
            "Red Hat" => red_hat(rest?),
            "SUSE" => suse(rest?),
            "openSUSE" => open_suse(rest?),
            "Debian" => Some(Self {
                by_source: true,
                ..Self::distribution(Scheme::Deb, "debian", rest)
            }),
            "Ubuntu" => ubuntu(rest),
            "Alpine" => {
                let release = rest.map(|r| r.strip_prefix('v').unwrap_or(r));
                Some(Self {
                    by_source: true,
                    ..Self::distribution(Scheme::Apk, "alpine", release)
                })
            }
            _ => None,
        }
    }

    fn distribution(scheme: Scheme, os_id: &str, release: Option<&str>) -> Self {
        let release = release
            .filter(|r| !r.is_empty())
            .map(|r| Arc::from(release_of(os_id, r)));
        Self {
            ecosystem: Ecosystem {
                scheme,
                os_id: os_id.into(),
                release,
            },
            by_source: false,
            entitlement: None,
        }
    }
}

/// `22.04:LTS`, `24.10`, `Pro:18.04:LTS`, `Pro:FIPS-updates:22.04:LTS`: the release is the part of digits and a dot.
fn ubuntu(rest: Option<&str>) -> Option<OsvEcosystem> {
    let mut parts = rest.unwrap_or_default().split(':');
    let pro = parts.clone().next() == Some("Pro");
    let release = parts.find(|part| part.starts_with(|c: char| c.is_ascii_digit()));
    // A name whose release cannot be told would claim every release.
    if release.is_none() && rest.is_some() {
        return None;
    }
    let plain = OsvEcosystem::distribution(Scheme::Deb, "ubuntu", release);
    Some(OsvEcosystem {
        by_source: true,
        entitlement: pro.then_some("ubuntu-pro"),
        ..plain
    })
}

/// `enterprise_linux:9::appstream`: the tail of a CPE.
fn red_hat(cpe: &str) -> Option<OsvEcosystem> {
    let release = cpe.strip_prefix("enterprise_linux:")?.split(':').next()?;
    Some(OsvEcosystem::distribution(Scheme::Rpm, "rhel", Some(release)))
}

/// `Linux Enterprise Server 15 SP5`, `Linux Enterprise Module for Basesystem 15 SP5`: a module is content of the
/// server of the same service pack. `-LTSS` and its like are content behind a subscription.
fn suse(product: &str) -> Option<OsvEcosystem> {
    let os_id = match product {
        p if p.starts_with("Linux Enterprise Server") || p.starts_with("Linux Enterprise Module") => "sles",
        p if p.starts_with("Linux Enterprise Desktop") => "sled",
        _ => return None,
    };
    let (product, entitlement) = match product.split_once("-LTSS") {
        Some((product, _)) => (product, Some("suse-ltss")),
        None => (product, None),
    };
    let mut words = product.split_ascii_whitespace().rev();
    let last = words.next()?;
    let release = match last.strip_prefix("SP") {
        Some(pack) => format!("{}.{pack}", words.next()?),
        None => last.to_owned(),
    };
    let digits = release.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    digits.then(|| OsvEcosystem {
        entitlement,
        ..OsvEcosystem::distribution(Scheme::Rpm, os_id, Some(&release))
    })
}

/// `Leap 15.5`, `Tumbleweed`.
fn open_suse(product: &str) -> Option<OsvEcosystem> {
    match product.strip_prefix("Leap ") {
        Some(release) => Some(OsvEcosystem::distribution(Scheme::Rpm, "opensuse-leap", Some(release))),
        None if product == "Tumbleweed" => Some(OsvEcosystem::distribution(Scheme::Rpm, "opensuse-tumbleweed", None)),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_releases() {
        for (name, says) in [
            ("AlmaLinux:9", "rpm almalinux 9"),
            ("AlmaLinux", "rpm almalinux"),
            ("Rocky Linux:9", "rpm rocky 9 by source"),
            ("Red Hat:enterprise_linux:9::appstream", "rpm rhel 9"),
            ("SUSE:Linux Enterprise Server 15 SP5", "rpm sles 15.5"),
            ("SUSE:Linux Enterprise Server 12", "rpm sles 12"),
            ("SUSE:Linux Enterprise Module for Basesystem 15 SP5", "rpm sles 15.5"),
            (
                "SUSE:Linux Enterprise Server 15 SP3-LTSS",
                "rpm sles 15.3 needs suse-ltss",
            ),
            ("openSUSE:Leap 15.5", "rpm opensuse-leap 15.5"),
            ("openSUSE:Tumbleweed", "rpm opensuse-tumbleweed"),
            ("Debian:12", "deb debian 12 by source"),
            ("Debian:6.0", "deb debian 6 by source"),
            ("Ubuntu:22.04:LTS", "deb ubuntu 22.04 by source"),
            ("Ubuntu:24.10", "deb ubuntu 24.10 by source"),
            ("Ubuntu:Pro:18.04:LTS", "deb ubuntu 18.04 by source needs ubuntu-pro"),
            (
                "Ubuntu:Pro:FIPS-updates:22.04:LTS",
                "deb ubuntu 22.04 by source needs ubuntu-pro",
            ),
            ("Alpine:v3.19", "apk alpine 3.19 by source"),
        ] {
            let read = OsvEcosystem::parse(name).unwrap();
            let source = if read.by_source { " by source" } else { "" };
            let needs = read.entitlement.map(|e| format!(" needs {e}")).unwrap_or_default();
            assert_eq!(
                format!("{} {}{source}{needs}", read.ecosystem.scheme, read.ecosystem),
                says,
                "{name}"
            );
        }
        for name in [
            "Go",
            "npm",
            "",
            "Ubuntu:LTS",
            "Red Hat:rhel_eus:9.2::baseos",
            "SUSE:Manager Server 4.3",
            "linux",
        ] {
            assert_eq!(OsvEcosystem::parse(name), None, "{name}");
        }
    }
}

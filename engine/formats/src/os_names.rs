//! Operating systems by the names that people read (`PRETTY_NAME` of os-release, which is what a kubelet reports, or
//! `operatingsystem_name` of Foreman) as the ids that advisories speak of.

use patchwave_core::observe::Os;

/// `PRETTY_NAME` begins with the first; the others are `ID` and family. Longer names stand before those they begin with.
const NAMES: &[(&str, &str, &str)] = &[
    ("Red Hat Enterprise Linux CoreOS", "rhcos", "rhel"),
    ("Red Hat Enterprise Linux", "rhel", "rhel"),
    ("RedHat", "rhel", "rhel"),
    ("RHEL", "rhel", "rhel"),
    ("AlmaLinux", "almalinux", "rhel"),
    ("Rocky Linux", "rocky", "rhel"),
    ("Rocky", "rocky", "rhel"),
    ("CentOS Stream", "centos", "rhel"),
    ("CentOS_Stream", "centos", "rhel"),
    ("CentOS Linux", "centos", "rhel"),
    ("CentOS", "centos", "rhel"),
    ("Oracle Linux Server", "ol", "rhel"),
    ("Oracle Linux", "ol", "rhel"),
    ("OracleLinux", "ol", "rhel"),
    ("Fedora Linux", "fedora", "rhel"),
    ("Fedora", "fedora", "rhel"),
    ("Amazon Linux", "amzn", "rhel"),
    ("Amazon", "amzn", "rhel"),
    ("Microsoft Azure Linux", "azurelinux", "rhel"),
    ("Debian GNU/Linux", "debian", "debian"),
    ("Debian", "debian", "debian"),
    ("Ubuntu", "ubuntu", "debian"),
    ("SUSE Linux Enterprise Server", "sles", "suse"),
    ("SLES", "sles", "suse"),
    ("openSUSE Leap", "opensuse-leap", "suse"),
    ("Alpine Linux", "alpine", "alpine"),
    ("Alpine", "alpine", "alpine"),
    ("Flatcar Container Linux by Kinvolk", "flatcar", "flatcar"),
    ("Bottlerocket OS", "bottlerocket", "bottlerocket"),
    ("Talos", "talos", "talos"),
];

/// Versions by the code names that stand in their place where nobody looked them up (Debian's and Ubuntu's own lists).
const CODE_NAMES: &[(&str, &str)] = &[
    ("buster", "10"),
    ("bullseye", "11"),
    ("bookworm", "12"),
    ("trixie", "13"),
    ("bionic", "18.04"),
    ("focal", "20.04"),
    ("jammy", "22.04"),
    ("noble", "24.04"),
];

/// The operating system a name says; none if it names no known one, or no version.
pub(crate) fn os_of(name: &str, arch: &str) -> Option<Os> {
    let name = name.trim();
    if let Some(release) = crate::windows::release_of(name) {
        return Some(os("windows", "windows", &release, arch));
    }
    let (rest, (_, id, family)) = NAMES
        .iter()
        .find_map(|known| Some((name.strip_prefix(known.0)?, known)))?;
    let rest = rest.trim_start_matches([' ', '(', 'v']);
    let mut words = rest.split([' ', ')']).filter(|word| !word.is_empty());
    let version = words.next()?;
    let code_name = CODE_NAMES.iter().find(|(name, _)| version.eq_ignore_ascii_case(name));
    let version = match code_name {
        Some((_, version)) if *family == "debian" => version,
        _ if version.starts_with(|c: char| c.is_ascii_digit()) => version,
        _ => return None,
    };
    let version = match words.next().and_then(|word| word.strip_prefix("SP")) {
        Some(pack) if *id == "sles" => format!("{version}.{pack}"),
        _ => version.to_owned(),
    };
    // Ubuntu's VERSION_ID has no point release, its PRETTY_NAME has.
    let version = match *id {
        "ubuntu" => version
            .match_indices('.')
            .nth(1)
            .and_then(|(at, _)| version.get(..at))
            .unwrap_or(&version)
            .to_owned(),
        _ => version,
    };
    Some(os(family, id, &version, arch))
}

fn os(family: &str, id: &str, version: &str, arch: &str) -> Os {
    Os {
        family: family.into(),
        id: id.into(),
        version: version.into(),
        arch: machine(arch).into(),
    }
}

/// The family of an os-release id; empty for one that is not known.
pub(crate) fn family_of(id: &str) -> &'static str {
    NAMES.iter().find(|known| known.1 == id).map_or("", |known| known.2)
}

/// An architecture as `uname -m` says it.
pub(crate) fn machine(arch: &str) -> &str {
    match arch.trim() {
        "amd64" | "AMD64" | "x64" | "64-bit" => "x86_64",
        "arm64" | "ARM64" => "aarch64",
        "386" | "x86" | "i386" => "i686",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_give_ids_and_versions() {
        for (name, id, version) in [
            ("Ubuntu 22.04.5 LTS", "ubuntu", "22.04"),
            ("Ubuntu 24.04", "ubuntu", "24.04"),
            ("Debian GNU/Linux 10 (buster)", "debian", "10"),
            ("AlmaLinux 9.4 (Seafoam Ocelot)", "almalinux", "9.4"),
            ("Red Hat Enterprise Linux 9.6 (Plow)", "rhel", "9.6"),
            (
                "Red Hat Enterprise Linux CoreOS 416.94.202405291527-0",
                "rhcos",
                "416.94.202405291527-0",
            ),
            ("RedHat 9.6", "rhel", "9.6"),
            ("Debian Bullseye", "debian", "11"),
            ("CentOS_Stream 9", "centos", "9"),
            ("Amazon Linux 2023.5.20240805", "amzn", "2023.5.20240805"),
            ("SUSE Linux Enterprise Server 15 SP5", "sles", "15.5"),
            ("Alpine Linux v3.20", "alpine", "3.20"),
            ("Talos (v1.7.0)", "talos", "1.7.0"),
            ("Windows Server 2022 Datacenter", "windows", "2022"),
        ] {
            let os = os_of(name, "amd64").unwrap();
            assert_eq!((&*os.id, &*os.version, &*os.arch), (id, version, "x86_64"), "{name}");
        }
        for name in [
            "",
            "CachyOS",
            "Container-Optimized OS from Google",
            "Ubuntu",
            "Debian GNU/Linux trixie/sid",
        ] {
            assert_eq!(os_of(name, ""), None, "{name}");
        }
        assert_eq!((family_of("rocky"), family_of("x")), ("rhel", ""));
    }
}

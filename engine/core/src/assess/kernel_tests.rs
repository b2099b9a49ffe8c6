use super::*;

#[test]
fn what_is_booted_and_what_only_carries_the_name() {
    for (name, expected) in [
        ("kernel", Some("kernel")),
        ("kernel-core", Some("kernel-core")),
        ("kernel-modules-extra", Some("kernel-modules-extra")),
        ("kernel-rt-core", Some("kernel-rt-core")),
        ("kernel-default", Some("kernel-default")),
        ("kernel-uek", Some("kernel-uek")),
        ("kernel-devel", None),
        ("kernel-rt-devel", None),
        ("kernel-headers", None),
        ("kernel-tools-libs", None),
        ("kernelshark", None),
        ("linux-image-6.1.0-18-amd64", Some("linux-image-")),
        ("linux-image-unsigned-6.8.0-31-generic", Some("linux-image-unsigned-")),
        ("linux-modules-extra-6.8.0-31-generic", Some("linux-modules-extra-")),
        ("linux-image-amd64", None),
        ("linux-image-generic", None),
        ("linux-headers-6.1.0-18-amd64", None),
        ("bash", None),
    ] {
        assert_eq!(family(name), expected, "{name}");
    }
}

#[test]
fn releases_find_their_packages() {
    let package = |name: &'static str, version: &'static str, arch: &'static str| Installed {
        name,
        version,
        arch,
        source: "",
        source_version: "",
        module: "",
        edition: None,
    };
    for (package, release, expected) in [
        (
            package("kernel-core", "5.14.0-427.13.1.el9_4", "x86_64"),
            "5.14.0-427.13.1.el9_4.x86_64",
            true,
        ),
        (
            package("kernel-core", "5.14.0-427.13.1.el9_4", ""),
            "5.14.0-427.13.1.el9_4.x86_64",
            true,
        ),
        (
            package("kernel-core", "0:5.14.0-427.13.1.el9_4", "x86_64"),
            "5.14.0-427.13.1.el9_4.x86_64",
            true,
        ),
        (
            package("kernel-core", "5.14.0-427.13.1.el9_4", "aarch64"),
            "5.14.0-427.13.1.el9_4.x86_64",
            false,
        ),
        (
            package("kernel-core", "5.14.0-427.16.1.el9_4", "x86_64"),
            "5.14.0-427.13.1.el9_4.x86_64",
            false,
        ),
        (
            package("kernel-rt-core", "4.18.0-305.rt7.72.el8", "x86_64"),
            "4.18.0-305.rt7.72.el8.x86_64",
            true,
        ),
        (
            package("kernel-rt-core", "5.14.0-427.el9", "x86_64"),
            "5.14.0-427.el9.x86_64+rt",
            true,
        ),
        (
            package("kernel-core", "5.14.0-427.el9", "x86_64"),
            "5.14.0-427.el9.x86_64+rt",
            false,
        ),
        (
            package("kernel-64k-core", "5.14.0-427.el9", "aarch64"),
            "5.14.0-427.el9.aarch64+64k",
            true,
        ),
        (
            package("kernel-default", "5.14.21-150500.55.19.1", "x86_64"),
            "5.14.21-150500.55.19.1-default",
            true,
        ),
        (
            package("linux-image-6.1.0-18-amd64", "6.1.76-1", "amd64"),
            "6.1.0-18-amd64",
            true,
        ),
        (
            package("linux-image-6.1.0-21-amd64", "6.1.90-1", "amd64"),
            "6.1.0-18-amd64",
            false,
        ),
    ] {
        assert_eq!(is_release_of(&package, release), expected, "{} {release}", package.name);
    }
}

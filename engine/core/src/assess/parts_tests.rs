use std::sync::Arc;

use crate::assess::world::*;
use crate::observe::{Component, Fix, Gpu, Kubernetes, own_fix};

/// The fix of an Advisory resource.
fn fix(json: serde_json::Value) -> Fix {
    own_fix(&serde_json::from_value(json).unwrap()).unwrap()
}

fn component(kind: &str, vendor: &str, product: &str, version: &str) -> Component {
    Component {
        kind: kind.into(),
        vendor: vendor.into(),
        product: product.into(),
        version: version.into(),
        instance: None,
    }
}

fn ontap(fixed: &str) -> Fix {
    fix(serde_json::json!({"component": {"kind": "storage", "vendor": "netapp", "product": "ontap"}, "fixed": fixed}))
}

/// One line an asset of what stands between its name and its deadline: status, installed, fixed.
fn found(world: &World) -> Vec<String> {
    let lines = world.lines().into_iter();
    lines
        .map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            format!("{} {} {} {} {}", words[0], words[2], words[3], words[4], words[5])
        })
        .collect()
}

#[test]
fn a_component_is_matched_by_kind_vendor_and_product_without_regard_to_case() {
    let mut world = World::plain();
    world.advisory("NTAP-1", vec![ontap("9.14.1P6")]);
    for (name, kind, vendor, product, version) in [
        ("old", "storage", "NetApp", "ONTAP", "9.14.1P2"),
        ("ten", "storage", "netapp", "ontap", "9.14.1P10"),
        ("rc", "storage", "netapp", "ontap", "9.14.1RC1"),
        ("new", "storage", "netapp", "ontap", "9.14.1P6"),
        ("other-kind", "backup", "netapp", "ontap", "9.1"),
        ("other-vendor", "storage", "dell", "ontap", "9.1"),
        ("other-product", "storage", "netapp", "e-series", "9.1"),
        ("words", "storage", "netapp", "ontap", "spring release"),
    ] {
        let asset = world.asset(name, &[], &[]);
        asset.facts.components = Some(Arc::from([component(kind, vendor, product, version)]));
        // An appliance has neither a distribution nor packages.
        (asset.facts.os, asset.facts.packages) = (None, None);
    }
    assert_eq!(
        found(&world),
        [
            "old ontap 9.14.1P2 9.14.1P6 due",
            "rc ontap 9.14.1RC1 9.14.1P6 due",
            "words ontap spring release -"
        ]
    );
    let words = world.lines().pop().unwrap();
    assert!(
        words.contains("unknown") && words.contains("cannot be compared"),
        "{words}"
    );
}

#[test]
fn charts_have_semantic_versions() {
    let mut world = World::plain();
    let chart = |fixed: &str| {
        let component = serde_json::json!({"kind": "application", "vendor": "Helm", "product": "cert-manager"});
        fix(serde_json::json!({"component": component, "fixed": fixed}))
    };
    world.advisory("GHSA-1", vec![chart("v1.14.4")]);
    for (name, vendor, version) in [
        ("older", "helm", "1.9.1"),
        ("candidate", "helm", "v1.14.4-rc.1"),
        ("nightly", "helm", "1.14.4-nightly.7+up2"),
        ("same", "helm", "1.14.4"),
        ("build", "helm", "1.14.4+up1"),
        ("newer", "helm", "v1.14.10"),
        ("other-vendor", "jetstack", "1.0.0"),
    ] {
        let asset = world.asset(name, &[], &[]);
        asset.facts.components = Some(Arc::from([component("application", vendor, "cert-manager", version)]));
        (asset.facts.os, asset.facts.packages) = (None, None);
    }
    assert_eq!(
        found(&world),
        [
            "candidate cert-manager v1.14.4-rc.1 v1.14.4 due",
            "nightly cert-manager 1.14.4-nightly.7+up2 v1.14.4 due",
            "older cert-manager 1.9.1 v1.14.4 due",
        ]
    );
}

#[test]
fn without_product_every_product_of_the_vendor_is_meant() {
    let mut world = World::plain();
    let any = fix(serde_json::json!({"component": {"kind": "firmware", "vendor": "acme"}, "fixed": "7.1"}));
    world.advisory("ACME-1", vec![any]);
    let asset = world.asset("a", &[], &[]);
    asset.facts.components = Some(Arc::from([
        component("firmware", "acme", "bios", "7.0"),
        component("firmware", "acme", "nic", "7.1"),
        component("firmware", "other", "bmc", "1.0"),
    ]));
    assert_eq!(found(&world), ["a bios 7.0 7.1 due"]);
}

#[test]
fn a_scheme_that_is_said_orders_what_the_default_cannot() {
    let component_fix = |scheme: Option<&str>| {
        fix(
            serde_json::json!({"component": {"kind": "application", "product": "x", "scheme": scheme}, "fixed": "1.0~rc2"}),
        )
    };
    for (scheme, expected) in [(None, "unknown"), (Some("deb"), "due")] {
        let mut world = World::plain();
        world.advisory("X-1", vec![component_fix(scheme)]);
        let asset = world.asset("a", &[], &[]);
        asset.facts.components = Some(Arc::from([component("application", "v", "x", "1.0~rc1")]));
        let lines = world.lines();
        assert!(lines[0].contains(expected), "{scheme:?}: {lines:?}");
    }
}

#[test]
fn a_driver_that_is_installed_but_not_loaded_waits_for_its_reboot() {
    let mut world = World::plain();
    world.advisory(
        "NV-1",
        vec![fix(
            serde_json::json!({"component": {"kind": "gpu", "product": "driver"}, "fixed": "550.90.07"}),
        )],
    );
    let mut gpu = |name: &str, driver: &str, loaded: &str| {
        let facts = &mut world.asset(name, &[], &[]).facts;
        facts.gpu = Some(Arc::new(Gpu {
            driver: Some(driver.into()),
            loaded: Some(loaded.into()),
            ..Gpu::default()
        }));
    };
    gpu("a", "550.54.15", "550.54.15");
    gpu("b", "550.90.07", "550.54.15");
    gpu("c", "550.90.07", "550.90.07");
    assert_eq!(
        found(&world),
        [
            "a driver 550.54.15 550.90.07 due",
            "b driver 550.54.15 550.90.07 pending-reboot"
        ]
    );
}

#[test]
fn kubelet_and_container_runtime() {
    let mut world = World::plain();
    let of = |product: &str, introduced: &str, fixed: &str| {
        fix(
            serde_json::json!({"component": {"kind": "kubernetes", "vendor": "cncf", "product": product},
            "introduced": introduced, "fixed": fixed}),
        )
    };
    world.advisory(
        "K-1",
        vec![of("kubelet", "1.29.0", "1.29.10"), of("kubelet", "1.30.0", "1.30.6")],
    );
    world.advisory("K-2", vec![of("containerd", "0", "1.7.12")]);
    for (name, kubelet, runtime) in [
        ("a", "v1.29.4", "containerd://1.7.11"),
        ("b", "v1.30.6", "containerd://2.0.0"),
        ("c", "v1.28.0", "cri-o://1.7.1"),
    ] {
        let facts = &mut world.asset(name, &[], &[]).facts;
        facts.kubernetes = Some(Arc::new(Kubernetes {
            kubelet: Some(kubelet.into()),
            runtime: Some(runtime.into()),
            ..Kubernetes::default()
        }));
    }
    assert_eq!(
        found(&world),
        ["a kubelet 1.29.4 1.29.10 due", "a containerd 1.7.11 1.7.12 due"]
    );
}

#[test]
fn a_build_that_is_client_and_server_is_fixed_by_its_own_edition_and_unknown_where_that_is_not_known() {
    use crate::observe::{Os, WindowsEdition, parts_of};
    let mut world = World::plain();
    let of = |edition, fixed: &str| Fix {
        edition: Some(edition),
        ..fix(
            serde_json::json!({"component": {"kind": "os", "vendor": "microsoft", "product": "windows"}, "fixed": fixed}),
        )
    };
    let both = vec![
        of(WindowsEdition::Client, "10.0.26100.4349"),
        of(WindowsEdition::Server, "10.0.26100.4351"),
    ];
    world.advisory("CVE-1", both);
    let mut windows = |name: &str, release: &str, build: &str| {
        let facts = &mut world.asset(name, &[], &[]).facts;
        facts.os_build = Some(build.into());
        let (family, version, arch) = ("windows".into(), release.into(), "x86_64".into());
        facts.os = Some(Os {
            id: "windows".into(),
            family,
            version,
            arch,
        });
    };
    windows("a", "11", "10.0.26100.4349");
    windows("b", "2025", "10.0.26100.4349");
    windows("c", "11", "10.0.26100.4000");
    windows("d", "", "10.0.26100.4349");
    windows("e", "", "10.0.26100.4000");
    windows("f", "", "10.0.26100.4351");
    assert_eq!(
        found(&world),
        [
            "b windows 10.0.26100.4349 10.0.26100.4351 due",
            "c windows 10.0.26100.4000 10.0.26100.4349 due",
            "d windows 10.0.26100.4349 - unknown",
            "e windows 10.0.26100.4000 - unknown",
        ]
    );
    let branch = |at: usize| parts_of(&world.observation.assets[at])[0].branch.clone();
    assert_eq!(
        [branch(0), branch(1), branch(3)],
        ["10.0.26100-client", "10.0.26100-server", "10.0.26100"]
    );
}

#[test]
fn a_windows_build_is_fixed_in_its_own_branch() {
    let mut world = World::plain();
    let build = |fixed: &str| fix(serde_json::json!({"component": {"kind": "os"}, "fixed": fixed}));
    world.advisory("KB-1", vec![build("10.0.20348.2762"), build("10.0.17763.6414")]);
    for (name, build) in [
        ("a", "10.0.20348.2700"),
        ("b", "20348.2762"),
        ("c", "10.0.17763.6000"),
        ("d", "10.0.26100.1"),
    ] {
        world.asset(name, &[], &[]).facts.os_build = Some(build.into());
    }
    assert_eq!(
        found(&world),
        [
            "a windows 10.0.20348.2700 10.0.20348.2762 due",
            "c windows 10.0.17763.6000 10.0.17763.6414 due"
        ]
    );
}

#[test]
fn an_appliance_is_unknown_until_an_advisory_speaks_of_it() {
    let mut world = World::plain();
    let asset = world.asset("a", &[], &[]);
    asset.facts.components = Some(Arc::from([component("storage", "netapp", "ontap", "9.14.1P6")]));
    (asset.facts.os, asset.facts.packages) = (None, None);
    let remarks = world.assess().remarks;
    assert!(
        remarks[0]
            .detail
            .contains("no advisory coverage of storage netapp ontap"),
        "{remarks:?}"
    );
    world.advisory("NTAP-1", vec![ontap("9.14.1P6")]);
    let assessment = world.assess();
    assert!(assessment.remarks.is_empty(), "{:?}", assessment.remarks);
    let status = assessment.asset_status(&world.observation, 0);
    assert_eq!(status, Some(crate::assess::Status::Compliant));
}

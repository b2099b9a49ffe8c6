//! What is no package: appliances, firmware, kubelets, drivers, builds.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot be set up should fail"
)]

use std::sync::Arc;

use crate::support::estate::*;
use crate::support::simulate::*;
use crate::support::*;
use patchwave_core::history::{History, WaveState};
use patchwave_core::load::wire::ComponentKind;
use patchwave_core::name::Severity;
use patchwave_core::observe::{AdvisoryRecord, Asset, Component, Gpu, Kubernetes, own_fix};
use patchwave_core::plan::Plan;

/// An own bulletin with its fixes.
fn bulletin(id: &str, fixes: &[serde_json::Value]) -> AdvisoryRecord {
    let fixes = fixes.iter();
    AdvisoryRecord {
        fixes: fixes
            .map(|fix| own_fix(&serde_json::from_value(fix.clone()).unwrap()).unwrap())
            .collect(),
        ..advisory(id, Severity::High, "2026-11-18T00:00:00Z", &[])
    }
}

fn ontap(id: &str, fixed: &str) -> AdvisoryRecord {
    let component = serde_json::json!({"kind": "storage", "vendor": "netapp", "product": "ontap"});
    bulletin(id, &[serde_json::json!({"component": component, "fixed": fixed})])
}

/// The same estate, with what is observed of each machine changed.
fn world_with(
    changes: &[(&str, &str)],
    machines: &[Machine],
    advisories: &[AdvisoryRecord],
    edit: impl Fn(&mut Asset),
) -> World {
    let now = at(NOW);
    let mut observation = observation("f", &[], machines, advisories, now);
    observation.assets.iter_mut().for_each(edit);
    World::new(catalog(&resources(changes), now), observation, History::default(), now)
}

/// For each wave and batch: `asset name version`.
fn taken(plan: &Plan) -> Vec<String> {
    let rollouts = plan.rollouts.iter();
    let waves = rollouts.flat_map(|r| r.waves.iter().map(move |w| (r, w)));
    let assets = waves.flat_map(|(r, w)| w.batches.iter().flat_map(|b| &b.assets).map(move |a| (r, a)));
    assets
        .flat_map(|(r, a)| {
            let targets = a.targets.iter().map(|t| &r.targets[*t]);
            targets
                .map(|t| format!("{} {} {}", a.name, t.name, t.version))
                .collect::<Vec<_>>()
        })
        .collect()
}

fn storage(asset: &mut Asset, version: &str) {
    asset.facts.components = Some(Arc::from([Component {
        kind: "storage".into(),
        vendor: "NetApp".into(),
        product: "ONTAP".into(),
        version: version.into(),
        instance: None,
    }]));
    (asset.facts.os, asset.facts.packages) = (None, None);
}

const OWN: [(&str, &str); 3] = [("target: ansible", "target: appliance"); 3];

#[test]
fn an_appliance_goes_through_the_waves_like_anything_else() {
    let advisories = [ontap("NTAP-1", "9.14.1P6"), ontap("NTAP-2", "9.14.1P10")];
    let world = world_with(&OWN, &one_each(), &advisories, |a| storage(a, "9.14.1P2"));
    let plan = world.plan(at(NOW));
    // Cumulative: the newest approved one, though P6 would do for the first.
    assert_eq!(refusals(&plan), []);
    assert_eq!(
        taken(&plan),
        ["t1 ontap 9.14.1P10", "s1 ontap 9.14.1P10", "p1 ontap 9.14.1P10"]
    );
    let target = &plan.rollouts[0].targets[0];
    assert_eq!(
        (target.kind(), target.os_major.as_ref(), target.scheme.as_str()),
        (Some(ComponentKind::Storage), "netapp", "dotted")
    );
    // After it worked there is nothing to do, and a machine that runs it proves it.
    let done = world_with(&OWN, &one_each(), &advisories, |a| storage(a, "9.14.1P10"));
    assert!(done.plan(at(NOW)).rollouts.is_empty());
    let last = world_with(&OWN, &one_each(), &advisories, |a| {
        storage(a, if *a.name == *"p1" { "9.14.1P2" } else { "9.14.1P10" });
    });
    assert_eq!(taken(&last.plan(at(NOW))), ["p1 ontap 9.14.1P10"]);
}

#[test]
fn a_tool_that_cannot_update_it_is_refused_by_name() {
    let world = world_with(&[], &one_each(), &[ontap("NTAP-1", "9.14.1P6")], |a| {
        storage(a, "9.14.1P2")
    });
    let plan = world.plan(at(NOW));
    assert!(plan.rollouts.is_empty() && plan.waiting.is_empty());
    assert_eq!(refusals(&plan), [("target", "p1"), ("target", "s1"), ("target", "t1")]);
    let detail = &plan.refusals[0].detail;
    assert!(
        detail.contains("target cannot do it") && detail.contains("storage netapp ontap"),
        "{detail}"
    );
}

#[test]
fn a_version_nobody_can_order_is_not_planned_and_says_so() {
    let world = world_with(&OWN, &one_each(), &[ontap("NTAP-1", "9.14.1P6")], |a| {
        storage(a, "spring release")
    });
    let plan = world.plan(at(NOW));
    assert!(plan.rollouts.is_empty());
    assert_eq!(refusals(&plan).len(), 3);
    assert!(
        plan.refusals.iter().all(|r| *r.reason == *"unknown"),
        "{:?}",
        plan.refusals
    );
}

#[test]
fn charts_and_images_of_clusters_are_taken_by_helm() {
    let of = |vendor: &str, product: &str, version: &str, kind: &str| Component {
        kind: kind.into(),
        vendor: vendor.into(),
        product: product.into(),
        version: version.into(),
        instance: None,
    };
    let cluster = |chart: &'static str, image: &'static str| {
        move |asset: &mut Asset| {
            asset.facts.components = Some(Arc::from([
                of("helm", "ingress-nginx", chart, "application"),
                of("ghcr.io", "ghcr.io/acme/shop-api", image, "image"),
            ]));
            (asset.facts.os, asset.facts.packages) = (None, None);
        }
    };
    let chart = serde_json::json!({"kind": "application", "vendor": "helm", "product": "ingress-nginx"});
    let image = serde_json::json!({"kind": "image", "product": "ghcr.io/acme/shop-api", "scheme": "semver", "vendor": "ghcr.io"});
    let advisories = [
        bulletin("GHSA-1", &[serde_json::json!({"component": chart, "fixed": "4.11.5"})]),
        bulletin("GHSA-2", &[serde_json::json!({"component": image, "fixed": "2.4.1"})]),
    ];
    let helm = [("target: ansible", "target: helm"); 3];
    let plan = |chart, image| world_with(&helm, &one_each(), &advisories, cluster(chart, image)).plan(at(NOW));
    let both = plan("4.11.5-rc.1+up2", "2.4.0");
    assert_eq!(refusals(&both), []);
    assert_eq!(
        taken(&both),
        ["t1", "s1", "p1"]
            .iter()
            .flat_map(|name| [
                format!("{name} ingress-nginx 4.11.5"),
                format!("{name} ghcr.io/acme/shop-api 2.4.1")
            ])
            .collect::<Vec<_>>()
    );
    assert!(plan("4.11.5+up1", "2.5.0").rollouts.is_empty());
}

fn node(asset: &mut Asset, role: &str, kubelet: &str) {
    asset.facts.kubernetes = Some(Arc::new(Kubernetes {
        kubelet: Some(kubelet.into()),
        role: Some(role.into()),
        ..Kubernetes::default()
    }));
}

fn kubelet(fixes: &[(&str, &str)]) -> AdvisoryRecord {
    let component = serde_json::json!({"kind": "kubernetes", "product": "kubelet"});
    let fixes = fixes
        .iter()
        .map(|(from, fixed)| serde_json::json!({"component": component.clone(), "introduced": from, "fixed": fixed}));
    bulletin("K-1", &fixes.collect::<Vec<_>>())
}

/// Three environments, in each a control plane `c…` and a worker `w…`.
fn nodes() -> Vec<Machine> {
    let names = [
        ("ct", "test"),
        ("wt", "test"),
        ("cs", "staging"),
        ("ws", "staging"),
        ("cp", "prod"),
        ("wp", "prod"),
    ];
    names.iter().map(|(name, env)| machine(name, &[("env", env)])).collect()
}

fn role(asset: &Asset) -> &'static str {
    if asset.name.starts_with('c') {
        "control-plane"
    } else {
        "worker"
    }
}

#[test]
fn kubernetes_goes_one_minor_release_at_a_time_and_control_planes_first() {
    let advisories = [kubelet(&[("0", "1.31.2")])];
    let world = world_with(&OWN, &nodes(), &advisories, |a| node(a, role(a), "v1.29.4"));
    let plan = world.plan(at(NOW));
    assert_eq!(refusals(&plan), []);
    let expected = ["ct", "wt", "cs", "ws", "cp", "wp"].map(|n| format!("{n} kubelet 1.30.0"));
    assert_eq!(
        taken(&plan),
        expected,
        "1.30.0 is the first of its minor, and nobody names a later one"
    );
    assert!(
        plan.notes.iter().any(|n| n.message.contains("another step follows")),
        "{:?}",
        plan.notes
    );
    let batches = batches(&plan.rollouts[0].waves[0]);
    assert_eq!(batches, [["ct"], ["wt"]]);
    // What it carries is carried: the same plan once it is open.
    let history = opened(&plan, &[WaveState::Approved]);
    let again = World::new(world.catalog.clone(), world.observation.clone(), history, at(NOW)).plan(at(NOW));
    assert_eq!(again.rollouts.len(), 1);
    assert_eq!(taken(&again), expected);
    // From there, the rest of the way; an advisory that names a version of the minor in between gives that.
    let next = world_with(&OWN, &nodes(), &advisories, |a| node(a, role(a), "v1.30.0")).plan(at(NOW));
    assert_eq!(
        taken(&next),
        ["ct", "wt", "cs", "ws", "cp", "wp"].map(|n| format!("{n} kubelet 1.31.2"))
    );
    let named = [kubelet(&[("0", "1.31.2"), ("1.30.0", "1.30.6")])];
    let named = world_with(&OWN, &nodes(), &named, |a| node(a, role(a), "v1.29.4")).plan(at(NOW));
    assert!(
        taken(&named).contains(&"ct kubelet 1.30.6".to_owned()),
        "{:?}",
        taken(&named)
    );
}

#[test]
fn a_kubelet_is_never_newer_than_its_control_plane_nor_left_far_behind() {
    // The control planes are held back by an exception: workers may not go past them.
    let advisories = [kubelet(&[("0", "1.31.2")])];
    let changes = [
        OWN[0],
        OWN[1],
        OWN[2],
        (
            "  scope: {selector: {}}",
            "  scope: {selector: {matchLabels: {part: worker}}}",
        ),
    ];
    let mut machines = nodes();
    for machine in machines.iter_mut().filter(|m| m.name.starts_with('w')) {
        machine.labels.insert("part".into(), "worker".into());
    }
    let world = world_with(&changes, &machines, &advisories, |a| node(a, role(a), "v1.30.4"));
    let plan = world.plan(at(NOW));
    assert_eq!(refusals(&plan), [("skew", "wp"), ("skew", "ws"), ("skew", "wt")]);
    assert!(plan.rollouts.is_empty(), "{:?}", taken(&plan));
    assert!(
        plan.refusals[0].detail.contains("cp is at v1.30.4"),
        "{:?}",
        plan.refusals[0]
    );
    // A control plane four minor releases ahead would lose its oldest worker.
    let world = world_with(&OWN, &nodes(), &advisories, |a| {
        node(a, role(a), if *a.name == *"wp" { "v1.27.0" } else { "v1.30.4" });
    });
    let plan = world.plan(at(NOW));
    assert!(refusals(&plan).contains(&("skew", "cp")), "{:?}", plan.refusals);
}

#[test]
fn a_driver_that_only_waits_to_be_loaded_is_carried_for_its_reboot() {
    let component = serde_json::json!({"kind": "gpu", "product": "driver"});
    let advisories = [bulletin(
        "NV-1",
        &[serde_json::json!({"component": component, "fixed": "550.90.07"})],
    )];
    let gpu = |asset: &mut Asset, driver: &str, loaded: &str| {
        asset.facts.gpu = Some(Arc::new(Gpu {
            driver: Some(driver.into()),
            loaded: Some(loaded.into()),
            ..Gpu::default()
        }));
    };
    let world = world_with(&OWN, &one_each(), &advisories, |a| gpu(a, "550.90.07", "550.54.15"));
    assert_eq!(taken(&world.plan(at(NOW))).len(), 3);
    let newer = world_with(&OWN, &one_each(), &advisories, |a| gpu(a, "550.144.3", "550.54.15"));
    let plan = newer.plan(at(NOW));
    assert!(plan.rollouts.is_empty());
    assert_eq!(refusals(&plan)[0].0, "needs a reboot only");
}

const REPLACE: (&str, &str) = (
    "criticality: high\n  exposure: internal\n  target: ansible",
    "criticality: high\n  exposure: internal\n  target: image\n  remedy: replace",
);

fn image(asset: &mut Asset) {
    asset.facts.components = Some(Arc::from([Component {
        kind: "image".into(),
        vendor: "us".into(),
        product: "web-base".into(),
        version: "2026.10.1".into(),
        instance: None,
    }]));
}

#[test]
fn a_class_that_replaces_rebuilds_one_image_for_all_that_run_it() {
    let mut machines = one_each();
    machines.push(machine("p2", &[("env", "prod")]));
    let plan = world_with(&[REPLACE], &machines, &[openssl()], image).plan(at(NOW));
    assert_eq!(refusals(&plan), []);
    let wave = plan.rollouts[0].waves.last().unwrap();
    let assets: Vec<_> = wave.batches.iter().flat_map(|b| &b.assets).collect();
    let images: Vec<_> = assets.iter().map(|a| a.image.as_ref().unwrap()).collect();
    assert_eq!((assets.len(), &*assets[0].target), (2, "image"));
    assert_eq!((&*images[0].name, &*images[0].from), ("web-base", "2026.10.1"));
    assert_eq!(images[0].id.len(), 12);
    assert_eq!(images[0], images[1], "one content, one image");
    // The earlier waves patch in place: their classes do not replace.
    assert!(plan.rollouts[0].waves[0].batches[0].assets[0].image.is_none());
    // Without a pipeline, and without an image, it says which is missing.
    let in_place = (
        REPLACE.0,
        "criticality: high\n  exposure: internal\n  target: ansible\n  remedy: replace",
    );
    let plan = world_with(&[in_place], &one_each(), &[openssl()], image).plan(at(NOW));
    assert_eq!(refusals(&plan), [("target", "p1")]);
    assert!(
        plan.refusals[0].detail.contains("patches in place"),
        "{:?}",
        plan.refusals
    );
    let plan = world_with(&[REPLACE], &one_each(), &[openssl()], |_| {}).plan(at(NOW));
    assert_eq!(refusals(&plan), [("no-image", "p1")]);
}

#[test]
fn one_asset_may_take_two_tools_and_firmware_goes_first() {
    let tools = (
        "criticality: high\n  exposure: internal\n  target: ansible",
        "criticality: high\n  exposure: internal\n  targets: [{for: {types: [firmware]}, use: appliance}, {use: ansible}]",
    );
    let requires = (
        "  rollout: standard\n",
        "  rollout: standard\n  requires: {tested: false}\n",
    );
    let include = ("    - types: [security]", "    - types: [security, firmware]");
    let component = serde_json::json!({"kind": "firmware", "vendor": "acme", "product": "bios"});
    let firmware = AdvisoryRecord {
        types: vec![patchwave_core::load::wire::AdvisoryType::Firmware],
        ..bulletin("FW-1", &[serde_json::json!({"component": component, "fixed": "7.1"})])
    };
    let machines = [machine("p1", &[("env", "prod")])];
    let world = world_with(
        &[tools, requires, include],
        &machines,
        &[firmware, openssl()],
        |asset| {
            asset.facts.components = Some(Arc::from([Component {
                kind: "firmware".into(),
                vendor: "acme".into(),
                product: "bios".into(),
                version: "7.0".into(),
                instance: None,
            }]));
        },
    );
    let plan = world.plan(at(NOW));
    assert_eq!(refusals(&plan), []);
    let rollout = &plan.rollouts[0];
    let asset = &rollout.waves[0].batches[0].assets[0];
    let named = |index: &usize| rollout.targets[*index].name.to_string();
    let of: Vec<(String, String)> = asset
        .targets
        .iter()
        .map(named)
        .zip(asset.tools.iter().map(ToString::to_string))
        .collect();
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    assert_eq!(of, [pair("openssl-libs", "ansible"), pair("bios", "appliance")]);
    let parts = asset.by_tool(&rollout.targets);
    let parts: Vec<(&str, Vec<String>)> = parts
        .iter()
        .map(|p| (&*p.target, p.targets.iter().map(named).collect()))
        .collect();
    assert_eq!(
        parts,
        [
            ("appliance", vec!["bios".to_owned()]),
            ("ansible", vec!["openssl-libs".to_owned()])
        ]
    );
    // The same once the wave is approved and stands.
    let history = opened(&plan, &[WaveState::Approved]);
    let again = World::new(world.catalog.clone(), world.observation.clone(), history, at(NOW)).plan(at(NOW));
    assert_eq!(again.rollouts[0].waves[0].batches[0].assets[0].tools, asset.tools);
}

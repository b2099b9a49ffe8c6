//! A world for each render target: what its golden files are rendered from.

use std::sync::Arc;

use patchwave_core::history::Target;
use patchwave_core::load::wire::Reversibility;
use patchwave_core::observe::{Asset, ContentView};
use patchwave_core::plan::BatchAsset;
use patchwave_core::render::patchset_digest;
use patchwave_core::version::Scheme;
use serde_json::{Value, json};

use crate::fixture::{World, asset, batch, planned, resources, target, wave, world};

/// Name of a target and its world; one line a target.
pub const WORLDS: &[(&str, fn() -> World)] = &[("ansible", world), ("satellite", satellite)];

/// An asset with what it takes: indexes of targets and the versions it has.
pub type Taking<'a> = (Asset, &'a [(usize, &'a str)]);

/// A rollout of `tool` alone: the first asset in wave `test`, the others two a batch in wave `critical`, all of one class
/// `class` (the rest of its spec is given), in the windows of [`world`].
pub fn two_waves(
    tool: &str,
    class: Value,
    rollback: Reversibility,
    targets: Vec<Target>,
    assets: &[Taking<'_>],
) -> World {
    let mut world = world();
    let class_name = format!("{tool}-class");
    let mut spec = serde_json::json!({"selector": {}, "environment": "prod", "target": tool, "window": "prod-nights"});
    let (Value::Object(spec_map), Value::Object(extra)) = (&mut spec, class) else {
        panic!("a class is an object");
    };
    spec_map.extend(extra);
    world.catalog.classes = resources(&[(&class_name, spec)]);
    let of = |(asset, takes): &Taking<'_>| BatchAsset {
        target: tool.into(),
        ..planned(&asset.name, takes, &class_name, rollback)
    };
    let (first, rest) = assets.split_first().unwrap();
    let batches = rest.chunks(2).enumerate();
    let critical =
        batches.map(|(i, pair)| batch(&format!("{:02}", i + 1), "prod-nights", pair.iter().map(of).collect()));
    world.rollout.waves = vec![
        wave("test", 1, &[], vec![batch("01", "any-time", vec![of(first)])]),
        wave("critical", 2, &["test"], critical.collect()),
    ];
    world.rollout.name = format!("{tool}-2026-11-20").into();
    world.rollout.digest = patchset_digest(&targets);
    world.rollout.targets = targets;
    world.observation.assets = assets.iter().map(|(asset, _)| asset.clone()).collect();
    world.observation.assets.sort_by(|a, b| a.name.cmp(&b.name));
    world.observation.advisories = Vec::new();
    world.rollout.advisories = Vec::<Arc<str>>::new();
    world
}

/// Four RHEL hosts of one content view, whose version `12.0` all three environments have: `sat-test` in Dev, `sat-1` to
/// `sat-3` in Prod. `sat-3` has a second view and no kernel to update.
pub fn satellite() -> World {
    let rhel = ("rhel", "9");
    let targets = vec![
        target(Scheme::Rpm, rhel, "x86_64", "kernel-core", "5.14.0-503.14.1.el9_5"),
        target(Scheme::Rpm, rhel, "x86_64", "openssl-libs", "1:3.0.7-27.el9"),
    ];
    let host = |name: &str, record: u32, environment: (&str, u64), views: &[(&str, u64, u64)]| {
        let mut asset = asset(name, ("rhel", "rhel", "9.5"), &[("tier", "web")], None, record);
        let view = |(view, view_id, version_id): &(&str, u64, u64)| ContentView {
            host_id: Some(16 + u64::from(record)),
            organization: "Acme Europe".into(),
            view: (*view).into(),
            view_id: *view_id,
            version: "12.0".into(),
            version_id: *version_id,
            environment: environment.0.into(),
            environment_id: environment.1,
            rolling: false,
            composite: false,
        };
        asset.facts.content = Some(views.iter().map(view).collect());
        asset
    };
    let (base, extra) = (("RHEL 9 \"base\" {{ 7*7 }}", 3, 88), ("Web", 5, 91));
    let (kernel, ssl) = ((0, "5.14.0-427.13.1.el9_4"), (1, "1:3.0.7-24.el9"));
    let class = json!({"content": "content-view", "protection": {"backup": "vm-snapshot", "rollback": "package-downgrade", "keepFor": "7d"}});
    let mut world = two_waves(
        "satellite",
        class,
        Reversibility::Exact,
        targets,
        &[
            (host("sat-test", 1, ("Dev", 2), &[base]), &[kernel, ssl]),
            (host("sat-1", 2, ("Prod", 3), &[base]), &[kernel, ssl]),
            (host("sat-2", 3, ("Prod", 3), &[base]), &[kernel, ssl]),
            (host("sat-3", 4, ("Prod", 3), &[base, extra]), &[ssl]),
        ],
    );
    world.observation.advisories = vec![
        fixes("RHSA-2026:0101", "rhel", "9", ("openssl-libs", "1:3.0.7-27.el9")),
        fixes("RHSA-2026:0102", "rhel", "9", ("kernel-core", "5.14.0-503.14.1.el9_5")),
    ];
    world.rollout.advisories = vec!["RHSA-2026:0101".into(), "RHSA-2026:0102".into()];
    world
}

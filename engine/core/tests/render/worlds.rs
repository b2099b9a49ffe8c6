//! A world for each render target: what its golden files are rendered from.

use std::sync::Arc;

use patchwave_core::history::Target;
use patchwave_core::load::wire::Reversibility;
use patchwave_core::observe::Asset;
use patchwave_core::plan::BatchAsset;
use patchwave_core::render::patchset_digest;
use serde_json::Value;

use crate::fixture::{World, batch, planned, resources, wave, world};
use crate::kubernetes;

/// Name of a target and its world; one line a target.
pub const WORLDS: &[(&str, fn() -> World)] = &[
    ("ansible", world),
    ("kubeadm", kubernetes::kubeadm),
    ("kubernetes", kubernetes::plans),
    ("kured", kubernetes::kured),
    ("nvidia", kubernetes::nvidia),
];

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

//! Charts and images of clusters: the world of the golden files, and what a name of an image may be.

use patchwave_core::history::Target;
use patchwave_core::load::wire::Reversibility;
use patchwave_core::observe::Asset;
use patchwave_core::version::Scheme;
use serde_json::{Value, json};

use crate::fixture::{World, asset, target};
use crate::worlds::two_waves;

/// Four clusters: `helm-test` and `helm-1` take two charts and an image, the others one of them; `helm-3` has no way back.
pub fn helm() -> World {
    let chart = |vendor: &str, name: &str, version: &str| -> Target {
        target(Scheme::Semver, ("application", vendor), "", name, version)
    };
    let targets = vec![
        chart("helm", "cert-manager", "v1.14.5"),
        chart("helm", "ingress-nginx", "4.11.5"),
        target(
            Scheme::Semver,
            ("image", "ghcr.io"),
            "",
            "ghcr.io/acme/shop-api",
            "2.4.1",
        ),
    ];
    let class = json!({"disruption": {"reboot": "never"}, "protection": {"rollback": "package-downgrade"}});
    let (manager, ingress, api) = ((0, "v1.14.4"), (1, "4.11.3"), (2, "2.4.0"));
    let all: &[(usize, &str)] = &[manager, ingress, api];
    let assets = [
        (cluster("helm-test", 1), all),
        (cluster("helm-1", 2), all),
        (cluster("helm-2", 3), &[ingress][..]),
        (cluster("helm-3", 4), &[api][..]),
    ];
    let mut world = two_waves("helm", class, Reversibility::Exact, targets, &assets);
    world.asset(2).1.rollback = Reversibility::None;
    world
}

/// A cluster runs on systems that are assets of their own; of it, only its components were observed.
fn cluster(name: &str, record: u32) -> Asset {
    let mut asset = asset(name, ("other", "kubernetes", "1.31"), &[], None, record);
    asset.facts.os = None;
    asset
}

fn batch(world: &World, path: &str) -> Value {
    let files = world.render().unwrap_or_else(|faults| panic!("{faults:?}")).files;
    serde_json::from_slice(&files[path]).unwrap()
}

#[test]
fn the_way_back_names_what_was_before() {
    let world = helm();
    let there = batch(&world, "waves/02-critical/helm/batch-01.json");
    let back = batch(&world, "waves/02-critical/rollback/helm/batch-01.json");
    assert_eq!(
        (&there["action"], &back["action"]),
        (&json!("patch"), &json!("rollback"))
    );
    assert_eq!(there["assets"][0]["components"], back["assets"][0]["components"]);
    let last = batch(&world, "waves/02-critical/rollback/helm/batch-02.json");
    assert_eq!(last["assets"][0]["rollback"], json!("none"));
}

#[test]
fn an_image_is_named_with_its_registry_and_a_chart_is_not() {
    let faults = |index: usize, name: &str| {
        let mut world = helm();
        world.rollout.targets[index].name = name.into();
        world.rollout.digest = patchwave_core::render::patchset_digest(&world.rollout.targets);
        world.render().err().map_or(0, |faults| faults.len())
    };
    assert_eq!(faults(2, "registry.corp.example:5000/shop/api"), 0);
    assert!(faults(2, "https://ghcr.io/acme/shop-api") > 0);
    assert!(faults(2, "../shop-api") > 0);
    assert!(faults(1, "ingress/nginx") > 0);
}

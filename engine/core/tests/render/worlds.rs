//! A world for each render target: what its golden files are rendered from.

use std::sync::Arc;

use patchwave_core::history::Target;
use patchwave_core::load::wire::{AdvisoryType, Reversibility};
use patchwave_core::name::Severity;
use patchwave_core::observe::{AdvisoryRecord, Asset, Ecosystem, Fix, OfferedUpdate, Provenance};
use patchwave_core::plan::BatchAsset;
use patchwave_core::render::patchset_digest;
use patchwave_core::version::Scheme;
use serde_json::Value;

use crate::fixture::{World, asset, batch, planned, resources, target, wave, world};
use crate::kubernetes;
use crate::tier2::world_of;

/// Name of a target and what makes its world.
pub type Entry = (&'static str, fn() -> World);

/// One line a target.
pub const WORLDS: &[Entry] = &[
    ("ansible", world),
    ("firmware", || world_of("firmware")),
    ("helm", crate::helm::helm),
    ("image", || world_of("image")),
    ("intune", || world_of("intune")),
    ("ivanti", || world_of("ivanti")),
    ("kubeadm", kubernetes::kubeadm),
    ("kubernetes", kubernetes::plans),
    ("kured", kubernetes::kured),
    ("landscape", || world_of("landscape")),
    ("manageengine", || world_of("manageengine")),
    ("nvidia", kubernetes::nvidia),
    ("satellite", crate::satellite::satellite),
    ("sccm", || world_of("sccm")),
    ("solarwinds", || world_of("solarwinds")),
    ("uyuni", || world_of("uyuni")),
    ("vcenter", || world_of("vcenter")),
    ("wsus", windows),
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

/// Windows servers of an update server: two releases, of which one is brought by two updates, one of them with a license
/// agreement, and one that cannot be uninstalled.
pub fn windows() -> World {
    let (server_2019, server_2022) = ("10.0.17763", "10.0.20348");
    let build = |branch: &str, revision: &str| {
        target(
            Scheme::Windows,
            ("os", branch),
            "",
            "windows",
            &format!("{branch}.{revision}"),
        )
    };
    let targets = vec![build(server_2019, "6414"), build(server_2022, "2762")];
    let server = |name: &str, release: &str, record: u32, updates: Vec<OfferedUpdate>| {
        let mut asset = asset(name, ("windows", "windows", release), &[], None, record);
        asset.facts.updates = Some(updates.into());
        asset
    };
    let of_2019 = || {
        vec![
            offered(
                "0b6bd6a5-7b1e-4a3e-93cb-c1f5d3a7f001",
                201,
                "5044277",
                "2026-11 Cumulative Update for Windows Server 2019 (KB5044277)",
                false,
            ),
            offered(
                "c7e0a9f2-5d43-4c58-8f0e-6a2b1d9e4002",
                103,
                "5044277",
                "2026-11 Servicing for Windows Server 2019 (KB5044277)",
                true,
            ),
        ]
    };
    let of_2022 = |uninstallable: bool| OfferedUpdate {
        uninstallable,
        ..offered(
            "fb95c1c8-de23-4089-ae29-fd3351d55421",
            200,
            "5044281",
            "2026-11 Cumulative Update for Windows Server 2022 (KB5044281)",
            false,
        )
    };
    let old_2022: &[(usize, &str)] = &[(1, "10.0.20348.2700")];
    let assets = [
        (server("ws-test", "2022", 1, vec![of_2022(true)]), old_2022),
        (server("ws-1", "2022", 2, vec![of_2022(true)]), old_2022),
        (server("ws-2", "2019", 3, of_2019()), &[(0, "10.0.17763.6293")]),
        (server("ws-3", "2022", 4, vec![of_2022(false)]), old_2022),
    ];
    let class = serde_json::json!({
        "content": "wsus", "protection": {"rollback": "kb-uninstall"}, "disruption": {"reboot": "ifNeeded"},
    });
    let mut world = two_waves("wsus", class, Reversibility::Exact, targets, &assets);
    world.observation.advisories = vec![
        brings("CVE-2026-1001", "10.0.17763.6414", "5044277"),
        brings("CVE-2026-1002", "10.0.20348.2762", "5044281"),
    ];
    world.rollout.advisories = vec!["CVE-2026-1001".into(), "CVE-2026-1002".into()];
    // What cannot be uninstalled has no way back.
    world.asset(2).1.rollback = Reversibility::None;
    world
}

/// An update that the server offers.
pub fn offered(id: &str, revision: u32, kb: &str, title: &str, eula: bool) -> OfferedUpdate {
    OfferedUpdate {
        update_id: id.into(),
        revision,
        kbs: vec![kb.into()],
        title: title.into(),
        state: "NotInstalled".into(),
        approval: "NotApproved".into(),
        eula,
        uninstallable: true,
        superseded: false,
    }
}

/// An advisory whose article brings a build.
pub fn brings(id: &str, build: &str, kb: &str) -> AdvisoryRecord {
    AdvisoryRecord {
        id: id.into(),
        aliases: Vec::new(),
        severity: Severity::Critical,
        types: vec![AdvisoryType::Security],
        published: None,
        modified: None,
        withdrawn: None,
        fixes: vec![Fix {
            ecosystem: Ecosystem {
                scheme: Scheme::Windows,
                os_id: "os".into(),
                release: None,
            },
            package: "windows".into(),
            by_source: false,
            arch: None,
            module: None,
            edition: None,
            introduced: None,
            fixed: Some(build.into()),
            last_affected: None,
            entitlement: None,
            kb: Some(kb.into()),
        }],
        reboot: None,
        exploited: None,
        cves: Vec::new(),
        provenance: Provenance {
            source: "msrc".into(),
            file: "msrc/2026-Nov.json".into(),
            record: 1,
        },
    }
}

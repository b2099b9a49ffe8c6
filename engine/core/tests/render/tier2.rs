//! Targets written after their vendors' documentation: one world for all of them, made of what each says it takes.

use patchwave_core::history::Target;
use patchwave_core::load::BUILTIN_TARGETS;
use patchwave_core::load::wire::{ComponentKind, Reversibility, TargetSpec};
use patchwave_core::observe::Asset;
use patchwave_core::plan::Image;
use patchwave_core::version::Scheme;
use serde_json::{Value, json};

use crate::fixture::{World, asset, target};
use crate::satellite::fixing;
use crate::worlds::{Taking, brings, offered, two_waves};

/// The build that the Windows hosts go to.
const BUILD: &str = "10.0.20348.2762";

/// A system that takes one thing: family, id and release of its system, what it goes to, and what it has.
type Thing = ((&'static str, &'static str, &'static str), Target, &'static str);

fn package(scheme: Scheme) -> Thing {
    match scheme {
        Scheme::Deb => (
            ("ubuntu", "ubuntu", "24.04"),
            target(scheme, ("ubuntu", "24.04"), "amd64", "libssl3t64", "3.0.13-0ubuntu3.5"),
            "3.0.13-0ubuntu3.4",
        ),
        _ => (
            ("rhel", "rhel", "9.5"),
            target(Scheme::Rpm, ("rhel", "9"), "x86_64", "openssl-libs", "1:3.0.7-27.el9"),
            "1:3.0.7-24.el9",
        ),
    }
}

fn component(kind: ComponentKind) -> Thing {
    let (os, branch, name, before, version) = match kind {
        ComponentKind::Os => (
            ("windows", "windows", "2022"),
            "10.0.20348",
            "windows",
            "10.0.20348.2700",
            BUILD,
        ),
        ComponentKind::Hypervisor => (
            ("other", "esxi", "8"),
            "vmware",
            "esxi",
            "8.0.2-0.0.22380479",
            "8.0.3-0.35.24280767",
        ),
        ComponentKind::Storage => (("other", "ontap", "9"), "netapp", "ontap", "9.14.1P6", "9.14.1P10"),
        ComponentKind::Backup => (
            ("other", "vbr", "12"),
            "veeam",
            "backup-replication",
            "12.3.0.310",
            "12.3.2.3617",
        ),
        ComponentKind::Image => (("rhel", "rhel", "9.5"), "acme", "golden-web", "2026.10.1", "2026.11.1"),
        _ => (("other", "ilo", "5"), "hpe", "ilo5", "3.08", "3.09"),
    };
    let target = target(kind.scheme(), (kind.as_str(), branch), "", name, version);
    (os, target, before)
}

/// Four assets, which take in turn what `target.yaml` says the tool installs and updates.
pub fn world_of(tool: &str) -> World {
    let spec: &TargetSpec = &BUILTIN_TARGETS[tool];
    let packages = spec.ecosystems.iter().map(|scheme| package(*scheme));
    let things: Vec<Thing> = packages.chain(spec.kinds.iter().map(|kind| component(*kind))).collect();
    let names = ["test", "1", "2", "3"].map(|name| format!("{tool}-{name}"));
    let takes: Vec<Vec<(usize, &str)>> = (0..names.len())
        .map(|i| {
            let thing = i % things.len();
            vec![(thing, things[thing].2)]
        })
        .collect();
    let assets: Vec<Taking<'_>> = names
        .iter()
        .zip(&takes)
        .zip(1..)
        .map(|((name, takes), record)| (observed(name, &things[takes[0].0], record), takes.as_slice()))
        .collect();
    let remedy = if spec.replaces { "replace" } else { "patch" };
    let class = json!({"disruption": {"reboot": "ifNeeded"}, "remedy": remedy});
    let targets = things.iter().map(|thing| thing.1.clone()).collect();
    let mut world = two_waves(tool, class, Reversibility::None, targets, &assets);
    world.observation.advisories = vec![
        brings("CVE-2026-1002", BUILD, "5044281"),
        fixing("RHSA-2026:0101", "openssl-libs", "1:3.0.7-27.el9"),
    ];
    world.rollout.advisories = vec!["CVE-2026-1002".into(), "RHSA-2026:0101".into()];
    if spec.replaces {
        let batches = world.rollout.waves.iter_mut().flat_map(|wave| &mut wave.batches);
        for asset in batches.flat_map(|batch| &mut batch.assets) {
            asset.image = Some(Image {
                name: "golden-web".into(),
                from: "2026.10.1".into(),
                id: "0b6bd6a57b1e".into(),
            });
        }
    }
    world
}

fn observed(name: &str, (os, target, _): &Thing, record: u32) -> Asset {
    let mut asset = asset(name, *os, &[], None, record);
    if target.os_id.as_ref() == "os" {
        let title = "2026-11 Cumulative Update for Windows Server 2022 (KB5044281)";
        let update = offered("fb95c1c8-de23-4089-ae29-fd3351d55421", 200, "5044281", title, false);
        asset.facts.updates = Some([update].into());
    }
    asset
}

fn body(world: &World, path: &str) -> Value {
    let files = world.render().unwrap_or_else(|faults| panic!("{faults:?}")).files;
    serde_json::from_slice(&files[path]).unwrap()
}

/// Lists that mean everything when they are empty are never rendered empty.
#[test]
fn an_empty_list_is_never_rendered() {
    let mut world = world_of("uyuni");
    let batch = body(&world, "waves/01-test/uyuni/batch-01.json");
    assert_eq!(batch["assets"][0]["errata"], json!(["RHSA-2026:0101"]));
    world.observation.advisories.clear();
    let faults = world.render().unwrap_err();
    assert!(
        faults.iter().any(|fault| fault.message.contains("empty list")),
        "{faults:?}"
    );

    let batch = body(&world_of("landscape"), "waves/01-test/landscape/batch-01.json");
    assert_eq!(batch["assets"][0]["upgrade"], json!(["libssl3t64"]));
    // vLCM remediates the whole cluster where no hosts are named, so a host stands in every asset.
    let batch = body(&world_of("vcenter"), "waves/02-critical/vcenter/batch-01.json");
    let hosts = batch["assets"].as_array().unwrap();
    assert!(
        hosts
            .iter()
            .all(|asset| asset["host"].as_str().is_some_and(|host| !host.is_empty()))
    );
}

/// What nobody has tried says so: no target of this file names a tool that accepted it.
#[test]
fn unproven_targets_say_so_where_people_read() {
    for tool in [
        "uyuni",
        "landscape",
        "sccm",
        "intune",
        "vcenter",
        "firmware",
        "image",
        "ivanti",
        "manageengine",
        "solarwinds",
    ] {
        assert!(BUILTIN_TARGETS[tool].accepted_by.is_empty(), "{tool}");
        let files = world_of(tool)
            .render()
            .unwrap_or_else(|faults| panic!("{tool}: {faults:?}"))
            .files;
        let runbook = String::from_utf8_lossy(&files["waves/01-test/RUNBOOK.md"]).into_owned();
        assert!(runbook.contains("no tool has accepted these files"), "{tool}");
    }
}

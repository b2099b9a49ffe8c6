//! Rendering: golden files, digests, the frozen plan and hostile values.
//!
//! `PATCHWAVE_UPDATE=1 cargo test -p patchwave-core --test render` rewrites what is checked in.
#![expect(
    clippy::disallowed_methods,
    reason = "golden files are read and rewritten here; the crate itself reads none"
)]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test helper that cannot go on fails its test"
)]

mod fixture;
mod helm;
mod hostile;
mod included;
mod kubernetes;
mod powershell;
mod powershell_table;
mod satellite;
mod tier2;
mod trials;
mod worlds;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fixture::{at, world};
use patchwave_core::canonical::sha256_hex;
use patchwave_core::history::WaveState;
use patchwave_core::load::known::TARGETS;
use patchwave_core::load::wire::OnFailure;
use patchwave_core::load::{BUILTIN, BUILTIN_TARGETS};
use patchwave_core::render::wire::{
    ReadError, ResultFile, read_openings_json, read_patchset_yaml, read_plan_json, read_result, read_rollout_yaml,
};
use patchwave_core::render::{DOCUMENTS, RenderInput, TargetSpec, patchset_digest, read_pack, render, wave_digest};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn updating() -> bool {
    std::env::var_os("PATCHWAVE_UPDATE").is_some()
}

/// Every file below a folder: relative path with `/` → bytes.
fn files_below(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_str().unwrap().replace('\\', "/");
                found.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    found
}

/// Compares `files` with a checked-in folder, or rewrites it.
fn golden(folder: &str, files: &BTreeMap<String, Vec<u8>>) {
    let folder = root().join(folder);
    if updating() {
        let _ = std::fs::remove_dir_all(&folder);
        for (path, bytes) in files {
            let path = folder.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
    }
    let kept = files_below(&folder);
    assert_eq!(kept.keys().collect::<Vec<_>>(), files.keys().collect::<Vec<_>>());
    for (path, bytes) in files {
        let (kept, made) = (String::from_utf8_lossy(&kept[path]), String::from_utf8_lossy(bytes));
        assert!(
            kept == made,
            "{path} differs; PATCHWAVE_UPDATE=1 rewrites it if that is meant\n{made}"
        );
    }
}

#[test]
fn golden_files() {
    for (target, world) in worlds::WORLDS {
        let bundle = world().render().unwrap_or_else(|faults| panic!("{target}: {faults:?}"));
        golden(&format!("templates/{target}/golden"), &bundle.files);
    }
    // A target of the engine without golden files would be one nobody has looked at.
    let with_golden: Vec<&str> = worlds::WORLDS.iter().map(|(name, _)| *name).collect();
    for name in BUILTIN_TARGETS.keys().filter(|name| *name != DOCUMENTS) {
        assert!(
            with_golden.contains(&name.as_str()),
            "target {name} has no world in worlds.rs"
        );
    }
}

#[test]
fn every_target_of_the_engine_can_be_read() {
    let folders = BUILTIN.iter().filter_map(|(path, _)| path.strip_suffix("/target.yaml"));
    assert_eq!(folders.collect::<Vec<_>>(), BUILTIN_TARGETS.keys().collect::<Vec<_>>());
    let known = TARGETS.iter().filter(|known| known.built).map(|known| known.name);
    let targets = BUILTIN_TARGETS
        .keys()
        .map(String::as_str)
        .filter(|name| *name != DOCUMENTS);
    assert_eq!(
        known.collect::<Vec<_>>(),
        targets.collect::<Vec<_>>(),
        "load::known names what is built"
    );
    // A command takes them as they are and compiles what it renders, so their faults have to be found here.
    for target in BUILTIN_TARGETS.keys() {
        let inside = format!("{target}/");
        let own = BUILTIN.iter().filter_map(|(path, text)| {
            let path = path
                .strip_prefix(&inside)
                .or_else(|| path.starts_with("common/").then_some(*path))?;
            Some((path.to_owned(), (*text).to_owned()))
        });
        if let Err(faults) = read_pack(target, own.collect()) {
            panic!("{target}: {faults:?}");
        }
    }
}

#[test]
fn the_frozen_plan_comes_back() {
    let world = world();
    let bundle = world.render().unwrap();
    let frozen = read_plan_json(&bundle.files["plan.json"]).unwrap();
    assert_eq!(frozen.patchset.targets, world.rollout.targets);
    assert_eq!(*frozen.patchset.digest, *world.rollout.digest);
    assert_eq!(frozen.waves[1].batches[1].assets[0].name, "web-1");
    assert_eq!(frozen.rollout.cut, world.rollout.cut);
    let rollout = read_rollout_yaml(&bundle.files["rollout.yaml"]).unwrap();
    assert_eq!(rollout.rollout, frozen.rollout);
    assert_eq!(
        read_patchset_yaml(&bundle.files["patchset.yaml"]).unwrap().patchset,
        frozen.patchset
    );
    let openings = read_openings_json(&bundle.files["waves/02-critical/openings.json"]).unwrap();
    assert_eq!(openings.until, at("2026-12-25T00:00:00Z"));
    assert_eq!(
        openings.batches["02"].openings[0].start_before,
        Some(at("2026-11-25T02:00:00Z"))
    );
    // Rendering from the frozen plan gives the frozen plan.
    let waves = [Arc::from("test"), Arc::from("critical")];
    let mut input = world.input(&waves);
    input.frozen = Some(&frozen);
    assert_eq!(render(&input).unwrap(), bundle);
}

#[test]
fn a_newer_major_is_refused_and_a_newer_minor_is_not() {
    let plan = String::from_utf8(world().render().unwrap().files["plan.json"].clone()).unwrap();
    let with = |version: &str| {
        plan.replacen("\"1.0\"", version, 1)
            .replacen("\"name\"", "\"later\": [], \"name\"", 1)
    };
    assert!(read_plan_json(with("\"1.7\"").as_bytes()).is_ok());
    assert!(matches!(
        read_plan_json(with("\"2.0\"").as_bytes()),
        Err(ReadError::Newer { .. })
    ));
    assert!(matches!(
        read_plan_json(with("\"x\"").as_bytes()),
        Err(ReadError::Malformed { .. })
    ));
    assert!(matches!(
        read_plan_json(b"{\"formatVersion\": \"1.0\"}"),
        Err(ReadError::Malformed { .. })
    ));
    assert!(matches!(
        read_result(br#"{"formatVersion": "3.0", "shape": "unknown"}"#),
        Err(ReadError::Newer { .. })
    ));
}

#[test]
fn the_digest_moves_with_what_is_executed_and_with_nothing_else() {
    let first = world().render().unwrap();
    let digest_of = |change: &dyn Fn(&mut fixture::World)| {
        let mut other = world();
        change(&mut other);
        other.render().unwrap().digests["critical"].clone()
    };
    let same = &first.digests["critical"];
    // Time, schedule, slack, state, openings: not in it.
    let moved = digest_of(&|w| {
        let wave = &mut w.rollout.waves[1];
        wave.slack_seconds = Some(-5);
        wave.deadline = Some(at("2027-01-01T00:00:00Z"));
        wave.batches[0].start = None;
        wave.batches[0].assets[0].stale = true;
        w.openings.clear();
        w.rollout.installability_unknown = false;
    });
    // The deadline that held at the cut stands in change.md, so here it is kept as it was.
    let kept = digest_of(&|w| {
        w.rollout.waves[1].slack_seconds = Some(-5);
        w.rollout.waves[1].batches[0].start = None;
        w.openings.clear();
    });
    assert_eq!(&kept, same);
    assert_ne!(&moved, same);
    // What is executed, and in which window: in it.
    let changes: [&dyn Fn(&mut fixture::World); 5] = [
        &|w| w.rollout.waves[1].batches[0].assets[0].rollback = patchwave_core::load::wire::Reversibility::Snapshot,
        &|w| w.catalog.windows.get_mut("prod-nights").unwrap().spec.cutoff = "2h".parse().unwrap(),
        &|w| w.rollout.targets[1].version = "1:3.0.7-28.el9".into(),
        &|w| w.asset(6).0.address = Some("10.0.0.99".into()),
        &|w| drop(w.packs.hooks.insert("lb-drain".into(), "---\n".into())),
    ];
    for (i, change) in changes.iter().enumerate() {
        assert_ne!(&digest_of(*change), same, "change {i}");
    }
}

#[test]
fn the_digest_of_merged_files_is_that_of_the_proposal_until_somebody_edits() {
    let mut bundle = world().render().unwrap();
    let frozen = read_plan_json(&bundle.files["plan.json"]).unwrap();
    assert_eq!(
        wave_digest(&frozen, "critical", &bundle.files).as_ref(),
        bundle.digests.get("critical")
    );
    assert_eq!(wave_digest(&frozen, "nothing", &bundle.files), None);
    let mut edited = frozen.clone();
    edited.patchset.targets[0].version = "9:9-9".into();
    for (field, value) in [
        ("soakSeconds", serde_json::json!(0)),
        ("gates", serde_json::json!([{"status": "ok", "source": "nagios"}])),
        ("promoteAt", serde_json::json!({"patched": "50%"})),
        ("maxFailures", serde_json::json!(7)),
        ("approval", serde_json::json!("automatic")),
        ("needs", serde_json::json!([])),
        ("onFailure", serde_json::json!("halt")),
        ("deadline", serde_json::json!("2027-01-01T00:00:00Z")),
    ] {
        let mut plan = serde_json::to_value(&frozen).unwrap();
        plan["waves"][1][field] = value;
        let Ok(ruled) = serde_json::from_value(plan) else {
            panic!("{field} is not read back");
        };
        assert_ne!(
            wave_digest(&ruled, "critical", &bundle.files).as_ref(),
            bundle.digests.get("critical"),
            "{field}"
        );
    }
    assert_ne!(
        wave_digest(&edited, "critical", &bundle.files).as_ref(),
        bundle.digests.get("critical")
    );
    bundle
        .files
        .get_mut("waves/02-critical/ansible/batch-01.yml")
        .unwrap()
        .push(b'#');
    assert_ne!(
        wave_digest(&frozen, "critical", &bundle.files).as_ref(),
        bundle.digests.get("critical")
    );
    assert_eq!(
        wave_digest(&frozen, "test", &bundle.files).as_ref(),
        bundle.digests.get("test")
    );
}

#[test]
fn the_patch_set_digest_knows_no_order() {
    let mut targets = world().rollout.targets;
    let digest = patchset_digest(&targets);
    targets.reverse();
    assert_eq!(patchset_digest(&targets), digest);
    targets.pop();
    assert_ne!(patchset_digest(&targets), digest);
}

#[test]
fn sums_cover_every_file_and_those_of_merged_waves() {
    let mut world = world();
    world
        .carried
        .insert("waves/01-test/ansible/batch-01.yml".into(), b"merged".to_vec());
    world
        .carried
        .insert("waves/02-critical/old.yml".into(), b"replaced".to_vec());
    let bundle = render(&world.input(&["critical".into()])).unwrap();
    assert!(!bundle.files.keys().any(|path| path.starts_with("waves/01-test/")));
    let sums = String::from_utf8(bundle.files["SHA256SUMS"].clone()).unwrap();
    let listed: BTreeMap<&str, &str> = sums
        .lines()
        .map(|l| l.split_once("  ").unwrap())
        .map(|(d, p)| (p, d))
        .collect();
    let mut expected: BTreeMap<&str, String> = bundle
        .files
        .iter()
        .filter(|(p, _)| *p != "SHA256SUMS")
        .map(|(p, b)| (p.as_str(), sha256_hex(b)))
        .collect();
    expected.insert("waves/01-test/ansible/batch-01.yml", sha256_hex(b"merged"));
    assert_eq!(listed.len(), expected.len());
    assert!(
        expected
            .iter()
            .all(|(path, digest)| listed.get(path) == Some(&digest.as_str()))
    );
}

#[test]
fn every_fault_is_told_at_once_with_its_place() {
    let mut world = world();
    world.asset(0).0.address = Some("db; rm -rf /".into());
    world.asset(1).1.target = "mainframe".into();
    world.rollout.targets[1].version = "latest".into();
    world.catalog.classes.get_mut("web").unwrap().spec.hooks.always[0].name = "mine".into();
    let faults = world.render().unwrap_err();
    let text: String = faults.iter().map(|f| format!("{f}\n")).collect();
    for part in [
        "fleets/observed/facts.ndjson#1: asset db-2: host `db; rm -rf /`",
        "target `mainframe` is not built",
        "version `latest`",
        "hook `mine` has no task file",
    ] {
        assert!(text.contains(part), "{part} missing in\n{text}");
    }
}

/// Traps of dnf and apt that the playbooks must keep clear of, read off the golden files.
#[test]
fn traps_stay_avoided() {
    let bundle = world().render().unwrap();
    for (path, bytes) in &bundle.files {
        let text = String::from_utf8_lossy(bytes);
        let code: String = text
            .lines()
            .filter(|l| !l.trim_start().starts_with('#'))
            .map(|l| format!("{l}\n"))
            .collect();
        // dnf `security: true` filters dependencies too; update_only with an exact version installs nothing and says ok.
        for trap in [
            "security: true",
            "update_only:",
            "package_facts",
            "state: latest",
            "ansible.builtin.shell",
            "ignore_errors",
        ] {
            assert!(!code.contains(trap), "{path} has {trap}");
        }
    }
    let batch = String::from_utf8_lossy(&bundle.files["waves/01-test/ansible/batch-01.yml"]).into_owned();
    assert!(batch.contains("pin: \"openssl-libs-1:3.0.7-27.el9.x86_64\""));
    assert!(batch.contains("pin: \"libssl3=3.0.15-1~deb12u1\""));
    assert!(batch.contains("pin: \"libssl3:i386=3.0.15-1~deb12u1\""));
}

#[test]
fn published_schemas() {
    for (path, schema) in [
        ("schemas/result/v1.json", schemars::schema_for!(ResultFile)),
        ("schemas/target/v1.json", schemars::schema_for!(TargetSpec)),
    ] {
        let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        let file = root().join(path);
        if updating() {
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, &text).unwrap();
        }
        assert!(
            std::fs::read_to_string(&file).unwrap() == text,
            "{path} is not generated from the code; PATCHWAVE_UPDATE=1 rewrites it"
        );
    }
}

#[test]
fn the_runbook_asks_for_forensic_triage_before_anything_runs() {
    let mut world = fixture::world();
    let runbook = |world: &fixture::World, wave: &str| {
        let bundle = world.render().unwrap();
        String::from_utf8(bundle.files[&format!("waves/{wave}/RUNBOOK.md")].clone()).unwrap()
    };
    assert!(!runbook(&world, "02-critical").contains("riage"));
    world.rollout.forensics = vec!["web-1".into(), "web-2".into()];
    let text = runbook(&world, "02-critical");
    let (triage, run) = (
        text.find("The SLA asks for it on web-1, web-2."),
        text.find("## Run a batch"),
    );
    assert!(triage.unwrap() < run.unwrap(), "{text}");
    assert!(
        !runbook(&world, "01-test").contains("riage"),
        "only where its assets are"
    );
}

#[test]
fn a_merged_wave_stays_word_for_word_what_was_approved() {
    let mut world = world();
    let first = world.render().unwrap();
    let frozen = read_plan_json(&first.files["plan.json"]).unwrap();
    // Afterwards people edit the strategy and a window, and the next wave is proposed.
    world.rollout.waves[0].state = WaveState::Promoted;
    world.rollout.waves[0].soak_seconds += 1;
    let strategy = world.catalog.strategies.get_mut("standard").unwrap();
    for wave in &mut strategy.spec.waves {
        wave.on_failure = OnFailure::Rollback;
    }
    for window in ["any-time", "prod-nights"] {
        world.catalog.windows.get_mut(window).unwrap().spec.cutoff = "2h".parse().unwrap();
    }
    world.carried = first.files.clone();
    let waves = ["critical".into()];
    let input = RenderInput {
        frozen: Some(&frozen),
        ..world.input(&waves)
    };
    let second = render(&input).unwrap();
    let merged: BTreeMap<String, Vec<u8>> = first.files.into_iter().chain(second.files).collect();
    let plan = read_plan_json(&merged["plan.json"]).unwrap();
    assert_eq!(
        wave_digest(&plan, "test", &merged).as_ref(),
        first.digests.get("test"),
        "the first wave is what it was"
    );
    assert_eq!(plan.waves[1].on_failure, OnFailure::Rollback);
    assert_ne!(
        wave_digest(&plan, "critical", &merged).as_ref(),
        first.digests.get("critical")
    );
}

/// Task files are included by name at run time, so no check of syntax finds one that is not there.
#[test]
fn every_included_task_file_is_there() {
    let mut seen = 0;
    for (target, world) in worlds::WORLDS {
        let files = world().render().unwrap().files;
        for (path, bytes) in files.iter().filter(|(path, _)| path.ends_with(".yml")) {
            let folder = path.rsplit_once('/').unwrap().0;
            let text = String::from_utf8_lossy(bytes);
            let included = text
                .lines()
                .filter_map(|l| l.trim().strip_prefix("ansible.builtin.include_tasks: "));
            for name in included.filter(|name| !name.contains("{{")) {
                let mut parts: Vec<&str> = folder.split('/').collect();
                for part in name.split('/') {
                    match part {
                        ".." => drop(parts.pop()),
                        part => parts.push(part),
                    }
                }
                assert!(files.contains_key(&parts.join("/")), "{target}: {path} includes {name}");
                seen += 1;
            }
        }
    }
    assert!(seen > 50, "{seen}");
}

#[test]
fn who_comes_after_a_member_of_a_service_is_told() {
    let mut world = world();
    let batch = |world: &fixture::World| {
        let files = world.render().unwrap().files;
        String::from_utf8_lossy(&files["waves/02-critical/ansible/batch-01.yml"]).into_owned()
    };
    assert!(batch(&world).contains("\"later\": []"));
    let web = world.asset(6).0;
    web.labels = Arc::new([("tier".into(), "db".into())].into());
    assert!(batch(&world).contains("\"later\": [\"web-1\"]"));
}

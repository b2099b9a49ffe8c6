//! Foreman and Katello: the world of the golden files, and the trap they are known for.

use std::collections::BTreeMap;

use patchwave_core::load::wire::{AdvisoryType, Reversibility};
use patchwave_core::name::Severity;
use patchwave_core::observe::{AdvisoryRecord, Asset, ContentView, Ecosystem, Fix, Package, Provenance};
use patchwave_core::version::Scheme;
use serde_json::{Value, json};

use crate::fixture::{World, asset, target};
use crate::worlds::two_waves;

/// Name, id and id of version `12.0` of a content view.
type View<'a> = (&'a str, u64, u64);

/// Free text, as people name things, with what a template must not take for its own.
const BASE: View<'_> = ("RHEL 9 'base' {{ 7*7 }}", 3, 88);
const WEB: View<'_> = ("Web", 5, 91);

/// Four RHEL hosts of one content view, whose version `12.0` both environments have: `sat-test` in Dev, `sat-1` to
/// `sat-3` in Prod. `sat-3` has a second view and takes no kernel.
pub fn satellite() -> World {
    let rhel = ("rhel", "9");
    let targets = vec![
        target(Scheme::Rpm, rhel, "x86_64", "kernel-core", "5.14.0-503.14.1.el9_5"),
        target(Scheme::Rpm, rhel, "x86_64", "openssl-libs", "1:3.0.7-27.el9"),
    ];
    let (kernel, ssl) = ((0, "5.14.0-427.13.1.el9_4"), (1, "1:3.0.7-24.el9"));
    let (dev, prod) = (("Dev", 2), ("Prod", 3));
    let class = json!({
        "content": "content-view", "disruption": {"reboot": "never"},
        "protection": {"backup": "vm-snapshot", "rollback": "package-downgrade", "keepFor": "7d"},
        "hooks": {"beforeAsset": [{"name": "lb-drain"}], "always": [{"name": "lb-undrain"}]},
    });
    let assets: [(Asset, &[(usize, &str)]); 4] = [
        (host("sat-test", 1, dev, &[BASE]), &[kernel, ssl]),
        (host("sat-1", 2, prod, &[BASE]), &[kernel, ssl]),
        (host("sat-2", 3, prod, &[BASE]), &[kernel, ssl]),
        (host("sat-3", 4, prod, &[BASE, WEB]), &[ssl]),
    ];
    let mut world = two_waves("satellite", class, Reversibility::Exact, targets, &assets);
    world.observation.advisories = vec![
        fixing("RHSA-2026:0101", "openssl-libs", "1:3.0.7-27.el9"),
        fixing("RHSA-2026:0102", "kernel-core", "5.14.0-503.14.1.el9_5"),
    ];
    world.rollout.advisories = vec!["RHSA-2026:0101".into(), "RHSA-2026:0102".into()];
    world
}

/// Host 17 and on, in order of `record`.
fn host(name: &str, record: u32, environment: (&str, u64), views: &[View<'_>]) -> Asset {
    let mut asset = asset(name, ("rhel", "rhel", "9.5"), &[], None, record);
    let view = |(view, view_id, version_id): &View<'_>| ContentView {
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
}

pub fn fixing(id: &str, package: &str, fixed: &str) -> AdvisoryRecord {
    AdvisoryRecord {
        id: id.into(),
        aliases: Vec::new(),
        severity: Severity::High,
        types: vec![AdvisoryType::Security],
        published: None,
        modified: None,
        withdrawn: None,
        fixes: vec![Fix {
            ecosystem: Ecosystem {
                scheme: Scheme::Rpm,
                os_id: "rhel".into(),
                release: Some("9".into()),
            },
            package: package.into(),
            by_source: false,
            arch: None,
            module: None,
            edition: None,
            introduced: None,
            fixed: Some(fixed.into()),
            last_affected: None,
            entitlement: None,
            kb: None,
        }],
        reboot: None,
        exploited: None,
        cves: Vec::new(),
        provenance: Provenance {
            source: "rhsa".into(),
            file: "csaf/rhsa-2026_0101.json".into(),
            record: 1,
        },
    }
}

fn view_of(world: &mut World, change: impl Fn(&mut ContentView)) {
    let asset = world.asset(0).0;
    let mut views: Vec<ContentView> = asset.facts.content.as_deref().unwrap_or_default().to_vec();
    views.iter_mut().for_each(change);
    asset.facts.content = Some(views.into());
}

/// Katello takes a blank errata search for every erratum and a blank host search for every host. Nothing here is blank,
/// and nothing is forced.
#[test]
fn never_a_blank_search() {
    let files = satellite().render().unwrap().files;
    let mut jobs = BTreeMap::new();
    for (path, bytes) in &files {
        let text = String::from_utf8_lossy(bytes);
        let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
        for line in lines {
            for trap in [
                "force: true",
                "force_promote",
                "\"force\": true",
                "by_search",
                "propagate_all_composites: true",
                "propagate_all_composites\": true",
            ] {
                assert!(!line.contains(trap), "{path} has {trap}: {line}");
            }
        }
        if path.contains("/bodies/batch-") {
            let read: BTreeMap<String, Value> = serde_json::from_slice(bytes).unwrap();
            jobs.extend(read);
        }
        if path.ends_with("/bodies/content.json") {
            let read: Vec<Value> = serde_json::from_slice(bytes).unwrap();
            assert!(!read.is_empty(), "{path}");
            for view in read {
                assert!(
                    !view["body"]["add_content"]["errata_ids"].as_array().unwrap().is_empty(),
                    "{path}"
                );
                assert!(!view["search"].as_str().unwrap().is_empty(), "{path}");
            }
        }
    }
    assert_eq!(jobs.keys().collect::<Vec<_>>(), ["sat-1", "sat-2", "sat-3", "sat-test"]);
    for (asset, job) in &jobs {
        let job = &job["body"]["job_invocation"];
        let host = job["search_query"].as_str().unwrap().strip_prefix("id = ");
        assert!(
            host.is_some_and(|id| id.parse::<u64>().is_ok_and(|id| id > 0)),
            "{asset}"
        );
        let errata = job["inputs"]["errata"].as_str().unwrap();
        assert!(
            errata.split(',').all(|id| id.starts_with("RHSA-2026:")),
            "{asset}: {errata}"
        );
    }
    // Each host gets its own errata and no other's.
    assert_eq!(
        jobs["sat-3"]["body"]["job_invocation"]["inputs"]["errata"],
        "RHSA-2026:0101"
    );
}

#[test]
fn what_would_be_blank_or_cannot_be_held_is_refused_with_its_place() {
    type Change<'c> = (&'c str, &'c dyn Fn(&mut World));
    let changes: [Change<'_>; 13] = [
        ("holds a quote", &|w| {
            view_of(w, |v| v.view = "x\" or name != \"".into())
        }),
        ("holds a quote", &|w| view_of(w, |v| v.organization = "x\\".into())),
        ("an empty list would mean every erratum", &|w| {
            w.rollout.advisories.clear()
        }),
        ("an empty list would mean every erratum", &|w| {
            w.observation.advisories.clear()
        }),
        ("advisory `RHSA-1,RHSA-2` is not", &|w| rename(w, "RHSA-1,RHSA-2")),
        ("advisory ` ` is not", &|w| rename(w, " ")),
        ("advisory `` is not", &|w| rename(w, "")),
        ("without a content view", &|w| w.asset(0).0.facts.content = None),
        ("without a content view", &|w| {
            w.asset(0).0.facts.content = Some([].into())
        }),
        ("without its `hostId`", &|w| view_of(w, |v| v.host_id = None)),
        ("is rolling", &|w| view_of(w, |v| v.rolling = true)),
        ("without the ids", &|w| view_of(w, |v| v.version_id = 0)),
        ("lifecycle environment `a\\nb` is not", &|w| {
            view_of(w, |v| v.environment = "a\nb".into())
        }),
    ];
    for (words, change) in changes {
        let mut world = satellite();
        change(&mut world);
        let faults = world.render().expect_err(words);
        let told = faults
            .iter()
            .find(|f| f.message.contains(words))
            .unwrap_or_else(|| panic!("{words}: {faults:?}"));
        assert!(told.subject.starts_with("asset sat-"), "{told}");
        assert!(
            told.place
                .as_deref()
                .is_some_and(|p| p.starts_with("fleets/observed/facts.ndjson#")),
            "{told}"
        );
    }
}

fn rename(world: &mut World, id: &str) {
    world.observation.advisories[0].id = id.into();
    world.observation.advisories.sort_by(|a, b| a.id.cmp(&b.id));
    world.rollout.advisories = world.observation.advisories.iter().map(|a| a.id.clone()).collect();
}

#[test]
fn what_assets_share_is_named_once_with_everything_they_take() {
    let files = satellite().render().unwrap().files;
    let read: Vec<Value> = serde_json::from_slice(&files["waves/02-critical/satellite/bodies/content.json"]).unwrap();
    let seen: Vec<(u64, u64, String)> = read
        .iter()
        .map(|v| {
            (
                v["viewId"].as_u64().unwrap(),
                v["environmentId"].as_u64().unwrap(),
                v["search"].to_string(),
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            (3, 3, "\"RHSA-2026:0101,RHSA-2026:0102\"".to_owned()),
            (5, 3, "\"RHSA-2026:0101\"".to_owned())
        ]
    );
}

#[test]
fn a_fix_named_by_source_is_for_what_was_built_from_that_source() {
    let built_from = |source: &str| {
        let mut world = satellite();
        let fix = &mut world.observation.advisories[0].fixes[0];
        (fix.by_source, fix.package) = (true, "openssl".into());
        let tables = &mut world.observation.tables;
        let package = Package {
            name: tables.intern("openssl-libs"),
            version: tables.intern("1:3.0.7-24.el9"),
            source: tables.intern(source),
            ..Package::default()
        };
        // An observation that knows the source by another package.
        tables.intern("openssl");
        let id = tables.package_id(package);
        let set = tables.set_id(vec![id]);
        world
            .observation
            .assets
            .iter_mut()
            .for_each(|a| a.facts.packages = Some(set));
        world.render()
    };
    assert_eq!(
        built_from("openssl").unwrap().files,
        satellite().render().unwrap().files
    );
    // `sat-3` takes nothing else, so nothing would be named for it.
    let faults = built_from("compat-openssl11").unwrap_err();
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(
        faults[0].subject.contains("sat-3") && faults[0].message.contains("no advisory of the rollout fixes"),
        "{faults:?}"
    );
}

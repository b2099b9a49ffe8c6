//! A rollout made by hand: Debian and RPM assets, hooks, backups, a service with a role, two batches.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use jiff::Timestamp;
use patchwave_core::history::{Target, WaveState};
use patchwave_core::load::wire::Reversibility;
use patchwave_core::load::{Catalog, Resource, Resources};
use patchwave_core::observe::{
    AdvisoryRecord, Asset, Ecosystem, Facts, Fix, Identity, Observation, OfferedUpdate, Os, Provenance,
};
use patchwave_core::plan::{Batch, BatchAsset, BatchWindow, Rollout, Wave};
use patchwave_core::render::wire::{BatchOpening, BatchOpenings};
use patchwave_core::render::{Bundle, Packs, RenderFault, RenderInput, patchset_digest, render};
use patchwave_core::source::DocId;
use patchwave_core::time::Opening;
use patchwave_core::version::Scheme;
use serde_json::{Value, json};

static PACKS: LazyLock<Packs> = LazyLock::new(|| Packs::read(&BTreeMap::new()).unwrap());

/// Everything a rendering depends on, owned.
#[derive(Clone, Debug)]
pub struct World {
    pub rollout: Rollout,
    pub catalog: Catalog,
    pub observation: Observation,
    pub packs: Packs,
    pub openings: BTreeMap<(Arc<str>, Arc<str>), BatchOpenings>,
    pub carried: BTreeMap<String, Vec<u8>>,
}

impl World {
    pub fn input<'a>(&'a self, waves: &'a [Arc<str>]) -> RenderInput<'a> {
        RenderInput {
            rollout: &self.rollout,
            waves,
            catalog: &self.catalog,
            observation: &self.observation,
            packs: &self.packs,
            openings: &self.openings,
            frozen: None,
            carried: &self.carried,
        }
    }

    pub fn render(&self) -> Result<Bundle, Vec<RenderFault>> {
        let waves: Vec<Arc<str>> = self.rollout.waves.iter().map(|w| Arc::clone(&w.name)).collect();
        render(&self.input(&waves))
    }

    pub fn asset(&mut self, index: usize) -> (&mut Asset, &mut BatchAsset) {
        let asset = &mut self.observation.assets[index];
        let planned = self
            .rollout
            .waves
            .iter_mut()
            .flat_map(|w| &mut w.batches)
            .flat_map(|b| &mut b.assets);
        let planned = planned.into_iter().find(|b| b.name == asset.name).unwrap();
        (asset, planned)
    }
}

pub fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub fn resources<T: serde::de::DeserializeOwned>(specs: &[(&str, Value)]) -> Resources<T> {
    specs
        .iter()
        .map(|(name, spec)| {
            let resource = Resource {
                name: (*name).into(),
                labels: BTreeMap::new(),
                annotations: BTreeMap::new(),
                spec: serde_json::from_value(spec.clone()).unwrap(),
                doc: DocId(0),
            };
            (Arc::from(*name), resource)
        })
        .collect()
}

pub fn target(scheme: Scheme, os: (&str, &str), arch: &str, name: &str, version: &str) -> Target {
    Target {
        scheme,
        os_id: os.0.into(),
        os_major: os.1.into(),
        arch: arch.into(),
        name: name.into(),
        module: None,
        version: version.into(),
    }
}

pub fn asset(name: &str, os: (&str, &str, &str), labels: &[(&str, &str)], address: Option<&str>, record: u32) -> Asset {
    let labels: BTreeMap<Arc<str>, Arc<str>> = labels.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
    Asset {
        name: name.into(),
        fleet: "eu".into(),
        labels: Arc::new(labels),
        address: address.map(Into::into),
        lifecycle: Default::default(),
        observed_at: Some(at("2026-11-20T03:00:00Z")),
        stale: false,
        facts: Facts {
            identity: Identity {
                fqdn: Some(format!("{name}.fra1.acme.example").into()),
                ..Identity::default()
            },
            os: Some(Os {
                family: os.0.into(),
                id: os.1.into(),
                version: os.2.into(),
                arch: "x86_64".into(),
            }),
            ..Facts::default()
        },
        provenance: vec![Provenance {
            source: "facts".into(),
            file: "fleets/observed/facts.ndjson".into(),
            record,
        }],
    }
}

pub fn planned(name: &str, targets: &[(usize, &str)], class: &str, rollback: Reversibility) -> BatchAsset {
    BatchAsset {
        name: name.into(),
        targets: targets.iter().map(|t| t.0).collect(),
        before: targets.iter().map(|t| t.1.into()).collect(),
        rollback,
        class: class.into(),
        target: "ansible".into(),
        tools: Vec::new(),
        image: None,
        deadline: None,
        stale: false,
    }
}

pub fn batch(id: &str, window: &str, assets: Vec<BatchAsset>) -> Batch {
    Batch {
        id: id.into(),
        window: BatchWindow {
            name: window.into(),
            start: None,
            end: None,
        },
        start: Some(at("2026-11-20T12:00:00Z")),
        finish: Some(at("2026-11-20T12:17:00Z")),
        assets,
        duration_seconds: 17 * 60,
        overruns: false,
        blocked: None,
        released: false,
    }
}

pub fn wave(name: &str, number: u32, needs: &[&str], batches: Vec<Batch>) -> Wave {
    Wave {
        name: name.into(),
        number,
        needs: needs.iter().map(|n| (*n).into()).collect(),
        state: WaveState::Pending,
        batches,
        deadline: Some(at("2026-11-25T00:00:00Z")),
        slack_seconds: Some(1000),
        binding: None,
        soak_seconds: 86_400,
        estimate_assumed: false,
        fixes: Vec::new(),
        edits: Vec::new(),
        extra_approval: false,
    }
}

fn catalog() -> Catalog {
    let policy = json!({
        "description": "Security errata for every Linux server.", "owner": "team-linux",
        "roles": {"accountable": "head-of-infrastructure", "responsible": ["team-linux"], "approvers": ["team-sre"], "deployers": ["team-linux"]},
        "scope": {"selector": {}}, "include": [{"types": ["security"]}], "sla": "standard", "rollout": "standard",
    });
    let class = |extra: Value| {
        let mut class = json!({"selector": {}, "environment": "test", "target": "ansible", "window": "any-time"});
        class
            .as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        class
    };
    let web = class(json!({
        "protection": {"backup": "vm-snapshot", "rollback": "package-downgrade", "keepFor": "7d"},
        "hooks": {
            "beforeBatch": [{"name": "alertmanager-silence"}],
            "beforeAsset": [{"name": "lb-drain"}], "afterAsset": [{"name": "lb-undrain", "timeout": "2m"}],
            "onFailure": [{"name": "service-start"}],
            "always": [{"name": "alertmanager-unsilence", "timeout": "1m"}],
        },
        "validation": ["web"],
    }));
    let database = class(json!({
        "protection": {"backup": "database-dump", "rollback": "package-downgrade", "maxAge": "12h", "keepFor": "7d"},
        "disruption": {"maxUnavailable": 1, "per": "service", "reboot": "never"},
    }));
    let strategy = json!({"waves": [
        {"name": "test", "environments": ["test"], "approval": "automatic", "soak": "24h"},
        {"name": "critical", "needs": ["test"], "environments": ["prod"], "maxFailures": "2%", "onFailure": "rollback"},
    ]});
    let window = |duration: &str| json!({"schedules": [{"rrule": "FREQ=DAILY", "start": "22:00", "duration": duration}], "cutoff": "1h"});
    let fleet = json!({"sources": ["facts"], "services": [
        {"name": "orders-db", "members": {"matchLabels": {"tier": "db"}}, "owner": "team-dba", "minAvailable": 1,
         "ha": {"type": "postgres-patroni", "role": "observed"}},
        {"name": "web", "members": {"matchLabels": {"tier": "web"}}, "dependsOn": ["orders-db"]},
    ]});
    let suite = json!({"checks": [
        {"name": "nginx answers", "command": "curl --fail --silent http://127.0.0.1/{{ health }}", "timeout": "30s", "retries": 3},
        {"name": "yes", "command": "true"},
        {"name": "from outside", "http": "https://web.acme.example/health"},
    ]});
    let windows = class(json!({
        "hooks": {"beforeAsset": [{"name": "lb-drain"}], "afterAsset": [{"name": "lb-undrain"}]},
        "validation": ["web"],
    }));
    Catalog {
        policies: resources(&[("linux-security", policy)]),
        classes: resources(&[("web", web), ("database", database), ("windows", windows)]),
        strategies: resources(&[("standard", strategy)]),
        windows: resources(&[("any-time", window("24h")), ("prod-nights", window("6h"))]),
        fleets: resources(&[("eu", fleet)]),
        suites: resources(&[("web", suite)]),
        ..Catalog::default()
    }
}

fn openings() -> BTreeMap<(Arc<str>, Arc<str>), BatchOpenings> {
    let opening = |start: &str, end: &str, before: &str| BatchOpening {
        opening: Opening {
            start: Some(at(start)),
            end: Some(at(end)),
        },
        start_before: Some(at(before)),
    };
    let endless = BatchOpening {
        opening: Opening { start: None, end: None },
        start_before: None,
    };
    let night = opening("2026-11-24T21:00:00Z", "2026-11-25T03:00:00Z", "2026-11-25T02:00:00Z");
    let book = |stop, openings| BatchOpenings {
        window: String::new(),
        stop_at_end: stop,
        openings,
    };
    BTreeMap::from([
        (("test".into(), "01".into()), book(false, vec![endless])),
        (("critical".into(), "01".into()), book(true, vec![night])),
        (("critical".into(), "02".into()), book(true, vec![night])),
    ])
}

/// A Windows server, with the update its update server offers.
fn windows_server() -> Asset {
    let mut asset = asset(
        "t5",
        ("windows", "windows", "10.0.20348.2762"),
        &[("tier", "web")],
        None,
        8,
    );
    asset.facts.os_build = Some("10.0.20348.2762".into());
    asset.facts.updates = Some(Arc::from([OfferedUpdate {
        update_id: "6e4d1a2b-0c55-4f3e-9a77-52c8f0a1b3d4".into(),
        revision: 201,
        kbs: vec!["5046616".into()],
        title: "2024-11 Cumulative Update for Microsoft server operating system version 21H2 (KB5046616)".into(),
        state: "NotInstalled".into(),
        approval: "Install".into(),
        eula: false,
        uninstallable: false,
        superseded: false,
    }]));
    asset
}

/// What says which article brings the build.
fn windows_advisory() -> AdvisoryRecord {
    let fix = Fix {
        ecosystem: Ecosystem {
            scheme: Scheme::Windows,
            os_id: "os".into(),
            release: Some("10.0.20348".into()),
        },
        package: "windows".into(),
        by_source: false,
        arch: None,
        module: None,
        edition: None,
        introduced: None,
        fixed: Some("10.0.20348.2849".into()),
        last_affected: None,
        entitlement: None,
        kb: Some("5046616".into()),
    };
    AdvisoryRecord {
        id: "CVE-2024-43639".into(),
        aliases: vec![],
        severity: patchwave_core::name::Severity::Unknown,
        types: vec![],
        published: None,
        modified: None,
        withdrawn: None,
        fixes: vec![fix],
        reboot: None,
        exploited: None,
        cves: vec![],
        provenance: Provenance {
            source: "msrc".into(),
            file: "fleets/observed/msrc.ndjson".into(),
            record: 1,
        },
    }
}

/// The fixed world of the golden files.
pub fn world() -> World {
    let rhel = ("almalinux", "9");
    let mut targets = vec![
        target(Scheme::Rpm, rhel, "x86_64", "openssl-libs", "1:3.0.7-27.el9"),
        target(Scheme::Rpm, rhel, "x86_64", "kernel-core", "5.14.0-503.14.1.el9_5"),
        target(Scheme::Deb, ("debian", "12"), "amd64", "libssl3", "3.0.15-1~deb12u1"),
        target(Scheme::Deb, ("debian", "12"), "i386", "libssl3", "3.0.15-1~deb12u1"),
        target(
            Scheme::Rpm,
            ("sles", "15.6"),
            "x86_64",
            "libopenssl3",
            "3.1.4-150600.5.15.1",
        ),
        target(Scheme::Apk, ("alpine", "3.20"), "x86_64", "libcrypto3", "3.3.2-r1"),
        target(Scheme::Windows, ("os", "10.0.20348"), "", "windows", "10.0.20348.2849"),
    ];
    targets.sort();
    let index = |name: &str, arch: &str| {
        targets
            .iter()
            .position(|t| *t.name == *name && *t.arch == *arch)
            .unwrap()
    };
    let (ssl, kernel) = (index("openssl-libs", "x86_64"), index("kernel-core", "x86_64"));
    let (deb, deb32) = (index("libssl3", "amd64"), index("libssl3", "i386"));
    let (suse, alpine, windows) = (
        index("libopenssl3", "x86_64"),
        index("libcrypto3", "x86_64"),
        index("windows", ""),
    );
    let rpm_before = "1:3.0.7-24.el9";
    let waves = vec![
        wave(
            "test",
            1,
            &[],
            vec![batch(
                "01",
                "any-time",
                vec![
                    planned("t1", &[(ssl, rpm_before)], "web", Reversibility::Exact),
                    planned(
                        "t2",
                        &[(deb, "3.0.14-1~deb12u2"), (deb32, "3.0.14-1~deb12u2")],
                        "web",
                        Reversibility::Exact,
                    ),
                    planned("t3", &[(suse, "3.1.4-150600.5.7.1")], "web", Reversibility::Exact),
                    planned("t4", &[(alpine, "3.3.2-r0")], "web", Reversibility::Exact),
                    planned("t5", &[(windows, "10.0.20348.2762")], "windows", Reversibility::None),
                ],
            )],
        ),
        wave(
            "critical",
            2,
            &["test"],
            vec![
                batch(
                    "01",
                    "prod-nights",
                    vec![planned(
                        "db-2",
                        &[(kernel, "5.14.0-427.13.1.el9_4"), (ssl, rpm_before)],
                        "database",
                        Reversibility::Exact,
                    )],
                ),
                batch(
                    "02",
                    "any-time+prod-nights",
                    vec![
                        planned("web-1", &[(ssl, rpm_before)], "web", Reversibility::Snapshot),
                        planned("web-2", &[(ssl, rpm_before)], "web", Reversibility::None),
                    ],
                ),
            ],
        ),
    ];
    let alma = ("rhel", "almalinux", "9.4");
    let assets = vec![
        asset("db-2", alma, &[("tier", "db")], None, 1),
        asset("t1", alma, &[("tier", "web")], None, 2),
        asset("t2", ("debian", "debian", "12"), &[("tier", "web")], None, 3),
        asset("t3", ("suse", "sles", "15.6"), &[("tier", "web")], None, 6),
        asset("t4", ("alpine", "alpine", "3.20.3"), &[("tier", "web")], None, 7),
        windows_server(),
        asset("web-1", alma, &[("tier", "web")], Some("10.0.0.11"), 4),
        asset("web-2", alma, &[("tier", "web")], Some("2001:db8::12"), 5),
    ];
    World {
        rollout: Rollout {
            name: "linux-security-2026-11-20".into(),
            policy: "linux-security".into(),
            strategy: "standard".into(),
            lane: Default::default(),
            revision: 1,
            cut: at("2026-11-20T12:00:00Z"),
            expedited: true,
            restarts: 0,
            digest: patchset_digest(&targets),
            targets,
            reproducible: false,
            installability_unknown: true,
            advisories: vec!["ALSA-2026:0101".into(), "DSA-5900-1".into()],
            forensics: vec![],
            waves,
        },
        catalog: catalog(),
        observation: Observation {
            assets,
            advisories: vec![windows_advisory()],
            ..Observation::default()
        },
        packs: PACKS.clone(),
        openings: openings(),
        carried: BTreeMap::new(),
    }
}

//! A small rollout for any target: one asset for each thing the target installs or updates.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::history::{Target, WaveState};
use crate::load::wire::{ComponentKind, HookReach, Reversibility, TargetSpec, Way};
use crate::load::{Catalog, Resource, Resources};
use crate::observe::{
    AdvisoryRecord, Asset, ContentView, Ecosystem, Facts, Fix, Gpu, Identity, Kubernetes, Observation, OfferedUpdate,
    Os, Provenance,
};
use crate::plan::{Batch, BatchAsset, BatchWindow, Image, Rollout, Wave};
use crate::source::DocId;
use crate::version::Scheme;

/// The class of every asset of the trial.
const CLASS: &str = "trial";

/// What a trial is rendered from.
#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) rollout: Rollout,
    pub(super) catalog: Catalog,
    pub(super) observation: Observation,
}

/// The rollout that shows everything `spec` says it can do.
pub(super) fn world(spec: &TargetSpec) -> World {
    let things = things(spec);
    let mut targets: Vec<Target> = things.iter().map(|thing| thing.target.clone()).collect();
    targets.sort();
    targets.dedup();
    let rollback = way_back(spec);
    let taking = |thing: &Thing| BatchAsset {
        name: thing.name.as_str().into(),
        targets: targets.iter().position(|t| *t == thing.target).into_iter().collect(),
        before: Arc::from([Arc::from(thing.before)]),
        rollback,
        class: CLASS.into(),
        target: spec.name.as_str().into(),
        tools: Vec::new(),
        image: spec.replaces.then(|| Image {
            name: "golden".into(),
            from: "1.0.0".into(),
            id: "0123456789ab".into(),
        }),
        deadline: None,
        stale: false,
    };
    let assets: Vec<BatchAsset> = things.iter().map(taking).collect();
    let rollout = Rollout {
        name: "trial-2026-01-01".into(),
        policy: CLASS.into(),
        strategy: CLASS.into(),
        lane: Default::default(),
        revision: 1,
        cut: jiff::Timestamp::UNIX_EPOCH,
        expedited: false,
        restarts: 0,
        digest: crate::plan::patchset_digest(&targets),
        targets,
        reproducible: false,
        installability_unknown: false,
        advisories: vec!["TRIAL-1".into()],
        forensics: Vec::new(),
        waves: vec![wave("test", 1, &[], &assets), wave("critical", 2, &["test"], &assets)],
    };
    World {
        rollout,
        catalog: catalog(spec),
        observation: Observation {
            assets: things.iter().map(asset).collect(),
            advisories: vec![advisory(&things)],
            ..Observation::default()
        },
    }
}

fn way_back(spec: &TargetSpec) -> Reversibility {
    let ways = &spec.capabilities.rollback;
    match (ways.contains(&Way::Exact), ways.contains(&Way::Snapshot)) {
        (true, _) => Reversibility::Exact,
        (false, true) => Reversibility::Snapshot,
        (false, false) => Reversibility::None,
    }
}

/// One asset and what it takes.
struct Thing {
    name: String,
    target: Target,
    before: &'static str,
    os: (&'static str, &'static str, &'static str),
}

fn things(spec: &TargetSpec) -> Vec<Thing> {
    let packages = spec.ecosystems.iter().map(|scheme| of_scheme(*scheme));
    let parts = spec.kinds.iter().map(|kind| of_kind(*kind));
    let mut found: Vec<Thing> = packages.chain(parts).collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

fn of_scheme(scheme: Scheme) -> Thing {
    let (os, package, before, version) = match scheme {
        Scheme::Rpm => (
            ("rhel", "almalinux", "9.4"),
            "openssl-libs",
            "1:3.0.7-24.el9",
            "1:3.0.7-27.el9",
        ),
        Scheme::Deb => (
            ("debian", "debian", "12"),
            "libssl3",
            "3.0.14-1~deb12u2",
            "3.0.15-1~deb12u1",
        ),
        Scheme::Apk => (("alpine", "alpine", "3.19.1"), "libssl3", "3.1.4-r5", "3.1.4-r6"),
        _ => (("other", "other", "1"), "demo", "1.0.0", "1.0.1"),
    };
    let release = Os {
        family: os.0.into(),
        id: os.1.into(),
        version: os.2.into(),
        arch: "x86_64".into(),
    };
    Thing {
        name: format!("{scheme}-1"),
        target: Target {
            scheme,
            os_id: os.1.into(),
            os_major: release.major().into(),
            arch: if scheme == Scheme::Deb { "amd64" } else { "x86_64" }.into(),
            name: package.into(),
            module: None,
            version: version.into(),
        },
        before,
        os,
    }
}

fn of_kind(kind: ComponentKind) -> Thing {
    let (os, branch, name, before, version) = match kind {
        ComponentKind::Os => (
            ("windows", "windows", "10.0.20348"),
            "10.0.20348",
            "windows",
            "10.0.20348.2700",
            "10.0.20348.2762",
        ),
        ComponentKind::Kubernetes => (("debian", "debian", "12"), "1.30", "kubelet", "1.29.4", "1.30.1"),
        ComponentKind::Gpu => (
            ("ubuntu", "ubuntu", "22.04"),
            "nvidia",
            "driver",
            "535.183.01",
            "550.127.08",
        ),
        _ => (("other", "other", "1"), "vendor", "product", "1.0.0", "1.0.1"),
    };
    Thing {
        name: format!("{}-1", kind.as_str()),
        target: Target {
            scheme: kind.scheme(),
            os_id: kind.as_str().into(),
            os_major: branch.into(),
            arch: "x86_64".into(),
            name: name.into(),
            module: None,
            version: version.into(),
        },
        before,
        os,
    }
}

/// Every fact a target may ask for, whether it does or not.
fn asset(thing: &Thing) -> Asset {
    let facts = Facts {
        identity: Identity {
            fqdn: Some(format!("{}.example.org", thing.name).into()),
            ..Identity::default()
        },
        os: Some(Os {
            family: thing.os.0.into(),
            id: thing.os.1.into(),
            version: thing.os.2.into(),
            arch: "x86_64".into(),
        }),
        updates: Some(Arc::from([OfferedUpdate {
            update_id: "fb95c1c8-de23-4089-ae29-fd3351d55421".into(),
            revision: 201,
            kbs: vec!["5044281".into()],
            title: "Cumulative Update (KB5044281)".into(),
            state: "NotInstalled".into(),
            approval: "NotApproved".into(),
            eula: true,
            uninstallable: true,
            superseded: false,
        }])),
        content: Some(Arc::from([ContentView {
            host_id: Some(17),
            organization: "Default Organization".into(),
            view: "servers".into(),
            view_id: 3,
            version: "12.0".into(),
            version_id: 88,
            environment: "prod".into(),
            environment_id: 4,
            rolling: false,
            composite: false,
        }])),
        kubernetes: Some(Arc::new(Kubernetes {
            kubelet: Some("v1.29.4".into()),
            runtime: Some("containerd://1.7.11".into()),
            role: Some("worker".into()),
            cluster: Some("main".into()),
            ..Kubernetes::default()
        })),
        gpu: Some(Arc::new(Gpu {
            driver: Some("535.183.01".into()),
            loaded: Some("535.183.01".into()),
            cuda: Some("12.2".into()),
            devices: vec!["NVIDIA A100".into()],
            fabric_manager: Some("535.183.01".into()),
            secure_boot: Some(true),
            mig: Some(true),
            ..Gpu::default()
        })),
        ..Facts::default()
    };
    Asset {
        name: thing.name.as_str().into(),
        fleet: CLASS.into(),
        labels: Arc::new(BTreeMap::from([("tier".into(), "web".into())])),
        address: None,
        lifecycle: Default::default(),
        observed_at: Some(jiff::Timestamp::UNIX_EPOCH),
        stale: false,
        facts,
        provenance: vec![provenance()],
    }
}

fn provenance() -> Provenance {
    Provenance {
        source: CLASS.into(),
        file: "trial.ndjson".into(),
        record: 1,
    }
}

fn advisory(things: &[Thing]) -> AdvisoryRecord {
    let fix = |thing: &Thing| Fix {
        ecosystem: Ecosystem {
            scheme: thing.target.scheme,
            os_id: Arc::clone(&thing.target.os_id),
            release: thing
                .target
                .kind()
                .is_none()
                .then(|| Arc::clone(&thing.target.os_major)),
        },
        package: Arc::clone(&thing.target.name),
        by_source: false,
        arch: None,
        module: None,
        edition: None,
        introduced: None,
        fixed: Some(Arc::clone(&thing.target.version)),
        last_affected: None,
        entitlement: None,
        kb: (thing.target.scheme == Scheme::Windows).then(|| "5044281".into()),
    };
    AdvisoryRecord {
        id: "TRIAL-1".into(),
        aliases: Vec::new(),
        severity: crate::name::Severity::High,
        types: vec![crate::load::wire::AdvisoryType::Security],
        published: None,
        modified: None,
        withdrawn: None,
        fixes: things.iter().map(fix).collect(),
        reboot: None,
        exploited: None,
        cves: Vec::new(),
        provenance: provenance(),
    }
}

fn wave(name: &str, number: u32, needs: &[&str], assets: &[BatchAsset]) -> Wave {
    Wave {
        name: name.into(),
        number,
        needs: needs.iter().map(|n| (*n).into()).collect(),
        state: WaveState::Pending,
        batches: vec![Batch {
            id: "01".into(),
            window: BatchWindow {
                name: CLASS.into(),
                ..BatchWindow::default()
            },
            start: None,
            finish: None,
            assets: assets.to_vec(),
            duration_seconds: 900,
            overruns: false,
            blocked: None,
            released: false,
        }],
        deadline: None,
        slack_seconds: None,
        binding: None,
        fixes: Vec::new(),
        edits: Vec::new(),
        extra_approval: false,
        soak_seconds: 3600,
        estimate_assumed: false,
    }
}

fn resources<T: DeserializeOwned>(spec: Value) -> Resources<T> {
    // A resource of the trial that cannot be read shows as a fault of rendering, where its name is asked for.
    let spec = serde_json::from_value(spec).ok();
    let resource = |spec| Resource {
        name: CLASS.into(),
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        spec,
        doc: DocId(0),
    };
    spec.map(|spec| (Arc::from(CLASS), resource(spec)))
        .into_iter()
        .collect()
}

fn catalog(spec: &TargetSpec) -> Catalog {
    let can = &spec.capabilities;
    let hook = |name: &str| json!([{"name": name, "timeout": "2m"}]);
    let hooks = match can.hooks {
        HookReach::None => json!({}),
        HookReach::Batch => {
            json!({"beforeBatch": hook("alertmanager-silence"), "afterBatch": hook("alertmanager-unsilence")})
        }
        HookReach::Asset => json!({
            "beforeBatch": hook("alertmanager-silence"), "afterBatch": hook("alertmanager-unsilence"),
            "beforeAsset": hook("lb-drain"), "afterAsset": hook("lb-undrain"),
            "onFailure": hook("service-start"), "always": hook("service-start"),
        }),
    };
    let backup = can.backups.iter().next().map_or("none", String::as_str);
    let mut class = json!({
        "selector": {}, "environment": "prod", "target": spec.name, "window": CLASS, "hooks": hooks,
        "protection": {"backup": backup, "keepFor": "7d"},
        "validation": if can.checks { json!([CLASS]) } else { json!([]) },
    });
    if can.backup_evidence
        && let Some(protection) = class.get_mut("protection").and_then(Value::as_object_mut)
    {
        protection.insert("maxAge".into(), "12h".into());
    }
    let policy = json!({
        "description": "A trial.", "owner": "nobody", "scope": {"selector": {}}, "include": [{"types": ["security"]}],
        "roles": {"accountable": "head", "responsible": ["team"], "approvers": ["team"], "deployers": ["team"]},
        "sla": CLASS, "rollout": CLASS,
    });
    let strategy = json!({"waves": [
        {"name": "test", "environments": ["test"]}, {"name": "critical", "needs": ["test"], "environments": ["prod"]},
    ]});
    let window = json!({"schedules": [{"rrule": "FREQ=WEEKLY;BYDAY=SA", "start": "22:00", "duration": "6h", "timezone": "Europe/Berlin"}]});
    let ha = if can.roles {
        json!({"type": "postgres-patroni", "role": "observed"})
    } else {
        Value::Null
    };
    let fleet = json!({"assets": [{"name": "any"}], "services": [
        {"name": "web", "members": {"matchLabels": {"tier": "web"}}, "minAvailable": 1, "ha": ha},
    ]});
    let suite = json!({"checks": [
        {"name": "answers", "command": "systemctl is-active nginx", "timeout": "30s", "retries": 3},
        {"name": "from outside", "http": "https://web.example.org/health"},
    ]});
    Catalog {
        policies: resources(policy),
        classes: resources(class),
        strategies: resources(strategy),
        windows: resources(window),
        fleets: resources(fleet),
        suites: resources(suite),
        ..Catalog::default()
    }
}

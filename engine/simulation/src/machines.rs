//! The machines as they are, as they were last seen, and what the feeds say.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use patchwave_core::load::wire::{AdvisoryType, Lifecycle, SourceKind};
use patchwave_core::name::Severity;
use patchwave_core::observe::{
    AdvisoryRecord, Asset, Coverage, Ecosystem, Exploited, Facts, Fix, Identity, Observation, Os, Package, Provenance,
    SourceStatus, Tables,
};
use patchwave_core::version::Scheme;

use crate::estate::{ASSETS, after, instant};

/// What a machine is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// Versions by package.
    pub packages: BTreeMap<String, String>,
    /// It waits for a reboot.
    pub pending_reboot: bool,
}

/// What was said of a machine, and when.
#[derive(Clone, Debug)]
pub struct Seen {
    /// When somebody looked.
    pub at: Timestamp,
    /// What it was.
    pub state: State,
}

/// A machine.
#[derive(Clone, Debug)]
pub struct Machine {
    /// What it is.
    pub state: State,
    /// Every look at it, oldest first.
    pub looks: Vec<Seen>,
    /// Nobody can see it.
    pub silent: bool,
    /// What is done to it lasts until then; none = nothing is done to it.
    pub busy_until: Option<Timestamp>,
    /// It broke when it was touched and serves nobody.
    pub broken: bool,
}

/// An observation older than this is stale.
pub const STALE_AFTER: SignedDuration = SignedDuration::from_hours(36);

/// Every machine, by name.
pub type Machines = BTreeMap<&'static str, Machine>;

/// The machines of the estate as they are on Friday noon, seen half an hour before.
pub fn machines(start: Timestamp) -> Machines {
    let packages = [
        ("kernel-core", "5.14.0-427.13.1.el9_4"),
        ("openssl-libs", "1:3.0.7-24.el9"),
        ("sudo", "1.9.5p2-9.el9"),
    ];
    let state = State {
        packages: packages
            .into_iter()
            .map(|(n, v)| (n.to_owned(), v.to_owned()))
            .collect(),
        pending_reboot: false,
    };
    let machine = Machine {
        looks: vec![Seen {
            at: after(start, -30),
            state: state.clone(),
        }],
        state,
        silent: false,
        busy_until: None,
        broken: false,
    };
    ASSETS.into_iter().map(|(name, ..)| (name, machine.clone())).collect()
}

/// What the advisory feed says.
#[derive(Clone, Debug, Default)]
pub struct Feed {
    /// How many advisories are out.
    pub published: usize,
    /// Since when each is known to be exploited, by its index.
    pub exploited: BTreeMap<usize, Timestamp>,
    /// How it fails, if it does.
    pub outage: Outage,
}

/// How a feed fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Outage {
    /// It does not.
    #[default]
    None,
    /// It cannot be read, and says so.
    Failed,
    /// It is empty and claims nothing.
    Empty,
    /// It still says what it said, and is too old.
    Stale,
}

/// Id, package, fixed version, severity: in the order they come out.
pub const ADVISORIES: [(&str, &str, &str, Severity); 5] = [
    ("ALSA-1", "openssl-libs", "1:3.0.7-27.el9", Severity::High),
    ("ALSA-2", "kernel-core", "5.14.0-427.20.1.el9_4", Severity::High),
    ("ALSA-3", "sudo", "1.9.5p2-10.el9_3", Severity::Critical),
    ("ALSA-4", "openssl-libs", "1:3.0.7-28.el9_4", Severity::Critical),
    ("ALSA-5", "kernel-core", "5.14.0-427.31.1.el9_4", Severity::Critical),
];

impl Feed {
    fn advisories(&self) -> Vec<AdvisoryRecord> {
        if matches!(self.outage, Outage::Failed | Outage::Empty) {
            return Vec::new();
        }
        let out = ADVISORIES.iter().enumerate().take(self.published);
        out.map(|(index, (id, package, fixed, severity))| {
            advisory(id, package, fixed, *severity, self.exploited.get(&index).copied())
        })
        .collect()
    }

    fn status(&self) -> SourceStatus {
        SourceStatus {
            name: "feed".into(),
            kind: SourceKind::Advisories,
            account: Default::default(),
            fetched_at: None,
            stale: self.outage == Outage::Stale,
            failure: (self.outage == Outage::Failed).then(|| "connection refused".to_owned()),
            digest: String::new(),
        }
    }
}

fn provenance(source: &str) -> Provenance {
    Provenance {
        source: source.into(),
        file: "f".into(),
        record: 1,
    }
}

fn advisory(id: &str, package: &str, fixed: &str, severity: Severity, exploited: Option<Timestamp>) -> AdvisoryRecord {
    let cve = id.replace("ALSA-", "CVE-2026-000");
    AdvisoryRecord {
        id: id.into(),
        aliases: vec![cve.as_str().into()],
        severity,
        types: vec![AdvisoryType::Security],
        published: Some(instant("2026-11-18T00:00:00Z")),
        modified: None,
        withdrawn: None,
        fixes: vec![Fix {
            ecosystem: Ecosystem {
                scheme: Scheme::Rpm,
                os_id: "almalinux".into(),
                release: Some("9".into()),
            },
            package: package.into(),
            by_source: false,
            arch: None,
            module: None,
            edition: None,
            introduced: None,
            last_affected: None,
            fixed: Some(fixed.into()),
            entitlement: Default::default(),
            kb: None,
        }],
        reboot: None,
        exploited: exploited.map(|since| Exploited {
            since: Some(since),
            ransomware: None,
            provenance: None,
        }),
        cves: Vec::new(),
        provenance: provenance("feed"),
    }
}

/// What a run at `now` observes.
pub fn observe(machines: &Machines, feed: &Feed, now: Timestamp) -> Observation {
    let mut observation = Observation::default();
    for (name, environment, tier) in ASSETS {
        let Some(seen) = machines.get(name).and_then(|m| m.looks.last()) else {
            continue;
        };
        let packages = set(&mut observation.tables, &seen.state);
        let labels = [("env", environment), ("tier", tier)];
        observation.assets.push(Asset {
            name: name.into(),
            fleet: "f".into(),
            labels: Arc::new(labels.into_iter().map(|(k, v)| (Arc::from(k), Arc::from(v))).collect()),
            address: None,
            lifecycle: Lifecycle::Active,
            observed_at: Some(seen.at),
            stale: now.duration_since(seen.at) > STALE_AFTER,
            facts: Facts {
                identity: Identity {
                    fqdn: Some(format!("{name}.example").into()),
                    ..Identity::default()
                },
                os: Some(Os {
                    family: "rhel".into(),
                    id: "almalinux".into(),
                    version: "9.4".into(),
                    arch: "x86_64".into(),
                }),
                pending_reboot: Some(seen.state.pending_reboot),
                packages: Some(packages),
                ..Facts::default()
            },
            provenance: vec![provenance("facts")],
        });
    }
    observation.advisories = feed.advisories();
    observation.sources = vec![feed.status()];
    if !matches!(feed.outage, Outage::Failed | Outage::Empty) {
        observation.coverage = vec![Coverage {
            os_id: "almalinux".into(),
            release: None,
            source: "feed".into(),
            fresh: feed.outage != Outage::Stale,
        }];
    }
    observation
}

fn set(tables: &mut Tables, state: &State) -> patchwave_core::observe::PackageSetId {
    let packages = state.packages.iter().map(|(name, version)| {
        let package = Package {
            name: tables.intern(name),
            version: tables.intern(version),
            arch: tables.intern("x86_64"),
            source: tables.intern(name.trim_end_matches("-libs").trim_end_matches("-core")),
            ..Package::default()
        };
        tables.package_id(package)
    });
    let packages = packages.collect();
    tables.set_id(packages)
}

//! Small worlds for tests: a catalog written as JSON, assets and advisories in a few words.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{Assessment, Finding, assess};
use crate::history::Memory;
use crate::load::wire::{AdvisoryType, Lifecycle};
use crate::load::{Catalog, Resource, expr, table};
use crate::name::Severity;
use crate::observe::{
    AdvisoryRecord, Asset, Coverage, Ecosystem, Exploited, Facts, Fix, Kernel, Observation, Os, Package, PackageState,
    Provenance,
};
use crate::source::{DocId, SourceSet};
use crate::version::Scheme;

pub(crate) const NOW: &str = "2026-11-20T12:00:00Z";

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// An installed package: name, version, arch, source, module.
pub(crate) type P<'a> = (&'a str, &'a str, &'a str, &'a str, &'a str);

#[derive(Clone)]
pub(crate) struct World {
    pub(crate) catalog: Catalog,
    pub(crate) observation: Observation,
    pub(crate) memory: Memory,
    pub(crate) now: Timestamp,
}

pub(crate) fn resource<T: DeserializeOwned>(name: &str, spec: Value) -> Resource<T> {
    Resource {
        name: name.into(),
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        spec: serde_json::from_value(spec).unwrap_or_else(|e| panic!("{name}: {e}")),
        doc: DocId(0),
    }
}

fn provenance() -> Provenance {
    Provenance {
        source: "almalinux".into(),
        file: "a.json".into(),
        record: 1,
    }
}

impl World {
    /// No policy, no asset, AlmaLinux 9 covered.
    pub(crate) fn empty() -> Self {
        let coverage = |os_id: &str, release: &str| Coverage {
            os_id: os_id.into(),
            release: Some(release.into()),
            source: "almalinux".into(),
            fresh: true,
        };
        let observation = Observation {
            coverage: vec![
                coverage("almalinux", "8"),
                coverage("almalinux", "9"),
                coverage("debian", "12"),
            ],
            ..Observation::default()
        };
        Self {
            catalog: Catalog::default(),
            observation,
            memory: Memory::default(),
            now: at(NOW),
        }
    }

    /// One policy `p` over everything, security at any severity, 30 days, rule `high` 7 days.
    pub(crate) fn plain() -> Self {
        let mut world = Self::empty();
        world.class(
            "c",
            json!({"selector": {}, "environment": "prod", "target": "ansible", "window": "w", "exposure": "internal"}),
        );
        world.sla(
            "s",
            json!({"rules": [{"name": "high", "severity": "high", "within": "7d"}], "default": {"within": "30d"}}),
        );
        world.policy("p", json!({}));
        world
    }

    fn conditions(&mut self, value: &Value) {
        match value {
            Value::Object(map) => {
                for (key, value) in map {
                    if let ("when", Value::String(text)) = (key.as_str(), value) {
                        let (compiled, _) = expr::compile(text).unwrap_or_else(|f| panic!("{text}: {f:?}"));
                        self.catalog.expressions.insert(text.clone(), Arc::new(compiled));
                    }
                    self.conditions(value);
                }
            }
            Value::Array(list) => list.iter().for_each(|v| self.conditions(v)),
            _ => {}
        }
    }

    /// A policy with what is given over `{scope: all, include: security, sla: s, rollout: r}`.
    pub(crate) fn policy(&mut self, name: &str, given: Value) {
        let mut spec =
            json!({"scope": {"selector": {}}, "include": [{"types": ["security"]}], "sla": "s", "rollout": "r"});
        for (key, value) in given.as_object().unwrap() {
            spec[key] = value.clone();
        }
        self.conditions(&spec);
        self.catalog.policies.insert(name.into(), resource(name, spec));
    }

    pub(crate) fn sla(&mut self, name: &str, spec: Value) {
        self.conditions(&spec);
        self.catalog.slas.insert(name.into(), resource(name, spec));
        self.catalog.tables = table::tables(&self.catalog.slas, &SourceSet::default());
    }

    pub(crate) fn class(&mut self, name: &str, spec: Value) {
        self.conditions(&spec);
        self.catalog.classes.insert(name.into(), resource(name, spec));
    }

    /// An exception with what is given over `{expires, reason, approvedBy}`.
    pub(crate) fn exception(&mut self, name: &str, given: Value) {
        let mut spec = json!({"expires": "2027-01-01", "reason": "r", "approvedBy": "ciso"});
        for (key, value) in given.as_object().unwrap() {
            spec[key] = value.clone();
        }
        self.conditions(&spec);
        self.catalog.exceptions.insert(name.into(), resource(name, spec));
    }

    /// An asset with its packages; AlmaLinux 9.4 unless the caller changes it.
    pub(crate) fn asset(&mut self, name: &str, labels: &[(&str, &str)], packages: &[P<'_>]) -> &mut Asset {
        let tables = &mut self.observation.tables;
        let ids = packages
            .iter()
            .map(|(name, version, arch, source, module)| {
                let package = Package {
                    name: tables.intern(name),
                    version: tables.intern(version),
                    arch: tables.intern(arch),
                    source: tables.intern(source),
                    source_version: crate::observe::Symbol::default(),
                    module: tables.intern(module),
                    held: false,
                    state: PackageState::Installed,
                };
                tables.package_id(package)
            })
            .collect();
        let set = tables.set_id(ids);
        let labels: BTreeMap<Arc<str>, Arc<str>> = labels.iter().map(|(k, v)| (Arc::from(*k), Arc::from(*v))).collect();
        let os = Os {
            family: "rhel".into(),
            id: "almalinux".into(),
            version: "9.4".into(),
            arch: "x86_64".into(),
        };
        let asset = Asset {
            name: name.into(),
            fleet: "eu".into(),
            labels: Arc::new(labels),
            address: None,
            lifecycle: Lifecycle::Active,
            observed_at: Some(at("2026-11-20T03:00:00Z")),
            stale: false,
            facts: Facts {
                os: Some(os),
                packages: Some(set),
                ..Facts::default()
            },
            provenance: vec![provenance()],
        };
        let assets = &mut self.observation.assets;
        let place = assets.partition_point(|a| *a.name < *name);
        assets.insert(place, asset);
        &mut assets[place]
    }

    /// A security advisory published 2026-11-18 with severity high; the caller changes the rest.
    pub(crate) fn advisory(&mut self, id: &str, fixes: Vec<Fix>) -> &mut AdvisoryRecord {
        let record = AdvisoryRecord {
            id: id.into(),
            aliases: Vec::new(),
            severity: Severity::High,
            types: vec![AdvisoryType::Security],
            published: Some(at("2026-11-18T00:00:00Z")),
            modified: None,
            withdrawn: None,
            fixes,
            reboot: None,
            exploited: None,
            cves: Vec::new(),
            provenance: provenance(),
        };
        let advisories = &mut self.observation.advisories;
        let place = advisories.partition_point(|a| *a.id < *id);
        advisories.insert(place, record);
        &mut advisories[place]
    }

    pub(crate) fn assess(&self) -> Assessment {
        assess(&self.catalog, &self.observation, &self.memory, self.now)
    }

    /// One line a finding: `asset advisory package installed fixed status timeliness rule deadline policy [detail]`.
    pub(crate) fn lines(&self) -> Vec<String> {
        let assessment = self.assess();
        assessment
            .findings(&self.observation)
            .map(|f| line(&f, &self.observation))
            .collect()
    }
}

pub(crate) fn line(f: &Finding<'_>, observation: &Observation) -> String {
    let j = f.judgement;
    let none = |t: Option<&Arc<str>>| t.map_or("-".to_owned(), ToString::to_string);
    let deadline = j.deadline.map_or("-".to_owned(), |d| d.to_string());
    let advisory = &observation.advisories[f.hit.advisory as usize].id;
    let detail = j.detail.as_ref().map_or(String::new(), |d| format!(" [{d}]"));
    format!(
        "{} {advisory} {} {} {} {} {} {} {deadline} {}{detail}",
        f.asset.name,
        f.hit.package,
        f.hit.installed,
        none(f.hit.fixed.as_ref()),
        j.status,
        j.timeliness.as_str(),
        none(j.rule.as_ref()),
        none(j.policy.as_ref()),
    )
}

/// An rpm fix for AlmaLinux 9.
pub(crate) fn rpm(package: &str, fixed: &str) -> Fix {
    Fix {
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
        fixed: Some(fixed).filter(|f| !f.is_empty()).map(Arc::from),
        last_affected: None,
        entitlement: None,
        kb: None,
    }
}

/// A fix of a source package for Debian 12.
pub(crate) fn deb(source: &str, fixed: &str) -> Fix {
    Fix {
        ecosystem: Ecosystem {
            scheme: Scheme::Deb,
            os_id: "debian".into(),
            release: Some("12".into()),
        },
        by_source: true,
        ..rpm(source, fixed)
    }
}

pub(crate) fn debian() -> Option<Os> {
    Some(Os {
        family: "debian".into(),
        id: "debian".into(),
        version: "12.5".into(),
        arch: "amd64".into(),
    })
}

pub(crate) fn kernel(running: &str, default_boot: &str) -> Option<Kernel> {
    let some = |t: &str| Some(t).filter(|t| !t.is_empty()).map(Arc::from);
    Some(Kernel {
        running: some(running),
        default_boot: some(default_boot),
    })
}

pub(crate) fn exploited(since: &str) -> Option<Exploited> {
    Some(Exploited {
        since: Some(since).filter(|s| !s.is_empty()).map(at),
        ransomware: None,
        provenance: None,
    })
}

//! Small estates for planning, from YAML resources and lists of machines.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up should fail")]

pub mod estate;
pub mod simulate;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use patchwave_core::assess::{Assessment, assess};
use patchwave_core::diag::Severity as DiagnosticSeverity;
use patchwave_core::history::History;
use patchwave_core::load::wire::{AdvisoryType, Lifecycle};
use patchwave_core::load::{Catalog, load};
use patchwave_core::name::Severity;
use patchwave_core::observe::{
    AdvisoryRecord, Asset, Coverage, Ecosystem, Exploited, Facts, Fix, Identity, Observation, Os, Package, Provenance,
};
use patchwave_core::plan::{Plan, Wave, lint, plan};
use patchwave_core::source::{SourceFile, SourceSet};
use patchwave_core::version::Scheme;

pub fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A catalog from one text with many documents, the Project among them or not.
pub fn catalog(yaml: &str, now: Timestamp) -> Catalog {
    let (mut project, mut rest) = (String::new(), Vec::new());
    for document in yaml.split("\n---\n") {
        if document.contains("kind: Project") {
            project = document.to_owned()
        } else {
            rest.push(document)
        }
    }
    if project.is_empty() {
        project = "apiVersion: patchwave.dev/v1\nkind: Project\nmetadata:\n  name: test\n".to_owned();
    }
    let files = vec![
        SourceFile::new("patchwave.yaml", project),
        SourceFile::new("policies/all.yaml", rest.join("\n---\n")),
    ];
    let (catalog, diagnostics) = load(
        &SourceSet {
            files,
            present: [
                "templates/appliance/target.yaml".to_owned(),
                "templates/image/target.yaml".to_owned(),
            ]
            .into(),
            ..SourceSet::default()
        },
        now,
    );
    let errors: Vec<_> = diagnostics
        .iter()
        .filter(|d| d.severity == DiagnosticSeverity::Error)
        .collect();
    assert!(errors.is_empty(), "{errors:#?}");
    catalog
}

/// One machine.
#[derive(Clone, Debug)]
pub struct Machine {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    /// Name, version, source.
    pub packages: Vec<(String, String, String)>,
    pub available: Option<Vec<(String, String)>>,
    pub version: String,
    pub stale: bool,
    pub role: Option<String>,
    pub lifecycle: Lifecycle,
}

pub fn machine(name: &str, labels: &[(&str, &str)]) -> Machine {
    Machine {
        name: name.to_owned(),
        labels: labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        packages: vec![("openssl-libs".into(), "1:3.0.7-24.el9".into(), "openssl".into())],
        available: None,
        version: "9.4".into(),
        stale: false,
        role: None,
        lifecycle: Lifecycle::Active,
    }
}

/// One advisory that fixes packages of AlmaLinux 9.
pub fn advisory(id: &str, severity: Severity, published: &str, fixes: &[(&str, &str)]) -> AdvisoryRecord {
    let fix = |(package, fixed): &(&str, &str)| Fix {
        ecosystem: Ecosystem {
            scheme: Scheme::Rpm,
            os_id: "almalinux".into(),
            release: Some("9".into()),
        },
        package: (*package).into(),
        by_source: false,
        arch: None,
        module: None,
        edition: None,
        introduced: None,
        last_affected: None,
        fixed: Some((*fixed).into()),
        entitlement: Default::default(),
        kb: None,
    };
    AdvisoryRecord {
        id: id.into(),
        aliases: vec![],
        severity,
        types: vec![AdvisoryType::Security],
        published: Some(at(published)),
        modified: None,
        withdrawn: None,
        fixes: fixes.iter().map(fix).collect(),
        reboot: None,
        exploited: None,
        cves: Vec::new(),
        provenance: provenance("almalinux"),
    }
}

pub fn exploited(record: AdvisoryRecord, since: &str) -> AdvisoryRecord {
    let exploited = Exploited {
        since: Some(at(since)),
        ransomware: None,
        provenance: None,
    };
    AdvisoryRecord {
        exploited: Some(exploited),
        ..record
    }
}

fn provenance(source: &str) -> Provenance {
    Provenance {
        source: source.into(),
        file: "f".into(),
        record: 1,
    }
}

/// What is observed of some machines and advisories. Labels of the fleet come first, as merging does it.
pub fn observation(
    fleet: &str,
    shared: &[(&str, &str)],
    machines: &[Machine],
    advisories: &[AdvisoryRecord],
    now: Timestamp,
) -> Observation {
    let mut observation = Observation::default();
    let mut machines = machines.to_vec();
    machines.sort_by(|a, b| a.name.cmp(&b.name));
    for machine in machines {
        let tables = &mut observation.tables;
        let set = |list: &[(String, String, String)], tables: &mut patchwave_core::observe::Tables| {
            let ids = list.iter().map(|(name, version, source)| {
                let package = Package {
                    name: tables.intern(name),
                    version: tables.intern(version),
                    arch: tables.intern("x86_64"),
                    source: tables.intern(source),
                    ..Package::default()
                };
                tables.package_id(package)
            });
            let ids = ids.collect();
            tables.set_id(ids)
        };
        let packages = set(&machine.packages, tables);
        let available = machine.available.as_ref().map(|list| {
            let list: Vec<_> = list
                .iter()
                .map(|(n, v)| (n.clone(), v.clone(), String::new()))
                .collect();
            set(&list, tables)
        });
        let mut labels: BTreeMap<Arc<str>, Arc<str>> =
            shared.iter().map(|(k, v)| (Arc::from(*k), Arc::from(*v))).collect();
        labels.extend(
            machine
                .labels
                .iter()
                .map(|(k, v)| (Arc::from(k.as_str()), Arc::from(v.as_str()))),
        );
        let role = machine.role.as_deref().map(|role| {
            let facts = patchwave_core::observe::Kubernetes {
                role: Some(role.into()),
                ..Default::default()
            };
            Arc::new(facts)
        });
        observation.assets.push(Asset {
            name: machine.name.as_str().into(),
            fleet: fleet.into(),
            labels: Arc::new(labels),
            address: None,
            lifecycle: machine.lifecycle,
            observed_at: Some(now - jiff::SignedDuration::from_hours(9)),
            stale: machine.stale,
            facts: Facts {
                identity: Identity {
                    fqdn: Some(format!("{}.example", machine.name).into()),
                    ..Identity::default()
                },
                os: Some(Os {
                    family: "rhel".into(),
                    id: "almalinux".into(),
                    version: machine.version.as_str().into(),
                    arch: "x86_64".into(),
                }),
                pending_reboot: Some(false),
                packages: Some(packages),
                available,
                kubernetes: role,
                ..Facts::default()
            },
            provenance: vec![provenance("facts")],
        });
    }
    observation.advisories = advisories.to_vec();
    observation.advisories.sort_by(|a, b| a.id.cmp(&b.id));
    observation.coverage = vec![Coverage {
        os_id: "almalinux".into(),
        release: None,
        source: "almalinux".into(),
        fresh: true,
    }];
    observation
}

/// Everything planning looks at.
pub struct World {
    pub catalog: Catalog,
    pub observation: Observation,
    pub assessment: Assessment,
    pub history: History,
}

impl World {
    pub fn new(catalog: Catalog, observation: Observation, history: History, now: Timestamp) -> Self {
        let assessment = assess(&catalog, &observation, &history.memory, now);
        Self {
            catalog,
            observation,
            assessment,
            history,
        }
    }

    /// The plan, checked: every planned value is linted in every test.
    pub fn plan(&self, now: Timestamp) -> Plan {
        let planned = plan(&self.catalog, &self.observation, &self.assessment, &self.history, now);
        let faults = lint(
            &planned,
            &self.catalog,
            &self.observation,
            &self.assessment,
            &self.history,
        );
        assert!(faults.is_empty(), "{faults:#?}\n{planned:#?}");
        planned
    }
}

/// The assets of a wave, batch by batch.
pub fn batches(wave: &Wave) -> Vec<Vec<&str>> {
    wave.batches
        .iter()
        .map(|b| b.assets.iter().map(|a| a.name.as_ref()).collect())
        .collect()
}

/// Reasons of the refusals with their asset.
pub fn refusals(plan: &Plan) -> Vec<(&str, &str)> {
    plan.refusals
        .iter()
        .map(|r| (r.reason.as_ref(), r.asset.as_ref()))
        .collect()
}

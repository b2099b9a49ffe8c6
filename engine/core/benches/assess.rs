//! How long assessing takes, over a made-up estate: 20,000 package names with 12 versions, 2,000 base sets of 500
//! packages, assets that differ from their base in 0 to 10 packages, 2,800 advisories. The same numbers on every machine.
//!
//! `cargo bench -p patchwave-core --bench assess`; the floor (walking every installed package once) is beside it.

use std::collections::BTreeMap;
use std::sync::Arc;

use divan::{Bencher, black_box};
use patchwave_core::assess::{self, assess};
use patchwave_core::history::Memory;
use patchwave_core::load::wire::{AdvisoryType, Lifecycle};
use patchwave_core::load::{Catalog, Resource, expr};
use patchwave_core::name::Severity;
use patchwave_core::observe::{
    AdvisoryRecord, Asset, Coverage, Ecosystem, Facts, Fix, Observation, Os, Package, PackageId, Provenance, Tables,
};
use patchwave_core::source::DocId;
use patchwave_core::version::Scheme;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

const NAMES: u64 = 20_000;
const VERSIONS: u64 = 12;
const BASE_SETS: u64 = 2_000;
const PACKAGES: u64 = 500;
const ADVISORIES: u64 = 2_800;
/// Share of packages at their newest version, as measured on estates that patch monthly.
const NEWEST_PERCENT: u64 = 93;

/// Knuth's MMIX generator: the same estate everywhere, and no dependency.
struct Lcg(u64);

impl Lcg {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

fn resource<T: DeserializeOwned>(catalog: &mut Catalog, name: &str, spec: Value) -> Option<Resource<T>> {
    conditions(catalog, &spec);
    let (labels, annotations) = (BTreeMap::new(), BTreeMap::new());
    Some(Resource {
        name: name.into(),
        labels,
        annotations,
        spec: serde_json::from_value(spec).ok()?,
        doc: DocId(0),
    })
}

fn conditions(catalog: &mut Catalog, value: &Value) {
    match value {
        Value::Object(map) => {
            let when = map.get("when").and_then(Value::as_str);
            if let Some((text, Ok((compiled, _)))) = when.map(|text| (text, expr::compile(text))) {
                catalog.expressions.insert(text.to_owned(), Arc::new(compiled));
            }
            map.values().for_each(|v| conditions(catalog, v));
        }
        Value::Array(list) => list.iter().for_each(|v| conditions(catalog, v)),
        _ => {}
    }
}

fn catalog() -> Option<Catalog> {
    let mut c = Catalog::default();
    for env in ["prod", "staging", "test"] {
        let spec = json!({"selector": {"matchLabels": {"env": env}}, "environment": env, "target": "ansible", "window": "w",
            "criticality": if env == "prod" { "critical" } else { "low" }, "exposure": if env == "prod" { "public" } else { "internal" }});
        let class = resource(&mut c, env, spec)?;
        c.classes.insert(env.into(), class);
    }
    let sla = json!({"rules": [
        {"name": "exploited", "exploited": true, "clock": "exploited", "within": "24h", "lane": "emergency"},
        {"name": "critical-public", "severity": "critical", "exposure": "public", "within": "24h", "lane": "emergency"},
        {"name": "high", "when": "advisory.severity == \"high\" && asset.class.criticality != \"low\"", "within": "7d"}],
        "default": {"within": "30d"}});
    let sla = resource(&mut c, "standard", sla)?;
    c.slas.insert("standard".into(), sla);
    let policy = json!({"scope": {"selector": {"matchLabels": {"managed": "true"}}, "when": "asset.os.family in [\"rhel\", \"debian\"]"},
        "include": [{"types": ["security"], "severity": {"atLeast": "low"}}, {"packages": ["kernel*"]}],
        "holds": [{"packages": ["pkg-1*"], "versions": ">= 40", "until": "2027-03-31"}], "sla": "standard", "rollout": "standard"});
    let policy = resource(&mut c, "linux-security", policy)?;
    c.policies.insert("linux-security".into(), policy);
    Some(c)
}

fn provenance() -> Provenance {
    Provenance {
        source: "feed".into(),
        file: "feed.json".into(),
        record: 1,
    }
}

fn version(name: u64, v: u64) -> String {
    format!("{}.{}.{v}-{}.el9", name % 7, name % 11, v + 1)
}

fn advisories(random: &mut Lcg) -> Vec<AdvisoryRecord> {
    let mut all: Vec<AdvisoryRecord> = (0..ADVISORIES)
        .map(|n| {
            let fix = |random: &mut Lcg| {
                let name = random.below(NAMES);
                let ecosystem = Ecosystem {
                    scheme: Scheme::Rpm,
                    os_id: "almalinux".into(),
                    release: Some("9".into()),
                };
                let fixed: Arc<str> = version(name, 1 + random.below(VERSIONS - 1)).into();
                let package: Arc<str> = format!("pkg-{name}").into();
                Fix {
                    ecosystem,
                    package,
                    by_source: false,
                    arch: None,
                    module: None,
                    edition: None,
                    introduced: None,
                    fixed: Some(fixed),
                    last_affected: None,
                    entitlement: None,
                    kb: None,
                }
            };
            let severities = [Severity::Low, Severity::Medium, Severity::High, Severity::Critical];
            AdvisoryRecord {
                id: format!("ALSA-2026:{n:05}").into(),
                aliases: vec![format!("CVE-2026-{n}").into()],
                severity: severities
                    .get(random.below(4) as usize)
                    .copied()
                    .unwrap_or(Severity::Low),
                types: vec![AdvisoryType::Security],
                published: "2026-11-18T00:00:00Z".parse().ok(),
                modified: None,
                withdrawn: None,
                fixes: (0..=random.below(4)).map(|_| fix(random)).collect(),
                reboot: None,
                exploited: None,
                cves: Vec::new(),
                provenance: provenance(),
            }
        })
        .collect();
    all.sort_by(|a, b| a.id.cmp(&b.id));
    all
}

/// An estate of `count` assets.
fn estate(count: u64) -> Observation {
    let mut random = Lcg(42);
    let mut tables = Tables::default();
    let package = |random: &mut Lcg, tables: &mut Tables, name: u64| -> PackageId {
        let v = if random.below(100) < NEWEST_PERCENT {
            VERSIONS - 1
        } else {
            random.below(VERSIONS)
        };
        let package = Package {
            name: tables.intern(&format!("pkg-{name}")),
            version: tables.intern(&version(name, v)),
            arch: tables.intern("x86_64"),
            ..Package::default()
        };
        tables.package_id(package)
    };
    let bases: Vec<Vec<(u64, PackageId)>> = (0..BASE_SETS)
        .map(|_| {
            let mut names: BTreeMap<u64, PackageId> = BTreeMap::new();
            while (names.len() as u64) < PACKAGES {
                let name = random.below(NAMES);
                names.insert(name, package(&mut random, &mut tables, name));
            }
            names.into_iter().collect()
        })
        .collect();
    let os = Os {
        family: "rhel".into(),
        id: "almalinux".into(),
        version: "9.4".into(),
        arch: "x86_64".into(),
    };
    let labels: Vec<Arc<BTreeMap<Arc<str>, Arc<str>>>> = ["prod", "staging", "test"]
        .iter()
        .map(|env| {
            Arc::new(
                [("managed", "true"), ("env", *env)]
                    .map(|(k, v)| (Arc::from(k), Arc::from(v)))
                    .into(),
            )
        })
        .collect();
    let assets = (0..count)
        .filter_map(|n| {
            let mut packages = bases.get(random.below(BASE_SETS) as usize)?.clone();
            for _ in 0..random.below(11) {
                let at = random.below(PACKAGES) as usize;
                let (name, slot) = packages.get_mut(at)?;
                *slot = package(&mut random, &mut tables, *name);
            }
            let set = tables.set_id(packages.into_iter().map(|(_, id)| id).collect());
            Some(Asset {
                name: format!("host-{n:07}").into(),
                fleet: "eu".into(),
                labels: Arc::clone(labels.get(n as usize % labels.len())?),
                address: None,
                lifecycle: Lifecycle::Active,
                observed_at: "2026-11-20T03:00:00Z".parse().ok(),
                stale: false,
                facts: Facts {
                    os: Some(os.clone()),
                    packages: Some(set),
                    ..Facts::default()
                },
                provenance: vec![provenance()],
            })
        })
        .collect();
    let coverage = Coverage {
        os_id: "almalinux".into(),
        release: None,
        source: "feed".into(),
        fresh: true,
    };
    let advisories = advisories(&mut random);
    Observation {
        tables,
        assets,
        advisories,
        coverage: vec![coverage],
        ..Observation::default()
    }
}

const SIZES: [u64; 2] = [10_000, 100_000];

/// Every finding of every asset, factored.
#[divan::bench(args = SIZES, sample_count = 3, sample_size = 1)]
fn judged(bencher: Bencher<'_, '_>, count: u64) {
    let (observation, catalog, memory) = (estate(count), catalog().unwrap_or_default(), Memory::default());
    let now = "2026-11-20T12:00:00Z".parse().unwrap_or_default();
    bencher.bench(|| assess(black_box(&catalog), black_box(&observation), &memory, now));
}

/// The rows of every finding as NDJSON, without the assessing.
#[divan::bench(args = SIZES, sample_count = 3, sample_size = 1)]
fn rows(bencher: Bencher<'_, '_>, count: u64) {
    let (observation, catalog, memory) = (estate(count), catalog().unwrap_or_default(), Memory::default());
    let assessment = assess(
        &catalog,
        &observation,
        &memory,
        "2026-11-20T12:00:00Z".parse().unwrap_or_default(),
    );
    bencher.bench(|| {
        let (mut buffer, mut bytes, mut rows) = (Vec::new(), 0, 0_u64);
        for finding in assessment.findings(&observation) {
            assess::rows::ndjson_row(&finding, &observation, &mut buffer);
            rows += 1;
            if buffer.len() > 1 << 20 {
                bytes += buffer.len();
                buffer.clear();
            }
        }
        (rows, bytes + buffer.len())
    });
}

/// The floor: looking at every installed package of every asset once.
#[divan::bench(args = SIZES, sample_count = 3, sample_size = 1)]
fn floor(bencher: Bencher<'_, '_>, count: u64) {
    let observation = estate(count);
    let known = vec![1_u8; observation.tables.packages().len()];
    bencher.bench(|| {
        let sets = observation.assets.iter().filter_map(|a| a.facts.packages);
        let ids = sets.flat_map(|set| observation.tables.set(set));
        ids.map(|id| u64::from(known.get(id.0 as usize).copied().unwrap_or_default()))
            .sum::<u64>()
    });
}

fn main() {
    divan::main();
}

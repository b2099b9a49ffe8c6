//! A made-up estate of any size, for measuring: real package names from a template observation, versions aged by a seed.
//!
//! Deterministic: the same template, size and seed give the same bytes. Assets share [`SETS`] package sets, as servers
//! built from the same images do, and one in four differs from its set by a few packages of its own.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

use serde_json::{Value, json};

/// Distinct package sets the assets share: a few hundred images and roles, as large estates have.
const SETS: u64 = 200;

/// A small linear congruential generator (Knuth's MMIX constants): repeatable, and good enough for spreading versions.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }
}

/// Writes a repository with `assets` assets to `out`: policies, a fleet, `fleets/observed/estate.ndjson.zst`. Advisories
/// are the caller's: put them into `fleets/advisories/`.
pub fn write(template: &Path, assets: u64, out: &Path) -> io::Result<bool> {
    let text = fs::read_to_string(template)?;
    let host: Value = serde_json::from_str(text.lines().next().unwrap_or_default())?;
    let packages = host
        .get("packages")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    fs::create_dir_all(out.join("fleets/observed"))?;
    fs::create_dir_all(out.join("fleets/advisories"))?;
    fs::create_dir_all(out.join("policies"))?;
    for (path, content) in RESOURCES {
        fs::write(out.join(path), content)?;
    }
    let sets: Vec<Vec<Value>> = (0..SETS).map(|seed| aged(&packages, seed)).collect();
    let texts: Vec<String> = sets.iter().map(|set| Value::Array(set.clone()).to_string()).collect();
    let file = fs::File::create(out.join("fleets/observed/estate.ndjson.zst"))?;
    let mut encoder = zstd::Encoder::new(io::BufWriter::new(file), 3)?;
    let mut random = Random(1);
    let mut line = String::new();
    for index in 0..assets {
        let set = (random.next() % SETS) as usize;
        let own = random
            .next()
            .is_multiple_of(4)
            .then(|| own_packages(sets.get(set), index));
        let list = own.as_deref().or(texts.get(set).map(String::as_str)).unwrap_or("[]");
        let env = [
            "test", "staging", "prod", "prod", "prod", "prod", "prod", "prod", "prod", "prod",
        ];
        let env = env.get((index % 10) as usize).unwrap_or(&"prod");
        line.clear();
        let _ = writeln!(
            line,
            r#"{{"asset":"host-{index:07}","observedAt":"2026-11-20T03:00:00Z","labels":{{"env":"{env}","rack":"r{}"}},"os":{{"family":"rhel","id":"almalinux","version":"9.4","arch":"x86_64"}},"kernel":{{"running":"5.14.0-362.8.1.el9_3.x86_64","defaultBoot":"5.14.0-362.8.1.el9_3.x86_64"}},"pendingReboot":false,"packages":{list}}}"#,
            index / 40,
        );
        encoder.write_all(line.as_bytes())?;
    }
    encoder.finish()?.flush()?;
    Ok(true)
}

/// The template's packages with some of them missing, so that sets differ.
fn aged(packages: &[Value], seed: u64) -> Vec<Value> {
    let mut random = Random(seed + 7);
    packages
        .iter()
        .filter(|_| !random.next().is_multiple_of(8))
        .cloned()
        .collect()
}

/// A set with three packages of the asset's own.
fn own_packages(set: Option<&Vec<Value>>, index: u64) -> String {
    let mut packages = set.cloned().unwrap_or_default();
    for i in 0..3 {
        packages.push(json!({"name": format!("own-{}", (index * 3 + i) % 5000), "version": format!("1.{}-1.el9", index % 12), "arch": "x86_64"}));
    }
    Value::Array(packages).to_string()
}

const RESOURCES: &[(&str, &str)] = &[
    (
        "patchwave.yaml",
        "apiVersion: patchwave.dev/v1\nkind: Project\nmetadata: {name: estate}\nspec: {}\n",
    ),
    (
        "policies/all.yaml",
        r#"apiVersion: patchwave.dev/v1
kind: PatchPolicy
metadata: {name: linux}
spec:
  scope: {selector: {}}
  include: [{types: [security]}]
  sla: standard
  rollout: standard
---
apiVersion: patchwave.dev/v1
kind: SlaPolicy
metadata: {name: standard}
spec:
  clock: detected
  rules:
    - {name: critical, severity: critical, within: 7d}
    - {name: high, when: 'advisory.severity == "high" && asset.class.criticality != "low"', within: 30d}
  default: {within: 90d}
---
apiVersion: patchwave.dev/v1
kind: RolloutStrategy
metadata: {name: standard}
spec:
  waves:
    - {name: test, environments: [test], soak: 24h}
    - {name: staging, needs: [test], environments: [staging], soak: 24h}
    - {name: prod, needs: [staging], environments: [prod], batches: ["1%", "10%", "25%"], soak: 24h}
---
apiVersion: patchwave.dev/v1
kind: MaintenanceWindow
metadata: {name: always}
spec: {schedules: [{rrule: FREQ=DAILY, start: "00:00", duration: 24h}]}
"#,
    ),
    (
        "fleets/fleet.yaml",
        r#"apiVersion: patchwave.dev/v1
kind: Fleet
metadata: {name: estate}
spec: {sources: [facts]}
---
apiVersion: patchwave.dev/v1
kind: Source
metadata: {name: facts}
spec: {kind: inventory, type: native, path: fleets/observed}
---
apiVersion: patchwave.dev/v1
kind: Source
metadata: {name: advisories}
spec: {kind: advisories, type: osv, path: fleets/advisories}
---
apiVersion: patchwave.dev/v1
kind: AssetClass
metadata: {name: test}
spec: {selector: {matchLabels: {env: test}}, environment: test, criticality: low, exposure: internal, target: ansible, window: always, disruption: {maxUnavailable: 50%}, protection: {rollback: package-downgrade}}
---
apiVersion: patchwave.dev/v1
kind: AssetClass
metadata: {name: staging}
spec: {selector: {matchLabels: {env: staging}}, environment: staging, exposure: internal, target: ansible, window: always, disruption: {maxUnavailable: 50%}, protection: {rollback: package-downgrade}}
---
apiVersion: patchwave.dev/v1
kind: AssetClass
metadata: {name: prod}
spec: {selector: {matchLabels: {env: prod}}, environment: prod, criticality: high, exposure: internal, target: ansible, window: always, disruption: {maxUnavailable: 25%}, protection: {rollback: package-downgrade}}
"#,
    ),
];

/// Writes a repository of `files` resource files, a fifth of them policies, for measuring `validate`.
pub fn write_resources(files: u64, out: &Path) -> io::Result<bool> {
    fs::create_dir_all(out.join("fleets/observed"))?;
    fs::create_dir_all(out.join("fleets/advisories"))?;
    for (path, content) in RESOURCES {
        if let Some(folder) = out.join(path).parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(out.join(path), content)?;
    }
    for index in 0..files {
        let text = format!(
            "apiVersion: patchwave.dev/v1\nkind: PatchException\nmetadata:\n  name: exception-{index}\nspec:\n  selector: {{matchLabels: {{rack: r{index}}}}}\n  advisories: [\"CVE-2026-{:05}\"]\n  packages: [\"openssl*\", \"kernel*\"]\n  expires: 2027-01-31\n  reason: the vendor image cannot take this before the January release\n  approvedBy: ciso\n  ticket: CHG-{index}\n  outcome: mitigated\n",
            index % 99_999
        );
        let folder = out.join(format!("policies/exceptions/{:02}", index % 100));
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(format!("exception-{index}.yaml")), text)?;
    }
    Ok(true)
}

/// The floor of reading an inventory: decompress it, parse every line into borrowed JSON, count, and write as many bytes
/// as asked to nowhere in particular.
pub fn floor(file: &Path, output_bytes: usize) -> io::Result<bool> {
    use io::BufRead;
    #[derive(serde::Deserialize)]
    struct Row<'a> {
        #[serde(borrow)]
        name: std::borrow::Cow<'a, str>,
        #[serde(borrow)]
        version: std::borrow::Cow<'a, str>,
    }
    #[derive(serde::Deserialize)]
    struct Line<'a> {
        #[serde(borrow)]
        packages: Vec<Row<'a>>,
    }
    let decoder = zstd::Decoder::new(fs::File::open(file)?)?;
    let mut reader = io::BufReader::with_capacity(1 << 20, decoder);
    let (mut line, mut rows, mut bytes) = (String::new(), 0_u64, 0_u64);
    while reader.read_line(&mut line)? > 0 {
        let parsed: Line<'_> = serde_json::from_str(&line)?;
        rows += parsed.packages.len() as u64;
        bytes += parsed
            .packages
            .iter()
            .map(|p| (p.name.len() + p.version.len()) as u64)
            .sum::<u64>();
        line.clear();
    }
    let block = vec![b'x'; 256 * 1024];
    let mut out = io::stdout().lock();
    let mut left = output_bytes;
    while left > 0 {
        let now = left.min(block.len());
        out.write_all(block.get(..now).unwrap_or_default())?;
        left -= now;
    }
    drop(out);
    let _ = writeln!(io::stderr(), "{rows} rows, {bytes} bytes of names and versions");
    Ok(true)
}

//! The world of a test: what is written there, observed, assessed and planned as a run would do it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::assess::{Assessment, assess, retire_gone};
use crate::history::{History, Memory};
use crate::load::Catalog;
use crate::load::wire::{
    AdvisorySpec, FleetSpec, IdentityKey, TestAdvisory, TestExploitation, TestImpact, TestMemory, TestSsvc,
};
use crate::observe::{
    Account, Batch, CveRecord, Exploitation, ExploitedRecord, MergeInput, Observation, Provenance, SourceBatch,
    SourceStatus, Ssvc, bulletin_record, merge,
};
use crate::plan::{Plan, lint, plan};
use crate::source::DocId;
use crate::time::{Boundary, When};

/// Reads native observations: name of the source, lines of NDJSON, now. Core knows no foreign format, so the caller gives
/// the reader.
///
/// # Errors
/// Why nothing could be read at all.
pub type ReadNative<'a> = &'a (dyn Fn(&Arc<str>, &[u8], Timestamp) -> Result<Batch, String> + Sync);

/// What a test gives.
#[derive(Clone, Copy, Debug, Default)]
pub struct Given<'a> {
    /// Assets, as native observations with `name` for the asset, and `fleet`.
    pub assets: &'a [Map<String, Value>],
    /// Advisories.
    pub advisories: &'a [TestAdvisory],
    /// What earlier runs left behind.
    pub memory: Option<&'a TestMemory>,
    /// The PolicyTest that gives it, so that traces can name its lines.
    pub doc: Option<DocId>,
}

/// Everything that follows from what a test gives.
#[derive(Clone, Debug)]
pub struct World {
    /// The instant.
    pub now: Timestamp,
    /// What is there.
    pub observation: Observation,
    /// What the past left.
    pub history: History,
    /// What is found.
    pub assessment: Assessment,
    /// What is to be done.
    pub plan: Plan,
    /// What is wrong with what is given (a field that cannot be read), or with the plan. A world with faults proves
    /// nothing.
    pub faults: Vec<String>,
}

/// Sources of a test are called so; no resource has such a name.
const SOURCE: &str = "policy test";

/// Observes, assesses and plans what is given, under the policies of the catalog.
///
/// The Sources and the listed assets of the repository's Fleets play no part: what is there is what is given. An asset is
/// in the Fleet it names, else in the one that lists it, and has its labels and services then; else in none. The
/// repository's own Advisory resources count as always.
pub fn world(catalog: &Catalog, given: &Given<'_>, now: Timestamp, read: ReadNative<'_>) -> World {
    let mut faults = Vec::new();
    let by_fleet = by_fleet(catalog, given.assets);
    let (mut fleets, mut batches) = (Vec::new(), Vec::new());
    for (fleet, members) in &by_fleet {
        let source: Arc<str> = format!("{SOURCE} {fleet}").trim_end().into();
        fleets.push((*fleet, fleet_spec(catalog, fleet, &source, members)));
        let mut outcome = read(&source, &lines(members, now), now);
        if let Ok(batch) = &mut outcome {
            faults.extend(faults_of(batch, members));
            for record in &mut batch.assets {
                let member = member_of(members, record.provenance.record);
                let index = member.map_or(0, |(index, _)| *index);
                record.provenance = place(catalog, given.doc, &format!("/spec/assets/{index}"), &source);
            }
        }
        batches.push(batch(source, outcome));
    }
    batches.push(advisories(catalog, given, &mut faults));
    let fleets: Vec<(&str, &FleetSpec)> = fleets.iter().map(|(name, spec)| (*name, spec)).collect();
    let own: Vec<_> = catalog
        .advisories
        .values()
        .map(|a| {
            (
                a.name.as_ref(),
                &a.spec,
                place(catalog, Some(a.doc), "/spec", "repository"),
            )
        })
        .collect();
    let input = MergeInput {
        fleets: &fleets,
        sources: &[],
        advisories: &own,
        zone: &catalog.zone.0,
    };
    let mut observation = merge(&input, batches, now);
    retire_gone(catalog, &mut observation, now);
    faults.extend(observation.sources.iter().filter_map(|s| s.failure.clone()));
    observation.sources.extend(catalogues(catalog));
    let errors = observation.notes.iter().filter(|note| note.error);
    faults.extend(errors.map(|note| format!("{}: {}", note.subject, note.message)));
    let history = History {
        memory: memory(catalog, given.memory),
        ..History::default()
    };
    let assessment = assess(catalog, &observation, &history.memory, now);
    let plan = plan(catalog, &observation, &assessment, &history, now);
    let rejected = lint(&plan, catalog, &observation, &assessment, &history);
    faults.extend(
        rejected
            .iter()
            .map(|f| format!("the independent checker rejects the plan: {f}; this is a fault of patchwave")),
    );
    World {
        now,
        observation,
        history,
        assessment,
        plan,
        faults,
    }
}

/// The name of an asset of a test.
pub fn name_of(asset: &Map<String, Value>) -> &str {
    asset.get("name").and_then(Value::as_str).unwrap_or_default()
}

/// Assets with their places in the test.
type Members<'a> = Vec<(usize, &'a Map<String, Value>)>;

/// The member behind a record, which counts lines from 1.
fn member_of<'m, 'a>(members: &'m Members<'a>, record: u32) -> Option<&'m (usize, &'a Map<String, Value>)> {
    members.get((record as usize).checked_sub(1)?)
}

/// The assets by the fleet they are in; `` for none.
fn by_fleet<'a>(catalog: &'a Catalog, assets: &'a [Map<String, Value>]) -> BTreeMap<&'a str, Members<'a>> {
    let listed: BTreeMap<String, &str> = catalog
        .fleets
        .values()
        .flat_map(|fleet| {
            fleet
                .spec
                .assets
                .iter()
                .map(|a| (a.name.to_lowercase(), fleet.name.as_ref()))
        })
        .collect();
    let mut found: BTreeMap<&str, Members<'_>> = BTreeMap::new();
    for (index, asset) in assets.iter().enumerate() {
        let named = asset.get("fleet").and_then(Value::as_str);
        let fleet = named.or_else(|| listed.get(&name_of(asset).to_lowercase()).copied());
        found.entry(fleet.unwrap_or_default()).or_default().push((index, asset));
    }
    found
}

/// A fleet with exactly these members.
fn fleet_spec(catalog: &Catalog, name: &str, source: &str, members: &Members<'_>) -> FleetSpec {
    let there: BTreeSet<String> = members.iter().map(|(_, asset)| name_of(asset).to_lowercase()).collect();
    let Some(fleet) = catalog.fleets.get(name) else {
        return FleetSpec {
            labels: BTreeMap::new(),
            identity: vec![IdentityKey::Name],
            sources: vec![source.to_owned()],
            assets: Vec::new(),
            services: Vec::new(),
        };
    };
    let mut spec = fleet.spec.clone();
    spec.sources = vec![source.to_owned()];
    spec.assets.retain(|asset| there.contains(&asset.name.to_lowercase()));
    spec
}

/// The assets as lines of native observations.
fn lines(members: &Members<'_>, now: Timestamp) -> Vec<u8> {
    let mut out = Vec::new();
    for (_, asset) in members {
        let mut line = Map::new();
        line.insert("asset".into(), name_of(asset).into());
        line.insert("observedAt".into(), now.to_string().into());
        let facts = asset
            .iter()
            .filter(|(key, _)| !matches!(key.as_str(), "name" | "fleet"));
        line.extend(facts.map(|(key, value)| (key.clone(), value.clone())));
        out.extend_from_slice(Value::Object(line).to_string().as_bytes());
        out.push(b'\n');
    }
    out
}

/// What could not be read of the assets. In a test, a field that is passed over in silence would be a false proof.
fn faults_of(batch: &Batch, members: &Members<'_>) -> Vec<String> {
    let account = &batch.account;
    let lost = account
        .skipped
        .iter()
        .chain(&account.dropped_fields)
        .chain(&account.notes);
    lost.map(|loss| match member_of(members, loss.record) {
        Some((_, asset)) if !loss.reason.starts_with(name_of(asset)) => {
            format!("asset {}: {}", name_of(asset), loss.reason)
        }
        _ => loss.reason.clone(),
    })
    .collect()
}

fn advisories(catalog: &Catalog, given: &Given<'_>, faults: &mut Vec<String>) -> SourceBatch {
    let mut notes = Vec::new();
    let source: Arc<str> = SOURCE.into();
    let records = given.advisories.iter().enumerate().map(|(index, advisory)| {
        let at = place(catalog, given.doc, &format!("/spec/advisories/{index}"), SOURCE);
        let spec = as_resource(advisory);
        bulletin_record(&advisory.id, &spec, &at, &catalog.zone.0, &mut notes)
    });
    let mut outcome = Batch {
        advisories: records.collect(),
        ..Batch::default()
    };
    for (record, advisory) in outcome.advisories.iter().zip(given.advisories) {
        let cves: Vec<Arc<str>> = record.cve_ids().cloned().collect();
        if advisory.ssvc.is_some() && cves.is_empty() {
            faults.push(format!(
                "advisory {}: `ssvc` is answered for CVEs, and it names none; give one under `aliases`",
                record.id
            ));
        }
        let exploited = record.exploited.as_ref();
        outcome.exploited.extend(exploited.into_iter().flat_map(|exploited| {
            cves.iter().map(|cve| ExploitedRecord {
                cve: Arc::clone(cve),
                exploited: exploited.clone(),
            })
        }));
        outcome
            .cves
            .extend(cves.iter().filter_map(|cve| answers(cve, advisory.ssvc?)));
    }
    faults.extend(
        notes
            .iter()
            .map(|note| format!("advisory {} {}", note.subject, note.message)),
    );
    batch(source, Ok(outcome))
}

/// The answers of a test for one CVE; none if it answers nothing.
fn answers(cve: &Arc<str>, given: TestSsvc) -> Option<CveRecord> {
    let ssvc = Ssvc {
        exploitation: given.exploitation.map(|e| match e {
            TestExploitation::None => Exploitation::None,
            TestExploitation::Poc => Exploitation::Poc,
            TestExploitation::Active => Exploitation::Active,
        }),
        automatable: given.automatable,
        total_impact: given.technical_impact.map(|impact| impact == TestImpact::Total),
    };
    (ssvc != Ssvc::UNKNOWN).then(|| CveRecord {
        cve: Arc::clone(cve),
        epss: None,
        ssvc,
        at: None,
    })
}

/// Sources of exploited vulnerabilities count as read: what a test does not call exploited stands in no catalogue.
fn catalogues(catalog: &Catalog) -> impl Iterator<Item = SourceStatus> {
    let kev = catalog.sources.values().filter(|s| s.spec.format == "kev");
    kev.map(|source| SourceStatus {
        name: Arc::clone(&source.name),
        kind: source.spec.kind,
        account: Account::default(),
        fetched_at: None,
        stale: false,
        failure: None,
        digest: String::new(),
    })
}

fn as_resource(advisory: &TestAdvisory) -> AdvisorySpec {
    let TestAdvisory {
        id,
        aliases,
        types,
        severity,
        published,
        exploited,
        exploited_since,
        ssvc: _,
        fixes,
    } = advisory.clone();
    AdvisorySpec {
        id: Some(id),
        aliases,
        source: None,
        author: None,
        types,
        severity,
        published,
        exploited,
        exploited_since,
        fixes,
    }
}

fn batch(name: Arc<str>, outcome: Result<Batch, String>) -> SourceBatch {
    SourceBatch {
        name,
        digest: String::new(),
        fetched_at: None,
        outcome,
    }
}

/// Where a part of a document stands, as the place of a fact.
fn place(catalog: &Catalog, doc: Option<DocId>, pointer: &str, source: &str) -> Provenance {
    let location = doc.and_then(|doc| catalog.locate(doc, pointer));
    let (file, record) = location.map_or_else(|| (source.into(), 0), |l| (l.file, l.line));
    Provenance {
        source: source.into(),
        file,
        record,
    }
}

fn memory(catalog: &Catalog, given: Option<&TestMemory>) -> Memory {
    let Some(given) = given else { return Memory::default() };
    let TestMemory {
        first_run,
        cuts,
        advisories,
        assets,
        exploited,
    } = given;
    let start = |when: &When| when.resolve(Boundary::Start, &catalog.zone.0);
    let times = |map: &BTreeMap<String, When>| map.iter().map(|(k, w)| (Arc::from(k.as_str()), start(w))).collect();
    Memory {
        first_run: first_run.as_ref().map(start),
        advisories: times(advisories),
        assets: times(assets),
        exploited: times(exploited),
        cuts: times(cuts),
        changes: crate::history::Changes::default(),
    }
}

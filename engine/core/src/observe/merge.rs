//! Merging: what every source said becomes one [`Observation`].
//!
//! The stages are: names of each source ([`super::sighting`]), which of them are the same asset
//! ([`super::identity`]), which fleet they are in ([`super::membership`]), which source is believed for each fact
//! ([`super::authority`]), and the advisories with what is known of their exploitation ([`super::bulletin`]).
//!
//! Invariant \[order\]: neither the order of sources nor that of files or records changes what comes out, but for the
//! numbers inside [`Tables`] and the record numbers in provenance.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::advisory::{AdvisoryRecord, ExploitedRecord};
use super::asset::{Account, AssetRecord, Batch, Provenance};
use super::cve::CveRecord;
use super::estate::{Coverage, Note, Observation, SourceStatus};
use super::tables::Tables;
use super::{bulletin, cve, membership, sighting};
use crate::load::wire::{AdvisorySpec, FleetSpec, SourceKind, SourceSpec};

/// The resources that merging looks at.
#[derive(Clone, Copy, Debug)]
pub struct MergeInput<'a> {
    /// Every Fleet with its name.
    pub fleets: &'a [(&'a str, &'a FleetSpec)],
    /// Every Source with its name.
    pub sources: &'a [(&'a str, &'a SourceSpec)],
    /// Every Advisory with its name, and where it stands.
    pub advisories: &'a [(&'a str, &'a AdvisorySpec, Provenance)],
    /// The zone in which bare dates are read.
    pub zone: &'a TimeZone,
}

/// What asking one source gave.
#[derive(Clone, Debug)]
pub struct SourceBatch {
    /// Name of the Source resource.
    pub name: Arc<str>,
    /// SHA-256 of what was read, hex.
    pub digest: String,
    /// When it was fetched, for sources that say so; none = fresh when read.
    pub fetched_at: Option<Timestamp>,
    /// What was read, or why nothing could be.
    pub outcome: Result<Batch, String>,
}

/// A source as the other modules see it.
#[derive(Clone, Debug)]
pub(super) struct Origin<'a> {
    pub(super) name: Arc<str>,
    /// None for a source that no resource describes.
    pub(super) spec: Option<&'a SourceSpec>,
    /// Whether it was too old at now.
    pub(super) stale: bool,
}

impl Origin<'_> {
    /// The age at which what it says is stale, in the signed form that times subtract.
    pub(super) fn stale_after(&self) -> jiff::SignedDuration {
        let default = jiff::SignedDuration::from_hours(36);
        self.spec.map_or(default, |spec| spec.stale_after.signed())
    }

    /// Whether it is believed before others for a group of facts.
    pub(super) fn is_authoritative_for(&self, group: &str) -> bool {
        self.spec
            .is_some_and(|spec| spec.authoritative_for.iter().any(|named| named == group))
    }
}

/// Merges what every source gave into one value.
///
/// `batches` holds one entry for each source that was asked, failed ones too. `now` decides what is stale.
pub fn merge(input: &MergeInput<'_>, mut batches: Vec<SourceBatch>, now: Timestamp) -> Observation {
    batches.sort_by(|a, b| a.name.cmp(&b.name));
    let mut notes = Vec::new();
    let mut tables = Tables::default();
    let gathered = gather(input, batches, now, &mut tables);
    let sightings: Vec<_> = gathered
        .assets
        .into_iter()
        .enumerate()
        .flat_map(|(origin, records)| sighting::sightings(origin, records, &tables, &mut notes))
        .collect();
    let (assets, unmanaged) = membership::assets(input, &gathered.origins, sightings, now, &mut notes);
    let coverage = coverage(&gathered.origins, &gathered.advisories);
    let mut advisories: Vec<AdvisoryRecord> = gathered
        .advisories
        .into_iter()
        .flat_map(|records| bulletin::newest(records, &mut notes))
        .collect();
    advisories.extend(bulletin::own(input, &mut notes));
    advisories.sort_by(|a, b| (&a.id, &a.provenance).cmp(&(&b.id, &b.provenance)));
    bulletin::join_exploited(&mut advisories, &gathered.exploited);
    cve::join_cves(&mut advisories, &gathered.exploited, gathered.cves);
    notes.sort();
    notes.dedup();
    Observation {
        tables,
        assets,
        advisories,
        coverage,
        sources: gathered.statuses,
        unmanaged,
        notes,
    }
}

struct Gathered<'a> {
    origins: Vec<Origin<'a>>,
    statuses: Vec<SourceStatus>,
    /// By origin.
    assets: Vec<Vec<AssetRecord>>,
    /// By origin.
    advisories: Vec<Vec<AdvisoryRecord>>,
    exploited: Vec<ExploitedRecord>,
    cves: Vec<CveRecord>,
}

/// Takes the batches apart: one set of tables, and of each source its records and how it did.
fn gather<'a>(
    input: &MergeInput<'a>,
    mut batches: Vec<SourceBatch>,
    now: Timestamp,
    tables: &mut Tables,
) -> Gathered<'a> {
    take_in_tables(&mut batches, tables);
    let mut gathered = Gathered {
        origins: Vec::new(),
        statuses: Vec::new(),
        assets: Vec::new(),
        advisories: Vec::new(),
        exploited: Vec::new(),
        cves: Vec::new(),
    };
    for batch in batches {
        let spec = input
            .sources
            .iter()
            .find(|(name, _)| **name == *batch.name)
            .map(|(_, spec)| *spec);
        let mut origin = Origin {
            name: Arc::clone(&batch.name),
            spec,
            stale: false,
        };
        origin.stale = batch
            .fetched_at
            .is_some_and(|at| is_stale(at, origin.stale_after(), now));
        let (read, failure) = match batch.outcome {
            Ok(read) => (read, None),
            Err(why) => (Batch::default(), Some(why)),
        };
        gathered.statuses.push(SourceStatus {
            name: batch.name,
            kind: spec.map_or(SourceKind::Inventory, |spec| spec.kind),
            account: sorted(read.account),
            fetched_at: batch.fetched_at,
            stale: origin.stale,
            failure,
            digest: batch.digest,
        });
        gathered.origins.push(origin);
        gathered.assets.push(read.assets);
        gathered.advisories.push(read.advisories);
        gathered.exploited.extend(read.exploited);
        gathered.cves.extend(read.cves);
    }
    gathered
}

/// The largest tables first: they are moved, and only the others are copied.
fn take_in_tables(batches: &mut [SourceBatch], tables: &mut Tables) {
    let mut readable: Vec<&mut Batch> = batches
        .iter_mut()
        .filter_map(|batch| batch.outcome.as_mut().ok())
        .collect();
    readable.sort_by_key(|batch| std::cmp::Reverse(batch.tables.set_count()));
    for batch in readable {
        let sets = tables.take_in(std::mem::take(&mut batch.tables));
        for record in &mut batch.assets {
            record.facts.rename_sets(&sets);
        }
    }
}

fn sorted(mut account: Account) -> Account {
    account.skipped.sort();
    account.dropped_fields.sort();
    account.notes.sort();
    account
}

/// Whether something that was true `at` a time is too old at now. A time too far off to add to never gets old.
pub(super) fn is_stale(at: Timestamp, stale_after: jiff::SignedDuration, now: Timestamp) -> bool {
    at.checked_add(stale_after).is_ok_and(|until| until < now)
}

/// The ecosystems of which each source of advisories has records. A feed that was read from a path is fresh; one that
/// was fetched is as fresh as its fetch. The times of its records never count.
fn coverage(origins: &[Origin<'_>], advisories: &[Vec<AdvisoryRecord>]) -> Vec<Coverage> {
    let mut claims: Vec<Coverage> = Vec::new();
    for (origin, records) in origins.iter().zip(advisories) {
        let mut ecosystems: Vec<_> = records
            .iter()
            .flat_map(|r| &r.fixes)
            .map(|fix| (&fix.ecosystem.os_id, &fix.ecosystem.release))
            .collect();
        ecosystems.sort_unstable();
        ecosystems.dedup();
        claims.extend(ecosystems.into_iter().map(|(os_id, release)| Coverage {
            os_id: Arc::clone(os_id),
            release: release.clone(),
            source: Arc::clone(&origin.name),
            fresh: !origin.stale,
        }));
    }
    claims.sort();
    claims
}

/// Adds a note.
pub(super) fn note(notes: &mut Vec<Note>, error: bool, subject: &str, message: String) {
    notes.push(Note {
        error,
        subject: subject.into(),
        message,
    });
}

//! The merged estate: every asset with its facts, every advisory, and how far both can be trusted.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::advisory::AdvisoryRecord;
use super::asset::{Account, Facts, Provenance};
use super::tables::Tables;
use crate::load::wire::{Lifecycle, SourceKind};

/// Everything observed, at one time.
#[derive(Clone, Debug, Default)]
pub struct Observation {
    /// Interned texts and packages.
    pub tables: Tables,
    /// Every member of every fleet, sorted by name (bytewise).
    pub assets: Vec<Asset>,
    /// Every advisory, sorted by id, then source.
    pub advisories: Vec<AdvisoryRecord>,
    /// Which ecosystems the fresh advisory sources claim.
    pub coverage: Vec<Coverage>,
    /// Every source that was asked, sorted by name.
    pub sources: Vec<SourceStatus>,
    /// Seen by a source but in no fleet, sorted.
    pub unmanaged: Vec<Unmanaged>,
    /// Clones, renames, conflicts and other things found while merging, sorted.
    pub notes: Vec<Note>,
}

/// One member of a fleet.
#[derive(Clone, Debug)]
pub struct Asset {
    /// Its name; the key.
    pub name: Arc<str>,
    /// The fleet it is in.
    pub fleet: Arc<str>,
    /// Fleet < observation < `assets[]`.
    pub labels: Arc<BTreeMap<Arc<str>, Arc<str>>>,
    /// How the executor reaches it, if written.
    pub address: Option<Arc<str>>,
    /// Where it is in its life.
    pub lifecycle: Lifecycle,
    /// When what is installed on it was observed (packages, else build, KBs, components, …; only where it has none of
    /// these, its newest fact); none = never observed.
    pub observed_at: Option<Timestamp>,
    /// That observation is older than its source allows; never observed is not stale but unknown.
    pub stale: bool,
    /// Merged facts; their labels have moved into `labels`.
    pub facts: Facts,
    /// Where the facts come from, best first.
    pub provenance: Vec<Provenance>,
}

impl Asset {
    /// A label's value.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.labels.get(key).map(|v| v.as_ref())
    }

    /// The host name an executor or a gate knows it by: address, else fqdn, else name.
    pub fn host(&self) -> &str {
        self.address
            .as_deref()
            .or(self.facts.identity.fqdn.as_deref())
            .unwrap_or(&self.name)
    }
}

/// That a source speaks for an ecosystem.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Coverage {
    /// `ID` of os-release.
    pub os_id: Arc<str>,
    /// Release; none = every release.
    pub release: Option<Arc<str>>,
    /// The source.
    pub source: Arc<str>,
    /// Whether the source is fresh at now.
    pub fresh: bool,
}

/// How one source did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceStatus {
    /// Name of the Source resource.
    pub name: Arc<str>,
    /// What it gives.
    pub kind: SourceKind,
    /// What was read and skipped.
    pub account: Account,
    /// When it was fetched, for sources that say so or are fetched by us; none = fresh when read.
    pub fetched_at: Option<Timestamp>,
    /// Too old at now.
    pub stale: bool,
    /// Why it could not be read at all.
    pub failure: Option<String>,
    /// SHA-256 of what was read, hex.
    pub digest: String,
}

/// Seen by a source but in no fleet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unmanaged {
    /// Its name.
    pub name: Arc<str>,
    /// The source that saw it.
    pub source: Arc<str>,
}

/// Something found while merging.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Note {
    /// Whether it is an error: the run goes on, but exits 1.
    pub error: bool,
    /// The asset or advisory.
    pub subject: Arc<str>,
    /// What, why it matters, what to do.
    pub message: String,
}

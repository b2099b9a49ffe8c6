//! What a run of records gave, with the account of it.
//!
//! Invariant \[account\]: read + skipped = total. It holds because records are counted here and nowhere else, each by
//! exactly one of [`Sheet::read`] and [`Sheet::skip`].

use std::collections::BTreeMap;
use std::sync::Arc;

use patchwave_core::observe::{Batch, PackageSetId, Provenance, Skipped};
use rustc_hash::FxHashMap;

/// How many different things are counted by name; beyond that they are counted together, so that a hostile file
/// cannot make the account larger than itself.
const TALLIES_MAX: usize = 200;

/// Digest of the raw bytes of a package list.
pub(crate) type ListDigest = [u8; 32];

/// Package lists read before, by the digest of their bytes.
pub(crate) type KnownLists = FxHashMap<ListDigest, PackageSetId>;

/// Which of the two package lists of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ListField {
    /// `packages`.
    Packages,
    /// `available`.
    Available,
}

/// Something worth a word that is counted instead of being listed each time.
#[derive(Clone, Debug)]
struct Tally {
    file: Arc<str>,
    count: u64,
}

/// What a run of records gave.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sheet {
    /// The records and their account.
    pub(crate) batch: Batch,
    /// Lists first read here, by digest, with the name of the set in this sheet's tables.
    pub(crate) new_lists: KnownLists,
    /// Records (by index) whose list was known already, with the name of the set in the tables of the whole.
    pub(crate) reused: Vec<(usize, ListField, PackageSetId)>,
    tallies: BTreeMap<String, Tally>,
}

impl Sheet {
    /// Counts a record that became facts.
    pub(crate) fn read(&mut self) {
        self.batch.account.total += 1;
        self.batch.account.read += 1;
    }

    /// Counts a record that did not, and says why.
    pub(crate) fn skip(&mut self, at: &Provenance, reason: impl Into<String>) {
        self.batch.account.total += 1;
        self.batch.account.skipped.push(skipped(at, reason.into()));
    }

    /// Says that a field of a record was dropped, and why.
    pub(crate) fn drop_field(&mut self, at: &Provenance, reason: impl Into<String>) {
        self.batch.account.dropped_fields.push(skipped(at, reason.into()));
    }

    /// Says something that lost nothing.
    pub(crate) fn note(&mut self, at: &Provenance, reason: impl Into<String>) {
        self.batch.account.notes.push(skipped(at, reason.into()));
    }

    /// Counts something that may be true of every record; it becomes one note with the count.
    pub(crate) fn tally(&mut self, file: &Arc<str>, what: &str, count: u64) {
        if let Some(tally) = self.tallies.get_mut(what) {
            tally.count += count;
            return;
        }
        let what = if self.tallies.len() < TALLIES_MAX {
            what
        } else {
            "things not listed one by one"
        };
        let tally = self.tallies.entry(what.to_owned()).or_insert_with(|| Tally {
            file: Arc::clone(file),
            count: 0,
        });
        tally.count += count;
    }

    /// Takes in everything of `other`, which was read behind this one, and remembers its package lists in `known`.
    pub(crate) fn append(&mut self, other: Self, known: &mut KnownLists) {
        let first_asset = self.batch.assets.len();
        let new_sets: Vec<(ListDigest, PackageSetId)> = {
            let mut lists: Vec<_> = other.new_lists.into_iter().collect();
            lists.sort_unstable();
            lists
        };
        let renamed = self.batch.append(other.batch);
        for (digest, set) in new_sets {
            known.insert(digest, renamed.get(set.0 as usize).copied().unwrap_or(set));
        }
        for (index, field, set) in other.reused {
            if let Some(record) = self.batch.assets.get_mut(first_asset + index) {
                match field {
                    ListField::Packages => record.facts.packages = Some(set),
                    ListField::Available => record.facts.available = Some(set),
                }
            }
        }
        for (what, tally) in other.tallies {
            self.tally(&tally.file, &what, tally.count);
        }
    }

    /// The batch, with the tallies as notes.
    pub(crate) fn finish(mut self) -> Batch {
        for (what, Tally { file, count }) in self.tallies {
            self.batch.account.notes.push(Skipped {
                file,
                record: 0,
                reason: format!("{what} ({count} ×)"),
            });
        }
        self.batch
    }
}

fn skipped(at: &Provenance, reason: String) -> Skipped {
    Skipped {
        file: Arc::clone(&at.file),
        record: at.record,
        reason,
    }
}

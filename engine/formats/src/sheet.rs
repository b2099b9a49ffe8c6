//! What a chunk of records gave, and what they give together, with the account of it.
//!
//! Invariant \[account\]: read + skipped = total. It holds because records are counted here and nowhere else, each by
//! exactly one of [`Sheet::read`] and [`Sheet::skip`].

use std::collections::BTreeMap;
use std::sync::Arc;

use patchwave_core::lookup::Lookup;
use patchwave_core::observe::{Batch, PackageId, PackageSetId, Provenance, Skipped};

/// How many different things are counted by name; beyond that they are counted together, so that a hostile file
/// cannot make the account larger than itself.
const TALLIES_MAX: usize = 200;

/// How many bytes of package rows are kept to know them again: a million distinct rows, where large estates have some
/// hundred thousand.
const ROW_BYTES_MAX: usize = 128 << 20;

/// Digest of the raw bytes of a package list.
pub(crate) type ListDigest = [u8; 32];

/// What rounds before this one have read, in the names that the whole gives it.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// Package lists, by the digest of their bytes.
    pub(crate) lists: Lookup<ListDigest, PackageSetId>,
    /// Package rows, by their bytes.
    pub(crate) rows: Lookup<Box<[u8]>, PackageId>,
    row_bytes: usize,
}

/// A package of a list: one of the whole, or one that the chunk is the first to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RowId(u32);

impl RowId {
    const NEW: u32 = 1 << 31;

    pub(crate) const fn known(id: PackageId) -> Self {
        Self(id.0)
    }

    pub(crate) const fn new(id: PackageId) -> Self {
        Self(id.0 | Self::NEW)
    }

    /// The name in the whole, given the names there of what the chunk read first.
    fn in_whole(self, new: &[PackageId]) -> PackageId {
        match self.0 & Self::NEW {
            0 => PackageId(self.0),
            _ => new.get((self.0 & !Self::NEW) as usize).copied().unwrap_or(PackageId(0)),
        }
    }
}

/// Which of the two package lists of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ListField {
    /// `packages`.
    Packages,
    /// `available`.
    Available,
}

/// The list of a record.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ListUse {
    /// One that the whole knows.
    Known(PackageSetId),
    /// The one with this index among those of the chunk.
    New(usize),
}

/// Something worth a word that is counted instead of being listed each time.
#[derive(Clone, Debug)]
struct Tally {
    file: Arc<str>,
    count: u64,
}

#[derive(Clone, Debug, Default)]
struct Tallies(BTreeMap<String, Tally>);

impl Tallies {
    fn add(&mut self, file: &Arc<str>, what: &str, count: u64) {
        if let Some(tally) = self.0.get_mut(what) {
            tally.count += count;
            return;
        }
        let what = if self.0.len() < TALLIES_MAX {
            what
        } else {
            "things not listed one by one"
        };
        let tally = self.0.entry(what.to_owned()).or_insert_with(|| Tally {
            file: Arc::clone(file),
            count: 0,
        });
        tally.count += count;
    }
}

/// What a chunk of records gave.
#[derive(Debug, Default)]
pub(crate) struct Sheet {
    /// The records and their account; their package lists are not in it yet.
    pub(crate) batch: Batch,
    /// Package lists, with the digest of those that lost nothing: only they can be taken over unread, because what
    /// was lost must be told for each record.
    pub(crate) lists: Vec<(Vec<RowId>, Option<ListDigest>)>,
    /// The lists with a digest, by it.
    pub(crate) by_digest: Lookup<ListDigest, usize>,
    /// Which record (by index) has which list.
    pub(crate) uses: Vec<(usize, ListField, ListUse)>,
    /// Package rows that lost nothing, by their bytes.
    pub(crate) rows: Lookup<Box<[u8]>, PackageId>,
    tallies: Tallies,
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
        self.tallies.add(file, what, count);
    }
}

/// What the chunks give together.
#[derive(Debug, Default)]
pub(crate) struct Whole {
    pub(crate) known: Known,
    batch: Batch,
    tallies: Tallies,
}

impl Whole {
    /// Takes in a chunk. Chunks must come in the order in which they were cut.
    pub(crate) fn take_in(&mut self, mut sheet: Sheet) {
        let new = self.batch.tables.absorb_packages(&sheet.batch.tables);
        self.learn_rows(sheet.rows, &new);
        let sets: Vec<PackageSetId> = sheet
            .lists
            .into_iter()
            .map(|(rows, digest)| {
                let set = self
                    .batch
                    .tables
                    .set_id(rows.into_iter().map(|row| row.in_whole(&new)).collect());
                self.known.lists.extend(digest.map(|digest| (digest, set)));
                set
            })
            .collect();
        for (index, field, list) in sheet.uses {
            let set = match list {
                ListUse::Known(set) => Some(set),
                ListUse::New(at) => sets.get(at).copied(),
            };
            if let Some(record) = sheet.batch.assets.get_mut(index) {
                match field {
                    ListField::Packages => record.facts.packages = set,
                    ListField::Available => record.facts.available = set,
                }
            }
        }
        self.batch.assets.append(&mut sheet.batch.assets);
        self.batch.advisories.append(&mut sheet.batch.advisories);
        self.batch.exploited.append(&mut sheet.batch.exploited);
        self.batch.cves.append(&mut sheet.batch.cves);
        self.batch.account.append(sheet.batch.account);
        for (what, tally) in sheet.tallies.0 {
            self.tallies.add(&tally.file, &what, tally.count);
        }
    }

    /// In order of the ids, so that which rows are known when memory for them runs out depends on nothing else.
    fn learn_rows(&mut self, rows: Lookup<Box<[u8]>, PackageId>, new: &[PackageId]) {
        for (bytes, id) in rows.into_sorted_by_value() {
            if self.known.row_bytes + bytes.len() > ROW_BYTES_MAX {
                break;
            }
            self.known.row_bytes += bytes.len();
            self.known.rows.insert(bytes, RowId::new(id).in_whole(new));
        }
    }

    /// The batch, with the tallies as notes.
    pub(crate) fn finish(mut self) -> Batch {
        for (what, Tally { file, count }) in self.tallies.0 {
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

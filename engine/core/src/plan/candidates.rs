//! Planned findings, kept as the assessment keeps them: assets that are alike share one list of rows, and what is asked of
//! a row is asked once for all of them.

use std::hash::Hash;
use std::sync::Arc;

use super::shared::Same;
use crate::assess::Row;
use crate::lookup::{Lookup, Seen};

/// Planned findings: for each asset that has any, ascending, its rows.
#[derive(Clone, Debug, Default)]
pub(super) struct Candidates(Vec<(u32, Arc<[Row]>)>);

/// What is left of a list of rows on assets of one kind.
type Known<K> = Lookup<(Same<[Row]>, K), Arc<[Row]>>;

impl Candidates {
    /// Adds the rows of the next asset; an empty list is none.
    pub(super) fn push(&mut self, asset: u32, rows: Arc<[Row]>) {
        if !rows.is_empty() {
            self.0.push((asset, rows));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many findings there are.
    pub(super) fn count(&self) -> usize {
        self.0.iter().map(|(_, rows)| rows.len()).sum()
    }

    pub(super) fn assets(&self) -> impl Iterator<Item = (u32, &Arc<[Row]>)> {
        self.0.iter().map(|(asset, rows)| (*asset, rows))
    }

    /// The findings that `keep` wants. It is asked once for a row of assets with equal lists and equal `kind`, so nothing
    /// else of the asset may bear on its answer.
    pub(super) fn filter<K: Eq + Hash>(
        &self,
        mut kind: impl FnMut(u32) -> K,
        mut keep: impl FnMut(u32, &K, &Row) -> bool,
    ) -> Self {
        let mut known: Known<K> = Lookup::default();
        let mut kept = Self::default();
        for (asset, rows) in self.assets() {
            let left = known.entry((Same::of(rows), kind(asset)));
            let left = left.or_insert_with_key(|(_, kind)| {
                let left: Vec<Row> = rows.iter().filter(|row| keep(asset, kind, row)).copied().collect();
                if left.len() == rows.len() {
                    Arc::clone(rows)
                } else {
                    left.into()
                }
            });
            kept.push(asset, Arc::clone(left));
        }
        kept
    }

    /// One asset for every distinct pair of rows and `kind`, with these rows.
    pub(super) fn distinct<K: Eq + Hash>(&self, mut kind: impl FnMut(u32) -> K) -> Vec<(u32, &Arc<[Row]>)> {
        let mut seen: Seen<(Same<[Row]>, K)> = Seen::default();
        let pairs = self.assets();
        pairs
            .filter(|(asset, rows)| seen.insert((Same::of(rows), kind(*asset))))
            .collect()
    }

    /// The distinct hits, ascending.
    pub(super) fn hits(&self) -> Vec<u32> {
        let lists = self.distinct(|_| ());
        let mut hits: Vec<u32> = lists.iter().flat_map(|(_, rows)| rows.iter()).map(|r| r.hit).collect();
        hits.sort_unstable();
        hits.dedup();
        hits
    }
}

/// Findings of assets, gathered from several sides.
#[derive(Debug, Default)]
pub(super) struct Gathered(Lookup<u32, Vec<Arc<[Row]>>>);

impl Gathered {
    pub(super) fn add(&mut self, asset: u32, rows: &Arc<[Row]>) {
        if !rows.is_empty() {
            self.0.entry(asset).or_default().push(Arc::clone(rows));
        }
    }

    pub(super) fn extend(&mut self, candidates: &Candidates) {
        candidates.assets().for_each(|(asset, rows)| self.add(asset, rows));
    }

    /// The lists of an asset; each ascending.
    pub(super) fn of(&self, asset: u32) -> &[Arc<[Row]>] {
        self.0.get(&asset).map_or(&[], |lists| lists)
    }

    pub(super) fn contains(&self, asset: u32, row: &Row) -> bool {
        self.of(asset).iter().any(|rows| rows.binary_search(row).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(hits: &[u32]) -> Arc<[Row]> {
        hits.iter()
            .map(|hit| Row {
                hit: *hit,
                judgement: 0,
            })
            .collect()
    }

    #[test]
    fn assets_that_are_alike_are_asked_once() {
        let shared = rows(&[1, 2, 3]);
        let mut all = Candidates::default();
        (0..4).for_each(|asset| all.push(asset, Arc::clone(&shared)));
        all.push(4, rows(&[]));
        let mut asked = 0;
        let even = all.filter(
            |asset| asset % 2,
            |_, kind, row| {
                asked += 1;
                row.hit % 2 == *kind
            },
        );
        assert_eq!(asked, 6, "three rows for each of two kinds");
        let expected = [(0, vec![2]), (1, vec![1, 3]), (2, vec![2]), (3, vec![1, 3])];
        let found: Vec<(u32, Vec<u32>)> = even
            .assets()
            .map(|(asset, rows)| (asset, rows.iter().map(|r| r.hit).collect()))
            .collect();
        assert_eq!(found, expected);
        assert_eq!((even.count(), even.hits()), (6, vec![1, 2, 3]));
        let whole = all.filter(|_| (), |_, (), _| true);
        assert!(whole.assets().all(|(_, rows)| Arc::ptr_eq(rows, &shared)));
    }

    #[test]
    fn gathered_findings_are_found_again() {
        let mut gathered = Gathered::default();
        gathered.add(7, &rows(&[3, 9]));
        gathered.add(7, &rows(&[4]));
        let row = |hit| Row { hit, judgement: 0 };
        assert!(gathered.contains(7, &row(4)) && gathered.contains(7, &row(9)));
        assert!(!gathered.contains(7, &row(5)) && !gathered.contains(8, &row(4)));
    }
}

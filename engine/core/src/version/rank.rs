//! Ranks: versions of one package as integers that compare as the versions do.
//!
//! Sorting a package's few distinct versions once makes matching millions of installed packages an integer compare.
use std::cmp::Ordering;

use super::{Scheme, compare, trim};

/// The known versions of one package in one scheme, each with its rank.
///
/// Ranks are dense from 0 (oldest) up; equal versions share one, whatever their spelling. A rank means something
/// only beside ranks of the same value.
///
/// ```
/// use patchwave_core::version::{Ranks, Scheme};
///
/// let ranks = Ranks::new(Scheme::Rpm, ["3.0.7-27.el9", "3.0.7-24.el9", "0:3.0.7-24.el9"]);
/// assert_eq!(ranks.rank("3.0.7-24.el9"), Some(0));
/// assert!(ranks.rank("3.0.7-24.el9") < ranks.rank("3.0.7-27.el9"));
/// assert_eq!(ranks.rank("3.0.8-1.el9"), None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ranks {
    scheme: Scheme,
    /// One spelling a rank (the first in byte order), oldest version first.
    versions: Vec<Box<str>>,
}

impl Ranks {
    /// Sorts every version seen of one package, in inventory and in advisories. The order and the repetition of
    /// `versions` change nothing.
    pub fn new<'a>(scheme: Scheme, versions: impl IntoIterator<Item = &'a str>) -> Self {
        let mut versions: Vec<&str> = versions.into_iter().map(trim).collect();
        versions.sort_unstable_by(|a, b| compare(scheme, a, b).then_with(|| a.cmp(b)));
        versions.dedup_by(|later, kept| compare(scheme, later, kept).is_eq());
        Self {
            scheme,
            versions: versions.into_iter().map(Box::from).collect(),
        }
    }

    /// The rank of a version, in any spelling of it; `None` if no version equal to it was seen.
    ///
    /// A binary search: for bulk work keep the rank, or take [`ranks`] by position.
    pub fn rank(&self, version: &str) -> Option<u32> {
        let index = self
            .versions
            .binary_search_by(|known| compare(self.scheme, known, version))
            .ok()?;
        u32::try_from(index).ok()
    }

    /// One spelling of the version of a rank; `None` beyond the last.
    pub fn version(&self, rank: u32) -> Option<&str> {
        self.versions.get(usize::try_from(rank).ok()?).map(AsRef::as_ref)
    }

    /// How many ranks there are.
    pub fn len(&self) -> usize {
        self.versions.len()
    }

    /// Whether no version was seen.
    pub fn is_empty(&self) -> bool {
        self.versions.is_empty()
    }

    /// The scheme that orders these versions.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }
}

/// The dense rank of each version of one package, by position in `versions`; equal versions get equal ranks.
///
/// The fast path for columns: one sort, no copies of the strings, no search afterwards.
pub fn ranks(scheme: Scheme, versions: &[&str]) -> Vec<u32> {
    let mut order: Vec<(usize, &str)> = versions.iter().copied().enumerate().collect();
    order.sort_unstable_by(|(_, a), (_, b)| compare(scheme, a, b));
    let mut ranks = vec![0; versions.len()];
    let mut rank = 0_u32;
    let mut previous = order.first().map_or("", |(_, version)| *version);
    for (position, version) in order {
        if compare(scheme, previous, version) == Ordering::Less {
            rank = rank.saturating_add(1);
        }
        previous = version;
        if let Some(slot) = ranks.get_mut(position) {
            *slot = rank;
        }
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_versions_share_a_rank() {
        let seen = ["1.0-2", "1.0-10", " 0:1.0-2 ", "2.0-1", "1.00-2"];
        assert_eq!(ranks(Scheme::Rpm, &seen), [0, 1, 0, 2, 0]);
        let by_value = Ranks::new(Scheme::Rpm, seen);
        assert_eq!(by_value.len(), 3);
        assert_eq!(by_value.rank("000:1.0.-2"), Some(0));
        assert_eq!(by_value.version(0), Some("0:1.0-2"));
        assert_eq!(by_value.version(3), None);
    }

    #[test]
    fn no_versions() {
        assert_eq!(ranks(Scheme::Deb, &[]), Vec::<u32>::new());
        assert!(Ranks::new(Scheme::Deb, []).is_empty());
    }
}

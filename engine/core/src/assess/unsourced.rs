//! Package lists without source packages, where advisories name fixes by source.
//!
//! Debian, Ubuntu, Alpine and Rocky publish fixes for source packages, and most binary packages are called otherwise
//! (`libssl3` of `openssl`). Where nobody told the sources, such a fix meets only the packages that are called like it, so
//! an asset without a finding is not known to be well.

use super::matching::FixIndex;
use crate::lookup::Lookup;
use crate::observe::{Asset, Observation, PackageSetId, PackageState};

/// Counts for each distinct set and release the packages that cannot be compared.
pub(super) struct Unsourced<'o> {
    observation: &'o Observation,
    index: &'o FixIndex<'o>,
    counts: Lookup<(PackageSetId, &'o str, &'o str), usize>,
}

impl<'o> Unsourced<'o> {
    pub(super) fn new(observation: &'o Observation, index: &'o FixIndex<'o>) -> Self {
        Self {
            observation,
            index,
            counts: Lookup::default(),
        }
    }

    /// Why the asset cannot count as compliant, if packages of it cannot be compared with fixes for their sources.
    pub(super) fn why(&mut self, asset: &'o Asset) -> Option<String> {
        let (os, set) = asset.facts.os.as_ref().zip(asset.facts.packages)?;
        let (id, major) = (os.id.as_ref(), os.major());
        if !self.index.names_sources(id, major) {
            return None;
        }
        let count = match self.counts.get(&(set, id, major)) {
            Some(count) => *count,
            None => {
                let count = self.count(set, id, major);
                self.counts.insert((set, id, major), count);
                count
            }
        };
        (count > 0).then(|| {
            format!(
                "the source packages of its packages were not observed, and fixes for {id} {major} are named by source: \
                 {count} of its packages cannot be compared with them; add a source that tells `source` of each package"
            )
        })
    }

    /// A list in which any package has a source tells sources: dpkg leaves the field out where the source is called like
    /// the package (deb-control(5)).
    fn count(&self, set: PackageSetId, id: &str, major: &str) -> usize {
        let tables = &self.observation.tables;
        let mut count = 0;
        for package in tables.set(set).iter().map(|id| tables.package(*id)) {
            if !tables.text(package.source).is_empty() {
                return 0;
            }
            let there = package.state != PackageState::ConfigFiles;
            count += usize::from(there && !self.index.is_source(id, major, tables.text(package.name)));
        }
        count
    }
}

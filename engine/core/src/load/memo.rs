//! What was read before, so that a change of one file costs the reading of one file.

use std::collections::BTreeMap;
use std::sync::Arc;

use rayon::prelude::*;

use super::read::{FileReading, read_file};
use crate::source::{SourceFile, SourceSet};

/// Files as they were read last, by path. An editor keeps one between two keystrokes; a command needs none.
///
/// A file counts as known only while its text is the same, so a memo can never change what a load gives.
#[derive(Debug, Default)]
pub struct Memo {
    files: BTreeMap<String, Known>,
    parses: u64,
}

#[derive(Debug)]
struct Known {
    source: SourceFile,
    reading: Arc<FileReading>,
}

impl Memo {
    /// How many files were read and checked so far, each repetition counted.
    pub const fn parses(&self) -> u64 {
        self.parses
    }

    /// The readings of a set, in path order. Files that are no longer in it are forgotten.
    pub(super) fn files(&mut self, set: &SourceSet) -> Vec<Arc<FileReading>> {
        let sorted = set.sorted();
        let fresh = |file: &&SourceFile| self.files.get(&file.path).is_none_or(|known| known.source != **file);
        let changed: Vec<&SourceFile> = sorted.iter().copied().filter(fresh).collect();
        self.parses = self.parses.saturating_add(changed.len() as u64);
        let read: Vec<FileReading> = changed.par_iter().map(|file| read_file(file)).collect();
        let mut before = std::mem::take(&mut self.files);
        for (file, reading) in changed.into_iter().zip(read) {
            let known = Known {
                source: file.clone(),
                reading: Arc::new(reading),
            };
            before.insert(file.path.clone(), known);
        }
        let mut readings = Vec::with_capacity(sorted.len());
        for file in sorted {
            if let Some((path, known)) = before.remove_entry(&file.path) {
                readings.push(Arc::clone(&known.reading));
                self.files.insert(path, known);
            }
        }
        readings
    }
}

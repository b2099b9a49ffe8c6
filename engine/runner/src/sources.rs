//! Reading every source and merging what they say.

use std::borrow::Cow;
use std::sync::Arc;

use jiff::Timestamp;
use patchwave_adapters::files::{SourceFiles, read_source};
use patchwave_core::canonical::sha256_hex;
use patchwave_core::load::wire::{SourceKind, SourceSpec};
use patchwave_core::observe::{Batch, Observation};
use patchwave_formats::InputFile;

use crate::repository::Repository;

/// The merged facts and what was said while reading.
#[derive(Debug, Default)]
pub struct Observed {
    /// Everything observed.
    pub observation: Observation,
    /// Things to say that are no failures: empty folders, files passed over. Sorted.
    pub warnings: Vec<String>,
}

impl Observed {
    /// Sources that could not be read, with the reason.
    pub fn failures(&self) -> impl Iterator<Item = (&str, &str)> {
        self.observation.sources.iter().filter_map(|s| s.failure.as_deref().map(|f| (s.name.as_ref(), f)))
    }
}

/// A file of a source may be as large as this. A package inventory of a million assets, compressed, stays below.
const SOURCE_FILE_BYTES_MAX: u64 = 16 * 1024 * 1024 * 1024;

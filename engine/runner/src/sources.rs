//! Reading every source and merging what they say.

use std::borrow::Cow;
use std::sync::Arc;

use jiff::Timestamp;
use patchwave_adapters::files::{SourceFiles, read_source};
use patchwave_core::assess::retire_gone;
use patchwave_core::canonical::sha256_hex;
use patchwave_core::load::wire::{SourceKind, SourceSpec};
use patchwave_core::observe::{MergeInput, Observation, Provenance, SourceBatch, merge};
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
        self.observation
            .sources
            .iter()
            .filter_map(|s| s.failure.as_deref().map(|f| (s.name.as_ref(), f)))
    }
}

/// A file of a source may be as large as this. A package inventory of a million assets, compressed, stays below.
const SOURCE_FILE_BYTES_MAX: u64 = 16 * 1024 * 1024 * 1024;

/// Archives that may hold a source's documents.
const ARCHIVES: [&str; 3] = [".zip", ".tar", ".tgz"];

/// Reads every inventory and advisory source of the repository and merges them. A source that cannot be read is a
/// failure that stands in the observation; the others are read all the same.
pub fn observe(repository: &Repository, now: Timestamp) -> Observed {
    let catalog = &repository.catalog;
    let mut warnings = Vec::new();
    let mut batches = Vec::new();
    for (name, resource) in &catalog.sources {
        if matches!(resource.spec.kind, SourceKind::Inventory | SourceKind::Advisories) {
            batches.push(read_one(repository, name, &resource.spec, now, &mut warnings));
        }
    }
    let fleets: Vec<_> = catalog.fleets.values().map(|f| (f.name.as_ref(), &f.spec)).collect();
    let sources: Vec<_> = catalog.sources.values().map(|s| (s.name.as_ref(), &s.spec)).collect();
    let advisories: Vec<_> = catalog
        .advisories
        .values()
        .map(|a| {
            let place = catalog.locate(a.doc, "/spec");
            let (file, line) = place.map_or_else(Default::default, |p| (p.file, p.line));
            (
                a.name.as_ref(),
                &a.spec,
                Provenance {
                    source: "repository".into(),
                    file,
                    record: line,
                },
            )
        })
        .collect();
    let input = MergeInput {
        fleets: &fleets,
        sources: &sources,
        advisories: &advisories,
        zone: &catalog.zone.0,
    };
    let mut observation = merge(&input, batches, now);
    retire_gone(catalog, &mut observation, now);
    Observed { observation, warnings }
}

fn read_one(
    repository: &Repository,
    name: &Arc<str>,
    spec: &SourceSpec,
    now: Timestamp,
    warnings: &mut Vec<String>,
) -> SourceBatch {
    let failed = |why: String| SourceBatch {
        name: Arc::clone(name),
        digest: String::new(),
        fetched_at: None,
        outcome: Err(why),
    };
    let Some(path) = spec.path.as_deref() else {
        return failed("reading a url is not built yet; save the answers to files and give their `path`".into());
    };
    let Some(format) = patchwave_formats::find(&spec.format).filter(|f| f.built()) else {
        return failed(format!("type `{}` is not built yet", spec.format));
    };
    let endings = format.endings();
    let wanted: Vec<&str> = endings.iter().map(String::as_str).chain(ARCHIVES).collect();
    let found = match read_source(&repository.root, path, &wanted, SOURCE_FILE_BYTES_MAX) {
        Ok(found) => found,
        Err(failure) => return failed(failure.to_string()),
    };
    let SourceFiles {
        files,
        passed_over,
        warnings: said,
    } = found;
    warnings.extend(
        said.into_iter()
            .map(|w| format!("source {name}: {}: {}; {}", w.path, w.what, w.help)),
    );
    if !passed_over.is_empty() {
        let count = passed_over.len();
        let first = passed_over.first().map_or("", String::as_str);
        warnings.push(format!(
            "source {name}: {count} files passed over by their extension, the first {first}"
        ));
    }
    let mut digests = String::new();
    let inputs: Vec<InputFile<'_>> = files
        .iter()
        .map(|file| {
            digests.push_str(&sha256_hex(&file.bytes));
            InputFile {
                path: file.path.as_str().into(),
                bytes: Cow::Borrowed(&file.bytes),
            }
        })
        .collect();
    let outcome = patchwave_formats::read(&spec.format, name, &inputs, now).map_err(|e| e.to_string());
    SourceBatch {
        name: Arc::clone(name),
        digest: sha256_hex(digests.as_bytes()),
        fetched_at: None,
        outcome,
    }
}

//! From YAML texts to a typed catalog, with every problem found at once.
//!
//! ```text
//! texts ─► documents with spans ─► JSON Schema ─► typed resources ─► conditions ─► rules
//! ```
//! No step stops the next: a document with a fault is left out or read as far as it can be, and everything else is
//! checked all the same. The catalog is usable only if there is no error among the diagnostics.

mod builtin;
mod catalog;
mod comparison;
mod conform;
mod documents;
pub mod expr;
pub mod known;
mod memo;
mod read;
pub mod rules;
pub mod schedule;
pub mod schema;
mod sites;
pub mod table;
mod targets_page;
pub mod wire;

use jiff::Timestamp;

pub use builtin::{BUILTIN, BUILTIN_TARGETS};
pub use catalog::*;
pub use comparison::Comparison;
pub use documents::{Doc, Documents};
pub use memo::Memo;
pub use read::Names;
pub use rules::gates::filters;
pub use rules::references::{Reference, references, target_of};
pub use targets_page::TargetsPage;

use crate::diag::Diagnostics;
use crate::source::{SourceFile, SourceSet};

/// The file that holds the Project.
pub const PROJECT_FILE: &str = "patchwave.yaml";

/// Everything one load gives, for those who point into the files (editors).
#[derive(Debug)]
pub struct Loaded {
    /// Every resource that could be read.
    pub catalog: Catalog,
    /// The documents behind them, those with faults included.
    pub documents: Documents,
    /// Every name by kind, those of unreadable documents included.
    pub names: Names,
    /// Every problem.
    pub diagnostics: Diagnostics,
}

/// Loads a repository.
///
/// `set` holds `patchwave.yaml` and every YAML file below the roots its Project names; `now` decides only warnings
/// that depend on the clock. The same set gives the same catalog and diagnostics, whatever the order of its files.
pub fn load(set: &SourceSet, now: Timestamp) -> (Catalog, Diagnostics) {
    let loaded = load_with(set, now, &mut Memo::default());
    (loaded.catalog, loaded.diagnostics)
}

/// Loads a repository, and reads only the files that `memo` does not know. The outcome is that of [`load`].
pub fn load_with(set: &SourceSet, now: Timestamp, memo: &mut Memo) -> Loaded {
    let mut diagnostics = Diagnostics::default();
    let read::Reading {
        mut catalog,
        documents,
        names,
        project,
    } = read::catalog(set, memo, &mut diagnostics);
    catalog.tables = table::tables(&catalog.slas, set);
    let templates = &catalog.project.paths.templates;
    catalog.target_folders = rules::target_folders(templates, set);
    let targets = catalog.target_folders.iter();
    catalog.targets = targets
        .filter_map(|name| Some((name.clone(), builtin::specification(templates, name, set)?.ok()?)))
        .collect();
    catalog.expressions = sites::compile(&documents, &mut diagnostics);
    let context = rules::Context {
        catalog: &catalog,
        documents: &documents,
        names: &names,
        project,
        set,
        now,
    };
    rules::check(&context, &mut diagnostics);
    diagnostics.sort();
    Loaded {
        catalog,
        documents,
        names,
        diagnostics,
    }
}

/// What is wrong with one file as YAML, whatever its documents say: for `fmt`, which needs nothing else of a file.
pub fn yaml_diagnostics(file: &SourceFile) -> Diagnostics {
    read::yaml_diagnostics(file)
}

#[cfg(test)]
mod tests;

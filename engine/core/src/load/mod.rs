//! From YAML texts to a typed catalog, with every problem found at once.
//!
//! ```text
//! texts ─► documents with spans ─► JSON Schema ─► typed resources ─► conditions ─► rules
//! ```
//! No step stops the next: a document with a fault is left out or read as far as it can be, and everything else is
//! checked all the same. The catalog is usable only if there is no error among the diagnostics.

mod catalog;
mod conform;
mod documents;
pub mod expr;
pub mod known;
mod read;
pub mod rules;
pub mod schedule;
pub mod schema;
mod sites;
pub mod table;
pub mod wire;

use jiff::Timestamp;

pub use catalog::*;
pub use documents::{Doc, Documents};

use crate::diag::Diagnostics;
use crate::source::SourceSet;

/// The file that holds the Project.
pub const PROJECT_FILE: &str = "patchwave.yaml";

/// Loads a repository.
///
/// `set` holds `patchwave.yaml` and every YAML file below the roots its Project names; `now` decides only warnings
/// that depend on the clock. The same set gives the same catalog and diagnostics, whatever the order of its files.
pub fn load(set: &SourceSet, now: Timestamp) -> (Catalog, Diagnostics) {
    let mut diagnostics = Diagnostics::default();
    let read::Reading {
        mut catalog,
        documents,
        names,
        project,
    } = read::catalog(set, &mut diagnostics);
    catalog.tables = table::tables(&catalog.slas, set);
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
    (catalog, diagnostics)
}

#[cfg(test)]
mod tests;

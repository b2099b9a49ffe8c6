//! The pages of the manual in `tests/spec/`, every example of which is run. `tests/spec/README.md` says how to write one.
#![expect(
    clippy::unwrap_used,
    clippy::string_slice,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "tests read and write the house's own files, and may fail loudly"
)]

mod case;
mod fields;
mod page;
mod run;
mod shows;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use page::Page;
use rayon::prelude::*;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/spec")
}

/// Every page by its file name.
fn pages() -> BTreeMap<String, Page> {
    let mut pages = BTreeMap::new();
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "md") && path.file_name().is_some_and(|n| n != "README.md") {
            let page = page::read(&path).unwrap();
            pages.insert(page.name.clone(), page);
        }
    }
    assert!(!pages.is_empty(), "there are no pages in {}", folder().display());
    pages
}

/// `PATCHWAVE_SPEC=windows` runs only pages with this in their name; `PATCHWAVE_UPDATE=1` writes what comes out into the
/// pages.
#[test]
fn every_example_of_the_manual_holds() {
    let update = std::env::var_os("PATCHWAVE_UPDATE").is_some();
    let only = std::env::var("PATCHWAVE_SPEC").unwrap_or_default();
    let pages = pages();
    let wanted: Vec<&Page> = pages.values().filter(|p| p.name.contains(&only)).collect();
    let results: Vec<run::Result> = wanted.par_iter().map(|page| run::page(&pages, page)).collect();
    let mut failures = Vec::new();
    for (page, result) in wanted.iter().zip(results) {
        failures.extend(result.failures);
        if update && !result.edits.is_empty() {
            std::fs::write(folder().join(&page.name), run::edited(page, &result.edits)).unwrap();
            eprintln!("tests/spec/{}: {} blocks written", page.name, result.edits.len());
        } else {
            failures.extend(result.edits.into_iter().map(|edit| edit.difference));
        }
    }
    assert!(
        failures.is_empty(),
        "{} differences (PATCHWAVE_UPDATE=1 writes what comes out into the pages)\n\n{}",
        failures.len(),
        failures.join("\n")
    );
}

//! `test`: the policies of the repository judge the worlds of its PolicyTests.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use patchwave_core::observe::Batch;
use patchwave_core::rehearse::{json, junit, rehearse, text};
use patchwave_formats::InputFile;

use super::Context;
use super::validate::Wanted;
use crate::args::TestFormat;
use crate::exit::{Exit, Failure};

/// Runs the tests that stand in `paths` (all when empty).
pub fn run(context: &Context, paths: &[PathBuf], format: TestFormat) -> Result<Exit, Failure> {
    let wanted = Wanted::new(&context.root, paths)?;
    let repository = context.load()?;
    let catalog = &repository.catalog;
    let is_wanted = |place: Option<_>| place.is_some_and(|l: patchwave_core::source::Location| wanted.has(&l.file));
    let report = rehearse(catalog, |test| is_wanted(catalog.locate(test.doc, "")), &read_native);
    if report.tests.is_empty() {
        let there = catalog.tests.len();
        context.output.say(&format!(
            "warning: no PolicyTest {}; the repository has {there}. `patchwave schema PolicyTest` shows what one can say",
            if wanted.all() { "was found" } else { "stands in these files" }
        ));
    }
    match format {
        TestFormat::Text => context.output.text(&text(&report))?,
        TestFormat::Json => context.output.json(&json(&report))?,
        TestFormat::Junit => context.output.text(&junit(&report))?,
    }
    Ok(if report.passed() { Exit::Done } else { Exit::Error })
}

/// Reads the assets of a test as the source type `native` does.
fn read_native(source: &Arc<str>, lines: &[u8], now: Timestamp) -> Result<Batch, String> {
    let file = InputFile {
        path: "assets.ndjson".into(),
        bytes: Cow::Borrowed(lines),
    };
    patchwave_formats::read("native", source, &[file], now).map_err(|e| e.to_string())
}

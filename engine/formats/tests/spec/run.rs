//! Running a page: every heading's repository is loaded and its world played, and each block is compared.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;

use jiff::Timestamp;
use patchwave_core::diag::{Diagnostic, Diagnostics};
use patchwave_core::load::load;
use patchwave_core::observe::Batch;
use patchwave_core::rehearse::{Given, rehearse, text as report_text, world};
use patchwave_core::source::SourceSet;
use patchwave_formats::InputFile;
use similar::TextDiff;

use crate::case::{Case, case};
use crate::page::{Block, Page, Section};
use crate::shows;

/// What running a page gives.
#[derive(Default)]
pub struct Result {
    /// What no rewriting of a block can mend.
    pub failures: Vec<String>,
    /// Blocks that read otherwise than what comes out.
    pub edits: Vec<Edit>,
}

/// A block that must read otherwise.
pub struct Edit {
    inside: Range<usize>,
    text: String,
    /// For people.
    pub difference: String,
}

/// Reads native observations with the reader the engine has.
pub fn read_native(source: &Arc<str>, lines: &[u8], now: Timestamp) -> std::result::Result<Batch, String> {
    let file = InputFile {
        path: "assets.ndjson".into(),
        bytes: Cow::Borrowed(lines),
    };
    patchwave_formats::read("native", source, &[file], now).map_err(|e| e.to_string())
}

/// Runs every heading of a page that is a case of its own.
pub fn page(pages: &BTreeMap<String, Page>, page: &Page) -> Result {
    let mut result = Result::default();
    for index in 0..page.sections.len() {
        if is_case(page, index) {
            section(pages, page, index, &mut result);
        }
    }
    result
}

/// A heading with blocks is a case, unless it expects nothing and only prepares the headings below it.
pub fn is_case(page: &Page, index: usize) -> bool {
    let section = &page.sections[index];
    let expects = |s: &Section| s.blocks.iter().any(Block::is_expectation);
    let prepares = page
        .sections
        .iter()
        .any(|s| s.parent == Some(index) && !s.blocks.is_empty());
    !section.blocks.is_empty() && (expects(section) || !prepares)
}

fn section(pages: &BTreeMap<String, Page>, page: &Page, index: usize, result: &mut Result) {
    let section = &page.sections[index];
    let place = format!("tests/spec/{}:{}: {}", page.name, section.line, section.title);
    let case = match case(pages, page, index) {
        Ok(case) => case,
        Err(why) => return result.failures.push(format!("{place}\n  {why}\n")),
    };
    let (catalog, found) = load(&case.set, case.now);
    diagnostics(page, section, &case, &found, result);
    let tables = || {
        section
            .blocks
            .iter()
            .filter(|b| b.is_expectation() && b.language != "diagnostics")
    };
    if tables().next().is_none() {
        return;
    }
    if found.has_errors() {
        return result.failures.push(format!(
            "{place}\n  the repository has errors, so nothing can be shown\n"
        ));
    }
    let given = Given {
        assets: &case.given.assets,
        advisories: &case.given.advisories,
        memory: case.given.memory.as_ref(),
        doc: None,
    };
    let world = world(&catalog, &given, case.now, &read_native);
    result
        .failures
        .extend(world.faults.iter().map(|fault| format!("{place}\n  {fault}\n")));
    for block in tables() {
        if block.language == "tests" {
            let report = rehearse(&catalog, |_| true, &read_native);
            compare(page, section, block, report_text(&report), result);
            continue;
        }
        match shows::table(block, &catalog, &world) {
            Ok(text) => compare(page, section, block, text, result),
            Err(why) => {
                let line = block.line();
                result
                    .failures
                    .push(format!("tests/spec/{}:{line}: {why}\n", page.name));
            }
        }
    }
}

/// Everything that a heading shows, with the files of `set`: diagnostics without their places, and its tables.
pub fn shown(page: &Page, section: &Section, case: &Case, set: &SourceSet) -> String {
    let (catalog, found) = load(set, case.now);
    let mut said: Vec<String> = found
        .iter()
        .map(|d| format!("{} {} {}\n", d.code, d.pointer, d.message))
        .collect();
    said.sort();
    let mut out = said.concat();
    if found.has_errors() {
        return out;
    }
    let given = Given {
        assets: &case.given.assets,
        advisories: &case.given.advisories,
        memory: case.given.memory.as_ref(),
        doc: None,
    };
    let mut world_of_case = None;
    for block in section
        .blocks
        .iter()
        .filter(|b| b.is_expectation() && b.language != "diagnostics")
    {
        if block.language == "tests" {
            let report = rehearse(&catalog, |_| true, &read_native);
            let failed = report.tests.iter().map(|test| {
                let said: Vec<&str> = test.failures.iter().map(|f| f.message.as_str()).collect();
                format!("{} {:?} {said:?}\n", test.name, test.description)
            });
            out.extend(failed);
        } else {
            let world = world_of_case.get_or_insert_with(|| world(&catalog, &given, case.now, &read_native));
            out += &shows::table(block, &catalog, world).unwrap_or_else(|why| format!("{}: {why}", page.name));
        }
    }
    out
}

fn compare(page: &Page, section: &Section, block: &Block, text: String, result: &mut Result) {
    if text == block.text {
        return;
    }
    let line = block.line();
    let diff = TextDiff::from_lines(&block.text, &text);
    let diff = diff.unified_diff().context_radius(2).to_string();
    result.edits.push(Edit {
        inside: block.inside.clone(),
        difference: format!(
            "tests/spec/{}:{line}: {} ({}): - expected, + found\n{diff}",
            page.name, section.title, block.language
        ),
        text,
    });
}

/// Compares diagnostics with the comments in the files, then what is left with the block.
fn diagnostics(page: &Page, section: &Section, case: &Case, found: &Diagnostics, result: &mut Result) {
    let mut left: Vec<&Diagnostic> = found.iter().collect();
    for said in &case.inline {
        let is_it = |d: &&Diagnostic| {
            let here = d
                .location
                .as_ref()
                .is_some_and(|l| *l.file == *said.file && l.line == said.line);
            here && d.code.id() == said.code
                && d.severity.to_string() == said.severity
                && d.message.contains(&said.text)
        };
        match left.iter().position(is_it) {
            Some(index) => {
                left.remove(index);
            }
            None => {
                let (severity, code, text) = (&said.severity, &said.code, &said.text);
                let there = left
                    .iter()
                    .filter(|d| d.location.as_ref().is_some_and(|l| l.line == said.line));
                let there: String = there.map(|d| line(d, false)).collect();
                result.failures.push(format!(
                    "{}: {}\n  the comment says `{severity}: {code} {text}`, which is not found; on this line: {}\n",
                    on_page(case, &said.file, said.line),
                    section.title,
                    if there.is_empty() { "nothing" } else { there.trim_end() }
                ));
            }
        }
    }
    match section.blocks.iter().find(|b| b.language == "diagnostics") {
        Some(block) => {
            let text = left.iter().map(|d| line(d, block.has("help"))).collect();
            compare(page, section, block, text, result);
        }
        None if left.is_empty() => {}
        None => {
            let mut said = format!(
                "tests/spec/{}:{}: {}\n  nothing is expected, but there is (an empty ```diagnostics block takes them with PATCHWAVE_UPDATE=1):\n",
                page.name, section.line, section.title
            );
            for diagnostic in left {
                let place = diagnostic.location.as_ref().map(|l| on_page(case, &l.file, l.line));
                let _ = writeln!(said, "  {}    {}", line(diagnostic, false), place.unwrap_or_default());
            }
            result.failures.push(said);
        }
    }
}

/// `PW0101 error spec.yaml:7:5 unknown field …`, with `help`, `see` below where asked for.
fn line(diagnostic: &Diagnostic, help: bool) -> String {
    let Diagnostic {
        code,
        severity,
        message,
        ..
    } = diagnostic;
    let place = diagnostic
        .location
        .as_ref()
        .map_or_else(|| "-".to_owned(), ToString::to_string);
    let mut out = format!("{code} {severity} {place} {message}\n");
    if help {
        let help = diagnostic.help.iter().map(|help| format!("  help: {help}\n"));
        let see = diagnostic
            .related
            .iter()
            .map(|r| format!("  see: {} {}\n", r.location, r.message));
        out.extend(help.chain(see));
    }
    out
}

/// A line of a file of a case as a line of the page it stands on.
fn on_page(case: &Case, file: &str, line: u32) -> String {
    match case.origins.get(file) {
        Some((page, first)) => format!("tests/spec/{page}:{}", first + line as usize - 1),
        None => format!("{file}:{line}"),
    }
}

/// The page with its blocks rewritten.
pub fn edited(page: &Page, edits: &[Edit]) -> String {
    let mut lines = page.lines.clone();
    let mut edits: Vec<&Edit> = edits.iter().collect();
    edits.sort_by_key(|edit| std::cmp::Reverse(edit.inside.start));
    for edit in edits {
        lines.splice(edit.inside.clone(), edit.text.lines().map(str::to_owned));
    }
    lines.join("\n") + "\n"
}

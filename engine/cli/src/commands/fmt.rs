//! `fmt`: the canonical layout of YAML files.

use std::path::{Path, PathBuf};

use patchwave_adapters::files::read_repository;
use patchwave_adapters::write::rewrite;
use patchwave_core::load::yaml_diagnostics;
use patchwave_core::source::{SourceFile, SourceSet};
use patchwave_runner::repository::read;
use similar::TextDiff;

use super::Context;
use super::validate::relative;
use crate::exit::{Exit, Failure};
use crate::layout::{Unformatted, canonical};

/// Lays out the files in `paths`, or every resource file. With `check` nothing is written.
pub fn run(context: &Context, paths: &[PathBuf], check: bool) -> Result<Exit, Failure> {
    let files = chosen(context, paths)?;
    let mut report = Report::default();
    for file in &files {
        one(context, file, check, &mut report)?;
    }
    context.output.say(&report.verdict(files.len(), check));
    let changes_wanted = check && report.changed > 0;
    Ok(if report.failed > 0 || changes_wanted {
        Exit::Error
    } else {
        Exit::Done
    })
}

#[derive(Default)]
struct Report {
    changed: usize,
    failed: usize,
}

impl Report {
    fn verdict(&self, files: usize, check: bool) -> String {
        let count = |n: usize| {
            if n == 1 {
                "1 file".to_owned()
            } else {
                format!("{n} files")
            }
        };
        let verb = if check { "to lay out" } else { "laid out" };
        let left = files.saturating_sub(self.changed + self.failed);
        let failed = match self.failed {
            0 => String::new(),
            n => format!(", {} left alone", count(n)),
        };
        format!("{} {verb}, {left} unchanged{failed}", count(self.changed))
    }
}

fn one(context: &Context, file: &SourceFile, check: bool, report: &mut Report) -> Result<(), Failure> {
    let after = match canonical(&file.text) {
        Ok(after) if file.fault.is_none() => after,
        Ok(_) | Err(Unformatted::Unreadable) => {
            let set = SourceSet {
                files: vec![file.clone()],
                ..SourceSet::default()
            };
            context.diagnostics(&yaml_diagnostics(file), &set);
            report.failed += 1;
            return Ok(());
        }
        Err(Unformatted::Unsafe(why)) => {
            context.output.warn(&format!(
                "error: {}:1:1: this file cannot be laid out without harm, so it is left alone: {why}\n  help: simplify \
                 the YAML (no comments inside flow collections or between a key and its value, no `|2` or `|+`), or keep the \
                 file as it is\n",
                file.path
            ));
            report.failed += 1;
            return Ok(());
        }
    };
    if after == file.text {
        return Ok(());
    }
    report.changed += 1;
    if check {
        let diff = TextDiff::from_lines(&file.text, &after);
        let (old, new) = (format!("a/{}", file.path), format!("b/{}", file.path));
        let unified = diff.unified_diff().header(&old, &new).to_string();
        return context.output.text(&format!("{}\n{unified}", file.path));
    }
    rewrite(&context.root, &file.path, after.as_bytes())?;
    context.output.text(&file.path)
}

/// The files to look at: those in `paths`, else `patchwave.yaml` and the resource folders. What the engine writes is its
/// own, and no path leads there.
fn chosen(context: &Context, paths: &[PathBuf]) -> Result<Vec<SourceFile>, Failure> {
    let found = read(&context.root, context.now);
    let rollouts = found.paths.rollouts;
    let written = |path: &str| Path::new(path).starts_with(&rollouts);
    let mut files = Vec::new();
    for given in paths {
        let path = relative(&context.root, given);
        let place = context.root.join(&path);
        if !place.exists() {
            let help = "paths are relative to the repository root, or absolute inside it";
            return Err(Failure::with_help(format!("{} does not exist", given.display()), help));
        }
        if written(&path) {
            return Err(Failure::with_help(
                format!(
                    "{} is written by the engine and covered by its digests",
                    given.display()
                ),
                "leave it as it is: another layout would be an edit of the rollout",
            ));
        }
        if path.is_empty() {
            files.extend(found.set.files.iter().cloned());
        } else if place.is_dir() {
            files.extend(read_set(&context.root, &[], &[path]));
        } else {
            files.extend(read_set(&context.root, &[path], &[]));
        }
    }
    if paths.is_empty() {
        files = found.set.files;
    }
    let set = SourceSet {
        files,
        ..SourceSet::default()
    };
    let files = set.sorted().into_iter().filter(|file| !written(&file.path));
    Ok(files.cloned().collect())
}

fn read_set(root: &Path, files: &[String], folders: &[String]) -> Vec<SourceFile> {
    let read = read_repository(root, files, folders);
    let faults = read
        .faults
        .into_iter()
        .map(|fault| SourceFile::unreadable(fault.path, format!("{}; {}", fault.what, fault.help)));
    read.resources
        .into_iter()
        .map(|f| SourceFile::from_bytes(f.path, f.bytes))
        .chain(faults)
        .collect()
}

//! `validate`: every problem of the resources at once.

use std::path::{Path, PathBuf};

use patchwave_core::diag::{Diagnostics, Severity, render};
use patchwave_runner::repository::open;

use super::Context;
use crate::args::TextJson;
use crate::exit::{Exit, Failure};

/// Validates the whole repository and reports what lies in `paths` (everything when empty).
pub fn run(context: &Context, paths: &[PathBuf], format: TextJson) -> Result<Exit, Failure> {
    let repository = open(&context.root, context.now);
    let mut diagnostics = repository.diagnostics;
    let wanted: Vec<String> = paths.iter().map(|p| relative(&context.root, p)).collect();
    for (given, path) in paths.iter().zip(&wanted) {
        if !context.root.join(path).exists() {
            let help = "paths are relative to the repository root, or absolute inside it";
            return Err(Failure::with_help(format!("{} does not exist", given.display()), help));
        }
    }
    if !wanted.is_empty() && !wanted.iter().any(String::is_empty) {
        diagnostics.retain(|d| {
            d.location.as_ref().is_some_and(|l| wanted.iter().any(|w| Path::new(l.file.as_ref()).starts_with(w)))
        });
    }
    match format {
        TextJson::Json => context.output.json(&render::json::document(&diagnostics))?,
        TextJson::Text => {
            context.output.result(render::text::document(&diagnostics, &repository.set, context.output.colour).as_bytes())?;
            context.output.say(&summary(&diagnostics, repository.set.files.len()));
        }
    }
    Ok(if diagnostics.has_errors() { Exit::Error } else { Exit::Done })
}

fn relative(root: &Path, path: &Path) -> String {
    let inside = match (path.canonicalize(), root.canonicalize()) {
        (Ok(path), Ok(root)) if !root.join("x").starts_with(&path) => path.strip_prefix(&root).ok().map(Path::to_path_buf),
        (Ok(path), Ok(root)) if path == root => Some(PathBuf::new()),
        _ => None,
    };
    let chosen = inside.unwrap_or_else(|| path.to_owned());
    chosen.to_string_lossy().trim_start_matches("./").trim_end_matches('/').to_owned()
}

fn summary(diagnostics: &Diagnostics, files: usize) -> String {
    let count = |severity| diagnostics.count(severity);
    format!(
        "{files} files: {} errors, {} warnings, {} notes",
        count(Severity::Error),
        count(Severity::Warning),
        count(Severity::Info)
    )
}

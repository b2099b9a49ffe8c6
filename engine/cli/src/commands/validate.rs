//! `validate`: every problem of the resources at once.

use std::path::{Path, PathBuf};

use patchwave_core::diag::{Diagnostics, render};
use patchwave_runner::repository::open;

use super::Context;
use crate::args::ValidateFormat;
use crate::exit::{Exit, Failure};

/// Validates the whole repository and reports what lies in `paths` (everything when empty).
pub fn run(context: &Context, paths: &[PathBuf], format: ValidateFormat) -> Result<Exit, Failure> {
    let repository = open(&context.root, context.now);
    let mut diagnostics = repository.diagnostics;
    let wanted = Wanted::new(&context.root, paths)?;
    diagnostics.retain(|d| wanted.all() || d.location.as_ref().is_some_and(|l| wanted.has(&l.file)));
    match format {
        ValidateFormat::Json => context.output.json(&render::json::document(&diagnostics))?,
        ValidateFormat::Sarif => {
            context
                .output
                .json(&render::sarif::document(&diagnostics, env!("CARGO_PKG_VERSION")))?;
        }
        ValidateFormat::Junit => context
            .output
            .text(&render::junit::document(&diagnostics, &repository.set))?,
        ValidateFormat::Github => context.output.text(&render::github::document(&diagnostics))?,
        ValidateFormat::Text => {
            context.diagnostics(&diagnostics, &repository.set);
            context
                .output
                .text(&verdict(&diagnostics, repository.set.files.len()))?;
        }
    }
    Ok(if diagnostics.has_errors() {
        Exit::Error
    } else {
        Exit::Done
    })
}

/// The files and folders a command was asked to look at, relative to the root of the repository.
pub(super) struct Wanted(Vec<String>);

impl Wanted {
    /// # Errors
    /// A path that does not exist, or lies outside: nothing of it is read, which must not look like `valid`.
    pub(super) fn new(root: &Path, paths: &[PathBuf]) -> Result<Self, Failure> {
        let wanted: Vec<String> = paths.iter().map(|p| relative(root, p)).collect();
        for (given, path) in paths.iter().zip(&wanted) {
            if !root.join(path).exists() {
                let help = "paths are relative to the repository root, or absolute inside it";
                return Err(Failure::with_help(format!("{} does not exist", given.display()), help));
            }
            let is_inside = (root.join(path).canonicalize().ok())
                .zip(root.canonicalize().ok())
                .is_none_or(|(path, root)| path.starts_with(root));
            if !is_inside {
                let what = format!("{} is outside of the repository at {}", given.display(), root.display());
                return Err(Failure::with_help(what, "`-C` names the root of another repository"));
            }
        }
        Ok(Self(wanted))
    }

    /// Nothing was named, or the root.
    pub(super) fn all(&self) -> bool {
        self.0.is_empty() || self.0.iter().any(String::is_empty)
    }

    /// Whether a file is among them.
    pub(super) fn has(&self, file: &str) -> bool {
        self.all() || self.0.iter().any(|wanted| Path::new(file).starts_with(wanted))
    }
}

/// A path of the command line, relative to the root of the repository; empty for the root itself and what lies above.
pub(super) fn relative(root: &Path, path: &Path) -> String {
    let inside = match (path.canonicalize(), root.canonicalize()) {
        (Ok(path), Ok(root)) if root.starts_with(&path) => Some(PathBuf::new()),
        (Ok(path), Ok(root)) => path.strip_prefix(&root).ok().map(Path::to_path_buf),
        _ => None,
    };
    let chosen = inside.unwrap_or_else(|| path.to_owned());
    chosen
        .to_string_lossy()
        .trim_start_matches("./")
        .trim_end_matches('/')
        .to_owned()
}

/// The result in one line; the problems themselves stand on standard error.
fn verdict(diagnostics: &Diagnostics, files: usize) -> String {
    let files = if files == 1 {
        "1 file".to_owned()
    } else {
        format!("{files} files")
    };
    let word = if diagnostics.has_errors() { "not valid" } else { "valid" };
    format!("{word}: {files} read")
}

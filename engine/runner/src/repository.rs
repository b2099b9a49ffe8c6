//! The user's repository: read, then loaded.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use jiff::Timestamp;
use patchwave_adapters::files::{FileText, read_repository};
use patchwave_core::diag::Diagnostics;
use patchwave_core::load::wire::Paths;
use patchwave_core::load::{Catalog, PROJECT_FILE, load, table};
use patchwave_core::source::{SourceFile, SourceSet};

/// A repository as read at one instant.
#[derive(Debug)]
pub struct Repository {
    /// Its root folder.
    pub root: PathBuf,
    /// The texts it was loaded from, for rendering diagnostics.
    pub set: SourceSet,
    /// Every resource.
    pub catalog: Catalog,
    /// Every problem.
    pub diagnostics: Diagnostics,
}

/// Reads and loads the repository at `root`. Problems stand in the diagnostics; the catalog is usable only without
/// errors.
pub fn open(root: &Path, now: Timestamp) -> Repository {
    let project = read_repository(root, &[PROJECT_FILE.to_owned()], &[]);
    let paths = project_paths(project.resources, now);
    let missing = missing_roots(root, &paths);
    let inside = |path: &String| is_inside(path);
    let roots: Vec<String> = [paths.policies, paths.fleets].into_iter().filter(inside).collect();
    let files = read_repository(root, &[PROJECT_FILE.to_owned()], &roots);
    let templates: Vec<String> = Some(paths.templates).into_iter().filter(inside).collect();
    let templates = read_repository(root, &[], &templates);
    let mut set = SourceSet::default();
    for file in files.resources {
        set.files.push(SourceFile::from_bytes(file.path, file.bytes));
    }
    for fault in files.faults {
        let what = fault.what.strip_prefix("it ").unwrap_or(&fault.what);
        set.files
            .push(SourceFile::unreadable(fault.path, format!("{what}; {}", fault.help)));
    }
    for path in missing {
        let fault = "does not exist; make the folder, or correct `spec.paths` in patchwave.yaml";
        set.files.push(SourceFile::unreadable(path, fault));
    }
    let template_files = templates.resources.into_iter().map(|f| f.path).chain(templates.others);
    set.present = files
        .others
        .into_iter()
        .chain(template_files)
        .collect::<BTreeSet<String>>();
    let (mut catalog, mut diagnostics) = load(&set, now);
    // Which files are decision tables is known only once the resources are read; few repositories have any.
    let tables = table::files(&catalog.slas);
    if !tables.is_empty() {
        add_tables(root, tables, &mut set);
        (catalog, diagnostics) = load(&set, now);
    }
    Repository {
        root: root.to_owned(),
        set,
        catalog,
        diagnostics,
    }
}

/// Reads the decision tables that SlaPolicies name, as far as they lie inside the repository.
fn add_tables(root: &Path, tables: Vec<String>, set: &mut SourceSet) {
    for file in tables {
        if !is_inside(&file) {
            let why = "a table is a file of the repository; its path must not leave it";
            set.unread.insert(file, why.to_owned());
            continue;
        }
        let read = read_repository(root, std::slice::from_ref(&file), &[]);
        let text = read.resources.into_iter().next().map(|f| String::from_utf8(f.bytes));
        let fault = read.faults.into_iter().next();
        match (text, fault) {
            (Some(Ok(text)), _) => {
                set.blobs.insert(file, text);
            }
            (Some(Err(_)), _) => {
                set.unread.insert(file, "it is not UTF-8".to_owned());
            }
            (None, Some(fault)) => {
                set.unread.insert(file, fault.what);
            }
            (None, None) => {
                set.unread.insert(file, "there is no such file".to_owned());
            }
        }
    }
}

/// Whether a path is one below the root. Any other is a problem of the Project, and is not read.
fn is_inside(path: &str) -> bool {
    let mut parts = Path::new(path).components();
    parts.all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}

/// Folders of resources that the Project names and that are not there. Those of a default name need not be.
fn missing_roots(root: &Path, paths: &Paths) -> Vec<String> {
    let default = Paths::default();
    let roots = [(&paths.policies, &default.policies), (&paths.fleets, &default.fleets)];
    let named = roots
        .into_iter()
        .filter(|(path, default)| path != default)
        .map(|(path, _)| path);
    named
        .filter(|path| is_inside(path) && !root.join(path).exists())
        .cloned()
        .collect()
}

/// The folders the Project names; the defaults when it cannot be read (its problems are reported by the full load).
fn project_paths(files: Vec<FileText>, now: Timestamp) -> Paths {
    let files = files
        .into_iter()
        .map(|f| SourceFile::from_bytes(f.path, f.bytes))
        .collect();
    let set = SourceSet {
        files,
        ..SourceSet::default()
    };
    load(&set, now).0.project.paths
}

//! The user's repository: read, then loaded.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use jiff::Timestamp;
use patchwave_adapters::files::{
    FileFault, FileText, RepositoryFiles, paths_changed_since, read_ref_tree, read_repository,
};
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

/// The files of a repository, read and not yet loaded.
#[derive(Clone, Debug)]
pub struct Files {
    /// The texts.
    pub set: SourceSet,
    /// The folders its Project names.
    pub paths: Paths,
}

/// Reads and loads the repository at `root`. Problems stand in the diagnostics; the catalog is usable only without
/// errors.
pub fn open(root: &Path, now: Timestamp) -> Repository {
    loaded(root, read(root, now).set, now)
}

/// The resources of the repository at `root` as they were at `git_ref` (a branch, a tag, a commit, `origin/main`, …), read
/// from Git's objects. Only the resources are of that time: sources are read from the work tree, so that two sets of
/// resources can be judged by the same facts.
///
/// # Errors
/// A [`FileFault`] if there is no such reference.
pub fn open_at(root: &Path, git_ref: &str, now: Timestamp) -> Result<Repository, FileFault> {
    let read = |files: &[String], folders: &[String]| read_ref_tree(root, git_ref, files, folders);
    let files = assemble(now, read, |_| Vec::new())?;
    Ok(loaded(root, files.set, now))
}

/// The names of sources, of any of `sides`, whose files below `root` are not those of `git_ref`: changed, removed or new.
///
/// # Errors
/// A [`FileFault`] whose path is the reference, as for [`open_at`].
pub fn changed_data(root: &Path, git_ref: &str, sides: &[&Repository]) -> Result<BTreeSet<String>, FileFault> {
    let sources = || sides.iter().flat_map(|side| side.catalog.sources.values());
    let with_path = || sources().filter_map(|s| Some((s.name.to_string(), s.spec.path.as_deref()?)));
    let paths: BTreeSet<&str> = with_path()
        .map(|(_, path)| path)
        .filter(|path| is_inside(path))
        .collect();
    let changed = paths_changed_since(root, git_ref, &paths)?;
    Ok(with_path()
        .filter(|(_, path)| changed.contains(*path))
        .map(|(name, _)| name)
        .collect())
}

fn loaded(root: &Path, set: SourceSet, now: Timestamp) -> Repository {
    let (catalog, diagnostics) = load(&set, now);
    Repository {
        root: root.to_owned(),
        set,
        catalog,
        diagnostics,
    }
}

/// Reads the repository at `root`; `now` decides nothing but is needed to read its Project.
pub fn read(root: &Path, now: Timestamp) -> Files {
    let read =
        |files: &[String], folders: &[String]| Ok::<_, std::convert::Infallible>(read_repository(root, files, folders));
    match assemble(now, read, |paths| missing_roots(root, paths)) {
        Ok(files) => files,
        Err(never) => match never {},
    }
}

/// Puts the files of a repository together from what `read` gives of files and folders; `missing` names the roots that are
/// not there.
fn assemble<E>(
    now: Timestamp,
    read: impl Fn(&[String], &[String]) -> Result<RepositoryFiles, E>,
    missing: impl Fn(&Paths) -> Vec<String>,
) -> Result<Files, E> {
    let project = read(&[PROJECT_FILE.to_owned()], &[])?;
    let paths = project_paths(project.resources, now);
    let missing = missing(&paths);
    let files = read(&[PROJECT_FILE.to_owned()], &resource_roots(&paths))?;
    let templates: Vec<String> = Some(paths.templates.clone())
        .into_iter()
        .filter(|path| is_inside(path))
        .collect();
    let templates = read(&[], &templates)?;
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
    let specification = |path: &str| {
        let below = path
            .strip_prefix(&paths.templates)
            .and_then(|rest| rest.strip_suffix("/target.yaml"));
        below.is_some_and(|name| name.matches('/').count() == 1)
    };
    let targets = templates.resources.iter().filter(|file| specification(&file.path));
    let targets: Vec<(String, String)> = targets
        .map(|file| (file.path.clone(), String::from_utf8_lossy(&file.bytes).into_owned()))
        .collect();
    set.blobs.extend(targets);
    let template_files = templates.resources.into_iter().map(|f| f.path).chain(templates.others);
    set.present = files
        .others
        .into_iter()
        .chain(template_files)
        .collect::<BTreeSet<String>>();
    add_tables(&read, &mut set, now)?;
    Ok(Files { set, paths })
}

/// The folders that hold resources, relative to the root; those outside it left out.
pub fn resource_roots(paths: &Paths) -> Vec<String> {
    let roots = [&paths.policies, &paths.fleets].into_iter();
    roots.filter(|path| is_inside(path)).cloned().collect()
}

/// Reads the decision tables that SlaPolicies name, as far as they lie inside the repository. Which files those are is
/// known only once the resources are read; few repositories have any, so only a text that may name one is worth the look.
fn add_tables<E>(
    read: &impl Fn(&[String], &[String]) -> Result<RepositoryFiles, E>,
    set: &mut SourceSet,
    now: Timestamp,
) -> Result<(), E> {
    let may_name = |file: &SourceFile| file.text.contains("table") && file.text.contains("file");
    if !set.files.iter().any(may_name) {
        return Ok(());
    }
    for file in table::files(&load(set, now).0.slas) {
        if !is_inside(&file) {
            let why = "a table is a file of the repository; its path must not leave it";
            set.unread.insert(file, why.to_owned());
            continue;
        }
        let found = read(std::slice::from_ref(&file), &[])?;
        let text = found.resources.into_iter().next().map(|f| String::from_utf8(f.bytes));
        match (text, found.faults.into_iter().next()) {
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
    Ok(())
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

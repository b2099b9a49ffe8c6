//! The resources of a repository as they were at another Git reference. Reads objects only: no checkout, no network.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use git2::{DiffOptions, ErrorCode, ObjectType, Oid, Repository, Tree};

use super::{FileFault, FileText, RESOURCE_BYTES_MAX, RepositoryFiles, is_resource};

/// Mode of a symbolic link in a tree.
const MODE_LINK: i32 = 0o120_000;

/// As [`super::read_repository`], from the tree at `git_ref` (a branch, a tag, a commit, `origin/main`, `HEAD~1`, …) of
/// the repository that holds `work_tree`. Links are not followed there: each is a fault.
///
/// # Errors
/// A [`FileFault`] whose path is the reference, if there is no repository or no such reference in it.
pub fn read_ref_tree(
    work_tree: &Path,
    git_ref: &str,
    files: &[String],
    folders: &[String],
) -> Result<RepositoryFiles, FileFault> {
    let git_fault = |e| git_fault(git_ref, e);
    let (repo, tree, _) = tree_at(work_tree, git_ref)?;
    let tree = repo.find_tree(tree).map_err(git_fault)?;
    let mut outcome = RepositoryFiles::default();
    for path in files.iter().chain(folders) {
        let Ok(entry) = tree.get_path(Path::new(path.trim_end_matches('/'))) else {
            continue;
        };
        let named = files.contains(path);
        take(&repo, &entry, path.trim_end_matches('/'), named, &mut outcome).map_err(git_fault)?;
    }
    outcome.resources.sort_by(|a, b| a.path.cmp(&b.path));
    outcome.resources.dedup_by(|a, b| a.path == b.path);
    outcome.others.sort();
    outcome.others.dedup();
    outcome.faults.sort_by(|a, b| a.path.cmp(&b.path));
    outcome.faults.dedup();
    Ok(outcome)
}

/// The repository that holds `work_tree`, its tree at `git_ref` below that folder, and the folder's path in the repository.
fn tree_at(work_tree: &Path, git_ref: &str) -> Result<(Repository, Oid, PathBuf), FileFault> {
    let fault = |what: String, help: &str| FileFault {
        path: git_ref.to_owned(),
        what,
        help: help.to_owned(),
    };
    let git_fault = |e| git_fault(git_ref, e);
    let repo = Repository::discover(work_tree).map_err(|e| match e.code() {
        ErrorCode::NotFound => fault("this folder is in no Git repository".to_owned(), "run it in a clone"),
        _ => git_fault(e),
    })?;
    let root = repo.workdir().and_then(|root| root.canonicalize().ok());
    let here = work_tree.canonicalize().ok();
    let below = root
        .zip(here)
        .and_then(|(root, here)| here.strip_prefix(root).map(Path::to_owned).ok());
    let mut tree = repo
        .revparse_single(git_ref)
        .and_then(|object| object.peel_to_tree())
        .map_err(git_fault)?;
    let below = below.unwrap_or_default();
    if !below.as_os_str().is_empty() {
        let entry = tree.get_path(&below).map_err(|_| {
            fault(
                format!("it does not hold the folder {}", below.display()),
                "give a reference that has it",
            )
        })?;
        tree = repo.find_tree(entry.id()).map_err(git_fault)?;
    }
    let id = tree.id();
    drop(tree);
    Ok((repo, id, below))
}

fn git_fault(git_ref: &str, e: git2::Error) -> FileFault {
    let fault = |what: String, help: &str| FileFault {
        path: git_ref.to_owned(),
        what,
        help: help.to_owned(),
    };
    match e.code() {
        ErrorCode::NotFound => fault(
            format!("there is no such commit here: {}", e.message()),
            "fetch it first (a shallow checkout in CI holds one commit only: set fetch-depth: 0), or give another reference",
        ),
        ErrorCode::Owner => fault(
            e.message().to_owned(),
            "the folder belongs to another user: git config --global --add safe.directory <folder>",
        ),
        _ => fault(
            format!("it cannot be read: {}", e.message()),
            "give a branch, a tag or a commit",
        ),
    }
}

/// Which of `paths`, files or folders below `work_tree`, are not as they were at `git_ref`. New files count, but not those
/// that Git is told to ignore.
///
/// # Errors
/// As [`read_ref_tree`].
pub fn paths_changed_since(
    work_tree: &Path,
    git_ref: &str,
    paths: &BTreeSet<&str>,
) -> Result<BTreeSet<String>, FileFault> {
    let (repo, _, below) = tree_at(work_tree, git_ref)?;
    let changed = |path: &str| -> Result<bool, git2::Error> {
        let whole = repo.revparse_single(git_ref)?.peel_to_tree()?;
        let mut options = DiffOptions::new();
        options.include_untracked(true).recurse_untracked_dirs(true);
        options
            .disable_pathspec_match(true)
            .pathspec(below.join(path.trim_end_matches('/')));
        let diff = repo.diff_tree_to_workdir_with_index(Some(&whole), Some(&mut options))?;
        Ok(diff.deltas().len() > 0)
    };
    let mut outcome = BTreeSet::new();
    for path in paths {
        if changed(path).map_err(|e| git_fault(git_ref, e))? {
            outcome.insert((*path).to_owned());
        }
    }
    Ok(outcome)
}

fn take(
    repo: &Repository,
    entry: &git2::TreeEntry<'_>,
    path: &str,
    named: bool,
    outcome: &mut RepositoryFiles,
) -> Result<(), git2::Error> {
    let mut fault = |what: String, help: &str| {
        outcome.faults.push(FileFault {
            path: path.to_owned(),
            what,
            help: help.to_owned(),
        });
    };
    match entry.kind() {
        Some(ObjectType::Tree) => return descend(repo, &repo.find_tree(entry.id())?, path, outcome),
        Some(ObjectType::Blob) if !named && !is_resource(path) => outcome.others.push(path.to_owned()),
        Some(ObjectType::Blob) if entry.filemode() == MODE_LINK => {
            fault(
                "it is a link, and links are not followed at another reference".to_owned(),
                "commit the file itself",
            );
        }
        Some(ObjectType::Blob) => {
            let (size_bytes, _) = repo.odb()?.read_header(entry.id())?;
            if size_bytes as u64 > RESOURCE_BYTES_MAX {
                let what =
                    format!("it is larger than {RESOURCE_BYTES_MAX} bytes, which is the most that is read of one file");
                fault(what, "split it into several files");
            } else {
                let bytes = repo.find_blob(entry.id())?.content().to_vec();
                outcome.resources.push(FileText {
                    path: path.to_owned(),
                    bytes,
                });
            }
        }
        // A submodule: another repository, whose resources are not this one's.
        _ => outcome.others.push(format!("{path}/")),
    }
    Ok(())
}

fn descend(repo: &Repository, tree: &Tree<'_>, path: &str, outcome: &mut RepositoryFiles) -> Result<(), git2::Error> {
    for entry in tree {
        let name = String::from_utf8_lossy(entry.name_bytes()).into_owned();
        let below = format!("{path}/{name}");
        if entry.kind() == Some(ObjectType::Tree) && name.starts_with('.') {
            outcome.others.push(format!("{below}/"));
        } else {
            take(repo, &entry, &below, false, outcome)?;
        }
    }
    Ok(())
}

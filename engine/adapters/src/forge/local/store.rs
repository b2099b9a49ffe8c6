//! [`Plumbing`] on a bare repository through libgit2, in this process.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use git2::{ConfigLevel, ErrorCode, ObjectType, Oid, Repository, Signature, Time, TreeWalkMode, TreeWalkResult};
use jiff::Timestamp;

use super::Interrupt;
use super::pack::{self, FILES_PER_PACK_MIN};
use crate::forge::ForgeError;
use crate::forge::plumbing::{
    Author, CommitInfo, Edit, Entry, MergedTree, Plumbing, best_common, between, is_under, reachable,
};
use crate::lease::FolderLock;

/// Mode of a file in a tree.
const MODE_FILE: i32 = 0o100_644;
/// Mode of a folder in a tree.
const MODE_FOLDER: i32 = 0o040_000;

/// File in the bare repository whose lock is held while a reference is moved.
const WRITE_LOCK: &str = "patchwave.lock";
/// Moving a reference takes milliseconds; a process that takes longer hangs on its disk, or was stopped.
const WRITE_PATIENCE: Duration = Duration::from_secs(20);
/// How long a lock file must stay as it is to be called left behind: Git holds one for milliseconds.
const STALE_AFTER: Duration = Duration::from_millis(500);

/// Settings for libgit2 only, beside the repository's own: Git itself has renamed this one and warns of the old name.
pub(super) const SETTINGS_FILE: &str = "patchwave.config";
/// Objects reach the disk before the reference that needs them: else a power cut could leave a reference to nothing.
pub(super) const SETTINGS: &[u8] = b"[core]\n\tfsyncObjectFiles = true\n";

/// An open bare repository.
pub struct Store {
    repo: Repository,
    ref_updates: Arc<AtomicU64>,
    interrupt: Option<Interrupt>,
}

impl Store {
    pub(in crate::forge) fn open(
        path: &Path,
        ref_updates: Arc<AtomicU64>,
        interrupt: Option<Interrupt>,
    ) -> Result<Self, ForgeError> {
        // Not `open_bare`: libgit2 then leaves out where a shallow history ends.
        let opened = Repository::open(path).and_then(|repo| {
            repo.config()?
                .add_file(&path.join(SETTINGS_FILE), ConfigLevel::App, true)?;
            Ok(repo)
        });
        let repo = opened.map_err(|e| git_error(&e, &format!("open {}", path.display())))?;
        Ok(Self {
            repo,
            ref_updates,
            interrupt,
        })
    }

    pub(in crate::forge) fn repo(&self) -> &Repository {
        &self.repo
    }

    /// Called before every write, so that a test can end the run there.
    pub(super) fn before(&self, step: &str) -> Result<(), ForgeError> {
        self.interrupt.as_ref().map_or(Ok(()), |interrupt| interrupt(step))
    }

    /// Keeps every other process of patchwave from moving a reference.
    fn alone(&self) -> Result<FolderLock, ForgeError> {
        let failed = |why: String| {
            ForgeError::retryable(
                format!(
                    "the local forge at {} cannot be written: {why}",
                    self.repo.path().display()
                ),
                "another process is writing, or was stopped while it did; end it, then run the command again",
            )
        };
        FolderLock::wait(self.repo.path(), WRITE_LOCK, WRITE_PATIENCE)
            .map_err(|e| failed(e.to_string()))?
            .ok_or_else(|| failed("another process of patchwave is writing to it".to_owned()))
    }

    /// Removes the lock file that a process left which was killed between making and renaming it.
    ///
    /// Called while [`Store::alone`] holds, so no process of patchwave can be the owner, not even a stopped one. A person's
    /// Git may be, for some milliseconds: a file that is gone or another one after the pause is left alone.
    fn remove_stale_lock(&self, reference: &str) {
        let path = self.repo.path().join(format!("{reference}.lock"));
        let made = || fs::metadata(&path).and_then(|there| there.modified()).ok();
        let first = made();
        std::thread::sleep(STALE_AFTER);
        if first.is_some() && made() == first && fs::remove_file(&path).is_ok() {
            tracing::warn!(file = %path.display(), "removed the lock of a process that was killed");
        }
    }

    fn edit_tree(&self, base: Option<Oid>, edit: &Edit<'_>) -> Result<Option<Oid>, ForgeError> {
        let repo = &self.repo;
        let base = if edit.replace { None } else { base };
        let base = base
            .map(|id| repo.find_tree(id))
            .transpose()
            .map_err(|e| git_error(&e, "read a tree"))?;
        let mut folders = BTreeMap::new();
        for (name, entry) in &edit.entries {
            if let Entry::Folder(below) = entry {
                let old = base.as_ref().and_then(|tree| tree.get_name(name));
                let old = old
                    .filter(|old| old.kind() == Some(ObjectType::Tree))
                    .map(|old| old.id());
                folders.insert(*name, self.edit_tree(old, below)?);
            }
        }
        let mut builder = repo
            .treebuilder(base.as_ref())
            .map_err(|e| git_error(&e, "build a tree"))?;
        for (name, entry) in &edit.entries {
            let put = match entry {
                Entry::File(bytes) => Some((self.write_blob(bytes)?, MODE_FILE)),
                Entry::Folder(_) => folders.get(name).copied().flatten().map(|id| (id, MODE_FOLDER)),
            };
            match put {
                Some((id, mode)) => {
                    builder
                        .insert(name, id, mode)
                        .map_err(|e| git_error(&e, &format!("put {name:?} in a tree")))?;
                }
                None if base.as_ref().is_some_and(|tree| tree.get_name(name).is_some()) => {
                    builder
                        .remove(name)
                        .map_err(|e| git_error(&e, &format!("remove {name:?} from a tree")))?;
                }
                None => {}
            }
        }
        if builder.is_empty() {
            return Ok(None);
        }
        self.before("tree")?;
        builder.write().map(Some).map_err(|e| git_error(&e, "write a tree"))
    }

    fn write_blob(&self, bytes: &[u8]) -> Result<Oid, ForgeError> {
        self.before("blob")?;
        self.repo.blob(bytes).map_err(|e| git_error(&e, "write a file"))
    }

    fn info(&self, id: Oid) -> Result<CommitInfo, ForgeError> {
        let commit = self
            .repo
            .find_commit(id)
            .map_err(|e| git_error(&e, &format!("read the commit {id}")))?;
        let author = |by: Signature<'_>| Author {
            name: String::from_utf8_lossy(by.name_bytes()).into_owned(),
            email: String::from_utf8_lossy(by.email_bytes()).into_owned(),
        };
        let at = Timestamp::from_second(commit.time().seconds())
            .map_err(|e| ForgeError::terminal(format!("the commit {id} has no usable time: {e}"), "recreate it"))?;
        Ok(CommitInfo {
            id: id.to_string(),
            parents: commit.parent_ids().map(|parent| parent.to_string()).collect(),
            author: author(commit.author()),
            committer: author(commit.committer()),
            at,
            unattributed: false,
            message: String::from_utf8_lossy(commit.message_bytes()).into_owned(),
        })
    }

    fn tree<'repo>(&'repo self, id: &str) -> Result<git2::Tree<'repo>, ForgeError> {
        self.repo
            .find_tree(oid(id)?)
            .map_err(|e| git_error(&e, &format!("read the tree {id}")))
    }
}

impl Plumbing for Store {
    fn target(&self, reference: &str) -> Result<Option<String>, ForgeError> {
        match self.repo.refname_to_id(reference) {
            Ok(id) => Ok(Some(id.to_string())),
            Err(e) if e.code() == ErrorCode::NotFound => Ok(None),
            Err(e) => Err(git_error(&e, &format!("read {reference}"))),
        }
    }

    fn set_target(&self, reference: &str, expected: Option<&str>, new: &str) -> Result<bool, ForgeError> {
        if expected == Some(new) {
            return Ok(true);
        }
        self.before(reference)?;
        let _alone = self.alone()?;
        let new = oid(new)?;
        let expected = expected.map(oid).transpose()?;
        let move_it = || match expected {
            Some(expected) => self
                .repo
                .reference_matching(reference, new, true, expected, "patchwave"),
            None => self.repo.reference(reference, new, false, "patchwave"),
        };
        let mut moved = move_it();
        if matches!(&moved, Err(e) if e.code() == ErrorCode::Locked) {
            self.remove_stale_lock(reference);
            moved = move_it();
        }
        match moved {
            Ok(_) => {
                self.ref_updates.fetch_add(1, Ordering::Relaxed);
                Ok(true)
            }
            Err(e) if matches!(e.code(), ErrorCode::Modified | ErrorCode::Exists | ErrorCode::NotFound) => Ok(false),
            Err(e) => Err(git_error(&e, &format!("write {reference}"))),
        }
    }

    fn commit_info(&self, commit: &str) -> Result<CommitInfo, ForgeError> {
        self.info(oid(commit)?)
    }

    fn is_ancestor(&self, ancestor: &str, of: &str) -> Result<bool, ForgeError> {
        if ancestor == of {
            return Ok(true);
        }
        // libgit2's walks do not know where a shallow history ends; reading commit by commit does.
        if self.repo.is_shallow() {
            return Ok(reachable(self, of)?.contains(ancestor));
        }
        let (ancestor, of) = (oid(ancestor)?, oid(of)?);
        // A commit that is not here cannot be reachable from one that is.
        if self.repo.find_commit(ancestor).is_err() {
            return Ok(false);
        }
        self.repo
            .graph_descendant_of(of, ancestor)
            .map_err(|e| git_error(&e, "walk the history"))
    }

    fn commits_between(&self, base: &str, head: &str) -> Result<Vec<CommitInfo>, ForgeError> {
        if self.repo.is_shallow() {
            return between(self, base, head);
        }
        let fault = |e: git2::Error| git_error(&e, "walk the history");
        let mut walk = self.repo.revwalk().map_err(fault)?;
        walk.set_sorting(git2::Sort::TOPOLOGICAL).map_err(fault)?;
        walk.push(oid(head)?).map_err(fault)?;
        walk.hide(oid(base)?).map_err(fault)?;
        walk.map(|id| id.map_err(fault).and_then(|id| self.info(id))).collect()
    }

    fn merge_base(&self, one: &str, other: &str) -> Result<Option<String>, ForgeError> {
        if self.repo.is_shallow() {
            return best_common(self, one, other);
        }
        match self.repo.merge_base(oid(one)?, oid(other)?) {
            Ok(id) => Ok(Some(id.to_string())),
            Err(e) if e.code() == ErrorCode::NotFound => Ok(None),
            Err(e) => Err(git_error(&e, "find the common ancestor")),
        }
    }

    fn tree_of(&self, commit: &str) -> Result<String, ForgeError> {
        let id = oid(commit)?;
        let commit = self
            .repo
            .find_commit(id)
            .map_err(|e| git_error(&e, &format!("read the commit {id}")))?;
        Ok(commit.tree_id().to_string())
    }

    fn entries(&self, tree: &str, under: &str) -> Result<BTreeMap<String, String>, ForgeError> {
        let fault = |e: git2::Error| git_error(&e, &format!("read {under:?} in the tree {tree}"));
        let mut root = self.tree(tree)?;
        let mut found = BTreeMap::new();
        if !under.is_empty() {
            let entry = match root.get_path(Path::new(under)) {
                Ok(entry) => entry,
                Err(e) if e.code() == ErrorCode::NotFound => return Ok(found),
                Err(e) => return Err(fault(e)),
            };
            match entry.kind() {
                Some(ObjectType::Tree) => root = self.repo.find_tree(entry.id()).map_err(fault)?,
                Some(ObjectType::Blob) => {
                    found.insert(under.to_owned(), entry.id().to_string());
                    return Ok(found);
                }
                _ => return Ok(found),
            }
        }
        let start = if under.is_empty() {
            String::new()
        } else {
            format!("{under}/")
        };
        root.walk(TreeWalkMode::PreOrder, |folder, entry| {
            if entry.kind() == Some(ObjectType::Blob) {
                let name = String::from_utf8_lossy(entry.name_bytes());
                found.insert(format!("{start}{folder}{name}"), entry.id().to_string());
            }
            TreeWalkResult::Ok
        })
        .map_err(fault)?;
        Ok(found)
    }

    fn blob(&self, id: &str) -> Result<Vec<u8>, ForgeError> {
        let blob = self
            .repo
            .find_blob(oid(id)?)
            .map_err(|e| git_error(&e, &format!("read the file {id}")))?;
        Ok(blob.content().to_vec())
    }

    fn hash_blob(&self, bytes: &[u8]) -> Result<String, ForgeError> {
        let id = Oid::hash_object(ObjectType::Blob, bytes).map_err(|e| git_error(&e, "hash a file"))?;
        Ok(id.to_string())
    }

    fn write_tree(&self, base: Option<&str>, edit: &Edit<'_>) -> Result<String, ForgeError> {
        let base = base.map(oid).transpose()?;
        let mut files = Vec::new();
        collect_files(edit, &mut files);
        if files.len() >= FILES_PER_PACK_MIN {
            // Written beforehand, so that writing each below finds it there.
            pack::write_files(self, &files)?;
        }
        if let Some(tree) = self.edit_tree(base, edit)? {
            return Ok(tree.to_string());
        }
        self.before("tree")?;
        let empty = self.repo.treebuilder(None).and_then(|builder| builder.write());
        empty
            .map(|id| id.to_string())
            .map_err(|e| git_error(&e, "write a tree"))
    }

    fn write_commit(
        &self,
        tree: &str,
        parents: &[&str],
        by: &Author,
        message: &str,
        now: Timestamp,
    ) -> Result<String, ForgeError> {
        let fault = |e: git2::Error| git_error(&e, "write a commit");
        let by = Signature::new(&by.name, &by.email, &Time::new(now.as_second(), 0)).map_err(fault)?;
        let parents: Vec<git2::Commit<'_>> = parents
            .iter()
            .map(|id| self.repo.find_commit(oid(id)?).map_err(fault))
            .collect::<Result<_, ForgeError>>()?;
        let parents: Vec<&git2::Commit<'_>> = parents.iter().collect();
        self.before("commit")?;
        let id = self
            .repo
            .commit(None, &by, &by, message, &self.tree(tree)?, &parents)
            .map_err(fault)?;
        Ok(id.to_string())
    }

    fn merge_trees(
        &self,
        base: Option<&str>,
        ours: &str,
        theirs: &str,
        keep_ours_under: Option<&str>,
    ) -> Result<MergedTree, ForgeError> {
        let fault = |e: git2::Error| git_error(&e, "merge two trees");
        let base = match base {
            Some(base) => self.tree(base)?,
            None => self.tree(&self.write_tree(None, &Edit::default())?)?,
        };
        // Renames are not guessed: what a merge does must be plain from the paths.
        let mut options = git2::MergeOptions::new();
        options.find_renames(false);
        let mut index = self
            .repo
            .merge_trees(&base, &self.tree(ours)?, &self.tree(theirs)?, Some(&options))
            .map_err(fault)?;
        let conflicts = conflicts_of(&index).map_err(fault)?;
        let (kept, open): (BTreeMap<_, _>, BTreeMap<_, _>) = conflicts
            .into_iter()
            .partition(|(path, _)| keep_ours_under.is_some_and(|folder| is_under(path, folder)));
        if !open.is_empty() {
            return Ok(MergedTree::Conflicts(open.into_keys().collect()));
        }
        let mut kept_paths = Vec::new();
        for (path, ours) in kept {
            index.conflict_remove(Path::new(&path)).map_err(fault)?;
            if let Some(mut entry) = ours {
                // The side is told by two upper flag bits, and 0 is "merged"; the lower twelve bits hold the path's length.
                entry.flags &= 0x0fff;
                index.add(&entry).map_err(fault)?;
            }
            kept_paths.push(path);
        }
        self.before("tree")?;
        let tree = index.write_tree_to(&self.repo).map_err(fault)?;
        Ok(MergedTree::Tree {
            tree: tree.to_string(),
            kept: kept_paths,
        })
    }
}

/// The content of every file an edit puts.
fn collect_files<'a>(edit: &Edit<'a>, files: &mut Vec<&'a [u8]>) {
    for entry in edit.entries.values() {
        match entry {
            Entry::File(bytes) => files.push(bytes),
            Entry::Folder(below) => collect_files(below, files),
        }
    }
}

/// Conflicting paths, each with our side, if we have one.
fn conflicts_of(index: &git2::Index) -> Result<BTreeMap<String, Option<git2::IndexEntry>>, git2::Error> {
    let mut found = BTreeMap::new();
    for conflict in index.conflicts()? {
        let git2::IndexConflict { ancestor, our, their } = conflict?;
        // The three sides of one conflict have the same path: renames are not guessed.
        let path = [&our, &their, &ancestor]
            .into_iter()
            .flatten()
            .next()
            .map(|entry| entry.path.clone());
        if let Some(path) = path {
            found.insert(String::from_utf8_lossy(&path).into_owned(), our);
        }
    }
    Ok(found)
}

pub(super) fn oid(id: &str) -> Result<Oid, ForgeError> {
    Oid::from_str(id).map_err(|e| git_error(&e, &format!("read the id {id:?}")))
}

/// A libgit2 error as one of ours: what was tried, why it failed, what to do.
pub(super) fn git_error(error: &git2::Error, tried: &str) -> ForgeError {
    let what = format!("the local forge could not {tried}: {}", error.message());
    match error.code() {
        ErrorCode::Locked | ErrorCode::Modified => ForgeError::retryable(
            what,
            "another process is writing; run the command again, and if none is running remove the *.lock file it names",
        ),
        ErrorCode::Owner => ForgeError::terminal(
            what,
            "the folder belongs to another user: run as that user, or git config --global --add safe.directory <folder>",
        ),
        _ => ForgeError::terminal(
            what,
            "check the repository with git fsck; the ledger and every rollout can be read with git as they are",
        ),
    }
}

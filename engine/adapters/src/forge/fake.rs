//! The forge in memory, for simulations: the same rules over a Git store that is three maps.
//!
//! Deterministic like the real one: ids are digests of what they name. It differs in one way, which tests of it must not
//! lean on: files are merged whole, so two changes of one file are a conflict even on different lines.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use patchwave_core::canonical::sha256_hex;

use super::ForgeError;
use super::on_git::OnGit;
use super::plumbing::{
    Author, CommitInfo, Edit, Entry, Layout, MergedTree, Plumbing, best_common, between, is_under, reachable,
};
use super::records::branch_ref;

type Tree = Arc<BTreeMap<String, String>>;

#[derive(Clone, Default)]
struct Objects {
    blobs: BTreeMap<String, Arc<Vec<u8>>>,
    trees: BTreeMap<String, Tree>,
    commits: BTreeMap<String, (CommitInfo, String)>,
    refs: BTreeMap<String, String>,
    outside: Option<String>,
    ref_updates: u64,
}

/// A forge in memory. Clones share one store.
#[derive(Clone)]
pub struct FakeForge {
    layout: Layout,
    memory: Memory,
}

/// The Git store of a [`FakeForge`].
#[derive(Clone, Default)]
pub struct Memory(Arc<Mutex<Objects>>);

impl FakeForge {
    /// An empty forge whose rollouts folder is `rollouts`; [`super::Forge::take_in`] gives it its first commit.
    #[must_use]
    pub fn new(rollouts: &str) -> Self {
        let layout = Layout {
            prefix: String::new(),
            rollouts: rollouts.to_owned(),
        };
        Self {
            layout,
            memory: Memory::default(),
        }
    }

    /// A forge of its own that holds what this one holds now: what is written to one is not seen in the other.
    #[must_use]
    pub fn fork(&self) -> Self {
        let objects = self.memory.lock().clone();
        Self {
            layout: self.layout.clone(),
            memory: Memory(Arc::new(Mutex::new(objects))),
        }
    }

    /// The user commits in their repository: HEAD is now one commit further with these files (and the ones before).
    ///
    /// # Errors
    /// [`ForgeError`] for a path that cannot be in a repository.
    pub fn commit_outside(&self, files: &BTreeMap<String, Vec<u8>>, now: Timestamp) -> Result<String, ForgeError> {
        let parent = self.memory.lock().outside.clone();
        let commit = self
            .memory
            .commit_on(parent.as_deref(), files, &Author::person("user")?, now)?;
        self.memory.lock().outside = Some(commit.clone());
        Ok(commit)
    }

    /// The user moves HEAD of their repository to another commit, or to none.
    pub fn move_outside(&self, head: Option<String>) {
        self.memory.lock().outside = head;
    }

    /// A person pushes a commit with these files to a branch.
    ///
    /// # Errors
    /// [`ForgeError`] for a name or path that cannot be in a repository.
    pub fn push(
        &self,
        branch: &str,
        files: &BTreeMap<String, Vec<u8>>,
        by: &str,
        now: Timestamp,
    ) -> Result<String, ForgeError> {
        let reference = branch_ref(branch);
        let at = self.memory.target(&reference)?;
        let commit = self.memory.commit_on(at.as_deref(), files, &Author::person(by)?, now)?;
        self.memory.lock().refs.insert(reference, commit.clone());
        Ok(commit)
    }

    /// Every reference and where it points: two equal answers mean that nothing was written in between.
    #[must_use]
    pub fn references(&self) -> BTreeMap<String, String> {
        self.memory.lock().refs.clone()
    }
}

impl OnGit for FakeForge {
    type Git = Memory;

    fn git(&self) -> Result<Memory, ForgeError> {
        Ok(self.memory.clone())
    }

    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn fetch_outside(&self) -> Result<Result<String, String>, ForgeError> {
        Ok(self
            .memory
            .lock()
            .outside
            .clone()
            .ok_or_else(|| "there is no commit outside".to_owned()))
    }

    fn ref_updates(&self) -> u64 {
        self.memory.lock().ref_updates
    }
}

impl Memory {
    /// A panic in another test thread poisons nothing here: every change is one insertion.
    fn lock(&self) -> MutexGuard<'_, Objects> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn commit_on(
        &self,
        parent: Option<&str>,
        files: &BTreeMap<String, Vec<u8>>,
        by: &Author,
        now: Timestamp,
    ) -> Result<String, ForgeError> {
        let mut edit = Edit::default();
        for (path, bytes) in files {
            edit.put(path, bytes)?;
        }
        let base = parent.map(|parent| self.tree_of(parent)).transpose()?;
        let tree = self.write_tree(base.as_deref(), &edit)?;
        let parents: Vec<&str> = parent.into_iter().collect();
        self.write_commit(&tree, &parents, by, "Change files\n", now)
    }

    fn tree(&self, id: &str) -> Result<Tree, ForgeError> {
        self.lock().trees.get(id).cloned().ok_or_else(|| missing("tree", id))
    }

    fn keep_tree(&self, tree: BTreeMap<String, String>) -> String {
        let text: String = tree.iter().map(|(path, blob)| format!("{blob} {path}\n")).collect();
        let id = object_id("tree", text.as_bytes());
        self.lock().trees.insert(id.clone(), Arc::new(tree));
        id
    }

    fn edit(&self, tree: &mut BTreeMap<String, String>, folder: &str, edit: &Edit<'_>) -> Result<(), ForgeError> {
        if edit.replace {
            tree.retain(|path, _| !is_under(path, folder));
        }
        for (name, entry) in &edit.entries {
            let path = if folder.is_empty() {
                (*name).to_owned()
            } else {
                format!("{folder}/{name}")
            };
            match entry {
                Entry::File(bytes) => {
                    let id = self.hash_blob(bytes)?;
                    self.lock().blobs.insert(id.clone(), Arc::new(bytes.to_vec()));
                    tree.retain(|other, _| !is_under(other, &path));
                    tree.insert(path, id);
                }
                Entry::Folder(below) => {
                    tree.remove(&path);
                    self.edit(tree, &path, below)?;
                }
            }
        }
        Ok(())
    }
}

impl Plumbing for Memory {
    fn target(&self, reference: &str) -> Result<Option<String>, ForgeError> {
        Ok(self.lock().refs.get(reference).cloned())
    }

    fn set_target(&self, reference: &str, expected: Option<&str>, new: &str) -> Result<bool, ForgeError> {
        let mut objects = self.lock();
        if objects.refs.get(reference).map(String::as_str) != expected {
            return Ok(false);
        }
        if expected != Some(new) {
            objects.refs.insert(reference.to_owned(), new.to_owned());
            objects.ref_updates += 1;
        }
        Ok(true)
    }

    fn commit_info(&self, commit: &str) -> Result<CommitInfo, ForgeError> {
        self.lock()
            .commits
            .get(commit)
            .map(|(info, _)| info.clone())
            .ok_or_else(|| missing("commit", commit))
    }

    fn is_ancestor(&self, ancestor: &str, of: &str) -> Result<bool, ForgeError> {
        Ok(reachable(self, of)?.contains(ancestor))
    }

    fn commits_between(&self, base: &str, head: &str) -> Result<Vec<CommitInfo>, ForgeError> {
        between(self, base, head)
    }

    fn merge_base(&self, one: &str, other: &str) -> Result<Option<String>, ForgeError> {
        best_common(self, one, other)
    }

    fn tree_of(&self, commit: &str) -> Result<String, ForgeError> {
        self.lock()
            .commits
            .get(commit)
            .map(|(_, tree)| tree.clone())
            .ok_or_else(|| missing("commit", commit))
    }

    fn entries(&self, tree: &str, under: &str) -> Result<BTreeMap<String, String>, ForgeError> {
        let tree = self.tree(tree)?;
        Ok(tree
            .iter()
            .filter(|(path, _)| is_under(path, under))
            .map(|(path, id)| (path.clone(), id.clone()))
            .collect())
    }

    fn blob(&self, id: &str) -> Result<Vec<u8>, ForgeError> {
        self.lock()
            .blobs
            .get(id)
            .map(|bytes| bytes.to_vec())
            .ok_or_else(|| missing("file", id))
    }

    fn hash_blob(&self, bytes: &[u8]) -> Result<String, ForgeError> {
        Ok(object_id("blob", bytes))
    }

    fn write_tree(&self, base: Option<&str>, edit: &Edit<'_>) -> Result<String, ForgeError> {
        let mut tree = base
            .map(|id| self.tree(id))
            .transpose()?
            .map_or_else(BTreeMap::new, |tree| (*tree).clone());
        self.edit(&mut tree, "", edit)?;
        Ok(self.keep_tree(tree))
    }

    fn write_commit(
        &self,
        tree: &str,
        parents: &[&str],
        by: &Author,
        message: &str,
        now: Timestamp,
    ) -> Result<String, ForgeError> {
        // Whole seconds, as Git keeps them.
        let at = Timestamp::from_second(now.as_second())
            .map_err(|e| ForgeError::terminal(format!("{now} is no time for a commit: {e}"), "give another --now"))?;
        let text = format!("{tree}\n{}\n{by:?}\n{at}\n{message}", parents.join(" "));
        let id = object_id("commit", text.as_bytes());
        let info = CommitInfo {
            id: id.clone(),
            parents: parents.iter().map(|parent| (*parent).to_owned()).collect(),
            author: by.clone(),
            committer: by.clone(),
            at,
            unattributed: false,
            message: message.to_owned(),
        };
        self.lock().commits.insert(id.clone(), (info, tree.to_owned()));
        Ok(id)
    }

    fn merge_trees(
        &self,
        base: Option<&str>,
        ours: &str,
        theirs: &str,
        keep_ours_under: Option<&str>,
    ) -> Result<MergedTree, ForgeError> {
        let base = base.map(|id| self.tree(id)).transpose()?.unwrap_or_default();
        let (ours, theirs) = (self.tree(ours)?, self.tree(theirs)?);
        let paths: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
        let mut merged = BTreeMap::new();
        let (mut kept, mut conflicts) = (Vec::new(), Vec::new());
        for path in paths {
            let (before, our, their) = (base.get(path), ours.get(path), theirs.get(path));
            let outcome = if our == their || their == before {
                our
            } else if our == before {
                their
            } else {
                let keep = keep_ours_under.is_some_and(|folder| is_under(path, folder));
                if keep { &mut kept } else { &mut conflicts }.push(path.clone());
                our
            };
            if let Some(id) = outcome {
                merged.insert(path.clone(), id.clone());
            }
        }
        if conflicts.is_empty() {
            Ok(MergedTree::Tree {
                tree: self.keep_tree(merged),
                kept,
            })
        } else {
            Ok(MergedTree::Conflicts(conflicts))
        }
    }
}

/// Forty hex digits, as long as Git's, of a digest over what the object holds.
fn object_id(kind: &str, bytes: &[u8]) -> String {
    let mut text = format!("{kind} {}\0", bytes.len()).into_bytes();
    text.extend_from_slice(bytes);
    sha256_hex(&text).chars().take(40).collect()
}

fn missing(kind: &str, id: &str) -> ForgeError {
    ForgeError::terminal(format!("there is no {kind} {id}"), "the id was not given by this forge")
}

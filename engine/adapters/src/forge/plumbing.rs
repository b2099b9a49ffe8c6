//! The few Git operations the forge rules are written in, so that the local forge and its fake share every rule and
//! differ only in where objects live.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::ForgeError;

/// Name in the engine's commits.
pub const ENGINE_NAME: &str = "patchwave";
/// Address in the engine's commits. It is no mailbox: it marks a commit as the engine's.
pub const ENGINE_EMAIL: &str = "patchwave@localhost";

/// The base branch.
pub(crate) const MAIN: &str = "refs/heads/main";
/// The ledger branch.
pub(crate) const LEDGER: &str = "refs/heads/patchwave/ledger";
/// Pull requests and the dashboard, as files of a commit, so that each change is one atomic reference update.
pub(crate) const RECORDS: &str = "refs/patchwave/forge";
/// The last commit taken in from outside: the base of the next merge with the outside.
pub(crate) const TAKEN: &str = "refs/patchwave/head";

/// Where the user's files lie in the repository the forge mirrors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// Path of the project below the repository root: empty, or ending in `/`.
    pub prefix: String,
    /// The rollouts folder, relative to the project, without a slash at the end.
    pub rollouts: String,
}

impl Layout {
    /// The rollouts folder relative to the repository root.
    pub(crate) fn rollouts_path(&self) -> String {
        format!("{}{}", self.prefix, self.rollouts)
    }
}

/// Who made a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Author {
    /// Name.
    pub name: String,
    /// Address.
    pub email: String,
}

impl Author {
    pub(crate) fn engine() -> Self {
        Self {
            name: ENGINE_NAME.to_owned(),
            email: ENGINE_EMAIL.to_owned(),
        }
    }

    /// A person known by name only.
    ///
    /// # Errors
    /// Terminal for a name that cannot stand in a commit or that is the engine's.
    pub(crate) fn person(name: &str) -> Result<Self, ForgeError> {
        let name = name.trim();
        let fault = if name.is_empty() {
            "it is empty"
        } else if name.chars().any(|c| c.is_control() || c == '<' || c == '>') {
            "a name in a commit holds no control character and no angle bracket"
        } else if name.eq_ignore_ascii_case(ENGINE_NAME) {
            "it is the engine's own, and people's decisions must be told from the engine's"
        } else if name.chars().count() > 128 {
            "it is longer than 128 characters"
        } else {
            let mailbox: String = name
                .chars()
                .map(|c| {
                    if c.is_ascii_alphanumeric() {
                        c.to_ascii_lowercase()
                    } else {
                        '-'
                    }
                })
                .collect();
            return Ok(Self {
                name: name.to_owned(),
                email: format!("{mailbox}@localhost"),
            });
        };
        Err(ForgeError::terminal(
            format!("{name:?} cannot be the name of a person here: {fault}"),
            "give a plain name, for example --as maria",
        ))
    }

    pub(crate) fn is_engine(&self) -> bool {
        self.name == ENGINE_NAME && self.email == ENGINE_EMAIL
    }
}

/// What a commit says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitInfo {
    /// Its id.
    pub id: String,
    /// Its parents' ids.
    pub parents: Vec<String>,
    /// Who wrote it.
    pub author: Author,
    /// Who committed it.
    pub committer: Author,
    /// When it was committed.
    pub at: Timestamp,
    /// A forge with accounts was asked whose it is, and knows no account of a person who wrote or committed it. The names of
    /// such a commit are whatever somebody wrote there.
    pub unattributed: bool,
    /// Its message.
    pub message: String,
}

impl CommitInfo {
    /// Whether the engine made it. An amended engine commit has a person for its committer.
    pub(crate) fn is_engines(&self) -> bool {
        self.author.is_engine() && self.committer.is_engine()
    }
}

/// A change to a folder of a tree.
#[derive(Clone, Debug, Default)]
pub struct Edit<'a> {
    /// Drop whatever the folder holds and the edit does not name.
    pub replace: bool,
    /// Name → what becomes of it.
    pub entries: BTreeMap<&'a str, Entry<'a>>,
}

/// What becomes of one name in a folder.
#[derive(Clone, Debug)]
pub enum Entry<'a> {
    /// A file with this content.
    File(&'a [u8]),
    /// A folder, changed so.
    Folder(Edit<'a>),
}

impl<'a> Edit<'a> {
    /// Whatever `folder` holds and is not put afterwards is dropped.
    pub(crate) fn replace_folder(&mut self, folder: &'a str) -> Result<(), ForgeError> {
        let mut edit = self;
        for name in checked_parts(folder)? {
            edit = edit.folder(name, folder)?;
        }
        edit.replace = true;
        Ok(())
    }

    /// `path` holds `bytes`.
    pub(crate) fn put(&mut self, path: &'a str, bytes: &'a [u8]) -> Result<(), ForgeError> {
        let mut parts = checked_parts(path)?;
        let Some(file) = parts.pop() else {
            return Err(bad_path(path));
        };
        let mut edit = self;
        for name in parts {
            edit = edit.folder(name, path)?;
        }
        match edit.entries.insert(file, Entry::File(bytes)) {
            Some(Entry::Folder(_)) => Err(bad_path(path)),
            _ => Ok(()),
        }
    }

    fn folder(&mut self, name: &'a str, path: &str) -> Result<&mut Edit<'a>, ForgeError> {
        match self
            .entries
            .entry(name)
            .or_insert_with(|| Entry::Folder(Edit::default()))
        {
            Entry::Folder(edit) => Ok(edit),
            Entry::File(_) => Err(bad_path(path)),
        }
    }
}

fn checked_parts(path: &str) -> Result<Vec<&str>, ForgeError> {
    if crate::write::is_plain_path(path) {
        Ok(path.split('/').collect())
    } else {
        Err(bad_path(path))
    }
}

fn bad_path(path: &str) -> ForgeError {
    ForgeError::terminal(
        format!("{path:?} cannot be a file of the repository: it leaves it, hides in .git, or is a file and a folder"),
        "this is a fault of whoever made the path: check the names and targets it was made of",
    )
}

/// What came of merging two trees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MergedTree {
    /// The tree that holds both sides.
    Tree {
        /// Its id.
        tree: String,
        /// Paths in conflict where our side was kept as asked; sorted.
        kept: Vec<String>,
    },
    /// Paths in conflict, sorted. Nothing was written.
    Conflicts(Vec<String>),
}

/// Git's object and reference store. Ids are lower-case hex.
pub trait Plumbing {
    /// Makes the heads of these ended pull requests known, where they are not by themselves.
    fn bring_pulls(&self, _numbers: &[u64]) -> Result<(), ForgeError> {
        Ok(())
    }
    /// Where a reference points, or none.
    fn target(&self, reference: &str) -> Result<Option<String>, ForgeError>;
    /// Moves a reference if it still is where it is expected; false = it is not.
    fn set_target(&self, reference: &str, expected: Option<&str>, new: &str) -> Result<bool, ForgeError>;
    /// What a commit says.
    fn commit_info(&self, commit: &str) -> Result<CommitInfo, ForgeError>;
    /// Whether `ancestor` is `of` or reachable from it.
    fn is_ancestor(&self, ancestor: &str, of: &str) -> Result<bool, ForgeError>;
    /// The commits reachable from `head` and not from `base`.
    fn commits_between(&self, base: &str, head: &str) -> Result<Vec<CommitInfo>, ForgeError>;
    /// The best common ancestor.
    fn merge_base(&self, one: &str, other: &str) -> Result<Option<String>, ForgeError>;
    /// The tree of a commit.
    fn tree_of(&self, commit: &str) -> Result<String, ForgeError>;
    /// The files at or below `under` (empty = all): path → blob id.
    fn entries(&self, tree: &str, under: &str) -> Result<BTreeMap<String, String>, ForgeError>;
    /// A file's content.
    fn blob(&self, id: &str) -> Result<Vec<u8>, ForgeError>;
    /// The id a file's content would have. Writes nothing.
    fn hash_blob(&self, bytes: &[u8]) -> Result<String, ForgeError>;
    /// A tree: `base` (or nothing) changed by `edit`.
    fn write_tree(&self, base: Option<&str>, edit: &Edit<'_>) -> Result<String, ForgeError>;
    /// A commit.
    fn write_commit(
        &self,
        tree: &str,
        parents: &[&str],
        by: &Author,
        message: &str,
        now: Timestamp,
    ) -> Result<String, ForgeError>;
    /// The three-way merge of two trees (`base` none = an empty tree). Conflicts at or below `keep_ours_under` keep our side.
    fn merge_trees(
        &self,
        base: Option<&str>,
        ours: &str,
        theirs: &str,
        keep_ours_under: Option<&str>,
    ) -> Result<MergedTree, ForgeError>;
}

/// Whether `path` is `folder` or lies below it; an empty folder holds everything.
pub(crate) fn is_under(path: &str, folder: &str) -> bool {
    folder.is_empty()
        || path
            .strip_prefix(folder)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The files of a commit at or below `under`, with their content; no commit = none.
pub(crate) fn read_files(
    git: &impl Plumbing,
    commit: Option<&str>,
    under: &str,
) -> Result<BTreeMap<String, Vec<u8>>, ForgeError> {
    let Some(commit) = commit else {
        return Ok(BTreeMap::new());
    };
    let entries = git.entries(&git.tree_of(commit)?, under)?;
    entries
        .into_iter()
        .map(|(path, blob)| Ok((path, git.blob(&blob)?)))
        .collect()
}

/// Every commit reachable from `head`, itself included, one commit at a time: for stores without a faster way.
pub(crate) fn reachable(git: &impl Plumbing, head: &str) -> Result<BTreeSet<String>, ForgeError> {
    let mut found = BTreeSet::new();
    let mut open = vec![head.to_owned()];
    while let Some(id) = open.pop() {
        if !found.contains(&id) {
            open.extend(git.commit_info(&id)?.parents);
            found.insert(id);
        }
    }
    Ok(found)
}

/// The best common ancestor, over [`reachable`]: a common commit that is no parent of another one. Where histories cross
/// there are several, and the one with the smallest id is taken.
pub(crate) fn best_common(git: &impl Plumbing, one: &str, other: &str) -> Result<Option<String>, ForgeError> {
    let theirs = reachable(git, other)?;
    let common: BTreeSet<String> = reachable(git, one)?.intersection(&theirs).cloned().collect();
    let mut best = common.clone();
    for id in &common {
        for parent in git.commit_info(id)?.parents {
            best.remove(&parent);
        }
    }
    Ok(best.pop_first())
}

/// The commits reachable from `head` and not from `base`, over [`reachable`].
pub(crate) fn between(git: &impl Plumbing, base: &str, head: &str) -> Result<Vec<CommitInfo>, ForgeError> {
    let below = reachable(git, base)?;
    reachable(git, head)?
        .difference(&below)
        .map(|id| git.commit_info(id))
        .collect()
}

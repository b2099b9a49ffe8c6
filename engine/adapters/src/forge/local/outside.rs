//! The user's repository beside the local forge: finding its HEAD and copying the objects below it.
//!
//! Nothing is ever written there, and no reference, hook or remote of it is used.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use git2::{ErrorCode, Oid, PackBuilder, Repository};

use super::pack;
use super::store::{Store, git_error};
use crate::forge::ForgeError;

/// The repository that holds the work tree, with the path of the work tree in it.
pub(super) struct Outside {
    repo: Repository,
    /// Empty, or ending in `/`.
    pub(super) prefix: String,
}

/// Finds the repository the work tree belongs to; none if it belongs to none.
pub(super) fn find(work_tree: &Path) -> Result<Option<Outside>, ForgeError> {
    let repo = match Repository::discover(work_tree) {
        Ok(repo) => repo,
        Err(e) if e.code() == ErrorCode::NotFound => return Ok(None),
        Err(e) => {
            return Err(git_error(
                &e,
                &format!("open the repository at {}", work_tree.display()),
            ));
        }
    };
    let Some(root) = repo.workdir() else { return Ok(None) };
    let resolved = |path: &Path| {
        path.canonicalize().map_err(|e| {
            ForgeError::terminal(
                format!("{} cannot be read: {e}", path.display()),
                "check that the folder exists and may be read",
            )
        })
    };
    let (root, below) = (resolved(root)?, resolved(work_tree)?);
    let Ok(below) = below.strip_prefix(&root) else {
        return Ok(None);
    };
    let mut prefix = String::new();
    for part in below.components() {
        prefix.push_str(&part.as_os_str().to_string_lossy());
        prefix.push('/');
    }
    Ok(Some(Outside { repo, prefix }))
}

impl Outside {
    /// The commit at HEAD, if there is one that holds the project; the error side of the inner result says why not.
    pub(super) fn head(&self, prefix: &str) -> Result<Result<Oid, String>, ForgeError> {
        if self.prefix != prefix {
            return Ok(Err(format!(
                "the repository around this folder changed since the local forge was made (it was {prefix:?} below the root and is {:?} now)",
                self.prefix
            )));
        }
        let head = match self.repo.head() {
            Ok(head) => head,
            Err(e) if matches!(e.code(), ErrorCode::UnbornBranch | ErrorCode::NotFound) => {
                return Ok(Err("the repository has no commit yet".to_owned()));
            }
            Err(e) => return Err(git_error(&e, "read HEAD of your repository")),
        };
        let commit = head
            .peel_to_commit()
            .map_err(|e| git_error(&e, "read the commit at HEAD of your repository"))?;
        let tree = commit
            .tree()
            .map_err(|e| git_error(&e, "read the tree at HEAD of your repository"))?;
        let folder = prefix.trim_end_matches('/');
        if !folder.is_empty() && tree.get_path(Path::new(folder)).is_err() {
            return Ok(Err(format!("the commit at HEAD does not hold the folder {folder}")));
        }
        Ok(Ok(commit.id()))
    }

    /// Copies `head` and all it needs into the store, leaving out what is below `known`.
    ///
    /// One pack, written before any reference moves: a copy that was cut short is never referred to.
    pub(super) fn copy(&self, head: Oid, known: Option<Oid>, store: &Store) -> Result<(), ForgeError> {
        let fault = |e: git2::Error| {
            git_error(
                &e,
                "copy the commits at HEAD (a partial clone needs git fetch --refetch first)",
            )
        };
        if store.repo().find_commit(head).is_err() {
            let mut builder = self.repo.packbuilder().map_err(fault)?;
            self.choose(head, known, store, &mut builder).map_err(fault)?;
            pack::write(store, &mut builder)?;
        }
        self.copy_shallow(store)
    }

    /// Chooses what goes into the pack.
    fn choose(
        &self,
        head: Oid,
        known: Option<Oid>,
        store: &Store,
        builder: &mut PackBuilder<'_>,
    ) -> Result<(), git2::Error> {
        if self.repo.is_shallow() {
            // libgit2's walk does not know where a shallow history ends; reading commit by commit does.
            let mut seen = BTreeSet::new();
            let mut open = vec![head];
            while let Some(id) = open.pop() {
                if seen.insert(id) {
                    builder.insert_commit(id)?;
                    open.extend(self.repo.find_commit(id)?.parent_ids());
                }
            }
            return Ok(());
        }
        let mut walk = self.repo.revwalk()?;
        walk.push(head)?;
        // In a store that was shallow once, what lies below a known commit may be missing: then everything is copied.
        if let Some(known) = known.filter(|id| !store.repo().is_shallow() && self.repo.find_commit(*id).is_ok()) {
            walk.hide(known)?;
        }
        builder.insert_walk(&mut walk)
    }

    /// A shallow clone ends at commits whose parents are elsewhere; the store must know the same ends, or walking its
    /// history would fail there. An end whose parents have arrived since is no end any more.
    fn copy_shallow(&self, store: &Store) -> Result<(), ForgeError> {
        let own = store.repo().path().join("shallow");
        let before = read_ends(&own)?;
        let mut ends = before.clone();
        ends.extend(read_ends(&self.repo.commondir().join("shallow"))?);
        ends.sort();
        ends.dedup();
        let odb = store.repo().odb().map_err(|e| git_error(&e, "read its objects"))?;
        ends.retain(|end| {
            let Ok(raw) = Oid::from_str(end).and_then(|id| odb.read(id)) else {
                return false;
            };
            // Parsed from the raw object: the commit itself reads as if it had no parents once it is an end.
            let text = String::from_utf8_lossy(raw.data()).into_owned();
            let mut parents = text
                .lines()
                .map_while(|line| if line.is_empty() { None } else { line.split_once(' ') });
            parents.any(|(key, id)| key == "parent" && Oid::from_str(id).map_or(true, |id| !odb.exists(id)))
        });
        if ends == before {
            return Ok(());
        }
        store.before("shallow")?;
        let failed = |e: std::io::Error| {
            ForgeError::terminal(
                format!("{} could not be written: {e}", own.display()),
                "check that the folder may be written",
            )
        };
        if ends.is_empty() {
            return fs::remove_file(&own).map_err(failed);
        }
        crate::write::put_atomically(&own, format!("{}\n", ends.join("\n")).as_bytes()).map_err(failed)
    }
}

fn read_ends(path: &Path) -> Result<Vec<String>, ForgeError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(text.lines().map(str::to_owned).collect()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(ForgeError::terminal(
            format!("{} cannot be read: {e}", path.display()),
            "check that it may be read",
        )),
    }
}

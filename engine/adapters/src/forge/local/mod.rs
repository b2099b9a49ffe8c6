//! The local forge: a bare repository `.patchwave/forge.git` beside the user's work tree.
//!
//! `main` starts at HEAD of the user's repository and takes in new commits at each run; pull requests, approvals and
//! comments are files on `refs/patchwave/forge`; the ledger is the orphan branch `patchwave/ledger`. Everything can be
//! read with plain Git. Invariant: nothing is ever written to the user's own repository.
//!
//! A folder that is no repository, or has no commit, works too: `main` then starts from an empty commit of the engine's.

mod outside;
mod pack;
mod store;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use git2::{Repository, RepositoryInitOptions};
use jiff::Timestamp;

pub use store::Store;

use super::on_git::OnGit;
use super::plumbing::{Layout, Plumbing as _, TAKEN};
use super::{Forge as _, ForgeError, TakenIn};
use crate::lease::FolderLock;
use store::{git_error, oid};

/// Folder of everything patchwave keeps beside the work tree.
pub const PRIVATE_FOLDER: &str = ".patchwave";
/// The bare repository in it.
const FORGE_FOLDER: &str = "forge.git";
/// The bare repository while it is made, before the number of the process.
const UNFINISHED_PREFIX: &str = "forge.git.new-";
/// File whose lock is held while the forge is made.
const CREATE_LOCK: &str = "forge.lock";
/// Making it copies the history of the user's repository, which takes a minute for a large one; who waited longer makes
/// it as well, and the faster one stays.
const CREATE_PATIENCE: Duration = Duration::from_secs(60);
/// Setting in the bare repository that remembers where the project lies below the repository root.
const PREFIX_SETTING: &str = "patchwave.prefix";

/// Called with the name of each write before it is done; an error ends the run there, as a crash would.
pub type Interrupt = Arc<dyn Fn(&str) -> Result<(), ForgeError> + Send + Sync>;

/// A local forge.
#[derive(Clone)]
pub struct LocalForge {
    work_tree: PathBuf,
    path: PathBuf,
    layout: Layout,
    ref_updates: Arc<AtomicU64>,
    interrupt: Option<Interrupt>,
}

impl LocalForge {
    /// Opens the forge beside `work_tree`, or none if there is none yet. `rollouts` is the rollouts folder relative to
    /// the work tree. Reads only.
    ///
    /// # Errors
    /// [`ForgeError`] if it is there and cannot be read.
    pub fn open(work_tree: &Path, rollouts: &str) -> Result<Option<Self>, ForgeError> {
        Self::open_with(work_tree, rollouts, None)
    }

    /// Opens the forge beside `work_tree`, made first if there is none, and takes in new commits at HEAD.
    ///
    /// # Errors
    /// [`ForgeError`] if it cannot be made, or as [`super::Forge::take_in`].
    pub fn open_or_create(work_tree: &Path, rollouts: &str, now: Timestamp) -> Result<(Self, TakenIn), ForgeError> {
        Self::open_or_create_with(work_tree, rollouts, now, None)
    }

    /// As [`LocalForge::open_or_create`], ended by `interrupt` before the write it chooses: for tests of what a crash
    /// leaves behind.
    ///
    /// # Errors
    /// As [`LocalForge::open_or_create`], and what `interrupt` returns.
    pub fn open_or_create_with(
        work_tree: &Path,
        rollouts: &str,
        now: Timestamp,
        interrupt: Option<Interrupt>,
    ) -> Result<(Self, TakenIn), ForgeError> {
        if let Some(forge) = Self::open_with(work_tree, rollouts, interrupt.clone())? {
            let taken = forge.take_in(now)?;
            return Ok((forge, taken));
        }
        create(work_tree, rollouts, now, interrupt.clone())?;
        let forge = Self::open_with(work_tree, rollouts, interrupt)?.ok_or_else(|| {
            ForgeError::retryable("the local forge vanished while it was made", "run the command again")
        })?;
        let taken = forge.take_in(now)?;
        let created = match taken {
            TakenIn::Unchanged => forge
                .git()?
                .target(TAKEN)?
                .map_or(TakenIn::Unchanged, |to| TakenIn::FastForward { to }),
            taken => taken,
        };
        Ok((forge, created))
    }

    fn open_with(work_tree: &Path, rollouts: &str, interrupt: Option<Interrupt>) -> Result<Option<Self>, ForgeError> {
        let path = work_tree.join(PRIVATE_FOLDER).join(FORGE_FOLDER);
        if !path.exists() {
            return Ok(None);
        }
        Self::at(work_tree, path, rollouts, interrupt).map(Some)
    }

    fn at(work_tree: &Path, path: PathBuf, rollouts: &str, interrupt: Option<Interrupt>) -> Result<Self, ForgeError> {
        let ref_updates = Arc::new(AtomicU64::new(0));
        let store = Store::open(&path, Arc::clone(&ref_updates), None)?;
        let setting = store
            .repo()
            .config()
            .and_then(|config| config.get_string(PREFIX_SETTING));
        let prefix = setting.map_err(|e| git_error(&e, &format!("read the setting {PREFIX_SETTING}")))?;
        let layout = Layout {
            prefix,
            rollouts: rollouts.trim_matches('/').to_owned(),
        };
        Ok(Self {
            work_tree: work_tree.to_owned(),
            path,
            layout,
            ref_updates,
            interrupt,
        })
    }

    /// Where the bare repository is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl OnGit for LocalForge {
    type Git = Store;

    fn git(&self) -> Result<Store, ForgeError> {
        Store::open(&self.path, Arc::clone(&self.ref_updates), self.interrupt.clone())
    }

    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn fetch_outside(&self) -> Result<Result<String, String>, ForgeError> {
        let Some(outside) = outside::find(&self.work_tree)? else {
            return Ok(Err("this folder is not a Git repository".to_owned()));
        };
        let head = match outside.head(&self.layout.prefix)? {
            Ok(head) => head,
            Err(reason) => return Ok(Err(reason)),
        };
        let store = self.git()?;
        let known = store.target(TAKEN)?.map(|id| oid(&id)).transpose()?;
        outside.copy(head, known, &store)?;
        Ok(Ok(head.to_string()))
    }

    fn ref_updates(&self) -> u64 {
        self.ref_updates.load(Ordering::Relaxed)
    }
}

/// Where the project at `work_tree` lies in its Git repository: empty, or ending in `/`. A folder that is in none is at its
/// root.
///
/// # Errors
/// [`ForgeError`] if the repository cannot be read.
pub fn project_prefix(work_tree: &Path) -> Result<String, ForgeError> {
    Ok(outside::find(work_tree)?.map_or_else(String::new, |outside| outside.prefix))
}

/// Makes the bare repository under another name and renames it, so that it is either absent or has a `main`.
fn create(work_tree: &Path, rollouts: &str, now: Timestamp, interrupt: Option<Interrupt>) -> Result<(), ForgeError> {
    let prefix = outside::find(work_tree)?.map_or_else(String::new, |outside| outside.prefix);
    let private = work_tree.join(PRIVATE_FOLDER);
    let place = |e: std::io::Error| {
        ForgeError::terminal(
            format!("the local forge cannot be made in {}: {e}", private.display()),
            "check that the folder may be written and the disk has room",
        )
    };
    fs::create_dir_all(&private).map_err(place)?;
    // What is kept here is patchwave's own: `git add .` in the work tree must not pick it up.
    let ignore = private.join(".gitignore");
    if !ignore.exists() {
        crate::write::put_atomically(&ignore, b"*\n").map_err(place)?;
    }
    let alone = FolderLock::wait(&private, CREATE_LOCK, CREATE_PATIENCE).map_err(place)?;
    if private.join(FORGE_FOLDER).exists() {
        return Ok(());
    }
    if alone.is_some() {
        remove_unfinished(&private).map_err(place)?;
    }
    let unfinished = private.join(format!("{UNFINISHED_PREFIX}{}", std::process::id()));
    init_bare(&unfinished, &prefix).map_err(|e| git_error(&e, &format!("be made at {}", unfinished.display())))?;
    crate::write::put_atomically(&unfinished.join(store::SETTINGS_FILE), store::SETTINGS).map_err(place)?;
    let forge = LocalForge::at(work_tree, unfinished.clone(), rollouts, interrupt)?;
    forge.take_in(now)?;
    forge.git()?.before("rename")?;
    match fs::rename(&unfinished, private.join(FORGE_FOLDER)) {
        Ok(()) => Ok(()),
        // Another process was faster; its forge serves as well.
        Err(_) if private.join(FORGE_FOLDER).exists() => fs::remove_dir_all(&unfinished).map_err(place),
        Err(e) => Err(place(e)),
    }
}

/// Removes what processes left that were killed while they made the forge. Nobody else makes one now.
fn remove_unfinished(private: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(private)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED_PREFIX) {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

fn init_bare(path: &Path, prefix: &str) -> Result<(), git2::Error> {
    let mut options = RepositoryInitOptions::new();
    // No template: hooks and settings of this machine have no place in what must be the same everywhere.
    options
        .bare(true)
        .initial_head("main")
        .external_template(false)
        .no_reinit(true)
        .mkpath(true);
    let repo = Repository::init_opts(path, &options)?;
    let mut config = repo.config()?.open_level(git2::ConfigLevel::Local)?;
    config.set_str(PREFIX_SETTING, prefix)?;
    Ok(())
}

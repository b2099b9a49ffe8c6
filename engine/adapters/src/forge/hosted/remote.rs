//! Git of a forge that is pushed to over smart HTTP: a bare copy of its branches, brought up to date by fetching and written
//! by pushing. The `git` program speaks to the forge.
//!
//! A push carries the value the branch must still have (`--force-with-lease`), which makes it the compare-and-swap. The token
//! is in the environment of that program alone: not among its arguments, not in the address, not in the copy's settings, and
//! a redirection is not followed, so that it goes to no other host.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use git2::{Repository, RepositoryInitOptions};
use jiff::Timestamp;

use super::program::{Said, git};
use super::{Host, wire};
use crate::forge::ForgeError;
use crate::forge::local::Store;
use crate::forge::plumbing::{Author, CommitInfo, Edit, MAIN, MergedTree, Plumbing};
use crate::forge::rest::api::Api;
use crate::forge::rest::kept::Trust;

/// The copy of one repository and the way to it.
pub(in crate::forge) struct Remote {
    folder: PathBuf,
    url: String,
    base: String,
    pushes: AtomicU64,
}

impl Remote {
    /// A copy in `folder`, made if it is not there, of the repository at `url`.
    ///
    /// # Errors
    /// [`ForgeError`] if the folder cannot be written.
    pub(in crate::forge) fn new(folder: &Path, url: &str, base: &str) -> Result<Self, ForgeError> {
        if !folder.join("HEAD").exists() {
            let mut options = RepositoryInitOptions::new();
            options.bare(true).external_template(false).mkpath(true);
            Repository::init_opts(folder, &options).map_err(|e| {
                let what = format!(
                    "the copy of the forge cannot be made in {}: {}",
                    folder.display(),
                    e.message()
                );
                ForgeError::terminal(what, "check that the folder may be written and the disk has room")
            })?;
        }
        Ok(Self {
            folder: folder.to_owned(),
            url: url.to_owned(),
            base: base.to_owned(),
            pushes: AtomicU64::new(0),
        })
    }

    /// Pushes that were tried so far.
    pub(in crate::forge) fn pushes(&self) -> u64 {
        self.pushes.load(Ordering::Relaxed)
    }

    /// Brings the copy up to date.
    fn fetch(&self, api: &Api) -> Result<(), ForgeError> {
        let base = format!("+refs/heads/{0}:refs/heads/{0}", self.base);
        let arguments = [
            "fetch",
            "--quiet",
            "--prune",
            "--no-tags",
            "--no-write-fetch-head",
            "--",
            &self.url,
            &base,
            "+refs/heads/patchwave/*:refs/heads/patchwave/*",
        ];
        let said = self.patiently(api, "fetch", &arguments)?;
        if said.done {
            return Ok(());
        }
        if said.has(&["couldn't find remote ref"]) {
            return Err(ForgeError::terminal(
                format!("{} has no branch {}", self.url, self.base),
                "push a first commit, and name the branch in `spec.forge.base`",
            ));
        }
        Err(self.fault("fetch", &said))
    }

    /// Brings the heads of these pull requests: of what has ended, whose branches may be gone. Not of all there are, because
    /// anybody can open one, with whatever in it.
    fn fetch_pulls(&self, api: &Api, numbers: &[u64]) -> Result<(), ForgeError> {
        // A pattern, so that one that the forge no longer has is no error; beside the head nothing there begins so.
        let names: Vec<String> = numbers
            .iter()
            .map(|n| format!("+refs/pull/{n}/h*:refs/pull/{n}/h*"))
            .collect();
        let mut arguments = vec![
            "fetch",
            "--quiet",
            "--no-tags",
            "--no-write-fetch-head",
            "--",
            &self.url,
        ];
        arguments.extend(names.iter().map(String::as_str));
        let said = self.patiently(api, "fetch", &arguments)?;
        if said.done {
            return Ok(());
        }
        Err(self.fault("fetch", &said))
    }

    /// Runs the program until it succeeds, fails for good, or patience ends. A fetch and a push with a lease may be repeated.
    fn patiently(&self, api: &Api, what: &str, arguments: &[&str]) -> Result<Said, ForgeError> {
        let mut tried = 0;
        loop {
            tried += 1;
            let said = git(&self.folder, &self.url, &api.token()?, arguments, tried)?;
            let transient = !said.done && self.fault(what, &said).retryable && !said.has(&["rejected"]);
            if !transient || !api.wait_before_another(tried) {
                return Ok(said);
            }
            tracing::debug!(url = self.url, words = said.words, "git {what} failed; trying again");
        }
    }

    fn fault(&self, what: &str, said: &Said) -> ForgeError {
        let words = &said.words;
        let has = |list: &[&str]| said.has(list);
        let times = if said.tried > 1 {
            format!(" after {} tries", said.tried)
        } else {
            String::new()
        };
        let what = |why: &str| format!("git {what} of {} failed{times}: {why} ({words})", self.url);
        if has(&["declined", "protected branch"]) {
            ForgeError::terminal(
                what("a rule of the repository forbids it"),
                "let the engine's account push to branches below patchwave/",
            )
        } else if has(&["Authentication failed", "could not read Username", "error: 401"]) {
            ForgeError::terminal(
                what("the token is wrong, expired or revoked"),
                "make a new token and put it where `spec.forge.tokenFrom` says",
            )
        } else if has(&["error: 403", "not found"]) {
            ForgeError::terminal(
                what("there is no such repository, or the token may not see or write it"),
                "check `spec.forge.repository`, and that the token may read and write the repository",
            )
        } else if has(&["redirect", "error: 301", "error: 302", "error: 307", "error: 308"]) {
            ForgeError::terminal(
                what("it was sent elsewhere, and a token goes to no other place"),
                "write the address that it was sent to into `spec.forge.apiUrl`",
            )
        } else {
            ForgeError::retryable(
                what("it did not get through"),
                "check the network and `spec.forge.apiUrl`, and run the command again",
            )
        }
    }
}

/// The copy during one operation, fetched when it is first looked at.
pub(in crate::forge) struct Mirror<'a, H> {
    host: &'a H,
    remote: &'a Remote,
    store: std::cell::OnceCell<Store>,
}

impl<'a, H: Host> Mirror<'a, H> {
    pub(in crate::forge) const fn new(host: &'a H, remote: &'a Remote) -> Self {
        Self {
            host,
            remote,
            store: std::cell::OnceCell::new(),
        }
    }

    fn store(&self) -> Result<&Store, ForgeError> {
        if let Some(store) = self.store.get() {
            return Ok(store);
        }
        self.remote.fetch(&self.host.hub().api)?;
        let store = Store::open(&self.remote.folder, Arc::new(AtomicU64::new(0)), None)?;
        Ok(self.store.get_or_init(|| store))
    }

    /// The name on the forge of a reference of the rules.
    fn named(&self, reference: &str) -> String {
        if reference == MAIN {
            format!("refs/heads/{}", self.remote.base)
        } else {
            reference.to_owned()
        }
    }

    /// Every engine branch and where it points.
    pub(in crate::forge) fn engine_refs(&self) -> Result<BTreeMap<String, String>, ForgeError> {
        let unreadable = |e: git2::Error| {
            ForgeError::terminal(
                format!("the copy of the forge cannot be read: {}", e.message()),
                format!("remove {}: it is made anew", self.remote.folder.display()),
            )
        };
        let mut found = BTreeMap::new();
        let references = self.store()?.repo().references_glob("refs/heads/patchwave/*");
        for reference in references.map_err(unreadable)? {
            let reference = reference.map_err(unreadable)?;
            if let (Ok(name), Some(target)) = (reference.name(), reference.target()) {
                found.insert(name.to_owned(), target.to_string());
            }
        }
        Ok(found)
    }

    /// The account behind a commit, where the forge knows one: people are named as their approvals are.
    fn with_account(&self, commit: CommitInfo) -> Result<CommitInfo, ForgeError> {
        if commit.is_engines() {
            return Ok(commit);
        }
        let api = &self.host.hub().api;
        let path = api.repo(&self.host.commit_in_path(&commit.id));
        let found: Option<wire::ListedCommit> = api.get(&path, Trust::Forever)?;
        let unknown = CommitInfo {
            unattributed: true,
            ..commit
        };
        Ok(found.map_or(unknown, CommitInfo::from))
    }
}

impl<H: Host> Plumbing for Mirror<'_, H> {
    fn bring_pulls(&self, numbers: &[u64]) -> Result<(), ForgeError> {
        if numbers.is_empty() {
            return Ok(());
        }
        self.remote.fetch_pulls(&self.host.hub().api, numbers)
    }

    fn target(&self, reference: &str) -> Result<Option<String>, ForgeError> {
        self.store()?.target(&self.named(reference))
    }

    fn set_target(&self, reference: &str, expected: Option<&str>, new: &str) -> Result<bool, ForgeError> {
        let reference = self.named(reference);
        if self.store()?.target(&reference)?.as_deref() != expected {
            return Ok(false);
        }
        if expected == Some(new) {
            return Ok(true);
        }
        let api = &self.host.hub().api;
        let lease = format!("--force-with-lease={reference}:{}", expected.unwrap_or_default());
        let refspec = format!("{new}:{reference}");
        self.remote.pushes.fetch_add(1, Ordering::Relaxed);
        let arguments = [
            "push",
            "--quiet",
            "--no-verify",
            &lease,
            "--",
            &self.remote.url,
            &refspec,
        ];
        let said = self.remote.patiently(api, "push", &arguments)?;
        if said.done {
            // The forge has it, whatever the copy says: another process may have brought that here already.
            if let Err(why) = self.store()?.set_target(&reference, expected, new) {
                tracing::debug!("the copy of the forge is not up to date: {why}");
            }
            return Ok(true);
        }
        // Whatever it said: where the branch is now tells what became of it.
        self.remote.fetch(api)?;
        let now = self.store()?.target(&reference)?;
        if now.as_deref() == expected {
            Err(self.remote.fault("push", &said))
        } else {
            Ok(now.as_deref() == Some(new))
        }
    }

    fn commit_info(&self, commit: &str) -> Result<CommitInfo, ForgeError> {
        self.store()?.commit_info(commit)
    }

    fn is_ancestor(&self, ancestor: &str, of: &str) -> Result<bool, ForgeError> {
        self.store()?.is_ancestor(ancestor, of)
    }

    fn commits_between(&self, base: &str, head: &str) -> Result<Vec<CommitInfo>, ForgeError> {
        let commits = self.store()?.commits_between(base, head)?;
        commits.into_iter().map(|commit| self.with_account(commit)).collect()
    }

    fn merge_base(&self, one: &str, other: &str) -> Result<Option<String>, ForgeError> {
        self.store()?.merge_base(one, other)
    }

    fn tree_of(&self, commit: &str) -> Result<String, ForgeError> {
        self.store()?.tree_of(commit)
    }

    fn entries(&self, tree: &str, under: &str) -> Result<BTreeMap<String, String>, ForgeError> {
        self.store()?.entries(tree, under)
    }

    fn blob(&self, id: &str) -> Result<Vec<u8>, ForgeError> {
        self.store()?.blob(id)
    }

    fn hash_blob(&self, bytes: &[u8]) -> Result<String, ForgeError> {
        self.store()?.hash_blob(bytes)
    }

    fn write_tree(&self, base: Option<&str>, edit: &Edit<'_>) -> Result<String, ForgeError> {
        self.store()?.write_tree(base, edit)
    }

    fn write_commit(
        &self,
        tree: &str,
        parents: &[&str],
        by: &Author,
        message: &str,
        now: Timestamp,
    ) -> Result<String, ForgeError> {
        self.store()?.write_commit(tree, parents, by, message, now)
    }

    fn merge_trees(
        &self,
        base: Option<&str>,
        ours: &str,
        theirs: &str,
        keep_ours_under: Option<&str>,
    ) -> Result<MergedTree, ForgeError> {
        self.store()?.merge_trees(base, ours, theirs, keep_ours_under)
    }
}

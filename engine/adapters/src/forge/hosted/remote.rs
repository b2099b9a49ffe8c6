//! Git of a forge that is pushed to over smart HTTP: a bare copy of its branches, brought up to date by fetching and written
//! by pushing. The `git` program speaks to the forge.
//!
//! A push carries the value the branch must still have (`--force-with-lease`), which makes it the compare-and-swap. The token
//! is in the environment of that program alone: not among its arguments, not in the address, not in the copy's settings, and
//! a redirection is not followed, so that it goes to no other host.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine as _;
use git2::{Repository, RepositoryInitOptions};
use jiff::Timestamp;

use super::{Host, wire};
use crate::forge::ForgeError;
use crate::forge::local::Store;
use crate::forge::plumbing::{Author, CommitInfo, Edit, MAIN, MergedTree, Plumbing};
use crate::forge::rest::api::Api;
use crate::forge::rest::kept::Trust;
use crate::secret::Secret;

/// Ends a transfer that moves fewer than a thousand bytes a second for so long.
const STALL_SECONDS: &str = "60";
/// Longest time for one fetch or push: the first fetch brings the whole history of the base branch.
const TRANSFER_SECONDS: u64 = 1800;
/// Pause between two looks at whether the program has ended.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// Longest part of what the program says that is kept.
const WORDS_BYTES_MAX: u64 = 64 << 10;

/// What of this process's environment the program gets: how to reach the network and whom to trust, nothing that makes it
/// talk (`GIT_TRACE…`) or changes what it does.
const PASSED_ON: [&str; 19] = [
    "PATH",
    "HOME",
    "TMPDIR",
    "TEMP",
    "SystemRoot",
    "LD_LIBRARY_PATH",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "GIT_SSL_CAINFO",
    "GIT_SSL_CAPATH",
    "GIT_EXEC_PATH",
    "http_proxy",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
    "USERPROFILE",
];

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
            "+refs/pull/*/head:refs/pull/*/head",
        ];
        let said = self.patiently(api, "fetch", &arguments)?;
        if said.done {
            return Ok(());
        }
        if said.words.contains("couldn't find remote ref") {
            return Err(ForgeError::terminal(
                format!("{} has no branch {}", self.url, self.base),
                "push a first commit, and name the branch in `spec.forge.base`",
            ));
        }
        Err(self.fault("fetch", &said))
    }

    /// Runs the program until it succeeds, fails for good, or patience ends. A fetch and a push with a lease may be repeated.
    fn patiently(&self, api: &Api, what: &str, arguments: &[&str]) -> Result<Said, ForgeError> {
        let mut tried = 0;
        loop {
            tried += 1;
            let said = self.git(&api.token()?, arguments, tried)?;
            let transient = !said.done && self.fault(what, &said).retryable && !said.words.contains("rejected");
            if !transient || !api.wait_before_another(tried) {
                return Ok(said);
            }
            tracing::debug!(url = self.url, words = said.words, "git {what} failed; trying again");
        }
    }

    fn fault(&self, what: &str, said: &Said) -> ForgeError {
        let words = &said.words;
        let has = |list: &[&str]| list.iter().any(|word| words.contains(word));
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

    /// Runs the program in the copy, with nothing of the machine's settings.
    fn git(&self, token: &Secret, arguments: &[&str], tried: u32) -> Result<Said, ForgeError> {
        let authorization = authorization(token);
        let settings = [
            ("http.extraHeader", authorization.as_str()),
            ("http.followRedirects", "false"),
            ("credential.helper", ""),
            ("core.hooksPath", "/dev/null"),
            ("gc.auto", "0"),
        ];
        let mut command = Command::new("git");
        command.arg("--git-dir").arg(&self.folder).args(arguments).env_clear();
        command.envs(std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(|n| PASSED_ON.contains(&n))));
        command
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_HTTP_LOW_SPEED_LIMIT", "1000")
            .env("GIT_HTTP_LOW_SPEED_TIME", STALL_SECONDS)
            .env("LC_ALL", "C")
            .env("GIT_CONFIG_COUNT", settings.len().to_string());
        for (at, (name, value)) in settings.iter().enumerate() {
            command
                .env(format!("GIT_CONFIG_KEY_{at}"), name)
                .env(format!("GIT_CONFIG_VALUE_{at}"), value);
        }
        let (done, words) = run(command)?;
        let encoded = authorization.rsplit(' ').next().unwrap_or_default();
        let words = words.replace(encoded, "[secret]");
        Ok(Said {
            done,
            tried,
            words: token.redact(&words.split_whitespace().collect::<Vec<_>>().join(" ")),
        })
    }
}

/// The header that carries a token; both forges take any name beside it.
fn authorization(token: &Secret) -> String {
    let pair = format!("x-access-token:{}", token.expose());
    let encoded = base64::engine::general_purpose::STANDARD.encode(pair);
    format!("Authorization: Basic {encoded}")
}

/// Runs a program to its end, at most [`TRANSFER_SECONDS`] long: whether it succeeded, and what it said of errors.
fn run(mut command: Command) -> Result<(bool, String), ForgeError> {
    let absent = |e: std::io::Error| {
        ForgeError::terminal(
            format!("git cannot be run: {e}"),
            "install git: this forge is written by pushing",
        )
    };
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command.spawn().map_err(absent)?;
    let errors = child.stderr.take();
    let reader = std::thread::spawn(move || {
        let mut words = Vec::new();
        if let Some(mut errors) = errors {
            let _ = errors.by_ref().take(WORDS_BYTES_MAX).read_to_end(&mut words);
            let _ = std::io::copy(&mut errors, &mut std::io::sink());
        }
        String::from_utf8_lossy(&words).into_owned()
    });
    let looks = TRANSFER_SECONDS * 1000 / LOOK_AGAIN.as_millis().try_into().unwrap_or(1_u64);
    let mut status = None;
    for _ in 0..looks {
        status = child.try_wait().map_err(absent)?;
        if status.is_some() {
            break;
        }
        std::thread::sleep(LOOK_AGAIN);
    }
    if status.is_none() {
        let _ = child.kill();
        let _ = child.wait();
    }
    let words = reader.join().unwrap_or_default();
    Ok(match status {
        Some(status) => (status.success(), words),
        None => (false, format!("no end within {TRANSFER_SECONDS} s: {words}")),
    })
}

/// What the program said, and at which try.
struct Said {
    done: bool,
    tried: u32,
    words: String,
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
            return self.store()?.set_target(&reference, expected, new);
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
